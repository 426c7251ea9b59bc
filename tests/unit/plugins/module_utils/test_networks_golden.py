"""Networks: every case of tests/golden/networks, by one loop."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import networks
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.tests.unit.golden import canonical, cases


def _current(case):
    bridge = case.state.get("bridge")
    views = networks.Current.NONE._replace(bridge=bridge and networks.Bridge(**bridge))
    if case.current_xml is None:
        return views
    return views._replace(
        persistent=networks.from_xml(case.current_xml),
        live=case.live_xml and networks.from_xml(case.live_xml),
        autostart=case.state["autostart"],
        ours=networks.is_ours(case.current_xml),
    )


@pytest.mark.parametrize("case", **cases("networks"))
def test_plan(case):
    desired = networks.from_declared(case.desired)
    if case.error:
        with pytest.raises(MultiverseError) as raised:
            networks.plan(desired, _current(case))
        assert case.error in str(raised.value)
    else:
        plan = networks.plan(desired, _current(case))
        assert [tuple(change[2:]) for change in plan] == case.changes
        assert {tuple(change[:2]) for change in plan} <= {("network", desired.name)}


@pytest.mark.parametrize("case", **cases("networks"))
def test_definition(case):
    if case.expected_xml:
        made = networks.to_xml(networks.from_declared(case.desired), case.current_xml)
        assert canonical(made) == canonical(case.expected_xml)
