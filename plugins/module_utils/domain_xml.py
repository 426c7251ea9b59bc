# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Router VMs: the codec between the model and libvirt's domain XML (https://libvirt.org/formatdomain.html). No I/O.

Writing edits the definition that libvirt has: its UUID, the PCI addresses, controllers and machine version it chose,
and foreign metadata stay. Only what could carry data past the model (see `_intruders`) is taken out.
"""

import re
from collections import OrderedDict, namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils import domains, xml

QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
DOMAIN_TYPES = {"kvm": "kvm", "tcg": "qemu"}
_ACCELS = {name: accel for accel, name in DOMAIN_TYPES.items()}
# https://libvirt.org/formatdomain.html#memory-allocation: KB is 1000, KiB (and K) 1024 bytes; no unit means KiB.
_UNITS = {"b": 1, "bytes": 1}
for _power, _letter in enumerate("KMGT", 1):
    _UNITS.update({_letter: 1024**_power, _letter + "iB": 1024**_power, _letter + "B": 1000**_power})
_MIB = 1024**2

#: Devices that the model itself compares, so that a superfluous one is a difference of its field.
_MODELLED = frozenset(["disk", "interface", "filesystem", "serial", "channel", "rng", "memballoon"])
#: Devices that libvirt adds by itself and that carry no data out of the VM.
_HARMLESS = frozenset(["emulator", "controller", "watchdog", "panic", "iommu"])

#: A live network card. entry: as `domains.interface`; tap: the host's device, None for type user; element: its XML.
Card = namedtuple("Card", "entry tap element")


# --- reading ----------------------------------------------------------------------------------------------------------


def from_xml(text):
    """The model of a libvirt definition, persistent or live, devices sorted. Raises MultiverseError for broken XML."""
    root = _parse(text)
    live = root.get("id") is not None
    os, devices, cpu = xml.ensure(root, "os"), xml.ensure(root, "devices"), root.find("cpu")
    return domains.sort_devices(
        domains.Domain(
            name=root.findtext("name"),
            accel=_ACCELS.get(root.get("type"), root.get("type")),
            machine=machine_family(xml.attribute(os, "type", "machine")),
            cpu=_read_cpu(cpu),
            cpu_disabled=_read_disabled(cpu),
            memory=_read_memory(root, live),
            vcpus=_read_vcpus(root),
            kernel=os.findtext("kernel"),
            initrd=os.findtext("initrd"),
            cmdline=os.findtext("cmdline"),
            acpi=root.find("features/acpi") is not None,
            clock=xml.attribute(root, "clock", "offset"),
            lifecycle=OrderedDict((event, root.findtext(event)) for event in domains.LIFECYCLE),
            disks=[_read_disk(element) for element in devices.findall("disk")],
            interfaces=[_read_interface(element) for element in devices.findall("interface")],
            shares=[_read_share(element) for element in devices.findall("filesystem")],
            serials=[_read_serial(element) for element in devices.findall("serial")],
            channels=[_read_channel(element, live) for element in devices.findall("channel")],
            usb=[element.get("model") for element in devices.findall("controller[@type='usb']")],
            balloon=xml.attribute(devices, "memballoon", "model"),
            rngs=[_read_rng(element) for element in devices.findall("rng")],
            intruders=sorted(text for _parent, _element, text in _intruders(root)),
        )
    )


def _parse(text):
    return xml.parse(text, "libvirt's definition of a domain")


def is_ours(text):
    """Whether a libvirt definition carries our mark."""
    return xml.read_mark(_parse(text)) is not None


def cards(text):
    """The network cards of a live definition, as a list of Card, in libvirt's order."""
    return [
        Card(_read_interface(element), xml.attribute(element, "target", "dev"), xml.to_text(element))
        for element in _parse(text).findall("devices/interface")
    ]


def agent_connected(text):
    """Whether something in the guest holds the agent's port open, by a live definition."""
    names = [(target.get("name"), target.get("state")) for target in _parse(text).findall("devices/channel/target")]
    return (domains.AGENT, "connected") in names


def machine_family(machine):
    """The family of a machine: "q35" for "pc-q35-7.2". libvirt pins the version when it first defines a domain."""
    return re.sub(r"^pc-|(-[0-9][0-9.]*)$", "", machine) if machine else machine


