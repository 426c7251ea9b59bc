"""Building an image, all but the boot itself: real disks and real e2fsprogs, and a guest that reports what it likes."""

import base64
import json
import os
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import libvirt
import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import image_build
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.image_build import Build, seed_of
from ansible_collections.multiverse.router_controller.plugins.module_utils.images import Image
from hypothesis import example, given
from hypothesis import strategies as st

MIB = 1024 * 1024
FOLDER = ".build-0123"
DONE = {"step": "done", "code": 0, "log": ""}


@pytest.fixture(autouse=True)
def owners(monkeypatch):
    """Who got which file; the tests need not run as root."""
    given = {}
    monkeypatch.setattr(image_build.os, "chown", lambda path, uid, gid: given.update({str(path): (uid, gid)}))
    monkeypatch.setattr(image_build, "DISK_SIZE", 16 * MIB)
    return given


@pytest.fixture(scope="session")
def filesystem(tmp_path_factory):
    """A small ext4 file system with what an Alpine has in /boot."""
    folder = tmp_path_factory.mktemp("alpine")
    boot, library = folder / "root/boot", folder / "root/usr/lib"
    boot.mkdir(parents=True)
    library.mkdir(parents=True)
    for name in ("vmlinuz-lts", "vmlinuz-virt", "vmlinuz-virt.old", "initramfs-virt", "config-6.1"):
        (boot / name).write_text(name)
    (boot / os.fsdecode(b"vmlinuz-\xff")).write_text("hostile name")
    path = folder / "ext4"
    subprocess.run(["mkfs.ext4", "-q", "-d", str(folder / "root"), str(path), "8M"], check=True)
    return path.read_bytes()


@pytest.fixture
def raw(tmp_path, filesystem):
    path = tmp_path / "alpine.raw"
    path.write_bytes(filesystem)
    return str(path)


@pytest.fixture
def portal(tmp_path):
    folder = tmp_path / "portal"
    (folder / "image/etc").mkdir(parents=True)
    (folder / "build").write_text("#!/bin/sh\n")
    (folder / "build").chmod(0o755)
    (folder / "image/etc/inittab").write_text("::sysinit\n")
    (folder / "repositories").write_text("http://mirror\n")
    return folder


class NoDomains:
    """A libvirt without the VM of an earlier build."""

    def lookupByName(self, name):  # noqa: N802, libvirt's name
        error = libvirt.libvirtError("no such domain")
        error.err = (libvirt.VIR_ERR_NO_DOMAIN,) + (None,) * 8
        raise error


@pytest.fixture
def build(tmp_path, portal):
    (tmp_path / "os-images").mkdir()
    image = Image(str(tmp_path / "os-images"), "0123")
    acceleration = SimpleNamespace(accel="tcg", cpu="qemu64")
    return Build(NoDomains(), image, ["tor", "dnsmasq", "tor"], str(portal), (1234, 1235), acceleration)


@pytest.fixture
def folder(tmp_path, build):
    """The folder of a build that has begun."""
    path = tmp_path / "os-images" / FOLDER
    path.mkdir()
    return path


