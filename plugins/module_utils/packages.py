# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What dpkg and apt-get say, as data: installed and held packages, simulated runs, and why one failed.

Nothing here runs a command: `package_converge` does.
"""

import re

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

QUERY = "${Package} ${db:Status-Want} ${db:Status-Status}\n"  # dpkg-query(1), --showformat
UPGRADES = ("none", "safe", "full")

_NAME = re.compile(r"^[a-z0-9][a-z0-9+.-]+$")  # Debian Policy 5.6.1
_STEP = re.compile(r"^(Inst|Remv) ([^\s:]+)(?::\S+)?(?: \[([^\]]*)\])?(?: \((\S+))?")
_UNKNOWN = re.compile(r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate")
_UNFINISHED = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")


def check_declared(present, absent):
    """
    :param present: list of str, packages to install
    :param absent: list of str, packages to remove
    :raises MultiverseError: on a name that cannot be one, or one in both lists
    """
    errors = ["%r is no name of a Debian package" % name for name in present + absent if not _NAME.match(name)]
    errors += ["%s is in both present and absent; keep one" % name for name in sorted(set(present) & set(absent))]
    if errors:
        raise MultiverseError("; ".join(errors))


def parse_status(output):
    """Output of `dpkg-query --show` in the format QUERY as {name: (want, status)}."""
    found = {}
    for line in output.splitlines():
        name, want, status = line.split()
        if found.get(name, ("", ""))[1] != "installed":  # the same name may be there for several architectures
            found[name] = (want, status)
    return found


def unfinished(status):
    """Names of packages that a killed dpkg left half-way."""
    return sorted(name for name, (_want, state) in status.items() if state in _UNFINISHED)


def held(status):
    """Names of packages under `apt-mark hold`."""
    return sorted(name for name, (want, _state) in status.items() if want == "hold")


def to_install(present, status):
    return [name for name in present if status.get(name, ("", ""))[1] != "installed"]


def to_remove(absent, status):
    """What is only left as configuration files is removed already."""
    gone = ("not-installed", "config-files")
    return [name for name in absent if status.get(name, ("", gone[0]))[1] not in gone]


def parse_simulation(output):
    """Output of `apt-get --simulate` as a list of {action: install|upgrade|remove, name, before, after} by version."""
    steps = []
    for line in output.splitlines():
        match = _STEP.match(line)
        if not match:
            continue
        verb, name, before, after = match.groups()
        action = "remove" if verb == "Remv" else "upgrade" if before else "install"
        steps.append({"action": action, "name": name, "before": before, "after": after})
    return steps


def explain(doing, names, output, status):
    """Why apt-get failed, in words a person can act on.

    :param doing: str, what was tried: install, remove, upgrade
    :param names: list of str, the packages it was asked for
    :param output: str, all that apt-get said
    :param status: result of `parse_status`
    """
    reasons = []
    for match in _UNKNOWN.finditer(output):
        reasons.append(
            "%s is in none of this machine's package sources; look at /etc/apt/sources.list and "
            "'apt-cache policy %s', or correct the name" % ((match.group(1) or match.group(2),) * 2)
        )
    for name in held(status):
        if name in names or re.search(r"(?<![a-z0-9+.-])%s(?![a-z0-9+.-])" % re.escape(name), output):
            reasons.append(
                "%s is held at its present version, which is in the way; release it with "
                "'apt-mark unhold %s'" % (name, name)
            )
    if "remove is disabled" in output:
        reasons.append("other packages would have to go (see below); remove them by hand first if that is right")
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("NOTE:")]
    said = " / ".join(lines[-12:])
    return "apt-get cannot %s %s: %s" % (
        doing,
        ", ".join(names) or "the installed packages",
        "; ".join(sorted(set(reasons)) + ["it said: " + said]),
    )


def diff(steps):
    """The steps as Ansible's diff: one package a line."""
    return {
        "before": "".join("%s %s\n" % (step["name"], step["before"]) for step in steps if step["before"]),
        "after": "".join(
            "%s %s\n" % (step["name"], step["after"] or "") for step in steps if step["action"] != "remove"
        ),
        "before_header": "packages",
        "after_header": "packages",
    }
