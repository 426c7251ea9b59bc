"""The table of the lab's apk packages. One entry is one package; everything else is derived from it.

Names, paths, users and services are those of alpinelinux/aports; the binaries are Debian's. A package's own files
(configuration, services) lie under ``overlay/<name>/``, its scripts under ``scripts/<name>.<type>``. As in Alpine,
``/etc/init.d`` and ``/etc/conf.d`` become a package ``<name>-openrc`` that installs itself wherever OpenRC is.
"""

from typing import NamedTuple


class Package(NamedTuple):
    """One apk package.

    name: as in Alpine.  section: ``main`` or ``community``.  description: one line.
    deb: Debian package that gives the files and the version; empty for a package of our own.
    files: path in Alpine -> path in the Debian package; a directory is copied whole.
    directories: empty directories to create, mode 0755.
    depends: apk dependencies; ``{version}`` stands for this package's own version.
    """

    name: str
    section: str
    description: str
    deb: str = ""
    files: dict = {}
    directories: tuple = ()
    depends: tuple = ()


RELEASE = "v3.23"
ARCHITECTURE = "x86_64"
LIBRARIES = "debian-libs"  # what two or more packages need of Debian's libraries, and the loader
OWN_VERSION = "1.0.0"  # of packages that come from no Debian package

PACKAGES = (
    Package(
        "nftables",
        "main",
        "Netfilter tables userspace tools",
        "nftables",
        files={"usr/sbin/nft": "usr/sbin/nft"},
        directories=("etc/nftables.d", "var/lib/nftables"),
    ),
    Package(
        "dnsmasq",
        "main",
        "A lightweight DNS, DHCP, RA, TFTP and PXE server",
        "dnsmasq-base",
        files={"usr/sbin/dnsmasq": "usr/sbin/dnsmasq"},
        directories=("etc/dnsmasq.d", "var/lib/misc"),
    ),
    Package(
        "openvpn",
        "main",
        "Robust, and highly configurable VPN (Virtual Private Network)",
        "openvpn",
        files={"usr/sbin/openvpn": "usr/sbin/openvpn"},
    ),
    Package(
        "wireguard-tools",
        "main",
        "Next generation secure network tunnel: userspace tools",
        "wireguard-tools",
        depends=("wireguard-tools-wg", "wireguard-tools-wg-quick"),
    ),
    Package(
        "wireguard-tools-wg",
        "main",
        "Next generation secure network tunnel: userspace tools (wg)",
        "wireguard-tools",
        files={"usr/bin/wg": "usr/bin/wg"},
    ),
    Package(
        "wireguard-tools-wg-quick",
        "main",
        "Next generation secure network tunnel: userspace tools (wg-quick)",
        "wireguard-tools",
        files={"usr/bin/wg-quick": "usr/bin/wg-quick"},
        depends=("wireguard-tools-wg={version}", "iproute2", "bash", "openresolv"),
    ),
    Package("bash", "main", "The GNU Bourne Again shell", "bash", files={"bin/bash": "bin/bash"}),
    Package("iproute2", "main", "IP Routing Utilities", "iproute2", depends=("iproute2-minimal={version}",)),
    Package(
        "iproute2-minimal",
        "main",
        "IP Routing Utilities (ip)",
        "iproute2",
        files={"sbin/ip": "bin/ip", "etc/iproute2": "etc/iproute2"},
    ),
    Package(
        "openresolv",
        "main",
        "A framework for managing DNS information",
        "openresolv",
        files={"sbin/resolvconf": "sbin/resolvconf", "lib/resolvconf": "lib/resolvconf"},
    ),
    Package(
        "tor",
        "community",
        "Anonymous network connectivity",
        "tor",
        files={"usr/bin/tor": "usr/bin/tor", "usr/bin/tor-resolve": "usr/bin/tor-resolve"},
        directories=("var/lib/tor", "var/log/tor"),
    ),
    Package(
        "qemu-guest-agent",
        "community",
        "QEMU guest agent",
        "qemu-guest-agent",
        files={"usr/bin/qemu-ga": "usr/sbin/qemu-ga"},
    ),
    Package("multiverse-lab-hello", "community", "Says hello; the lab's harmless extra package"),
)