def _intruders(root):
    """(parent, element, text) of everything a definition has that no router has."""
    devices = xml.ensure(root, "devices")
    found = [(devices, element, _device_intruder(element)) for element in devices]
    found += [(root, element, _command_line(element)) for element in root]
    return [entry for entry in found if entry[2]]


def _device_intruder(element):
    if element.tag in _MODELLED or element.tag in _HARMLESS:
        return None
    return _DEVICE_RULES.get(element.tag, _always)(element)


def _command_line(element):
    """Raw arguments for QEMU: they could plug in anything."""
    namespace = "{%s}" % QEMU_NAMESPACE
    if not element.tag.startswith(namespace):
        return None
    values = [child.get("value") or child.get("name") or child.get("alias") or "" for child in element]
    return " ".join(["qemu:" + element.tag[len(namespace) :]] + values)


def _always(element):
    detail = element.get("type") or element.get("model") or xml.attribute(element, "model", "type")
    return " ".join(filter(None, [element.tag, detail]))


def _unless(path, name, value):
    """A rule: an intruder unless the attribute `name` of the element at `path` below it has this value."""
    return lambda element: None if xml.attribute(element, path, name) == value else _always(element)


#: Devices that are intruders in some forms only; whatever is in none of the three lists always is.
_DEVICE_RULES = {
    # A PC has a PS/2 keyboard and mouse whether declared or not, and libvirt lists them.
    "input": _unless(".", "bus", "ps2"),
    "video": _unless("model", "type", "none"),
    "audio": _unless(".", "type", "none"),
    # libvirt shows the first serial port a second time as <console>.
    "console": _unless("target", "type", "serial"),
}


def _read_cpu(cpu):
    if cpu is None:
        return None
    mode = cpu.get("mode", "custom")
    return cpu.findtext("model") if mode == "custom" else mode


def _read_disabled(cpu):
    """The nested virtualization that a passed-through CPU hides. In a model's case libvirt expands the features."""
    if cpu is None or cpu.get("mode") != domains.HOST_PASSTHROUGH:
        return []
    found = [feature.get("name") for feature in cpu.findall("feature") if feature.get("policy") == "disable"]
    return sorted(name for name in found if name in domains.NESTED_FEATURES)


def _mib(element):
    """MiB, as a whole number where it is one."""
    size = int(element.text) * _UNITS[element.get("unit", "KiB")]
    return size // _MIB if size % _MIB == 0 else round(size / float(_MIB), 3)


def _read_memory(root, live):
    """In a live definition <currentMemory> follows the guest's balloon: the guest's word, no drift of ours."""
    sizes = [root.find(tag) for tag in (("memory",) if live else ("memory", "currentMemory"))]
    return min((_mib(element) for element in sizes if element is not None), default=0)


def _read_vcpus(root):
    found = root.find("vcpu")
    return 1 if found is None else int(found.get("current") or found.text)


def _first_source(element, *names):
    """Where a device leads; each type of it has an attribute of its own for that."""
    found = [xml.attribute(element, "source", name) for name in names]
    return next(filter(None, found), None)


def _read_disk(element):
    return domains.disk(
        path=_first_source(element, "file", "dev", "name", "dir", "volume"),
        format=xml.attribute(element, "driver", "type"),
        target=xml.attribute(element, "target", "dev"),
        bus=xml.attribute(element, "target", "bus"),
        read_only=element.find("readonly") is not None,
        type=element.get("type"),
        device=element.get("device", "disk"),
    )


def _read_interface(element):
    return domains.interface(
        mac=xml.attribute(element, "mac", "address"),
        bridge=_first_source(element, "bridge", "network", "dev", "path", "name"),
        type=element.get("type"),
        model=xml.attribute(element, "model", "type"),
        link=xml.attribute(element, "link", "state") or "up",
    )


def _read_share(element):
    kind = element.get("type", "mount")
    # Without a driver libvirt uses "path"; without an access mode "passthrough". Only a mount has a driver.
    return domains.share(
        path=_first_source(element, "dir", "file", "name", "dev", "socket", "usage"),
        tag=xml.attribute(element, "target", "dir"),
        read_only=element.find("readonly") is not None,
        multidevs=element.get("multidevs", "default"),
        driver=(xml.attribute(element, "driver", "type") or "path") if kind == "mount" else kind,
        mode=element.get("accessmode", "passthrough"),
    )


