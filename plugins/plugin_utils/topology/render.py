# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The finished topology as plain data: what `multiverse_topology` holds. Only for a topology without problems."""

from typing import Any, Dict, List, Optional

from .derive import start_order
from .model import Network, Port, Router, Topology
from .reading import plain

SESSION_SOCKET = "/run/multiverse/libvirt/libvirt-sock"


def render(topology: Topology) -> Dict[str, Any]:
    """Every key is always there; every value is a dict, list, str, int, bool or None."""
    portals = next(pool.path for pool in topology.pools if pool.name == "network-controller")
    session = topology.libvirt_uri == "qemu:///session"
    return {
        "networks": [_network(network) for network in topology.networks],
        "routers": [_router(router, portals) for router in topology.routers],
        "pools": [{"name": pool.name, "path": pool.path} for pool in topology.pools],
        "start_order": start_order(topology),
        "user": topology.user,
        "libvirt_uri": topology.libvirt_uri,
        "connect_uri": f"{topology.libvirt_uri}?socket={SESSION_SOCKET}" if session else topology.libvirt_uri,
        "alpine": _alpine(topology),
    }


def _network(network: Network) -> Dict[str, Any]:
    return {
        "name": network.name,
        **_port(network.bridge),
        "host_access": network.fields.host_access,
        "dhcp": plain(network.fields.dhcp),
        "forward": network.fields.forward,
        "uplink": network.uplink,
        "reservations": _reservations(network.members),
        "server": network.server.name if network.server else None,
    }


def _router(router: Router, portals: str) -> Dict[str, Any]:
    above, below = router.upstream.network, router.downstream.network
    gateway = router.requires.downstream if router.requires else above.bridge
    folder = f"{router.name}.portal.multiverse"
    first, last = router.clients
    return {
        "name": router.name,
        "kind": "star" if router.requires else "galaxy",
        "stage": router.stage,
        "requires": router.requires.name if router.requires else None,
        "upstream": {"network": above.name, **_port(router.upstream), "gateway": str(gateway.address)},
        "downstream": {"network": below.name, **_port(router.downstream)},
        "clients": {"first": str(first), "last": str(last)},
        "reservations": _reservations(below.members),
        **{
            key: plain(getattr(router.fields, key))
            for key in ("egress", "memory", "ephemeral", "packages", "base_files", "links")
        },
        "portal": {
            "tag": f"{router.name}-portal",
            "folder": folder,
            "path": f"{portals}/{folder}",
            "mount": f"/mnt/{router.name}-portal",
        },
    }


def _port(port: Port) -> Dict[str, Any]:
    subnet = port.network.subnet
    return {
        "subnet": str(subnet),
        "address": str(port.address),
        "prefix": subnet.prefixlen,
        "netmask": str(subnet.netmask),
        "mac": port.mac,
    }


def _reservations(routers: List[Router]) -> List[Dict[str, Any]]:
    return [
        {"name": router.name, "mac": router.upstream.mac, "address": str(router.upstream.address)} for router in routers
    ]


def _alpine(topology: Topology) -> Dict[str, Any]:
    fields = topology.alpine
    return {
        "release": fields.release,
        "image": fields.image or official_image(topology.mirror, fields.release),
        "sha512": fields.sha512,
        "mirror": topology.mirror,
        "keys": plain(fields.keys),
        "revision": fields.revision,
    }


def official_image(mirror: Optional[str], release: str) -> str:
    """The URL of Alpine's own cloud image (https://alpinelinux.org/cloud/); release X.Y means X.Y.0."""
    major, minor, *patch = release.split(".")
    version = ".".join([major, minor, *(patch or ["0"])])
    return f"{mirror}/v{major}.{minor}/releases/cloud/generic_alpine-{version}-x86_64-bios-tiny-r0.qcow2"
