"""The router model: its constructor and the rules it checks."""

import json

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import domains
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

GALAXY = {
    "name": "galaxy",
    "accel": "tcg",
    "cpu": "qemu64",
    "memory": 128,
    "kernel": "/os/k",
    "initrd": "/os/i",
    "cmdline": "console=ttyS0",
    "disks": [{"path": "/d.qcow2", "format": "qcow2"}],
    "interfaces": [
        {"mac": "00:00:10:00:00:02", "bridge": "universe0"},
        {"mac": "00:00:10:01:01:01", "bridge": "galaxy0"},
    ],
    "share": {"path": "/portal", "tag": "galaxy-portal"},
    "console_log": "/var/log/galaxy.log",
}


def galaxy(**changes):
    return domains.router(**dict(GALAXY, **changes))


def test_a_router_has_an_agent_and_nothing_that_it_does_not_need():
    router = galaxy()
    assert router.channels == [{"name": "org.qemu.guest_agent.0", "path": None, "type": "unix"}]
    assert (router.usb, router.intruders) == (["none"], [])
    assert galaxy(agent=False).channels == []


def test_the_share_is_read_only_unless_asked_otherwise():
    assert galaxy().shares[0]["read_only"] is True
    assert galaxy(share={"path": "/p", "tag": "t", "read_only": False}).shares[0]["read_only"] is False
    assert galaxy(share=None).shares == []


def test_a_passed_through_cpu_hides_nested_virtualization():
    assert galaxy(accel="kvm", cpu="host-passthrough").cpu_disabled == ["svm", "vmx"]
    assert galaxy().cpu_disabled == []


def test_the_declared_order_of_cards_is_kept_and_macs_are_lower_case():
    cards = [{"mac": "00:00:10:FF:00:02", "bridge": "universe0"}, {"mac": "00:00:10:01:01:01", "bridge": "galaxy0"}]
    assert [card["mac"] for card in galaxy(interfaces=cards).interfaces] == ["00:00:10:ff:00:02", "00:00:10:01:01:01"]


def test_a_build_may_have_a_user_network_and_a_result_channel():
    build = galaxy(
        interfaces=[{"mac": "00:00:10:00:00:02", "type": "user"}],
        channels=[{"name": "build.result", "path": "/tmp/result"}],
    )
    assert build.interfaces[0]["type"] == "user"
    assert build.channels[1] == {"name": "build.result", "path": "/tmp/result", "type": "file"}


def test_models_are_json():
    assert json.loads(json.dumps(galaxy().fields)) == galaxy().fields


def _card(mac="00:00:10:00:00:02", **rest):
    return {"interfaces": [dict({"mac": mac, "bridge": "universe0"}, **rest)]}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"accel": "xen"}, "accel 'xen' is neither kvm nor tcg"),
        ({"cpu": "host-passthrough"}, "cpu host-passthrough needs accel kvm"),
        ({"memory": 0}, "memory 0 is not a positive whole number"),
        ({"memory": "128"}, "memory '128' is not a positive whole number"),
        ({"vcpus": True}, "vcpus True is not a positive whole number"),
        ({"kernel": None}, "cmdline without kernel"),
        ({"cmdline": "a\nb"}, "control characters"),
        ({"kernel": "os/k"}, "kernel 'os/k' is not an absolute path"),
        ({"console_log": "galaxy.log"}, "console log 'galaxy.log' is not an absolute path"),
        ({"share": {"path": "portal", "tag": "t"}}, "share 'portal' is not an absolute path"),
        ({"share": {"path": "/p", "tag": "t" * 32}}, "is not 1 to 31 characters long"),
        ({"disks": [{"path": "/d", "format": "vmdk"}]}, "format 'vmdk' of disk /d is neither raw nor qcow2"),
        ({"disks": [{"path": p, "format": "raw"} for p in ("/a", "/b")]}, "disk target vda is used twice"),
        (_card("52:54:00:00:00:01"), "starts with 52:54:00, which gives QEMU away"),
        (_card("52:54:00:AB:00:01"), "starts with 52:54:00, which gives QEMU away"),
        (_card("01:00:10:00:00:02"), "multicast"),
        (_card("universe"), "'universe' of the card on universe0 is no MAC address"),
        (_card(None), "is no MAC address"),
        (_card(bridge=None), "type bridge needs a bridge"),
        (_card(type="user"), "type user takes none"),
        (_card(type="direct"), "type 'direct' of card 00:00:10:00:00:02 is neither bridge nor user"),
        ({"interfaces": _card()["interfaces"] * 2}, "mac 00:00:10:00:00:02 is used twice"),
        ({"channels": [{"name": "c"}]}, "channel c of type file needs a path"),
        (
            {"channels": [{"name": "org.qemu.guest_agent.0", "path": "/x"}]},
            "channel org.qemu.guest_agent.0 is used twice",
        ),
    ],
)
def test_every_bad_value_is_named(changes, message):
    with pytest.raises(MultiverseError) as raised:
        galaxy(**changes)
    assert str(raised.value).startswith("router galaxy: ")
    assert message in str(raised.value)


def test_all_problems_are_reported_at_once():
    with pytest.raises(MultiverseError) as raised:
        galaxy(memory=-1, vcpus=0, kernel="k")
    assert str(raised.value).count(";") == 2
