# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What universe itself already has: routes, addresses, devices. On a second run our own bridges are among them."""

import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set

from netaddr import AddrFormatError, IPNetwork

from .values import SHORTEST_PREFIX

# Read-only, and understood by the iproute2 of every Debian since 9 (which has no JSON). ip is in no plain user's PATH.
SECTIONS = ("ip -4 route show table main", "ip -4 -o addr show", "ip -o link show", "ip -o link show type bridge")
SEPARATOR = "%%"
COMMAND = 'PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C; export PATH LC_ALL; ' + f" && echo {SEPARATOR} && ".join(SECTIONS)

_PAINT = re.compile("\x1b\\[[0-9;]*m")
_ROUTE_TYPES = ("unicast", "local", "broadcast", "multicast", "throw", "unreachable", "prohibit", "blackhole", "nat")
_DESTINATION = r"default|[0-9]+(\.[0-9]+){3}(/[0-9]+)?"


class Taken(NamedTuple):
    """A subnet that universe itself uses, and the device it uses it on (empty for a route to nowhere)."""

    subnet: IPNetwork
    device: str


def parse(output: str) -> Dict[str, List[Dict[str, Any]]]:
    """Universe as `build` takes it, from what COMMAND printed. Lines it does not understand are left out."""
    # On a terminal, which Ansible may give to a command, lines end as a terminal's do and newer iproute2 paints them.
    output = _PAINT.sub("", output).replace("\r\n", "\n")
    sections = [section.splitlines() for section in output.split(SEPARATOR + "\n")]
    routes, addresses, links, bridges = (sections + [[]] * len(SECTIONS))[: len(SECTIONS)]
    names_of_bridges = set(_devices(bridges))
    return {
        "routes": _routes(routes),
        "addresses": _addresses(addresses),
        "devices": [{"name": name, "bridge": name in names_of_bridges} for name in _devices(links)],
    }


def _routes(lines: Iterable[str]) -> List[Dict[str, Any]]:
    routes: List[Dict[str, Any]] = []
    destination = None
    for line in lines:
        words = line.split()
        if words and words[0] in _ROUTE_TYPES:
            words.pop(0)
        if words and words[0] != "nexthop":  # a further hop, on a line of its own, is to the same destination
            destination = words[0] if re.fullmatch(_DESTINATION, words[0]) else None
        if not words or destination is None:
            continue
        options = dict(zip(words, words[1:]))
        route = {
            "destination": destination,
            "device": options.get("dev", ""),
            "linkdown": "linkdown" in words,
            "metric": int(options["metric"]) if options.get("metric", "").isdigit() else 0,
        }
        if "src" in options:
            route["address"] = options["src"]
        routes.append(route)
    return routes


def _addresses(lines: Iterable[str]) -> List[Dict[str, Any]]:
    # 2: ens12    inet 192.168.1.10/24 brd 192.168.1.255 scope global ens12\       valid_lft forever ...
    found = (re.match(r"[0-9]+: (\S+)\s+inet ([0-9.]+)(?: peer ([0-9.]+))?(/[0-9]+)? ", line) for line in lines)
    return [
        {"device": one.group(1), "address": (one.group(3) or one.group(2)) + (one.group(4) or "/32")}
        for one in found
        if one
    ]


def _devices(lines: Iterable[str]) -> List[str]:
    # 3: ens13.100@ens13: <BROADCAST,MULTICAST,UP> mtu 1500 ...
    found = (re.match(r"[0-9]+: ([^\s@:]+)(@[^\s:]+)?: ", line) for line in lines)
    return [one.group(1) for one in found if one]


def default_device(universe: Any, ours: Set[Optional[str]]) -> Optional[str]:
    """The device of universe's default route: of the lowest metric, one that is up before one that is down."""
    ways_out = [way_out for way_out in _ways_out(universe) if way_out["device"] not in ours]
    ways_out.sort(key=lambda route: (route.get("linkdown") is True, _metric(route)))
    return ways_out[0]["device"] if ways_out else None


def taken(universe: Any, ours: Set[Optional[str]]) -> List[Taken]:
    """The subnets that universe uses on devices which are not `ours`, each once."""
    found: Dict[IPNetwork, Taken] = {}
    for key, word in (("routes", "destination"), ("addresses", "address")):
        for entry in _entries(universe, key, word, "device"):
            subnet = _subnet(entry[word])
            if subnet is not None and entry["device"] not in ours:
                found.setdefault(subnet, Taken(subnet, entry["device"]))
    return list(found.values())


def foreign_devices(universe: Any) -> Set[str]:
    """The names of universe's devices that cannot be a bridge of ours: those, and ways out, that are no bridge."""
    devices = _entries(universe, "devices", "name")
    names = {entry["name"] for entry in devices} | {way_out["device"] for way_out in _ways_out(universe)}
    return names - {entry["name"] for entry in devices if entry.get("bridge") is True}


def _ways_out(universe: Any) -> List[Dict[str, Any]]:
    routes = _entries(universe, "routes", "destination", "device")
    return [route for route in routes if route["destination"] == "default" and route["device"]]


def _metric(route: Dict[str, Any]) -> int:
    metric = route.get("metric")
    return metric if isinstance(metric, int) else 0


def _entries(universe: Any, key: str, *words: str) -> List[Dict[str, Any]]:
    """The entries of one of universe's lists that have these words."""
    entries = universe.get(key) if isinstance(universe, dict) else None
    return [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and all(isinstance(entry.get(word), str) for word in words)
    ]


def _subnet(text: str) -> Optional[IPNetwork]:
    try:
        subnet = IPNetwork(text).cidr
    except AddrFormatError:  # "default"
        return None
    # A wider one (0.0.0.0/1) is a way out, like the default route.
    return subnet if subnet.prefixlen >= SHORTEST_PREFIX else None
