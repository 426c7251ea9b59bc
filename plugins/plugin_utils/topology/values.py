# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of single values: names, subnets, addresses, MACs, paths, URLs, keys. See `reading` for what a reader is."""

import posixpath
import re
from typing import Any

from netaddr import IPAddress, IPNetwork

from .problems import HIDDEN, WRONG, Place
from .reading import Reader, string

# Networks

SHORTEST_PREFIX, LONGEST_PREFIX = 8, 30  # from 10.0.0.0/8 to two hosts
# Routers forward no client into these (not_internet in the portal's nftables.nft): so networks stay apart.
USABLE_BLOCKS = tuple(
    map(
        IPNetwork,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",  # RFC 1918: private
            "100.64.0.0/10",  # RFC 6598: carrier-grade NAT
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",  # RFC 5737: documentation
        ),
    )
)
USABLE_HINT = "use a private subnet: inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10"
UNUSABLE_BLOCKS = tuple(
    (IPNetwork(block), what)
    for block, what in (
        ("0.0.0.0/8", '"this network" (0.0.0.0/8)'),
        ("127.0.0.0/8", "loopback (127.0.0.0/8)"),
        ("169.254.0.0/16", "link-local (169.254.0.0/16)"),
        ("224.0.0.0/4", "multicast (224.0.0.0/4)"),
        ("240.0.0.0/4", "reserved (240.0.0.0/4)"),
    )
)
_QUAD = r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}"


def _is_address(text: str) -> bool:
    # netaddr accepts more than we do in some of its versions ("10.1", "010.0.0.1").
    return bool(re.fullmatch(_QUAD, text)) and all(int(octet) < 256 for octet in text.split("."))


def address(value: Any, place: Place) -> Any:
    """Reads an IPv4 address into an IPAddress. Whether it fits its subnet is a rule's business."""
    remedy = "write an IPv4 address, e.g. 10.1.1.2"
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    if ":" in text:
        return place.wrong(text, "is an IPv6 address; networks are IPv4 only", remedy)
    if "/" in text:
        return place.wrong(text, "has a prefix; it is the address of one host", remedy)
    return IPAddress(text) if _is_address(text) else place.wrong(text, "is not an IPv4 address", remedy)


def subnet(value: Any, place: Place) -> Any:
    """Reads a usable IPv4 subnet in CIDR notation into an IPNetwork."""
    remedy = "write an IPv4 subnet, e.g. 10.1.1.0/24"
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    if ":" in text:
        return place.wrong(text, "is an IPv6 subnet; networks are IPv4 only", remedy)
    base, slash, prefix = text.partition("/")
    if not slash:
        return place.wrong(text, "has no prefix", "write the prefix too, e.g. 10.1.1.0/24")
    if not (_is_address(base) and re.fullmatch("0|[1-9][0-9]?", prefix) and int(prefix) <= 32):
        return place.wrong(text, "is not an IPv4 subnet", remedy)
    if not SHORTEST_PREFIX <= int(prefix) <= LONGEST_PREFIX:
        return place.wrong(text, f"has a prefix of {prefix}", f"use /{SHORTEST_PREFIX} to /{LONGEST_PREFIX}")
    network = IPNetwork(text)
    for block, what in UNUSABLE_BLOCKS:
        if network.first <= block.last and block.first <= network.last:
            return place.wrong(text, f"is {what}: no router forwards it", USABLE_HINT)
    if not any(network.cidr in block for block in USABLE_BLOCKS):
        return place.wrong(text, "is public: its real hosts would be out of reach of every client", USABLE_HINT)
    if network.ip != network.network:
        return place.wrong(text, "has host bits set", f"write {network.cidr}")
    return network


