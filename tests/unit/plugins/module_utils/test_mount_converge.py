"""Mounting for real, in a mount namespace of its own: folders linked, unlinked, changed, and what stops on the way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
#: Reads {fstab, steps: [[mounts], ...]} and prints, per step, what the module would: changes, warnings, error, mounts.
PROGRAM = """
import json, os, sys
from ansible_collections.multiverse.router_controller.plugins.module_utils import mount_converge, mounts
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
given = json.loads(sys.stdin.read())
mount_converge.FSTAB = given["fstab"]
run = mount_converge._run
# mount(8) reads /etc/fstab; here it reads ours. systemd is none of this test's business.
mount_converge._run = lambda command: None if command[0] == "systemctl" else run(
    command[:1] + ["--fstab", given["fstab"]] + command[1:] if command[0] == "mount" else command)
printed = []
for step in given["steps"]:
    for command in step.get("before", []):
        assert os.system(command) == 0, command
    desired = [mounts.Mount(*mount) for mount in step["mounts"]]
    found = {"changes": [], "warnings": [], "error": None}
    try:
        fstab = mount_converge.read_fstab()
        plan = mounts.plan(desired, fstab, mount_converge.read_mounted(desired, fstab))
        found["changes"] = [[change.name, change.field] for change in plan]
        if plan:
            found["warnings"] = mount_converge.apply(desired, fstab, plan)
    except MultiverseError as error:
        found["error"] = str(error)
    found["there"] = [os.path.exists(path) for path in given["look"]]
    printed.append(found)
print(json.dumps(printed))
"""


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.fstab = folder / "fstab"
        self.target = str(folder / "portal/a b")
        for name in ("one", "two"):
            (folder / name).mkdir()
            (folder / name / name).write_text(name)
        self.one, self.two = ([str(folder / name), self.target, "none", "bind,nofail"] for name in ("one", "two"))
        self.share = ["no-such-tag", str(folder / "share"), "9p", "trans=virtio,nofail"]

    def run(self, *steps):
        """Each step: a list of mounts, or (list of mounts, commands before)."""
        given = {
            "fstab": str(self.fstab),
            "look": [self.target + "/one", self.target + "/two"],
            "steps": [
                {"mounts": step[0], "before": step[1]} if isinstance(step, tuple) else {"mounts": step}
                for step in steps
            ],
        }
        done = subprocess.run(
            ["unshare", "--mount", sys.executable, "-c", PROGRAM],
            input=json.dumps(given),
            text=True,
            stdout=subprocess.PIPE,
            check=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT / ".collections")},
        )
        return json.loads(done.stdout)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


FOREIGN = b"# theirs\r\nx /y none bind\x0c 0 0\n\xff\xfe /z none noauto 0 0"


def test_a_folder_is_linked_changed_and_unlinked(place):
    place.fstab.write_bytes(FOREIGN)
    new, again, changed, removed, after = place.run([place.one], [place.one], [place.two], [], [])
    assert new == {"changes": [[place.target, "fstab"]], "warnings": [], "error": None, "there": [True, False]}
    assert again["changes"] == [] and again["there"] == [True, False]
    assert changed["changes"] == [[place.target, "fstab"]] and changed["there"] == [False, True]
    assert removed["changes"] == [[place.target, "fstab"]] and removed["there"] == [False, False]
    assert after["changes"] == []
    assert place.fstab.read_bytes() == FOREIGN + b"\n"
    assert (place.folder / "one/one").read_text() == "one"
    assert not Path(place.target).exists() and (place.folder / "portal").exists()


def test_drift_of_what_is_mounted_is_put_right(place):
    unmounted, replaced = place.run(
        [place.one],
        ([place.one], ["umount '{}'".format(place.target)]),
        ([place.one], ["umount '{0}' && mount --bind {1} '{0}'".format(place.target, place.folder / "two")]),
    )[1:]
    for found in (unmounted, replaced):
        assert found["changes"] == [[place.target, "mounted"]]
        assert found["error"] is None and found["there"] == [True, False]


def test_a_source_that_is_missing_is_an_error_until_it_is_there(place):
    one = place.folder / "one"
    failed, still, repaired = place.run(
        ([place.one], ["mv {0} {0}.away".format(one)]), [place.one], ([place.one], ["mv {0}.away {0}".format(one)])
    )
    for found in (failed, still):
        assert "{} cannot be linked to {}: there is no such folder".format(one, place.target) in found["error"]
        assert found["changes"]
    assert repaired["error"] is None and repaired["changes"] and repaired["there"] == [True, False]


def test_a_busy_link_keeps_its_line_and_the_next_run_takes_it_up(place):
    hold = "cd '{}' && {{ tail -f /dev/null < /dev/null > /dev/null 2>&1 & echo $! > {}/pid; }}".format(
        place.target, place.folder
    )
    # A process that was killed lets go of its folder a little later.
    let_go = "kill $(cat {0}/pid) && timeout 20 sh -c \"until umount '{1}'; do sleep 0.02; done\" 2> /dev/null && {2}"
    mount = "mount --bind {0}/one '{1}'"
    busy, later = place.run(
        [place.one],
        ([], [hold]),
        ([], [let_go.format(place.folder, place.target, mount.format(place.folder, place.target))]),
    )[1:]
    assert "umount" in busy["error"] and busy["there"] == [True, False]
    assert later["changes"] == [[place.target, "fstab"]] and later["there"] == [False, False]


def test_a_share_that_may_be_missing_is_a_warning_once(place):
    first, second = place.run([place.share], [place.share])
    assert first["error"] is None and first["changes"]
    (warning,) = first["warnings"]
    assert place.share[1] in warning and "nofail" in warning
    assert second == dict(second, changes=[], warnings=[], error=None)
    # Positive control: the same share without nofail.
    (failed,) = place.run([[*place.share[:3], "trans=virtio"]])
    assert "failed" in failed["error"]


def test_without_a_file_there_is_nothing_of_ours(place):
    (found,) = place.run([])
    assert found["changes"] == [] and not place.fstab.exists()


def test_a_foreign_line_is_an_error_before_anything_is_touched(place):
    place.fstab.write_text("/dev/sdb1 {} ext4 noauto 0 0\n".format(place.target.replace(" ", "\\040")))
    (found,) = place.run([place.one])
    assert "has a line that is not ours" in found["error"] and found["there"] == [False, False]
    assert "sdb1" in place.fstab.read_text() and not Path(place.target).exists()
