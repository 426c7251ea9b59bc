"""Everything that must be refused, as data: bad.yml."""

import copy
from pathlib import Path

import pytest
import yaml
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build

HERE = Path(__file__).parent
REFERENCE = yaml.safe_load((HERE / "good/reference.yml").read_text())
CASES = yaml.safe_load((HERE / "bad.yml").read_text())


def changed(given, changes):
    """The inventory with `changes` (dotted path -> value) made."""
    given = copy.deepcopy(given)
    for path, value in changes.items():
        *parents, last = path.split(".") if isinstance(path, str) else [path]
        target = given
        for key in parents:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
        if last == "+":
            target.append(value)
        elif isinstance(target, list):
            target[int(last)] = value
        else:
            target[int(last) if last.isdigit() else last] = value
    return given


def problems_of(case, **more):
    given = changed(REFERENCE["given"], {**case.get("set", {}), **more})
    topology, problems = build(given, case.get("universe", REFERENCE["universe"]))
    assert (topology is None) == bool(problems)
    return problems


def is_told(expected, problems):
    name, field, value, rule = expected
    return any(
        problem.object == name
        and problem.field == field
        and value in problem.value
        and rule in problem.rule
        and all(word in str(problem) for word in expected)
        and problem.remedy
        for problem in problems
    )


def missed(case, problems):
    return [expected for expected in case["says"] if not is_told(expected, problems)]


def title(case):
    return str({**case.get("set", {}), **case.get("universe", {})})[:60]


@pytest.mark.parametrize("case", CASES, ids=title)
def test_bad_input_is_told_with_object_field_and_value(case):
    problems = problems_of(case)
    assert not missed(case, problems), "\n".join(map(str, problems))
    assert len(problems) == len(case["says"]), "\n".join(map(str, problems))


def test_there_are_many_cases():
    assert len(CASES) >= 75


def test_the_reference_itself_is_good():
    assert problems_of({}) == []


@pytest.mark.parametrize("case", CASES, ids=title)
def test_one_problem_does_not_hide_another(case):
    """Each case again, beside a wrong variable, a network and a router that are wrong in every way."""
    changes = case.get("set", {})
    given = changed(REFERENCE["given"], changes)
    more = {} if "user" in changes else {"user": "no body"}
    for key in ("networks", "routers"):
        if key not in changes:
            more[f"{key}.{len(given[key])}.name"] = f"bad {key}"
            given[key].append({})
    _topology, problems = build(changed(given, more), case.get("universe", REFERENCE["universe"]))
    assert not missed(case, problems), "\n".join(map(str, problems))
    assert all(any(value in problem.value for problem in problems) for value in more.values())


def test_messages_name_what_is_available():
    problems = problems_of({"set": {"routers.1.egress": {"type": "tor"}}})
    assert [str(problem) for problem in problems] == [
        'router star, egress.type: "tor" is not an available type of egress; use an available type: direct'
    ]


def test_messages_suggest_the_nearest_word():
    for changes, remedy in (
        ({"networks.1.subnte": 1}, "did you mean subnet?"),
        ({"networks.1.HOST_ACCESS": 1}, "did you mean host_access?"),
        ({"routers.1.upstream": "galxy0"}, "did you mean galaxy0?"),
        ({"libvirt_uri": "qemu:///sytem"}, "did you mean qemu:///system?"),
    ):
        assert remedy in [problem.remedy for problem in problems_of({"set": changes})]


def test_a_derived_mac_asks_for_an_explicit_one():
    problems = problems_of({"set": {"networks.0.mac": "00:00:10:01:01:FE"}})
    assert [problem.remedy for problem in problems] == ["write an explicit mac"]


@pytest.mark.parametrize(
    "path, value, rule",
    [
        ("routers.1.base_files", "a/" * 600, "is 1200 characters long; at most 1024 are allowed"),
        ("routers.1.base_files", "a/" + "b" * 256, "has a part of more than 255 characters"),
        ("routers.1.packages", ["a" * 129], "is 129 characters long; at most 128 are allowed"),
        ("user", "a" * 32, "is 32 characters long; at most 31 are allowed"),
        ("routers.1.links", [{}] * 257, "has 257 items"),
        ("alpine", dict.fromkeys("abcdefghijklmnopqrstuvwxyz0123456789"), "has 36 keys"),
    ],
)
def test_sizes_are_bounded(path, value, rule):
    assert [problem.rule for problem in problems_of({"set": {path: value}})] == [rule]
