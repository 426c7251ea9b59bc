# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every rule between fields and objects. Each function is one rule: it looks at the whole topology, maybe an incomplete
one, and notes each place that breaks it. What a single value may be is in `values`.
"""

from itertools import combinations
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from netaddr import IPAddress, IPNetwork

from .. import egress
from .derive import hosts
from .model import Router, Topology
from .problems import Place
from .reading import Fields, did_you_mean
from .schema import DATA
from .universe import foreign_devices, taken


def check(topology: Topology) -> None:
    """Applies every rule."""
    for rule in RULES:
        rule(topology)


# Names


def names_are_unique(topology: Topology) -> None:
    """A name means one thing: networks and routers share one space, as messages and people name both by it."""
    seen = {}
    for thing in topology.networks + topology.routers:
        if thing.name is None:
            continue
        other = seen.setdefault(thing.name, thing)
        if other is not thing:
            thing.place.key("name").wrong(thing.name, f"is already the name of a {_word(other)}", "choose another name")


def names_are_not_universes(topology: Topology) -> None:
    """A bridge cannot have the name of a device that universe has."""
    foreign = foreign_devices(topology.universe)
    for network in topology.networks:
        if network.name in foreign:
            network.place.key("name").wrong(
                network.name, "is the name of one of universe's own network devices", "choose another name"
            )


def _word(thing: Any) -> str:
    return "router" if isinstance(thing, Router) else "network"


# Subnets


def subnets_are_apart(topology: Topology) -> None:
    """No two networks overlap."""
    known = [network for network in topology.networks if network.subnet is not None]
    for one, other in combinations(known, 2):
        if _overlap(one.subnet, other.subnet):
            other.place.key("subnet").wrong(
                str(other.subnet), f"overlaps {one.subnet} of {one.place.name}", "give each network a subnet of its own"
            )


def subnets_are_not_universes(topology: Topology) -> None:
    """No network overlaps what universe itself reaches, else one of the two would be out of reach."""
    used = taken(topology.universe, topology.ours)
    for network in topology.networks:
        for subnet, device in used if network.subnet is not None else ():
            if _overlap(network.subnet, subnet):
                network.place.key("subnet").wrong(
                    str(network.subnet),
                    f"overlaps {subnet}, which universe itself uses"
                    + (f" on its device {device}" if device else " in a route of its own"),
                    "choose another subnet, or remove that route or old bridge from universe",
                )


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.first <= other.last and other.first <= one.last


# Addresses and MACs


def addresses_fit(topology: Topology) -> None:
    """An address is a host of its subnet."""
    for port in topology.ports():
        if port.address is not None and port.network is not None:
            _check_host(port.address, port.network.subnet, port.at("address"))


def _check_host(address: Optional[IPAddress], subnet: Optional[IPNetwork], place: Place) -> None:
    if address is None or subnet is None or int(address) in hosts(subnet):
        return
    known = hosts(subnet)
    rule = f"is not in the subnet {subnet}"
    if int(address) in (subnet.first, subnet.last):
        rule = f"is the {'network' if int(address) == subnet.first else 'broadcast'} address of {subnet}"
    place.wrong(str(address), rule, f"choose from {IPAddress(known[0])} to {IPAddress(known[-1])}")


def addresses_are_unique(topology: Topology) -> None:
    """No two ports of a network have the same address. (Of different ones: then their subnets overlap.)"""
    seen = {}
    for port in topology.ports():
        if port.address is None or port.network is None:
            continue
        first = seen.setdefault((id(port.network), port.address), port)
        if first is not port:
            port.at("address").wrong(
                str(port.address),
                f"is already the {first.key('address')} of {first.place.name}",
                "leave it out, or choose a free one",
            )


def macs_are_unique(topology: Topology) -> None:
    """No two ports have the same MAC. A bridge has one even where it has no address."""
    seen = {}
    for port in topology.ports():
        first = seen.setdefault(port.mac, port)
        given = "mac" in port.given
        if first is port or port.mac is None:
            continue
        if not given and "mac" not in first.given and port.address == first.address:
            continue  # both derived from one address: that clash has been noted already
        origin = "" if given else f"(derived from the address {port.address}) "
        port.at("mac").wrong(
            port.mac,
            f"{origin}is already the {first.key('mac')} of {first.place.name}",
            "choose another one" if given else f"write an explicit {port.key('mac')}",
        )


def addresses_suffice(topology: Topology) -> None:
    """A subnet has room for its bridge, its routers and, behind a router, its clients."""
    for port in topology.ports():
        subnet = port.network and port.network.subnet
        if subnet is not None and port.address is None and "address" not in port.given:
            port.at("address").missing(
                f"cannot be derived: no host of {subnet} of {port.network.place.name} is free", "choose a larger subnet"
            )
    for router in topology.routers:
        network = router.downstream.network
        if network and network.subnet is not None and router.clients is None and "clients" not in router.fields.wrong:
            router.place.key("clients").missing(
                f"cannot be derived: no host of {network.subnet} of {network.place.name} is free",
                "choose a larger subnet, or write a range",
            )


# Ranges


class Range(NamedTuple):
    """The addresses that one server leases, as written. (Derived ones fit.)"""

    place: Place
    first: Optional[IPAddress]
    last: Optional[IPAddress]
    subnet: Optional[IPNetwork]


def _ranges(topology: Topology) -> Iterator[Range]:
    servers = [(network, "dhcp", network) for network in topology.networks]
    servers += [(router, "clients", router.downstream.network) for router in topology.routers]
    for server, key, network in servers:
        written = getattr(server.fields, key)
        if written is not None:
            yield Range(server.place.key(key), written.first, written.last, network and network.subnet)


def ranges_fit(topology: Topology) -> None:
    """A range is inside its subnet and goes upwards."""
    for place, first, last, subnet in _ranges(topology):
        _check_host(first, subnet, place.key("first"))
        _check_host(last, subnet, place.key("last"))
        if first is not None and last is not None and last < first:
            place.wrong(f"{first} - {last}", "ends before it begins", "swap first and last")


def ranges_are_apart(topology: Topology) -> None:
    """No address is leased by two servers."""
    complete = [one for one in _ranges(topology) if one.first is not None and one.last is not None]
    for one, other in combinations(complete, 2):
        if one.first <= other.last and other.first <= one.last:
            other.place.wrong(
                f"{other.first} - {other.last}",
                f"overlaps the {one.place.field} of {one.place.name}",
                "give each server a range of its own",
            )


# Networks


def services_need_host_access(topology: Topology) -> None:
    """Universe serves a network only where its bridge has an address."""
    for network in topology.networks:
        if network.fields.host_access is not False:
            continue
        if network.fields.dhcp is not None:
            network.place.key("dhcp").wrong(
                network.fields.dhcp.plain(), "needs host_access: true", "set host_access, or leave dhcp out"
            )
        if network.fields.forward == "nat":
            network.place.key("forward").wrong("nat", "needs host_access: true", "set host_access, or forward: none")


def uplinks_lead_out(topology: Topology) -> None:
    """An uplink belongs to NAT, is known, and is a device of universe's own."""
    for network in topology.networks:
        place, uplink, forward = network.place.key("uplink"), network.uplink, network.fields.forward
        if uplink is not None and forward == "none":
            place.wrong(uplink, "is used by nothing", "write forward: nat too, or leave uplink out")
        if uplink is not None and uplink in topology.ours:
            place.wrong(uplink, "is a declared network, not a way out", "write one of universe's devices, e.g. ens12")
        if uplink is None and forward == "nat" and "uplink" not in network.fields.wrong:
            place.missing(
                "is not written, and universe is not known to have a default route",
                "write the device that leads to the internet, e.g. ens12",
            )


