# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Router VMs: what has to change, and the steps that change it. No I/O.

A router is seen in three views: libvirt's persistent definition, libvirt's live one, and the kernel, which alone knows
the bridge that a card is plugged into. Each of them is changed by other programs without the others.
"""

from collections import OrderedDict, namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils.domains import KIND, sort_devices
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import (
    EFFECTS,
    Change,
    Plan,
    differences,
)

#: What a VM takes while it runs. Everything else is fixed when QEMU starts.
HOT_FIELDS = ("interfaces",)

#: A card of the running VM. entry: as `domains.interface`; tap: the host's device or None; master: the bridge that
#: the kernel has it in, or None.
Port = namedtuple("Port", "entry tap master")

#: All views of one domain. persistent: Domain; None for a domain that libvirt only runs ("transient"); live: Domain, or
#: None while it does not run; state: "running" | "paused" | "suspended" | "shutoff" | ...; ports: [Port]; ours: bool.
Current = namedtuple("Current", "persistent live state ports ours")

#: The same plan as steps. define: bool; stop: whether the VM is stopped (and, unless start is false, started again);
#: start, resume: bool; detach: [Port]; attach: [entry]; replug: [Port].
Steps = namedtuple("Steps", "define stop start resume detach attach replug")


def plan(desired, current, running=True, recreate=()):
    """The changes that turn what is there into the desired router.

    current: a Current, or None when libvirt has no domain of this name. running: True, False, or None to leave it as
    it is. recreate: Changes with effect "recreate" that the caller found, of a disk whose backing image differs, say.
    Raises MultiverseError for a domain that we did not make.
    """
    desired = sort_devices(desired)
    if current is not None and not current.ours:
        raise MultiverseError(
            "router %s: libvirt has a domain of this name that this collection did not make (no mark in its "
            "<metadata>), so it is left alone. Choose another name in multiverse_routers, or remove the domain first: "
            "virsh destroy %s; virsh undefine %s." % ((desired.name,) * 3)
        )
    changes = _persistent_changes(desired, current) + list(recreate)
    if current is not None and current.live is not None and running is not False:
        changes += _live_changes(desired, current)
    return Plan(_distinct(changes) + _state_changes(desired, current, running))


def plan_removal(name, current):
    """The changes that remove a router: none when it does not exist or is not ours."""
    if current is None or not current.ours:
        return Plan()
    return Plan([Change(KIND, name, "state", "present", "absent", "recreate")])


def steps(desired, current, changes, restart=True):
    """The steps that the changes of a `plan` come to.

    restart: False leaves for later what only a restart can change; the definition is right then, and what can be
    repaired in the running VM is.
    """
    written = [change for change in changes if change.effect != "recreate"]
    heavy = any(change.effect != "live" for change in changes) and restart
    running = current is not None and current.live is not None
    wanted_off = any(change.field == "state" and change.after == "shutoff" for change in changes)
    detach, attach = _cards(desired, current) if running else ([], [])
    stop = running and (heavy or wanted_off)
    quiet = stop or not running
    return Steps(
        define=any(change.field.split(".")[0] not in ("live", "port", "state") for change in written),
        stop=stop,
        start=(stop and not wanted_off) or any(_is_state(change, "shutoff", "running") for change in changes),
        resume=not stop and any(change.field == "state" and change.before in RESUMABLE for change in changes),
        detach=[] if quiet else detach,
        attach=[] if quiet else attach,
        replug=[] if quiet else _misplugged(desired, current),
    )


#: States of a live domain that does nothing.
RESUMABLE = ("paused", "suspended")


def _is_state(change, before, after):
    return (change.field, change.before, change.after) == ("state", before, after)


def _persistent_changes(desired, current):
    """A definition that only the next start would follow costs nothing now; _live_changes adds what does."""
    persistent = None if current is None or current.persistent is None else current.persistent.fields
    return differences(KIND, desired.name, desired.fields, persistent, lambda field: "live")


def _live_changes(desired, current):
    changes = differences(
        KIND,
        desired.name,
        desired.fields,
        current.live.fields,
        lambda field: "live" if field in HOT_FIELDS else "restart",
        "live.",
    )
    return changes + [
        Change(KIND, desired.name, "port." + port.entry["mac"], port.master, port.entry["bridge"], "live")
        for port in _misplugged(desired, current)
    ]


def _state_changes(desired, current, running):
    state = "shutoff" if current is None else current.state
    wanted = {True: "running", False: "shutoff", None: state}[running]
    if state == wanted:
        return []
    return [Change(KIND, desired.name, "state", state, wanted, "restart" if wanted == "shutoff" else "live")]


def _distinct(changes):
    """One drift that shows in the persistent and in the live view is one change, with the heavier effect."""
    kept = OrderedDict()
    for change in changes:
        field = change.field[len("live.") :] if change.field.startswith("live.") else change.field
        key = (field, repr(change.before), repr(change.after))
        if key in kept:
            heavier = max(kept[key].effect, change.effect, key=EFFECTS.index)
            kept[key] = kept[key]._replace(effect=heavier)
        else:
            kept[key] = change
    return list(kept.values())


def _cards(desired, current):
    """The ports to unplug from the running VM, and the cards to plug in.

    A card on the wrong bridge is in both lists: an unprivileged libvirt cannot move it, and its definition must not
    lie, because libvirt plugs by it whenever it starts anew.
    """
    kept = _kept(desired, current)
    there = [port.entry for port in kept]
    return (
        [port for port in current.ports if port not in kept],
        [entry for entry in desired.interfaces if entry not in there],
    )


def _kept(desired, current):
    """The ports whose card is declared. Of two equal cards one is kept: the other could bypass the router."""
    wanted, kept = list(desired.interfaces), []
    for port in current.ports:
        if port.entry in wanted:
            wanted.remove(port.entry)
            kept.append(port)
    return kept


def _misplugged(desired, current):
    """The ports whose definition is right, and whose tap the kernel has elsewhere."""
    ports = [port for port in _kept(desired, current) if port.entry["type"] == "bridge"]
    return [port for port in ports if port.master != port.entry["bridge"]]
