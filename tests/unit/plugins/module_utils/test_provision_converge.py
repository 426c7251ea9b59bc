"""Driving the scripts of all routers, against a routerd and guests that behave as the case wants."""

import json

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import provision_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.provision_converge import Provisioning
from ansible_collections.multiverse.router_controller.plugins.module_utils.routerd_client import (
    RouterdProblem,
    RouterdUnreachable,
)

CHECK = ["--check"]
FILE = {"kind": "file", "name": "/etc/x", "action": "updated"}
BUSY = RouterdProblem(409, "run-in-progress", "router galaxy is running a script")
DOWN = RouterdUnreachable("routerd (/run/multiverse/admin.sock): nobody listens there")
NO_AGENT = RouterdProblem(503, "agent-unreachable", "the agent of galaxy does not answer")
UNKNOWN = RouterdProblem(404, "unknown-router", "there is no router galaxy")


class Guest:
    """One router as routerd shows it. ``differs``: what its scripts would change; ``answers``: what comes before the
    honest answers, one request each: an exception, or a dict that the answer is updated with."""

    def __init__(self, agent="ok"):
        self.agent, self.runs, self.started = agent, [], []
        self.differs = {"packages": [], "provision": []}
        self.fails, self.answers, self.looks = {}, [], 2

    def start(self, script, arguments, inputs, deadline):
        assert 0 < deadline <= 3600 and not any(run["state"] == "running" for run in self.runs)
        checked = arguments == CHECK
        self.started.append(script + ".sh" + "".join(" " + argument for argument in arguments))
        changed = [dict(FILE, name=name) for name in self.differs[script]]
        failed = self.fails.get(script, []) if not checked else []
        self.runs.insert(
            0,
            {
                "id": str(len(self.runs)),
                "script": script,
                "arguments": arguments,
                "inputs": inputs,
                "state": "running",
                "ok": None,
                "left": self.looks,
                "exit_code": 1 if failed else 0,
                "stdout": "out",
                "stderr": "",
                "error": None,
                "result": {"changed": changed, "failed": failed},
            },
        )
        if not checked and not failed:
            self.differs[script] = []
        return dict(self.runs[0])

    def look(self, identifier):
        (run,) = [run for run in self.runs if run["id"] == identifier]
        run["left"] -= 1
        if run["left"] <= 0:
            run.update(state="done", ok=run["exit_code"] == 0)
        return run


class Routerd:
    """Takes the place of the client."""

    def __init__(self, **guests):
        self.guests, self.asked = guests, 0

    def _ask(self, name):
        self.asked += 1
        guest = self.guests[name]
        said = guest.answers.pop(0) if guest.answers else {}
        if isinstance(said, Exception):
            raise said
        return guest, said

    def router(self, name):
        guest, said = self._ask(name)
        return dict({"agent": guest.agent}, **said)

    def runs(self, name):
        guest, _said = self._ask(name)
        return [dict(run) for run in guest.runs]

    def start_run(self, name, script, arguments=(), inputs=None, deadline=300):
        guest, _said = self._ask(name)
        return guest.start(script, list(arguments), inputs, deadline)

    def run(self, name, identifier):
        guest, said = self._ask(name)
        run = guest.look(identifier)
        run.update(said)
        return dict(run)


