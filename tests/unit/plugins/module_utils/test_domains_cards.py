"""Unplugging, plugging and power in a running VM, against a libvirt that misbehaves."""

import libvirt
import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import domain_converge, domain_plan, domains
from ansible_collections.multiverse.router_controller.plugins.module_utils.domain_converge import apply, stop
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.tests.unit.plugins.module_utils.test_domains import galaxy

WRONG = domains.interface("00:00:10:01:01:01", "star0")
RIGHT = domains.interface("00:00:10:01:01:01", "galaxy0")
CARD = (
    "<interface type='bridge'><mac address='00:00:10:01:01:01'/><source bridge='star0'/><target dev='tap1'/>"
    "<model type='virtio'/></interface>"
)
AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>"


class Guest:
    """A domain (and the connection to it) whose guest hears only the request number `hears`."""

    def __init__(self, log, hears=1, devices=CARD):
        self.log, self.hears, self.devices, self.asked, self.active = log, hears, devices, 0, True

    def lookupByName(self, name):
        return self

    def name(self):
        return "galaxy"

    def state(self):
        return [1, 1]

    def isActive(self):
        return self.active

    def XMLDesc(self, flags):
        return "<domain id='1'><devices>%s</devices></domain>" % self.devices

    def _hear(self, what):
        self.log.append(what)
        self.asked += 1
        if self.asked > 1 and what == "detach":
            raise libvirt.libvirtError("already in the process of unplug")
        return self.asked >= self.hears

    def detachDeviceFlags(self, text, flags):
        if self._hear("detach"):
            self.devices = ""

    def attachDeviceFlags(self, text, flags):
        self.log.append("attach")

    def shutdownFlags(self, flags):
        self.active = not self._hear("button" if flags == libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN else "agent")

    def destroy(self):
        self.log.append("destroy")
        self.active = False


@pytest.fixture
def log(monkeypatch):
    """What reached the kernel and libvirt, in order; time passes fast."""
    entries = []
    monkeypatch.setattr(domain_converge, "UNPLUG_DEADLINE", 0.3)
    monkeypatch.setattr(domain_converge, "UNPLUG_AGAIN", 0.1)
    monkeypatch.setattr(domain_converge, "POLL", 0.01)
    monkeypatch.setattr(domain_converge.bridge_ports, "ip", lambda *words: entries.append(" ".join(words)))
    return entries


def _steps(**changes):
    nothing = domain_plan.Steps(
        define=False, stop=False, start=False, resume=False, detach=[], attach=[], replug=[]
    )  # fmt: skip
    return nothing._replace(**changes)


MOVE = _steps(detach=[domain_plan.Port(WRONG, "tap1", "star0")], attach=[RIGHT])


def test_a_card_is_cut_off_before_the_guest_is_asked_and_before_the_right_one_comes(log):
    applied = apply(Guest(log), galaxy(), None, MOVE)
    assert log == ["link set dev tap1 nomaster", "detach", "attach"]
    assert (applied.detached, applied.attached) == (["00:00:10:01:01:01"], ["00:00:10:01:01:01"])


def test_a_guest_that_holds_on_to_its_card_stays_cut_off_and_gets_no_other(log):
    with pytest.raises(MultiverseError, match="does not let go of its card 00:00:10:01:01:01"):
        apply(Guest(log, hears=99), galaxy(), None, MOVE)
    assert log[0] == "link set dev tap1 nomaster"
    assert set(log[1:]) == {"detach"} and len(log) > 2


def test_a_card_that_is_gone_already_is_no_error(log):
    apply(Guest(log, devices=""), galaxy(), None, MOVE._replace(attach=[]))
    assert log == ["link set dev tap1 nomaster"]


def test_a_guest_that_hears_the_power_button_goes_by_itself(log):
    assert stop(Guest(log), "galaxy", 0.2) is True
    assert log == ["button"]


def test_the_agent_is_asked_where_one_listens(log):
    assert stop(Guest(log, hears=2, devices=AGENT), "galaxy", 0.2) is True
    assert log == ["button", "agent"]


def test_a_deaf_guest_is_switched_off_at_the_deadline(log):
    assert stop(Guest(log, hears=99), "galaxy", 0.1) is False
    assert log == ["button", "destroy"]


def test_a_paused_guest_hears_nothing_so_nobody_waits_for_it(log):
    guest = Guest(log)
    guest.state = lambda: [libvirt.VIR_DOMAIN_PAUSED, 1]
    assert stop(guest, "galaxy", 60) is False
    assert log == ["destroy"]
