"""Declared files: what is refused, what is planned, how it reads."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import files
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from hypothesis import given
from hypothesis import strategies as st

ABSENT = {
    "kind": "absent",
    "content": None,
    "target": None,
    "owner": None,
    "uid": None,
    "group": None,
    "gid": None,
    "mode": None,
    "mount": False,
    "inode": None,
}


def there(kind="file", **facts):
    defaults = {"kind": kind, "owner": "root", "uid": 0, "group": "root", "gid": 0, "mode": 0o644, "inode": 7}
    return dict(ABSENT, **dict(defaults, **facts))


def planned(declared, entries=None, exclusive=(), overrides=None, leftovers=()):
    """[(path, action, what)] of a plan; what is not listed in `entries` is absent."""
    desired = files.normalize(declared, exclusive)
    current = {entry["path"]: ABSENT for entry in desired}
    current.update(entries or {})
    changes = files.plan(
        desired, {"entries": current, "overrides": overrides or {}, "leftovers": list(leftovers)}, exclusive
    )
    return [(change["path"], change["action"], change["what"]) for change in changes]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "etc/a"}, "must be absolute"),
        ({"path": "/a/../b"}, "written plainly"),
        ({"path": "/a//b"}, "written plainly"),
        ({"path": "/a/"}, "written plainly"),
        ({"path": "//a"}, "written plainly"),
        ({"path": "/a\nb"}, "control character"),
        ({"path": "/a", "state": "touch"}, "must be one of"),
        ({"path": "/a", "mode": "416"}, "four octal digits in quotes"),
        ({"path": "/a", "mode": "0999"}, "four octal digits in quotes"),
        ({"path": "/a", "content": {"b": 1}}, "content is a dict, not text; pass it through to_json"),
        ({"path": "/a", "content": "x", "content_b64": "eA=="}, "keep one"),
        ({"path": "/a", "content_b64": "%"}, "not valid base64"),
        ({"path": "/a", "content": "x", "state": "directory"}, "content goes with state file only"),
        ({"path": "/a", "content": "x", "lines": ["y"]}, "without content"),
        ({"path": "/a", "lines": ["x\ny"]}, "one line an item"),
        ({"path": "/a", "lines": ["x"], "lines_absent": ["x"]}, "the same line"),
        ({"path": "/a", "state": "link"}, "needs a target"),
        ({"path": "/a", "target": "b"}, "needs a target"),
        ({"path": "/a", "state": "link", "target": "b", "mode": "0644"}, "no mode of its own"),
        ({"path": "/a", "dpkg_override": True, "mode": "0644"}, "needs state file, owner, group and mode"),
    ],
)
def test_a_faulty_entry_is_named(entry, said):
    with pytest.raises(MultiverseError, match=r"files\[0\] " + entry["path"].partition("\n")[0]) as caught:
        files.normalize([entry])
    assert said in str(caught.value)


def test_all_faults_are_reported_at_once():
    with pytest.raises(MultiverseError) as caught:
        files.normalize([{"path": "a"}, {"path": "/b", "mode": "7"}, {"path": "/c"}, {"path": "/c"}], ["/etc"])
    for said in ("files[0]", "files[1]", "/c: declared twice", "exclusive /etc: a folder of the system"):
        assert said in str(caught.value)


@pytest.mark.parametrize("above", [{"content": "x"}, {"state": "link", "target": "y"}, {"state": "absent"}])
def test_nothing_is_declared_below_what_is_no_directory(above):
    with pytest.raises(MultiverseError, match=r"/a/b/c: declared below /a"):
        files.normalize([dict(above, path="/a"), {"path": "/a/b/c", "content": ""}])


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("/", True),
        ("/etc", True),
        ("/usr/lib", True),
        ("/var/lib", True),
        ("/usr/lib/qemu", True),
        ("/etc/qemu", True),
        ("/var/lib/libvirt", True),
        ("/home/user", True),
        ("/etc/multiverse", False),
        ("/usr/lib/multiverse", False),
        ("/var/lib/multiverse", False),
        ("/srv/portals", False),
        ("/etc/multiverse/keys", False),
        ("/data/x/y", False),
    ],
)
def test_folders_of_the_system_are_known(path, shared):
    assert files.is_shared(path) is shared


def test_parents_come_before_their_children_whatever_the_order():
    paths = ["/a/b/c", "/a", "/a-b", "/a/b"]
    assert [entry["path"] for entry in files.normalize([{"path": path, "state": "directory"} for path in paths])] == [
        "/a",
        "/a/b",
        "/a/b/c",
        "/a-b",
    ]


@pytest.mark.parametrize(
    ("entry", "facts", "expected"),
    [
        pytest.param({"content": "x"}, ABSENT, ("write", ["created"]), id="new file"),
        pytest.param({"content": "x"}, there(content=b"x"), None, id="same content"),
        pytest.param({"content": "x"}, there(content=b"y"), ("write", ["content"]), id="other content"),
        pytest.param({"content": ""}, there(content=b""), None, id="empty file"),
        pytest.param({"content_b64": "/w=="}, there(content=b"\xff"), None, id="bytes"),
        pytest.param({"content": "x", "mode": "0640"}, there(content=b"x"), ("attributes", ["mode"]), id="mode alone"),
        pytest.param(
            {"content": "x", "mode": "4755"},
            there(content=b"x", mode=0o755),
            ("attributes", ["mode"]),
            id="setuid counts",
        ),
        pytest.param({"owner": "root", "group": "0"}, there(), None, id="names and numbers"),
        pytest.param({"owner": "u"}, there(), ("attributes", ["owner"]), id="owner alone"),
        pytest.param({"content": "x"}, there("link"), ("write", ["replaced"]), id="a symlink gives way to content"),
        pytest.param(
            {"state": "link", "target": "b"}, there("link", target="a"), ("link", ["target"]), id="link target"
        ),
        pytest.param({"state": "link", "target": "b"}, there("link", target="b"), None, id="same link"),
        pytest.param({"state": "directory"}, ABSENT, ("directory", ["created"]), id="new directory"),
        pytest.param({"state": "directory"}, there("directory", mode=0o700), None, id="its mode is not ours"),
        pytest.param(
            {"state": "directory", "mode": "0750"},
            there("directory", mode=0o755),
            ("directory", ["mode"]),
            id="directory mode",
        ),
        pytest.param({"state": "absent"}, ABSENT, None, id="absent already"),
        pytest.param(
            {"state": "absent"}, there("link"), ("remove", ["removed"]), id="a link is removed, not its target"
        ),
        pytest.param({"lines": ["b"]}, there(content=b"a"), ("write", ["content"]), id="line missing"),
        pytest.param({"lines": ["a"]}, there(content=b"  a \nb\n"), None, id="line there, indented"),
        pytest.param({"lines_absent": ["a"]}, there(content=b"a\n"), ("write", ["content"]), id="line to go"),
        pytest.param({"lines_absent": ["a"]}, ABSENT, ("attributes", ["created"]), id="nothing to remove a line from"),
    ],
)
def test_plan(entry, facts, expected):
    path = "/srv/f"
    assert planned([dict(entry, path=path)], {path: facts}) == ([(path,) + expected] if expected else [])


@pytest.mark.parametrize(
    ("entry", "facts", "said"),
    [
        ({"content": "x"}, there("directory"), "a file is wanted, but a directory is there"),
        ({"content": "x"}, there("other"), "device, socket or pipe"),
        ({"mode": "0600"}, there("link"), "declare the path that it points to"),
        ({"lines": ["x"]}, there("link"), "declare the path that it points to"),
        ({"state": "directory"}, there("link"), "a directory is wanted, but a link is there"),
        ({"state": "directory"}, there(), "move it away"),
    ],
)
def test_what_is_in_the_way_stays(entry, facts, said):
    with pytest.raises(MultiverseError, match="^/srv/f: ") as caught:
        planned([dict(entry, path="/srv/f")], {"/srv/f": facts})
    assert said in str(caught.value)


def test_a_folder_of_the_system_is_not_removed():
    with pytest.raises(MultiverseError, match="folder of the system"):
        planned([{"path": "/etc/qemu", "state": "absent"}], {"/etc/qemu": there("directory")})


@pytest.mark.parametrize(
    ("wanted", "registered", "differs"),
    [
        (True, None, True),
        (True, ("root", "multiverse", 0o4750), False),
        (True, ("root", "root", 0o4750), True),
        (False, None, False),
        (False, ("root", "root", 0o755), True),
        (None, ("root", "root", 0o755), False),
    ],
)
def test_dpkg_override(wanted, registered, differs):
    path = "/usr/lib/qemu/qemu-bridge-helper"
    entry = {"path": path, "owner": "root", "group": "multiverse", "mode": "4750", "dpkg_override": wanted}
    result = planned(
        [entry], {path: there(group="multiverse", mode=0o4750)}, overrides={path: registered} if registered else {}
    )
    assert result == ([(path, "attributes", ["dpkg_override"])] if differs else [])


class TestExclusive:
    """What lies undeclared in an exclusive folder goes; mounts and the way to them stay."""

    ROOT = {"path": "/srv/p", "state": "directory"}

    def test_undeclared_goes_deepest_first(self):
        entries = {
            "/srv/p": there("directory"),
            "/srv/p/a": there(),
            "/srv/p/d": there("directory"),
            "/srv/p/d/e": there(),
            "/srv/p/l": there("link"),
            "/srv/other": there(),
        }
        declared = [self.ROOT, {"path": "/srv/p/a", "mode": "0644"}]
        assert planned(declared, entries, ["/srv/p"]) == [
            ("/srv/p/l", "remove", ["undeclared"]),
            ("/srv/p/d/e", "remove", ["undeclared"]),
            ("/srv/p/d", "remove", ["undeclared"]),
        ]

    def test_the_way_to_a_declared_file_stays(self):
        entries = {"/srv/p": there("directory"), "/srv/p/d": there("directory"), "/srv/p/d/e": there(content=b"")}
        assert planned([self.ROOT, {"path": "/srv/p/d/e", "content": ""}], entries, ["/srv/p"]) == []

    def test_a_mount_point_and_the_way_to_it_stay(self):
        entries = {
            "/srv/p": there("directory"),
            "/srv/p/d": there("directory"),
            "/srv/p/d/x": there(),
            "/srv/p/d/mnt": there("directory", mount=True, owner="them", mode=0o777),
        }
        assert planned([self.ROOT], entries, ["/srv/p"]) == [("/srv/p/d/x", "remove", ["undeclared"])]

    def test_a_declared_mount_point_keeps_the_attributes_of_what_is_mounted(self):
        entries = {"/srv/p": there("directory"), "/srv/p/mnt": there("directory", mount=True, mode=0o777)}
        declared = [self.ROOT, {"path": "/srv/p/mnt", "state": "directory", "mode": "0755"}]
        assert planned(declared, entries, ["/srv/p"]) == []

    def test_nothing_is_written_below_a_mount_point(self):
        entries = {"/srv/p/mnt": there("directory", mount=True)}
        with pytest.raises(MultiverseError, match="/srv/p/mnt/f: lies below a mount point"):
            planned([self.ROOT, {"path": "/srv/p/mnt/f", "content": ""}], entries, ["/srv/p"])

    def test_the_exclusive_folder_may_be_a_mount_point_itself(self):
        entries = {"/srv/p": there("directory", mount=True, mode=0o700), "/srv/p/x": there()}
        assert planned([dict(self.ROOT, mode="0755")], entries, ["/srv/p"]) == [
            ("/srv/p", "directory", ["mode"]),
            ("/srv/p/x", "remove", ["undeclared"]),
        ]

    def test_anything_gives_way_inside(self):
        entries = {
            "/srv/p": there("directory"),
            "/srv/p/f": there("directory"),
            "/srv/p/f/x": there(),
            "/srv/p/d": there("link"),
        }
        declared = [self.ROOT, {"path": "/srv/p/f", "content": ""}, {"path": "/srv/p/d", "state": "directory"}]
        assert planned(declared, entries, ["/srv/p"]) == [
            ("/srv/p/d", "directory", ["replaced"]),
            ("/srv/p/f", "write", ["replaced"]),
        ]


def test_leftovers_go_first():
    assert planned([{"path": "/srv/f", "content": ""}], leftovers=["/srv/.multiverse-abcd1234.tmp"]) == [
        ("/srv/.multiverse-abcd1234.tmp", "remove", ["leftover"]),
        ("/srv/f", "write", ["created"]),
    ]


LINE = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=5)


@given(st.binary(max_size=60), st.lists(LINE, max_size=4, unique=True), st.lists(LINE, max_size=4))
def test_editing_lines_settles_and_keeps_the_rest(content, wanted, unwanted):
    unwanted = [line for line in unwanted if line not in wanted]
    edited = files.edit_lines(content, wanted, unwanted)
    assert files.edit_lines(edited, wanted, unwanted) == edited
    lines = [line.strip() for line in edited.splitlines()]
    assert all(line.encode().strip() in lines for line in wanted)
    assert not {line.encode().strip() for line in unwanted} & set(lines)
    managed = {line.encode().strip() for line in wanted + unwanted}
    others = [line.strip() for line in content.splitlines() if line.strip() not in managed]
    assert [line for line in lines if line not in managed] == others


def diffed(entry, facts):
    desired = files.normalize([dict(entry, path="/srv/f")])
    current = {"entries": {"/srv/f": facts}, "overrides": {}, "leftovers": []}
    return files.diff(files.plan(desired, current))[0]


def test_the_diff_shows_content_and_attributes():
    shown = diffed({"content": "new\n", "mode": "0600", "owner": "u"}, there(content=b"old\n"))
    assert shown["before"] == "owner: root\nmode: 0644\nold\n"
    assert shown["after"] == "owner: u\nmode: 0600\nnew\n"
    assert shown["after_header"] == "/srv/f (content, owner, mode)"


def test_a_secret_is_in_no_diff_but_its_change_is():
    shown = diffed({"content": "new key", "secret": True}, there(content=b"old key"))
    assert "key" not in shown["before"] + shown["after"]
    assert shown["before"] != shown["after"]


@pytest.mark.parametrize("content", [b"\x00", b"x" * (files.MAX_DIFF + 1)])
def test_bytes_and_long_files_are_only_counted(content):
    assert diffed({"state": "absent"}, there(content=content))["before"] == "<%d bytes, not shown>\n" % len(content)


def test_reported_arguments_have_no_content():
    entry = {"path": "/a", "content": "key", "content_b64": None, "mode": "0600"}
    assert files.redact([entry]) == [dict(entry, content="<3 characters>")]