def _read_serial(element):
    return domains.serial(log=xml.attribute(element, "log", "file"), type=element.get("type"))


def _read_channel(element, live):
    """A channel that libvirt owns gets its socket's path only while the VM runs."""
    kind, path = element.get("type"), xml.attribute(element, "source", "path")
    owned = live and kind == "unix" and xml.attribute(element, "source", "mode") == "bind"
    name = xml.attribute(element, "target", "name") or xml.attribute(element, "target", "type")
    return domains.channel(name=name, path=None if owned else path, type=kind)


def _read_rng(element):
    backend = element.findtext("backend")
    return {"model": element.get("model"), "backend": backend.strip() if backend else None}


# --- writing ----------------------------------------------------------------------------------------------------------


def to_xml(domain, base=None):
    """libvirt's XML of the domain. ``base``: the persistent definition that libvirt has, None for a new domain."""
    root = _base(domain, base)
    xml.ensure(root, "name").text = domain.name
    xml.mark(root, domains.KIND)
    _write_type(root, DOMAIN_TYPES[domain.accel])
    _write_memory(root, domain.memory)
    _write_vcpus(root, domain.vcpus)
    _write_os(root, domain)
    if domain.acpi:
        xml.ensure(root, "features/acpi")
    _write_cpu(root, domain)
    xml.set_attributes(xml.ensure(root, "clock"), offset=domain.clock)
    for event, action in domain.lifecycle.items():
        xml.ensure(root, event).text = action
    _write_devices(root, domain)
    return xml.to_text(root)


def _base(domain, base):
    """The document to edit. On another family of machines no address or controller of the old one means anything."""
    empty = xml.parse("<domain/>", "an empty domain")
    if base is None:
        return empty
    root = _parse(base)
    if machine_family(xml.attribute(root, "os/type", "machine")) == domain.machine:
        return root
    empty.extend([root.find(tag) for tag in ("uuid", "metadata") if root.find(tag) is not None])
    return empty


def _write_type(root, kind):
    """An emulator that was chosen for KVM may be one that only does KVM, so libvirt chooses again."""
    if root.get("type") not in (None, kind):
        xml.remove(xml.ensure(root, "devices"), "emulator")
    root.set("type", kind)


def _write_memory(root, memory):
    element = xml.ensure(root, "memory")
    xml.set_attributes(element, unit="MiB")
    element.text = str(memory)
    xml.remove(root, "currentMemory")


def _write_vcpus(root, vcpus):
    element = xml.ensure(root, "vcpu")
    xml.set_attributes(element, current=None)
    element.text = str(vcpus)


def _write_os(root, domain):
    kind = xml.ensure(root, "os/type")
    kind.text = "hvm"
    xml.set_attributes(kind, arch="x86_64", machine=kind.get("machine") or domain.machine)
    for tag in ("kernel", "initrd", "cmdline"):
        value = getattr(domain, tag)
        if value is None:
            xml.remove(root.find("os"), tag)
        else:
            xml.ensure(root, "os/" + tag).text = value


def _write_cpu(root, domain):
    found = root.find("cpu")
    if (_read_cpu(found), _read_disabled(found)) == (domain.cpu, domain.cpu_disabled):
        return
    xml.remove(root, "cpu")
    if domain.cpu == domains.HOST_PASSTHROUGH:
        cpu = xml.add(root, "cpu", mode=domain.cpu)
    else:
        cpu = xml.add(root, "cpu", mode="custom", match="exact")
        xml.add(cpu, "model", fallback="forbid").text = domain.cpu
    for name in domain.cpu_disabled:
        xml.add(cpu, "feature", policy="disable", name=name)


def _write_devices(root, domain):
    devices = xml.ensure(root, "devices")
    for parent, element, _text in _intruders(root):
        parent.remove(element)
    _converge(devices, "disk", domain.disks, "target", _read_disk, _write_disk)
    _converge(devices, "interface", domain.interfaces, "mac", _read_interface, _write_interface)
    _converge(devices, "filesystem", domain.shares, "tag", _read_share, _write_share)
    _converge(devices, "channel", domain.channels, "name", lambda e: _read_channel(e, False), _write_channel)
    _converge(devices, "serial", domain.serials, "type", _read_serial, _write_serial)
    # libvirt copies the console from the serial port again; an old copy would contradict the new port.
    xml.remove(devices, "console")
    _write_usb(devices, domain.usb)
    xml.set_attributes(xml.ensure(devices, "memballoon"), model=domain.balloon)
    if [_read_rng(element) for element in devices.findall("rng")] != domain.rngs:
        xml.remove(devices, "rng")
        for entry in domain.rngs:
            xml.add(xml.add(devices, "rng", model=entry["model"]), "backend", model="random").text = entry["backend"]


