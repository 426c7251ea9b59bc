"""The action `provision`: it calls until all is done, hands the progress on, and shows what is new."""

from types import SimpleNamespace

from ansible.playbook.play_context import PlayContext
from ansible_collections.multiverse.router_controller.plugins.action import provision


def entry(phase, message):
    return {"phase": phase, "message": message, "run": None, "since": 1.5, "changes": [], "results": {}}


class Action(provision.ActionModule):
    """The action; the module answers with one of `answers` a call."""

    def __init__(self, answers):
        task = SimpleNamespace(
            args={"routers": [{"name": "galaxy"}], "images": {}},
            async_val=0,
            action="provision",
            environment=None,
            diff=False,
            check_mode=False,
        )
        super().__init__(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), PlayContext(), None, None, None)
        self.answers, self.given, self.shown = list(answers), [], []
        self._display = SimpleNamespace(display=self.shown.append)

    def _execute_module(self, module_name, module_args, task_vars, **_more):
        self.given.append(dict(module_args))
        return self.answers.pop(0)


def answer(finished, **progress):
    return {"finished": finished, "changed": False, "progress": progress, "diff": []}


BOOT, RUN = entry("agent", "boots"), entry("packages", "packages.sh")


def test_it_calls_until_all_is_done_and_shows_each_step_once():
    done = answer(True, galaxy=entry("done", "provisioned"), star=entry("done", "provisioned"))
    action = Action(
        [
            answer(False, star=BOOT, galaxy=BOOT),
            answer(False, star=BOOT, galaxy=RUN),
            answer(False, star=BOOT, galaxy=RUN),
            done,
        ]
    )
    assert action.run(task_vars={}) == dict(done)
    assert action.shown == ["  galaxy: agent: boots", "  star: agent: boots", "  galaxy: packages: packages.sh"]
    assert "progress" not in action.given[0]
    assert [given["progress"]["galaxy"] for given in action.given[1:]] == [BOOT, RUN, RUN]
    assert all(given["routers"] == [{"name": "galaxy"}] for given in action.given)


def test_a_failure_ends_it_with_the_words_of_the_module():
    failed = {"failed": True, "msg": "router galaxy: provision.sh line 5: no", "progress": {}}
    action = Action([answer(False, galaxy=BOOT), failed])
    assert action.run(task_vars={}) == failed


def test_a_module_that_never_ran_ends_it():
    assert Action([{"failed": True, "msg": "unreachable"}]).run(task_vars={})["msg"] == "unreachable"
