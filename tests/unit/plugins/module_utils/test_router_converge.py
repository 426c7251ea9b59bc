"""All routers at once: their VMs as declared, the order of their stages, and what one failure means for the others."""

import pwd
import threading

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import (
    domain_plan,
    domain_xml,
    router_converge,
)
from ansible_collections.multiverse.router_controller.plugins.module_utils.domain_converge import State
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change
from ansible_collections.multiverse.router_controller.plugins.module_utils.router_converge import Routers

IMAGE = {
    "hash": "0123",
    "disk": "/os/router-0123.raw",
    "kernel": "/os/router-0123.vmlinuz",
    "initrd": "/os/router-0123.initramfs",
}


def router(name, stage, number, **more):
    """A router of the derived topology, as far as it matters here."""
    return dict(
        {
            "name": name,
            "stage": stage,
            "memory": 128,
            "ephemeral": False,
            "links": [],
            "upstream": {"mac": "00:00:10:00:00:%02x" % number, "network": "up%d" % number},
            "downstream": {"mac": "00:00:10:01:01:%02x" % number, "network": "down%d" % number},
            "portal": {"path": "/portals/" + name, "tag": name + "-portal"},
        },
        **more,
    )


class Disk:
    """Takes the place of an Overlay."""

    def __init__(self, universe, folder, name):
        self.universe, self.name, self.path = universe, name, "{}/{}.qcow2".format(folder, name)

    def plan(self, image):
        backing = self.universe.disks.get(self.path)
        return [] if backing == image else [Change("router", self.name, "disk.image", backing, image, "recreate")]

    def create(self, image, uid, gid):
        self.universe.happened.append("overlay " + self.name)
        self.universe.disks[self.path] = image
        self.universe.owners.add((uid, gid))


