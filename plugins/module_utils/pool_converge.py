# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storage pools on a machine: read, plan, apply, read again and verify."""

import grp
import os
import pwd
import shutil
import stat
from collections import OrderedDict

from ansible_collections.multiverse.router_controller.plugins.module_utils import pools
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import (
    explained,
    find_pool,
    libvirt,
)
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import plan_all, verify


def converge(connection, desired, absent=(), apply=True):
    """Bring the machine's pools to the ``desired`` models and make libvirt forget our pools named in ``absent``.

    Data is never deleted, and a pool that moves to another path leaves the old directory as it is. Returns (Plan,
    summary per pool). With apply=False nothing is touched: the plan is what a run would do. Raises MultiverseError for
    a pool that is not ours, for what libvirt or the file system refuses, and for drift that survives the changes.
    """
    current = read(connection, desired, absent)
    plan = plan_all(pools, desired, absent, current)
    if apply and plan:
        for name in absent:
            if plan.of(name):
                _remove(connection, name)
        for pool in desired:
            if plan.of(pool.name):
                _apply(connection, pool, current[pool.name])
        verify(plan_all(pools, desired, absent, read(connection, desired, absent)))
    return plan, [
        {"name": name, "outcome": _outcome(plan.of(name), current[name], declared=name not in absent)}
        for name in current
    ]


def read(connection, desired, absent=()):
    """All views of each pool, as pools.Current by name."""
    paths = [(pool.name, pool.path) for pool in desired] + [(name, None) for name in absent]
    return OrderedDict((name, _read(connection, name, path)) for name, path in paths)


def _read(connection, name, path):
    directory = path and _read_directory(name, path)
    pool = find_pool(connection, name)
    if pool is None:
        return pools.Current(persistent=None, live=None, directory=directory, autostart=False)
    with explained("reading pool %s" % name):
        return pools.Current(
            persistent=pools.from_xml(pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE)),
            live=pools.from_xml(pool.XMLDesc(0)) if pool.isActive() else None,
            directory=directory,
            autostart=bool(pool.autostart()),
        )


def _read_directory(name, path):
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise MultiverseError("pool %s: a part of its path %s is a file. Choose another path." % (name, path)) from None
    if not stat.S_ISDIR(status.st_mode):
        raise MultiverseError("pool %s: its path %s exists and is no directory. Choose another." % (name, path))
    return pools.Directory(
        owner=_name_of(pwd.getpwuid, status.st_uid),
        group=_name_of(grp.getgrgid, status.st_gid),
        mode="%04o" % stat.S_IMODE(status.st_mode),
    )


def _name_of(lookup, number):
    try:
        return lookup(number)[0]
    except KeyError:
        return str(number)


def _outcome(plan, current, declared):
    if not declared and current.persistent is not None:
        return "removed" if plan else "foreign"
    if plan and current.persistent is None:
        return "created"
    return "updated" if plan else "unchanged"


# --- apply ------------------------------------------------------------------------------------------------------------


def _remove(connection, name):
    pool = find_pool(connection, name)
    with explained("removing pool %s" % name):
        if pool.isActive():
            pool.destroy()
        pool.undefine()


def _apply(connection, desired, current):
    """The directory comes first: a session libvirt, which is not root, could not make it."""
    _apply_directory(desired)
    pool = find_pool(connection, desired.name)
    with explained("defining pool %s at %s" % (desired.name, desired.path)):
        moved = any(view is not None and view.path != desired.path for view in (current.persistent, current.live))
        base = pool and pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE)
        if moved and pool.isActive():
            pool.destroy()
        if moved or pool is None:
            pool = connection.storagePoolDefineXML(pools.to_xml(desired, base))
        if not pool.autostart():
            pool.setAutostart(True)
    with explained("starting pool %s at %s" % (desired.name, desired.path), "May libvirt's user read the directory?"):
        if not pool.isActive():
            pool.create()


def _apply_directory(pool):
    try:
        os.makedirs(pool.path, exist_ok=True)
        if pool.owner is not None or pool.group is not None:
            shutil.chown(pool.path, _user(pool.owner), _group(pool.group))
        # After chown, which clears set-id bits.
        if pool.mode is not None:
            os.chmod(pool.path, int(pool.mode, 8))
    except (OSError, LookupError) as error:
        raise MultiverseError(
            "pool %s: its directory %s cannot get owner %s, group %s, mode %s: %s. Create the user and group first, "
            "and run as root." % (pool.name, pool.path, pool.owner, pool.group, pool.mode, error)
        ) from error


def _user(owner):
    return int(owner) if owner is not None and owner.isdigit() else owner


_group = _user