# Routers


def sides_exist(topology: Topology) -> None:
    """A router joins two declared networks."""
    names = [network.name for network in topology.networks if network.name]
    for router in topology.routers:
        for port, name in ((router.upstream, router.fields.upstream), (router.downstream, router.fields.downstream)):
            if name is not None and port.network is None:
                router.place.key(port.side).wrong(
                    name,
                    "is not a declared network",
                    did_you_mean(name, names) if names else "declare it in multiverse_networks",
                )


def sides_differ(topology: Topology) -> None:
    """A router joins two different networks."""
    for router in topology.routers:
        name = router.fields.downstream
        if name is not None and name == router.fields.upstream:
            router.place.key("downstream").wrong(name, "is also the router's upstream", "join two different networks")


def networks_have_one_router(topology: Topology) -> None:
    """A network is served by one router."""
    for router in topology.routers:
        network = router.downstream.network
        if network and network.server is not router:
            router.place.key("downstream").wrong(
                network.name,
                f"is already served by {network.server.place.name}",
                "give each router a downstream network of its own",
            )


def networks_have_one_gateway(topology: Topology) -> None:
    """Universe is no gateway beside a router, else its clients would have a way around the router."""
    for network in topology.networks:
        if network.server is None:
            continue
        rule = f"makes universe a second gateway, beside {network.server.place.name}"
        for key, off in (("host_access", False), ("dhcp", None), ("forward", "none")):
            value = getattr(network.fields, key)
            if value is not None and value != off:
                network.place.key(key).wrong(
                    value if isinstance(value, (bool, str)) else value.plain(), rule, f"leave {key} out"
                )


