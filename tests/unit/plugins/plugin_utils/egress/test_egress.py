"""The types of egress: one file each, and nothing else that knows them."""

from pathlib import Path

import pytest
import yaml
from ansible_collections.multiverse.router_controller.plugins.plugin_utils import egress
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build

REFERENCE = yaml.safe_load((Path(__file__).parent.parent / "topology/good/reference.yml").read_text())
NEW_TYPE = """
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.reading import Key, whole
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.values import address

KEYS = {'port': Key(whole(1, 65535, 'a port'), default=1194), 'server': Key(address, required=True)}


def check(router, topology):
    if router.fields.egress.port == 22:
        router.place.key('egress').key('port').wrong(22, 'is for SSH', 'choose another port')
"""


@pytest.fixture
def new_type(tmp_path, monkeypatch):
    """A type of egress that is one new file."""
    (tmp_path / "pigeon.py").write_text(NEW_TYPE)
    monkeypatch.setattr(egress, "__path__", [*egress.__path__, str(tmp_path)])


def built(written):
    routers = [dict(REFERENCE["given"]["routers"][0], egress=written), *REFERENCE["given"]["routers"][1:]]
    topology, problems = build(dict(REFERENCE["given"], routers=routers), REFERENCE["universe"])
    return topology and topology["routers"][0]["egress"], [str(problem) for problem in problems]


def test_every_type_has_its_parts():
    assert "direct" in egress.available()
    for module in egress.available().values():
        assert isinstance(module.KEYS, dict) and "type" not in module.KEYS
        assert callable(module.check) and module.__doc__


def test_direct():
    assert built({"type": "direct"}) == ({"type": "direct"}, [])


@pytest.mark.parametrize("name", ["openvpn", "wireguard", "tor", "Direct", "../direct", "__init__", "direct "])
def test_an_unavailable_type_names_router_type_and_the_available_ones(name):
    assert built({"type": name, "config": "x"}) == (
        None,
        [
            f'router galaxy, egress.type: "{name}" is not an available type of egress; use an available type: '
            + ", ".join(sorted(egress.available()))
        ],
    )


def test_a_new_file_is_a_new_type(new_type):
    assert built({"type": "pigeon", "server": "192.0.2.1"}) == (
        {"type": "pigeon", "port": 1194, "server": "192.0.2.1"},
        [],
    )
    assert built({"type": "pigeon", "port": 0, "srever": 1})[1] == [
        "router galaxy, egress.srever: 1 is given to an unknown key; did you mean server?",
        "router galaxy, egress.port: 0 is out of bounds; write a whole number from 1 to 65535 (a port)",
        "router galaxy, egress.server: is missing; write it",
    ]
    assert built({"type": "pigeon", "port": 22, "server": "192.0.2.1"})[1] == [
        "router galaxy, egress.port: 22 is for SSH; choose another port"
    ]
