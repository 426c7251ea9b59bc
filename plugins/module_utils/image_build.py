# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds router images: base image + packages + our files, in one boot of a throwaway VM without privileges.

No root inside a foreign filesystem, no loop device, no libguestfs: the filesystem is cut out of the base image, debugfs
(e2fsprogs) puts one script into it, which does the rest as PID 1, and debugfs takes kernel and initramfs out again.
"""

import base64
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import time

from ansible_collections.multiverse.router_controller.plugins.module_utils import domain_xml, domains
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.images import find_filesystem

DISK_SIZE = 1024**3  # bytes; sparse
MEMORY = 512  # MiB
BUILD_SCRIPT = "/usr/lib/multiverse/build"
REPORT_PORT = "org.multiverse.build"
MAC = "00:00:10:ff:ff:fe"  # on QEMU's own user network, seen by nobody
MAX_REPORT = 64 * 1024
MAX_CONSOLE = 8000  # bytes of its end that an error quotes from
BLOCK = 1024 * 1024


def seed_of(portal: str) -> dict:
    """path -> mode and sha256 of every file of the build portal that shapes an image: all but the packages' origin."""
    seed = {}
    for root, folders, names in os.walk(portal):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                seed[os.path.relpath(path, portal)] = "{0:o} {1}".format(
                    os.stat(path).st_mode & 0o7777, hashlib.sha256(file.read()).hexdigest()
                )
    seed.pop("repositories", None)
    return seed


