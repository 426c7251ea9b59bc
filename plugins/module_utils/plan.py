# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run would change: an ordered list of changes, shown alike in check mode, in ``--diff`` and in the result."""

from collections import namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

#: From harmless to heavy. ``live``: nothing that runs is interrupted. ``restart``: the object stops and starts again.
#: ``recreate``: it is removed, and made anew where it is declared.
EFFECTS = ("live", "restart", "recreate")


class Change(namedtuple("Change", "kind name field before after effect")):
    """One field of one object, and what setting it costs.

    kind: "network", "pool", "router", ...; name: the object's name; field: a declared field, with a prefix where only
    one view of the object differs ("live.mac"); before, after: JSON-able values, before is None for a new object;
    effect: one of EFFECTS. Raises ValueError for any other effect.
    """

    __slots__ = ()

    def __new__(cls, kind, name, field, before, after, effect):
        if effect not in EFFECTS:
            raise ValueError("effect of %s %s.%s is %r, not one of %s" % (kind, name, field, effect, EFFECTS))
        return super(Change, cls).__new__(cls, kind, name, field, before, after, effect)


class Plan(object):
    """Changes in the order in which they apply; false when there is nothing to do."""

    def __init__(self, changes=()):
        self.changes = list(changes)

    def __iter__(self):
        return iter(self.changes)

    def __len__(self):
        return len(self.changes)

    def __add__(self, other):
        return Plan(self.changes + list(other))

    def __eq__(self, other):
        return isinstance(other, Plan) and self.changes == other.changes

    def __repr__(self):
        return "Plan(%r)" % (self.changes,)

    def of(self, name):
        """The part of the plan that concerns the object of this name."""
        return Plan(change for change in self.changes if change.name == name)

    @property
    def effect(self):
        """The heaviest effect in the plan, or None for an empty one."""
        return max((change.effect for change in self.changes), key=EFFECTS.index, default=None)

    def to_result(self):
        """The plan as a module returns it: a list of plain dicts."""
        return [dict(change._asdict()) for change in self.changes]

    def to_diff(self):
        """The plan as Ansible's ``--diff`` takes it: one before/after text per object, changed fields only."""
        objects = []
        for change in self.changes:
            if (change.kind, change.name) not in objects:
                objects.append((change.kind, change.name))
        return [self._object_diff(kind, name) for kind, name in objects]

    def _object_diff(self, kind, name):
        changes = [change for change in self.changes if (change.kind, change.name) == (kind, name)]
        header = "%s %s" % (kind, name)
        return {
            "before_header": header,
            "after_header": header,
            "before": "".join(_lines(change.field, change.before) for change in changes if change.before is not None),
            "after": "".join(_lines(change.field, change.after) for change in changes if change.after is not None),
        }


def differences(kind, name, desired, current, effect_of, prefix=""):
    """The changes that turn one view of an object into the desired one.

    desired, current: dicts of field -> value; only the fields of ``desired`` count, a current of None has none of
    them. effect_of: function of a field's name. prefix: names the view, as in "live.mac".
    """
    current = current or {}
    return [
        Change(kind, name, prefix + field, current.get(field), value, effect_of(field))
        for field, value in desired.items()
        if current.get(field) != value or field not in current
    ]


def plan_all(model, desired, absent, current):
    """The plan for all objects of a kind: removals first, they may free what others need.

    model: the kind's own module, with plan(desired, current) and plan_removal(name, current); desired: models; absent:
    names; current: views by name. Raises MultiverseError for a name that is both.
    """
    both = sorted(set(absent).intersection(entry.name for entry in desired))
    if both:
        raise MultiverseError("%s %s is declared and absent at once. Remove it from one list." % (model.KIND, both[0]))
    removals = [change for name in absent for change in model.plan_removal(name, current[name])]
    return Plan(removals + [change for entry in desired for change in model.plan(entry, current[entry.name])])


def verify(remaining):
    """Raise MultiverseError when a plan made after the changes is not empty."""
    if remaining:
        raise MultiverseError(
            "still different after all changes were made: %s. Another program may set it back (journalctl -e shows "
            "who was busy); stop that, then run again."
            % "; ".join(
                "%s %s has %s %s instead of %s" % (c.kind, c.name, c.field, _inline(c.before), _inline(c.after))
                for c in remaining
            )
        )


def _lines(field, value):
    """A field as YAML-like text for people; a list gets a line per entry, so that a diff shows which entry changed."""
    if isinstance(value, (list, tuple)) and value:
        return "%s:\n%s" % (field, "".join("  - %s\n" % _inline(entry) for entry in value))
    return "%s: %s\n" % (field, _inline(value))


def _inline(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (key, _inline(entry)) for key, entry in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(_inline(entry) for entry in value)
    return "none" if value is None else str(value)
