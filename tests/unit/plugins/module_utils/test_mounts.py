"""Our lines in fstab: what is read, written and changed, and that no other line ever is."""

import shutil
import subprocess

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import mounts
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.mounts import Mount, parse, render
from hypothesis import example, given
from hypothesis import strategies as st

LINK = Mount("/srv/shared", "/portals/star/shared", "none", "bind,nofail")
SHARE = Mount("galaxy-portal", "/mnt/host", "9p", "trans=virtio,version=9p2000.L,nofail")
NEEDED = Mount("tag", "/mnt/needed", "9p", "trans=virtio")
FOREIGN = [
    "# /etc/fstab: static file system information.",
    "UUID=0a1b  /  ext4\terrors=remount-ro 0 1",
    "/srv/a\x0cb\u2028c /mnt/odd none bind",
    "tmpfs /tmp tmpfs rw 0 0\r",
    "",
    "   # galaxy-portal /mnt/host 9p x-multiverse 0 0",
    "theirs /mnt/x ext4 x-multiverse2,noauto 0 0",
    "\udcff\udcfe /mnt/bytes none bind 0 0",
]
NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20)
OPTIONS = st.lists(st.sampled_from(["bind", "nofail", "rw", "trans=virtio", "a=b c"]), min_size=1).map(",".join)
MOUNTS = st.builds(Mount, NAMES, NAMES.map(lambda name: "/mnt/" + name), st.sampled_from(["none", "9p"]), OPTIONS)
LINES = st.text(st.characters(blacklist_characters="\n")).filter(lambda line: mounts.MARK not in line)


def text(*lines):
    return "".join(line + "\n" for line in lines)


def fields(plan):
    return [(change.name, change.field, change.before, change.after) for change in plan]


# --- parse and render -------------------------------------------------------------------------------------------------


@given(st.lists(MOUNTS, max_size=4, unique_by=lambda mount: mount.target), st.lists(LINES, max_size=4))
@example([LINK._replace(source="#tag"), SHARE._replace(target="/mnt/a b\tc\nd\\040")], FOREIGN)
def test_what_is_written_is_read_again_among_foreign_lines(desired, foreign):
    before = text(*foreign)
    after = render(before, desired)
    assert parse(after) == desired
    assert after.startswith(before)
    assert render(after, desired) == after
    assert render(after, []) == before


@given(st.lists(st.one_of(LINES, MOUNTS.map(lambda mount: mount.to_line())), max_size=6), st.lists(MOUNTS, max_size=3))
def test_foreign_lines_stay_byte_for_byte_in_their_order(lines, desired):
    rendered = render(text(*lines), desired).split("\n")
    assert [line for line in rendered[:-1] if not parse(line)] == [line for line in lines if not parse(line)]


def test_lines_stay_in_their_place():
    moved = LINK._replace(source="/srv/other")
    before = text(FOREIGN[0], LINK.to_line(), FOREIGN[1], SHARE.to_line(), FOREIGN[2])
    assert render(before, [NEEDED, moved]) == text(
        FOREIGN[0], moved.to_line(), FOREIGN[1], FOREIGN[2], NEEDED.to_line()
    )


@pytest.mark.parametrize(
    "before, after",
    [
        ("", LINK.to_line() + "\n"),
        ("one", "one\n" + LINK.to_line() + "\n"),
        ("one\n", "one\n" + LINK.to_line() + "\n"),
        ("one\n\n", "one\n\n" + LINK.to_line() + "\n"),
    ],
    ids=["empty", "no end of line", "line", "blank line"],
)
def test_a_line_is_added_as_a_line(before, after):
    assert render(before, [LINK]) == after


def test_the_line():
    assert LINK.to_line() == "/srv/shared /portals/star/shared none bind,nofail,x-multiverse 0 0"
    assert LINK._replace(source="/srv/a b\\c").to_line().startswith("/srv/a\\040b\\134c ")


@pytest.mark.parametrize(
    "field, expected",
    [
        ("/a\\040b", "/a b"),
        ("\\043tag", "#tag"),
        ("/a\\134040", "/a\\040"),
        ("/a\\0", "/a\\0"),
        ("/a\\089", "/a\\089"),
        ("\\011\\012", "\t\n"),
    ],
)
def test_escapes(field, expected):
    assert mounts.unescape(field) == expected


