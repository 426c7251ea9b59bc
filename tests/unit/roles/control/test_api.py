"""The API through a real socket: answers, errors, hostile and wedged guests."""

import base64
import json
import logging
import os
import socket
import stat
import threading
import time

import pytest
from fake_libvirt import FakeGuest, FakeLibvirt
from multiverse import api, bodies
from multiverse.problems import BadReply
from multiverse.routerd_client import Client, RouterdProblem
from service import running, settings


@pytest.fixture
def libvirt():
    return FakeLibvirt(galaxy=FakeGuest(), star=FakeGuest(number=2), halted=FakeGuest("shutoff"))


@pytest.fixture
def client(tmp_path, libvirt):
    (tmp_path / "portal").mkdir()
    with running(settings(tmp_path, "galaxy", "star", "halted", "absent"), libvirt) as made:
        yield made
        for guest in libvirt.guests.values():
            guest.release.set()


def problem(call, *arguments, **options):
    with pytest.raises(RouterdProblem) as caught:
        call(*arguments, **options)
    return caught.value.status, caught.value.code


def raw(client, request):
    """The answer (bytes) to a request written by hand."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(client.path)
        connection.sendall(request)
        data = b""
        while True:
            chunk = connection.recv(65536)
            if not chunk:
                return data
            data += chunk


def test_status(client):
    router = client.wait_agent("galaxy", 10)
    assert router["uptime"] > 0 and len(router["boot_id"]) == 36
    answer = client.status()
    assert answer["libvirt"] == {"uri": "qemu:///fake", "connected": True, "error": None}
    seen = {entry["name"]: (entry["state"], entry["agent"], entry["domain_id"]) for entry in answer["routers"]}
    assert seen["galaxy"] == ("running", "ok", 1)
    assert seen["halted"] == ("shutoff", None, None)
    assert seen["absent"] == ("absent", None, None)
    assert [entry["name"] for entry in answer["routers"]] == ["galaxy", "star", "halted", "absent"]
    assert answer["routers"][0]["last_runs"] == {"packages": None, "provision": None}
    assert answer["routers"][0]["provisioned"] is None


def test_an_agent_of_an_earlier_boot_counts_for_nothing(client, libvirt):
    client.wait_agent("galaxy", 10)
    libvirt.guests["galaxy"].override = lambda request: libvirt.guests["galaxy"].release.wait(5) and None
    libvirt.guests["galaxy"].domain = libvirt.guests["galaxy"].domain._replace(id=7)
    time.sleep(0.6)
    entry = client.status()["routers"][0]
    assert (entry["domain_id"], entry["agent"], entry["uptime"]) == (7, "unknown", None)


def test_libvirt_down_and_up_again(client, libvirt):
    client.wait_agent("galaxy", 10)
    libvirt.down = True
    time.sleep(0.6)
    answer = client.status()
    assert "refused" in answer["libvirt"]["error"]
    assert {entry["state"] for entry in answer["routers"]} == {"unknown"}
    assert problem(client.execute, "galaxy", ["true"]) == (503, "libvirt-unreachable")
    libvirt.down = False
    assert client.wait_agent("galaxy", 10)["state"] == "running"


def test_exec(client):
    answer = client.execute("galaxy", ["sh", "-c", "cat; echo err >&2; exit 3"], stdin="h\u00e4llo")
    assert (answer["stdout"], answer["stderr"], answer["exit_code"]) == ("h\u00e4llo", "err\n", 3)
    assert (answer["truncated"], answer["timed_out"], answer["signal"]) == (False, False, None)
    assert "stdout_b64" not in answer
    assert client.execute("galaxy", ["sh", "-c", "echo $A"], env={"A": "x y"})["stdout"] == "x y\n"


def test_exec_with_bytes(client):
    data = bytes(range(256))
    answer = client.execute("galaxy", ["cat"], stdin_b64=base64.b64encode(data).decode())
    assert base64.b64decode(answer["stdout_b64"]) == data
    assert "\ufffd" in answer["stdout"]


def test_exec_timeout(client):
    begun = time.monotonic()
    answer = client.execute("galaxy", ["sh", "-c", "echo begun; sleep 60"], timeout=0.3)
    assert (answer["timed_out"], answer["exit_code"]) == (True, None)
    assert time.monotonic() - begun < 10


def test_exec_output_is_bounded(client):
    answer = client.execute("galaxy", ["head", "-c", "3000000", "/dev/zero"])
    assert (len(answer["stdout"]), answer["truncated"], answer["exit_code"]) == (1024 * 1024, True, 0)


DOWN = [
    ("halted", (409, "router-down")),
    ("absent", (409, "router-down")),
    ("nebula", (404, "unknown-router")),
    ("../etc", (404, "not-found")),
    ("\u00e4\x1b[2J", (404, "unknown-router")),
]


@pytest.mark.parametrize("name, expected", DOWN)
def test_exec_elsewhere(client, name, expected):
    assert problem(client.execute, name, ["true"]) == expected


BODIES = [
    {}, {"argv": []}, {"argv": "true"}, {"argv": [""]}, {"argv": [1]}, {"argv": ["a\0b"]}, {"argv": ["a"] * 300},
    {"argv": ["x" * 200000]}, {"argv": ["a"], "timeout": 0}, {"argv": ["a"], "timeout": True},
    {"argv": ["a"], "timeout": 1e9}, {"argv": ["a"], "timeout": "5"}, {"argv": ["a"], "env": []},
    {"argv": ["a"], "env": {"A=": "x"}}, {"argv": ["a"], "env": {"A": 1}},
    {"argv": ["a"], "stdin": 5}, {"argv": ["a"], "stdin_b64": "%%"}, {"argv": ["a"], "stdin_b64": 5},
    {"argv": ["a"], "stdin": "x", "stdin_b64": "eA=="}, {"argv": ["a"], "shell": True}, [], "x", None,
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=[json.dumps(body)[:40] for body in BODIES])
def test_bad_exec(client, body):
    assert problem(client.request, "POST", "/v1/routers/galaxy/exec", body or {}) == (400, "bad-request")


RUN_BODIES = [
    {}, {"script": "rm"}, {"script": ["packages"]}, {"script": "../packages"},
    {"script": "packages", "arguments": "x"}, {"script": "packages", "inputs": 5},
    {"script": "packages", "inputs": "x" * 300}, {"script": "packages", "deadline": 4000},
]  # fmt: skip


@pytest.mark.parametrize("body", RUN_BODIES, ids=[json.dumps(body)[:40] for body in RUN_BODIES])
def test_bad_run(client, body):
    assert problem(client.request, "POST", "/v1/routers/galaxy/runs", body) == (400, "bad-request")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100000, b'{"argv": ["a"], "argv": ["b"]}'])
def test_bodies_that_are_not_json(client, text):
    request = b"POST /v1/routers/galaxy/exec HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(text)
    head, _empty, body = raw(client, request + text).partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0] and b"application/problem+json" in head
    assert json.loads(body.decode())["code"] == "bad-request"


def test_too_large(client):
    big = base64.b64encode(b"x" * (bodies.MAX_STDIN + 1)).decode()
    assert problem(client.execute, "galaxy", ["cat"], stdin_b64=big) == (413, "too-large")
    head = b"POST /v1/routers/galaxy/exec HTTP/1.0\r\nContent-Length: 99999999\r\n\r\n"
    assert b" 413 " in raw(client, head + b"x").splitlines()[0]


OTHER = [
    ("GET", "/", 404, "not-found"),
    ("GET", "/v1/routers", 404, "not-found"),
    ("PUT", "/v1/status", 405, "method-not-allowed"),
]


@pytest.mark.parametrize("method, path, status, code", OTHER)
def test_other_paths_are_problems_too(client, method, path, status, code):
    assert problem(client.request, method, path) == (status, code)


def test_a_bug_is_a_problem_without_details(client, monkeypatch, caplog):
    monkeypatch.setattr(client.controller, "status", lambda: 1 // 0)
    with pytest.raises(RouterdProblem) as caught:
        client.status()
    assert (caught.value.status, caught.value.code) == (500, "internal")
    assert "ZeroDivision" not in str(caught.value) and "ZeroDivision" in caplog.text


def test_runs(client, tmp_path):
    (tmp_path / "portal" / "provision.sh").write_text('echo \'{"changed": ["/etc/hostname"], "failed": []}\'')
    begun = client.start_run("galaxy", "provision", inputs="h1")
    done = client.wait_run("galaxy", begun["id"], 20)
    assert (done["ok"], done["result"]["changed"]) == (True, ["/etc/hostname"])
    assert done["peer"] == {"uid": os.getuid(), "gid": os.getgid(), "pid": os.getpid()}
    assert [entry["id"] for entry in client.runs("galaxy")] == [begun["id"]]
    assert "stdout" not in client.runs("galaxy")[0]
    entry = client.router("galaxy")
    assert entry["provisioned"] is True
    assert entry["last_runs"]["provision"]["inputs"] == "h1"
    assert problem(client.run, "galaxy", "nonsense") == (404, "unknown-run")
    assert problem(client.run, "star", begun["id"]) == (404, "unknown-run")


def test_one_run_per_router(client, tmp_path):
    (tmp_path / "portal" / "packages.sh").write_text("sleep 30")
    first = client.start_run("galaxy", "packages", deadline=1)
    assert problem(client.start_run, "galaxy", "packages") == (409, "run-in-progress")
    other = client.start_run("star", "packages", deadline=1)
    assert client.router("galaxy")["running"]["id"] == first["id"]
    assert client.wait_run("galaxy", first["id"], 20)["timed_out"]
    assert client.wait_run("star", other["id"], 20)["timed_out"]


def test_a_wedged_guest_delays_nobody(client, libvirt):
    client.wait_agent("star", 10)
    libvirt.guests["galaxy"].wedge()
    waiting = [threading.Thread(target=problem, args=(client.execute, "galaxy", ["true"], 1)) for _number in range(2)]
    for thread in waiting:
        thread.start()
    time.sleep(0.3)
    # Further requests to it are refused at once; they would only take threads from the others.
    for _number in range(20):
        assert problem(client.execute, "galaxy", ["true"]) == (503, "busy")
    begun = time.monotonic()
    for _number in range(20):
        client.status()
    assert client.execute("star", ["echo", "x"])["stdout"] == "x\n"
    client.router("galaxy")
    assert time.monotonic() - begun < 3
    libvirt.guests["galaxy"].release.set()
    for thread in waiting:
        thread.join(20)


def test_hostile_replies(client, libvirt):
    client.wait_agent("star", 10)
    for reply in ("[" * 100000, "{}", "x" * 5000000, BadReply("no"), '{"return": {"pid": "1; rm"}}'):
        libvirt.guests["galaxy"].override = lambda request, reply=reply: reply
        assert problem(client.execute, "galaxy", ["true"]) == (502, "bad-reply")
    assert client.wait_agent("star", 10)
    libvirt.guests["galaxy"].override = None
    assert client.wait_agent("galaxy", 10)


def test_socket_mode(client):
    assert stat.S_IMODE(os.stat(client.path).st_mode) == 0o660


def test_audit_names_the_program_and_nothing_secret(client, caplog):
    with caplog.at_level(logging.INFO, "routerd.audit"):
        client.execute("galaxy", ["printf", "secret-argument"], env={"SECRET": "secret-env"}, stdin="secret-stdin")
        assert client.execute("galaxy", ["x\n\x1b[2J" + "y" * 500])["exit_code"] in (126, 127)
    lines = [record.getMessage() for record in caplog.records if record.name == "routerd.audit"]
    assert lines[0] == 'exec router="galaxy" peer=uid={0},gid={1},pid={2} program="printf"'.format(
        os.getuid(), os.getgid(), os.getpid()
    )
    assert "\n" not in lines[1] and "\x1b" not in lines[1] and len(lines[1]) < 400


def test_a_socket_with_fewer_verbs(tmp_path, libvirt):
    with running(settings(tmp_path, "galaxy"), libvirt, frozenset(["status"])) as client:
        assert client.status()["version"] == 1
        assert problem(client.router, "galaxy") == (403, "forbidden")
        assert problem(client.execute, "galaxy", ["true"]) == (403, "forbidden")


def test_history_outlives_the_service(tmp_path, libvirt):
    (tmp_path / "portal").mkdir()
    (tmp_path / "portal" / "provision.sh").write_text("sleep 5; exit 1")
    with running(settings(tmp_path, "galaxy"), libvirt) as client:
        begun = client.start_run("galaxy", "provision", inputs="h2", deadline=1)
    with running(settings(tmp_path, "galaxy"), libvirt) as client:
        found = client.run("galaxy", begun["id"])
        assert (found["state"], found["inputs"]) == ("interrupted", "h2")
        assert client.router("galaxy")["last_runs"]["provision"]["state"] == "interrupted"


def test_routes_have_unique_names():
    assert len({route.name for route in api.ROUTES}) == len(api.ROUTES)
    assert all(hasattr(api.Verbs, route.name) for route in api.ROUTES)


def test_no_service(tmp_path):
    from multiverse.routerd_client import RouterdUnreachable

    with pytest.raises(RouterdUnreachable, match="multiverse-routerd.service"):
        Client(str(tmp_path / "s")).status()
