"""Plans: truth, order, effect, and the texts a person reads."""

import json

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import (
    Change,
    Plan,
    differences,
    verify,
)

MAC = Change("network", "galaxy0", "mac", "52:54:00:00:00:01", "00:00:10:01:01:fe", "restart")
DHCP = Change("network", "universe0", "dhcp", [], [{"first": "10.0.0.2", "last": "10.0.0.9"}], "live")
NEW = Change("pool", "os-images", "active", None, True, "live")


def test_only_a_plan_with_changes_is_true():
    assert not Plan()
    assert Plan([MAC])


def test_the_heaviest_effect_counts():
    assert Plan().effect is None
    assert Plan([DHCP]).effect == "live"
    assert Plan([DHCP, MAC, NEW]).effect == "restart"


def test_the_part_of_one_object_keeps_its_order():
    plan = Plan([DHCP, MAC]) + Plan([DHCP._replace(field="mac")])
    assert [change.field for change in plan.of("universe0")] == ["dhcp", "mac"]


def test_an_unknown_effect_is_a_bug():
    with pytest.raises(ValueError, match="'reboot'"):
        Change("network", "galaxy0", "mac", None, None, "reboot")


def test_the_result_is_json_in_the_order_of_the_plan():
    result = json.loads(json.dumps(Plan([MAC, DHCP]).to_result()))
    assert [entry["field"] for entry in result] == ["mac", "dhcp"]
    assert result[0] == {
        "kind": "network",
        "name": "galaxy0",
        "field": "mac",
        "before": "52:54:00:00:00:01",
        "after": "00:00:10:01:01:fe",
        "effect": "restart",
    }


def test_the_diff_has_one_text_per_object():
    first, second = Plan([DHCP, MAC, DHCP._replace(field="forward", before="none", after="nat")]).to_diff()
    assert first == {
        "before_header": "network universe0",
        "after_header": "network universe0",
        "before": "dhcp: []\nforward: none\n",
        "after": "dhcp:\n  - {first: 10.0.0.2, last: 10.0.0.9}\nforward: nat\n",
    }
    assert second["before"] == "mac: 52:54:00:00:00:01\n"


def test_a_new_object_has_nothing_before():
    (diff,) = Plan([NEW]).to_diff()
    assert (diff["before"], diff["after"]) == ("", "active: true\n")


@pytest.mark.parametrize(
    "current, expected",
    [
        (None, [("mac", None), ("uplink", None)]),
        ({"mac": "a", "uplink": None, "foreign": 1}, []),
        ({"mac": "b", "uplink": None}, [("mac", "b")]),
        ({"mac": "a"}, [("uplink", None)]),
    ],
)
def test_only_desired_fields_are_compared(current, expected):
    changes = differences("network", "galaxy0", {"mac": "a", "uplink": None}, current, lambda field: "live", "live.")
    assert [(change.field, change.before) for change in changes] == [("live." + f, before) for f, before in expected]


def test_what_is_left_after_a_run_is_named():
    verify(Plan())
    with pytest.raises(MultiverseError, match="network galaxy0 has mac 52:54:00:00:00:01 instead of 00:00:10:01:01:fe"):
        verify(Plan([MAC]))
