"""The network model and its XML codec."""

import json
from xml.etree import ElementTree

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import networks
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.networks import (
    Bridge,
    Current,
    bridge_fields,
    from_declared,
    from_xml,
    plan,
    to_xml,
)
from hypothesis import assume, given
from hypothesis import strategies as st

FOREIGN = """
<network connections="1">
  <name>universe0</name>
  <uuid>8aca6563-c8e6-499d-b38b-70d245e259fc</uuid>
  <metadata><app:it xmlns:app="https://app" keep="yes"/></metadata>
  <forward mode="route"><nat><port start="1024" end="65535"/></nat><interface dev="old"/></forward>
  <bridge name="old" stp="on" delay="5" macTableManager="kernel"/>
  <domain name="lan" localOnly="yes"/>
  <dns enable="no"><host ip="10.0.0.9"><hostname>nine</hostname></host></dns>
  <ip family="ipv6" address="fd00::1" prefix="64"/>
  <ip address="10.0.0.1" netmask="255.255.255.0" localPtr="yes">
    <tftp root="/srv/tftp"/>
    <dhcp><range start="10.0.0.2" end="10.0.0.254"><lease expiry="1"/></range><bootp file="pxe"/></dhcp>
  </ip>
  <dnsmasq:options xmlns:dnsmasq="http://libvirt.org/schemas/network/dnsmasq/1.0">
    <dnsmasq:option value="log-queries"/>
  </dnsmasq:options>
</network>
"""
KEPT = [
    "uuid",
    "metadata/{https://app}it",
    "domain",
    "dns/host/hostname",
    "{http://libvirt.org/schemas/network/dnsmasq/1.0}options/*",
]


names = st.sampled_from(["universe0", "galaxy0", "star0"])


@st.composite
def declared_networks(draw, name=names):
    """Entries of the derived topology, each valid for libvirt."""
    hosts = draw(st.lists(st.integers(1, 254), min_size=3, max_size=6, unique=True))
    access = draw(st.booleans())
    forward = draw(st.sampled_from(["nat", "none"])) if access else "none"
    mac = "00:00:10:00:00:{0:02x}".format
    first, last = sorted(hosts[1:3])
    return {
        "name": draw(name),
        "subnet": "10.0.0.0/24",
        "address": "10.0.0.%d" % hosts[0],
        "prefix": draw(st.sampled_from([24, 20, 16])),
        "mac": mac(hosts[0]),
        "host_access": access,
        "forward": forward,
        "uplink": draw(st.sampled_from(["ens12", "eth0", None])) if forward == "nat" else None,
        "dhcp": {"first": "10.0.0.%d" % first, "last": "10.0.0.%d" % last} if access and draw(st.booleans()) else None,
        "reservations": [
            {"name": "router%d" % host, "mac": mac(host), "address": "10.0.0.%d" % host} for host in hosts[3:]
        ],
    }


models = declared_networks().map(from_declared)


def running(network, **changes):
    """The views of a network that is exactly as declared, but for the changes."""
    fields = dict(bridge_fields(network))
    bridge = Bridge(**dict({"answers_arp": True}, **fields))
    return Current(network, network, bridge, autostart=True, ours=True)._replace(**changes)


def test_a_missing_key_names_the_network_and_the_key():
    with pytest.raises(MultiverseError, match="network galaxy0 has no key 'host_access'"):
        from_declared({"name": "galaxy0"})


def test_without_host_access_there_is_no_address_and_nothing_that_needs_one():
    entry = {
        "name": "galaxy0",
        "mac": "00:00:10:01:01:FE",
        "address": "10.1.1.254",
        "prefix": 24,
        "host_access": False,
        "dhcp": None,
        "forward": "none",
        "uplink": None,
        "reservations": [{"name": "star", "mac": "00:00:10:01:01:02", "address": "10.1.1.2"}],
    }
    network = from_declared(entry)
    assert network.mac == "00:00:10:01:01:fe"
    assert (network.addresses, network.dns, network.dhcp, network.reservations) == ([], False, [], [])
    root = ElementTree.fromstring(to_xml(network))
    assert root.find("ip") is None and root.find("forward") is None
    assert root.find("dns").get("enable") == "no"


@given(models)
def test_the_codec_is_lossless(network):
    assert from_xml(to_xml(network)) == network
    assert networks.is_ours(to_xml(network))


@given(models, models)
def test_any_definition_turns_into_any_other(network, base):
    assert from_xml(to_xml(network, to_xml(base))) == network
    assert from_xml(to_xml(network, FOREIGN)) == network


@given(models)
def test_writing_again_changes_nothing(network):
    assert to_xml(network, to_xml(network)) == to_xml(network)


