# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user may write: every key, its type and its default. Rules between keys are in `rules`."""

import re
from typing import Any, Callable, Dict, List, Optional

from .. import egress
from . import values
from .model import Network, Pool, Router, Topology
from .problems import WRONG, Place, Problem
from .reading import Fields, Key, Reader, boolean, choice, listed, record, sequence, string, whole

RANGE = {
    "first": Key(values.address, required=True, example="10.0.0.2"),
    "last": Key(values.address, required=True, example="10.0.0.254"),
}
NETWORK = {
    "name": Key(values.network_name, required=True, example="galaxy0"),
    "subnet": Key(values.subnet, required=True, example="10.1.1.0/24"),
    "address": Key(values.address),
    "mac": Key(values.mac),
    "host_access": Key(boolean, default=False),
    "dhcp": Key(record(RANGE)),
    "forward": Key(choice("nat", "none"), default="none"),
    "uplink": Key(values.device_name),
}
LINK = {
    "name": Key(values.link_name, required=True, example="shared"),
    "source": Key(values.absolute_path, required=True, example="/srv/shared"),
}


def _egress(value: Any, place: Place) -> Any:
    """Reads an egress by the keys of its own type."""
    types = egress.available()
    keys = {"type": Key(_egress_type, required=True, example=", ".join(sorted(types)))}
    if isinstance(value, dict):
        name = value.get("type")
        if not isinstance(name, str) or name not in types:
            # Its other keys cannot be judged.
            value = {"type": name}
        else:
            keys.update(types[name].KEYS)
    return record(keys)(value, place)


def _egress_type(value: Any, place: Place) -> Any:
    types = egress.available()
    remedy = f"use an available type: {', '.join(sorted(types))}"
    name = string(value, place, remedy)
    if name is WRONG or name in types:
        return name
    return place.wrong(name, "is not an available type of egress", remedy)


ROUTER = {
    "name": Key(values.router_name, required=True, example="galaxy"),
    "upstream": Key(values.reference, required=True, example="universe0"),
    "downstream": Key(values.reference, required=True, example="galaxy0"),
    "egress": Key(_egress, required=True, example="{type: direct}"),
    "upstream_address": Key(values.address),
    "downstream_address": Key(values.address),
    "upstream_mac": Key(values.mac),
    "downstream_mac": Key(values.mac),
    "clients": Key(record(RANGE)),
    "memory": Key(whole(64, 65536, "MiB"), default=128),
    "ephemeral": Key(boolean, default=False),
    "packages": Key(sequence(values.package_name, unique=str), default=[]),
    "base_files": Key(values.base_files),
    "links": Key(sequence(record(LINK), unique=lambda link: link.name, unique_key="name"), default=[]),
}
DATA = "/var/lib/multiverse"
POOLS = ("base-images", "os-images", "portal-images", "network-controller")
POOL = {
    "name": Key(choice(*POOLS), required=True, example="base-images"),
    "path": Key(values.absolute_path, required=True, example=f"{DATA}/base-images"),
}
APK_KEY = {
    "name": Key(values.key_name, required=True, example="foo.rsa.pub"),
    "content": Key(values.public_key, required=True, example="-----BEGIN PUBLIC KEY----- ..."),
}
ALPINE = {
    "release": Key(values.release, default="3.23"),
    "image": Key(values.image),
    "sha512": Key(values.sha512),
    "keys": Key(sequence(record(APK_KEY), unique=lambda key: key.name, unique_key="name"), default=[]),
    "revision": Key(whole(0, 999999, "raised by one"), default=0),
}


def _objects(
    word: str, keys: Dict[str, Key], make: Callable[[Place, Optional[str], Fields], Any], least: int = 0
) -> Reader:
    """Makes a reader of a list of networks or routers. Problems of one are noted under its own name."""

    def read(value: Any, place: Place) -> Any:
        items = listed(value, place)
        if items is not WRONG and len(items) < least:
            return place.wrong(items, "has no items", f"write at least {least}")
        done = []
        for index, item in enumerate([] if items is WRONG else items):
            name = _name_of(item)
            at = Place(place.problems, f"{word} {name}") if name else place.item(index)
            fields = record(keys)(item, at)
            if fields is not WRONG:
                done.append(make(at, name, fields))
        return items if items is WRONG else done

    return read


def _name_of(item: Any) -> Optional[str]:
    """What an object is called, possible name or not, as long as it can be printed in one short word."""
    name = item.get("name") if isinstance(item, dict) else None
    return str.__str__(name) if isinstance(name, str) and re.fullmatch("[!-~]{1,64}", name) else None


class _Variables(Place):
    """The place of all variables: each is an object of its own, called by its full name."""

    def key(self, key: str) -> Place:
        return Place(self.problems, f"multiverse_{key}")


VARIABLES = {
    "networks": Key(
        _objects("network", NETWORK, Network, least=1),
        required=True,
        example="- {name: universe0, subnet: 10.0.0.0/24, host_access: true}",
    ),
    "routers": Key(_objects("router", ROUTER, Router), required=True, example="[]"),
    "pools": Key(sequence(record(POOL), unique=lambda pool: pool.name, unique_key="name"), default=[]),
    "user": Key(values.user_name, default="multiverse"),
    "libvirt_uri": Key(choice("qemu:///session", "qemu:///system"), default="qemu:///session"),
    "alpine": Key(record(ALPINE), default=record(ALPINE)({}, Place([], ""))),
    "alpine_mirror": Key(values.url, default="https://dl-cdn.alpinelinux.org/alpine"),
}


def read(raw: Any, problems: List[Problem]) -> Topology:
    """Reads the `multiverse_*` variables (without their prefix) into an unconnected topology; notes what is wrong."""
    variables = record(VARIABLES)(raw, _Variables(problems, "topology"))
    if variables is WRONG:
        return Topology([], [], [], None, None, None, None)
    return Topology(
        networks=variables.networks or [],
        routers=variables.routers or [],
        pools=_pools(variables.pools or [], problems),
        user=variables.user,
        libvirt_uri=variables.libvirt_uri,
        alpine=variables.alpine,
        mirror=variables.alpine_mirror,
    )


def _pools(written: List[Fields], problems: List[Problem]) -> List[Pool]:
    """The four pools, in their fixed order; those not written are where they are by default."""
    paths = {pool.name: pool.path for pool in written if pool and pool.name}
    return [Pool(Place(problems, f"pool {name}"), name, paths.get(name, f"{DATA}/{name}")) for name in POOLS]
