"""Routers through a real libvirt: its test driver parses and writes the XML as the QEMU driver does."""

import libvirt
import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import domain_converge, domain_plan, domains
from ansible_collections.multiverse.router_controller.plugins.module_utils.domain_xml import from_xml, is_ours, to_xml
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import connect
from ansible_collections.multiverse.router_controller.tests.unit.plugins.module_utils.test_domains import galaxy
from ansible_collections.multiverse.router_controller.tests.unit.plugins.module_utils.test_domains_codec import models
from hypothesis import HealthCheck, given, settings


@pytest.fixture
def connection():
    with connect("test:///default") as opened:
        yield opened
        for domain in [domain for domain in opened.listAllDomains() if domain.name() == "galaxy"]:
            if domain.isActive():
                domain.destroy()
            domain.undefine()


@given(models(), models())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_libvirt_keeps_what_we_declare(connection, router, other):
    defined = connection.defineXML(to_xml(other))
    try:
        text = defined.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert from_xml(text) == domains.sort_devices(other)
        redefined = connection.defineXML(to_xml(router, text))
        assert from_xml(redefined.XMLDesc(0)) == domains.sort_devices(router)
        assert is_ours(redefined.XMLDesc(0))
        assert redefined.UUIDString() == defined.UUIDString()
    finally:
        defined.undefine()


def _converge(connection, desired, running=True):
    state = domain_converge.read(connection, desired.name)
    current = state and state.current
    plan = domain_plan.plan(desired, current, running)
    steps = domain_plan.steps(desired, current, plan)
    applied = domain_converge.apply(connection, desired, state, steps, stop_deadline=1)
    return plan, applied


@pytest.fixture
def no_kernel(monkeypatch):
    """The test driver's taps do not exist: let every one be where libvirt says."""
    bridges = {"testnet0": "universe0", "testnet1": "galaxy0"}
    monkeypatch.setattr(domain_converge.bridge_ports, "master", bridges.get)
    return bridges


def test_from_nothing_to_running_to_changed_to_stopped_to_gone(connection, no_kernel):
    plan, applied = _converge(connection, galaxy())
    assert plan.effect == "live" and applied.defined and applied.started
    assert domain_converge.verify(connection, galaxy()).id is not None
    assert not _converge(connection, galaxy())[0]

    plan, applied = _converge(connection, galaxy(memory=256))
    assert [(change.field, change.effect) for change in plan] == [("memory", "restart")]
    assert applied.stopped and applied.started
    before = domain_converge.verify(connection, galaxy(memory=256))

    connection.lookupByName("galaxy").suspend()
    plan, applied = _converge(connection, galaxy(memory=256))
    assert [tuple(change[2:]) for change in plan] == [("state", "paused", "running", "live")] and applied.resumed

    _plan, applied = _converge(connection, galaxy(memory=256), running=False)
    assert applied.stopped and not applied.started
    assert domain_converge.read(connection, "galaxy").uuid == before.uuid
    domain_converge.remove(connection, "galaxy")
    assert domain_converge.read(connection, "galaxy") is None


def test_the_disk_is_made_anew_while_the_vm_is_off(connection, no_kernel):
    seen = []

    def on_stopped():
        seen.append(connection.lookupByName("galaxy").isActive())

    for memory in (128, 256):
        desired = galaxy(memory=memory)
        state = domain_converge.read(connection, "galaxy")
        current = state and state.current
        steps = domain_plan.steps(desired, current, domain_plan.plan(desired, current))
        domain_converge.apply(connection, desired, state, steps, on_stopped, stop_deadline=1)
    assert seen == [0, 0]


def test_a_domain_that_is_not_ours_stays(connection):
    connection.defineXML(to_xml(galaxy()).replace("https://multiverse/router_controller/1", "https://other"))
    current = domain_converge.read(connection, "galaxy").current
    with pytest.raises(MultiverseError, match="did not make"):
        domain_plan.plan(galaxy(), current)
    with pytest.raises(MultiverseError, match="did not make"):
        domain_converge.remove(connection, "galaxy")


def test_verify_names_what_is_left(connection, no_kernel):
    _converge(connection, galaxy())
    no_kernel["testnet1"] = None
    with pytest.raises(MultiverseError, match="port.00:00:10:01:01:01 is None, not 'galaxy0'"):
        domain_converge.verify(connection, galaxy())
    no_kernel["testnet1"] = "galaxy0"
    domain_converge.verify(connection, galaxy(memory=256), restart=False, running=None)


def test_errors_of_libvirt_say_what_was_tried(connection):
    with pytest.raises(MultiverseError, match="libvirt has no such domain"):
        domain_converge.start(connection, "galaxy")
    connection.defineXML(to_xml(galaxy()))
    connection.lookupByName("galaxy").create()
    with pytest.raises(MultiverseError, match="starting router galaxy failed"):
        domain_converge.start(connection, "galaxy")


def test_multidevs_depends_on_the_age_of_libvirt():
    class Old:
        version = 3000000

        def getLibVersion(self):
            return self.version

    old = Old()
    assert domain_converge.multidevs(old) == "default"
    old.version = 9000000
    assert domain_converge.multidevs(old) == "remap"
