"""routerctl against a running service."""

import base64
import io
import json

import pytest
from fake_libvirt import FakeGuest, FakeLibvirt
from multiverse import cli
from service import running, settings


class Stream(io.TextIOWrapper):
    """Standard output: a terminal or not."""

    def __init__(self, terminal=False):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    @property
    def data(self):
        return self.buffer.getvalue()


class Command:
    def __init__(self, path):
        self.path = path

    def __call__(self, *words, terminal=False):
        self.stdout, self.stderr = Stream(terminal), Stream(terminal)
        code = cli.main(["--socket", self.path] + list(words), cli.Output(self.stdout, self.stderr))
        self.out, self.err = self.stdout.data, self.stderr.data
        return code


@pytest.fixture
def routerctl(tmp_path):
    (tmp_path / "portal").mkdir()
    libvirt = FakeLibvirt(galaxy=FakeGuest(), halted=FakeGuest("shutoff"))
    with running(settings(tmp_path, "galaxy", "halted"), libvirt) as client:
        client.wait_agent("galaxy", 10)
        made = Command(client.path)
        made.portal = tmp_path / "portal"
        yield made


def test_status(routerctl):
    assert routerctl("status") == 0
    lines = routerctl.out.decode().splitlines()
    assert lines[0].split() == ["ROUTER", "KIND", "STATE", "AGENT", "PROVISIONED", "UPTIME"]
    assert lines[1].split()[:5] == ["galaxy", "galaxy", "running", "ok", "-"]
    assert lines[2].split() == ["halted", "galaxy", "shutoff", "-", "-", "-"]
    assert routerctl("status", "--json") == 0
    assert json.loads(routerctl.out.decode())["routers"][0]["name"] == "galaxy"


def test_exec_passes_everything_through(routerctl):
    assert routerctl("exec", "galaxy", "--", "sh", "-c", "printf 'a\\377\\033[2J'; echo --json >&2; exit 9", "--") == 9
    assert (routerctl.out, routerctl.err) == (b"a\xff\x1b[2J", b"--json\n")
    assert routerctl("exec", "galaxy", "true") == 0
    assert routerctl("exec", "galaxy", "-e", "A=b=c", "--", "sh", "-c", "echo $A") == 0
    assert routerctl.out == b"b=c\n"


def test_exec_spares_the_terminal(routerctl):
    assert routerctl("exec", "galaxy", "--", "printf", "a\\377\\033[2J\\n", terminal=True) == 0
    assert routerctl.out == b"a\\xff\\x1b[2J\n"


def test_exec_json(routerctl):
    assert routerctl("exec", "--json", "galaxy", "--", "printf", "\\377") == 0
    assert base64.b64decode(json.loads(routerctl.out.decode())["stdout_b64"]) == b"\xff"


def test_exec_stdin(routerctl, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b"in\0put")

    monkeypatch.setattr(cli.sys, "stdin", Stdin)
    assert routerctl("exec", "-i", "galaxy", "--", "cat") == 0
    assert routerctl.out == b"in\0put"


CODES = [
    (("exec", "galaxy", "-t", "0.3", "--", "sleep", "60"), cli.TIMED_OUT, b"killed"),
    (("exec", "nebula", "--", "true"), cli.UNKNOWN, b"there are: galaxy, halted"),
    (("exec", "halted", "--", "true"), cli.UNAVAILABLE, b"start it first"),
    (("exec", "galaxy"), cli.USAGE, b"no command"),
    (("exec", "galaxy", "-t", "0", "--", "true"), cli.USAGE, b"timeout"),
    (("exec", "galaxy", "--", "sh", "-c", "exit 256"), 0, b""),
    (("exec", "galaxy", "--", "sh", "-c", "kill -KILL $$"), 137, b""),
    (("exec", "galaxy", "--", "/nonexistent"), 127, b"not found"),
    (("run", "nebula", "packages"), cli.UNKNOWN, b"no router"),
    (("run", "galaxy", "provision"), cli.FAILED, b"failed (exit code"),
    (("runs", "galaxy", "nonsense"), cli.UNKNOWN, b"no run"),
]


@pytest.mark.parametrize("words, code, message", CODES, ids=[" ".join(case[0]) for case in CODES])
def test_exit_codes(routerctl, words, code, message):
    assert routerctl(*words) == code
    assert message in routerctl.err


USAGE = [
    (),
    ("frobnicate",),
    ("run", "galaxy", "other"),
    ("status", "--", "x"),
    ("exec", "galaxy", "-e", "A", "--", "true"),
]


@pytest.mark.parametrize("words", USAGE, ids=[" ".join(words) for words in USAGE])
def test_usage(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(list(words))
    assert caught.value.code == cli.USAGE
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["exec", "--help"]])
def test_help_tells_the_exit_codes(words, capsys):
    with pytest.raises(SystemExit):
        cli.main(words)
    assert "routerd could not be reached" in capsys.readouterr().out


def test_unreachable(tmp_path):
    command = Command(str(tmp_path / "none"))
    assert command("status") == cli.UNREACHABLE
    assert b"is multiverse-routerd.service running?" in command.err


def test_run_and_runs(routerctl):
    (routerctl.portal / "provision.sh").write_text(
        'echo "to $1"; echo \'{"changed": [], "failed": [{"step": "nft", "message": "\\u001b[2Jbad"}]}\'; exit 1'
    )
    assert routerctl("run", "galaxy", "provision", "--inputs", "h1", "--", "--check", terminal=True) == cli.FAILED
    assert routerctl.out.startswith(b"to --check\n") and b"nft" in routerctl.err
    assert b"\x1b" not in routerctl.out + routerctl.err
    (routerctl.portal / "packages.sh").write_text("true")
    assert routerctl("run", "galaxy", "packages", "--json") == 0
    identifier = json.loads(routerctl.out.decode())["id"]
    assert routerctl("runs", "galaxy") == 0
    lines = routerctl.out.decode().splitlines()
    assert lines[1].split()[:4] == [identifier, "packages", "done", "yes"]
    assert lines[2].split()[1:4] == ["provision", "done", "no"] and lines[2].endswith("h1")
    assert routerctl("runs", "galaxy", identifier) == 0
    assert json.loads(routerctl.out.decode())["script"] == "packages"
    assert routerctl("runs", "--json", "galaxy") == 0 and len(json.loads(routerctl.out.decode())["runs"]) == 2
