"""provision.sh in a router: what differs is put right, nothing else is touched, and a look tells it beforehand."""

import os

import pytest
from ansible_collections.multiverse.router_controller.tests.unit.roles.portal.sandbox import PORTAL, SCRIPTS, SMALL

NAMED = [("nic", "upstream", "renamed from eth1"), ("nic", "downstream", "renamed from eth0")]
FILES = [
    ("file", "/" + path[len("base-files/") :], "added") for path in sorted(SMALL) if path.startswith("base-files/")
]
KEPT = [
    ("hostname", "galaxy", "renamed from alpine"),
    ("file", "/etc/fstab", "portal line set"),
    ("sysctl", "net.ipv4.conf.all.accept_redirects", "set to 0"),
    ("sysctl", "net.ipv4.conf.upstream.arp_ignore", "set to 2"),
]
SERVICES = ["firewall", "networking", "dnsmasq"]
ENABLED = [("service", name, "enabled") for name in SERVICES]
STARTED = [("service", name, action) for name in SERVICES for action in ("enabled", "restarted")]


def line_of(text, script="provision.sh"):
    """The number of the one line of a script that has this text."""
    lines = (SCRIPTS / script).read_text().splitlines()
    found = [number for number, line in enumerate(lines, 1) if text in line]
    assert len(found) == 1, (text, found)
    return found[0]


def restarted(router):
    path = router.root / "run/restarted"
    return path.read_text().split() if path.exists() else []


def predicted(router):
    """What --check says, having touched nothing."""
    before = router.snapshot()
    changes = router.changes("provision.sh", "--check")
    assert router.snapshot() == before
    return changes


def test_a_fresh_image_becomes_a_router_as_predicted_and_stays_one(router):
    assert predicted(router) == router.changes("provision.sh") == NAMED + FILES + KEPT + STARTED
    assert router.command("hostname").stdout == b"galaxy\n"
    assert router.read("etc/fstab") == SMALL["fstab"]
    assert router.read("etc/dnsmasq.conf") == "no-resolv\n"
    assert (router.root / "usr/bin/hook").stat().st_mode & 0o7777 == 0o755
    assert restarted(router) == SERVICES
    assert b"10.0.0.2/24" in router.command("ip", "-4", "addr", "show", "dev", "upstream", "up").stdout

    after = router.snapshot()
    assert router.changes("provision.sh") == []
    assert router.snapshot() == after


def test_at_boot_services_are_left_to_openrc(router):
    assert router.changes("provision.sh", "--boot") == NAMED + FILES + KEPT + ENABLED
    assert restarted(router) == []
    assert router.changes("provision.sh", "--boot") == []


def _write(path, text, mode=0o644):
    return lambda router: router.write(path, text, mode)


def _remove(path):
    return lambda router: (router.root / path).unlink()


def _link(path, target):
    def make(router):
        (router.root / path).unlink()
        (router.root / path).symlink_to(target)

    return make


def _portal(path, text):
    return lambda router: router.portal({path: text})


def _command(*argv):
    def run(router):
        assert router.command(*argv).returncode == 0

    return run


