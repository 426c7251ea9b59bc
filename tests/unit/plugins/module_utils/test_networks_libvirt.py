"""Networks through a real libvirt: its test driver parses and writes the XML as the network driver does."""

import libvirt
import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import networks
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import (
    connect,
    find_network,
)
from ansible_collections.multiverse.router_controller.tests.unit.plugins.module_utils.test_networks import models
from hypothesis import HealthCheck, given, settings


@pytest.fixture(scope="module")
def connection():
    with connect("test:///default") as opened:
        yield opened


@given(models, models)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_libvirt_keeps_what_we_declare(connection, network, other):
    network = network._replace(name="codec", bridge="codec")
    other = other._replace(name="codec", bridge="codec")
    defined = connection.networkDefineXML(networks.to_xml(other))
    try:
        text = defined.XMLDesc()
        assert networks.from_xml(text) == other
        redefined = connection.networkDefineXML(networks.to_xml(network, text))
        assert networks.from_xml(redefined.XMLDesc()) == network
        assert networks.is_ours(redefined.XMLDesc())
        assert redefined.UUIDString() == defined.UUIDString()
        redefined.create()
        assert networks.from_xml(redefined.XMLDesc()) == network
        redefined.destroy()
    finally:
        find_network(connection, "codec").undefine()


def test_libvirt_keeps_foreign_elements(connection):
    network = networks.from_declared(
        {
            "name": "foreign",
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
    base = networks.to_xml(network).replace("</network>", '<domain name="lan" localOnly="yes"/></network>')
    connection.networkDefineXML(base)
    changed = network._replace(mac="00:00:10:00:00:09", dhcp=[])
    defined = connection.networkDefineXML(networks.to_xml(changed, find_network(connection, "foreign").XMLDesc()))
    assert networks.from_xml(defined.XMLDesc()) == changed
    assert "<domain name='lan' localOnly='yes'/>" in defined.XMLDesc()
    defined.undefine()


@pytest.mark.parametrize("lookup", ["network", "pool", "domain"])
def test_lookups_return_none(connection, lookup):
    from ansible_collections.multiverse.router_controller.plugins.module_utils import libvirt_connection

    find = getattr(libvirt_connection, "find_" + lookup)
    assert find(connection, "nothing-of-this-name") is None
    assert find(None, "nothing-of-this-name") is None


def test_the_test_driver_has_what_these_tests_need(connection):
    assert connection.getType() == "TEST"
    assert libvirt.getVersion() >= 3000000
