"""The small internet: a DNS server, a web server and the Alpine mirror, in a namespace behind the host's uplink."""

import sys
from pathlib import Path
from typing import List

from . import cgroup, netns, state
from .errors import LabError
from .model import SERVERS, ZONE, Lab
from .run import ip_json

PART, DNS, WEB = "internet", "dns", "web"
MIRROR_URL = "http://mirror.%s/alpine" % ZONE
MIRROR_KEY = "multiverse-lab.rsa.pub"


def folder(lab: Lab) -> Path:
    """Logs of the servers, and `hosts/`: a hosts file put there adds names at once."""
    return lab.directory / PART


def pick_nameservers(*texts: str) -> List[str]:
    """Name servers of the first resolv.conf that has some reachable from another namespace (so not on loopback)."""
    for text in texts:
        words = [line.split() for line in text.splitlines()]
        found = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and "." in word[1]]
        usable = [address for address in found if not address.startswith("127.")]
        if usable:
            return usable
    return []


def outer_nameservers() -> List[str]:
    """This machine's name servers. Raises LabError when none can be reached from a namespace."""
    paths = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
    servers = pick_nameservers(*(path.read_text() for path in paths if path.exists()))
    if not servers:
        raise LabError(
            "no name server beyond loopback in /etc/resolv.conf; the lab host could not find its packages. "
            "Write a reachable IPv4 one there"
        )
    return servers


def dns_command(lab: Lab, nameservers: List[str], uplink_only: bool) -> List[str]:
    """dnsmasq: answers for our zone, asks this machine's servers for everything else, logs every question."""
    command = [
        "ip",
        "netns",
        "exec",
        lab.internet,
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--group=root",
        "--pid-file=",
        "--no-hosts",
        "--no-resolv",
        "--bind-interfaces",
        "--local=/%s/" % ZONE,
        "--hostsdir=%s" % (folder(lab) / "hosts"),
        "--log-queries=extra",
        "--log-facility=%s" % (folder(lab) / "dns.log"),
        "--listen-address=127.0.0.1",
    ]
    command += ["--listen-address=%s" % address for address in SERVERS["dns"].values() if address]
    command += ["--server=%s" % server for server in nameservers]
    for name, addresses in SERVERS.items():
        if name == "dns" or not uplink_only:
            known = ",".join(address for address in addresses.values() if address)
            command.append("--host-record=%s.%s,%s" % (name, ZONE, known))
    return command


def web_command(lab: Lab) -> List[str]:
    """Our web server: the page on www, an echo over UDP, and the Alpine mirror's files."""
    command = [
        "ip",
        "netns",
        "exec",
        lab.internet,
        sys.executable,
        "-B",
        str(Path(__file__).with_name("web.py")),
        "--log",
        str(folder(lab) / "web.log"),
        "--files",
        SERVERS["mirror"]["ipv4"],
        str(lab.cache),
    ]
    for address in SERVERS["www"].values():
        command += ["--page", str(address)]
    return command


def _intact(lab: Lab) -> bool:
    """Whether the namespace and its way out are there: `up` may have been killed, or an interface removed."""
    if lab.internet not in netns.names() or lab.exit not in {item["ifname"] for item in ip_json("link")}:
        return False
    return bool(ip_json("-n", lab.internet, "route", "show", "default"))


def ensure(lab: Lab, uplink_only: bool) -> bool:
    """Bring the small internet up; true when its namespace was made anew: the lab host then needs a new cable."""
    fresh = not _intact(lab)
    if fresh:
        cgroup.remove(lab, PART)
        netns.plug_internet(lab)
    netns.open_exit(lab)
    (folder(lab) / "hosts").mkdir(parents=True, exist_ok=True)
    if state.running(lab, DNS) is None:
        _serve(lab, DNS, dns_command(lab, outer_nameservers(), uplink_only))
    if not uplink_only and state.running(lab, WEB) is None:
        (lab.cache / "alpine").mkdir(parents=True, exist_ok=True)
        _serve(lab, WEB, web_command(lab))
    return fresh


def _serve(lab: Lab, title: str, command: List[str]) -> None:
    part = "%s/%s" % (PART, title)
    cgroup.remove(lab, part)  # one that was started by an `up` killed before it could write that down
    state.start(lab, title, part, command, folder(lab) / "servers.log")


def verify(lab: Lab, uplink_only: bool) -> None:
    """Raise LabError when a server has stopped since it was started."""
    for title in (DNS,) if uplink_only else (DNS, WEB):
        if state.running(lab, title) is None:
            log = folder(lab) / "servers.log"
            said = log.read_text(errors="replace").splitlines()[-2:]
            raise LabError("the internet's %s server stopped: %s (%s)" % (title, " / ".join(said), log))


def mirror_keys(cache: Path) -> List[Path]:
    """The public keys of the Alpine mirror in the cache; none before it was filled."""
    return sorted((cache / "alpine").rglob(MIRROR_KEY))[:1]