DRIFT = {
    "content": (
        _write("etc/dnsmasq.conf", "server=8.8.8.8\n"),
        [("file", "/etc/dnsmasq.conf", "updated"), ("service", "dnsmasq", "restarted for its new files")],
    ),
    "mode": (_write("usr/bin/hook", "#!/bin/sh\n", 0o777), [("file", "/usr/bin/hook", "updated")]),
    "missing": (
        _remove("etc/nftables.nft"),
        [("file", "/etc/nftables.nft", "added"), ("service", "firewall", "restarted for its new files")],
    ),
    "a link instead": (
        _link("etc/nftables.nft", "/etc/fstab"),
        [("file", "/etc/nftables.nft", "updated"), ("service", "firewall", "restarted for its new files")],
    ),
    "a link to the same": (
        _link("etc/dnsmasq.conf", "/" + PORTAL + "/base-files/etc/dnsmasq.conf"),
        [("file", "/etc/dnsmasq.conf", "updated"), ("service", "dnsmasq", "restarted for its new files")],
    ),
    "portal changed": (
        _portal("base-files/etc/network/interfaces", "auto lo\nauto upstream\n"),
        [("file", "/etc/network/interfaces", "updated"), ("service", "networking", "restarted for its new files")],
    ),
    "new in portal": (
        _portal("base-files/etc/dnsmasq.d/a b.conf", "x\n"),
        [("file", "/etc/dnsmasq.d/a b.conf", "added"), ("service", "dnsmasq", "restarted for its new files")],
    ),
    "gone from portal": (_remove(PORTAL + "/base-files/usr/bin/hook"), [("file", "/usr/bin/hook", "removed")]),
    "hostname": (_command("hostname", "other"), [("hostname", "galaxy", "renamed from other")]),
    "sysctl": (
        _command("sysctl", "-w", "net.ipv4.conf.all.accept_redirects=1"),
        [("sysctl", "net.ipv4.conf.all.accept_redirects", "set to 0")],
    ),
    "service down": (_remove("run/services/dnsmasq"), [("service", "dnsmasq", "restarted")]),
    "service disabled": (_remove("etc/runlevels/default/dnsmasq"), [("service", "dnsmasq", "enabled")]),
    "address gone": (_command("ip", "addr", "flush", "dev", "downstream"), [("service", "networking", "restarted")]),
    "NIC down": (_command("ip", "link", "set", "upstream", "down"), [("service", "networking", "restarted")]),
    "no way out": (_command("ip", "route", "del", "default"), [("service", "networking", "restarted")]),
}


def test_drift_is_predicted_and_put_right_and_nothing_else(provisioned):
    # One router for the whole table: every row starts from what the row before has to have put right.
    for name, (disturb, expected) in DRIFT.items():
        disturb(provisioned)
        assert predicted(provisioned) == expected, name
        assert provisioned.changes("provision.sh") == expected, name
        assert provisioned.changes("provision.sh") == [], name
        expected_restarts = [service for kind, service, action in expected if action.startswith("restarted")]
        assert restarted(provisioned) == expected_restarts, name
        if expected_restarts:
            (provisioned.root / "run/restarted").unlink()
    assert not (provisioned.root / "usr/bin/hook").exists()
    assert not (provisioned.root / "etc/nftables.nft").is_symlink()
    assert provisioned.read("etc/fstab") == SMALL["fstab"]  # what the link pointed at


def test_names_of_files_are_taken_as_they_are(provisioned):
    names = [" leading", "trailing ", "star*", "back\\slash", '"quoted"', "$(touch pwned)", "-rf", "déjà"]
    provisioned.portal({"base-files/srv/" + name: name for name in names})
    expected = sorted(("file", "/srv/" + name, "added") for name in names)
    assert sorted(provisioned.changes("provision.sh")) == expected
    assert {name: provisioned.read("srv/" + name) for name in names} == {name: name for name in names}
    assert provisioned.changes("provision.sh") == []
    for name in names:
        (provisioned.root / PORTAL / "base-files/srv" / name).unlink()
    assert {entry[2] for entry in provisioned.changes("provision.sh")} == {"removed"}
    assert os.listdir(provisioned.root / "srv") == []


def test_what_was_never_ours_stays(provisioned):
    provisioned.write("etc/dnsmasq.d/local.conf", "theirs\n")
    (provisioned.root / PORTAL / "base-files/usr/bin/hook").unlink()
    assert provisioned.changes("provision.sh") == [("file", "/usr/bin/hook", "removed")]
    assert provisioned.read("etc/dnsmasq.d/local.conf") == "theirs\n"


LINE = SMALL["fstab"]
FOREIGN = "# /mnt/galaxy-portal is written by a program\n\tLABEL=x  /srv\text4 defaults 0 2\n#\n\n"


