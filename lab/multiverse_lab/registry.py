"""Which index belongs to which lab, for all checkouts on this machine, and one lock per lab.

Kept under /run: an index is worth nothing after a reboot. The record is rewritten under a lock; a lock goes
away with the process that holds it, so a killed one blocks nobody.
"""

import contextlib
import fcntl
import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from .errors import LabError
from .model import MAX_INDEX, PREFIX, RUNTIME, Lab, check_name
from .run import ip_json, read_json, write_json

OURS = re.compile(PREFIX + r"(\d+)-(?:u|i|m|x|c\d+)\Z")  # namespaces and interfaces, see model.Lab
CHECKOUT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a file. Raises LabError when `wait` is off and somebody else holds it.

    Its holder may remove the file: who then gets the lock on the removed one tries again with the new one.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(str(path), "w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise LabError("another `lab/lab up` or `down` works on this lab; wait for it to end") from None
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                yield
                return


def _record() -> Dict[str, Dict[str, str]]:
    return read_json(RUNTIME / "registry.json", {})


def _lab(index: str, entry: Dict[str, str]) -> Lab:
    return Lab(entry["name"], int(index), Path(entry["checkout"]), Path(entry["cache"]))


def labs() -> List[Lab]:
    """All labs of this checkout that were started and not taken down."""
    return [_lab(index, entry) for index, entry in _record().items() if entry["checkout"] == str(CHECKOUT)]


def find(name: str) -> Optional[Lab]:
    """The lab of this checkout with this name, or None when it was not started."""
    check_name(name)
    return next((lab for lab in labs() if lab.name == name), None)


def get(name: str) -> Lab:
    """The lab of this checkout with this name. Raises LabError when it was not started."""
    lab = find(name)
    if lab is None:
        option = "" if name == "lab" else " --name %s" % name
        raise LabError("lab %r is not up; start it with `lab/lab up%s`" % (name, option))
    return lab


def indexes_in_use() -> Dict[int, List[str]]:
    """Indexes of namespaces and interfaces that look like a lab's, registered or not, with their names."""
    names = [item["name"] for item in ip_json("netns", "list")] + [item["ifname"] for item in ip_json("link")]
    used: Dict[int, List[str]] = {}
    for name in names:
        match = OURS.match(name)
        if match:
            used.setdefault(int(match.group(1)), []).append(name)
    return used


def free_index(taken: List[int]) -> int:
    """The smallest index that is not taken. Raises LabError when there is none."""
    for index in range(1, MAX_INDEX + 1):
        if index not in taken:
            return index
    raise LabError("all %d labs of this machine are in use; take some down with `lab/lab down`" % MAX_INDEX)


def register(name: str, cache: Path) -> Lab:
    """Return the lab with this name, giving it an index if it has none."""
    with locked(RUNTIME / "registry.lock"):
        known = find(name)
        if known is not None:
            return known
        record = _record()
        index = free_index([int(key) for key in record] + list(indexes_in_use()))
        record[str(index)] = {"name": name, "checkout": str(CHECKOUT), "cache": str(cache)}
        write_json(RUNTIME / "registry.json", record)
    return Lab(name, index, CHECKOUT, cache)


def forget(lab: Lab) -> None:
    """Give a lab's index back."""
    with locked(RUNTIME / "registry.lock"):
        record = _record()
        if record.pop(str(lab.index), None) is not None:
            write_json(RUNTIME / "registry.json", record)


def all_indexes() -> List[int]:
    """Indexes registered by any checkout."""
    return [int(index) for index in _record()]
