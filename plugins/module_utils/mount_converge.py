# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge of `mounts`: reads /etc/fstab and the kernel's mounts, and brings both to what is declared."""

import os
import subprocess
import tempfile

from ansible_collections.multiverse.router_controller.plugins.module_utils import mounts
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

FSTAB = "/etc/fstab"


def read_fstab() -> str:
    """The text of fstab; empty where there is none (containers)."""
    try:
        with open(FSTAB, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def read_mounted(desired: list, fstab: str) -> dict:
    """target -> Mount for each declared target, or one our fstab lines name, that is a mount point now."""
    points = _mount_points()
    return {
        mount.target: _as_mounted(mount, points[mount.target])
        for mount in mounts.parse(fstab) + list(desired)
        if mount.target in points
    }


def apply(desired: list, fstab: str, plan: mounts.Plan) -> list:
    """Unmount what went or changed, write fstab, mount what is missing. Returns warnings.

    In this order, whatever stops it, the next run finds what is left to do: a line that is gone is not mounted.

    :raises MultiverseError: when something that may not fail cannot be mounted.
    """
    points = _mount_points()
    for change in plan:
        if change.name in points:
            _run(["umount", change.name])
    _write_fstab(mounts.render(fstab, desired))
    _remove_links(mounts.parse(fstab), {mount.target for mount in desired})
    changed = {change.name for change in plan}
    warnings = []
    for mount in desired:
        if mount.target not in changed:
            continue
        try:
            _mount(mount)
        except MultiverseError as error:
            if not mount.nofail or mount.bind:
                raise
            warnings.append("{0}; fstab has its line with nofail, so the next boot tries again".format(error))
    return warnings


def _remove_links(before, wanted):
    """A link that went leaves no empty folder in its portal; one that is in use, or holds something, stays."""
    for mount in before:
        if mount.bind and mount.target not in wanted:
            try:
                os.rmdir(mount.target)
            except OSError:
                pass


def _mount(mount):
    if mount.bind and not os.path.isdir(mount.source):
        raise MultiverseError(
            "{0} cannot be linked to {1}: there is no such folder; create it or remove the link".format(
                mount.source, mount.target
            )
        )
    os.makedirs(mount.target, exist_ok=True)
    _run(["mount", mount.target])


def _as_mounted(mount, source):
    """The declared mount if that is what is there; a bind mount shows the very folder it was made from."""
    if mount.bind:
        same = os.path.isdir(mount.source) and os.path.samefile(mount.source, mount.target)
    else:
        same = source == (mount.source, mount.fstype)
    return mount if same else mount._replace(source=source[0], fstype=source[1])


def _mount_points():
    """target -> (source, type) of the topmost mount on each mount point (proc(5), mountinfo)."""
    points = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file:
            left, right = line.rstrip("\n").split(" - ", 1)
            fstype, source = right.split(" ")[:2]
            points[mounts.unescape(left.split(" ")[4])] = (mounts.unescape(source), fstype)
    return points


def _write_fstab(text):
    handle, temporary = tempfile.mkstemp(prefix=".fstab.", dir=os.path.dirname(FSTAB))
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, FSTAB)
    if os.path.isdir("/run/systemd/system"):
        _run(["systemctl", "daemon-reload"])  # systemd keeps units made from fstab


def _run(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    output, _unused = process.communicate()
    if process.returncode:
        raise MultiverseError("{0} failed: {1}".format(" ".join(command), output.strip()))
