# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks: the model, its libvirt XML, and what has to change. No I/O.

A network is seen in three views: libvirt's persistent definition, libvirt's live one, and the kernel's bridge. People
and other programs change each of them without the others, so all three are compared.
"""

import ipaddress
from collections import OrderedDict, namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils import xml
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import (
    EFFECTS,
    Change,
    Plan,
    differences,
)

KIND = "network"

#: Fields that virNetworkUpdate changes while the network runs. Everything else needs its bridge made anew.
LIVE_FIELDS = ("dhcp", "reservations")
#: What the kernel takes while the bridge runs.
LIVE_BRIDGE_FIELDS = ("up", "addresses", "disable_ipv6", "answers_arp")


class Network(namedtuple("Network", "name bridge mac stp delay forward uplink addresses dns dhcp reservations")):
    """The declared fields of one network; every value is JSON-able.

    name, bridge: str; mac: lower case; stp: "on" | "off"; delay: seconds, as text; forward: "nat" | "none" (libvirt
    has more); uplink: device or None; addresses: the bridge's own, ["10.0.0.1/24"] or [] without host access;
    dns: whether dnsmasq answers names; dhcp: [{first, last}]; reservations: [{address, mac, name}].
    """

    __slots__ = ()

    @property
    def fields(self):
        """The fields by name, without the name itself, which tells networks apart and never changes."""
        return OrderedDict((field, value) for field, value in self._asdict().items() if field != "name")


#: The kernel's view. up: bool; mac: lower case; addresses: ["10.0.0.1/24"], IPv6 too; disable_ipv6: bool;
#: answers_arp: whether it answers for addresses that other interfaces have, as Linux does by default; dnsmasq: whether
#: libvirt's dnsmasq of this network runs.
Bridge = namedtuple("Bridge", "up mac addresses disable_ipv6 answers_arp dnsmasq")

#: All views of the network of one name. persistent: Network, or None when libvirt does not know it; live: Network, or
#: None while it does not run; bridge: Bridge, or None when the kernel has none; autostart, ours: bool.
Current = namedtuple("Current", "persistent live bridge autostart ours")
Current.NONE = Current(persistent=None, live=None, bridge=None, autostart=False, ours=False)


def from_declared(declared):
    """The model of one entry of the derived topology; keys that don't concern libvirt are ignored.

    Raises MultiverseError when a key is missing.
    """
    try:
        access = declared["host_access"]
        return Network(
            name=declared["name"],
            bridge=declared["name"],
            mac=declared["mac"].lower(),
            stp="off",
            delay="0",
            forward=declared["forward"],
            uplink=declared["uplink"] if declared["forward"] != "none" else None,
            addresses=["%s/%s" % (declared["address"], declared["prefix"])] if access else [],
            dns=access,
            dhcp=[_range(**declared["dhcp"])] if access and declared["dhcp"] else [],
            reservations=_by_mac(_reservation(**entry) for entry in declared["reservations"]) if access else [],
        )
    except KeyError as error:
        raise MultiverseError(
            "network %s has no key %s. Give the module the networks of the derived topology (multiverse_topology)."
            % (declared.get("name", "without a name"), error)
        ) from None


def _range(first, last):
    return {"first": first, "last": last}


def _reservation(name, mac, address):
    return {"name": name, "mac": mac and mac.lower(), "address": address}


def _by_mac(reservations):
    return sorted(reservations, key=lambda entry: (entry["mac"] or "", entry["address"] or ""))


# --- codec ------------------------------------------------------------------------------------------------------------


def to_xml(network, base=None):
    """libvirt's XML of the network. ``base``, the definition libvirt has, keeps its UUID and all we don't declare."""
    root = xml.parse(base or "<network/>", "the definition of network %s" % network.name)
    xml.ensure(root, "name").text = network.name
    xml.mark(root, KIND)
    _write_forward(root, network)
    xml.set_attributes(xml.ensure(root, "bridge"), name=network.bridge, stp=network.stp, delay=network.delay)
    xml.set_attributes(xml.ensure(root, "mac"), address=network.mac)
    _write_dns(root, network.dns)
    for element in root.findall("ip"):
        if _cidr(element) not in network.addresses:
            root.remove(element)
    for address in network.addresses:
        _write_address(root, address)
    _write_dhcp(root, network)
    return xml.to_text(root)


def _write_forward(root, network):
    if network.forward == "none":
        xml.remove(root, "forward")
        return
    forward = xml.ensure(root, "forward")
    xml.set_attributes(forward, mode=network.forward, dev=network.uplink)
    # libvirt repeats the device as a child, and the child wins over the attribute.
    xml.remove(forward, "interface")


def _write_dns(root, dns):
    if not dns:
        xml.set_attributes(xml.ensure(root, "dns"), enable="no")
    elif root.find("dns") is not None:
        xml.set_attributes(root.find("dns"), enable=None)


def _write_address(root, cidr):
    interface = ipaddress.ip_interface(cidr)
    known = [element for element in root.findall("ip") if _cidr(element) == cidr]
    element = known[0] if known else xml.add(root, "ip")
    xml.set_attributes(
        element,
        family="ipv6" if interface.version == 6 else None,
        address=interface.ip,
        prefix=interface.network.prefixlen,
        netmask=None,
    )


def _write_dhcp(root, network):
    """Ranges and reservations sit below the first address; an entry that is right already keeps its own children."""
    wanted_ranges, wanted_hosts = list(network.dhcp), list(network.reservations)
    for dhcp in root.findall("ip/dhcp"):
        for tag, read, wanted in (("range", _read_range, wanted_ranges), ("host", _read_host, wanted_hosts)):
            for element in dhcp.findall(tag):
                if read(element) in wanted:
                    wanted.remove(read(element))
                else:
                    dhcp.remove(element)
    if wanted_ranges or wanted_hosts:
        dhcp = xml.ensure(root, "ip/dhcp")
        for entry in wanted_ranges:
            dhcp.append(range_element(entry))
        for entry in wanted_hosts:
            dhcp.append(host_element(entry))


def range_element(entry):
    """libvirt's element of a DHCP range, alone as virNetworkUpdate takes it."""
    return xml.new("range", start=entry["first"], end=entry["last"])


