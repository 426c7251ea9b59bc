"""The disks of routers: what they stand on, told from their own header, and that none is ever removed."""

import os
import struct
import subprocess

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.overlays import Overlay, backing_file
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def image(tmp_path):
    """Makes a small raw image of this name."""

    def make(name):
        path = tmp_path / name
        path.write_bytes(name.encode().ljust(65536, b"\0"))
        return str(path)

    return make


def qcow2(path, *options):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path)], check=True)
    return path.read_bytes()[:65536]


def header(offset, length, name=b"", magic=b"QFI\xfb"):
    data = magic + struct.pack(">IQI", 3, offset, length)
    data = data.ljust(104, b"\0")
    return data[:offset].ljust(min(offset, 4096), b"\0") + name if name else data


@pytest.mark.parametrize("name", ["router-0123.raw", "with space.raw", "déjà.raw", "n" * 200])
def test_qemu_imgs_own_files(tmp_path, image, name):
    base = image(name)
    assert backing_file(qcow2(tmp_path / "a.qcow2", "-F", "raw", "-b", base), "a") == base
    assert backing_file(qcow2(tmp_path / "b.qcow2", "-o", "compat=0.10", "-F", "raw", "-b", base), "b") == base


def test_an_image_of_its_own_has_none(tmp_path):
    path = tmp_path / "a.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"], check=True)
    assert backing_file(path.read_bytes()[:65536], "a") == ""


@pytest.mark.parametrize(
    "data, expected",
    [
        (header(104, 5, b"/base"), "/base"),
        (header(0, 5), ""),
        (header(104, 0, b"/base"), ""),
        (header(104, 2**32 - 1, b"/base"), "/base"),
        (header(2**64 - 1, 5), ""),
        (header(104, 3, b"\xff\x1b["), "\ufffd\x1b["),
    ],
    ids=["honest", "no offset", "no length", "too long", "far away", "no text"],
)
def test_hostile_headers(data, expected):
    assert backing_file(data, "x") == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"QFI\xfb", header(104, 5, b"/base", magic=b"QFI\0"), b"\0" * 512],
    ids=["empty", "cut off", "other magic", "raw"],
)
def test_what_is_no_qcow2_is_an_error_that_says_what_to_do(data):
    with pytest.raises(MultiverseError, match="^/p/galaxy.qcow2 is no qcow2 image; move it away"):
        backing_file(data, "/p/galaxy.qcow2")


@given(st.binary(max_size=300))
def test_no_header_is_a_bug(data):
    assert isinstance(backing_file((b"QFI\xfb" + data).ljust(72, b"\0"), "x"), str)


def test_a_disk_is_made_kept_and_set_aside_but_never_removed(tmp_path, image):
    pool = tmp_path / "pool"
    pool.mkdir()
    overlay = Overlay(str(pool), "galaxy")
    first, second = image("one.raw"), image("two.raw")
    owner = os.getuid(), os.getgid()

    (change,) = overlay.plan(first)
    assert (change.name, change.field, change.before, change.after, change.effect) == (
        "galaxy",
        "disk.image",
        None,
        first,
        "recreate",
    )
    overlay.create(first, *owner)
    assert overlay.plan(first) == [] and os.listdir(pool) == ["galaxy.qcow2"]
    assert (pool / "galaxy.qcow2").stat().st_mode & 0o7777 == 0o600

    kept = []
    for wanted, other in ((second, first), (first, second), (second, first)):
        (change,) = overlay.plan(wanted)
        assert (change.before, change.after) == (other, wanted)
        kept.append((pool / "galaxy.qcow2").read_bytes())
        overlay.create(wanted, *owner)
        assert overlay.plan(wanted) == []
        assert [(pool / "galaxy.qcow2.before-{}".format(n + 1)).read_bytes() for n in range(len(kept))] == kept
    assert len(os.listdir(pool)) == 4


def test_a_disk_that_is_none_is_not_overwritten(tmp_path, image):
    (tmp_path / "galaxy.qcow2").write_text("precious")
    with pytest.raises(MultiverseError, match="galaxy.qcow2 is no qcow2 image"):
        Overlay(str(tmp_path), "galaxy").plan(image("one.raw"))
    assert (tmp_path / "galaxy.qcow2").read_text() == "precious"


def test_killed_between_aside_and_in_place_the_next_run_makes_it(tmp_path, image, monkeypatch):
    pool, base = tmp_path / "pool", image("one.raw")
    pool.mkdir()
    overlay = Overlay(str(pool), "galaxy")
    overlay.create(base, os.getuid(), os.getgid())
    with monkeypatch.context() as broken:
        rename = os.rename

        def killed(source, target):
            if target.endswith(".qcow2"):
                raise KeyboardInterrupt
            rename(source, target)

        broken.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            overlay.create(base, os.getuid(), os.getgid())
    assert "galaxy.qcow2.before-1" in os.listdir(pool) and overlay.plan(base)
    overlay.create(base, os.getuid(), os.getgid())
    assert overlay.plan(base) == [] and sorted(os.listdir(pool)) == ["galaxy.qcow2", "galaxy.qcow2.before-1"]


def test_qemu_imgs_refusal_names_the_router(tmp_path):
    with pytest.raises(MultiverseError, match="^router galaxy: qemu-img create .* failed: .*missing.raw"):
        Overlay(str(tmp_path), "galaxy").create(str(tmp_path / "missing.raw"), os.getuid(), os.getgid())
    assert "galaxy.qcow2" not in os.listdir(tmp_path)


def test_an_image_built_again_under_its_name_is_another_image(tmp_path, image):
    """Its blocks lie elsewhere: an overlay on the former one would be a broken file system."""
    base = image("router-1.raw")
    overlay = Overlay(str(tmp_path), "galaxy")
    overlay.create(base, os.getuid(), os.getgid())
    assert overlay.plan(base) == []
    os.utime(base, ns=(1, 1))
    assert [change.effect for change in overlay.plan(base)] == ["recreate"]
    overlay.create(base, os.getuid(), os.getgid())
    assert overlay.plan(base) == []
    os.unlink(base)  # about to be built again
    assert [change.effect for change in overlay.plan(base)] == ["recreate"]
