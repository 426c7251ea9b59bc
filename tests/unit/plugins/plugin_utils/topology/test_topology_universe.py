"""What `ip` prints, and what is made of it."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import universe
from hypothesis import given
from hypothesis import strategies as st

PRINTED = r"""default via 192.168.1.1 dev ens12 proto dhcp src 192.168.1.10 metric 100
default via 192.168.7.1 dev wlan0 metric 50 linkdown
10.0.0.0/24 dev universe0 proto kernel scope link src 10.0.0.1 linkdown
192.168.1.0/24 dev ens12 proto kernel scope link src 192.168.1.10 metric 100
blackhole 10.66.0.0/16
10.8.0.1 via 10.8.0.5 dev tun0
10.20.0.0/16 proto static
	nexthop via 192.168.1.2 dev ens12 weight 1
	nexthop via 192.168.1.3 dev ens13.100 weight 1
broken
%%
1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: ens12    inet 192.168.1.10/24 brd 192.168.1.255 scope global dynamic ens12\       valid_lft 3600sec
5: tun0    inet 10.8.0.6 peer 10.8.0.5/32 scope global tun0\       valid_lft forever
%%
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT\    link/loopback 00:00:00:00:00:00
2: ens12: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP\    link/ether 00:00:10:10:10:01
3: ens13.100@ens13: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN\    link/ether 00:00:10:11:11:01
4: universe0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN\    link/ether 00:00:10:00:00:01
%%
4: universe0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN\    link/ether 00:00:10:00:00:01
"""


def test_what_ip_prints_is_understood():
    known = universe.parse(PRINTED)
    assert [(route["destination"], route["device"], route.get("address")) for route in known["routes"]] == [
        ("default", "ens12", "192.168.1.10"),
        ("default", "wlan0", None),
        ("10.0.0.0/24", "universe0", "10.0.0.1"),
        ("192.168.1.0/24", "ens12", "192.168.1.10"),
        ("10.66.0.0/16", "", None),
        ("10.8.0.1", "tun0", None),
        ("10.20.0.0/16", "", None),
        ("10.20.0.0/16", "ens12", None),
        ("10.20.0.0/16", "ens13.100", None),
    ]
    assert [route["destination"] for route in known["routes"] if route["linkdown"]] == ["default", "10.0.0.0/24"]
    assert [route["metric"] for route in known["routes"]][:3] == [100, 50, 0]
    assert known["addresses"] == [
        {"device": "lo", "address": "127.0.0.1/8"},
        {"device": "ens12", "address": "192.168.1.10/24"},
        {"device": "tun0", "address": "10.8.0.5/32"},
    ]
    assert known["devices"] == [
        {"name": "lo", "bridge": False},
        {"name": "ens12", "bridge": False},
        {"name": "ens13.100", "bridge": False},
        {"name": "universe0", "bridge": True},
    ]


@pytest.mark.parametrize(
    "dressed",
    [
        PRINTED.replace("\n", "\r\n"),
        PRINTED.replace("ens12", "\x1b[36mens12\x1b[0m").replace("192.168.1.1 ", "\x1b[35m192.168.1.1 \x1b[0m"),
        PRINTED.replace("ens12 ", "\x1b[36mens12 \x1b[0m").replace("\n", "\r\n"),
    ],
)
def test_a_terminals_line_ends_and_paint_change_nothing(dressed):
    assert universe.parse(dressed) == universe.parse(PRINTED)


def test_what_follows_from_it():
    known = universe.parse(PRINTED)
    assert universe.default_device(known, {"universe0"}) == "ens12"
    assert universe.default_device(known, {"universe0", "ens12"}) == "wlan0"
    assert universe.foreign_devices(known) == {"lo", "ens12", "ens13.100", "wlan0"}
    assert [(str(one.subnet), one.device) for one in universe.taken(known, {"universe0"})] == [
        ("192.168.1.0/24", "ens12"),
        ("10.66.0.0/16", ""),
        ("10.8.0.1/32", "tun0"),
        ("10.20.0.0/16", ""),
        ("127.0.0.0/8", "lo"),
        ("10.8.0.5/32", "tun0"),
    ]


@pytest.mark.parametrize("printed", ["", "%%\n", "%%\n%%\n%%\n%%\n", "default\n", "default dev", "\tnexthop dev x\n"])
def test_little_output_is_little_known(printed):
    known = universe.parse(printed)
    assert universe.taken(known, set()) == [] and universe.default_device(known, set()) is None


@given(st.text(alphabet="default via 10./24dev\n\t%:@<>", max_size=200) | st.text())
def test_any_output_is_read(printed):
    known = universe.parse(printed)
    universe.taken(known, set())
    universe.foreign_devices(known)