def host_element(entry):
    """libvirt's element of a reservation, alone as virNetworkUpdate takes it."""
    return xml.new("host", mac=entry["mac"], name=entry["name"], ip=entry["address"])


def from_xml(text):
    """The model of a libvirt definition. Raises MultiverseError for broken XML."""
    root = xml.parse(text, "libvirt's definition of a network")
    forward = root.find("forward")
    return Network(
        name=root.findtext("name"),
        bridge=xml.attribute(root, "bridge", "name"),
        mac=(xml.attribute(root, "mac", "address") or "").lower() or None,
        # An absent attribute means libvirt's default: https://libvirt.org/formatnetwork.html#connectivity
        stp=xml.attribute(root, "bridge", "stp") or "on",
        delay=xml.attribute(root, "bridge", "delay") or "0",
        forward="none" if forward is None else forward.get("mode", "nat"),
        uplink=None if forward is None else xml.attribute(forward, "interface", "dev") or forward.get("dev"),
        addresses=sorted(_cidr(element) for element in root.findall("ip")),
        dns=xml.attribute(root, "dns", "enable") != "no",
        dhcp=sorted((_read_range(e) for e in root.findall("ip/dhcp/range")), key=lambda entry: entry["first"]),
        reservations=_by_mac(_read_host(element) for element in root.findall("ip/dhcp/host")),
    )


def is_ours(text):
    """Whether a libvirt definition carries our mark."""
    return xml.read_mark(xml.parse(text, "libvirt's definition of a network")) is not None


def _cidr(element):
    """The address of an <ip> element with its prefix; libvirt takes a netmask, a prefix, or the class's default."""
    address = element.get("address")
    length = element.get("prefix") or element.get("netmask")
    if length is None:
        first = int(address.split(".")[0]) if "." in address else 0
        length = 64 if ":" in address else 8 if first < 128 else 16 if first < 192 else 24
    return ipaddress.ip_interface("%s/%s" % (address, length)).with_prefixlen


