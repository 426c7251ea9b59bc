"""Files on a real disk: atomic, never through a symlink, never across a mount."""

import fcntl
import os
import stat

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import file_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.file_converge import converge

LEFTOVER = ".multiverse-abcd1234.tmp"


@pytest.fixture
def root(tmp_path):
    """A folder with no symlink on the way to it."""
    return tmp_path.resolve()


def what(changes):
    return [(os.path.basename(change["path"]), change["what"]) for change in changes]


def mode(path):
    return stat.S_IMODE(os.lstat(str(path)).st_mode)


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_everything_at_once_and_then_nothing(root):
    declared = [
        {"path": str(root / "d/e/f"), "content": "text\n", "mode": "0640"},
        {"path": str(root / "d/e"), "state": "directory", "mode": "0710"},
        {"path": str(root / "d"), "state": "directory"},
        {"path": str(root / "l"), "state": "link", "target": "d/e"},
        {"path": str(root / "b"), "content_b64": "AP8="},
        {"path": str(root / "conf"), "lines": ["one", "two"]},
    ]
    assert len(converge(declared)) == 6
    assert (root / "l/f").read_text() == "text\n" and mode(root / "d/e/f") == 0o640 and mode(root / "d/e") == 0o710
    assert (root / "b").read_bytes() == b"\x00\xff" and (root / "conf").read_text() == "one\ntwo\n"
    assert converge(declared) == []


def test_check_mode_plans_the_same_and_writes_nothing(root):
    (root / "old").write_text("x")
    declared = [
        {"path": str(root / "d"), "state": "directory"},
        {"path": str(root / "d/f"), "content": "x"},
        {"path": str(root / "old"), "state": "absent"},
    ]
    predicted = what(converge(declared, check=True))
    assert tree(root) == ["old"]
    assert what(converge(declared)) == predicted


def test_a_new_file_is_a_new_inode_and_keeps_undeclared_attributes(root):
    (root / "f").write_text("old")
    (root / "f").chmod(0o601)
    before = (root / "f").stat().st_ino
    with (root / "f").open() as reader:
        converge([{"path": str(root / "f"), "content": "new"}])
        assert reader.read() == "old"
    assert (root / "f").read_text() == "new" and (root / "f").stat().st_ino != before and mode(root / "f") == 0o601


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fchmod"])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(root, monkeypatch, call):
    (root / "f").write_text("old")

    def fail(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_converge.os, call, fail)
    with pytest.raises((MultiverseError, OSError), match="No space left"):
        converge([{"path": str(root / "f"), "content": "new"}])
    monkeypatch.undo()
    assert (root / "f").read_text() == "old" and tree(root) == ["f"]


def test_leftovers_of_a_killed_run_go_and_those_of_a_running_one_stay(root):
    (root / LEFTOVER).write_text("half")
    (root / "f").write_text("x")
    declared = [{"path": str(root / "f"), "content": "x"}]
    with (root / LEFTOVER).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert converge(declared) == []
    assert what(converge(declared)) == [(LEFTOVER, ["leftover"])]
    assert tree(root) == ["f"]


class TestSymlinks:
    def test_the_target_of_a_link_in_place_of_a_file_is_untouched(self, root):
        (root / "victim").write_text("precious")
        (root / "f").symlink_to("victim")
        assert what(converge([{"path": str(root / "f"), "content": "ours"}])) == [("f", ["replaced"])]
        assert (root / "victim").read_text() == "precious" and not (root / "f").is_symlink()

    def test_attributes_are_never_set_through_a_link(self, root):
        (root / "victim").write_text("precious")
        (root / "f").symlink_to("victim")
        with pytest.raises(MultiverseError, match="a link is there"):
            converge([{"path": str(root / "f"), "mode": "0666"}])

    def test_a_link_where_others_may_write_is_not_followed(self, root):
        (root / "target").mkdir()
        (root / "open").mkdir()
        (root / "open/way").symlink_to(root / "target")
        (root / "open").chmod(0o777)
        with pytest.raises(MultiverseError, match="way on the way is a symlink that another user can change"):
            converge([{"path": str(root / "open/way/f"), "content": "x"}])
        assert tree(root / "target") == []

    @pytest.mark.parametrize("target", ["target", "./target/../target", "{root}/target"])
    def test_our_own_link_on_the_way_is_followed(self, root, target):
        (root / "target").mkdir()
        (root / "way").symlink_to(target.format(root=root))
        converge([{"path": str(root / "way/f"), "content": "x"}])
        assert tree(root / "target") == ["f"]

    def test_a_loop_is_an_error(self, root):
        (root / "way").symlink_to("way")
        with pytest.raises(OSError, match="[Ss]ymbolic links"):
            converge([{"path": str(root / "way/f"), "content": "x"}])

    def test_removal_takes_the_link_and_not_what_it_points_to(self, root):
        (root / "kept").mkdir()
        (root / "kept/f").write_text("x")
        (root / "p").mkdir()
        (root / "p/l").symlink_to(root / "kept")
        converge([{"path": str(root / "p"), "state": "directory"}], [str(root / "p")])
        assert tree(root) == ["kept", "kept/f", "p"]