def test_mount_itself_reads_the_line_as_we_do(tmp_path):
    findmnt = shutil.which("findmnt") or "findmnt is not installed: apt-get install util-linux"
    strange = [LINK._replace(source="#s p\\040ace", target="/mnt/a b"), SHARE]
    (tmp_path / "fstab").write_text(render("", strange))
    done = subprocess.run(
        [
            findmnt,
            "--tab-file",
            tmp_path / "fstab",
            "--raw",
            "--noheadings",
            "--output",
            "SOURCE,TARGET,FSTYPE,OPTIONS",
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [line.replace("\\x20", " ").replace("\\x5c", "\\") for line in done.stdout.splitlines()]
    assert lines == ["{0.source} {0.target} {0.fstype} {0.options},x-multiverse".format(mount) for mount in strange]


# --- plan -------------------------------------------------------------------------------------------------------------

L, S, N = (mount.to_text() for mount in (LINK, SHARE, NEEDED))
OTHER = LINK._replace(source="/srv/other")
CURRENT = text(LINK.to_line(), SHARE.to_line())
ALL = {mount.target: mount for mount in (LINK, SHARE, NEEDED)}


@pytest.mark.parametrize(
    "desired, fstab, mounted, expected",
    [
        ([], "", {}, []),
        ([LINK, SHARE], "", {}, [(LINK.target, "fstab", None, L), (SHARE.target, "fstab", None, S)]),
        ([LINK, SHARE], CURRENT, ALL, []),
        ([LINK, SHARE], text(*FOREIGN) + CURRENT, ALL, []),
        ([OTHER], CURRENT, ALL, [(LINK.target, "fstab", L, OTHER.to_text()), (SHARE.target, "fstab", S, None)]),
        ([LINK, SHARE], CURRENT, {SHARE.target: SHARE}, [(LINK.target, "mounted", None, L)]),
        ([LINK, SHARE], CURRENT, dict(ALL, **{LINK.target: OTHER}), [(LINK.target, "mounted", OTHER.to_text(), L)]),
        # A share that may be missing is missing: as declared. One that may not, or something else in its place, is not.
        ([LINK, SHARE], CURRENT, {LINK.target: LINK}, []),
        (
            [SHARE],
            text(SHARE.to_line()),
            {SHARE.target: SHARE._replace(source="x")},
            [(SHARE.target, "mounted", SHARE._replace(source="x").to_text(), S)],
        ),
        ([NEEDED], text(NEEDED.to_line()), {}, [(NEEDED.target, "mounted", None, N)]),
        ([NEEDED], text(NEEDED.to_line()), ALL, []),
        # One of ours twice.
        ([LINK], text(LINK.to_line(), LINK.to_line()), ALL, [(LINK.target, "fstab", L, L)]),
        ([LINK], text(OTHER.to_line(), LINK.to_line()), ALL, [(LINK.target, "fstab", OTHER.to_text(), L)]),
    ],
    ids=[
        "nothing",
        "new",
        "as declared",
        "among foreign lines",
        "changed and removed",
        "link not mounted",
        "link to another folder",
        "share that may be missing",
        "another share",
        "share that may not be missing",
        "share that is there",
        "twice the same",
        "twice",
    ],
)
def test_plan(desired, fstab, mounted, expected):
    plan = mounts.plan(desired, fstab, mounted)
    assert fields(plan) == expected
    if all(change.field == "fstab" for change in plan):
        assert not mounts.plan(desired, render(fstab, desired), {mount.target: mount for mount in desired})


@pytest.mark.parametrize(
    "line",
    [
        "/dev/sdb1 /portals/star/shared ext4 defaults 0 2",
        "/dev/sdb1\t/portals/star/shared/ ext4",
        "/dev/sdb1 /portals/star/./sha\\162ed",
        "other /portals/star//shared none bind,x-multiverse2 0 0",
    ],
)
def test_a_foreign_line_for_our_mount_point_is_an_error(line):
    with pytest.raises(
        MultiverseError, match="/etc/fstab: the mount point /portals/star/shared has a line that is not ours"
    ):
        mounts.plan([LINK], text(line), {})
    # Positive control: as a comment, or elsewhere, it is none of our business.
    for harmless in ("#" + line, line.replace("star", "moon")):
        assert fields(mounts.plan([LINK], text(harmless), {})) == [(LINK.target, "fstab", None, L)]
