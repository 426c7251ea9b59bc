"""The firewall that the role `network` renders."""

import re
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROLE = Path(__file__).parents[3] / "roles/network"
UNIVERSE = {
    "name": "universe0",
    "subnet": "10.0.0.0/24",
    "address": "10.0.0.1",
    "host_access": True,
    "forward": "nat",
    "uplink": "ens12",
    "dhcp": {"first": "10.0.0.2", "last": "10.0.0.254"},
}
GALAXY = {
    "name": "galaxy0",
    "subnet": "10.1.1.0/24",
    "address": "10.1.1.254",
    "host_access": False,
    "forward": "none",
    "uplink": None,
    "dhcp": None,
}
SECOND = dict(
    UNIVERSE, name="universe1", subnet="10.9.9.0/24", address="10.9.9.1", forward="none", uplink=None, dhcp=None
)


def render(name, networks, services=()):
    environment = Environment(
        loader=FileSystemLoader(str(ROLE / "templates")), trim_blocks=True, undefined=StrictUndefined
    )
    return environment.get_template(name).render(
        network_topology={"networks": networks, "user": "multiverse"},
        network_services=list(services),
        _network_rules="/f.nft",
    )


def chains(networks, services=()):
    """{(family, chain): its rules in order} of the rendered script."""
    found, family = {}, None
    for line in render("etc/multiverse/firewall.nft.j2", networks, services).splitlines():
        line = line.strip()
        table = re.match(r"table (\w+) multiverse {", line)
        chain = re.match(r"chain (\w+) {", line)
        if table:
            family = table.group(1)
        elif chain:
            rules = found.setdefault((family, chain.group(1)), [])
        elif line and line[0] not in "#}" and not line.startswith(("type", "add", "delete")):
            rules.append(line)
    return found


def test_a_network_without_host_access_is_cut_off_everywhere_at_once():
    rules = chains([UNIVERSE, GALAXY])
    assert rules["inet", "input"][0] == 'iifname "galaxy0" drop'
    assert rules["inet", "output"] == ['oifname "galaxy0" drop']
    assert rules["arp", "input"] == ['iifname "galaxy0" drop'] and rules["arp", "output"] == ['oifname "galaxy0" drop']
    forward = rules["inet", "forward"]
    # Only frames within the bridge come before the drops.
    before = forward[: forward.index('iifname "galaxy0" drop')]
    assert [rule for rule in before if "galaxy0" in rule] == ['iifname "galaxy0" oifname "galaxy0" accept']
    assert 'oifname "galaxy0" drop' in forward


def test_routers_get_leases_names_and_ping_at_the_bridge_and_nothing_else():
    rules = [rule for rule in chains([UNIVERSE, GALAXY])["inet", "input"] if "universe0" in rule]
    assert rules[-1] == 'iifname "universe0" drop'
    assert [rule.split('"universe0" ')[1] for rule in rules[:-1]] == [
        "ct state established,related accept",
        "ip daddr 255.255.255.255 udp dport 67 accept",
        "ip daddr 10.0.0.1 udp dport 67 accept",
        "ip daddr 10.0.0.1 udp dport 53 accept",
        "ip daddr 10.0.0.1 tcp dport 53 accept",
        "ip daddr 10.0.0.1 icmp type echo-request accept",
    ]


def test_services_are_opened_one_by_one_before_the_drop():
    rules = chains([UNIVERSE], [{"protocol": "tcp", "port": 22}])["inet", "input"]
    assert rules[-2:] == ['iifname "universe0" ip daddr 10.0.0.1 tcp dport 22 accept', 'iifname "universe0" drop']


def test_no_leases_are_let_in_where_none_are_given():
    assert not [rule for rule in chains([SECOND])["inet", "input"] if "dport 67" in rule]


def test_a_network_with_nat_has_one_way_out_and_none_to_another_network():
    forward = chains([UNIVERSE, SECOND])["inet", "forward"]
    accepted = [rule for rule in forward if rule.endswith("accept")]
    assert accepted == [
        'iifname "universe0" oifname "universe0" accept',
        'iifname "universe1" oifname "universe1" accept',
        'iifname "universe0" oifname "ens12" ip saddr 10.0.0.0/24 accept',
        'iifname "ens12" oifname "universe0" ip daddr 10.0.0.0/24 ct state established,related accept',
    ]
    for name in ("universe0", "universe1"):
        assert 'iifname "%s" drop' % name in forward and 'oifname "%s" drop' % name in forward


@pytest.mark.parametrize("networks", [[], [UNIVERSE], [GALAXY], [UNIVERSE, GALAXY, SECOND]])
def test_the_script_replaces_its_own_tables_and_names_the_uplink_in_no_drop(networks):
    text = render("etc/multiverse/firewall.nft.j2", networks)
    assert "flush" not in text and text.count("delete table") == text.count("add table") == 2
    assert not [line for line in text.splitlines() if "ens12" in line and line.endswith("drop")]
    assert text.count("{") == text.count("}")


def test_the_bridge_helper_may_use_every_network():
    lines = render("etc/qemu/multiverse.conf.j2", [UNIVERSE, GALAXY]).splitlines()
    assert [line for line in lines if line[0] != "#"] == ["allow universe0", "allow galaxy0"]


def test_the_firewall_is_up_before_the_network_and_stays_when_its_service_stops():
    unit = render("etc/systemd/system/multiverse-firewall.service.j2", [])
    assert "Before=network-pre.target" in unit and "ExecStart=/usr/sbin/nft -f /f.nft" in unit
    assert not re.search("^ExecStop", unit, re.MULTILINE)
    drop_in = render("etc/systemd/system/libvirtd.service.d/multiverse.conf.j2", [])
    assert "Requires=multiverse-firewall.service" in drop_in and "After=multiverse-firewall.service" in drop_in
