# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the files of this machine and carries out a plan of `files`, one atomic step a file.

Every path is walked component by component with directory descriptors, so a symlink that somebody slips in between
reading and writing is never followed.
"""

import contextlib
import errno
import fcntl
import functools
import grp
import os
import posixpath
import pwd
import stat
import subprocess
import tempfile

from ansible_collections.multiverse.router_controller.plugins.module_utils import files as model
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_ABSENT = dict.fromkeys(("content", "target", "owner", "uid", "group", "gid", "mode", "inode"))
_ABSENT.update(kind="absent", mount=False)
_MAX_HOPS = 40


def converge(files, exclusive=(), check=False):
    """Bring the declared files about: read, plan, apply, read again and verify.

    :param files: list of dicts as the module `files` takes them
    :param exclusive: list of str, folders in which nothing undeclared may stay
    :param check: bool, stop after the plan
    :return: list of changes as `files.plan` gives them
    :raises MultiverseError: on bad input, on something in the way, or if the result is not what was declared
    """
    desired = model.normalize(files, exclusive)
    changes = model.plan(desired, read_current(desired, exclusive), exclusive)
    if changes and not check:
        apply(changes)
        left = model.plan(desired, read_current(desired, exclusive), exclusive)
        if left:
            raise MultiverseError(
                "written, but not there afterwards: %s; is something else changing these files?"
                % "; ".join("%(path)s (%(what)s)" % change for change in model.report(left))
            )
    return changes


def read_current(desired, exclusive=()):
    """What is there now.

    :param desired: result of `files.normalize`
    :param exclusive: list of str
    :return: {"entries": {path: facts}, "overrides": {path: (owner, group, mode)}, "leftovers": [path]}
    """
    entries, leftovers = {}, set()
    for folder in exclusive:
        _walk(folder, entries, leftovers)
    wanted = {}
    for entry in desired:
        wanted.setdefault(posixpath.dirname(entry["path"]), []).append(entry)
    for folder, members in wanted.items():
        _read_members(folder, members, entries, leftovers)
    overrides = {}
    if any(entry["dpkg_override"] is not None for entry in desired):
        overrides = read_overrides()
    return {"entries": entries, "overrides": overrides, "leftovers": sorted(leftovers)}


def _read_members(folder, members, entries, leftovers):
    try:
        fd = open_folder(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        for entry in members:
            entries[entry["path"]] = dict(_ABSENT)
        return
    try:
        here = _mount_id(fd)
        for entry in members:
            known = entries.get(entry["path"])
            facts = _facts(fd, posixpath.basename(entry["path"]), here, _needs_content(entry))
            facts["mount"] = facts["mount"] or bool(known and known["mount"])
            entries[entry["path"]] = facts
        leftovers.update(posixpath.join(folder, name) for name in _leftovers(fd))
    finally:
        os.close(fd)


def _needs_content(entry):
    """Bytes of the present file worth reading: as many as declared and one more, or enough to show a difference."""
    if entry["content"] is not None:
        return max(len(entry["content"]), model.MAX_DIFF) + 1
    return -1 if entry["lines"] or entry["lines_absent"] else 0


def _leftovers(fd):
    """Temporary files that a killed run left behind; one that still runs holds a lock on its own."""
    names = []
    for name in os.listdir(fd):
        if not model.LEFTOVER.match(name):
            continue
        try:
            held = os.open(name, _FILE, dir_fd=fd)
        except OSError:
            names.append(name)
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            names.append(name)
        except OSError:
            pass
        finally:
            os.close(held)
    return names


def _walk(folder, entries, leftovers):
    """Everything in an exclusive folder; mount points are named, never entered."""
    try:
        fd = open_folder(folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    try:
        _walk_fd(fd, folder, _mount_id(fd), entries, leftovers)
    finally:
        os.close(fd)


def _walk_fd(fd, folder, mount, entries, leftovers):
    abandoned = set(_leftovers(fd))
    leftovers.update(posixpath.join(folder, name) for name in abandoned)
    for name in os.listdir(fd):
        path = posixpath.join(folder, name)
        if model.LEFTOVER.match(name):
            continue
        facts = _facts(fd, name, mount, 0)
        entries[path] = facts
        if facts["kind"] != "directory" or facts["mount"]:
            continue
        inner = os.open(name, _FOLDER, dir_fd=fd)
        try:
            _walk_fd(inner, path, mount, entries, leftovers)
        finally:
            os.close(inner)


def _facts(fd, name, mount, size):
    """Facts of one name in an open folder; `mount` is the folder's own mount id, `size` how many bytes to read."""
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return dict(_ABSENT)
        raise
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    return {
        "kind": kind,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mode": stat.S_IMODE(status.st_mode),
        "owner": user_name(status.st_uid),
        "group": group_name(status.st_gid),
        "inode": status.st_ino,
        "target": os.readlink(name, dir_fd=fd) if kind == "link" else None,
        "content": _read(fd, name, size) if kind == "file" and size else None,
        "mount": kind in ("file", "directory") and _is_mount(fd, name, mount),
    }