def inside(disk, request):
    return subprocess.run(
        ["debugfs", "-R", request, str(disk)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


def report(folder, value):
    (folder / "report").write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_the_seed_is_every_file_but_where_packages_come_from(portal):
    before = seed_of(str(portal))
    assert sorted(before) == ["build", "image/etc/inittab"]
    (portal / "repositories").write_text("http://other\n")
    assert seed_of(str(portal)) == before
    for change in (
        lambda: (portal / "build").chmod(0o644),
        lambda: (portal / "build").write_text("x"),
        lambda: (portal / "new").write_text(""),
    ):
        change()
        assert seed_of(str(portal)) != before
        before = seed_of(str(portal))


def test_the_portal_of_a_build_lists_the_packages(build, folder, portal):
    build._write_portal()
    assert (folder / "portal/packages").read_text() == "dnsmasq\ntor\n"
    assert not (portal / "packages").exists()
    assert os.access(folder / "portal/build", os.X_OK)


# --- the disk ---------------------------------------------------------------------------------------------------------


def _qcow2(raw, path):
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    return path


def _partitioned(raw, path):
    table = bytearray(512)
    table[446:462] = struct.pack("<BxxxBxxxII", 0, 0x83, 2048, 8 * MIB // 512)
    table[510:] = b"\x55\xaa"
    with open(raw, "rb") as file, open(path, "wb") as target:
        target.write(table.ljust(MIB, b"\0") + file.read())
    return path


@pytest.mark.parametrize("form", [lambda raw, path: raw, _qcow2, _partitioned], ids=["raw", "qcow2", "partitioned"])
def test_the_filesystem_is_cut_out_checked_and_grown(build, folder, raw, tmp_path, form):
    build._extract(form(raw, str(tmp_path / "base")))
    assert os.listdir(folder) == ["disk"]
    assert (folder / "disk").stat().st_size == 16 * MIB
    assert "Block count:              16384" in inside(folder / "disk", "stats")  # of 1 KiB
    subprocess.run(
        ["e2fsck", "-fn", str(folder / "disk")], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    build._dump_kernel()
    assert (folder / "vmlinuz").read_text() == "vmlinuz-virt"
    assert (folder / "initramfs").read_text() == "initramfs-virt"


def test_a_base_image_may_not_point_to_other_files(build, folder, raw, tmp_path):
    base = tmp_path / "base.qcow2"
    options = {
        "backing file": ["-F", "raw", "-b", raw],
        "data file": ["-o", "data_file=" + str(tmp_path / "outside.raw"), "8M"],
    }
    for name, arguments in options.items():
        command = ["qemu-img", "create", "-q", "-f", "qcow2"] + arguments
        subprocess.run(
            command[:-1] + [str(base), command[-1]] if name == "data file" else command + [str(base)], check=True
        )
        with pytest.raises(MultiverseError, match="base.qcow2 is no self-contained qcow2 or raw image"):
            build._extract(str(base))
        base.unlink()
    subprocess.run(["qemu-img", "convert", "-O", "vmdk", raw, str(base)], check=True)
    with pytest.raises(MultiverseError, match="is no self-contained"):
        build._extract(str(base))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: path.write_bytes(b"\0" * MIB), "base: expected one ext4 filesystem"),
        (lambda path: path.write_bytes(b""), "base: expected one ext4 filesystem"),
        (lambda path: None, "qemu-img info .* failed with code 1: .*base"),
    ],
    ids=["blank", "empty", "missing"],
)
def test_no_disk(build, folder, tmp_path, make, message):
    make(tmp_path / "base")
    with pytest.raises(MultiverseError, match=message):
        build._extract(str(tmp_path / "base"))


def test_a_filesystem_beyond_repair_is_an_error(build, folder, raw, tmp_path):
    with open(raw, "r+b") as file:
        file.seek(1024)
        file.write(b"\xff" * 0x38)
        file.seek(1024 + 0x40)
        file.write(b"\xff" * 4 * MIB)
    with pytest.raises(MultiverseError, match="^e2fsck -fy .* failed with code"):
        build._extract(raw)


def test_debugfs_reports_what_it_does_not_return(build, folder, raw):
    os.rename(raw, folder / "disk")
    with pytest.raises(MultiverseError, match="building build-0123: debugfs: .*no-such-file"):
        build._debugfs("write /no-such-file /x")
    # Positive control; a folder that is there already is no error.
    (folder / "script").write_text("#!/bin/sh\n")
    build._debugfs("mkdir /usr/lib/multiverse", "write {0} /usr/lib/multiverse/build".format(folder / "script"))
    build._debugfs("mkdir /usr/lib/multiverse")
    assert inside(folder / "disk", "cat /usr/lib/multiverse/build") == "#!/bin/sh\n"


def test_an_image_without_a_kernel_is_an_error(build, folder, raw):
    os.rename(raw, folder / "disk")
    build._debugfs("rm /boot/vmlinuz-lts", "rm /boot/vmlinuz-virt")
    with pytest.raises(MultiverseError, match="the base image has no /boot/vmlinuz-"):
        build._dump_kernel()


@given(st.lists(st.sampled_from([b"\0" * MIB, b"\0" * 10, b"x", b"y" * MIB]), max_size=6), st.integers(0, 20))
@example([b"\0" * MIB] * 3, 0)
def test_a_sparse_copy_is_a_copy(tmp_path_factory, blocks, start):
    folder = tmp_path_factory.mktemp("sparse")
    data = b"".join(blocks)
    (folder / "source").write_bytes(b"#" * start + data + b"#" * 5)
    with open(folder / "source", "rb") as source:
        image_build._copy_sparse(source, start, len(data), str(folder / "target"))
    assert (folder / "target").read_bytes() == data


def test_zeros_become_holes(tmp_path):
    (tmp_path / "source").write_bytes(b"x" + b"\0" * 8 * MIB)
    with open(tmp_path / "source", "rb") as source:
        image_build._copy_sparse(source, 0, 8 * MIB + 1, str(tmp_path / "target"))
    assert (tmp_path / "target").stat().st_blocks * 512 < 4 * MIB < (tmp_path / "source").stat().st_blocks * 512


# --- what the guest says ----------------------------------------------------------------------------------------------


def test_an_honest_report(build, folder):
    report(folder, DONE)
    build._check_report()
    report(folder, dict(DONE, step="packages", code=4, log=base64.b64encode(b"one\nERROR: no such package\n").decode()))
    with pytest.raises(
        MultiverseError, match="building build-0123: step packages failed with code 4:\none\nERROR: no such"
    ):
        build._check_report()


HOSTILE = {
    "nothing": b"",
    "no JSON": b"done",
    "no text": b"\xff\xfe",
    "huge": b'{"step": "done", "code": 0, "log": "' + b"A" * 10**6 + b'"}',
    "deep": b"[" * 60000,
    "deep objects": b'{"a":' * 10000,
    "a list": ["done", 0, ""],
    "a text": "done",
    "null": None,
    "no keys": {},
    "null values": {"step": None, "code": None, "log": None},
    "infinite": b'{"step": "done", "code": Infinity, "log": ""}',
    "not a number": b'{"step": "done", "code": NaN, "log": ""}',
    "a word for a code": dict(DONE, code="zero"),
    "a long number": b'{"step": "done", "code": ' + b"9" * 5000 + b', "log": ""}',
    "a list for a code": dict(DONE, code=[0]),
    "a number for a log": dict(DONE, log=7),
    "no base64": dict(DONE, log="A"),
    "no ASCII": dict(DONE, log="é"),
    "another step": dict(DONE, step=["done"]),
    "a failed step": dict(DONE, code=1),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_no_hostile_report_is_a_success_or_a_bug(build, folder, name):
    report(folder, HOSTILE[name])
    (folder / "console.log").write_bytes(b"Kernel panic\n")
    with pytest.raises(MultiverseError, match="^building build-0123: ") as caught:
        build._check_report()
    assert len(str(caught.value)) < 10000


CONTROL = "\x1b]0;pwned\x07\x9b2J\u202eevil\r\x00\u2066"


def test_nothing_that_a_terminal_obeys_gets_out(build, folder):
    log = base64.b64encode(("fine\n" + CONTROL).encode()).decode()
    report(folder, {"step": CONTROL * 10, "code": 1, "log": log})
    with pytest.raises(MultiverseError) as caught:
        build._check_report()
    assert all(line.isprintable() for line in str(caught.value).split("\n")) and "fine" in str(caught.value)
    (folder / "report").unlink()
    (folder / "console.log").write_bytes(b"x" * 10**6 + b"\nlast words\n" + CONTROL.encode() + b"\xff")
    with pytest.raises(
        MultiverseError, match="ended without a report; the last lines of its console:\n(.*\n)*last words"
    ) as caught:
        build._check_report()
    assert all(line.isprintable() for line in str(caught.value).split("\n")) and len(str(caught.value)) < 10000


def test_a_guest_that_printed_nothing(build, folder):
    with pytest.raises(MultiverseError, match="no console output"):
        build._check_report()


@pytest.mark.parametrize(
    "replace",
    [
        lambda path, secret: path.symlink_to(secret),
        lambda path, secret: os.link(secret, path),
        lambda path, secret: path.mkdir(),
        lambda path, secret: os.mkfifo(path),
    ],
    ids=["link", "hard link", "folder", "pipe"],
)
@pytest.mark.parametrize("name", ["disk", "vmlinuz", "report", "console.log"])
def test_what_the_account_of_qemu_put_in_place_of_a_file_is_not_touched(build, folder, tmp_path, owners, name, replace):
    secret = tmp_path / "shadow"
    secret.write_text("secret")
    for other in ("disk", "vmlinuz", "initramfs", "report", "console.log"):
        (folder / other).write_text("")
    (folder / "portal").mkdir()
    build._take_back()
    assert owners == {str(folder): (0, 0)}
    (folder / name).unlink()
    replace(folder / name, secret)
    with pytest.raises(MultiverseError, match="{} was replaced while the VM ran".format(name)):
        build._take_back()


# --- from beginning to end --------------------------------------------------------------------------------------------


@pytest.fixture
def booted(build, monkeypatch):
    """The build with a guest that sees the disk as it would boot it, and reports success."""
    seen = {}

    def boot(_timeout):
        seen["script"] = inside(build._path("disk"), "cat " + image_build.BUILD_SCRIPT)
        seen["mode"] = inside(build._path("disk"), "stat " + image_build.BUILD_SCRIPT)
        seen["xml"] = build._domain()
        build._debugfs(
            "rm /boot/initramfs-virt", "write {0} /boot/initramfs-virt".format(build._path("portal/packages"))
        )
        report(Path(build._folder), DONE)

    monkeypatch.setattr(build, "_boot", boot)
    return seen


def test_a_build_leaves_three_files(build, booted, raw, tmp_path, owners):
    pool = tmp_path / "os-images"
    for folder in (FOLDER, ".build-4567"):
        (pool / folder).mkdir()
        (pool / folder / "rest").write_text("of a killed build, of this image or another")
    build.run(raw, 60)
    assert booted["script"] == "#!/bin/sh\n" and "Mode:  0755" in booted["mode"]
    assert booted["xml"].cmdline.endswith("init=" + image_build.BUILD_SCRIPT)
    assert sorted(os.listdir(pool)) == ["router-0123.initramfs", "router-0123.raw", "router-0123.vmlinuz"]
    assert (pool / "router-0123.vmlinuz").read_text() == "vmlinuz-virt"
    assert (pool / "router-0123.initramfs").read_text() == "dnsmasq\ntor\n"  # the one that the boot left
    for name in os.listdir(pool):
        assert (pool / name).stat().st_mode & 0o7777 == 0o440
    assert owners[str(pool / FOLDER / "disk")] == (0, 1235)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_while_publishing_there_is_no_disk_and_the_next_run_makes_it(
    build, booted, raw, tmp_path, monkeypatch, nth
):
    pool = tmp_path / "os-images"
    with monkeypatch.context() as broken:
        rename, moved = os.rename, []

        def killed(source, target):
            if os.path.dirname(target) == str(pool):
                moved.append(target)
                if len(moved) == nth:
                    raise KeyboardInterrupt
            rename(source, target)

        broken.setattr(image_build.os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            build.run(raw, 60)
    assert len(moved) == nth and moved[-1].endswith(("vmlinuz", "initramfs", "raw")[nth - 1])
    assert not (pool / "router-0123.raw").exists()
    build.run(raw, 60)
    assert sorted(os.listdir(pool)) == ["router-0123.initramfs", "router-0123.raw", "router-0123.vmlinuz"]


def test_a_build_that_finds_a_file_replaced_reads_and_publishes_nothing(build, booted, raw, tmp_path, monkeypatch):
    boot = build._boot
    report(tmp_path, DONE)

    def replaced(timeout):
        boot(timeout)
        Path(build._path("report")).unlink()
        Path(build._path("report")).symlink_to(tmp_path / "report")

    monkeypatch.setattr(build, "_boot", replaced)
    with pytest.raises(MultiverseError, match="report was replaced while the VM ran"):
        build.run(raw, 60)
    assert os.listdir(tmp_path / "os-images") == [FOLDER]


def test_a_failed_build_publishes_nothing(build, booted, raw, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_boot", lambda timeout: report(Path(build._folder), dict(DONE, step="network", code=1)))
    with pytest.raises(MultiverseError, match="step network failed with code 1"):
        build.run(raw, 60)
    assert os.listdir(tmp_path / "os-images") == [FOLDER]


def test_a_program_that_is_not_installed_is_named(build, folder, raw, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MultiverseError, match="qemu-img is not installed; the role packages installs it"):
        build._extract(raw)


def test_a_build_that_hangs_is_ended(build, folder, monkeypatch):
    (folder / "console.log").write_text("waiting for the mirror\n")

    class Guest:
        running = True

        def isActive(self):  # noqa: N802, libvirt's name
            return self.running

        def destroy(self):
            self.running = False

    guest = Guest()
    build._connection.createXML = lambda xml, flags: guest if flags == libvirt.VIR_DOMAIN_START_AUTODESTROY else None
    monkeypatch.setattr(image_build, "domain_xml", SimpleNamespace(to_xml=lambda model: "<domain/>"))
    with pytest.raises(
        MultiverseError, match="not done after 0 s; the last lines of its console:\nwaiting for the mirror"
    ):
        build._boot(0)
    assert not guest.running
