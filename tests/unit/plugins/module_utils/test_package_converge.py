"""The order of apt-get's runs, and what check mode leaves out."""

import os

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import package_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError


class FakeApt:
    """A machine with a few packages; `status` is changed by the real runs, not by simulated ones."""

    def __init__(self):
        self.status = {"nano": "installed", "old": "installed"}
        self.upgradable = ["old"]
        self.goes_along = []
        self.ran = []

    def __call__(self, command):
        if command[0] == "dpkg-query":
            return 0, "".join("%s install %s\n" % item for item in self.status.items())
        if command[0] == "dpkg":
            self.ran.append("configure")
            self.status = {name: "installed" for name in self.status}
            return 0, ""
        simulated = "--simulate" in command
        verb = [word for word in command if word in ("update", "upgrade", "dist-upgrade", "install", "remove")][0]
        names = command[command.index("--") + 1 :] if "--" in command else []
        if not simulated:
            self.ran.append(" ".join([verb] + names))
        return 0, self._act(verb, names, simulated)

    def _act(self, verb, names, simulated):
        lines = []
        if verb.endswith("upgrade"):
            lines = ["Inst %s [1] (2 Debian)" % name for name in self.upgradable]
            self.upgradable = self.upgradable if simulated else []
        for name in names + (self.goes_along if verb == "remove" else []):
            lines.append("Inst %s (1 Debian)" % name if verb == "install" else "Remv %s [1]" % name)
            if not simulated:
                self.status[name] = "installed" if verb == "install" else "config-files"
        return "\n".join(lines)


@pytest.fixture
def apt(monkeypatch, tmp_path):
    fake = FakeApt()
    fake.lists = tmp_path / "lists"
    fake.lists.mkdir()
    fake.list = fake.lists / "deb.example_debian_dists_bookworm_InRelease"
    fake.list.write_text("")
    fake.sources = tmp_path / "sources.list"
    fake.sources.write_text("")
    os.utime(str(fake.sources), (1, 1))
    real = os.listdir
    monkeypatch.setattr(package_converge.os, "listdir", lambda path: [] if "dpkg/updates" in path else real(path))
    monkeypatch.setattr(package_converge, "_call", fake)
    monkeypatch.setattr(package_converge, "_LISTS", str(fake.lists))
    monkeypatch.setattr(package_converge, "_SOURCES", (str(fake.sources),))
    return fake


def actions(result):
    return [(step["action"], step["name"]) for step in result["steps"]]


def test_upgrade_install_remove_and_then_nothing(apt):
    result = package_converge.converge(["vim"], ["nano", "firefox"], "safe")
    assert apt.ran == ["upgrade", "install vim", "remove nano"]
    assert actions(result) == [("upgrade", "old"), ("install", "vim"), ("remove", "nano")]
    assert package_converge.converge(["vim"], ["nano", "firefox"], "safe")["steps"] == [] and len(apt.ran) == 3


def test_check_mode_says_the_same_and_runs_nothing(apt):
    predicted = package_converge.converge(["vim"], ["nano"], "full", check=True)
    assert apt.ran == []
    assert predicted["steps"] == package_converge.converge(["vim"], ["nano"], "full")["steps"]


@pytest.mark.parametrize(
    ("age", "sources", "lists", "refreshed"),
    [(10, 1, True, False), (100000, 1, True, True), (10, 5, True, True), (10, 1, False, True)],
    ids=["fresh", "old", "sources are newer", "no lists"],
)
def test_when_lists_are_refreshed(apt, monkeypatch, age, sources, lists, refreshed):
    now = 1000000
    monkeypatch.setattr(package_converge.time, "time", lambda: now)
    if not lists:
        apt.list.unlink()
    os.utime(str(apt.lists), (now - age, now - age))
    os.utime(str(apt.sources), (now - age + sources - 2,) * 2)
    assert package_converge.converge([], [])["refreshed"] is refreshed
    assert apt.ran == (["update"] if refreshed else [])


def test_a_preview_without_lists_names_what_is_missing_and_says_it_is_blind(apt):
    apt.list.unlink()
    result = package_converge.converge(["vim", "old"], ["nano"], "safe", check=True)
    assert result["blind"] and actions(result) == [("install", "vim"), ("remove", "nano")]


def test_what_a_killed_run_left_is_finished_first(apt):
    apt.status["half"] = "half-configured"
    assert actions(package_converge.converge([], [])) == [("repair", "half")]
    assert apt.ran == ["configure"]


def test_a_removal_that_takes_a_declared_package_along_is_refused(apt):
    apt.status["vim"] = "installed"
    apt.goes_along = ["vim"]
    with pytest.raises(MultiverseError, match="removing nano would take vim along"):
        package_converge.converge(["vim"], ["nano"])
    assert apt.ran == [] and apt.status["vim"] == "installed"


def test_a_failing_update_names_the_mirror(apt, monkeypatch):
    os.utime(str(apt.lists), (1, 1))
    real = package_converge._call
    monkeypatch.setattr(
        package_converge,
        "_call",
        lambda command: (
            (0, "W: Failed to fetch http://gone.example/debian\n") if "update" in command else real(command)
        ),
    )
    with pytest.raises(MultiverseError, match=r"cannot be refreshed.*gone\.example"):
        package_converge.converge([], [])