@given(models)
def test_what_we_do_not_declare_survives(network):
    before, after = ElementTree.fromstring(FOREIGN), ElementTree.fromstring(to_xml(network, FOREIGN))
    for path in KEPT:
        assert ElementTree.tostring(after.find(path)) == ElementTree.tostring(before.find(path))
    assert after.find("bridge").get("macTableManager") == "kernel"
    if network.addresses == ["10.0.0.1/24"]:
        assert after.find("ip/tftp") is not None and after.find("ip").get("localPtr") == "yes"


@given(models)
def test_models_are_json(network):
    assert json.loads(json.dumps(network.fields)) == network.fields


@pytest.mark.parametrize(
    "element, cidr",
    [
        ('<ip address="10.0.0.1" netmask="255.255.255.0"/>', "10.0.0.1/24"),
        ('<ip address="10.0.0.1" prefix="20"/>', "10.0.0.1/20"),
        ('<ip address="10.0.0.1"/>', "10.0.0.1/8"),
        ('<ip address="172.16.0.1"/>', "172.16.0.1/16"),
        ('<ip address="192.168.0.1"/>', "192.168.0.1/24"),
        ('<ip family="ipv6" address="fd00::1" prefix="48"/>', "fd00::1/48"),
        ('<ip family="ipv6" address="fd00::1"/>', "fd00::1/64"),
    ],
)
def test_every_way_to_write_an_address(element, cidr):
    assert from_xml("<network>%s</network>" % element).addresses == [cidr]


@pytest.mark.parametrize(
    "element, expected",
    [
        ("", ("none", None)),
        ("<forward/>", ("nat", None)),
        ('<forward mode="nat" dev="a"/>', ("nat", "a")),
        ('<forward mode="nat" dev="a"><interface dev="b"/></forward>', ("nat", "b")),
        ('<forward mode="open"/>', ("open", None)),
    ],
)
def test_every_way_to_write_a_forward(element, expected):
    network = from_xml("<network>%s</network>" % element)
    assert (network.forward, network.uplink) == expected


# --- plan -------------------------------------------------------------------------------------------------------------


@given(models)
def test_nothing_to_do_where_all_is_right(network):
    assert not plan(network, running(network))


@given(declared_networks(name=st.just("galaxy0")).map(from_declared), st.data())
def test_applying_every_change_of_a_plan_leads_to_the_desired_network(desired, data):
    others = declared_networks(name=st.just("galaxy0")).map(from_declared)
    persistent, live, kernel = data.draw(others), data.draw(others), data.draw(others)
    bridge = running(kernel).bridge._replace(up=data.draw(st.booleans()), disable_ipv6=data.draw(st.booleans()))
    current = Current(persistent, live, bridge, autostart=data.draw(st.booleans()), ours=True)
    for change in plan(desired, current):
        current = _with(current, change.field.split(".")[-1], change.after)
    assert not plan(desired, current)


def _with(current, field, value):
    """The views after a change; one change stands for all views that had the same drift."""
    if field == "autostart":
        return current._replace(autostart=value)
    views = {view: getattr(current, view) for view in ("persistent", "live", "bridge")}
    known = {view: seen._replace(**{field: value}) for view, seen in views.items() if field in seen._fields}
    return current._replace(**known)


@given(models, models)
def test_only_leases_and_the_kernel_are_repaired_live(desired, other):
    assume(desired.name == other.name)
    drifted = desired._replace(dhcp=other.dhcp, reservations=other.reservations)
    assert plan(desired, running(desired, persistent=drifted, live=drifted)).effect in (None, "live")
    addressed = running(desired).bridge._replace(addresses=["10.9.9.9/24"], up=False, disable_ipv6=False)
    assert plan(desired, running(desired, bridge=addressed)).effect == "live"


@given(models)
def test_a_definition_alone_costs_no_restart_and_what_runs_wrong_does(network):
    other = network._replace(mac="52:54:00:00:00:01")
    assert plan(network, running(network, persistent=other)).effect == "live"
    assert plan(network, running(network, live=other)).effect == "restart"
    wrong = running(network).bridge._replace(mac=other.mac)
    assert plan(network, running(network, bridge=wrong)).effect == "restart"
    assert plan(network, running(network, persistent=other, bridge=wrong)).effect == "restart"


@given(models)
def test_a_network_that_is_not_ours_is_refused_and_never_removed(network):
    foreign = running(network, ours=False)
    with pytest.raises(MultiverseError, match="did not make it"):
        plan(network, foreign)
    assert not networks.plan_removal(network.name, foreign)
    assert not networks.plan_removal(network.name, Current.NONE)
    assert networks.plan_removal(network.name, running(network))


@given(models)
def test_a_bridge_that_libvirt_did_not_make_is_refused(network):
    foreign = running(network).bridge._replace(mac="52:54:00:00:00:01")
    with pytest.raises(MultiverseError, match="ip link delete"):
        plan(network, Current.NONE._replace(bridge=foreign))
    with pytest.raises(MultiverseError, match="ip link delete"):
        plan(network, running(network, live=None, bridge=foreign))
    assert plan(network, running(network, live=None)).effect == "restart"