class Build(object):
    """One build, in a folder of its own next to the result; what a killed build left there is swept away first."""

    def __init__(self, connection, image, packages: list, portal: str, owner: tuple, acceleration):
        """:param connection: open libvirt connection. :param owner: (uid, gid) of the user that runs QEMU."""
        self._connection = connection
        self._image = image
        self._packages = packages
        self._portal = portal
        self._uid, self._gid = owner
        self._acceleration = acceleration
        self._folder = os.path.join(os.path.dirname(image.disk), ".build-" + image.digest)

    def run(self, base: str, timeout: int) -> None:
        """Build from the base image file `base`, within `timeout` seconds.

        :raises MultiverseError: naming the step that failed and the last lines of its output.
        """
        self._sweep()
        os.mkdir(self._folder, 0o700)
        self._write_portal()
        self._extract(base)
        self._dump_kernel()
        self._debugfs(
            "mkdir /usr/lib/multiverse",
            "write {0} {1}".format(self._path("portal/build"), BUILD_SCRIPT),
            "sif {0} mode 0100755".format(BUILD_SCRIPT),
        )
        self._give_away()
        self._boot(timeout)
        self._take_back()
        self._check_report()
        self._dump_kernel()
        self._publish()
        self._discard()

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _sweep(self):
        """Remove what killed or failed builds left, of this image or another: builds do not run side by side."""
        for folder in glob.glob(os.path.join(os.path.dirname(self._folder), ".build-*")):
            _destroy(self._connection, os.path.basename(folder)[1:])
            shutil.rmtree(folder, ignore_errors=True)

    def _discard(self):
        _destroy(self._connection, self._name)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _name(self):
        return "build-" + self._image.digest

    def _write_portal(self):
        shutil.copytree(self._portal, self._path("portal"))
        with open(self._path("portal/packages"), "w") as file:
            file.write("".join(package + "\n" for package in sorted(set(self._packages))))

    def _extract(self, base):
        """The base image's one filesystem as a raw file, checked and grown."""
        info = json.loads(_run(["qemu-img", "info", "--output=json", base]))
        if info["format"] not in ("qcow2", "raw") or "backing-filename" in info or "data-file" in _specific(info):
            raise MultiverseError(
                "{0} is no self-contained qcow2 or raw image; use an official Alpine cloud image".format(base)
            )
        _run(["qemu-img", "convert", "-f", info["format"], "-O", "raw", base, self._path("whole")])
        with open(self._path("whole"), "rb") as file:

            def read(offset, length):
                file.seek(offset)
                return file.read(length)

            start, length = find_filesystem(read, os.path.getsize(file.name), base)
            if start == 0:
                os.rename(file.name, self._path("disk"))
            else:
                _copy_sparse(file, start, length, self._path("disk"))
                os.unlink(file.name)
        _run(["e2fsck", "-fy", self._path("disk")], accept=(0, 1))
        if os.path.getsize(self._path("disk")) < DISK_SIZE:
            os.truncate(self._path("disk"), DISK_SIZE)
            _run(["resize2fs", self._path("disk")])

    def _debugfs(self, *commands):
        """Run debugfs requests; it reports errors on stderr and exits 0 all the same."""
        process = subprocess.Popen(
            ["debugfs", "-w", "-f", "-", self._path("disk")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, errors = (
            text.decode("utf-8", "replace")
            for text in process.communicate("".join(command + "\n" for command in commands).encode("utf-8"))
        )
        complaints = [
            line for line in errors.splitlines()[1:] if line.strip() and "Ext2 directory already exists" not in line
        ]
        if process.returncode or complaints:
            raise MultiverseError("building {0}: debugfs: {1}".format(self._name, " ".join(complaints) or output))
        return output

    def _dump_kernel(self):
        listing = self._debugfs("ls -p /boot")
        names = [line.split("/")[5] for line in listing.splitlines() if line.count("/") >= 6]
        for wanted, target in (("vmlinuz", "vmlinuz"), ("initramfs", "initramfs")):
            found = sorted(
                (name for name in names if re.match(wanted + r"-[a-z]+$", name)),
                key=lambda name: not name.endswith("-virt"),
            )
            if not found:
                raise MultiverseError(
                    "the base image has no /boot/{0}-*; use an Alpine image with a kernel".format(wanted)
                )
            self._debugfs("dump /boot/{0} {1}".format(found[0], self._path(target)))

    def _give_away(self):
        """QEMU runs as the dedicated user and may touch this folder alone."""
        for name in ("", "disk", "vmlinuz", "initramfs"):
            os.chown(self._path(name), self._uid, self._gid)
        os.chmod(self._path("disk"), 0o600)

    def _take_back(self):
        """The VM is off. What its user left in the folder is worked on as root, so it has to be what we put there."""
        os.chown(self._folder, 0, 0)
        for name in os.listdir(self._folder):
            facts = os.lstat(self._path(name))
            if name != "portal" and (not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1):
                raise MultiverseError(
                    "building {0}: {1} was replaced while the VM ran; look who uses the account that runs QEMU".format(
                        self._name, self._path(name)
                    )
                )

    def _domain(self):
        return domains.router(
            name=self._name,
            accel=self._acceleration.accel,
            cpu=self._acceleration.cpu,
            memory=MEMORY,
            agent=False,
            kernel=self._path("vmlinuz"),
            initrd=self._path("initramfs"),
            cmdline="root=/dev/vda rootfstype=ext4 modules=ext4,virtio_blk rw console=ttyS0 quiet init=" + BUILD_SCRIPT,
            disks=[{"path": self._path("disk"), "format": "raw"}],
            interfaces=[{"mac": MAC, "type": "user"}],
            share={"path": self._path("portal"), "tag": "build-portal"},
            console_log=self._path("console.log"),
            channels=[{"name": REPORT_PORT, "path": self._path("report")}],
        )

    def _boot(self, timeout):
        import libvirt

        # Destroyed by libvirt itself when this connection ends: a killed module leaves no VM behind.
        guest = self._connection.createXML(domain_xml.to_xml(self._domain()), libvirt.VIR_DOMAIN_START_AUTODESTROY)
        deadline = time.monotonic() + timeout
        while _active(guest):
            if time.monotonic() > deadline:
                guest.destroy()
                raise MultiverseError(
                    "building {0}: not done after {1} s; the last lines of its console:\n{2}".format(
                        self._name, timeout, self._console()
                    )
                )
            time.sleep(0.5)

    def _check_report(self):
        try:
            with open(self._path("report"), "rb") as file:
                report = json.loads(file.read(MAX_REPORT).decode("utf-8"))
            step, code, log = str(report["step"]), int(report["code"]), base64.b64decode(report["log"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise MultiverseError(
                "building {0}: the VM ended without a report; the last lines of its console:\n{1}".format(
                    self._name, self._console()
                )
            ) from None
        if code or step != "done":
            raise MultiverseError(
                "building {0}: step {1} failed with code {2}:\n{3}".format(
                    self._name, _printable(step[:40]), code % 256, _tail(log)
                )
            )

    def _console(self):
        try:
            with open(self._path("console.log"), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_CONSOLE))
                return _tail(file.read(MAX_CONSOLE))
        except OSError:
            return "(no console output)"

    def _publish(self):
        """Under their final names only when complete and on disk; the disk last, for it stands for the whole image."""
        _run(["e2fsck", "-fy", self._path("disk")], accept=(0, 1))
        for name, target in (
            ("vmlinuz", self._image.kernel),
            ("initramfs", self._image.initrd),
            ("disk", self._image.disk),
        ):
            os.chown(self._path(name), 0, self._gid)
            os.chmod(self._path(name), 0o440)
            with open(self._path(name), "rb") as file:
                os.fsync(file.fileno())
            os.rename(self._path(name), target)
        folder = os.open(os.path.dirname(self._image.disk), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _active(guest):
    import libvirt

    try:
        return guest.isActive()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:  # a transient domain is gone once it is off
            return False
        raise


def _destroy(connection, name):
    import libvirt

    try:
        connection.lookupByName(name).destroy()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
            raise


def _copy_sparse(source, start, length, target):
    """Copy a range of an open file; blocks of zeros become holes."""
    source.seek(start)
    with open(target, "wb") as file:
        left = length
        while left:
            block = source.read(min(BLOCK, left))
            if not block:
                break
            if block.count(0) == len(block):
                file.seek(len(block), os.SEEK_CUR)
            else:
                file.write(block)
            left -= len(block)
        file.truncate(length)


def _tail(data, lines=20):
    """The last lines of a guest's output, without control characters."""
    return "\n".join(map(_printable, data.decode("utf-8", "replace").splitlines()[-lines:]))


def _printable(text):
    return "".join(character for character in text if character.isprintable())


def _specific(info):
    """What `qemu-img info` says of this format alone. `data-file` there is a file outside the image."""
    return info.get("format-specific", {}).get("data", {})


def _run(command, accept=(0,)):
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise MultiverseError("{0} is not installed; the role packages installs it".format(command[0])) from None
    output, errors = (text.decode("utf-8", "replace") for text in process.communicate())
    if process.returncode not in accept:
        raise MultiverseError(
            "{0} failed with code {1}: {2}".format(
                " ".join(command), process.returncode, (errors or output).strip()[-2000:]
            )
        )
    return output
