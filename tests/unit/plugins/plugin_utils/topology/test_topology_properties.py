"""What holds for any input whatsoever."""

import copy
import datetime
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.natives import natives
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.problems import Problem
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
EVERYTHING = yaml.safe_load((HERE / "good/everything.yml").read_text())
REFERENCE = yaml.safe_load((HERE / "good/reference.yml").read_text())

WORDS = st.sampled_from(["universe0", "galaxy0", "direct", "nat", "10.0.0.0/24", "10.1.1.1", "/srv", "fd00::/8", ""])
SCALARS = (
    WORDS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=9)
    | st.dates()
    | st.just(10**4000)
    | st.just("x" * 100000)
    | st.just(object())
    | st.just({1, 2})
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            SCALARS.filter(lambda key: getattr(key, "__hash__", None))
            | st.sampled_from(["name", "subnet", "type", "first"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def places(value, path=()):
    """The path of everything inside a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, path + (key,))


def replaced(value, path, new):
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


def check(raw, universe):
    topology, problems = build(raw, universe)
    assert (topology is None) == bool(problems)
    for problem in problems:
        assert isinstance(problem, Problem)
        assert str(problem).isprintable() and str(problem).isascii() and len(str(problem)) < 1500
        assert problem.object and problem.rule and problem.remedy
    if topology is not None:
        json.dumps(topology, allow_nan=False)
        sides = [router[side] for router in topology["routers"] for side in ("upstream", "downstream")]
        ports = topology["networks"] + sides
        for key in ("address", "mac"):
            assert len({port[key] for port in ports}) == len(ports)
        before = set()
        for stage in topology["start_order"]:
            for router in topology["routers"]:
                if router["name"] in stage:
                    assert router["requires"] is None or router["requires"] in before
            before.update(stage)
        assert len(before) == len(topology["routers"]) == sum(map(len, topology["start_order"]))
    assert build(raw, universe) == (topology, problems)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_anything_at_all(raw):
    check(raw, {})


@given(st.sampled_from(sorted(places(EVERYTHING["given"]), key=str)), VALUES)
@settings(max_examples=400, deadline=None)
def test_anything_in_any_place(path, value):
    check(replaced(EVERYTHING["given"], path, value), EVERYTHING["universe"])


@given(st.sampled_from(sorted(places(REFERENCE["universe"]), key=str)), VALUES)
@settings(max_examples=100, deadline=None)
def test_anything_in_universe(path, value):
    build(REFERENCE["given"], replaced(REFERENCE["universe"], path, value))


OCTET = st.integers(0, 255)
SUBNETS = st.builds("10.{}.{}.0/{}".format, OCTET, OCTET, st.integers(24, 29))


@st.composite
def inventories(draw):
    """Trees of routers, with some addresses written."""
    subnets = draw(st.lists(SUBNETS, min_size=2, max_size=8, unique_by=lambda subnet: subnet.split("/")[0]))
    networks = [{"name": f"net{index}", "subnet": subnet} for index, subnet in enumerate(subnets)]
    networks[0]["host_access"] = True
    routers = []
    for index in range(1, len(networks)):
        above = draw(st.integers(0, index - 1))
        router = {"name": f"router{index}", "egress": {"type": "direct"}}
        router.update(upstream=f"net{above}", downstream=f"net{index}")
        for key, subnet in (("upstream_address", subnets[above]), ("downstream_address", subnets[index])):
            if draw(st.booleans()):
                router[key] = subnet.split("/")[0][:-1] + str(draw(st.integers(0, 9)))
        routers.append(router)
    return {"networks": draw(st.permutations(networks)), "routers": draw(st.permutations(routers))}


@given(inventories())
@settings(max_examples=150, deadline=None)
def test_trees_of_routers(raw):
    check(raw, {})


def test_recursive_and_endless_yaml():
    loop = yaml.safe_load("&a [*a]")
    deep = []
    for _level in range(5000):
        deep = [deep]
    laughs = yaml.safe_load(
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi"))
    )
    for value in (loop, deep, laughs, [laughs] * 256, {"name": loop, "subnet": deep}):
        for raw in (value, {"networks": value, "routers": [value], "alpine": value}):
            check(raw, {})
            check(natives(raw), {})


def test_many_items_stay_cheap_and_too_many_are_refused():
    many = {"networks": [{"name": "x", "subnet": "10.0.0.0/8", "k" * 99: 1}] * 256, "routers": [{"name": "x"}] * 256}
    _topology, problems = build(many, {})
    assert len(problems) > 1000
    _topology, problems = build({"networks": [1] * 257, "routers": [{str(key): 1 for key in range(99)}]}, {})
    assert [problem.rule for problem in problems] == ["has 257 items", "has 99 keys"]


@pytest.mark.parametrize(
    "value", [10**6000, datetime.date(2020, 1, 1), {1}, object(), b"x", 1j], ids=lambda value: type(value).__name__
)
def test_values_that_no_json_has(value):
    check({"networks": [{"name": value, "subnet": value, "mac": value}], "routers": value}, {})
