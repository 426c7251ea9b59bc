"""Runs one program in a guest to its end, through any channel that takes a request and returns a reply."""

import time
from collections import namedtuple

from . import agent
from .problems import AgentUnreachable, BadReply, Busy, Problem

#: Bytes kept of each of stdout and stderr. Both, in base64, have to fit into one reply (agent.MAX_REPLY).
MAX_OUTPUT = 1024 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
#: Seconds that a killed program is given to be gone.
LAST_WORDS = 3.0

# Output is bounded inside the guest: a reply of more than 10 MiB makes libvirt give up that guest's agent until the
# guest restarts (QEMU_AGENT_MAX_RESPONSE), one of more than 4 MiB is lost. What is over the limit is read and dropped,
# so that the program is not killed by a closed pipe. The program is a positional parameter, never text of the script.
BOUNDED = """
limit=$1; shift
keep() { head -c "$limit"; exec cat >/dev/null; }
exec 3>&1 4>&2
code=$({ { { "$@" 3>&- 4>&- 5>&- 2>&1 1>&6 6>&-; echo "$?" >&5; } | keep >&4 3>&- 5>&- 6>&-; } 6>&1 |
    keep >&3 4>&- 5>&-; } 5>&1)
exit "${code:-125}"
"""

Outcome = namedtuple("Outcome", "exit_code signal stdout stderr truncated timed_out")


def start(channel, argv, stdin=None, env=None, limit=MAX_OUTPUT):
    """Starts *argv* (list of str) in a session of its own, so that all of it can be killed; returns its pid.

    :raises Problem: the agent did not answer, or refused
    """
    if env is not None:
        env = dict({"PATH": PATH}, **env)
    arguments = ["/bin/sh", "-c", BOUNDED, "routerd", str(limit + 1)] + list(argv)
    return agent.exec_reply(channel(agent.exec_request("/usr/bin/setsid", arguments, stdin, env)))


def kill(channel, pid):
    """Kills the session of *pid*, best effort."""
    # Without "--" procps takes a negative number for one more option and still exits with 0.
    try:
        channel(agent.exec_request("/bin/kill", ["-KILL", "--", "-{0}".format(pid), str(pid)]))
    except Problem:
        pass


def _outcome(status, limit, timed_out=False):
    truncated = status.truncated or len(status.stdout) > limit or len(status.stderr) > limit
    return Outcome(
        None if timed_out else status.exit_code,
        status.signal,
        status.stdout[:limit],
        status.stderr[:limit],
        truncated,
        timed_out,
    )


def _poll(channel, pid, deadline, clock, sleep):
    """The final status, or None at the deadline. An agent that is away for a moment is asked again."""
    pause = FIRST_PAUSE
    while True:
        try:
            status = agent.status_reply(channel(agent.status_request(pid)))
            if status.exited:
                return status
        except (AgentUnreachable, Busy):
            pass
        left = deadline - clock()
        if left <= 0:
            return None
        sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def wait(channel, pid, timeout, limit=MAX_OUTPUT, clock=time.monotonic, sleep=time.sleep):
    """Waits *timeout* seconds for *pid* to end, kills it then; returns its :class:`Outcome`.

    :raises Problem: the guest went down, forgot the process or answers nonsense
    """
    status = _poll(channel, pid, clock() + timeout, clock, sleep)
    if status is not None:
        if status.exit_code is None and status.signal is None:
            raise BadReply("the program ended with neither an exit code nor a signal")
        return _outcome(status, limit)
    kill(channel, pid)
    try:
        status = _poll(channel, pid, clock() + LAST_WORDS, clock, sleep)
    except Problem:
        status = None
    if status is None:
        return Outcome(None, None, b"", b"", False, True)
    return _outcome(status, limit, timed_out=True)


def read_files(channel, paths, limit=4096, timeout=5):
    """The text of small files of a guest, one after the other; it is still the guest's word.

    :raises Problem: the agent did not answer, or the output is not ASCII
    """
    outcome = wait(channel, start(channel, ["/bin/cat"] + list(paths), limit=limit), timeout, limit)
    try:
        return outcome.stdout.decode("ascii")
    except UnicodeDecodeError:
        raise BadReply("{0} are not ASCII".format(", ".join(paths))) from None
