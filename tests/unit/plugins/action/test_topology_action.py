"""The action: what it asks universe, and how it says what it found."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.playbook.play_context import PlayContext
from ansible_collections.multiverse.router_controller.plugins.action import topology
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.universe import COMMAND

HERE = Path(__file__).parent
REFERENCE = yaml.safe_load((HERE.parent / "plugin_utils/topology/good/reference.yml").read_text())
PRINTED = "default via 192.168.1.1 dev ens12\n192.168.1.0/24 dev ens12\n%%\n%%\n%%\n"


class Action(topology.ActionModule):
    """The action on a universe that answers with `answer`."""

    def __init__(self, args, answer):
        task = SimpleNamespace(args=args, async_val=0, action="topology", environment=None, diff=False, check_mode=True)
        super().__init__(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), PlayContext(), None, None, None)
        self.answer = answer
        self.asked = []

    def _low_level_execute_command(self, cmd, **_more):
        self.asked.append(cmd)
        return self.answer


def run(args, rc=0, stdout=PRINTED, stderr=""):
    action = Action(args, {"rc": rc, "stdout": stdout, "stderr": stderr})
    return action.run(task_vars={}), action.asked


def test_it_sets_the_fact_and_changes_nothing():
    result, asked = run(REFERENCE["given"])
    assert result["changed"] is False and not result.get("failed")
    made = result["ansible_facts"]["multiverse_topology"]
    assert made["start_order"] == [["galaxy"], ["star"]]
    assert made["networks"][0]["uplink"] == "ens12"
    assert asked == [COMMAND]


def test_it_only_looks():
    words = COMMAND.replace(";", " ").split()
    assert words.count("ip") == words.count("show") == 4
    assert not {"add", "del", "set", "flush", "sudo"} & set(words)


def test_all_problems_are_in_one_message_a_line_each():
    given = dict(REFERENCE["given"], user="root", alpine={"release": 3.23}, nonsense=1)
    result, _asked = run(given, stdout="default dev ens12\n10.1.1.0/24 dev ens13\n")
    assert result["failed"] and "ansible_facts" not in result
    lines = result["msg"].splitlines()
    assert lines[0] == "The topology has 4 problems; nothing was changed:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "- multiverse_nonsense",
        "- multiverse_user",
        "- multiverse_alpine, release",
        "- network galaxy0, subnet",
    ]


def test_a_universe_that_does_not_answer_is_one_problem_among_others():
    result, _asked = run(dict(REFERENCE["given"], user="root"), rc=127, stdout="", stderr="sh: ip: not found\n")
    assert 'universe, routes: "sh: ip: not found" is what came back' in result["msg"]
    assert 'multiverse_user: "root"' in result["msg"]


def test_without_netaddr_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(topology, "MISSING", ImportError("No module named 'netaddr'"))
    result, asked = run(REFERENCE["given"])
    assert result["failed"] and "pip install netaddr" in result["msg"] and asked == []


@pytest.mark.parametrize(
    "args",
    [{}, {"networks": None}, {"networks": [["x" * 10**7] * 256] * 256, "routers": 1}],
    ids=["nothing", "null", "too much"],
)
def test_hostile_arguments_make_a_short_message(args):
    result, _asked = run(args)
    assert result["failed"] and len(result["msg"]) < 30000
    assert len(result["msg"].splitlines()) <= topology.MOST_SHOWN + 2
