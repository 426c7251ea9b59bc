"""Runs: what is kept of them, on disk and off it."""

import json
import os
import stat
import threading

import pytest
from fake_libvirt import FakeGuest, FakeLibvirt
from hypothesis import given
from hypothesis import strategies as st
from multiverse import runs
from multiverse.guests import Guest
from multiverse.problems import AgentUnreachable, BadReply, Problem, RunInProgress, UnknownRun
from multiverse.programs import Outcome

RESULTS = [
    (b"", None),
    (b"hello\n", None),
    (b'noise\n{"changed": ["a"], "failed": []}\n', {"changed": ["a"], "failed": []}),
    (b'{"changed": []}\n\n \n', {"changed": []}),
    (b'{"a": 1}\n{"b": 2}', {"b": 2}),
    (b'{"a": 1}\nlast words', None),
    (b"[1]", None),
    (b'{"a": NaN}', None),
    (b'{"a": ' + b"[" * 5000, None),
    (b'{"a": "' + b"x" * runs.MAX_RESULT + b'"}', None),
    (b'{"a": "\xff"}', {"a": "\ufffd"}),
]


@pytest.mark.parametrize("stdout, expected", RESULTS)
def test_result_is_the_last_line(stdout, expected):
    assert runs.result_of(stdout) == expected


@given(st.binary(max_size=300))
def test_any_output_gives_an_object_or_nothing(stdout):
    assert runs.result_of(stdout) is None or isinstance(runs.result_of(stdout), dict)


def run(script="provision", **members):
    return dict(runs.new_run("galaxy", script, [], "abc", 300, None), **members)


OUTCOMES = [
    (Outcome(0, None, b"{}", b"", False, False), dict(ok=True, exit_code=0, result={}, error=None)),
    (Outcome(0, None, b'{"failed": [{"step": 1}]}', b"", False, False), dict(ok=False, exit_code=0)),
    (Outcome(1, None, b"", b"oops", False, False), dict(ok=False, exit_code=1, stderr="oops", result=None)),
    (
        Outcome(None, 9, b'{"failed": []}', b"", False, True),
        dict(ok=False, timed_out=True, result=None, error="not done within 300 s, killed"),
    ),
    (Outcome(0, None, b"a" + b"b" * runs.TAIL, b"", False, False), dict(stdout="b" * runs.TAIL, truncated=True)),
]


@pytest.mark.parametrize("outcome, expected", OUTCOMES)
def test_finished(outcome, expected):
    done = runs.finished(run(), outcome)
    assert done["state"] == "done" and done["finished"]
    assert {key: done[key] for key in expected} == expected


def test_history_survives_and_is_bounded(tmp_path):
    path = str(tmp_path / "galaxy.json")
    history = runs.History(path)
    first = run("packages", state="done", ok=True, inputs="old")
    history.put(first)
    history.put(run("packages", state="done", ok=False, arguments=["--check"]))
    for _number in range(30):
        history.put(run(state="done", ok=True))
    again = runs.History(path)
    assert again.all() == history.all()
    # The only runs of packages.sh are older than the last twenty, and stay; one that only looked is not the last run.
    assert len(again.all()) == runs.KEPT + 2
    assert again.last("packages") == first
    assert again.get(first["id"]) == first
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o007 == 0
    assert os.listdir(str(tmp_path)) == ["galaxy.json"]
    with pytest.raises(UnknownRun):
        again.get("nonsense")


def test_a_run_cut_off_by_a_restart_is_interrupted(tmp_path):
    path = str(tmp_path / "galaxy.json")
    runs.History(path).put(run())
    found = runs.History(path).last("provision")
    assert (found["state"], found["ok"]) == ("interrupted", False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"runs": [5]}', "\x00", '{"runs": null}'])
def test_a_damaged_history_is_forgotten(tmp_path, text):
    path = tmp_path / "galaxy.json"
    path.write_text(text)
    assert runs.History(str(path)).all() == []


@pytest.fixture
def runner(tmp_path):
    fake = FakeLibvirt(galaxy=FakeGuest())
    portal = tmp_path / "portal"
    portal.mkdir()
    history = runs.History(str(tmp_path / "galaxy.json"))
    made = runs.Runner(Guest("galaxy", fake), str(portal), history)
    made.portal, made.fake = portal, fake
    return made


def ended(runner, started):
    for _attempt in range(200):
        found = runner.history.get(started["id"])
        if found["state"] != "running":
            return found
        threading.Event().wait(0.05)
    raise AssertionError("the run did not end")


def test_script_gets_its_arguments(runner):
    (runner.portal / "provision.sh").write_text('echo "$#:$1" >&2; echo \'{"changed": ["x"], "failed": []}\'')
    started = runner.start("provision", ["--check"], "h1", 30, {"uid": 0, "gid": 0, "pid": 1})
    assert started["state"] == "running"
    done = ended(runner, started)
    assert (done["ok"], done["result"], done["stderr"]) == (True, {"changed": ["x"], "failed": []}, "1:--check\n")
    assert (done["inputs"], done["peer"]["uid"]) == ("h1", 0)


def test_one_run_at_a_time(runner):
    (runner.portal / "packages.sh").write_text("sleep 30")
    started = runner.start("packages", [], None, 1, None)
    with pytest.raises(RunInProgress):
        runner.start("provision", [], None, 1, None)
    assert ended(runner, started)["timed_out"]
    (runner.portal / "provision.sh").write_text("exit 3")
    assert ended(runner, start_when_free(runner))["exit_code"] == 3


def start_when_free(runner):
    for _attempt in range(100):
        try:
            return runner.start("provision", [], None, 5, None)
        except RunInProgress:
            threading.Event().wait(0.02)
    raise AssertionError("the runner never got free")


def test_a_run_that_could_not_start_leaves_no_trace(runner):
    runner.fake.guests["galaxy"].override = lambda request: AgentUnreachable("wedged")
    with pytest.raises(AgentUnreachable):
        runner.start("provision", [], None, 5, None)
    assert runner.history.all() == []
    assert json.loads((runner.portal.parent / "galaxy.json").read_text())["runs"] == []
    runner.fake.guests["galaxy"].override = None
    assert ended(runner, runner.start("provision", [], None, 5, None))["exit_code"] != 0


def test_a_guest_that_turns_hostile_ends_the_run(runner):
    (runner.portal / "provision.sh").write_text("sleep 30")
    started = runner.start("provision", [], None, 30, None)
    runner.fake.guests["galaxy"].override = lambda request: BadReply("nested too deeply")
    done = ended(runner, started)
    assert (done["state"], done["ok"], done["error"]) == ("done", False, "nested too deeply")


def test_a_full_disk_is_told_and_blocks_nothing(runner, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_atomically", full)
        with pytest.raises(Problem, match="No space left"):
            runner.start("provision", [], None, 5, None)
    assert runner.history.all() == []
    assert ended(runner, runner.start("provision", [], None, 5, None))["state"] == "done"
