"""Drifted by hand in every way the declared fields can drift; one converge repairs exactly that, as it predicted."""

import pytest
from lab_host import changes

PROVISION, NETWORKS, POOLS, ROUTERS = (
    "Provision the routers",
    "Create the networks",
    "Create the pools",
    "Converge the routers",
)

RANGE = """
echo "<range start='10.0.0.2' end='10.0.0.254'/>" > /tmp/range.xml
virsh -q net-update universe0 delete ip-dhcp-range /tmp/range.xml --live --config
echo "<range start='10.0.0.100' end='10.0.0.200'/>" > /tmp/range.xml
virsh -q net-update universe0 add ip-dhcp-range /tmp/range.xml --live --config
"""
#: What a person does to it -> what the run has to report.
INSIDE = {
    "a rule flushed": "nft flush chain inet multiverse forward",
    "a service stopped": "rc-service dnsmasq stop",
    "a base-file edited": "echo '# edited' >> /etc/network/interfaces",
}


@pytest.fixture(scope="module")
def drifted(lab):
    """Drift everything at once; the preview, the repair and the run after it, with what ran before and after."""
    before = lab.domain_ids()
    for script in INSIDE.values():
        lab.router("galaxy", script)
    lab.virsh("destroy star")
    lab.sh(RANGE)
    lab.virsh("pool-destroy portal-images")
    lab.sh("virsh -q net-destroy star0")
    lab.sh(
        "ip link set $(virsh -q -c 'qemu:///session?socket=/run/multiverse/libvirt/libvirt-sock' domiflist galaxy "
        "| awk '/universe0/ {print $1}') nomaster"
    )
    lab.sh("ip link delete galaxy0")
    lab.sh(
        "sed -i 's/^server=.*/server=192.0.2.1/' "
        "/var/lib/multiverse/network-controller/star.portal.multiverse/base-files/etc/dnsmasq.conf"
    )
    preview = lab.converge("--check", "--diff")
    assert lab.domain_ids() == {"galaxy": before["galaxy"]}  # the preview started nothing
    return {"before": before, "preview": preview, "repair": lab.converge(), "again": lab.converge()}


def test_exactly_what_drifted_is_repaired(drifted):
    repair = drifted["repair"]
    assert changes(repair, POOLS) == {("portal-images", "active")}
    assert changes(repair, NETWORKS) == {("universe0", "dhcp"), ("galaxy0", "bridge.exists"), ("star0", "active")}
    assert changes(repair, ROUTERS) == {
        ("galaxy", "port.00:00:10:00:00:02"),
        ("galaxy", "port.00:00:10:01:01:01"),
        ("star", "state"),
    }
    done = repair["changed"][PROVISION]["progress"]["galaxy"]["changes"]
    assert {(change["kind"], change["name"]) for change in done} == {
        ("file", "/etc/network/interfaces"),
        ("service", "multiverse-firewall"),
        ("service", "networking"),
        ("service", "dnsmasq"),
    }
    assert set(repair["changed"]) == {POOLS, NETWORKS, ROUTERS, PROVISION, "Render the portals"}


def test_the_preview_said_so(drifted):
    preview, repair = drifted["preview"], drifted["repair"]
    assert set(preview["changed"]) == set(repair["changed"])
    for task in (POOLS, NETWORKS, ROUTERS):
        assert changes(preview, task) == changes(repair, task)
    said, done = (run["changed"][PROVISION]["progress"]["galaxy"]["changes"] for run in (preview, repair))
    assert {(change["kind"], change["name"]) for change in said} == {
        (change["kind"], change["name"]) for change in done
    }


def test_nothing_is_left_to_do_in_at_most_20_tasks(drifted):
    assert drifted["again"]["changed"] == {}
    assert drifted["again"]["tasks"] <= 20


def test_the_router_that_ran_was_not_restarted(lab, drifted):
    assert lab.domain_ids()["galaxy"] == drifted["before"]["galaxy"]
    assert "star" in lab.domain_ids()


def test_every_card_is_plugged_in_again(lab, drifted):
    bridges = {line.split(" master ")[1].split()[0] for line in lab.sh("bridge link show | grep tap").splitlines()}
    assert bridges == {"universe0", "galaxy0", "star0"}


def test_clients_are_on_line_again(lab, drifted):
    for network in ("galaxy0", "star0"):
        assert lab.fetch(network)["client"] == "198.19.100.2"
