"""The bare Debian a lab host starts from: built once per suite and recipe, then shared read-only by every host."""

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Tuple

from . import cgroup, registry
from .errors import LabError
from .model import Lab
from .run import run

# What a fresh Debian without a desktop has and Ansible needs; nothing the product is to install itself.
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "ca-certificates",
    "iproute2",
    "ifupdown",
    "netbase",
    "procps",
    "kmod",
    "udev",
    "nano",
    "vim-tiny",
    "less",
    "cron",
    "iputils-ping",
)
# How this machine reaches its mirror; a mirror that serves old snapshots needs the dates unchecked.
APT_OPTIONS = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
OUTER_CERTIFICATES = Path("/usr/local/share/ca-certificates")
PR_SET_PDEATHSIG = 1  # prctl(2)


def sources(suite: str, mirror: str, security: str) -> str:
    """The one-line apt sources of a suite, as the Debian installer writes them."""
    return "".join(
        "deb %s %s main\n" % pair
        for pair in ((mirror, suite), (mirror, suite + "-updates"), (security, suite + "-security"))
    )


def repositories() -> List[str]:
    """The URIs of this machine's apt sources; apt knows them once it has its lists."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = run(command, check=False).stdout.split()
    if not found:
        run(["apt-get", "update", "--quiet=2"], check=False)
        found = run(command, check=False).stdout.split()
    return found


def pick_mirrors(uris: List[str]) -> Tuple[str, str]:
    """This machine's own Debian mirror and security mirror among the URIs apt uses. Raises LabError without one."""
    mirror, security = None, None
    for uri in uris:
        plain = uri.strip().rstrip("/")
        if plain.endswith("/debian"):
            mirror = plain
        elif plain.endswith("/debian-security"):
            security = plain
    if mirror is None:
        raise LabError(
            "apt on this machine has no source that ends in /debian: the lab takes Debian from the same mirror"
        )
    return mirror, security or mirror + "-security"


def apt_options(dump: str, environment: Dict[str, str]) -> str:
    """The apt configuration for the lab host, from `apt-config dump` and the proxy variables of this machine."""
    lines = [line for line in dump.splitlines() if line.split(" ", 1)[0] in APT_OPTIONS]
    for scheme in ("http", "https"):
        key, proxy = "Acquire::%s::Proxy" % scheme, environment.get(scheme + "_proxy")
        if proxy and not any(line.startswith(key + " ") for line in lines):
            lines.append('%s "%s";' % (key, proxy))
    return "".join(line + "\n" for line in lines)


class Recipe:
    """Everything a root filesystem is made from; its key changes whenever any of it does."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        listed = repositories()
        self.sources = sources(suite, *pick_mirrors(listed))
        self.options = apt_options(run(["apt-config", "dump"], check=False).stdout, dict(os.environ))
        self.certificates = {path.name: path.read_text() for path in sorted(OUTER_CERTIFICATES.glob("*.crt"))}
        self.setup = Path(__file__).with_name("rootfs-setup.sh")

    def key(self) -> str:
        """A short hash of the recipe."""
        parts = (self.suite, self.sources, self.options, self.certificates, PACKAGES, self.setup.read_text())
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def _stage(recipe: Recipe, folder: Path) -> None:
    """Lay out the files that `rootfs-setup.sh` copies into the root filesystem."""
    for name, text in recipe.certificates.items():
        target = folder / "usr/local/share/ca-certificates" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    configuration = {"etc/apt/apt.conf.d/01multiverse-lab": recipe.options, "etc/apt/sources.list": recipe.sources}
    for path, text in configuration.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _build(lab: Lab, recipe: Recipe, target: Path) -> None:
    """Run mmdebstrap in namespaces of its own, so that a killed build leaves no mount and no process."""
    stage = target.with_name(target.name + "-files")
    _stage(recipe, stage)
    log = lab.directory / "rootfs.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def prepare() -> None:
        cgroup.enter(lab, "build")
        _die_with_parent()

    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--fork",
        "--pid",
        "--kill-child=KILL",
        "--mount-proc",
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--include=" + ",".join(PACKAGES),
        "--aptopt=" + recipe.options,
        '--customize-hook=cp -a "%s/." "$1/"' % stage,
        '--customize-hook=copy-in "%s" /tmp' % recipe.setup,
        '--customize-hook=chroot "$1" sh /tmp/%s' % recipe.setup.name,
        recipe.suite,
        str(target),
        "-",
    ]
    with open(str(log), "w") as output:
        done = subprocess.run(
            command, input=recipe.sources, text=True, stdout=output, stderr=output, preexec_fn=prepare
        )
    if done.returncode != 0:
        said = [line for line in log.read_text().splitlines() if line.startswith(("E:", "W:"))][-3:]
        raise LabError("building Debian %s failed: %s (all of it in %s)" % (recipe.suite, " / ".join(said), log))
    shutil.rmtree(str(stage))


def ensure(lab: Lab, suite: str) -> Path:
    """Return the root filesystem of a suite, building it first when the cache has none. Raises LabError."""
    recipe = Recipe(suite)
    folder = lab.cache / "rootfs"
    final = folder / ("%s-%s" % (suite, recipe.key()))
    if final.is_dir():
        return final
    with registry.locked(folder / ".lock"):
        if final.is_dir():
            return final
        for stale in folder.glob(".new-*"):  # of builds that were killed; we hold the lock, so none is at work
            shutil.rmtree(str(stale), ignore_errors=True)
        began = time.monotonic()
        print("building Debian %s (once)" % suite, flush=True)
        temporary = folder / (".new-%s-%d" % (suite, os.getpid()))
        _build(lab, recipe, temporary)
        os.rename(str(temporary), str(final))
        print("built in %.0f s" % (time.monotonic() - began), flush=True)
    return final
