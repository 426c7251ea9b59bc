"""What a lab has started: its processes, each known by id *and* start time, and its settings."""

import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

from . import cgroup
from .model import Lab
from .run import read_json, write_json


def parse_start_time(stat: str) -> Optional[int]:
    """Start time (clock ticks since boot) from the text of /proc/PID/stat; None for a zombie.

    Source: proc(5), fields 3 and 22. The name in field 2 may hold blanks and brackets: count from the last one.
    """
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def start_time(pid: int) -> Optional[int]:
    """Start time of a running process, None when there is none with this id."""
    try:
        return parse_start_time(Path("/proc/%d/stat" % pid).read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _record(lab: Lab) -> Dict[str, Any]:
    return read_json(lab.state / "processes.json", {})


def running(lab: Lab, title: str) -> Optional[int]:
    """Id of a recorded process if that very process still runs, else None."""
    entry = _record(lab).get(title)
    if not entry or entry["boot"] != _boot() or entry["started"] is None:
        return None
    return int(entry["pid"]) if start_time(entry["pid"]) == entry["started"] else None


def titles(lab: Lab) -> List[str]:
    """Names of all processes ever recorded for a lab."""
    return sorted(_record(lab))


def start(lab: Lab, title: str, part: str, argv: List[str], log: Path) -> int:
    """Start a background process in a part's cgroup, record it, and return its id.

    The child enters the cgroup before it runs the program: if we die before we record it, `down` finds it there.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(str(log), "ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: cgroup.enter(lab, part),
        )
    record = _record(lab)
    record[title] = {"pid": process.pid, "started": start_time(process.pid), "boot": _boot(), "argv": argv}
    write_json(lab.state / "processes.json", record)
    return process.pid


def settings(lab: Lab) -> Dict[str, Any]:
    """What `up` was asked for: suite, uplink_only, rootfs; empty before the first `up`."""
    return read_json(lab.state / "settings.json", {})


def save_settings(lab: Lab, values: Dict[str, Any]) -> None:
    """Remember what `up` was asked for."""
    write_json(lab.state / "settings.json", values)
