"""What the lab needs on this machine, installed with apt only when it is missing."""

import os
import shutil
from typing import Dict, List

from .errors import LabError
from .run import run

# program -> Debian package
PROGRAMS: Dict[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "ssh": "openssh-client",
    "busybox": "busybox",
    "tcpdump": "tcpdump",
    "ping": "iputils-ping",
    "curl": "curl",
}


def missing() -> List[str]:
    """Debian packages to install: those whose program is not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)]


def ensure() -> None:
    """Install what is missing. Raises LabError when that is not possible."""
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces and mounts; run it as root")
    packages = missing()
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise LabError("missing: %s; install them (no apt-get here)" % " ".join(packages))
    print("installing %s" % " ".join(packages), flush=True)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    if run(install, check=False, env=environment).returncode != 0:
        run(["apt-get", "update", "-q"], env=environment)
        run(install, env=environment)
