"""Programs in a guest: polling, deadlines, and the shell wrapper that bounds output, run here for real."""

import base64
import json
import subprocess

import pytest
from multiverse import programs
from multiverse.problems import AgentRefused, AgentUnreachable, BadReply


class Clock:
    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


class Script:
    """A channel that gives prepared replies to guest-exec-status, and notes what was started."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.started = []

    def __call__(self, text):
        request = json.loads(text)
        if request["execute"] == "guest-exec":
            self.started.append([request["arguments"]["path"]] + request["arguments"]["arg"])
            return '{"return": {"pid": 7}}'
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return json.dumps({"return": reply})


RUNNING = {"exited": False}
DONE = {"exited": True, "exitcode": 0, "out-data": base64.b64encode(b"hello").decode()}
KILLED = {"exited": True, "signal": 9, "out-data": base64.b64encode(b"half").decode()}


def wait(channel, timeout=10, **options):
    clock = Clock()
    return programs.wait(channel, 7, timeout, clock=clock, sleep=clock.sleep, **options), clock


def test_backs_off_while_it_runs():
    outcome, clock = wait(Script(*([RUNNING] * 12 + [DONE])), timeout=60)
    assert outcome == programs.Outcome(0, None, b"hello", b"", False, False)
    assert clock.pauses[0] == programs.FIRST_PAUSE and max(clock.pauses) == programs.LONGEST_PAUSE


def test_a_silent_agent_is_asked_again():
    outcome, _clock = wait(Script(RUNNING, AgentUnreachable("x"), AgentUnreachable("x"), DONE))
    assert outcome.stdout == b"hello"


def test_a_forgotten_process_is_an_error_at_once():
    with pytest.raises(AgentRefused):
        wait(Script(RUNNING, AgentRefused("PID 7 not found")))


def test_deadline_kills_the_whole_session():
    replies = [RUNNING] * 4 + [KILLED]
    channel = Script(*replies)
    outcome, clock = wait(channel, timeout=0.3)
    assert outcome == programs.Outcome(None, 9, b"half", b"", False, True)
    assert channel.started == [["/bin/kill", "-KILL", "--", "-7", "7"]]
    assert clock.now < 0.3 + programs.LAST_WORDS


@pytest.mark.parametrize("reply", [RUNNING, AgentUnreachable("x")], ids=["does not die", "wedged"])
def test_deadline_holds_for_a_guest_that_never_answers(reply):
    outcome, clock = wait(Script(reply), timeout=5)
    assert outcome.timed_out and outcome.stdout == b""
    assert clock.now == pytest.approx(5 + programs.LAST_WORDS)


def test_an_end_without_a_reason_is_refused():
    with pytest.raises(BadReply):
        wait(Script({"exited": True}))


def test_output_is_cut_whatever_the_guest_sends():
    data = base64.b64encode(b"x" * 50).decode()
    outcome, _clock = wait(Script({"exited": True, "exitcode": 0, "out-data": data, "err-data": data}), limit=10)
    assert (outcome.stdout, outcome.stderr, outcome.truncated) == (b"x" * 10, b"x" * 10, True)


def test_environment_keeps_a_path():
    seen = []

    def channel(text):
        seen.append(json.loads(text)["arguments"])
        return '{"return": {"pid": 7}}'

    programs.start(channel, ["env"], env={"A": "1"})
    programs.start(channel, ["env"], env={"PATH": "/x"})
    programs.start(channel, ["env"])
    assert seen[0]["env"] == ["A=1", "PATH=" + programs.PATH]
    assert seen[1]["env"] == ["PATH=/x"]
    assert "env" not in seen[2]


@pytest.mark.parametrize("text", ["\xff", "caf\u00e9"])
def test_files_of_a_guest_are_ascii(text):
    with pytest.raises(BadReply):
        programs.read_files(Script(dict(DONE, **{"out-data": base64.b64encode(text.encode()).decode()})), ["/x"])


WRAPPED = [
    (["echo", "a b", "c'\"$x;`id`"], 0, b"a b c'\"$x;`id`\n", b""),
    (["sh", "-c", "echo out; echo err >&2; exit 7"], 7, b"out\n", b"err\n"),
    (["cat"], 0, b"input\0\xff", b""),
    (["sh", "-c", "kill -KILL $$"], 137, b"", None),
    (["/nonexistent"], 127, b"", None),
    (["sh", "-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3"], 3, b"\0" * 101, b"\0" * 101),
    (["sh", "-c", "exec >&- 2>&-; exit 4"], 4, b"", b""),
]


@pytest.mark.parametrize("shell", [["sh"], ["bash", "--posix"]], ids=lambda words: words[0])
@pytest.mark.parametrize("argv, code, out, err", WRAPPED, ids=[" ".join(case[0])[:30] for case in WRAPPED])
def test_wrapper(shell, argv, code, out, err):
    """Exit code and both outputs pass through; what is over the limit is dropped and kills nobody."""
    command = shell + ["-c", programs.BOUNDED, "routerd", "101"] + argv
    result = subprocess.run(command, input=b"input\0\xff", capture_output=True, timeout=30)
    assert result.returncode == code
    assert result.stdout == out
    assert err is None or result.stderr == err
