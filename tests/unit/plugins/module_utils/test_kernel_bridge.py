"""The kernel's view of a bridge, on sysfs and procfs of temporary files."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import kernel_bridge
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.networks import Bridge

ADDRESSES = (
    "5: galaxy0    inet 10.1.1.254/24 brd 10.1.1.255 scope global galaxy0\\       valid_lft forever\n"
    "5: galaxy0    inet6 fe80::200:10ff:fe01:1fe/64 scope link \\       valid_lft forever\n"
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A bridge galaxy0 that is up and has an address; the files of /sys and /proc as {path: content}."""
    files = {
        "sys/galaxy0/flags": "0x1003\n",
        "sys/galaxy0/address": "00:00:10:01:01:FE\n",
        "sys/galaxy0/bridge/stp_state": "0\n",
        "sys/eth0/flags": "0x1003\n",
        "proc/ipv6/conf/galaxy0/disable_ipv6": "0\n",
        "proc/ipv4/conf/galaxy0/arp_ignore": "0\n",
        "proc/ipv4/conf/all/arp_ignore": "0\n",
    }
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    monkeypatch.setattr(kernel_bridge, "SYS_NET", str(tmp_path / "sys"))
    monkeypatch.setattr(kernel_bridge, "PROC_NET", str(tmp_path / "proc"))
    monkeypatch.setattr(kernel_bridge, "DNSMASQ_PID", str(tmp_path / "%s.pid"))
    monkeypatch.setattr(kernel_bridge, "ip", lambda *arguments: ADDRESSES)
    return tmp_path


def test_all_of_a_bridge_is_seen(machine):
    assert kernel_bridge.read("galaxy0") == Bridge(
        up=True,
        mac="00:00:10:01:01:fe",
        addresses=["10.1.1.254/24", "fe80::200:10ff:fe01:1fe/64"],
        disable_ipv6=False,
        answers_arp=True,
        dnsmasq=False,
    )


def test_no_device_is_none_and_another_kind_of_device_an_error(machine):
    assert kernel_bridge.read("star0") is None
    with pytest.raises(MultiverseError, match="network eth0 cannot have the bridge eth0"):
        kernel_bridge.read("eth0")


def test_a_kernel_without_ipv6_has_it_disabled(machine):
    (machine / "proc/ipv6/conf/galaxy0/disable_ipv6").unlink()
    assert kernel_bridge.read("galaxy0").disable_ipv6


@pytest.mark.parametrize(
    "everywhere, here, answers",
    [(0, 0, True), (0, 8, False), (1, 0, False), (2, 0, False), (3, 0, True), (3, 8, False)],
)
def test_the_larger_arp_ignore_counts(machine, everywhere, here, answers):
    (machine / "proc/ipv4/conf/all/arp_ignore").write_text("%d\n" % everywhere)
    (machine / "proc/ipv4/conf/galaxy0/arp_ignore").write_text("%d\n" % here)
    assert kernel_bridge.read("galaxy0").answers_arp is answers


@pytest.mark.parametrize("pid", ["", "nonsense", "999999999", "1"])
def test_a_pid_file_alone_is_no_dnsmasq(machine, pid):
    (machine / "galaxy0.pid").write_text(pid)
    assert kernel_bridge.read("galaxy0").dnsmasq is False


def test_a_bridge_without_host_access_is_closed(machine, monkeypatch):
    run = []
    monkeypatch.setattr(kernel_bridge, "ip", lambda *arguments: run.append(" ".join(arguments)) or ADDRESSES)
    kernel_bridge.correct("galaxy0", {"addresses": [], "answers_arp": False})
    assert (machine / "proc/ipv6/conf/galaxy0/disable_ipv6").read_text() == "1"
    assert (machine / "proc/ipv4/conf/galaxy0/arp_ignore").read_text() == "8"
    assert run[1:] == [
        "address delete 10.1.1.254/24 dev galaxy0",
        "address delete fe80::200:10ff:fe01:1fe/64 dev galaxy0",
        "link set dev galaxy0 up",
    ]


def test_a_bridge_with_host_access_gets_its_address(machine, monkeypatch):
    run = []
    monkeypatch.setattr(kernel_bridge, "ip", lambda *arguments: run.append(" ".join(arguments)) or "")
    kernel_bridge.correct("galaxy0", {"addresses": ["10.1.1.254/24"]})
    assert run[1:] == ["address add 10.1.1.254/24 broadcast + dev galaxy0", "link set dev galaxy0 up"]
    assert (machine / "proc/ipv4/conf/galaxy0/arp_ignore").read_text() == "0\n"
