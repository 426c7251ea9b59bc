"""The client against servers that answer, misbehave or are not there."""

import contextlib
import json
import socket
import threading

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import routerd_client
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

Client = routerd_client.Client


@contextlib.contextmanager
def server(path, *answers):
    """Serves prepared answers (bytes), one a connection; yields the list of requests it got."""
    got = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(5)

        def serve():
            for answer in answers:
                with listener.accept()[0] as connection:
                    connection.settimeout(5)
                    data = connection.recv(65536)
                    head, _blank, body = data.partition(b"\r\n\r\n")
                    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                    while length and len(body) < int(length[0].split(b":")[1]):
                        body += connection.recv(65536)
                    got.append((head.decode().split("\r\n")[0], body.decode()))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield got
        thread.join(5)


def http(value, status="200 OK"):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


CALLS = [
    (lambda client: client.status(), "GET /v1/status", None),
    (lambda client: client.router("galaxy"), "GET /v1/routers/galaxy", None),
    (lambda client: client.router("../a b"), "GET /v1/routers/..%2Fa%20b", None),
    (lambda client: client.run("galaxy", "7f"), "GET /v1/routers/galaxy/runs/7f", None),
    (
        lambda client: client.execute("galaxy", ("ip", "a"), timeout=5, env={"A": "1"}, stdin="x"),
        "POST /v1/routers/galaxy/exec",
        {"argv": ["ip", "a"], "timeout": 5, "env": {"A": "1"}, "stdin": "x"},
    ),
    (
        lambda client: client.start_run("galaxy", "provision", ["--check"], "h1"),
        "POST /v1/routers/galaxy/runs",
        {"script": "provision", "arguments": ["--check"], "inputs": "h1", "deadline": 300},
    ),
]


@pytest.mark.parametrize("call, line, body", CALLS, ids=[case[1] for case in CALLS])
def test_requests(tmp_path, call, line, body):
    with server(tmp_path / "s", http({"a": 1})) as got:
        assert call(Client(str(tmp_path / "s"))) == {"a": 1}
    assert got[0][0] == line + " HTTP/1.1"
    assert (json.loads(got[0][1]) if got[0][1] else None) == body


PROBLEMS = [
    (http({"code": "busy", "detail": "try again"}, "503 Busy"), (503, "busy", "try again")),
    (http({"title": "Nope"}, "404 Not Found"), (404, "unknown", "Nope")),
    (http([], "500 Oops"), (500, "unknown", "status 500")),
]


@pytest.mark.parametrize("answer, expected", PROBLEMS)
def test_problems(tmp_path, answer, expected):
    with server(tmp_path / "s", answer), pytest.raises(routerd_client.RouterdProblem) as caught:
        Client(str(tmp_path / "s")).status()
    assert (caught.value.status, caught.value.code, str(caught.value)) == expected


BROKEN = [b"", b"SSH-2.0-x\r\n", http(b"<html>"), http(b"\xff"), http(b'{"a"', "503 x")]


@pytest.mark.parametrize("answer", BROKEN)
def test_no_usable_answer(tmp_path, answer):
    with server(tmp_path / "s", answer), pytest.raises(routerd_client.RouterdUnreachable, match="routerd"):
        Client(str(tmp_path / "s")).status()


def test_an_endless_answer_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(routerd_client, "MAX_ANSWER", 1000)
    with server(tmp_path / "s", http(b"[" * 5000)), pytest.raises(routerd_client.RouterdUnreachable, match="larger"):
        Client(str(tmp_path / "s")).status()


def test_no_socket_and_nobody_listening(tmp_path):
    client = Client(str(tmp_path / "s"))
    with pytest.raises(routerd_client.RouterdUnreachable, match="no such socket; is multiverse-routerd.service"):
        client.status()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with pytest.raises(routerd_client.RouterdUnreachable, match="nobody listens"):
        client.status()


def test_no_permission(monkeypatch, tmp_path):
    class Refused(routerd_client._UnixConnection):
        def connect(self):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(routerd_client, "_UnixConnection", Refused)
    with pytest.raises(routerd_client.RouterdUnreachable, match="member of group multiverse"):
        Client(str(tmp_path / "s")).status()


def test_silence(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(1)
        with pytest.raises(routerd_client.RouterdUnreachable, match="within 0.1 s"):
            Client(str(tmp_path / "s")).request("GET", "/v1/status", timeout=0.1)


class Prepared(Client):
    """A client whose answers are given, on a clock that only sleep() moves."""

    def __init__(self, *answers):
        super().__init__("/nowhere")
        self.answers = list(answers)
        self.now = 0.0

    def request(self, method, path, body=None, timeout=None):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def sleep(self, seconds):
        self.now += seconds

    def clock(self):
        return self.now


def test_wait_run():
    client = Prepared({"state": "running"}, {"state": "running"}, {"state": "done", "ok": True})
    assert client.wait_run("galaxy", "7f", 10, client.sleep, client.clock)["ok"]
    client = Prepared({"state": "running"})
    with pytest.raises(MultiverseError, match="run 7f of router galaxy is not over after 10 s"):
        client.wait_run("galaxy", "7f", 10, client.sleep, client.clock)
    assert 10 <= client.now < 12


def test_wait_agent():
    booting = {"agent": "unreachable", "state": "running", "agent_error": "not connected"}
    client = Prepared(booting, booting, {"agent": "ok"})
    assert client.wait_agent("galaxy", 10, client.sleep, client.clock) == {"agent": "ok"}
    client = Prepared(booting)
    with pytest.raises(MultiverseError, match="state running; not connected"):
        client.wait_agent("galaxy", 10, client.sleep, client.clock)
