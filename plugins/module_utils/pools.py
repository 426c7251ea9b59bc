# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storage pools: the model, its libvirt XML, and what has to change. No I/O.

A pool of ours is a directory and libvirt's knowledge of it. libvirt keeps no <metadata> on pools, so our mark is the
UUID: it is derived from the pool's name, and libvirt keeps it through every redefinition.
"""

import posixpath
import uuid
from collections import OrderedDict, namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils import xml
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change, Plan, differences

KIND = "pool"

#: name, path: str; owner, group: names, or None to leave them; mode: "0750", or None to leave it.
Pool = namedtuple("Pool", "name path owner group mode")

#: A pool in libvirt's words. type: "dir" for ours, libvirt has more.
Definition = namedtuple("Definition", "name uuid type path")

#: owner, group: names; mode: "0750".
Directory = namedtuple("Directory", "owner group mode")

#: All views of the pool of one name. persistent: Definition, or None when libvirt does not know it; live: Definition,
#: or None while it is not active; directory: Directory at the *desired* path, or None; autostart: bool.
Current = namedtuple("Current", "persistent live directory autostart")


def from_declared(name, path, owner=None, group=None, mode=None):
    """The model of one declared pool. Raises MultiverseError for a path or mode that cannot be meant."""
    if not path.startswith("/"):
        raise MultiverseError("pool %s has path %r. Give an absolute path." % (name, path))
    try:
        mode = None if mode is None else "%04o" % int(mode, 8)
    except ValueError:
        raise MultiverseError("pool %s has mode %r. Give octal digits, such as '0750'." % (name, mode)) from None
    return Pool(name, posixpath.normpath(path), owner, group, mode)


def mark(name):
    """The UUID that says: this collection made the pool of this name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "%s/pool/%s" % (xml.NAMESPACE, name)))


def is_ours(definition):
    """Whether a Definition carries our mark."""
    return definition.uuid == mark(definition.name)


def to_xml(pool, base=None):
    """libvirt's XML of the pool. ``base``, the definition libvirt has, keeps its UUID and all we don't declare."""
    root = xml.parse(base or "<pool><uuid>%s</uuid></pool>" % mark(pool.name), "the definition of pool %s" % pool.name)
    root.set("type", "dir")
    xml.ensure(root, "name").text = pool.name
    xml.ensure(root, "target/path").text = pool.path
    return xml.to_text(root)


def from_xml(text):
    """The Definition in a libvirt XML text. Raises MultiverseError for broken XML."""
    root = xml.parse(text, "libvirt's definition of a pool")
    return Definition(root.findtext("name"), root.findtext("uuid"), root.get("type"), root.findtext("target/path"))


def plan(desired, current):
    """The changes that turn a Current into the desired pool.

    Raises MultiverseError for a pool that is not ours: not a directory, or neither our mark nor our path. A directory
    pool on our path is as good as ours: virt-install and virt-manager make one for each folder they meet.
    """
    name, persistent, live = desired.name, current.persistent, current.live
    _refuse_foreign(desired, persistent)
    changes = differences(KIND, name, _declared(desired), _as_fields(current.directory), lambda f: "live", "directory.")
    if persistent is None:
        fields = OrderedDict([("path", desired.path), ("autostart", True), ("active", True)])
        return Plan(changes + differences(KIND, name, fields, None, lambda field: "live"))
    before = {"path": persistent.path, "autostart": current.autostart, "active": live is not None}
    fields = OrderedDict([("path", desired.path), ("autostart", True), ("active", True)])
    changes += differences(KIND, name, fields, before, lambda field: "restart" if field == "path" else "live")
    if live is not None and live.path not in (desired.path, persistent.path):
        changes.append(Change(KIND, name, "live.path", live.path, desired.path, "restart"))
    return Plan(changes)


def plan_removal(name, current):
    """The changes that make libvirt forget a pool of ours; its directory and data stay."""
    ours = current.persistent is not None and is_ours(current.persistent)
    return Plan([Change(KIND, name, "state", "present", "absent", "live")] if ours else [])


def _declared(desired):
    fields = [("exists", True), ("owner", desired.owner), ("group", desired.group), ("mode", desired.mode)]
    return OrderedDict((field, value) for field, value in fields if value is not None)


def _as_fields(directory):
    return None if directory is None else dict(directory._asdict(), exists=True)


def _refuse_foreign(desired, persistent):
    if persistent is None or (persistent.type == "dir" and (is_ours(persistent) or persistent.path == desired.path)):
        return
    raise MultiverseError(
        "pool %s exists in libvirt as type %s at %s, and this collection did not make it, so it is left alone. Choose "
        "another name in multiverse_pools, or remove it first: virsh pool-destroy %s; virsh pool-undefine %s (both "
        "keep its data)." % (desired.name, persistent.type, persistent.path, desired.name, desired.name)
    )
