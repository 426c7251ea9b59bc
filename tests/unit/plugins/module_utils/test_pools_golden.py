"""Pools: every case of tests/golden/pools, by one loop."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import pools
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.tests.unit.golden import canonical, cases


def _current(case):
    directory = case.state["directory"]
    return pools.Current(
        persistent=case.current_xml and pools.from_xml(case.current_xml),
        live=case.live_xml and pools.from_xml(case.live_xml),
        directory=directory and pools.Directory(**directory),
        autostart=case.state["autostart"],
    )


@pytest.mark.parametrize("case", **cases("pools"))
def test_plan(case):
    desired = pools.from_declared(**case.desired)
    if case.error:
        with pytest.raises(MultiverseError) as raised:
            pools.plan(desired, _current(case))
        assert case.error in str(raised.value)
    else:
        plan = pools.plan(desired, _current(case))
        assert [tuple(change[2:]) for change in plan] == case.changes
        assert {tuple(change[:2]) for change in plan} <= {("pool", desired.name)}


@pytest.mark.parametrize("case", **cases("pools"))
def test_definition(case):
    if case.expected_xml:
        made = pools.to_xml(pools.from_declared(**case.desired), case.current_xml)
        assert canonical(made) == canonical(case.expected_xml)
