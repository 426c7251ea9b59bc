"""Runs of a router's scripts: one at a time, in the background, with a history that survives restarts."""

import json
import logging
import os
import threading
import time
import uuid

from . import agent, programs
from .problems import BadReply, Problem, RunInProgress, UnknownRun

log = logging.getLogger("routerd")

SCRIPTS = ("packages", "provision")
#: With this argument a script changes nothing.
CHECK = "--check"
#: Finished runs kept for each router; the latest of each script always stays, real and --check.
KEPT = 20
TAIL = 16 * 1024
MAX_RESULT = 256 * 1024
DEFAULT_DEADLINE = 300
MAX_DEADLINE = 3600

RUNNING, DONE, INTERRUPTED = "running", "done", "interrupted"
#: What a list of runs shows of each.
SUMMARY = ("id", "router", "script", "arguments", "inputs", "state", "ok", "started", "finished", "exit_code", "error")


def stamp(seconds=None):
    """Now, or *seconds* since the epoch, as UTC in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def tail(data, limit=TAIL):
    """The end of *data* (bytes) as text, and whether something was cut off."""
    return data[-limit:].decode("utf-8", "replace"), len(data) > limit


def result_of(stdout):
    """The JSON object in the last line of *stdout* (bytes), or None."""
    lines = stdout.rstrip().rsplit(b"\n", 1)
    line = lines[-1].strip()
    if not line.startswith(b"{") or len(line) > MAX_RESULT:
        return None
    try:
        value = agent.parse(line.decode("utf-8", "replace"), MAX_RESULT)
    except BadReply:
        return None
    return value if isinstance(value, dict) else None


def new_run(router, script, arguments, inputs, deadline, peer):
    """A run that begins now, as the dict that is stored and answered; every key is always there."""
    return {
        "id": uuid.uuid4().hex[:16], "router": router, "script": script, "arguments": arguments, "inputs": inputs,
        "deadline": deadline, "peer": peer, "state": RUNNING, "ok": None, "started": stamp(), "finished": None,
        "exit_code": None, "signal": None, "timed_out": False, "error": None, "result": None,
        "stdout": "", "stderr": "", "truncated": False,
    }  # fmt: skip


def finished(run, outcome):
    """*run* with the outcome of its program."""
    stdout, cut_out = tail(outcome.stdout)
    stderr, cut_err = tail(outcome.stderr)
    result = None if outcome.timed_out else result_of(outcome.stdout)
    error = None
    if outcome.timed_out:
        error = "not done within {0} s, killed".format(run["deadline"])
    ok = outcome.exit_code == 0 and not (result or {}).get("failed")
    return dict(
        run, state=DONE, ok=ok, finished=stamp(), exit_code=outcome.exit_code, signal=outcome.signal,
        timed_out=outcome.timed_out, error=error, result=result, stdout=stdout, stderr=stderr,
        truncated=outcome.truncated or cut_out or cut_err,
    )  # fmt: skip


def failed(run, message, state=DONE):
    """*run* after something kept us from learning how it ended."""
    return dict(run, state=state, ok=False, finished=stamp(), error=message)


def summary(run):
    """The short form of *run* (or None)."""
    return None if run is None else dict((key, run[key]) for key in SUMMARY)


def kind(run):
    """(script, whether it only looked)"""
    return run["script"], CHECK in run["arguments"]


def kept(runs, limit=KEPT):
    """*runs* (newest first) without what is too old to keep."""
    latest = set()
    result = []
    for number, run in enumerate(runs):
        if number < limit or kind(run) not in latest:
            result.append(run)
        if run["state"] != RUNNING:
            latest.add(kind(run))
    return result


def write_atomically(path, text):
    """Replaces the file *path*: it has the old content or the new one at any time.

    :raises OSError: as the system gave it
    """
    temporary = "{0}.new".format(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class History:
    """The runs of one router, newest first, kept in one file."""

    def __init__(self, path):
        self.path = path
        self._lock = threading.Lock()
        self._runs = self._load()

    def _load(self):
        try:
            with open(self.path, encoding="utf-8") as stream:
                runs = json.load(stream)["runs"]
            template = new_run("", "", [], None, 0, None)
            runs = [dict(template, **run) for run in runs]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s is not usable (%s); its runs are forgotten", self.path, error)
            return []
        message = "routerd was stopped during the run"
        return [failed(run, message, INTERRUPTED) if run["state"] == RUNNING else run for run in runs]

    def _save(self):
        write_atomically(self.path, json.dumps({"version": 1, "runs": self._runs}, sort_keys=True))

    def put(self, run):
        """Adds *run*, or replaces the one with its id.

        :raises OSError: it is remembered, but could not be written
        """
        with self._lock:
            known = [number for number, other in enumerate(self._runs) if other["id"] == run["id"]]
            if known:
                self._runs[known[0]] = run
            else:
                self._runs.insert(0, run)
            self._runs = kept(self._runs)
            self._save()

    def forget(self, identifier):
        with self._lock:
            self._runs = [run for run in self._runs if run["id"] != identifier]
            self._save()

    def all(self):
        with self._lock:
            return list(self._runs)

    def get(self, identifier):
        """:raises UnknownRun: no run of this router has that id"""
        for run in self.all():
            if run["id"] == identifier:
                return run
        raise UnknownRun("no run {0!r} here; it may be older than the last {1}".format(identifier[:64], KEPT))

    def last(self, script):
        """The latest run of *script* that is over and did not only look, or None."""
        for run in self.all():
            if kind(run) == (script, False) and run["state"] != RUNNING:
                return run
        return None


class Runner:
    """Runs the scripts of one router."""

    def __init__(self, guest, mount, history):
        self._guest = guest
        self._mount = mount
        self.history = history
        self._one = threading.Lock()

    def start(self, script, arguments, inputs, deadline, peer):
        """Starts *script* in the guest and returns its run; the rest happens in the background.

        :raises RunInProgress: there is one already
        :raises Problem: the agent could not start it; then no run is recorded
        """
        if not self._one.acquire(blocking=False):
            raise RunInProgress("router {0} is running a script; wait until it is done".format(self._guest.name))
        run = new_run(self._guest.name, script, arguments, inputs, deadline, peer)
        try:
            # Recorded first: a run that routerd does not survive has to show up afterwards.
            self.history.put(run)
            path = "{0}/{1}.sh".format(self._mount, script)
            pid = programs.start(self._guest.command, ["/bin/sh", path] + arguments)
            threading.Thread(target=self._finish, args=(run, pid), daemon=True).start()
        except Exception as error:
            self._discard(run)
            self._one.release()
            if isinstance(error, OSError):
                raise Problem("the run could not be recorded: {0}".format(error)) from error
            raise
        return run

    def _discard(self, run):
        try:
            self.history.forget(run["id"])
        except OSError as error:
            log.error("the history of router %s could not be written: %s", run["router"], error)

    def _finish(self, run, pid):
        try:
            try:
                run = finished(run, programs.wait(self._guest.command, pid, run["deadline"]))
            except Problem as problem:
                run = failed(run, str(problem))
            except Exception as error:
                log.exception("run %s of router %s", run["id"], run["router"])
                run = failed(run, "routerd failed: {0}".format(type(error).__name__))
            try:
                self.history.put(run)
            except OSError as error:
                log.error("the history of router %s could not be written: %s", run["router"], error)
            log.info("run %s of router %s: %s.sh ended, ok=%s", run["id"], run["router"], run["script"], run["ok"])
        finally:
            self._one.release()
