"""Notices that the code or the configuration on disk is no longer what this process runs.

Ansible restarts routerd when it changes them. A run of Ansible that is killed in between would leave the old code
running for good, because the next run finds nothing to change.
"""

import os

from .observer import Loop

#: Seconds between two looks. Files have to be the same in two of them: no restart in the middle of an installation.
PAUSE = 30
#: EX_TEMPFAIL: systemd's Restart=on-failure starts us again.
EXIT_CODE = 75


def signature(paths):
    """What tells the files *paths*, and those in folders among them, apart from other versions."""
    found = {}
    for path in paths:
        try:
            names = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else [path]
            for name in names:
                status = os.stat(name)
                found[name] = (status.st_mtime_ns, status.st_size)
        except OSError:
            # In the middle of a replacement: the next look sees the result.
            found[path] = None
    return found


class Renewal(Loop):
    """Calls *renew* once the files differ from those at the start, are at rest, and *idle* agrees."""

    def __init__(self, paths, idle, renew, pause=PAUSE):
        super().__init__("renewal", pause)
        self._paths = paths
        self._idle = idle
        self._renew = renew
        self._first = self._last = signature(paths)

    def turn(self):
        now = signature(self._paths)
        if now != self._first and now == self._last and self._idle():
            self._renew()
        self._last = now
