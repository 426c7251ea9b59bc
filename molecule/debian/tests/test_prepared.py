"""Packages, storage, network and portals, alike on every Debian."""

import pytest

testinfra_hosts = ["ansible://universe"]

SESSION = "qemu:///session?socket=/run/multiverse/libvirt/libvirt-sock"


def test_what_is_needed_is_installed_and_what_is_not_is_gone(host):
    for package in ("libvirt-daemon-system", "qemu-utils", "ovmf", "vim", "nftables"):
        assert host.package(package).is_installed, package
    for package in ("nano", "firefox-esr", "virt-manager"):
        assert not host.package(package).is_installed, package


def test_apt_installs_neither_recommends_nor_suggests(host):
    settings = host.check_output("apt-config dump")
    assert 'APT::Install-Recommends "false";' in settings or 'APT::Install-Recommends "0";' in settings
    assert 'APT::Install-Suggests "false";' in settings or 'APT::Install-Suggests "0";' in settings


def test_the_user_cannot_log_in(host):
    user = host.user("multiverse")
    assert user.exists and user.shell == "/usr/sbin/nologin"


def test_the_session_libvirt_runs_as_that_user(host):
    assert host.service("multiverse-libvirtd").is_running and host.service("multiverse-libvirtd").is_enabled
    pid = host.check_output("systemctl show --property MainPID --value multiverse-libvirtd")
    assert host.check_output("stat --format %%U /proc/%s", pid) == "multiverse"


@pytest.mark.parametrize("pool", ["base-images", "os-images", "portal-images", "network-controller"])
def test_pool_is_active_and_starts_by_itself(host, pool):
    info = host.check_output("virsh -q -c %s pool-info %s", SESSION, pool).split()
    assert info[info.index("State:") + 1] == "running" and info[info.index("Autostart:") + 1] == "yes"


@pytest.mark.parametrize("network", ["universe0", "galaxy0", "star0"])
def test_network_is_active_and_starts_by_itself(host, network):
    info = host.check_output("virsh -q net-info %s", network).split()
    assert info[info.index("Active:") + 1] == "yes" and info[info.index("Autostart:") + 1] == "yes"


@pytest.mark.parametrize("network", ["galaxy0", "star0"])
def test_universe_has_no_address_on_a_closed_network(host, network):
    assert host.check_output("ip -o address show dev %s", network) == ""
    assert host.check_output("ip -o address show dev universe0") != ""


def test_the_firewall_is_loaded_and_comes_back_at_boot(host):
    assert 'iifname "galaxy0" drop' in host.check_output("nft list table inet multiverse")
    assert host.service("multiverse-firewall").is_enabled


def test_a_client_of_universe0_gets_a_lease_and_a_page(lab):
    assert lab.fetch("universe0")["client"] == "198.19.100.2"


def test_only_our_user_plugs_into_bridges(host):
    helper = host.file("/usr/lib/qemu/qemu-bridge-helper")
    assert (helper.user, helper.group, helper.mode) == ("root", "multiverse", 0o4750)
    assert "include /etc/qemu/multiverse.conf" in host.file("/etc/qemu/bridge.conf").content_string
    assert host.file("/etc/qemu/multiverse.conf").contains("^allow galaxy0$")


@pytest.mark.parametrize("router", ["galaxy", "star"])
def test_portal_is_rendered_for_its_router_and_only_readable(host, router):
    folder = f"/var/lib/multiverse/network-controller/{router}.portal.multiverse"
    assert host.file(f"{folder}/base-files/etc/hostname").content_string == f"{router}\n"
    assert host.file(f"{folder}/provision.sh").mode == 0o755
    assert host.file(folder).user == "root"
    assert host.run(f"su -s /bin/sh multiverse -c 'touch {folder}/x'").rc != 0
    assert host.run(f"su -s /bin/sh multiverse -c 'cat {folder}/packages'").rc == 0
