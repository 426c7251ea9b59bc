# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Router VMs: the model of a libvirt domain. No I/O.

A router is a small machine with nothing that it does not need. The model therefore lists *everything* that connects a
VM with the world: what libvirt has beyond it is an intruder, because it would be a way past the isolation.
"""

import re
from collections import OrderedDict, namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

KIND = "router"

#: The guest agent's port; libvirt owns the host's end of it (https://libvirt.org/formatdomain.html#channel).
AGENT = "org.qemu.guest_agent.0"
#: QEMU's own vendor prefix. It tells everyone on the network that this is a VM.
TELLTALE_MAC = "52:54:00"
HOST_PASSTHROUGH = "host-passthrough"
#: A router starts no VMs. Nested virtualization is a large part of what a guest can attack in KVM, so it is off.
NESTED_FEATURES = ("svm", "vmx")

# What is the same in every router. A QEMU that crashed leaves nothing worth resuming: it is off until it is started
# afresh (a panic inside the guest is its kernel's business: panic=N reboots, and on_reboot lets it).
LIFECYCLE = OrderedDict([("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")])
RNG = {"model": "virtio", "backend": "/dev/urandom"}

_FIELDS = (
    "name accel machine cpu cpu_disabled memory vcpus kernel initrd cmdline acpi clock lifecycle disks interfaces "
    "shares serials channels usb balloon rngs intruders"
)


class Domain(namedtuple("Domain", _FIELDS)):
    """The declared fields of one VM; every value is JSON-able. Lists of devices are sorted, see the functions below.

    name: str; accel: "kvm" | "tcg"; machine: the family only, "q35"; cpu: "host-passthrough" or a model's name;
    cpu_disabled: CPU features switched off; memory: MiB; vcpus: int; kernel, initrd: paths or None; cmdline: str or
    None; acpi: bool; clock: "utc"; lifecycle: what follows on_poweroff, on_reboot, on_crash; disks, interfaces, shares,
    serials, channels: see `disk`, `interface`, `share`, `serial`, `channel`; usb: models of USB controllers (["none"]
    switches USB off); balloon: model; rngs: [{model, backend}]; intruders: what else is plugged in, as text: always []
    in a desired domain.
    """

    __slots__ = ()

    @property
    def fields(self):
        """The fields by name, without the name itself, which tells domains apart and never changes."""
        return OrderedDict((field, value) for field, value in self._asdict().items() if field != "name")


def disk(path, format, target="vda", bus="virtio", read_only=False, type="file", device="disk"):
    """A disk. path: the image's; format: "raw" | "qcow2"; several VMs may share one that is read-only."""
    return OrderedDict(path=path, format=format, target=target, bus=bus, read_only=read_only, type=type, device=device)


def interface(mac, bridge=None, type="bridge", model="virtio", link="up"):
    """A network card. type: "bridge", or "user": QEMU's own NAT, without a bridge, for builds only."""
    return OrderedDict(mac=mac and mac.lower(), bridge=bridge, type=type, model=model, link=link)


def share(path, tag, read_only=True, multidevs="default", driver="path", mode="mapped"):
    """A folder shared over 9p. tag: its mount tag.

    multidevs: "remap" gives files of folders that are bind-mounted into the share inode numbers of their own; needs
    libvirt 6.3 and QEMU 4.2, older ones drop it silently.
    """
    return OrderedDict(path=path, tag=tag, read_only=read_only, multidevs=multidevs, driver=driver, mode=mode)


def serial(log=None, type="pty"):
    """A serial port: a terminal that libvirt offers as console, copied to a log file that virtlogd rotates."""
    return OrderedDict(type=type, log=log)


def channel(name, path=None, type="file"):
    """A virtio-serial port. The guest's output ends in the file `path`; "unix" without a path is libvirt's own."""
    return OrderedDict(name=name, path=path, type=type)


def sort_devices(domain):
    """The domain with its devices in one order: libvirt and hotplug reorder them, and the order means nothing.

    A guest tells its cards apart by MAC, never by ethN.
    """
    return domain._replace(
        disks=_sorted(domain.disks, "target"),
        interfaces=_sorted(domain.interfaces, "mac"),
        shares=_sorted(domain.shares, "tag"),
        channels=_sorted(domain.channels, "name"),
    )


def _sorted(devices, key):
    return sorted(devices, key=lambda device: device[key] or "")