@pytest.mark.parametrize(
    "before, after",
    [
        ("", LINE),
        (FOREIGN, FOREIGN + LINE),
        (FOREIGN + LINE.replace("ro,", "rw,"), FOREIGN + LINE),
        (LINE.replace("ro,", "rw,") + FOREIGN + LINE, FOREIGN + LINE),
    ],
    ids=["empty", "foreign", "other options", "twice"],
)
def test_the_portal_has_one_line_in_fstab_and_the_others_stay(provisioned, before, after):
    provisioned.write("etc/fstab", before)
    assert predicted(provisioned) == provisioned.changes("provision.sh") == [("file", "/etc/fstab", "portal line set")]
    assert provisioned.read("etc/fstab") == after
    assert (provisioned.root / "etc/fstab").stat().st_mode & 0o7777 == 0o644
    assert provisioned.changes("provision.sh") == []


def test_a_directory_in_the_way_is_an_error_with_its_line(router):
    (router.root / "etc/dnsmasq.conf").mkdir()
    router.write("etc/dnsmasq.conf/theirs", "precious\n")
    (failure,) = router.run("provision.sh")["failed"]
    assert failure["step"] == "provision.sh"
    assert failure["output"] == "/etc/dnsmasq.conf is a directory, where the portal has a file; remove it"
    assert failure["line"] == line_of("is a directory, where the portal has a file") + 1
    assert router.read("etc/dnsmasq.conf/theirs") == "precious\n"
    assert not (router.root / "etc/dnsmasq.conf.multiverse-new").exists()


def test_a_file_where_a_folder_belongs_is_an_error_with_its_line(router):
    router.write("etc/network", "a file\n")
    (failure,) = router.run("provision.sh")["failed"]
    assert failure["line"] == line_of('mkdir -p "/$(dirname "$1")"')
    assert failure["message"] == "mkdir -p /etc/network" and "exists" in failure["output"]


def test_an_unknown_parameter_is_an_error_with_its_line(provisioned):
    path = "base-files/etc/sysctl.d/multiverse.conf"
    provisioned.portal({path: SMALL[path] + "net.ipv4.no_such_parameter = 1\n"})
    (failure,) = provisioned.run("provision.sh")["failed"]
    assert failure["line"] == line_of('sysctl -q -w "$name=$value"')
    assert failure["message"] == "sysctl -q -w 'net.ipv4.no_such_parameter=1'" and failure["output"]
    # Positive control: without it all is well.
    provisioned.portal({path: SMALL[path]})
    provisioned.changes("provision.sh")


def test_a_service_that_does_not_come_up_is_one_failure_and_the_rest_goes_on(router):
    router.write("run/broken/firewall", "")
    report = router.run("provision.sh")
    assert report["failed"] == [
        {"step": "service firewall", "message": 'it does not run after a restart: firewall is down since "today"'}
    ]
    assert restarted(router) == SERVICES
    (router.root / "run/broken/firewall").unlink()
    assert router.changes("provision.sh") == [("service", "firewall", "restarted")]


def test_a_missing_nic_is_named_and_the_rest_goes_on(provisioned):
    provisioned.portal({"nics": SMALL["nics"] + "third 00:00:10:09:09:09 10.9.9.1/24 -\n"})
    failures = provisioned.run("provision.sh", "--check")["failed"]
    assert [failure["message"] for failure in failures] == [
        "there is no NIC with MAC 00:00:10:09:09:09 for third; is it plugged in?"
    ]
    provisioned.portal({"nics": SMALL["nics"]})
    assert provisioned.changes("provision.sh") == []


def test_a_run_that_was_killed_is_repaired_by_the_next(provisioned):
    provisioned.write("etc/dnsmasq.conf.multiverse-new", "half a fi")
    provisioned.write("etc/fstab.multiverse-new", "half a fi")
    provisioned.write("var/lib/multiverse/manifest.new", "half a fi")
    provisioned.write("etc/dnsmasq.conf", "old\n")
    (provisioned.root / "etc/fstab").unlink()
    provisioned.write("etc/fstab", FOREIGN)
    provisioned.changes("provision.sh")
    assert provisioned.read("etc/dnsmasq.conf") == "no-resolv\n"
    assert provisioned.read("etc/fstab") == FOREIGN + LINE
    assert not list(provisioned.root.glob("etc/*.multiverse-new"))