def mac(value: Any, place: Place) -> Any:
    """Reads a unicast MAC, in any case and with any usual separator, as aa:bb:cc:dd:ee:ff."""
    remedy = 'write six octets in quotes, e.g. "00:00:10:01:01:02"'
    if isinstance(value, int) and not isinstance(value, bool):
        return place.wrong(value, "is a number (YAML reads some unquoted MACs as one)", remedy)
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    digits = re.sub("[:.-]", "", text.lower())
    if not (re.fullmatch("[0-9a-f]{12}", digits) and re.fullmatch(r"(..[:-]){5}..|(....\.){2}....|.{12}", text)):
        return place.wrong(text, "is not a MAC", remedy)
    first = int(digits[:2], 16)
    if digits == "0" * 12:
        return place.wrong(text, "is the zero MAC, which is no address", remedy)
    if first & 1:
        return place.wrong(text, "is a multicast or broadcast MAC", "write one whose first octet is even")
    if digits.startswith("525400"):
        return place.wrong(text, "starts with QEMU's own 52:54:00, which gives the virtual machine away", remedy)
    if first == 0xFE:
        return place.wrong(text, "starts with fe, which libvirt keeps for its own ends of the cables", remedy)
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


# Names

RESERVED_NETWORKS = {
    "all": "is a word of the kernel's settings",
    "default": "is the kernel's word, and libvirt's own network",
    "lo": "is the loopback device",
    "bonding_masters": "is a file of the kernel's among the devices",
}
RESERVED_ROUTERS = ("all", "build", "host", "localhost", "routers", "ungrouped", "universe")
RESERVED_USERS = (
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "www-data",
    "backup",
    "list",
    "irc",
    "_apt",
    "gnats",
    "nobody",
    "sshd",
    "messagebus",
    "libvirt-qemu",
    "libvirt-dnsmasq",
    "dnsmasq",
    "tss",
)


def network_name(value: Any, place: Place) -> Any:
    """Reads the name of a network, which is its bridge's too (IFNAMSIZ, 16 with the final zero, of linux/if.h)."""
    remedy = "use 1 to 15 characters of a-z, 0-9, - and _, the first a letter"
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    if len(text) > 15:
        return place.wrong(text, "is longer than 15 characters, the most a network device may have", remedy)
    if not re.fullmatch("[a-z][a-z0-9_-]*", text):
        return place.wrong(text, "is not a possible name of a network", remedy)
    if text in RESERVED_NETWORKS:
        return place.wrong(text, RESERVED_NETWORKS[text], "choose another name")
    if re.fullmatch("(virbr|vnet|vif|macvtap|macvlan)[0-9]+(-nic)?", text):
        return place.wrong(text, "is how libvirt names its own devices", "choose another name")
    return text


def router_name(value: Any, place: Place) -> Any:
    """Reads the name of a router: domain, host, folder and, with a suffix, 9p tag (at most 31 bytes in QEMU)."""
    remedy = "use 1 to 15 characters of a-z, 0-9 and -, the first a letter, the last not -"
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    if len(text) > 15:
        return place.wrong(text, "is longer than 15 characters", remedy)
    if not re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", text):
        return place.wrong(text, "is not a possible name of a router", remedy)
    if text in RESERVED_ROUTERS:
        return place.wrong(text, "is a word that means something else here or in Ansible", "choose another name")
    return text


def matching(pattern: str, rule: str, remedy: str, longest: int = 64) -> Reader:
    """Makes a reader of text that a pattern describes from end to end."""

    def read(value: Any, place: Place) -> Any:
        text = string(value, place, remedy, longest)
        if text is WRONG or re.fullmatch(pattern, text):
            return text
        return place.wrong(text, rule, remedy)

    return read


reference = matching(r"[!-~]+", "is not the name of a network", "write the name of a declared network")
device_name = matching(
    "[A-Za-z][A-Za-z0-9._@-]{0,14}",
    "is not the name of a network device",
    "write the name of one of universe's devices, e.g. ens12",
)
package_name = matching(
    "[A-Za-z0-9_][A-Za-z0-9_.+-]*", "is not the name of an apk package", "write the name alone, e.g. tcpdump", 128
)
link_name = matching(
    "[A-Za-z0-9_][A-Za-z0-9_.-]*",
    "is not a possible name of a folder",
    "use letters, digits, ., - and _ only, the first no . or -; no /",
)


def user_name(value: Any, place: Place) -> Any:
    """Reads the name of a user that may be ours: what Debian's adduser takes, and nobody who exists already."""
    remedy = "use 1 to 31 characters of a-z, 0-9, - and _, the first a letter or _, e.g. multiverse"
    text = matching("[a-z_][a-z0-9_-]*", "is not a possible name of a user", remedy, 31)(value, place)
    if text in RESERVED_USERS:
        return place.wrong(text, "is a user of the system; routers run as a user of their own", "write e.g. multiverse")
    return text


