"""Routers: the definitions of real libvirts and the plans in tests/golden/domains, by one loop each."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.multiverse.router_controller.plugins.module_utils import domain_plan, domain_xml, domains
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change
from ansible_collections.multiverse.router_controller.tests.unit.golden import GOLDEN, canonical

FOLDER = GOLDEN / "domains"
DECLARED = yaml.safe_load((FOLDER / "desired.yml").read_text())
NO_STEPS = {
    "define": False, "stop": False, "start": False, "resume": False, "detach": [], "attach": [], "replug": [],
}  # fmt: skip
REAL = sorted(FOLDER.glob("real/*.xml"))
PLANS = sorted(FOLDER.glob("cases/*.yml"))


def _text(view, edits):
    """The real definition of this view with the case's edits, each of which must find something to change."""
    if edits == "absent":
        return None
    text = (FOLDER / "real" / ("libvirt-9.0-%s.xml" % view)).read_text()
    for old, new in edits or []:
        if new == "cut":
            start, end = text.rfind("<interface", 0, text.index(old)), text.index("</interface>", text.index(old))
            text = text[:start] + text[end + len("</interface>") :]
            continue
        assert str(old) in text, "nothing to edit: %s" % old
        text = text.replace(str(old), str(new))
    return text


def _current(case):
    persistent, live = _text("persistent", case.get("persistent")), _text("live", case.get("live"))
    if persistent is None and live is None:
        return None
    masters = dict({"tap0": "universe0", "tap1": "galaxy0"}, **case.get("ports", {}))
    cards = domain_xml.cards(live) if live else []
    return domain_plan.Current(
        persistent=persistent and domain_xml.from_xml(persistent),
        live=live and domain_xml.from_xml(live),
        state=case.get("state", "running" if live else "shutoff"),
        ports=[domain_plan.Port(card.entry, card.tap, masters[card.tap]) for card in cards],
        ours=domain_xml.is_ours(persistent or live),
    )


def _short(value):
    """Cards as mac@bridge, wherever they are."""
    if isinstance(value, domain_plan.Port):
        return _short(value.entry)
    if isinstance(value, dict) and "mac" in value:
        return "%s@%s" % (value["mac"], value["bridge"])
    return [_short(entry) for entry in value] if isinstance(value, list) else value


def _plan(case, desired, current):
    recreate = [Change("router", "galaxy", *case["recreate"], "recreate")] if "recreate" in case else []
    return domain_plan.plan(desired, current, running=case.get("running", True), recreate=recreate)


@pytest.mark.parametrize("path", PLANS, ids=[path.stem for path in PLANS])
def test_plan(path):
    case = yaml.safe_load(path.read_text())
    desired, current = domains.router(**dict(DECLARED, **case.get("desired", {}))), _current(case)
    if "error" in case:
        with pytest.raises(MultiverseError, match=case["error"]):
            _plan(case, desired, current)
        return
    plan = _plan(case, desired, current)
    if case.get("fields_only"):
        assert [change.field for change in plan] == case["changes"]
        assert plan.effect == case["effect"]
    else:
        assert [[_short(part) for part in change[2:]] for change in plan] == case["changes"]
    assert {change[:2] for change in plan} <= {("router", "galaxy")}
    steps = domain_plan.steps(desired, current, plan, restart=case.get("restart", True))
    assert {name: _short(step) for name, step in steps._asdict().items()} == dict(NO_STEPS, **case["steps"])


@pytest.mark.parametrize("path", REAL, ids=[path.stem for path in REAL])
def test_real_libvirts_keep_what_we_declare(path):
    desired = domains.router(**DECLARED)
    assert domain_xml.from_xml(path.read_text()) == domains.sort_devices(desired)
    assert domain_xml.is_ours(path.read_text())


@pytest.mark.parametrize("path", REAL, ids=[path.stem for path in REAL])
def test_updating_a_real_definition_keeps_it(path):
    """Nothing is to be changed, so nothing is, but for the copy of the serial port and the units of the memory."""
    text = path.read_text()
    made = domain_xml.to_xml(domains.router(**DECLARED), text)
    for tag in ("uuid", "address ", "controller ", "emulator", "input ", "watchdog "):
        assert made.count("<" + tag) == text.count("<" + tag)
    assert re.search('machine="(.*?)"', made).group(1) == re.search("machine='(.*?)'", text).group(1)
    assert domain_xml.from_xml(made) == domain_xml.from_xml(text)


def test_the_first_definition():
    made = domain_xml.to_xml(domains.router(**DECLARED))
    assert canonical(made) == canonical(Path(FOLDER / "new.xml").read_text())


def test_the_corpus_is_complete():
    """Debian 11, 12 and 13, both views: the oldest needs its own machine to be captured on."""
    assert {path.stem for path in REAL} == {
        "libvirt-%s-%s" % (version, view) for version in ("7.0", "9.0", "11.3") for view in ("live", "persistent")
    }


@pytest.mark.parametrize("case", [None, "foreign", "ours"])
def test_removal(case):
    edits = [["https://multiverse/router_controller/1", "https://other"]] if case == "foreign" else []
    current = _current({"persistent": edits, "live": edits}) if case else None
    plan = domain_plan.plan_removal("galaxy", current)
    assert [change.field for change in plan] == (["state"] if case == "ours" else [])
