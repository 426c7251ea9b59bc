# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Our lines in /etc/fstab and the mounts they stand for. Pure: text and tables in, text and a plan out.

Our lines carry the option ``x-multiverse`` (mount(8): options beginning with ``x-`` are for programs like us and mean
nothing to the kernel); a line without it is never changed or removed.
"""

import posixpath
import re
from collections import namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change, Plan

MARK = "x-multiverse"


class Mount(namedtuple("Mount", "source target fstype options")):
    """One line of fstab. `options` is the text of the fourth field, without our mark."""

    __slots__ = ()

    @property
    def nofail(self) -> bool:
        """Does the system do without it when it cannot be mounted?"""
        return "nofail" in self.options.split(",")

    @property
    def bind(self) -> bool:
        return "bind" in self.options.split(",")

    def to_line(self) -> str:
        return "{0} {1} {2} {3},{4} 0 0".format(
            _escape(self.source), _escape(self.target), self.fstype, _escape(self.options), MARK
        )

    def to_text(self) -> str:
        return "{0} ({1} {2})".format(self.source, self.fstype, self.options)


def parse(fstab: str) -> list:
    """Our mounts in the text of an fstab, in order."""
    return [mount for mount in map(_parse_line, _lines(fstab)) if mount]


def foreign_targets(fstab: str) -> list:
    """The mount points of the lines that are not ours."""
    lines = (_fields(line) for line in _lines(fstab) if not _parse_line(line))
    return [posixpath.normpath(unescape(fields[1])) for fields in lines if len(fields) >= 2]


def render(fstab: str, desired: list) -> str:
    """The fstab with our lines as desired: kept in place where they stay, new ones last, everything else untouched."""
    wanted = {mount.target: mount for mount in desired}
    lines = []
    for line in _lines(fstab):
        mount = _parse_line(line)
        if mount is None:
            lines.append(line)
        elif mount.target in wanted:
            lines.append(wanted.pop(mount.target).to_line())
    lines += [mount.to_line() for mount in desired if mount.target in wanted]
    return "".join(line + "\n" for line in lines)


def plan(desired: list, fstab: str, mounted: dict) -> Plan:
    """What differs from the desired mounts.

    :param mounted: target -> what is mounted there now (a Mount that equals the desired one when it is the same thing),
        for the targets that have a mount.
    :raises MultiverseError: when a line that is not ours uses one of our mount points.
    """
    taken = sorted(set(foreign_targets(fstab)) & {mount.target for mount in desired})
    if taken:
        raise MultiverseError(
            "/etc/fstab: the mount point {0} has a line that is not ours; remove that line or choose "
            "another link name".format(taken[0])
        )
    current = {}
    for mount in parse(fstab):
        current.setdefault(mount.target, []).append(mount)
    changes = []
    for mount in desired:
        before = current.pop(mount.target, [])
        if before != [mount]:
            changes.append(_change(mount.target, "fstab", before[0] if before else None, mount))
        elif (mount.bind or not mount.nofail or mount.target in mounted) and mounted.get(mount.target) != mount:
            # A share that may be missing (nofail) and is missing is as declared.
            changes.append(_change(mount.target, "mounted", mounted.get(mount.target), mount))
    for target in sorted(current):
        changes.append(_change(target, "fstab", current[target][0], None))
    return Plan(changes)


def _change(target, field, before, after):
    return Change(
        "mount", target, field, before.to_text() if before else None, after.to_text() if after else None, "live"
    )


def _parse_line(line):
    fields = _fields(line)
    if len(fields) < 4:
        return None
    options = unescape(fields[3]).split(",")
    if MARK not in options:
        return None
    return Mount(
        unescape(fields[0]), unescape(fields[1]), fields[2], ",".join(option for option in options if option != MARK)
    )


def _lines(fstab):
    """The lines of an fstab: only a line feed ends one, whatever else Python takes for the end of a line."""
    return fstab[:-1].split("\n") if fstab.endswith("\n") else fstab.split("\n") if fstab else []


def _fields(line):
    """The fields of a line; none for a comment."""
    return [field for field in re.split("[ \t]+", line) if field] if not line.lstrip(" \t").startswith("#") else []


def _escape(text):
    """A field of fstab(5): what would end it, or make its line a comment, in octal."""
    return re.sub(r"[ \t\n\\]|^#", lambda found: "\\{0:03o}".format(ord(found.group())), text)


def unescape(text):
    """The text of a field of fstab(5) or mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)
