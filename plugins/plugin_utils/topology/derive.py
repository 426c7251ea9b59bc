# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that follows from what the user wrote: who is plugged in where, addresses, MACs, kinds, stages, order.

Explicit values are reserved first, derived ones take what is free; nothing is derived in place of a wrong value.
"""

from typing import Any, Dict, Iterable, List, Optional, Set

from netaddr import IPAddress, IPNetwork

from .model import Network, Port, Router, Topology
from .universe import default_device, foreign_devices


def derive(topology: Topology, universe: Any) -> None:
    """Completes a topology that was just read. Whatever cannot be derived stays None."""
    topology.universe = universe
    topology.ours = {network.name for network in topology.networks} - foreign_devices(universe)
    _connect(topology)
    for network in topology.networks:
        _addresses(network, [port for port in topology.ports() if port.network is network])
        _uplink(network, topology)
    for port in topology.ports():
        if port.mac is None and "mac" not in port.given and port.address is not None:
            port.mac = derived_mac(port.address)
    for router in topology.routers:
        _clients(router, topology)
        router.stage = _stage(router)


def derived_mac(address: IPAddress) -> str:
    """The MAC rule: W.A.B.H has 00:00:10:AA:BB:HH."""
    return "00:00:10:{:02x}:{:02x}:{:02x}".format(*address.words[1:])


def hosts(subnet: IPNetwork) -> range:
    """The host addresses of a subnet, as numbers: without its network and broadcast address."""
    return range(subnet.first + 1, subnet.last)


def start_order(topology: Topology) -> List[List[str]]:
    """The names of the routers, by stage: each may start once the stages before it are up."""
    stages: Dict[int, List[str]] = {}
    for router in topology.routers:
        stages.setdefault(router.stage, []).append(router.name)
    return [stages[stage] for stage in sorted(stages)]


def _connect(topology: Topology) -> None:
    by_name: Dict[str, Network] = {}
    for network in topology.networks:
        network.bridge = _port(network, "", network)
        if network.name:
            by_name.setdefault(network.name, network)
    for router in topology.routers:
        router.upstream = _port(router, "upstream", by_name.get(router.fields.upstream))
        router.downstream = _port(router, "downstream", by_name.get(router.fields.downstream))
        if router.upstream.network:
            router.upstream.network.members.append(router)
        if router.downstream.network and not router.downstream.network.server:
            router.downstream.network.server = router
    for router in topology.routers:
        network = router.upstream.network
        router.requires = network.server if network and network.server is not router else None


def _port(owner: Any, side: str, network: Optional[Network]) -> Port:
    port = Port(owner.place, side, network, None, None, ())
    port.address, port.mac = (getattr(owner.fields, port.key(what)) for what in ("address", "mac"))
    port.given = tuple(
        what
        for what in ("address", "mac")
        if getattr(owner.fields, port.key(what)) is not None or port.key(what) in owner.fields.wrong
    )
    return port


def _addresses(network: Network, ports: List[Port]) -> None:
    """Gives each port of a network that has no address a free one."""
    if network.subnet is None:
        return
    upwards = hosts(network.subnet)
    taken = {int(port.address) for port in ports if port.address is not None}
    turns = [
        (upwards, [network.bridge] if network.fields.host_access else []),
        (upwards, [port for port in ports if port.side == "downstream"]),
        (upwards[1:], [port for port in ports if port.side == "upstream"]),
        (upwards[::-1], [] if network.fields.host_access else [network.bridge]),
    ]
    for candidates, waiting in turns:
        for port in waiting:
            if port.address is None and "address" not in port.given:
                port.address = _first_free(candidates, taken)
                taken.update([] if port.address is None else [int(port.address)])


def _first_free(candidates: Iterable[int], taken: Set[int]) -> Optional[IPAddress]:
    return next((IPAddress(number) for number in candidates if number not in taken), None)


def _uplink(network: Network, topology: Topology) -> None:
    network.uplink = network.fields.uplink
    if network.fields.forward == "nat" and network.uplink is None and "uplink" not in network.fields.wrong:
        network.uplink = default_device(topology.universe, topology.ours)


def _clients(router: Router, topology: Topology) -> None:
    """The addresses a router leases: as written, or from the lowest to the highest free host."""
    written, network = router.fields.clients, router.downstream.network
    if written is not None:
        router.clients = (written.first, written.last)
    elif "clients" not in router.fields.wrong and network and network.subnet is not None:
        taken = {int(port.address) for port in topology.ports() if port.network is network and port.address is not None}
        upwards = hosts(network.subnet)
        ends = _first_free(upwards, taken), _first_free(upwards[::-1], taken)
        router.clients = None if None in ends else ends


def _stage(router: Router) -> Optional[int]:
    stage, seen = 0, {id(router)}
    while router.requires is not None:
        router = router.requires
        if id(router) in seen:
            return None
        seen.add(id(router))
        stage += 1
    return stage
