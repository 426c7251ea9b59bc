# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which script to run in a router next, and what its runs came to. Pure: histories in, decisions and texts out.

Each script is first run with ``--check``, which only looks; it is run for real when it would change something, when its
inputs are others than at its last run, or when that run failed.
"""

import hashlib

#: In this order; packages before what configures them.
SCRIPTS = ("packages", "provision")
#: What a script reads, besides the image it runs in: files and folders of the portal.
INPUTS = {
    "packages": ("lib.sh", "packages.sh", "packages", "keys"),
    "provision": ("lib.sh", "provision.sh", "nics", "fstab", "services", "base-files"),
}
CHECK = ["--check"]


def inputs_digest(image: str, files: dict) -> str:
    """The inputs of one script as 16 hex digits.

    :param image: hash of the router's image.
    :param files: path -> content (bytes) of what the script reads in the portal.
    """
    digest = hashlib.sha256(image.encode("ascii"))
    for path in sorted(files):
        digest.update("\0{0}\0{1}\0".format(path, len(files[path])).encode("utf-8", "surrogateescape"))
        digest.update(files[path])
    return digest.hexdigest()[:16]


def is_current(runs: list, script: str, inputs: str) -> bool:
    """Did the last real run of a script succeed, with these inputs?

    :param runs: runs of one router as routerd lists them, newest first.
    """
    for run in runs:
        if run["script"] == script and run["arguments"] != CHECK and run["state"] != "running":
            return bool(run["ok"]) and run["inputs"] == inputs
    return False


def changes(run: dict) -> list:
    """What a run changed, or with --check would change: [{kind, name, action}], bounded and of plain texts only."""
    return [
        {key: _plain(entry.get(key, ""), 200) for key in ("kind", "name", "action")}
        for entry in _entries(run, "changed")[:500]
    ]


def finding(run: dict) -> bool:
    """Does a run with --check say that the script has something to do (or could not even look)?"""
    return bool(changes(run)) or not run["ok"]


def failure(router: str, run: dict) -> str:
    """A failed run in words: router, script, line, and the last lines of output."""
    where = "router {0}: {1}.sh".format(router, run["script"])
    entries = _entries(run, "failed")
    if not entries:
        said = _plain(run.get("error") or "exit code {0}".format(run.get("exit_code")), 500)
        return "{0}: {1}\n{2}".format(where, said, _tail(run.get("stderr") or run.get("stdout"))).rstrip()
    lines = []
    for entry in entries[:10]:
        line = " line {0}".format(entry["line"]) if type(entry.get("line")) is int and 0 < entry["line"] < 1e6 else ""
        step = _plain(entry.get("step", ""), 100)
        step = ", " + step if step and step != run["script"] + ".sh" else ""
        lines.append("{0}{1}{2}: {3}".format(where, line, step, _plain(entry.get("message", ""), 500)))
        lines.append(_tail(str(entry.get("output", ""))))
    return "\n".join(line for line in lines if line)


def _entries(run, key):
    """The dicts of a list in the result of a run. The guest wrote it: it may be anything."""
    result = run.get("result")
    found = result.get(key) if isinstance(result, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _plain(value, longest):
    """A text of the guest's, bounded and without what a terminal obeys."""
    return "".join(character for character in str(value)[:longest] if character.isprintable())


def _tail(text, lines=20):
    kept = [_plain(line, 300) for line in (text or "").splitlines()[-lines:]]
    return "\n".join("  " + line for line in kept)


def diff(progress: dict) -> list:
    """What the scripts changed (or would), as Ansible's --diff takes it: one text per router that has changes."""
    return [
        {
            "before_header": "router " + name,
            "after_header": "router " + name,
            "before": "",
            "after": "".join("{kind} {name}: {action}\n".format(**change) for change in entry["changes"]),
        }
        for name, entry in sorted(progress.items())
        if entry["changes"]
    ]