def test_hard_links_keep_their_own_content(root):
    (root / "victim").write_text("precious")
    os.link(str(root / "victim"), str(root / "f"))
    converge([{"path": str(root / "f"), "content": "ours", "mode": "0666"}])
    assert (root / "victim").read_text() == "precious" and mode(root / "victim") != 0o666


class TestExclusive:
    def test_only_what_is_declared_stays(self, root):
        folder = root / "p"
        (folder / "d/deep").mkdir(parents=True)
        (folder / "d/deep/f").write_text("x")
        (folder / "file-now-folder").write_text("x")
        (folder / "folder-now-file/x").mkdir(parents=True)
        declared = [
            {"path": str(folder), "state": "directory"},
            {"path": str(folder / "folder-now-file"), "content": "y"},
            {"path": str(folder / "file-now-folder"), "state": "directory"},
        ]
        converge(declared, [str(folder)])
        assert tree(folder) == ["file-now-folder", "folder-now-file"]
        assert converge(declared, [str(folder)]) == []

    def test_a_folder_that_is_not_there_yet(self, root):
        folder = str(root / "p")
        assert what(converge([{"path": folder, "state": "directory"}], [folder], check=True)) == [("p", ["created"])]

    @pytest.fixture
    def mounted(self, root, monkeypatch):
        """p/way/mnt looks like a bind mount: same file system, another mount id."""
        (root / "p/way/mnt").mkdir(parents=True)
        (root / "p/way/mnt/theirs").write_text("precious")
        (root / "p/way/mnt").chmod(0o777)
        inside = {os.stat(str(path)).st_ino for path in (root / "p/way/mnt", root / "p/way/mnt/theirs")}
        real = file_converge._mount_id
        monkeypatch.setattr(file_converge, "_mount_id", lambda fd: -1 if os.fstat(fd).st_ino in inside else real(fd))
        return root / "p"

    def test_what_is_mounted_inside_stays(self, mounted):
        (mounted / "way/junk").write_text("x")
        converge(
            [
                {"path": str(mounted), "state": "directory"},
                {"path": str(mounted / "way"), "state": "directory"},
                {"path": str(mounted / "way/mnt"), "state": "directory", "mode": "0755"},
            ],
            [str(mounted)],
        )
        assert tree(mounted) == ["way", "way/mnt", "way/mnt/theirs"] and mode(mounted / "way/mnt") == 0o777

    def test_a_removal_with_a_mount_inside_removes_nothing(self, mounted):
        (mounted / "also").write_text("x")
        with pytest.raises(MultiverseError, match="p/way/mnt: something is mounted there"):
            converge([{"path": str(mounted), "state": "absent"}])
        assert tree(mounted) == ["also", "way", "way/mnt", "way/mnt/theirs"]

    def test_a_removal_stops_at_a_mount_that_comes_meanwhile(self, mounted, monkeypatch):
        monkeypatch.setattr(file_converge, "_refuse_mounts", lambda fd, name, mount: None)
        with pytest.raises(MultiverseError, match="mnt: something was just mounted there"):
            converge([{"path": str(mounted), "state": "absent"}])
        assert (mounted / "way/mnt/theirs").read_text() == "precious"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "missing/f", "content": "x"}, "declare the folder too"),
        ({"path": "f", "mode": "0600"}, "it does not exist and no content is declared"),
        ({"path": "f", "content": "x", "owner": "nobody-like-this"}, "no such user; create it first"),
        ({"path": "f", "content": "x", "group": "nobody-like-this"}, "no such group; create it first"),
    ],
)
def test_what_cannot_be_done_is_said(root, entry, said):
    declared = [dict(entry, path=str(root / entry["path"]))]
    assert converge(declared, check=True)  # a preview of a first run may be ahead of the task that creates these
    with pytest.raises(MultiverseError, match=str(root)) as caught:
        converge(declared)
    assert said in str(caught.value) and tree(root) == []


def test_something_that_changes_the_files_back_is_noticed(root, monkeypatch):
    monkeypatch.setattr(file_converge, "apply", lambda changes: None)
    with pytest.raises(MultiverseError, match=r"not there afterwards: .*f \(\['created'\]\)"):
        converge([{"path": str(root / "f"), "content": "x"}])


def test_an_override_is_read_and_registered(root, monkeypatch):
    helper = root / "helper"
    helper.write_text("x")
    calls = []
    listed = ["root messagebus 4754 /usr/lib/dbus-1.0/helper\n"]

    class Done:
        returncode = 0

        def __init__(self, command, **_named):
            calls.append(command)
            self.stdout = "".join(listed)
            if "--add" in command:
                listed.append("%s %s %s %s\n" % tuple(command[2:]))

    monkeypatch.setattr(file_converge.subprocess, "run", Done)
    owner = file_converge.user_name(os.geteuid())
    group = file_converge.group_name(os.getegid())
    entry = {"path": str(helper), "owner": owner, "group": group, "mode": "0750", "dpkg_override": True}
    assert what(converge([entry])) == [("helper", ["dpkg_override", "mode"])]
    assert ["dpkg-statoverride", "--add", owner, group, "0750", str(helper)] in calls
    assert converge([entry]) == []


def test_hundreds_of_files_take_one_pass(root):
    declared = [{"path": str(root / ("f%03d" % number)), "content": str(number)} for number in range(500)]
    assert len(converge(declared)) == 500
    assert converge(declared) == []
