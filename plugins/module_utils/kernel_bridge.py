# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's side of a network: what its bridge looks like, and setting what libvirt does not set."""

import os

from ansible_collections.multiverse.router_controller.plugins.module_utils.bridge_ports import SYS_NET, ip
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.networks import Bridge

PROC_NET = "/proc/sys/net"
#: Where libvirt's network driver keeps the process id of each dnsmasq.
DNSMASQ_PID = "/run/libvirt/network/%s.pid"
IFF_UP = 0x1


def read(name):
    """The Bridge of this name, or None. Raises MultiverseError when a device of another kind has the name."""
    device = os.path.join(SYS_NET, name)
    if not os.path.exists(device):
        return None
    if not os.path.isdir(os.path.join(device, "bridge")):
        raise MultiverseError(
            "network %s cannot have the bridge %s: a device that is no bridge has this name. Choose another name in "
            "multiverse_networks, or rename the device." % (name, name)
        )
    return Bridge(
        up=bool(int(_content(os.path.join(device, "flags")), 16) & IFF_UP),
        mac=_content(os.path.join(device, "address")).lower(),
        addresses=_addresses(name),
        # Without the file the kernel has no IPv6 at all.
        disable_ipv6=_content(_sysctl(name, "disable_ipv6"), missing="1") == "1",
        answers_arp=_answers_arp(name),
        dnsmasq=_dnsmasq_runs(name),
    )


def correct(name, desired):
    """Bring the bridge to the ``desired`` fields (networks.bridge_fields), as far as it takes them while it runs."""
    _write(_sysctl(name, "disable_ipv6"), "1")
    if "answers_arp" in desired and _answers_arp(name):
        _write(_sysctl(name, "arp_ignore"), "8")
    present = _addresses(name)
    for address in present:
        if address not in desired["addresses"]:
            ip("address", "delete", address, "dev", name)
    for address in desired["addresses"]:
        if address not in present:
            ip("address", "add", address, "broadcast", "+", "dev", name)
    ip("link", "set", "dev", name, "up")


def remove(name):
    """Delete a bridge that libvirt left behind."""
    ip("link", "delete", "dev", name)


def _addresses(name):
    """The addresses of all families and scopes, each with its prefix."""
    # One line each: "5: universe0    inet 10.0.0.1/24 brd 10.0.0.255 scope global universe0\ ..."
    lines = ip("-o", "address", "show", "dev", name).splitlines()
    return sorted(words[3] for words in map(str.split, lines) if words[2] in ("inet", "inet6"))


def _answers_arp(name):
    """Whether the bridge answers ARP for addresses it does not have itself.

    The kernel takes the larger of "all" and the interface's own arp_ignore: 0 answers for every address of the
    machine, 3 for all but those of scope host, 8 for none, 1 and 2 only for the interface's own.
    https://docs.kernel.org/networking/ip-sysctl.html
    """
    return max(int(_content(_sysctl(device, "arp_ignore"))) for device in ("all", name)) not in (1, 2, 8)


def _dnsmasq_runs(name):
    pid = _content(DNSMASQ_PID % name, missing="")
    return pid.isdigit() and "dnsmasq" in _content("/proc/%s/cmdline" % pid, missing="")


def _sysctl(name, key):
    return os.path.join(PROC_NET, "ipv6" if key == "disable_ipv6" else "ipv4", "conf", name, key)


def _content(path, missing=None):
    try:
        with open(path) as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        if missing is None:
            raise
        return missing


def _write(path, value):
    """Write a sysctl that differs; where the kernel has no such file (no IPv6), there is nothing to switch off."""
    if _content(path, missing=value) != value:
        with open(path, "w") as file:
            file.write(value)
