# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The topology as objects that know each other: what the rules look at. `derive` fills it, `render` writes it out.

A field is None when it is wrong, or when it follows from something wrong. Rules look only at what is there, so one
problem neither hides another nor causes a second.
"""

from dataclasses import dataclass, field
from typing import Any, List, Optional, Set, Tuple

from netaddr import IPAddress, IPNetwork

from .problems import Place
from .reading import Fields


@dataclass
class Port:
    """Where something is plugged into a network: a bridge itself, or one side of a router."""

    place: Place
    side: str  # '' (a bridge itself), 'upstream' or 'downstream'
    network: Optional["Network"]
    address: Optional[IPAddress]
    mac: Optional[str]
    given: Tuple[str, ...]  # which of 'address' and 'mac' the user wrote, right or wrong

    def at(self, what: str) -> Place:
        """The place of this port's 'address' or 'mac'."""
        return self.place.key(self.key(what))

    def key(self, what: str) -> str:
        """The key a user writes for this port's 'address' or 'mac'."""
        return f"{self.side}_{what}" if self.side else what


@dataclass
class Network:
    """One bridge with one subnet."""

    place: Place
    name: Optional[str]  # as written, even where it is no possible name
    fields: Fields
    bridge: Port = None  # type: ignore[assignment]
    server: Optional["Router"] = None  # the first router whose downstream side is here
    members: List["Router"] = field(default_factory=list)  # those with their upstream side here
    uplink: Optional[str] = None

    @property
    def subnet(self) -> Optional[IPNetwork]:
        return self.fields.subnet


@dataclass
class Router:
    """One virtual machine between two networks."""

    place: Place
    name: Optional[str]
    fields: Fields
    upstream: Port = None  # type: ignore[assignment]
    downstream: Port = None  # type: ignore[assignment]
    clients: Optional[Tuple[Optional[IPAddress], Optional[IPAddress]]] = None
    requires: Optional["Router"] = None
    stage: Optional[int] = None  # None in a circle, and behind one


@dataclass
class Pool:
    """One of the four folders of images and portals."""

    place: Place
    name: str
    path: Optional[str]


@dataclass
class Topology:
    """All of it. `universe` is what `universe.parse` returned."""

    networks: List[Network]
    routers: List[Router]
    pools: List[Pool]
    user: Optional[str]
    libvirt_uri: Optional[str]
    alpine: Optional[Fields]
    mirror: Optional[str]
    universe: Any = None
    # The devices that are our bridges, or will be once they are made.
    ours: Set[Optional[str]] = field(default_factory=set)

    def ports(self) -> List[Port]:
        """Every port, bridges first, in declared order."""
        return [network.bridge for network in self.networks] + [
            port for router in self.routers for port in (router.upstream, router.downstream)
        ]
