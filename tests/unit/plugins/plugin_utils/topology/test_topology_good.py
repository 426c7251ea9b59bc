"""Topologies that must be accepted, and what is derived from them, as data: good/."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build

HERE = Path(__file__).parent
CASES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((HERE / "good").glob("*.yml"))}
INVENTORY = HERE.parents[4] / "inventory/group_vars/all"


def built(given, universe):
    topology, problems = build(given, universe)
    assert not problems, "\n".join(map(str, problems))
    return topology


def at(value, path):
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def as_given(topology):
    """A finished topology, written as an inventory in which nothing is left to derive."""
    networks = ("name", "subnet", "address", "mac", "host_access", "dhcp", "forward", "uplink")
    routers = ("name", "clients", "egress", "memory", "ephemeral", "packages", "base_files", "links")
    alpine = ("release", "image", "sha512", "keys", "revision")
    return {
        "networks": [{key: network[key] for key in networks} for network in topology["networks"]],
        "routers": [
            {
                **{key: router[key] for key in routers},
                **{side: router[side]["network"] for side in ("upstream", "downstream")},
                **{
                    f"{side}_{key}": router[side][key]
                    for side in ("upstream", "downstream")
                    for key in ("address", "mac")
                },
            }
            for router in topology["routers"]
        ],
        "pools": topology["pools"],
        "user": topology["user"],
        "libvirt_uri": topology["libvirt_uri"],
        "alpine": {key: topology["alpine"][key] for key in alpine},
        "alpine_mirror": topology["alpine"]["mirror"],
    }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_derived(case):
    topology = built(case["given"], case["universe"])
    for path, expected in case["expect"].items():
        assert at(topology, path) == expected, path


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_topology_is_json_and_its_input_stays_as_it_is(case):
    given = copy.deepcopy(case["given"])
    topology = built(given, case["universe"])
    assert given == case["given"]
    assert json.loads(json.dumps(topology)) == topology


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_derived_values_written_out_give_the_same_topology(case):
    topology = built(case["given"], case["universe"])
    assert built(as_given(topology), case["universe"]) == topology


def test_every_topology_has_the_same_keys():
    def shape(value):
        return {key: shape(item) for key, item in value.items()} if isinstance(value, dict) else None

    topologies = [built(case["given"], case["universe"]) for case in CASES.values()]
    for name in ("networks", "routers"):
        shapes = [shape(dict(item, dhcp=None)) for topology in topologies for item in topology[name]]
        assert all(one == shapes[0] for one in shapes)


def test_the_inventory_that_ships_is_the_reference_topology():
    variables = {}
    for path in INVENTORY.glob("*.yml"):
        variables.update(yaml.safe_load(path.read_text()))
    given = {name.replace("multiverse_", "", 1): value for name, value in variables.items()}
    case = CASES["reference"]
    assert set(given) == {"networks", "routers", "pools", "user", "libvirt_uri", "alpine", "alpine_mirror"}
    assert built(given, case["universe"]) == built(case["given"], case["universe"])
