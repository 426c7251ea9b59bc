"""What the reference topology looks like once converged, from inside universe and from a client's place."""

import pytest

testinfra_hosts = ["ansible://universe"]

POOLS = ["base-images", "os-images", "portal-images", "network-controller"]
CLOSED = ["galaxy0", "star0"]


@pytest.mark.parametrize("pool", POOLS)
def test_pool_is_active_and_starts_by_itself(lab, pool):
    assert f"{pool} active yes" in " ".join(lab.virsh("pool-list --all").split())


@pytest.mark.parametrize(
    "folder, owner, mode",
    [
        ("base-images", "root", 0o750),
        ("os-images", "root", 0o750),
        ("portal-images", "multiverse", 0o700),
        ("network-controller", "root", 0o750),
    ],
)
def test_pool_folder_lets_in_nobody_else(host, folder, owner, mode):
    found = host.file(f"/var/lib/multiverse/{folder}")
    assert (found.user, found.group, found.mode) == (owner, "multiverse", mode)


@pytest.mark.parametrize(
    "network, mac",
    [
        ("universe0", "00:00:10:00:00:01"),
        ("galaxy0", "00:00:10:01:01:fe"),
        ("star0", "00:00:10:02:02:fe"),
    ],
)
def test_bridge_has_its_mac_and_is_up(host, network, mac):
    assert host.file(f"/sys/class/net/{network}/address").content_string.strip() == mac
    assert int(host.file(f"/sys/class/net/{network}/flags").content_string, 16) & 1


def test_universe_has_an_address_on_universe0(host):
    assert host.interface("universe0").addresses == ["10.0.0.1"]


@pytest.mark.parametrize("network", CLOSED)
def test_universe_has_no_address_on_a_closed_network(host, network):
    assert host.check_output(f"ip -o address show dev {network}") == ""
    assert host.check_output("ip -o address show dev universe0") != ""  # the same question does find addresses


@pytest.mark.parametrize("network", CLOSED)
def test_a_client_cannot_reach_universe_on_a_closed_network(lab, network):
    """Neither by ARP for any of universe's addresses nor by IPv6; on universe0 the same probe gets its answer."""
    for address in ("10.0.0.1", "198.19.100.2"):
        probe = lab.client(network, "busybox", "arping", "-f", "-c", "2", "-w", "3", "-I", "eth0", address, check=False)
        assert "Received 0 re" in probe, probe
    seen = lab.client(
        "universe0", "busybox", "arping", "-f", "-c", "2", "-w", "3", "-I", "eth0", "10.0.0.1", check=False
    )
    assert "Received 1 re" in seen, seen


def test_dhcp_of_universe0_keeps_the_address_of_galaxy(host):
    assert "00:00:10:00:00:02,10.0.0.2" in host.file("/var/lib/libvirt/dnsmasq/universe0.hostsfile").content_string


def test_routers_run_provisioned(lab):
    status = [line.split()[:5] for line in lab.sh("routerctl status").splitlines()]
    assert ["galaxy", "galaxy", "running", "ok", "yes"] in status
    assert ["star", "star", "running", "ok", "yes"] in status


@pytest.mark.parametrize("router", ["galaxy", "star"])
def test_portal_is_mounted_read_only_with_its_fstab_line(lab, router):
    line = (
        f"{router}-portal /mnt/{router}-portal 9p "
        "trans=virtio,version=9p2000.L,posixacl,ro,cache=none,nosuid,nodev,nofail 0 0"
    )
    assert line in lab.router(router, "cat /etc/fstab").splitlines()
    assert f"{router}-portal /mnt/{router}-portal 9p ro" in lab.router(router, "cat /proc/mounts")
    assert "Read-only" in lab.router(router, f"touch /mnt/{router}-portal/x 2>&1", check=False)


def test_no_router_has_graphics_ssh_or_a_mac_of_qemu(lab):
    for router in ("galaxy", "star"):
        xml = lab.virsh(f"dumpxml {router}")
        assert "<graphics" not in xml and "<video" not in xml and "52:54:00" not in xml
        assert lab.router(router, "netstat -ltn | grep -c :22", check=False) == "0"


def test_a_client_of_star_gets_its_lease_from_star(lab):
    assert lab.lease("star0").startswith("star0 client 1: 10.2.2.")
    leases = lab.router("star", "cat /var/lib/misc/dnsmasq.leases")
    assert "10.2.2." in leases


def test_a_client_of_star_fetches_a_page_through_star_galaxy_and_universe(lab):
    lab.router(
        "galaxy",
        "nft add table inet count && nft add chain inet count f '{ type filter hook forward priority 0; }'"
        " && nft add rule inet count f ip saddr 10.1.1.2 counter",
    )
    try:
        assert lab.fetch("star0")["client"] == "198.19.100.2"
        assert "counter packets 0 " not in lab.router("galaxy", "nft list table inet count")
    finally:
        lab.router("galaxy", "nft delete table inet count")


def test_a_client_reaches_no_private_network_through_its_router(lab):
    """Universe and the networks around are no internet; the control is the page, which the same client does get."""
    for address in ("10.0.0.1", "10.0.0.2", "10.1.1.1"):
        probe = lab.client("star0", "ping", "-c", "1", "-W", "2", address, check=False)
        assert "100% packet loss" in probe, probe
    assert lab.fetch("star0")["host"] == "www.internet.test"


def test_an_unprivileged_user_can_neither_control_routers_nor_use_the_bridge_helper(host):
    denied = host.run("su -s /bin/sh nobody -c 'routerctl status'")
    assert denied.rc != 0
    assert host.run("su -s /bin/sh nobody -c '/usr/lib/qemu/qemu-bridge-helper --br=galaxy0 --fd=0'").rc != 0
    assert host.run("routerctl status").rc == 0
