# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refreshes package lists, upgrades, installs and removes through apt-get, each step simulated first."""

import glob
import os
import subprocess
import time

from ansible_collections.multiverse.router_controller.plugins.module_utils import packages as model
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

_LISTS = "/var/lib/apt/lists"
_SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
    "/etc/apt/sources.list.d/*",
    "/etc/apt/apt.conf.d",
    "/etc/apt/apt.conf.d/*",
    "/etc/apt/*.list",
)
_ENVIRONMENT = dict(
    os.environ,
    LC_ALL="C",
    DEBIAN_FRONTEND="noninteractive",
    DEBIAN_PRIORITY="critical",
    APT_LISTCHANGES_FRONTEND="none",
    NEEDRESTART_SUSPEND="1",
    PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
# A changed configuration file of the machine stays as it is; another apt or dpkg that runs is waited for.
_KEEP = ["--force-confdef", "--force-confold"]
_OPTIONS = [
    "-y",
    "-q",
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Acquire::Retries=3",
    "-o",
    "APT::Install-Recommends=false",
    "-o",
    "APT::Install-Suggests=false",
]
_UPGRADE = {"safe": ["upgrade", "--with-new-pkgs"], "full": ["dist-upgrade"]}


def converge(present, absent, upgrade="none", max_age=86400, check=False):
    """Bring the packages of this machine about.

    :param present: list of str, packages to have
    :param absent: list of str, packages not to have
    :param upgrade: str, one of packages.UPGRADES: nothing, what needs no removal, or everything
    :param max_age: int, seconds; older package lists are refreshed first, and lists older than the sources always
    :param check: bool, simulate only; the lists are not refreshed then
    :return: {"steps": as of packages.parse_simulation, "refreshed": bool, "held": [name], "blind": bool, whether there
        were no lists to check with}
    :raises MultiverseError: naming the packages that are missing, held or in the way
    """
    model.check_declared(present, absent)
    steps = _repair(check)
    refreshed = not check and _refresh(max_age)
    blind = not _have_lists()
    if upgrade != "none" and not blind:
        steps += _run("upgrade", _UPGRADE[upgrade], [], check)
    missing = model.to_install(present, read_status())
    if missing and blind:
        steps += [{"action": "install", "name": name, "before": None, "after": None} for name in missing]
    elif missing:
        steps += _run("install", ["install", "--no-remove"], missing, check)
    unwanted = model.to_remove(absent, read_status())
    if unwanted:
        steps += _run("remove", ["remove"], unwanted, check, keep=present)
    status = read_status()
    if not check:
        _verify(present, absent, status)
    return {"steps": steps, "refreshed": refreshed, "held": model.held(status), "blind": blind}


def _verify(present, absent, status):
    left = model.to_install(present, status) + model.to_remove(absent, status)
    if left:
        raise MultiverseError("apt-get reported success, but these packages are not as declared: %s" % ", ".join(left))


def read_status():
    """Every package dpkg knows of: {name: (want, status)}."""
    code, output = _call(["dpkg-query", "--show", "--showformat", model.QUERY])
    if code:
        raise MultiverseError("dpkg-query failed: %s" % output.strip())
    return model.parse_status(output)


def _repair(check):
    """Finish what a killed dpkg left half-way; apt-get refuses everything until then."""
    names = model.unfinished(read_status())
    if not names and not os.listdir("/var/lib/dpkg/updates"):
        return []
    if not check:
        code, output = _call(["dpkg"] + _KEEP + ["--configure", "-a"])
        if code:
            raise MultiverseError(
                "an interrupted installation cannot be finished; run 'dpkg --configure -a' by hand: "
                "%s" % output.strip()[-500:]
            )
    return [{"action": "repair", "name": name, "before": None, "after": "configured"} for name in names or ["dpkg"]]


def _have_lists():
    return bool(glob.glob(_LISTS + "/*_Packages*") or glob.glob(_LISTS + "/*_dists_*"))


def _refresh(max_age):
    newest = max(os.lstat(path).st_mtime for pattern in _SOURCES for path in glob.glob(pattern))
    lists = os.stat(_LISTS).st_mtime
    if _have_lists() and newest < lists and time.time() - lists < max_age:
        return False
    code, output = _call(["apt-get"] + _OPTIONS + ["-o", "APT::Update::Error-Mode=any", "update"])
    failed = [line for line in output.splitlines() if line.startswith(("E:", "W: Failed to fetch", "W: GPG error"))]
    if code or failed:
        raise MultiverseError(
            "the package lists cannot be refreshed; look at /etc/apt/sources.list and the way to the "
            "mirror: %s" % " / ".join(failed or output.splitlines()[-5:])
        )
    os.utime(_LISTS)  # apt leaves the time alone where nothing was new
    return True


def _run(doing, command, names, check, keep=()):
    """Simulate, and then do, one apt-get command; the steps of the simulation."""
    code, output = _call(["apt-get"] + _OPTIONS + ["--simulate"] + command + ["--"] + names)
    if code:
        raise MultiverseError(model.explain(doing, names, output, read_status()))
    steps = model.parse_simulation(output)
    lost = sorted(set(step["name"] for step in steps if step["action"] == "remove") & set(keep))
    if lost:
        raise MultiverseError(
            "removing %s would take %s along, which is declared as present; keep one of them"
            % (", ".join(names), ", ".join(lost))
        )
    if steps and not check:
        settings = [part for option in _KEEP for part in ("-o", "DPkg::Options::=" + option)]
        code, output = _call(["apt-get"] + _OPTIONS + settings + command + ["--"] + names)
        if code:
            raise MultiverseError(model.explain(doing, names, output, read_status()))
    return steps


def _call(command):
    """(exit code, what it said on both outputs)."""
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_ENVIRONMENT
        )
    except OSError as error:
        raise MultiverseError("%s cannot be run (%s); this works on Debian only" % (command[0], error)) from error
    return result.returncode, result.stdout.decode("utf-8", "replace")