def _read_range(element):
    return _range(first=element.get("start"), last=element.get("end"))


def _read_host(element):
    return _reservation(name=element.get("name"), mac=element.get("mac"), address=element.get("ip"))


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(desired, current):
    """The changes that turn a Current into the desired network.

    Raises MultiverseError for a network that we did not make, and for a foreign device that has the bridge's name.
    """
    _refuse_foreign(desired, current)
    if current.persistent is None:
        fields = list(desired.fields.items()) + [("autostart", True), ("active", True)]
        stated = OrderedDict((field, value) for field, value in fields if value not in (None, []))
        return Plan(differences(KIND, desired.name, stated, None, lambda field: "live"))
    return Plan(_distinct(_persistent_changes(desired, current) + _running_changes(desired, current)))


def plan_removal(name, current):
    """The changes that remove a network: none when it does not exist or is not ours."""
    return Plan([Change(KIND, name, "state", "present", "absent", "recreate")] if current.ours else [])


def bridge_fields(desired):
    """What the kernel's bridge must look like; without host access it has no address and answers no ARP."""
    silent = [] if desired.addresses else [("answers_arp", False)]
    return OrderedDict(
        [
            ("up", True),
            ("mac", desired.mac),
            ("addresses", desired.addresses),
            ("disable_ipv6", True),
            ("dnsmasq", bool(desired.addresses)),
        ]
        + silent
    )


def _refuse_foreign(desired, current):
    name = desired.name
    if current.persistent is not None and not current.ours:
        raise MultiverseError(
            "network %s exists in libvirt, but this collection did not make it (no mark in its <metadata>), so it is "
            "left alone. Choose another name in multiverse_networks, or remove it first: virsh net-destroy %s; virsh "
            "net-undefine %s." % (name, name, name)
        )
    ours = current.ours and current.bridge and current.bridge.mac in (desired.mac, current.persistent.mac)
    if current.live is None and current.bridge is not None and not ours:
        raise MultiverseError(
            "network %s cannot have the bridge %s: the machine has one of this name with MAC %s, and libvirt did not "
            "make it. Choose another name in multiverse_networks, or remove it: ip link delete %s."
            % (name, name, current.bridge.mac, name)
        )


def _persistent_changes(desired, current):
    fields = OrderedDict(list(desired.fields.items()) + [("autostart", True)])
    persistent = dict(current.persistent.fields, autostart=current.autostart)
    running = {} if current.live is None else current.live.fields

    def effect(field):
        """A definition costs a restart only where what runs is wrong as well."""
        return _definition_effect(field) if running.get(field) != desired.fields.get(field) else "live"

    return differences(KIND, desired.name, fields, persistent, effect)


def _running_changes(desired, current):
    name = desired.name
    if current.live is None:
        return [Change(KIND, name, "active", False, True, "restart")]
    changes = differences(KIND, name, desired.fields, current.live.fields, _definition_effect, prefix="live.")
    if current.bridge is None:
        return changes + [Change(KIND, name, "bridge.exists", False, True, "restart")]
    bridge = current.bridge._asdict()
    return changes + differences(KIND, name, bridge_fields(desired), bridge, _bridge_effect, prefix="bridge.")


def _definition_effect(field):
    return "live" if field in LIVE_FIELDS else "restart"


def _bridge_effect(field):
    return "live" if field in LIVE_BRIDGE_FIELDS else "restart"


def _distinct(changes):
    """Drop what an earlier view says already: one drift that shows in three views is one change."""
    kept = []
    for change in changes:
        if not any(_says(other, change) for other in kept):
            kept.append(change)
    return kept


def _says(earlier, change):
    same_field = earlier.field.split(".")[-1] == change.field.split(".")[-1]
    as_heavy = EFFECTS.index(earlier.effect) >= EFFECTS.index(change.effect)
    return same_field and as_heavy and (earlier.before, earlier.after) == (change.before, change.after)
