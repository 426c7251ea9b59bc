"""Names and addresses of one lab, all derived from its name and its index. No I/O.

Interface names are limited to 15 bytes by the kernel (IFNAMSIZ), so they carry the index and not the name.
The addresses are documentation and benchmark ranges (RFC 5737, RFC 3849, RFC 2544) that no real network uses.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Dict, Optional

from .errors import LabError

PREFIX = "mv"
DEFAULT_NAME = "lab"
MAX_INDEX = 250
SUITES = ("bookworm", "bullseye", "trixie")
DEFAULT_CACHE = "/var/cache/multiverse-lab"
RUNTIME = Path("/run/multiverse-lab")
NAME = re.compile(r"[a-z][a-z0-9-]{0,23}\Z")

UPLINK = "ens12"
SPARE_NICS = ("ens13", "ens14")
MANAGEMENT_NIC = "mgmt0"

GATEWAY, UNIVERSE, UPLINK_PREFIX = "198.19.100.1", "198.19.100.2", 29
INTERNET_RANGE = "198.19.100.0/24"
GATEWAY6, UNIVERSE6, UPLINK_PREFIX6 = "2001:db8:1::1", "2001:db8:1::2", 64
# Servers of the small internet. Both families, so that a leak over IPv6 is as visible as one over IPv4.
SERVERS: Dict[str, Dict[str, Optional[str]]] = {
    "dns": {"ipv4": "198.19.100.53", "ipv6": "2001:db8:53::53"},
    "www": {"ipv4": "198.19.100.80", "ipv6": "2001:db8:80::80"},
    "mirror": {"ipv4": "198.19.100.88", "ipv6": None},
}
ZONE = "internet.test"


def check_name(name: str) -> str:
    """Return the lab's name; raise LabError when it could not be used in a file or namespace name."""
    if not NAME.match(name):
        raise LabError("lab name %r: use 1 to 24 of a-z, 0-9 and -, beginning with a letter" % name)
    return name


def cache_dir() -> Path:
    """The folder of everything that is worth keeping between labs."""
    return Path(os.environ.get("MULTIVERSE_LAB_CACHE") or DEFAULT_CACHE)


def table_name(index: int) -> str:
    """The nftables table of the lab with this index."""
    return "multiverse_lab_%d" % index


class Lab:
    """One lab of one checkout. `index` (1 to MAX_INDEX) tells it apart from every other lab on this machine."""

    def __init__(self, name: str, index: int, checkout: Path, cache: Optional[Path] = None) -> None:
        self.name = check_name(name)
        self.index = index
        self.checkout = checkout
        self.cache = cache or cache_dir()
        self.directory = checkout / ".lab" / name
        self.state = self.directory / "state"
        self.runtime = RUNTIME / str(index)

    @property
    def disk(self) -> Path:
        """The lab host's own files (an overlay's upper folder); in the cache so that tools that walk the checkout
        do not walk a whole Debian."""
        owner = hashlib.sha256(str(self.checkout).encode()).hexdigest()[:8]
        return self.cache / "hosts" / ("%s-%s" % (owner, self.name))

    @property
    def machine(self) -> str:
        """The name systemd-nspawn knows the lab host by."""
        return "multiverse-lab-%d" % self.index

    @property
    def universe(self) -> str:
        """Network namespace of the lab host."""
        return "%s%d-u" % (PREFIX, self.index)

    @property
    def internet(self) -> str:
        """Network namespace of the small internet."""
        return "%s%d-i" % (PREFIX, self.index)

    def client(self, number: int) -> str:
        """Network namespace of a client."""
        return "%s%d-c%d" % (PREFIX, self.index, number)

    @property
    def management(self) -> str:
        """The operator's interface towards the lab host."""
        return "%s%d-m" % (PREFIX, self.index)

    @property
    def exit(self) -> str:
        """This machine's interface towards the small internet."""
        return "%s%d-x" % (PREFIX, self.index)

    @property
    def table(self) -> str:
        """The nftables table with this lab's rules on this machine."""
        return table_name(self.index)

    @property
    def operator_address(self) -> str:
        """This machine on the management network, a /30."""
        return "198.18.%d.1" % self.index

    @property
    def address(self) -> str:
        """The lab host on the management network: where Ansible and ssh connect to."""
        return "198.18.%d.2" % self.index

    @property
    def exit_address(self) -> str:
        """This machine on the network to the small internet, a /30."""
        return "198.18.%d.5" % self.index

    @property
    def internet_address(self) -> str:
        """The small internet's gateway on the network to this machine."""
        return "198.18.%d.6" % self.index

    def mac(self, kind: int, number: int) -> str:
        """A locally administered MAC address: 02:6d:76 ("mv"), index, kind of interface, number."""
        return "02:6d:76:%02x:%02x:%02x" % (self.index, kind, number)