def _write_usb(devices, models):
    found = devices.findall("controller[@type='usb']")
    if [element.get("model") for element in found] == models:
        return
    for element in found:
        devices.remove(element)
    for model in models:
        xml.add(devices, "controller", type="usb", model=model)


def _converge(devices, tag, wanted, key, read, write):
    """Make the devices of one tag the wanted ones; one that is there under the same key is edited, so it keeps what
    the model does not name, its PCI address above all. One of another type keeps nothing but that address."""
    left = devices.findall(tag)
    for entry in wanted:
        element = next((found for found in left if read(found)[key] == entry[key]), None)
        if element is None:
            write(xml.add(devices, tag), entry)
            continue
        left.remove(element)
        if read(element) == entry:
            continue
        if read(element).get("type") != entry.get("type"):
            _strip(element)
        write(element, entry)
    for element in left:
        devices.remove(element)


def _strip(element):
    for child in [child for child in element if child.tag != "address"]:
        element.remove(child)
    element.attrib.clear()


def _flag(element, tag, value):
    if value:
        xml.ensure(element, tag)
    else:
        xml.remove(element, tag)


def _source(element, **attributes):
    """The one attribute that says where a device leads; what libvirt or a person wrote there before goes."""
    xml.remove(element, "source")
    xml.add(element, "source", **attributes)


def _write_disk(element, entry):
    xml.set_attributes(element, type=entry["type"], device=entry["device"])
    xml.set_attributes(xml.ensure(element, "driver"), name="qemu", type=entry["format"])
    # The chain below the old image is not the chain below the new one.
    xml.remove(element, "backingStore")
    _source(element, file=entry["path"])
    xml.set_attributes(xml.ensure(element, "target"), dev=entry["target"], bus=entry["bus"])
    _flag(element, "readonly", entry["read_only"])


def _write_interface(element, entry):
    xml.set_attributes(element, type=entry["type"])
    xml.set_attributes(xml.ensure(element, "mac"), address=entry["mac"])
    if entry["type"] == "bridge":
        _source(element, bridge=entry["bridge"])
    else:
        xml.remove(element, "source")
    xml.set_attributes(xml.ensure(element, "model"), type=entry["model"])
    xml.remove(element, "link")
    if entry["link"] != "up":
        xml.add(element, "link", state=entry["link"])


def _write_share(element, entry):
    multidevs = None if entry["multidevs"] == "default" else entry["multidevs"]
    xml.set_attributes(element, type="mount", accessmode=entry["mode"], multidevs=multidevs)
    xml.remove(element, "driver")
    xml.add(element, "driver", type=entry["driver"])
    _source(element, dir=entry["path"])
    xml.set_attributes(xml.ensure(element, "target"), dir=entry["tag"])
    _flag(element, "readonly", entry["read_only"])


def _write_serial(element, entry):
    xml.set_attributes(element, type=entry["type"])
    xml.remove(element, "source")
    _write_log(element, entry["log"])
    xml.set_attributes(xml.ensure(element, "target"), port=0)


def _write_log(element, path):
    xml.remove(element, "log")
    if path:
        # Appending keeps the log of the boots before; virtlogd rotates it, so a guest cannot fill the disk with it.
        xml.add(element, "log", file=path, append="on")


def _write_channel(element, entry):
    xml.set_attributes(element, type=entry["type"])
    xml.remove(element, "source")
    if entry["path"]:
        xml.add(element, "source", path=entry["path"])
    xml.set_attributes(xml.ensure(element, "target"), type="virtio", name=entry["name"])


def interface_xml(entry):
    """The XML of one card alone, as virDomainAttachDevice takes it."""
    element = xml.parse("<interface/>", "an empty card")
    _write_interface(element, entry)
    return xml.to_text(element)
