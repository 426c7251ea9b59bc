"""How values are shown, whatever they are."""

import datetime

import pytest
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.problems import HIDDEN, Place, show

SHOWN = [
    ("text", '"text"'),
    ('it\'s "so"', '"it\'s \\"so\\""'),
    ("a\nb\x00", '"a\\nb\\u0000"'),
    ("\ud800", '"\\ud800"'),
    (True, "true"),
    (None, "null"),
    (7, "7"),
    (-7, "-7"),
    (10**6000, "<a number of about 6000 digits>"),
    (1.5, "1.5"),
    (float("nan"), ".nan"),
    (float("-inf"), "-.inf"),
    (b"secret", "<binary data>"),
    ({1}, "<a value of type set>"),
    (datetime.date(2020, 1, 2), "2020-01-02"),
    ([1, "a", None], '[1, "a", null]'),
    ({"a": [1]}, '{"a": [1]}'),
    ([[[[1]]]], "[[[...]]]"),
    (HIDDEN, "(not shown)"),
]


@pytest.mark.parametrize("value, shown", SHOWN, ids=[shown for _value, shown in SHOWN])
def test_shown(value, shown):
    assert show(value) == shown


@pytest.mark.parametrize(
    "value",
    ["x" * 10**7, ["x"] * 10**6, {"x" * 1000: "y" * 1000}, [["x" * 999] * 99] * 99],
    ids=["text", "list", "mapping", "nested"],
)
def test_large_values_are_cut(value):
    assert len(show(value)) < 100
    assert show(value).endswith("...")


def test_a_problem_is_one_line():
    problems = []
    place = Place(problems, "router star").key("links").item(0).key("source")
    place.wrong("a\nb", "is bad", "mend it")
    place.missing("is missing", "write it")
    assert [str(problem) for problem in problems] == [
        'router star, links[0].source: "a\\nb" is bad; mend it',
        "router star, links[0].source: is missing; write it",
    ]
