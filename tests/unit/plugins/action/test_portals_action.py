"""The action `portals`: which modules it calls with what, and what it makes of their answers."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.playbook.play_context import PlayContext
from ansible_collections.multiverse.router_controller.plugins.action import portals
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build

REFERENCE = yaml.safe_load((Path(__file__).parent.parent / "plugin_utils/topology/good/reference.yml").read_text())
POOL = "/var/lib/multiverse/network-controller/"
QUIET = {"changed": False, "changes": [], "diff": []}
CHANGED = {
    "changed": True,
    "changes": [{"path": POOL + "x", "what": ["content"]}],
    "diff": [{"before": "a", "after": "b"}],
}


class Action(portals.ActionModule):
    """The action on a universe whose modules answer with `answers`."""

    def __init__(self, args, basedir, answers):
        task = SimpleNamespace(args=args, async_val=0, action="portals", environment=None, diff=False, check_mode=True)
        loader = SimpleNamespace(get_basedir=lambda: str(basedir))
        super().__init__(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), PlayContext(), loader, None, None)
        self.answers, self.called = answers, {}

    def _execute_module(self, module_name, module_args, task_vars, **_more):
        name = module_name.split(".")[-1]
        self.called[name] = module_args
        return dict(self.answers.get(name, QUIET))


@pytest.fixture
def play(tmp_path):
    """Runs the action: its result and what it called. `galaxy`: keys of the first router."""

    def run(answers=None, inventory=None, **galaxy):
        given = REFERENCE["given"]
        routers = [dict(given["routers"][0], **galaxy), given["routers"][1]]
        topology, problems = build(dict(given, routers=routers), REFERENCE["universe"])
        assert not problems
        action = Action({"topology": topology, "packages": ["dnsmasq"]}, tmp_path / "playbooks", answers or {})
        return action.run(task_vars={"inventory_dir": inventory and str(inventory)}), action.called

    return run


def test_all_portals_go_in_one_call_and_nothing_else_stays_in_them(play):
    result, called = play(links=[{"name": "shared", "source": "/srv/shared"}])
    folders = [POOL + name + ".portal.multiverse" for name in ("build", "galaxy", "star")]
    assert called["files"]["exclusive"] == folders
    for folder in folders:
        assert folder + "/packages.sh" in [entry["path"] for entry in called["files"]["files"]]
    assert [mount["target"] for mount in called["mounts"]["mounts"]] == [folders[1] + "/shared"]
    assert result == dict(result, changed=False, rendered=[], mounts=[], diff=[], warnings=[])


def test_changes_of_both_are_one_result(play):
    mounts = {"changed": True, "changes": [{"name": "/x"}], "diff": [{"before": "", "after": "m"}], "warnings": ["w"]}
    result, _called = play({"files": CHANGED, "mounts": mounts})
    assert result["changed"] and result["rendered"] == [POOL + "x"] and result["mounts"] == [{"name": "/x"}]
    assert result["diff"] == CHANGED["diff"] + mounts["diff"] and result["warnings"] == ["w"]


@pytest.mark.parametrize("module, called", [("files", ["files"]), ("mounts", ["files", "mounts"])])
def test_a_failed_module_ends_it(play, module, called):
    result, found = play({module: {"failed": True, "msg": "no"}})
    assert result["failed"] and result["msg"] == "no" and sorted(found) == called


def test_base_files_lie_beside_the_inventory_or_else_the_playbook(play, tmp_path):
    for place in ("inventory", "playbooks"):
        (tmp_path / place / "files/galaxy").mkdir(parents=True)
        (tmp_path / place / "files/galaxy/mark").write_text(place)

    def content(**more):
        _result, called = play(base_files="files/galaxy", **more)
        (entry,) = [entry for entry in called["files"]["files"] if entry["path"].endswith("/base-files/mark")]
        return entry["content_b64"]

    beside_inventory, beside_playbook = content(inventory=tmp_path / "inventory"), content(inventory=tmp_path / "other")
    assert beside_inventory != beside_playbook == content()


def test_base_files_that_are_not_there_or_in_the_way_are_named(play, tmp_path):
    with pytest.raises(
        AnsibleActionFail, match="router galaxy: base_files 'files/x' is no folder; looked for .*/files/x"
    ):
        play(base_files="files/x")
    (tmp_path / "playbooks/files/x/etc").mkdir(parents=True)
    play(base_files="files/x")
    (tmp_path / "playbooks/files/x/etc/hostname").write_text("other")
    with pytest.raises(AnsibleActionFail, match="router galaxy: base_files has base-files/etc/hostname, in the way"):
        play(base_files="files/x")
