"""Ports of a bridge, on a sysfs of temporary files."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import bridge_ports
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError


@pytest.fixture
def sys_net(tmp_path, monkeypatch):
    """Bridge galaxy0 with ports tap0 and its own galaxy0-nic; vnet1 without a bridge."""
    for device in ("galaxy0/brif/tap0", "galaxy0/brif/galaxy0-nic", "tap0", "vnet1", "star0/brif"):
        (tmp_path / device).mkdir(parents=True, exist_ok=True)
    (tmp_path / "tap0" / "master").symlink_to("../galaxy0")
    monkeypatch.setattr(bridge_ports, "SYS_NET", str(tmp_path))
    return tmp_path


@pytest.fixture
def commands(monkeypatch):
    run = []
    monkeypatch.setattr(bridge_ports, "ip", lambda *arguments: run.append(" ".join(arguments)))
    return run


def test_the_ports_are_listed_without_the_one_of_libvirt(sys_net):
    assert bridge_ports.ports("galaxy0") == ["tap0"]
    assert bridge_ports.ports("star0") == []
    assert bridge_ports.ports("missing0") == []


def test_the_bridge_of_a_device(sys_net):
    assert bridge_ports.master("tap0") == "galaxy0"
    assert bridge_ports.master("vnet1") is None
    assert bridge_ports.master("missing0") is None


def test_only_what_exists_and_is_elsewhere_moves(sys_net, commands):
    moved = bridge_ports.replug([("tap0", "galaxy0"), ("vnet1", "galaxy0"), ("missing0", "galaxy0"), ("tap0", "star0")])
    assert moved == [("vnet1", "galaxy0"), ("tap0", "star0")]
    assert commands == ["link set dev vnet1 master galaxy0 up", "link set dev tap0 master star0 up"]


def test_one_failure_does_not_keep_the_others_out(sys_net, monkeypatch):
    tried = []

    def ip(*arguments):
        tried.append(arguments[3])
        if arguments[3] == "vnet1":
            raise MultiverseError("ip link set dev vnet1 failed: busy.")

    monkeypatch.setattr(bridge_ports, "ip", ip)
    with pytest.raises(MultiverseError, match="cut off: ip link set dev vnet1 failed: busy"):
        bridge_ports.replug([("vnet1", "galaxy0"), ("tap0", "star0")])
    assert tried == ["vnet1", "tap0"]


def test_a_failing_command_says_what_it_said(tmp_path, monkeypatch):
    (tmp_path / "ip").write_text("#!/bin/sh\necho 'Cannot find device' >&2\nexit 1\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(MultiverseError, match="^ip link show dev x failed: Cannot find device.$"):
        bridge_ports.ip("link", "show", "dev", "x")
