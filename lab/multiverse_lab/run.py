"""Run programs, and write files so that a reader never sees half of one."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

from .errors import LabError

Done = subprocess.CompletedProcess  # with text in stdout and stderr


def run(argv: List[str], check: bool = True, stdin: Optional[str] = None, **options: Any) -> Done:
    """Run a program and return its result with text output.

    Raises LabError, with the last lines the program wrote, when it fails and `check` is set, or when it is missing.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, **options)
    except FileNotFoundError:
        raise LabError("%s is not installed; run `lab/lab up` once, it installs what the lab needs" % argv[0]) from None
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise LabError("`%s` failed (%d): %s" % (shlex.join(argv), done.returncode, " / ".join(said)))
    return done


def ip(*words: str, check: bool = True) -> Done:
    """Run iproute2's `ip` with these words."""
    return run(["ip", *words], check=check)


def ip_json(*words: str) -> List[Dict[str, Any]]:
    """Run `ip -json` and return what it lists; an empty list when it fails or prints nothing."""
    done = run(["ip", "-json", *words], check=False)
    if done.returncode != 0 or not done.stdout.strip():
        return []
    # iproute2 prints an empty object for every link a filter has left out
    return [item for item in json.loads(done.stdout) if item]


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file through a temporary one in the same folder, so it is there completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(".%s.%d" % (path.name, os.getpid()))
    descriptor = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, mode)
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    os.replace(str(temporary), str(path))


def discard(path: Path) -> None:
    """Remove a folder and all in it. It gets another name first: half of it must never look like all of it."""
    old = path.with_name(".old-" + path.name)
    shutil.rmtree(str(old), ignore_errors=True)
    if path.is_dir():
        os.replace(str(path), str(old))
        shutil.rmtree(str(old), ignore_errors=True)


def read_json(path: Path, default: Any) -> Any:
    """Return the JSON a file holds, or `default` when the file is missing or was damaged."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return default


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n")
