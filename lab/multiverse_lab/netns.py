"""Network namespaces, the virtual cables between them, and the way from the small internet to the real one."""

import os
import signal
import time
from pathlib import Path
from typing import List

from . import model, registry
from .errors import LabError
from .model import Lab
from .run import ip, ip_json, read_json, run, write_json

LOOPBACK = "lo"
CHANGED_SYSCTLS, SYSCTL_LOCK = model.RUNTIME / "sysctls.json", model.RUNTIME / "sysctls.lock"
UPLINK_PEER, SPARE_PEERS, WAN = "universe", ("spare13", "spare14"), "wan"


def names() -> List[str]:
    """All network namespaces of this machine that have a name."""
    return [item["name"] for item in ip_json("netns", "list")]


def links(namespace: str) -> List[str]:
    """Names of all interfaces in a namespace."""
    return [item["ifname"] for item in ip_json("-n", namespace, "link")]


def sysctl(namespace: str, **values: int) -> None:
    """Set network sysctls in a namespace; a double underscore in a key stands for a slash."""
    words = " && ".join("echo %d > /proc/sys/net/%s" % (value, key.replace("__", "/")) for key, value in values.items())
    run(["ip", "netns", "exec", namespace, "sh", "-c", words])


def add(namespace: str) -> None:
    """Make an empty namespace with its loopback up, replacing one with this name and ending what runs in it.

    Bridged frames do not visit the IP firewall in it, as on a fresh Debian, where br_netfilter is not loaded.
    """
    remove(namespace)
    ip("netns", "add", namespace)
    ip("-n", namespace, "link", "set", LOOPBACK, "up")
    if Path("/proc/sys/net/bridge").is_dir():
        sysctl(namespace, **{"bridge__bridge-nf-call-%stables" % kind: 0 for kind in ("ip", "ip6", "arp")})


def remove(namespace: str) -> None:
    """End what runs in a namespace, then remove it with its interfaces. Does nothing when there is none."""
    if namespace in names():
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pids = run(["ip", "netns", "pids", namespace], check=False).stdout.split()
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        ip("netns", "delete", namespace)
    leftover = Path("/run/netns", namespace)
    if leftover.exists():  # `ip netns add` was killed between making the file and mounting it
        leftover.unlink()
    resolver = Path("/etc/netns", namespace)
    if resolver.is_dir():
        for item in resolver.iterdir():
            item.unlink()
        resolver.rmdir()


def set_resolver(namespace: str, text: str) -> None:
    """Give a namespace its own /etc/resolv.conf (see ip-netns(8)). Written in place: it may be mounted already."""
    folder = Path("/etc/netns", namespace)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text(text)


def cable(near: str, near_namespace: str, far: str, far_namespace: str, near_mac: str, far_mac: str) -> None:
    """Put a virtual cable between two namespaces, both ends down."""
    ip(
        "link",
        "add",
        near,
        "address",
        near_mac,
        "netns",
        near_namespace,
        "type",
        "veth",
        "peer",
        "name",
        far,
        "address",
        far_mac,
        "netns",
        far_namespace,
    )


def plug_universe(lab: Lab) -> None:
    """Make the lab host's namespace anew with its NICs: uplink and spare ones to the internet, one to the operator.

    Addresses on the host's side are its own business (its /etc/network/interfaces), as on a real machine.
    """
    add(lab.universe)
    ip("link", "delete", lab.management, check=False)
    for number, (nic, peer) in enumerate(zip((model.UPLINK, *model.SPARE_NICS), (UPLINK_PEER, *SPARE_PEERS))):
        ip("-n", lab.internet, "link", "delete", peer, check=False)  # a namespace's cables go some time after it
        cable(nic, lab.universe, peer, lab.internet, lab.mac(0, number), lab.mac(1, number))
        sysctl(lab.internet, **{"ipv6__conf__%s__accept_dad" % peer: 0})
        ip("-n", lab.internet, "link", "set", peer, "up")
    gateway, gateway6 = (model.GATEWAY, model.UPLINK_PREFIX), (model.GATEWAY6, model.UPLINK_PREFIX6)
    ip("-n", lab.internet, "address", "add", "%s/%d" % gateway, "dev", UPLINK_PEER)
    ip("-n", lab.internet, "address", "add", "%s/%d" % gateway6, "dev", UPLINK_PEER, "nodad")
    ip(
        "link",
        "add",
        lab.management,
        "address",
        lab.mac(2, 1),
        "type",
        "veth",
        "peer",
        "name",
        model.MANAGEMENT_NIC,
        "address",
        lab.mac(2, 2),
        "netns",
        lab.universe,
    )
    ip("address", "add", lab.operator_address + "/30", "dev", lab.management)
    ip("link", "set", lab.management, "up")