# Paths and URLs

_SAFE_PATH = "(?!-)[A-Za-z0-9._+@/-]+"


def _path(value: Any, place: Place, remedy: str) -> Any:
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    if not re.fullmatch(_SAFE_PATH, text):
        return place.wrong(
            text,
            "has characters that a mount table or a shell would take amiss",
            "use letters, digits and . _ + @ - only",
        )
    parts = text.split("/")
    if ".." in parts:
        return place.wrong(text, 'leaves its folder through ".."', remedy)
    if any(len(part) > 255 for part in parts):
        return place.wrong(text, "has a part of more than 255 characters", remedy)
    # posixpath keeps a leading "//"; nobody means it.
    return posixpath.normpath(re.sub("^/+", "/", text))


def absolute_path(value: Any, place: Place) -> Any:
    """Reads an absolute path without "..", normalized."""
    remedy = "write an absolute path, e.g. /srv/shared"
    path = _path(value, place, remedy)
    if path is WRONG or path.startswith("/"):
        return path
    return place.wrong(path, "is a relative path", remedy)


def base_files(value: Any, place: Place) -> Any:
    """Reads the folder, on the controller, of a router's own files: relative to the playbook, or absolute."""
    remedy = "write a folder, e.g. files/star/"
    path = _path(value, place, remedy)
    if path in ("/", "."):
        return place.wrong(path, "is no folder of its own", remedy)
    return path


_HOST = r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:.]+\]"
_URL = rf"https?://({_HOST})(:(?P<port>[0-9]{{1,5}}))?(?P<path>/[A-Za-z0-9._~+@%,=:/-]*)?"


def url(value: Any, place: Place) -> Any:
    """Reads an http or https URL of a folder or file: no user, query or fragment. Without its trailing slash."""
    remedy = "write a URL, e.g. https://dl-cdn.alpinelinux.org/alpine"
    text = string(value, place, remedy)
    if text is WRONG:
        return WRONG
    if not re.match("https?://", text):
        return place.wrong(text, "is not an http or https URL", remedy)
    parts = re.fullmatch(_URL, text)
    if not parts or int(parts.group("port") or 1) not in range(1, 65536):
        return place.wrong(text, "is not a plain URL of host, port and path", remedy)
    if ".." in (parts.group("path") or "").split("/"):
        return place.wrong(text, 'leaves its folder through ".."', remedy)
    return text.rstrip("/")


def image(value: Any, place: Place) -> Any:
    """Reads where a base image is: an absolute path or a URL."""
    if isinstance(value, str) and ":" in value:
        return url(value, place)
    path = absolute_path(value, place)
    if path == "/":
        return place.wrong(path, "is not a file", "write the path or the URL of an image")
    return path


# Alpine

release = matching(
    r"[1-9][0-9]?\.(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2}))?",
    "is not a release of Alpine",
    'write it in quotes, e.g. "3.23" (which means 3.23.0) or "3.23.1"',
    16,
)


def sha512(value: Any, place: Place) -> Any:
    """Reads a SHA-512 checksum, in lower case."""
    remedy = "write the 128 hex digits that sha512sum prints"
    text = matching("[0-9A-Fa-f]{128}", "is not a SHA-512 checksum", remedy, 256)(value, place)
    return text if text is WRONG else text.lower()


key_name = matching(
    r"[A-Za-z0-9][A-Za-z0-9@._+-]*\.pub",
    "is not a possible file name of an apk signing key",
    "write a name like foo.rsa.pub",
    128,
)


def public_key(value: Any, place: Place) -> Any:
    """Reads a PEM public key, ending in a newline."""
    remedy = "write the public key, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
    text = string(value, place, remedy, 16384)
    if text is WRONG:
        return WRONG
    if "PRIVATE KEY" in text:
        return place.wrong(HIDDEN, "is a private key, and would be copied to every router", remedy)
    if not re.fullmatch(r"-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=]+\r?\n)+-----END PUBLIC KEY-----\s*", text):
        return place.wrong(text, "is not a PEM public key", remedy)
    return text.replace("\r", "").strip() + "\n"
