"""The process: its start, its end, and what it tells systemd."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT
from multiverse import server
from multiverse.routerd_client import Client

START = """
    import sys, types
    package = types.ModuleType("multiverse")
    package.__path__ = {path!r}
    sys.modules["multiverse"] = package
    sys.modules["libvirt"] = libvirt = types.ModuleType("libvirt")
    sys.modules["libvirt_qemu"] = types.ModuleType("libvirt_qemu")
    class libvirtError(Exception):
        def get_error_code(self):
            return 38
    def refuse(uri):
        raise libvirtError("nobody there")
    libvirt.libvirtError, libvirt.open = libvirtError, refuse
    libvirt.registerErrorHandler = lambda handler, context: None
    from multiverse import server
    sys.exit(server.main(["--config", {config!r}]))
"""


@pytest.fixture
def service(tmp_path):
    """routerd as a process of its own, without libvirt; systemd's notify socket beside it."""
    configuration = {
        "connect_uri": "qemu:///nowhere", "socket": str(tmp_path / "s"), "state_dir": str(tmp_path),
        "routers": [{"name": "galaxy", "stage": 0, "portal": {"mount": "/mnt/x"}}],
    }  # fmt: skip
    (tmp_path / "routerd.json").write_text(json.dumps(configuration))
    path = [str(ROOT / "roles/control/files/multiverse"), str(ROOT / "plugins/module_utils")]
    code = textwrap.dedent(START).format(path=path, config=str(tmp_path / "routerd.json"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(20)
        systemd.bind(str(tmp_path / "notify"))
        environment = dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify"))
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
        process.ready = systemd.recv(100)
        process.socket = str(tmp_path / "s")
        yield process
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()


def test_life(service):
    assert service.ready == b"READY=1"
    assert stat.S_IMODE(os.stat(service.socket).st_mode) == 0o660
    answer = Client(service.socket).status()
    assert answer["routers"][0]["state"] == "unknown"
    assert "nobody there" in answer["libvirt"]["error"] and "multiverse-libvirtd.service" in answer["libvirt"]["error"]
    service.send_signal(signal.SIGTERM)
    assert service.wait(20) == 0
    journal = service.stderr.read().decode()
    assert "serving 1 routers" in journal and "Traceback" not in journal


def test_a_socket_left_by_a_killed_service_is_replaced(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    before = os.umask(0o022)
    os.umask(before)
    served = server.listen(server.Endpoint(path, 0o660, lambda environ, start: [], 1), {})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    # The mask is the process's, not this socket's.
    now = os.umask(before)
    assert now == before
    served.task_dispatcher.shutdown(timeout=0.1)
    served.close()


def test_configuration_that_is_wrong_ends_the_start(tmp_path, caplog):
    assert server.main(["--config", str(tmp_path / "none.json")]) == 2
    assert "none.json" in caplog.text


def test_peer_of_a_connection():
    one, other = socket.socketpair()
    with one, other:
        assert server.peer(one) == "{0}:{1}:{2}".format(os.getpid(), os.getuid(), os.getgid())