def plug_internet(lab: Lab) -> None:
    """Make the small internet's namespace anew: its servers' addresses, on its loopback, and its way out."""
    add(lab.internet)
    for addresses in model.SERVERS.values():
        ip("-n", lab.internet, "address", "add", "%s/32" % addresses["ipv4"], "dev", LOOPBACK)
        if addresses["ipv6"]:
            ip("-n", lab.internet, "address", "add", "%s/128" % addresses["ipv6"], "dev", LOOPBACK, "nodad")
    sysctl(lab.internet, ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
    ip("link", "delete", lab.exit, check=False)
    ip(
        "link",
        "add",
        lab.exit,
        "address",
        lab.mac(3, 1),
        "type",
        "veth",
        "peer",
        "name",
        WAN,
        "address",
        lab.mac(3, 2),
        "netns",
        lab.internet,
    )
    ip("address", "add", lab.exit_address + "/30", "dev", lab.exit)
    ip("-n", lab.internet, "address", "add", lab.internet_address + "/30", "dev", WAN)
    ip("link", "set", lab.exit, "up")
    ip("-n", lab.internet, "link", "set", WAN, "up")
    run(["ip", "netns", "exec", lab.internet, "nft", "-f", "-"], stdin=internet_rules())
    set_resolver(lab.internet, "nameserver %s\n" % model.SERVERS["dns"]["ipv4"])
    # last, since `internet.ensure` takes it as the sign that all of this was done
    ip("-n", lab.internet, "route", "add", "default", "via", lab.exit_address)


def internet_rules() -> str:
    """The nft rules of the small internet: only its own addresses get out to the real one, as one address."""
    return """table ip internet {
  chain forward {
    type filter hook forward priority 0; policy accept;
    oifname "%(wan)s" ip saddr != %(range)s drop
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "%(wan)s" masquerade
  }
}
""" % {"wan": WAN, "range": model.INTERNET_RANGE}


def exit_rules(lab: Lab) -> str:
    """The nft rules on this machine: the small internet gets out; nothing passes by the management network."""
    return """table ip %(table)s
delete table ip %(table)s
table ip %(table)s {
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "%(management)s" drop
    oifname "%(management)s" drop
    iifname "%(exit)s" tcp flags syn tcp option maxseg size set rt mtu
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    iifname "%(exit)s" oifname != "%(exit)s" masquerade
  }
}
""" % {"table": lab.table, "management": lab.management, "exit": lab.exit}


def outer_uplink() -> str:
    """This machine's device of its default route. Raises LabError when there is none."""
    for route in ip_json("route", "show", "default"):
        return str(route["dev"])
    raise LabError("this machine has no default route, so a lab host could not fetch packages; add one")


def open_exit(lab: Lab) -> None:
    """Let this machine forward for the lab: per device, since the global switch would open every other one."""
    switch = Path("/proc/sys/net/ipv4/conf", outer_uplink(), "forwarding")
    with registry.locked(SYSCTL_LOCK):
        before = read_json(CHANGED_SYSCTLS, {})
        before.setdefault(str(switch), switch.read_text().strip())
        write_json(CHANGED_SYSCTLS, before)
        switch.write_text("1")
    Path("/proc/sys/net/ipv4/conf", lab.exit, "forwarding").write_text("1")
    run(["nft", "-f", "-"], stdin=exit_rules(lab))


def sweep(index: int, lab_names: List[str]) -> None:
    """Remove namespaces, interfaces and rules of a lab from this machine; does nothing where they are gone.

    `lab_names` are the names that `registry.indexes_in_use` found for its index.
    """
    for name in lab_names:
        remove(name)
    for name in lab_names:
        ip("link", "delete", name, check=False)
    run(["nft", "delete", "table", "ip", model.table_name(index)], check=False)


def restore_sysctls() -> None:
    """Put this machine's switches back as they were before the first lab, unless another one came up meanwhile."""
    with registry.locked(SYSCTL_LOCK):
        if registry.all_indexes() or not CHANGED_SYSCTLS.exists():
            return
        for path, value in read_json(CHANGED_SYSCTLS, {}).items():
            if Path(path).exists():
                Path(path).write_text(value)
        CHANGED_SYSCTLS.unlink()