def routers_have_a_gateway(topology: Topology) -> None:
    """On a router's upstream network there is somebody who forwards: another router, or universe."""
    for router in topology.routers:
        network = router.upstream.network
        if network and network.server is None and network.fields.host_access is False:
            router.place.key("upstream").wrong(
                network.name,
                "has no gateway: no router serves it, and universe has no access to it",
                f"set host_access: true on {network.place.name}, or let a router serve it",
            )


def routers_are_no_circle(topology: Topology) -> None:
    """Following the upstreams ends at universe."""
    done = set()
    for router in topology.routers:
        path: List[Router] = []
        while router is not None and id(router) not in done:
            done.add(id(router))
            path.append(router)
            router = router.requires
        if router is not None and any(router is one for one in path):
            circle = path[[one is router for one in path].index(True) :] + [router]
            router.place.key("upstream").wrong(
                router.fields.upstream,
                "leads in a circle: " + " behind ".join(str(one.name) for one in circle),
                "give one of them a network of universe's as its upstream",
            )


def egresses_agree(topology: Topology) -> None:
    """What the types of egress ask for themselves."""
    types = egress.available()
    for router in topology.routers:
        if router.fields.egress is not None and router.fields.egress.type in types:
            types[router.fields.egress.type].check(router, topology)


# Folders

KERNELS = ("/proc", "/sys", "/dev", "/run", "/var/run")
OURS = (DATA, "/etc/multiverse", "/usr/lib/multiverse")
SYSTEMS = KERNELS + (
    "/etc",
    "/boot",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/root",
    "/tmp",
    "/lost+found",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/log",
    "/var/spool",
    "/var/tmp",
    f"{DATA}/home",  # our user's own
)


def pools_are_apart(topology: Topology) -> None:
    """No pool is in another: each has rights and a keeper of its own."""
    for one, other in combinations([pool for pool in topology.pools if pool.path], 2):
        if _inside(one.path, other.path) or _inside(other.path, one.path):
            other.place.key("path").wrong(
                other.path, f"and {one.path} of {one.place.name} are not apart", "give each pool a folder of its own"
            )


def pools_are_folders_of_their_own(topology: Topology) -> None:
    """A pool changes the owner and mode of its folder, so that must not be one the system lives in."""
    for pool in topology.pools:
        if pool.path is None:
            continue
        inside = next((folder for folder in SYSTEMS if _inside(pool.path, folder)), None)
        above = next((folder for folder in OURS if _inside(folder, pool.path)), None)
        parts = pool.path.strip("/").split("/")
        if inside or above or len(parts) < (3 if parts[0] == "var" else 2):
            pool.place.key("path").wrong(
                pool.path,
                f"is in {inside}" if inside else "is one of the system's own folders",
                f"use a folder of its own, e.g. {DATA}/{pool.name}",
            )


def links_stay_outside(topology: Topology) -> None:
    """A router sees no folder of the kernel's, and nothing of ours: images, secrets, sockets."""
    secret = KERNELS + OURS + tuple(pool.path for pool in topology.pools if pool.path)
    for place, link in _links(topology):
        for folder in secret if link.source else ():
            if _inside(link.source, folder) or _inside(folder, link.source):
                place.key("source").wrong(
                    link.source,
                    f"is in {folder}" if _inside(link.source, folder) else f"holds {folder}",
                    "share a folder of its own, e.g. /srv/shared",
                )
                break


PORTALS_OWN = (
    "base-files",
    "build",
    "fstab",
    "image",
    "keys",
    "nics",
    "packages",
    "repositories",
    "runlevels",
    "services",
)


def links_hide_nothing(topology: Topology) -> None:
    """A link does not cover what a portal has itself: its lists, folders and scripts."""
    for place, link in _links(topology):
        if link.name and (link.name in PORTALS_OWN or link.name.endswith(".sh")):
            place.key("name").wrong(link.name, "is a name that every portal uses itself", "choose another name")


def _links(topology: Topology) -> Iterator[Tuple[Place, Fields]]:
    for router in topology.routers:
        for index, link in enumerate(router.fields.links or []):
            if link is not None:
                yield router.place.key("links").item(index), link


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


RULES = (
    names_are_unique,
    names_are_not_universes,
    subnets_are_apart,
    subnets_are_not_universes,
    addresses_fit,
    addresses_are_unique,
    addresses_suffice,
    macs_are_unique,
    ranges_fit,
    ranges_are_apart,
    services_need_host_access,
    uplinks_lead_out,
    sides_exist,
    sides_differ,
    networks_have_one_router,
    networks_have_one_gateway,
    routers_have_a_gateway,
    routers_are_no_circle,
    egresses_agree,
    pools_are_apart,
    pools_are_folders_of_their_own,
    links_stay_outside,
    links_hide_nothing,
)