class Universe:
    """libvirt, the kernel and qemu-img in one: VMs by name, and what happened in which order."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.states, self.happened, self.fails, self.silenced = folder, {}, [], {}, []
        self.remap, self.lock, self.meeting = True, threading.Lock(), None
        monkeypatch.setattr(router_converge, "domain_converge", self)
        monkeypatch.setattr(router_converge.bridge_ports, "silence", self.silenced.append)
        monkeypatch.setattr(router_converge, "Overlay", lambda folder, name: Disk(self, folder, name))
        self.disks, self.owners = {}, set()

    # The functions of domain_converge.

    def multidevs(self, _connection):
        return "remap" if self.remap else "default"

    def read(self, _connection, name):
        return self.states.get(name)

    def apply(self, _connection, desired, state, steps, on_stopped):
        if self.meeting:
            self.meeting.wait(20)  # breaks, and fails the test, unless all of a stage are here at once
        assert state == self.states.get(desired.name)
        with self.lock:
            if steps.stop or state is None or state.current.live is None:
                on_stopped()
            if desired.name in self.fails:
                raise self.fails[desired.name]
            self.happened.append(("restart " if steps.stop else "start " if steps.start else "touch ") + desired.name)
            ports = [domain_plan.Port(card, "tap-" + desired.name, card["bridge"]) for card in desired.interfaces]
            current = domain_plan.Current(
                router_converge.domains.sort_devices(desired),
                router_converge.domains.sort_devices(desired),
                "running",
                ports,
                True,
            )
            self.states[desired.name] = State(current, 1, "uuid", "<domain/>", "<domain/>")

    def verify(self, _connection, desired):
        return self.states[desired.name]

    def listAllDomains(self):  # noqa: N802, libvirt's name
        return []

    def routers(self, *declared, **more):
        return Routers(
            self,
            dict(
                {
                    "routers": list(declared),
                    "images": {entry["name"]: IMAGE for entry in declared},
                    "user": "root",
                    "acceleration": {"accel": "tcg", "cpu": "qemu64"},
                    "overlay_folder": "/overlays",
                    "console_folder": "/var/log/multiverse",
                },
                **more,
            ),
        )


@pytest.fixture
def universe(tmp_path, monkeypatch):
    return Universe(tmp_path, monkeypatch)


GALAXY, STAR, MOON, SUN = router("galaxy", 0, 2), router("star", 1, 3), router("moon", 0, 4), router("sun", 2, 5)


def desired(universe, declared):
    (task,) = universe.routers(declared)._tasks
    return task.desired


# --- what is declared -------------------------------------------------------------------------------------------------


def test_a_persistent_router_writes_to_its_overlay(universe):
    made = desired(universe, GALAXY)
    (disk,) = made.disks
    assert (disk["path"], disk["format"], disk["read_only"]) == ("/overlays/galaxy.qcow2", "qcow2", False)
    words = made.cmdline.split()
    assert {"rw", "root=/dev/vda", "multiverse.portal=galaxy-portal", "modules=ext4,virtio_blk"} <= set(words)
    assert "ro" not in words and "overlaytmpfs=yes" not in words
    assert (made.kernel, made.initrd) == (IMAGE["kernel"], IMAGE["initrd"])


def test_an_ephemeral_router_only_reads_the_image(universe):
    declared = dict(GALAXY, ephemeral=True)
    made = desired(universe, declared)
    (disk,) = made.disks
    assert (disk["path"], disk["format"], disk["read_only"]) == (IMAGE["disk"], "raw", True)
    words = made.cmdline.split()
    assert {"ro", "overlaytmpfs=yes", "modules=ext4,virtio_blk,overlay"} <= set(words) and "rw" not in words
    plan = universe.routers(declared).plan
    assert plan and not [change for change in plan if change.field == "disk.image"]
    universe.routers(declared).apply()
    assert universe.happened == ["start galaxy"]


def test_both_sides_the_share_and_the_console(universe):
    made = desired(universe, GALAXY)
    assert [(card["mac"], card["bridge"]) for card in made.interfaces] == [
        ("00:00:10:00:00:02", "up2"),
        ("00:00:10:01:01:02", "down2"),
    ]
    (share,) = made.shares
    assert (share["path"], share["tag"], share["read_only"]) == ("/portals/galaxy", "galaxy-portal", True)
    assert made.serials[0]["log"] == "/var/log/multiverse/galaxy.log"
    assert domain_xml.from_xml(domain_xml.to_xml(made)) == router_converge.domains.sort_devices(made)


@pytest.mark.parametrize(
    "links, able, expected",
    [([], True, "default"), ([{"name": "x"}], True, "remap"), ([{"name": "x"}], False, "default")],
)
def test_links_need_inode_numbers_of_their_own(universe, links, able, expected):
    universe.remap = able
    assert desired(universe, dict(GALAXY, links=links)).shares[0]["multidevs"] == expected


# --- the order --------------------------------------------------------------------------------------------------------


def test_stage_after_stage_and_nothing_the_second_time(universe):
    declared = [SUN, STAR, GALAXY, MOON]
    routers = universe.routers(*declared)
    assert [change.name for change in routers.plan if change.field == "state"] == ["sun", "star", "galaxy", "moon"]
    routers.apply()
    started = [entry for entry in universe.happened if entry.startswith("start")]
    assert sorted(started[:2]) == ["start galaxy", "start moon"] and started[2:] == ["start star", "start sun"]
    for name in ("galaxy", "moon", "star", "sun"):
        assert universe.happened.index("overlay " + name) < universe.happened.index("start " + name)
    assert len(universe.silenced) == 8

    universe.happened.clear()
    again = universe.routers(*declared)
    assert not again.plan
    again.apply()
    assert universe.happened == []


def test_routers_of_one_stage_go_at_the_same_time(universe):
    universe.meeting = threading.Barrier(3)
    universe.routers(GALAXY, MOON, router("third", 0, 9)).apply()
    assert len(universe.states) == 3


def test_what_changed_is_restarted_and_no_other(universe):
    universe.routers(GALAXY, STAR, MOON).apply()
    universe.happened.clear()
    changed = universe.routers(GALAXY, STAR, dict(MOON, memory=256))
    assert {change.name for change in changed.plan} == {"moon"} and changed.plan.effect == "restart"
    changed.apply()
    assert universe.happened == ["restart moon"]


def test_another_image_is_another_disk_made_while_the_router_is_off(universe):
    universe.routers(GALAXY, STAR).apply()
    universe.happened.clear()
    images = {"galaxy": dict(IMAGE, disk="/os/router-4567.raw"), "star": IMAGE}
    routers = universe.routers(GALAXY, STAR, images=images)
    assert [(change.name, change.field, change.effect) for change in routers.plan] == [
        ("galaxy", "disk.image", "recreate")
    ]
    routers.apply()
    assert universe.happened == ["overlay galaxy", "restart galaxy"]
    assert universe.disks["/overlays/galaxy.qcow2"] == "/os/router-4567.raw"


# --- failures ---------------------------------------------------------------------------------------------------------


def test_every_failure_of_a_stage_is_named_and_later_stages_are_not_begun(universe):
    universe.fails = {
        "galaxy": MultiverseError("starting router galaxy failed: no bridge"),
        "moon": MultiverseError("ip link set failed"),
        "star": MultiverseError("never"),
    }
    third = router("third", 0, 9)
    with pytest.raises(MultiverseError) as caught:
        universe.routers(STAR, GALAXY, MOON, third).apply()
    assert str(caught.value).splitlines() == [
        "starting router galaxy failed: no bridge",
        "router moon: ip link set failed",
    ]
    assert list(universe.states) == ["third"]
    # The next run takes it up where it stopped.
    universe.fails.clear()
    universe.happened.clear()
    universe.routers(STAR, GALAXY, MOON, third).apply()
    started = [entry for entry in universe.happened if entry.startswith("start")]
    assert sorted(started) == ["start galaxy", "start moon", "start star"] and started[-1] == "start star"


def test_a_bug_stays_a_bug(universe):
    universe.fails = {"galaxy": ZeroDivisionError("ours"), "moon": MultiverseError("x")}
    with pytest.raises(ZeroDivisionError):
        universe.routers(MOON, GALAXY).apply()


def test_a_foreign_domain_stops_everything_before_anything_is_touched(universe):
    universe.routers(GALAXY).apply()
    state = universe.states["galaxy"]
    universe.states["galaxy"] = state._replace(current=state.current._replace(ours=False))
    universe.happened.clear()
    with pytest.raises(MultiverseError, match="router galaxy: .* did not make"):
        universe.routers(MOON, GALAXY)
    assert universe.happened == []


# --- previews, and what is no longer declared -------------------------------------------------------------------------


def test_a_preview_without_images_or_libvirt(universe):
    plan = universe.routers(GALAXY, STAR, images={}).plan
    assert [(change.name, change.field) for change in plan] == [("galaxy", "state"), ("star", "state")]
    routers = Routers(None, universe.routers(GALAXY)._arguments)
    assert routers.plan and routers.undeclared() == []


def test_what_is_no_longer_declared_is_named_if_it_is_ours(universe):
    class Domain:
        def __init__(self, declared, ours=True):
            self.declared, self.ours = declared, ours

        def name(self):
            return self.declared["name"]

        def XMLDesc(self, flags):  # noqa: N802, libvirt's name
            text = domain_xml.to_xml(desired(universe, self.declared))
            return text if self.ours else text.replace("https://multiverse/router_controller/1", "https://other")

    domains = [Domain(SUN), Domain(STAR), Domain(MOON, ours=False), Domain(GALAXY)]
    universe.listAllDomains = lambda: domains
    assert universe.routers(GALAXY).undeclared() == ["star", "sun"]


def test_the_account_that_runs_qemu_owns_the_overlays(universe):
    account = pwd.getpwall()[-1]
    universe.routers(GALAXY, STAR, user=account.pw_name).apply()
    assert universe.owners == {(account.pw_uid, account.pw_gid)}
