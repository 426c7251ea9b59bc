"""Converging networks, on a machine of fakes: what is touched, what is plugged in again, what is rolled back."""

import libvirt
import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import network_converge, networks
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

UNIVERSE = networks.from_declared(
    {
        "name": "universe0",
        "address": "10.0.0.1",
        "prefix": 24,
        "mac": "00:00:10:00:00:01",
        "host_access": True,
        "dhcp": {"first": "10.0.0.2", "last": "10.0.0.254"},
        "forward": "nat",
        "uplink": "ens12",
        "reservations": [],
    }
)
OTHER_MAC = UNIVERSE._replace(mac="00:00:10:00:00:09")
OTHER_RANGE = UNIVERSE._replace(dhcp=[{"first": "10.0.0.2", "last": "10.0.0.9"}])


class FakeNetwork:
    """A libvirt network and the bridge below it."""

    def __init__(self, xml, machine):
        self.persistent, self.live, self.machine, self.auto = xml, None, machine, 0

    def XMLDesc(self, flags):  # noqa: N802, libvirt's name
        inactive = flags & libvirt.VIR_NETWORK_XML_INACTIVE
        return self.persistent if inactive or not self.live else self.live

    def isActive(self):  # noqa: N802
        return self.live is not None

    def autostart(self):
        return self.auto

    def setAutostart(self, value):  # noqa: N802
        self.auto = int(value)

    def create(self):
        model = networks.from_xml(self.persistent)
        if model.mac == self.machine.refused_mac:
            raise libvirt.libvirtError("refused")
        self.live = self.persistent
        self.machine.bridge = networks.Bridge(**dict({"answers_arp": True}, **networks.bridge_fields(model)))

    def destroy(self):
        self.live, self.machine.bridge, self.machine.plugged = None, None, []

    def undefine(self):
        self.machine.network = None

    def update(self, command, section, index, xml, flags):
        self.machine.updates.append(xml)
        if self.machine.refuses_updates:
            raise libvirt.libvirtError("not supported")
        if len(self.machine.updates) == 2:
            self.live = self.persistent


class Machine:
    """One network at most, its bridge, and the ports in it; stands for the connection as well."""

    def __init__(self):
        self.network, self.bridge, self.plugged, self.updates, self.defined = None, None, [], [], 0
        self.refused_mac, self.refuses_updates, self.corrects = None, False, True

    def networkDefineXML(self, xml):  # noqa: N802, libvirt's name
        self.defined += 1
        if self.network is None:
            self.network = FakeNetwork(xml, self)
        self.network.persistent = xml
        return self.network

    def replug(self, plugs):
        self.plugged = [device for device, bridge in plugs]
        return plugs

    def correct(self, name, fields):
        if self.corrects:
            self.bridge = self.bridge._replace(**fields)


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(network_converge, "find_network", lambda connection, name: made.network)
    monkeypatch.setattr(network_converge.kernel_bridge, "read", lambda name: made.bridge)
    monkeypatch.setattr(network_converge.kernel_bridge, "correct", made.correct)
    monkeypatch.setattr(network_converge.kernel_bridge, "remove", lambda name: setattr(made, "bridge", None))
    monkeypatch.setattr(network_converge.bridge_ports, "ports", lambda name: list(made.plugged))
    monkeypatch.setattr(network_converge.bridge_ports, "replug", made.replug)
    return made


@pytest.fixture
def running(machine):
    network_converge.converge(machine, [UNIVERSE])
    machine.plugged, machine.defined = ["vnet0", "tap0"], 0
    return machine


def test_a_new_network_is_defined_started_and_autostarted(machine):
    plan, summary = network_converge.converge(machine, [UNIVERSE])
    assert summary == [{"name": "universe0", "outcome": "created", "replugged": []}]
    assert machine.network.isActive() and machine.network.autostart()
    assert networks.from_xml(machine.network.XMLDesc(0)) == UNIVERSE


def test_the_second_run_touches_nothing(running):
    plan, summary = network_converge.converge(running, [UNIVERSE])
    assert not plan and summary[0]["outcome"] == "unchanged"
    assert running.defined == 0 and running.plugged == ["vnet0", "tap0"]


@pytest.mark.parametrize("desired", [OTHER_MAC, OTHER_RANGE])
def test_check_mode_predicts_the_run_and_touches_nothing(running, desired):
    predicted = network_converge.converge(running, [desired], apply=False)
    assert running.defined == 0 and not running.updates
    assert network_converge.converge(running, [desired]) == predicted


def test_a_bare_machine_is_previewed_without_libvirt(machine):
    plan, summary = network_converge.converge(None, [UNIVERSE], apply=False)
    assert plan and summary[0]["outcome"] == "created"


def test_a_restart_plugs_every_port_in_again(running):
    plan, summary = network_converge.converge(running, [OTHER_MAC])
    assert summary == [{"name": "universe0", "outcome": "restarted", "replugged": ["vnet0", "tap0"]}]
    assert running.plugged == ["vnet0", "tap0"]


def test_a_refused_start_brings_the_old_network_and_its_ports_back(running):
    running.refused_mac = OTHER_MAC.mac
    with pytest.raises(MultiverseError, match="starting network universe0 failed: refused"):
        network_converge.converge(running, [OTHER_MAC])
    assert networks.from_xml(running.network.XMLDesc(0)) == UNIVERSE
    assert networks.from_xml(running.network.persistent) == UNIVERSE
    assert running.plugged == ["vnet0", "tap0"]


def test_leases_change_while_the_network_runs(running):
    plan, summary = network_converge.converge(running, [OTHER_RANGE])
    assert (plan.effect, summary[0]["outcome"], summary[0]["replugged"]) == ("live", "updated", [])
    removed, added = '<range end="10.0.0.254" start="10.0.0.2" />', '<range end="10.0.0.9" start="10.0.0.2" />'
    assert running.updates == [removed, added]


def test_a_refused_update_becomes_a_restart(running):
    running.refuses_updates = True
    plan, summary = network_converge.converge(running, [OTHER_RANGE])
    assert networks.from_xml(running.network.XMLDesc(0)) == OTHER_RANGE
    assert summary[0]["replugged"] == running.plugged == ["vnet0", "tap0"]


def test_a_bridge_left_behind_gives_way_and_its_ports_stay(running):
    running.network.live = None
    plan, summary = network_converge.converge(running, [UNIVERSE])
    assert summary == [{"name": "universe0", "outcome": "started", "replugged": ["vnet0", "tap0"]}]


def test_drift_that_survives_is_an_error(running):
    running.bridge = running.bridge._replace(addresses=["10.0.0.1/24", "10.0.0.7/24"])
    running.corrects = False
    with pytest.raises(MultiverseError, match=r"network universe0 has bridge.addresses \[10.0.0.1/24, 10.0.0.7/24\]"):
        network_converge.converge(running, [UNIVERSE])


def test_only_marked_networks_are_removed(running):
    ours = running.network
    running.network = FakeNetwork(ours.persistent.replace("multiverse:object", "multiverse:other"), running)
    plan, summary = network_converge.converge(running, [], ["universe0"])
    assert not plan and summary[0]["outcome"] == "foreign" and running.network is not None
    running.network = ours
    plan, summary = network_converge.converge(running, [], ["universe0"])
    assert summary[0]["outcome"] == "removed" and running.network is None


def test_a_name_cannot_be_declared_and_absent(machine):
    with pytest.raises(MultiverseError, match="network universe0 is declared and absent at once"):
        network_converge.converge(machine, [UNIVERSE], ["universe0"])