class Clock:
    """Time that passes only while the code under test sleeps; ends what would never end."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now

    monotonic = time

    def sleep(self, seconds):
        self.now += seconds
        assert self.now < 10000, "it never ends"


class World:
    def __init__(self, folder, monkeypatch):
        self.folder, self.guests, self.clock = folder, {"galaxy": Guest()}, Clock()
        monkeypatch.setattr(provision_converge, "time", self.clock)
        monkeypatch.setattr(provision_converge, "Client", lambda: Routerd(**self.guests))
        self.image, self.timeout = "0123", 600
        self.portal("galaxy", "packages", "dnsmasq\n")

    @property
    def galaxy(self):
        return self.guests["galaxy"]

    def portal(self, router, name, content):
        path = self.folder / router / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def call(self, check=False, progress=None, seconds=5.0, rendered=()):
        """One call of the module."""
        made = Provisioning(
            {
                "routers": [{"name": name, "portal": {"path": str(self.folder / name)}} for name in self.guests],
                "images": {name: {"hash": self.image} for name in self.guests},
                "timeout": self.timeout,
                "rendered": [str(self.folder / path) for path in rendered],
                "progress": progress or {},
            },
            check,
        )
        made.work(seconds)
        return made

    def play(self, **more):
        """All calls of one task, as the action makes them: the progress travels as JSON. Returns {name: entry}."""
        for guest in self.guests.values():
            guest.started = []
        made = self.call(**more)
        while not made.finished:
            made = self.call(progress=json.loads(json.dumps(made.progress)), **more)
        return made.progress

    def outcome(self, **more):
        """(phase, names of the changes, runs) of galaxy after a play."""
        entry = self.play(**more)["galaxy"]
        return entry["phase"], [change["name"] for change in entry["changes"]], self.galaxy.started


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


@pytest.fixture
def settled(world):
    """A router that has been provisioned."""
    world.play()
    return world


RUN = ["packages.sh", "provision.sh"]
LOOK = ["packages.sh --check", "provision.sh --check"]


def test_a_fresh_router_runs_both_scripts(world):
    world.galaxy.differs["provision"] = ["/etc/x", "/etc/y"]
    assert world.outcome() == ("done", ["/etc/x", "/etc/y"], RUN)


def test_a_current_router_is_only_looked_at(settled):
    assert settled.outcome() == ("done", [], LOOK)
    entry = settled.play()["galaxy"]
    assert entry["results"] == {
        script: {"exit_code": 0, "stdout": "out", "stderr": ""} for script in ("packages", "provision")
    }
    assert entry["message"] == "provisioned"


@pytest.mark.parametrize(
    "script, expected",
    [
        ("packages", ["packages.sh --check", "packages.sh", "provision.sh --check"]),
        ("provision", ["packages.sh --check", "provision.sh --check", "provision.sh"]),
    ],
)
def test_drift_is_found_and_put_right_once(settled, script, expected):
    settled.galaxy.differs[script] = ["/etc/x"]
    assert settled.outcome() == ("done", ["/etc/x"], expected)
    assert settled.outcome() == ("done", [], LOOK)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("packages", ["packages.sh", "provision.sh --check"]),
        ("keys/a.pub", ["packages.sh", "provision.sh --check"]),
        ("base-files/etc/deep/x", ["packages.sh --check", "provision.sh"]),
        ("services", ["packages.sh --check", "provision.sh"]),
        ("lib.sh", RUN),
        ("shared/data", LOOK),
        ("repositories", LOOK),
    ],
)
def test_other_inputs_run_the_script_that_reads_them(settled, path, expected):
    settled.portal("galaxy", path, "new\n")
    assert settled.outcome() == ("done", [], expected)
    assert settled.outcome() == ("done", [], LOOK)


def test_another_image_runs_both(settled):
    settled.image = "4567"
    assert settled.outcome() == ("done", [], RUN)


def test_a_failed_script_fails_the_router_with_its_words_and_runs_again_next_time(settled):
    settled.portal("galaxy", "lib.sh", "new\n")
    settled.galaxy.fails["packages"] = [
        {"step": "packages.sh", "line": 18, "message": "apk add x", "output": "no such x"}
    ]
    entry = settled.play()["galaxy"]
    assert (entry["phase"], entry["message"]) == (
        "failed",
        "router galaxy: packages.sh line 18: apk add x\n  no such x",
    )
    assert settled.galaxy.started == ["packages.sh"]
    settled.galaxy.fails.clear()
    assert settled.outcome() == ("done", [], RUN)


def test_a_look_that_fails_runs_the_script(settled):
    """It could not even look: the run tells why, or puts it right."""
    settled.galaxy.answers = [{}, {}, {}, {}, {"ok": False, "state": "done", "result": None}]
    assert settled.outcome()[2][:2] == ["packages.sh --check", "packages.sh"]


@pytest.mark.parametrize(
    "problem, words",
    [
        (None, "its agent does not answer yet"),
        (NO_AGENT, "the agent of galaxy does not answer"),
        (DOWN, "nobody listens there"),
        (BUSY, "is running a script"),
    ],
    ids=["silent", "no agent", "routerd down", "busy"],
)
def test_what_never_passes_fails_after_the_timeout(world, problem, words):
    world.galaxy.agent = "unreachable"
    world.galaxy.answers = [problem] * 100000 if problem else []
    began = world.clock.now
    entry = world.play()["galaxy"]
    assert entry["phase"] == "failed" and 600 < world.clock.now - began < 610
    assert entry["message"].startswith("router galaxy: not provisioned within 600 s: ") and words in entry["message"]
    assert "tail /var/log/multiverse/galaxy.log" in entry["message"]


def test_a_timeout_may_be_longer_than_routerd_lets_a_script_run(world):
    world.timeout = 7200
    assert world.outcome() == ("done", [], RUN)


@pytest.mark.parametrize("problem", [BUSY, DOWN, NO_AGENT], ids=["busy", "routerd down", "no agent"])
@pytest.mark.parametrize("position", range(8))
def test_what_passes_is_waited_for_wherever_it_happens(world, problem, position):
    world.galaxy.answers = [{}] * position + [problem] * 3
    assert world.outcome() == ("done", [], RUN)
    assert world.galaxy.answers == []


def test_a_problem_that_does_not_pass_fails_at_once(world):
    world.galaxy.answers = [UNKNOWN]
    began = world.clock.now
    entry = world.play()["galaxy"]
    assert (entry["phase"], entry["message"]) == ("failed", "router galaxy: there is no router galaxy")
    assert world.clock.now == began


def test_a_run_that_routerd_did_not_survive_is_a_failure_and_repaired_next_time(world):
    error = "routerd was stopped during the run"
    world.galaxy.answers = [{}, {}, {}, {"state": "interrupted", "ok": False, "error": error, "result": None}]
    assert world.play()["galaxy"]["message"] == "router galaxy: packages.sh: {}\n  out".format(error)
    assert world.outcome() == ("done", [], RUN)


def test_routers_go_on_side_by_side(world):
    for name in ("galaxy", "star", "moon"):
        world.guests[name] = Guest()
        world.guests[name].looks = 20
    world.guests["moon"].fails["packages"] = [{"message": "no"}]
    began = world.clock.now
    progress = world.play()
    assert {name: entry["phase"] for name, entry in progress.items()} == {
        "galaxy": "done",
        "star": "done",
        "moon": "failed",
    }
    assert world.clock.now - began < 2.5 * 20 * provision_converge.PAUSE  # two scripts one after the other


def test_one_call_is_bounded_and_the_next_goes_on(world):
    world.galaxy.looks = 100
    began = world.clock.now
    made = world.call(seconds=5.0)
    assert not made.finished and 5 <= world.clock.now - began <= 5 + provision_converge.PAUSE
    assert (made.progress["galaxy"]["phase"], made.progress["galaxy"]["message"]) == ("packages", "packages.sh")
    again = world.call(progress=json.loads(json.dumps(made.progress)))
    assert world.galaxy.started == ["packages.sh"] and again.progress["galaxy"]["run"] == "0"


# --- check mode -------------------------------------------------------------------------------------------------------


def test_a_preview_of_a_running_router_only_looks(settled):
    settled.galaxy.differs = {"packages": ["tor"], "provision": ["/etc/x"]}
    assert settled.outcome(check=True) == ("done", ["tor", "/etc/x"], LOOK)
    assert settled.galaxy.differs == {"packages": ["tor"], "provision": ["/etc/x"]}
    assert settled.outcome() == (
        "done",
        ["tor", "/etc/x"],
        ["packages.sh --check", "packages.sh", "provision.sh --check", "provision.sh"],
    )


def test_a_preview_looks_even_where_inputs_changed(settled):
    settled.portal("galaxy", "lib.sh", "new\n")
    assert settled.outcome(check=True) == ("done", [], LOOK)


@pytest.mark.parametrize(
    "problem", [None, UNKNOWN, DOWN, NO_AGENT], ids=["no agent", "no router", "no routerd", "no answer"]
)
def test_a_preview_of_a_router_that_does_not_run_says_nothing_and_does_not_wait(world, problem):
    world.galaxy.agent = "unreachable"
    world.galaxy.answers = [problem] if problem else []
    began = world.clock.now
    assert world.outcome(check=True, rendered=["galaxy/packages"]) == ("done", [], [])
    assert world.clock.now == began


def test_a_preview_names_the_files_that_the_play_would_render(settled):
    settled.guests["star"] = Guest()
    rendered = ["galaxy/packages", "galaxy/base-files/etc/x", "galaxy2/services", "build/packages"]
    progress = settled.play(check=True, rendered=rendered)
    assert progress["galaxy"]["changes"] == [
        {"kind": "portal", "name": "packages", "action": "rendered anew"},
        {"kind": "portal", "name": "base-files/etc/x", "action": "rendered anew"},
    ]
    assert progress["star"]["changes"] == []
    # Without check mode the scripts themselves say what changed.
    assert settled.play(rendered=rendered)["galaxy"]["changes"] == []


def test_a_preview_waits_for_a_run_in_progress(settled):
    settled.galaxy.answers = [{}, {}, BUSY, BUSY]
    assert settled.outcome(check=True) == ("done", [], LOOK)


def test_a_preview_that_fails_is_a_failure(settled):
    settled.galaxy.answers = [{}] * 4 + [{"ok": False, "state": "done", "result": None, "error": "no portal"}]
    entry = settled.play(check=True)["galaxy"]
    assert (entry["phase"], entry["message"]) == ("failed", "router galaxy: packages.sh: no portal\n  out")


@pytest.mark.parametrize("result", [None, "text", [], {"changed": "x", "failed": 7}, {"changed": [None, {}]}], ids=repr)
def test_no_hostile_result_is_a_bug(world, result):
    world.galaxy.answers = [{}, {}, {}, {"state": "done", "ok": True, "result": result}]
    assert world.play()["galaxy"]["phase"] == "done"
    world.galaxy.answers = [{}, {}, {}, {"state": "done", "ok": False, "result": result}]
    entry = world.play()["galaxy"]
    assert entry["phase"] in ("done", "failed")
    assert isinstance(json.dumps(entry), str)
