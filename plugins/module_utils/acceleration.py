# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""KVM or emulation: a decision over facts (pure), and the thin reader of those facts.

A ``/dev/kvm`` alone proves nothing: static nodes exist without a driver behind them, and nested hosts were seen that
accept VMs and never run them. So `auto` asks for all of it: the CPU flag, the node, an answer of the driver, and the
right of the user whose QEMU will open it.
"""

import fcntl
import grp
import os
import pwd
import re
import stat
from collections import namedtuple
from typing import Optional

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

DEVICE = "/dev/kvm"
CPUINFO = "/proc/cpuinfo"
REQUESTS = ("auto", "kvm", "tcg")
CPU_FLAGS = ("vmx", "svm")
# linux/kvm.h: KVM_GET_API_VERSION = _IO(0xAE, 0x00); the answer has been 12 since Linux 2.6.22 and will not change.
KVM_GET_API_VERSION = 0xAE00
KVM_API_VERSION = 12

# cpu: the CPU of the router model. KVM passes the host's CPU through (AES for VPNs, no table of models that differs
# between libvirt releases; routers never migrate). Emulated, a small old CPU is much faster than a feature-rich one.
CPUS = {"kvm": "host-passthrough", "tcg": "qemu64"}

NO_PROMISE = "routers run emulated (slow, and without the isolation that hardware virtualization gives)"

# mode, uid, gid: of the node, as os.stat gives them. api: what the driver answered, None if it did not; error: why.
Device = namedtuple("Device", "mode uid gid api error")
# uid: number; gids: all group numbers. Of the user that runs QEMU.
User = namedtuple("User", "name uid gids")
Acceleration = namedtuple("Acceleration", "accel cpu warning")


def cpu_flag(cpuinfo: str) -> Optional[str]:
    """The flag of the first CPU in the text of /proc/cpuinfo that stands for hardware virtualization, or None."""
    for line in cpuinfo.splitlines():
        if re.match(r"flags\s*:", line):
            words = line.split(":", 1)[1].split()
            return next((flag for flag in CPU_FLAGS if flag in words), None)
    return None


def _may_open(device: Device, user: User) -> bool:
    """Whether the classic permission bits let `user` read and write the node (ACLs of login sessions do not count)."""
    if user.uid == 0:
        return True
    if user.uid == device.uid:
        need = stat.S_IRUSR | stat.S_IWUSR
    elif device.gid in user.gids:
        need = stat.S_IRGRP | stat.S_IWGRP
    else:
        need = stat.S_IROTH | stat.S_IWOTH
    return device.mode & need == need


def obstacle(cpuinfo: str, device: Optional[Device], user: Optional[User] = None) -> Optional[str]:
    """Why KVM cannot be used, as a clause of a sentence; None when it can.

    cpuinfo: text of /proc/cpuinfo. device: None when the node does not exist. user: who runs QEMU; None: not checked
    (qemu:///system gives QEMU its own user and group).
    """
    if cpu_flag(cpuinfo) is None:
        return "the CPU shows neither vmx nor svm in {0}".format(CPUINFO)
    if device is None:
        return "{0} does not exist".format(DEVICE)
    if not stat.S_ISCHR(device.mode):
        return "{0} is no character device".format(DEVICE)
    if device.api != KVM_API_VERSION:
        answer = device.error or "it answered API version {0}, not {1}".format(device.api, KVM_API_VERSION)
        return "{0} does not work: {1}".format(DEVICE, answer)
    if user is not None and not _may_open(device, user):
        return "{0} may not be opened by user {1} (mode {2:04o})".format(DEVICE, user.name, stat.S_IMODE(device.mode))
    return None


def decide(requested: str, cpuinfo: str, device: Optional[Device], user: Optional[User] = None) -> Acceleration:
    """The acceleration to use, its CPU, and a warning or None.

    requested: auto, kvm or tcg. Other arguments: see `obstacle`.
    Raises MultiverseError for an unknown request, and for `kvm` where KVM cannot be used.
    """
    if requested not in REQUESTS:
        raise MultiverseError("acceleration: {0!r} is not one of {1}".format(requested, ", ".join(REQUESTS)))
    if requested == "tcg":
        return Acceleration("tcg", CPUS["tcg"], "acceleration tcg was asked for: {0}".format(NO_PROMISE))
    reason = obstacle(cpuinfo, device, user)
    if reason is None:
        return Acceleration("kvm", CPUS["kvm"], None)
    if requested == "kvm":
        raise MultiverseError(
            "acceleration: kvm was asked for, but {0}. Enable virtualization in the firmware (or nested virtualization "
            "on the machine below), load kvm_intel or kvm_amd, or set the acceleration to auto.".format(reason)
        )
    return Acceleration("tcg", CPUS["tcg"], "{0}: {1}".format(reason, NO_PROMISE))


def _ask_driver():
    """The API version of the driver behind the node, and the error text (one of both is None)."""
    try:
        handle = os.open(DEVICE, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        return None, error.strerror
    try:
        return fcntl.ioctl(handle, KVM_GET_API_VERSION, 0), None
    except OSError as error:
        return None, error.strerror
    finally:
        os.close(handle)


def read_device() -> Optional[Device]:
    """The state of /dev/kvm now; None when there is none. To be called by root: it opens the device."""
    try:
        found = os.stat(DEVICE)
    except OSError:
        return None
    api, error = _ask_driver() if stat.S_ISCHR(found.st_mode) else (None, None)
    return Device(found.st_mode, found.st_uid, found.st_gid, api, error)


def read_user(name: str) -> User:
    """The user `name` with all its groups, from the system's databases. Raises MultiverseError when it is unknown."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise MultiverseError("acceleration: user {0} does not exist; create it first".format(name)) from error
    gids = [group.gr_gid for group in grp.getgrall() if name in group.gr_mem]
    return User(name, entry.pw_uid, frozenset(gids + [entry.pw_gid]))


def read(requested: str, user: Optional[str] = None) -> Acceleration:
    """`decide` for this machine. user: name of who runs QEMU, None for qemu:///system."""
    with open(CPUINFO) as handle:
        cpuinfo = handle.read()
    return decide(requested, cpuinfo, read_device(), read_user(user) if user else None)
