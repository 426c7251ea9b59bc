"""Clients: namespaces plugged into a bridge of the lab host, as a VM or a cable would be."""

import ipaddress
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from . import cgroup, netns
from .errors import LabError
from .model import Lab
from .run import ip, ip_json, read_json, run, write_json

NIC = "eth0"
NO_RESOLVER = "# no lease\n"
DHCP_TRIES, DHCP_PAUSE = 6, 2  # discover packets, seconds between them


class Client:
    """One client of a lab: the `number`-th one on a network, and the `index`-th of all."""

    def __init__(self, lab: Lab, network: str, number: int, index: int) -> None:
        self.lab, self.network, self.number, self.index = lab, network, number, index
        self.namespace = lab.client(index)
        self.plug = "client%d" % index  # the cable's end in the lab host's namespace
        self.lease_file = lab.state / ("lease-%d.json" % index)


def find(lab: Lab, network: str, number: int) -> Client:
    """Return a client, giving it an index of its own the first time.

    Raises LabError when the lab host has no such bridge.
    """
    present = bridges(lab)
    if network not in present:
        raise LabError(
            "the lab host has no bridge %r (it has: %s); converge it first, or name one of these"
            % (network, ", ".join(present) or "none")
        )
    path = lab.state / "clients.json"
    known: List[List[Any]] = read_json(path, [])
    if [network, number] not in known:
        known.append([network, number])
        write_json(path, known)
    return Client(lab, network, number, known.index([network, number]) + 1)


def known(lab: Lab) -> List[Client]:
    """All clients a lab ever had."""
    pairs = read_json(lab.state / "clients.json", [])
    return [Client(lab, network, number, index) for index, (network, number) in enumerate(pairs, 1)]


def bridges(lab: Lab) -> List[str]:
    """Names of the lab host's bridges."""
    return sorted(item["ifname"] for item in ip_json("-n", lab.universe, "link", "show", "type", "bridge"))


def plug(client: Client) -> None:
    """Make the client's namespace and cable where they are missing, and plug it into its bridge."""
    universe = client.lab.universe
    if client.namespace not in netns.names() or NIC not in netns.links(client.namespace):
        ip("-n", universe, "link", "delete", client.plug, check=False)
        netns.add(client.namespace)
        netns.set_resolver(client.namespace, NO_RESOLVER)
        lab = client.lab
        netns.cable(NIC, client.namespace, client.plug, universe, lab.mac(4, client.index), lab.mac(5, client.index))
    link = ip_json("-n", universe, "link", "show", client.plug)[0]
    if link.get("master") != client.network:
        ip("-n", universe, "link", "set", client.plug, "master", client.network)
        forget_lease(client)
    ip("-n", universe, "link", "set", client.plug, "up")
    ip("-n", client.namespace, "link", "set", NIC, "up")


def forget_lease(client: Client) -> None:
    """Take the client's IPv4 address away: it is on another network now."""
    ip("-n", client.namespace, "-4", "address", "flush", "dev", NIC)
    netns.set_resolver(client.namespace, NO_RESOLVER)
    if client.lease_file.exists():
        client.lease_file.unlink()


def parse_lease(environment: str, now: float) -> Dict[str, Any]:
    """The lease from the environment udhcpc gives its script. Raises LabError when it is not one.

    Source: busybox, networking/udhcp/dhcpc.c (ip, mask, router, dns, domain, lease, serverid).
    """
    values = dict(line.split("=", 1) for line in environment.splitlines() if "=" in line)
    try:
        address = ipaddress.IPv4Interface("%s/%s" % (values["ip"], values.get("mask", "32")))
        return {
            "address": str(address.ip),
            "prefix": address.network.prefixlen,
            "router": (values.get("router", "").split() or [None])[0],
            "dns": values.get("dns", "").split(),
            "domain": values.get("domain"),
            "server": values.get("serverid"),
            "expires": now + int(values.get("lease", 0)),
        }
    except (KeyError, ValueError) as error:
        raise LabError("the DHCP server sent no usable lease: %s" % error) from None


def valid_lease(client: Client) -> Optional[Dict[str, Any]]:
    """The client's lease if it has not expired and its address is still there."""
    lease: Optional[Dict[str, Any]] = read_json(client.lease_file, None)
    if not lease or lease["expires"] < time.time():
        return None
    present = [
        address.get("local")
        for item in ip_json("-n", client.namespace, "address", "show", "dev", NIC)
        for address in item["addr_info"]
    ]
    return lease if lease["address"] in present else None


def apply_lease(client: Client, lease: Dict[str, Any]) -> None:
    """Set address, default route and name server as the lease says."""
    words = ("-n", client.namespace)
    ip(*words, "-4", "address", "flush", "dev", NIC)
    ip(*words, "address", "add", "%s/%d" % (lease["address"], lease["prefix"]), "dev", NIC)
    if lease["router"]:
        ip(*words, "route", "replace", "default", "via", lease["router"])
    lines = ["search %s" % lease["domain"]] if lease["domain"] else []
    lines += ["nameserver %s" % server for server in lease["dns"]]
    netns.set_resolver(client.namespace, "\n".join(lines) + "\n")
    write_json(client.lease_file, lease)


def get_lease(client: Client, renew: bool = False) -> Dict[str, Any]:
    """Return the client's lease, asking for one if it has none valid. Raises LabError when nobody answers."""
    lease = None if renew else valid_lease(client)
    if lease:
        return lease
    forget_lease(client)
    answer = client.lease_file.with_suffix(".env")
    if answer.exists():
        answer.unlink()
    script = Path(__file__).with_name("udhcpc.sh")
    run(
        [
            "ip",
            "netns",
            "exec",
            client.namespace,
            "env",
            "LAB_LEASE=%s" % answer,
            "busybox",
            "udhcpc",
            "-i",
            NIC,
            "-f",
            "-n",
            "-q",
            "-t",
            str(DHCP_TRIES),
            "-T",
            str(DHCP_PAUSE),
            "-s",
            str(script),
        ],
        check=False,
        preexec_fn=lambda: cgroup.enter(client.lab, "clients"),
    )
    if not answer.exists():
        raise LabError(
            "no DHCP server answered on %s within %d s; is its router up?" % (client.network, DHCP_TRIES * DHCP_PAUSE)
        )
    lease = parse_lease(answer.read_text(), time.time())
    answer.unlink()
    apply_lease(client, lease)
    return lease


def describe(client: Client, lease: Dict[str, Any]) -> str:
    """A lease in one line."""
    return "%s client %d: %s/%d from %s, gateway %s, dns %s, %d s left" % (
        client.network,
        client.number,
        lease["address"],
        lease["prefix"],
        lease["server"],
        lease["router"] or "none",
        " ".join(lease["dns"]) or "none",
        lease["expires"] - time.time(),
    )