def router(
    name,
    accel,
    cpu,
    memory,
    kernel,
    initrd,
    cmdline,
    disks,
    interfaces,
    share=None,
    console_log=None,
    channels=(),
    vcpus=1,
    machine="q35",
    agent=True,
):
    """The model of a VM of ours.

    disks, interfaces, channels: keyword arguments of the functions of these names, as dicts; share: of `share`, or
    None; memory: MiB. The interfaces get PCI slots in the order given: upstream first.
    Raises MultiverseError that lists everything wrong with the values.
    """
    agents = [channel(AGENT, type="unix")] if agent else []
    domain = Domain(
        name=name,
        accel=accel,
        machine=machine,
        cpu=cpu,
        cpu_disabled=list(NESTED_FEATURES) if cpu == HOST_PASSTHROUGH else [],
        memory=memory,
        vcpus=vcpus,
        kernel=kernel,
        initrd=initrd,
        cmdline=cmdline,
        acpi=True,
        clock="utc",
        lifecycle=OrderedDict(LIFECYCLE),
        disks=[disk(**entry) for entry in disks],
        interfaces=[interface(**entry) for entry in interfaces],
        shares=[_share(**share)] if share else [],
        serials=[serial(console_log)],
        channels=agents + [channel(**entry) for entry in channels],
        usb=["none"],
        balloon="virtio",
        rngs=[dict(RNG)],
        intruders=[],
    )
    problems = check(domain)
    if problems:
        raise MultiverseError("router %s: %s" % (name, "; ".join(problems)))
    return domain


_share = share


def check(domain):
    """What is wrong with a desired domain: a list of texts, each naming the field, the value and the rule."""
    return _check_machine(domain) + _check_interfaces(domain) + _check_devices(domain)


def _check_machine(domain):
    problems = []
    if domain.accel not in ("kvm", "tcg"):
        problems.append("accel %r is neither kvm nor tcg" % (domain.accel,))
    if domain.cpu == HOST_PASSTHROUGH and domain.accel != "kvm":
        problems.append("cpu host-passthrough needs accel kvm: emulation has no host CPU to pass")
    for field in ("memory", "vcpus"):
        value = getattr(domain, field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            problems.append("%s %r is not a positive whole number" % (field, value))
    if domain.cmdline and not domain.kernel:
        problems.append("cmdline without kernel: only a directly booted kernel gets one")
    if domain.cmdline and re.search(r"[\x00-\x1f]", domain.cmdline):
        problems.append("cmdline %r has control characters; write it on one line" % domain.cmdline)
    paths = [("kernel", domain.kernel), ("initrd", domain.initrd)]
    paths += [("disk", entry["path"]) for entry in domain.disks]
    paths += [("share", entry["path"]) for entry in domain.shares]
    paths += [("console log", entry["log"]) for entry in domain.serials]
    paths += [("channel " + entry["name"], entry["path"]) for entry in domain.channels]
    problems += ["%s %r is not an absolute path" % entry for entry in paths if entry[1] and entry[1][0] != "/"]
    return problems


def _check_interfaces(domain):
    problems = []
    for entry in domain.interfaces:
        mac = entry["mac"] or ""
        if not re.match(r"([0-9a-f]{2}:){5}[0-9a-f]{2}$", mac):
            problems.append("mac %r of the card on %s is no MAC address" % (mac, entry["bridge"] or entry["type"]))
        elif mac.startswith(TELLTALE_MAC):
            problems.append("mac %s starts with 52:54:00, which gives QEMU away; choose another" % mac)
        elif int(mac[:2], 16) & 1:
            problems.append("mac %s is a multicast address; make its first octet even" % mac)
        if entry["type"] not in ("bridge", "user"):
            problems.append("type %r of card %s is neither bridge nor user" % (entry["type"], mac))
        if (entry["type"] == "bridge") != bool(entry["bridge"]):
            problems.append("card %s: type bridge needs a bridge, type user takes none" % mac)
    return problems + _repeated("mac", [entry["mac"] for entry in domain.interfaces])


def _check_devices(domain):
    problems = [
        "format %r of disk %s is neither raw nor qcow2" % (entry["format"], entry["path"])
        for entry in domain.disks
        if entry["format"] not in ("raw", "qcow2")
    ]
    problems += [
        "channel %s of type file needs a path" % entry["name"]
        for entry in domain.channels
        if entry["type"] == "file" and not entry["path"]
    ]
    # 9p2000.L tags longer than this are cut by QEMU: MAX_TAG_LEN in hw/9pfs/9p.h.
    problems += [
        "tag %r of the share is not 1 to 31 characters long" % entry["tag"]
        for entry in domain.shares
        if not 1 <= len(entry["tag"]) <= 31
    ]
    problems += _repeated("disk target", [entry["target"] for entry in domain.disks])
    return problems + _repeated("channel", [entry["name"] for entry in domain.channels])


def _repeated(what, values):
    return ["%s %s is used twice" % (what, value) for value in sorted(set(values)) if values.count(value) > 1]
