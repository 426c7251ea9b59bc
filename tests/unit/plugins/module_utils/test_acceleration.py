"""KVM or emulation: the decision as a table, and the reader on this machine."""

import grp
import os
import pwd
import stat

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import acceleration
from ansible_collections.multiverse.router_controller.plugins.module_utils.acceleration import (
    Device,
    User,
    cpu_flag,
    decide,
    obstacle,
)
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

INTEL = "processor\t: 0\nmodel name\t: svm-ish\nflags\t\t: fpu vme vmx aes\nvmx flags\t: vnmi\n"
AMD = "processor\t: 0\nflags\t\t: fpu svm aes\n"
NEITHER = "processor\t: 0\nmodel name\t: vmx svm\nflags\t\t: fpu vmxoff xsvm\nvmx flags\t: vmx\n"
KVM = Device(mode=stat.S_IFCHR | 0o660, uid=0, gid=106, api=12, error=None)
ROUTERS = User("multiverse", 990, frozenset([990, 106]))


@pytest.mark.parametrize("cpuinfo, flag", [(INTEL, "vmx"), (AMD, "svm"), (NEITHER, None), ("", None)])
def test_cpu_flag(cpuinfo, flag):
    assert cpu_flag(cpuinfo) == flag


@pytest.mark.parametrize(
    "cpuinfo, device, user, reason",
    [
        (INTEL, KVM, ROUTERS, None),
        (AMD, KVM, None, None),
        (AMD, KVM, User("root", 0, frozenset([0])), None),
        (AMD, KVM._replace(mode=stat.S_IFCHR | 0o600, uid=990), ROUTERS, None),
        (AMD, KVM._replace(mode=stat.S_IFCHR | 0o666, gid=0), ROUTERS, None),
        # A node that accepts VMs on a CPU that has no virtualization: seen, and they never run.
        (NEITHER, KVM, ROUTERS, "neither vmx nor svm"),
        (INTEL, None, ROUTERS, "/dev/kvm does not exist"),
        (INTEL, KVM._replace(mode=stat.S_IFREG | 0o666), ROUTERS, "no character device"),
        (INTEL, KVM._replace(api=None, error="No such device"), ROUTERS, "does not work: No such device"),
        (INTEL, KVM._replace(api=11), ROUTERS, "API version 11, not 12"),
        (INTEL, KVM, User("multiverse", 990, frozenset([990])), "may not be opened by user multiverse (mode 0660)"),
        (INTEL, KVM._replace(mode=stat.S_IFCHR | 0o640), ROUTERS, "may not be opened by user multiverse (mode 0640)"),
        (INTEL, KVM._replace(mode=stat.S_IFCHR | 0o466, uid=990), ROUTERS, "may not be opened by user multiverse"),
    ],
)
def test_all_of_it_must_be_there(cpuinfo, device, user, reason):
    found = obstacle(cpuinfo, device, user)
    if reason is None:
        assert found is None
        assert decide("auto", cpuinfo, device, user) == ("kvm", "host-passthrough", None)
        assert decide("kvm", cpuinfo, device, user) == ("kvm", "host-passthrough", None)
    else:
        assert reason in found
        accel, cpu, warning = decide("auto", cpuinfo, device, user)
        assert (accel, cpu) == ("tcg", "qemu64")
        assert reason in warning and "isolation" in warning
        with pytest.raises(MultiverseError) as raised:
            decide("kvm", cpuinfo, device, user)
        assert reason in str(raised.value)


def test_emulation_may_be_asked_for_where_there_is_kvm():
    accel, cpu, warning = decide("tcg", INTEL, KVM, ROUTERS)
    assert (accel, cpu) == ("tcg", "qemu64")
    assert "isolation" in warning


def test_an_unknown_request_names_the_choices():
    with pytest.raises(MultiverseError, match="'hvf' is not one of auto, kvm, tcg"):
        decide("hvf", INTEL, KVM)


def test_reading_a_user():
    entry = pwd.getpwuid(os.getuid())
    user = acceleration.read_user(entry.pw_name)
    assert (user.name, user.uid) == (entry.pw_name, entry.pw_uid)
    assert entry.pw_gid in user.gids
    assert {group.gr_gid for group in grp.getgrall() if entry.pw_name in group.gr_mem} <= user.gids
    with pytest.raises(MultiverseError, match="user nobody-of-this-name does not exist"):
        acceleration.read_user("nobody-of-this-name")


def test_reading_a_device(monkeypatch, tmp_path):
    monkeypatch.setattr(acceleration, "DEVICE", str(tmp_path / "kvm"))
    assert acceleration.read_device() is None
    (tmp_path / "kvm").write_text("")
    assert stat.S_ISREG(acceleration.read_device().mode)
    # A character device that is no KVM: the driver behind it refuses the question.
    monkeypatch.setattr(acceleration, "DEVICE", "/dev/null")
    device = acceleration.read_device()
    assert stat.S_ISCHR(device.mode) and device.api is None and device.error


def test_reading_this_machine(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(NEITHER)
    monkeypatch.setattr(acceleration, "CPUINFO", str(tmp_path / "cpuinfo"))
    assert acceleration.read("auto").accel == "tcg"
    assert acceleration.read("tcg", pwd.getpwuid(os.getuid()).pw_name).accel == "tcg"