def _read(fd, name, size):
    with os.fdopen(os.open(name, _FILE, dir_fd=fd), "rb") as stream:
        return stream.read(size)


def _is_mount(fd, name, mount):
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        return _mount_id(held) != mount
    finally:
        os.close(held)


def _mount_id(fd):
    """Identity of the mount that a descriptor is on. A bind mount of the same file system shows in nothing else.

    Source: proc(5), /proc/pid/fdinfo, field mnt_id, since Linux 3.15.
    """
    with open("/proc/self/fdinfo/%d" % fd) as stream:
        for line in stream:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    raise MultiverseError("/proc/self/fdinfo does not name the mount of a file; Linux 3.15 or newer is needed")


@functools.lru_cache(maxsize=None)
def user_name(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.lru_cache(maxsize=None)
def group_name(gid):
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def open_folder(path):
    """A descriptor of the folder `path`, reached without following a symlink that others could have put there.

    :raises OSError: ENOENT, ENOTDIR, ...
    :raises MultiverseError: on a symlink on the way that another user owns, or that lies where another user may write
    """
    fd = os.open("/", _FOLDER)
    todo = [part for part in path.split("/") if part]
    hops = 0
    try:
        while todo:
            part = todo.pop(0)
            target = _trusted_target(fd, part, path)
            if target is not None:
                hops += 1
                if hops > _MAX_HOPS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                todo = [piece for piece in target.split("/") if piece] + todo
                part = "/" if target.startswith("/") else "."
            step = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = step
    except BaseException:
        os.close(fd)
        raise
    return fd


def _trusted_target(fd, part, path):
    """Where a symlink leads that may be followed, or None if `part` is no symlink."""
    try:
        status = os.stat(part, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None  # the open that follows reports it
    if not stat.S_ISLNK(status.st_mode):
        return None
    trusted = (0, os.geteuid())
    folder = os.fstat(fd)
    if status.st_uid not in trusted or folder.st_uid not in trusted or folder.st_mode & 0o022:
        raise MultiverseError(
            "%s: %s on the way is a symlink that another user can change; replace it by a folder" % (path, part)
        )
    return os.readlink(part, dir_fd=fd)


def read_overrides():
    """dpkg's registered overrides: {path: (owner, group, mode)}; source: dpkg-statoverride(1), --list."""
    try:
        result = subprocess.run(
            ["dpkg-statoverride", "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
        )
    except OSError as error:
        raise MultiverseError("dpkg-statoverride cannot be run (%s); this works on Debian only" % error) from error
    overrides = {}
    for line in result.stdout.splitlines():
        owner, group, mode, path = line.split(" ", 3)
        overrides[path] = (owner.lstrip("#"), group.lstrip("#"), int(mode, 8))
    return overrides


def apply(changes):
    """Carry out the changes of `files.plan`, in their order; what was written is on disk when this returns."""
    dirty = set()
    try:
        for change in changes:
            _apply_one(change)
            dirty.add(posixpath.dirname(change["path"]))
    finally:
        for folder in dirty:
            _sync_folder(folder)


def _sync_folder(path):
    try:
        fd = open_folder(path)
    except OSError:
        return  # removed by a later change
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _apply_one(change):
    path, entry = change["path"], change["desired"]
    try:
        fd = open_folder(posixpath.dirname(path))
    except OSError as error:
        if change["action"] == "remove" and error.errno == errno.ENOENT:
            return  # its folder went first
        raise MultiverseError(
            "%s: its folder cannot be opened (%s); declare the folder too" % (path, error.strerror)
        ) from error
    try:
        if entry and "dpkg_override" in change["what"]:
            _override(entry)
        _ACTIONS[change["action"]](fd, posixpath.basename(path), change)
    except OSError as error:
        raise MultiverseError("%s: %s failed: %s" % (path, change["action"], error)) from error
    finally:
        os.close(fd)


def _remove(fd, name, change):
    mount = _mount_id(fd)
    try:
        _refuse_mounts(fd, name, mount)
        _remove_tree(fd, name, mount)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def _refuse_mounts(fd, name, mount):
    """Look before anything is removed, so that a removal happens as a whole or not at all."""
    inside = {name: _facts(fd, name, mount, 0)}
    if inside[name]["kind"] == "directory" and not inside[name]["mount"]:
        inner = os.open(name, _FOLDER, dir_fd=fd)
        try:
            _walk_fd(inner, name, mount, inside, set())
        finally:
            os.close(inner)
    mounts = sorted(path for path, facts in inside.items() if facts["mount"])
    if mounts:
        raise MultiverseError("%s: something is mounted there; unmount it before it can be removed" % ", ".join(mounts))


def _remove_tree(fd, name, mount):
    """Remove `name` and what is below it, never through a symlink and never across a mount."""
    try:
        inner = os.open(name, _FOLDER, dir_fd=fd)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        os.unlink(name, dir_fd=fd)
        return
    try:
        if _mount_id(inner) != mount:
            raise MultiverseError("%s: something was just mounted there; unmount it before it can be removed" % name)
        for below in os.listdir(inner):
            _remove_tree(inner, below, mount)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=fd)


def _make_folder(fd, name, change):
    if "replaced" in change["what"]:
        _remove(fd, name, change)
    if change["kind"] != "directory":
        os.mkdir(name, 0o700, dir_fd=fd)
    inner = os.open(name, _FOLDER, dir_fd=fd)
    try:
        created = change["kind"] != "directory"
        _set_attributes(inner, change["desired"], 0o755 if created else None)
    finally:
        os.close(inner)


def _write(fd, name, change):
    entry = change["desired"]
    old = None
    if change["kind"] == "file":
        old = os.stat(name, dir_fd=fd, follow_symlinks=False)
    temporary = ".multiverse-%s.tmp" % next(tempfile._get_candidate_names())
    held = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _write_all(held, change["after"])
        if old is not None:
            os.fchown(held, old.st_uid, old.st_gid)
        _set_attributes(held, entry, stat.S_IMODE(old.st_mode) if old is not None else 0o644)
        os.fsync(held)
        if change["kind"] == "directory":
            _remove(fd, name, change)
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        _discard(fd, temporary)
        raise
    finally:
        os.close(held)


def _write_all(fd, content):
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _discard(fd, name):
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=fd)


def _link(fd, name, change):
    entry = change["desired"]
    temporary = ".multiverse-%s.tmp" % next(tempfile._get_candidate_names())
    os.symlink(entry["target"], temporary, dir_fd=fd)
    try:
        uid, gid = _ids(entry)
        os.chown(temporary, uid, gid, dir_fd=fd, follow_symlinks=False)
        if change["kind"] == "directory":
            _remove(fd, name, change)
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        _discard(fd, temporary)
        raise


def _touch_attributes(fd, name, change):
    """Owner, group and mode of a file that is already there; a second name of it elsewhere must not come along."""
    if change["kind"] != "file":
        raise MultiverseError(
            "%s: it does not exist and no content is declared; install the package that brings it, "
            "or give content" % change["path"]
        )
    if not {"owner", "group", "mode"} & set(change["what"]):
        return
    held = os.open(name, _FILE, dir_fd=fd)
    try:
        status, folder = os.fstat(held), os.fstat(fd)
        ours = folder.st_uid in (0, os.geteuid()) and not folder.st_mode & 0o022
        if status.st_ino != change["inode"] or not stat.S_ISREG(status.st_mode) or (status.st_nlink > 1 and not ours):
            raise MultiverseError("%s: just replaced, or has more hard links; look at it by hand" % change["path"])
        _set_attributes(held, change["desired"], stat.S_IMODE(status.st_mode))
    finally:
        os.close(held)


def _set_attributes(fd, entry, mode):
    """Owner and group first: a change of owner clears the setuid bit. `mode`: what holds if none is declared."""
    uid, gid = _ids(entry)
    if uid != -1 or gid != -1:
        mode = stat.S_IMODE(os.fstat(fd).st_mode) if mode is None else mode
        os.fchown(fd, uid, gid)
    wanted = entry["mode"] if entry["mode"] is not None else mode
    if wanted is not None:
        os.fchmod(fd, wanted)


def _ids(entry):
    return (
        _number(entry, "owner", lambda name: pwd.getpwnam(name).pw_uid),
        _number(entry, "group", lambda name: grp.getgrnam(name).gr_gid),
    )


def _number(entry, field, lookup):
    name = entry[field]
    if name is None:
        return -1
    try:
        return lookup(name)
    except KeyError:
        if name.isdigit():
            return int(name)
    raise MultiverseError(
        "%s: %s is %r, and this machine has no such %s; create it first"
        % (entry["path"], field, name, "user" if field == "owner" else "group")
    )


def _override(entry):
    """Register the path in dpkg's overrides (or drop it), so that an upgrade of its package keeps the attributes."""
    path = entry["path"]
    present = path in read_overrides()
    commands = [["dpkg-statoverride", "--remove", path]] if present else []
    if entry["dpkg_override"]:
        commands.append(["dpkg-statoverride", "--add", entry["owner"], entry["group"], "%04o" % entry["mode"], path])
    for command in commands:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if result.returncode:
            raise MultiverseError("%s: %s failed: %s" % (path, " ".join(command[:2]), result.stdout.strip()))


_ACTIONS = {
    "remove": _remove,
    "directory": _make_folder,
    "write": _write,
    "link": _link,
    "attributes": _touch_attributes,
}
