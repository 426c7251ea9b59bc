"""A cgroup per lab and part of it: the one list of a lab's processes that no crash and no fork can leave.

Only the cgroup v2 hierarchy is used, wherever it is mounted (it may hold no controller at all).
Source of cgroup.kill: Linux, Documentation/admin-guide/cgroup-v2.rst (since 5.14); older kernels get signals.
"""

import os
import signal
import time
from pathlib import Path
from typing import List

from .errors import LabError
from .model import Lab

TOP = "multiverse-lab"
PATIENCE = 10.0  # seconds until a killed process must be gone


def hierarchies(mounts: str) -> List[Path]:
    """Where cgroup v2 is mounted, given the text of /proc/self/mounts; then where v1's name=systemd is, if anywhere:
    systemd-nspawn copies the tree it makes into that one. Raises LabError when there is no v2."""
    found: List[Path] = []
    for line in mounts.splitlines():
        _device, point, kind, flags = line.split()[:4]
        if kind == "cgroup2":
            found.insert(0, Path(point))
        elif kind == "cgroup" and "name=systemd" in flags.split(","):
            found.append(Path(point))
    if "cgroup2 " not in mounts:
        raise LabError("cgroup v2 is not mounted; mount it: mount -t cgroup2 none /sys/fs/cgroup/unified")
    return found


def _mounted() -> List[Path]:
    return hierarchies(Path("/proc/self/mounts").read_text())


def path(lab: Lab, part: str = "") -> Path:
    """The cgroup of a lab, or of one part of it (universe, internet, clients, build)."""
    return _mounted()[0] / TOP / str(lab.index) / part


def enter(lab: Lab, part: str) -> None:
    """Move the calling process into a part's cgroup; everything it starts from now on is in it too."""
    group = path(lab, part)
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text("0")


def processes(group: Path) -> List[int]:
    """Ids of all processes in a cgroup and below it."""
    found: List[int] = []
    for folder, _folders, _files in os.walk(str(group)):
        try:
            found += [int(line) for line in Path(folder, "cgroup.procs").read_text().split()]
        except OSError:
            continue  # removed while we looked
    return found


def _kill_once(group: Path) -> None:
    try:
        (group / "cgroup.kill").write_text("1")
        return
    except OSError:
        pass
    for process in processes(group):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill(group: Path) -> None:
    """End every process in a cgroup and below it. Raises LabError when one does not go away."""
    if not group.is_dir():
        return
    deadline = time.monotonic() + PATIENCE
    while processes(group):
        _kill_once(group)
        if time.monotonic() > deadline:
            raise LabError("processes %s of %s do not end; see `ps`" % (processes(group), group))
        time.sleep(0.02)


def remove(lab: Lab, part: str = "") -> None:
    """End every process of a lab, or of one part of it, and remove its cgroups. Nothing there is no error."""
    kill(path(lab, part))
    for hierarchy in _mounted():
        _remove_tree(hierarchy / TOP / str(lab.index) / part)


def _remove_tree(group: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while group.is_dir():
        for folder, _folders, _files in os.walk(str(group), topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                continue  # the kernel still counts a dying process; the next round gets it
        if time.monotonic() > deadline:
            raise LabError("cgroup %s cannot be removed; look at its cgroup.procs" % group)
        time.sleep(0.01)


def remove_top() -> None:
    """Remove the folder all labs share once the last one is gone."""
    for hierarchy in _mounted():
        try:
            (hierarchy / TOP).rmdir()
        except OSError:
            continue  # another lab is in it, or it is gone
