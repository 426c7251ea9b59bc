# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares nftables tables by what nft itself says of them, and keeps a script within the tables it declares.

Nothing here runs nft: `firewall_converge` does.
"""

import re

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")

# Put into the scratch namespace first: a script that removes it would remove the tables of others, too.
CANARY = ("inet", "multiverse_canary")

_HANDLE = re.compile(r"\s+# handle \d+$")
_COUNTER = re.compile(r"\s*\bpackets \d+ bytes \d+")  # nft 0.7 cannot leave them out itself
_TABLE = re.compile(r"^table (\S+) (\S+)$")


def check_declared(path, content, tables):
    """
    :param path: str, where the script is kept
    :param content: str, the nft script
    :param tables: list of [family, name]
    :raises MultiverseError: on a path, script or table name that cannot be right
    """
    errors = []
    if not path.startswith("/"):
        errors.append("path is %r; it must be absolute" % path)
    if not tables:
        errors.append("tables is empty; name the tables that the script makes")
    for table in tables:
        if len(table) != 2 or table[0] not in FAMILIES or not re.match(r"^[A-Za-z_][A-Za-z0-9_]*$", table[1]):
            errors.append("tables: %r is no [family, name] with a family of %s" % (table, ", ".join(FAMILIES)))
    if re.search(r"^\s*include\b", content, re.MULTILINE):
        errors.append("content includes another file; keep all rules in the one script")
    if errors:
        raise MultiverseError("; ".join(errors))


def canonical(listing):
    """A listing of nft without what changes by itself: counters, handles, blank lines and trailing spaces."""
    lines = []
    for line in listing.splitlines():
        line = _COUNTER.sub("", _HANDLE.sub("", line)).rstrip()
        if line:
            lines.append(line)
    return "\n".join(lines) + "\n" if lines else ""


def parse_tables(listing):
    """Output of `nft list tables` as a list of (family, name)."""
    found = (_TABLE.match(_HANDLE.sub("", line).strip()) for line in listing.splitlines())
    return [(match.group(1), match.group(2)) for match in found if match]


def check_scratch(made, tables):
    """
    :param made: list of (family, name), the tables of the scratch namespace after the script
    :param tables: list of [family, name], the declared ones
    :raises MultiverseError: if the script made others, fewer, or removed what it did not make
    """
    declared = set(tuple(table) for table in tables)
    if CANARY not in made:
        raise MultiverseError(
            "content removes tables that it does not own (flush ruleset?); use 'add table X', "
            "'delete table X', 'table X { ... }' for each of its own tables"
        )
    missing = declared - set(made)
    foreign = set(made) - declared - {CANARY}
    for what, names in (
        ("content does not make %s, which tables names", missing),
        ("content makes %s, which tables does not name", foreign),
    ):
        if names:
            raise MultiverseError(
                what % ", ".join("%s %s" % name for name in sorted(names)) + "; name exactly the tables of the script"
            )


def differing(live, wanted):
    """
    :param live: {(family, name): listing or None}, what the kernel has
    :param wanted: {(family, name): listing}, what the script means
    :return: list of (family, name) that differ, sorted
    """
    return sorted(table for table in wanted if canonical(live.get(table) or "") != canonical(wanted[table]))


def diff(live, wanted, tables):
    """The differing tables as Ansible's list of {before, after, before_header, after_header}."""
    return [
        {
            "before": canonical(live.get(table) or ""),
            "after": canonical(wanted.get(table) or ""),
            "before_header": "table %s %s" % table,
            "after_header": "table %s %s" % table,
        }
        for table in tables
    ]


def removal(tables):
    """A script that removes tables in one transaction, whether they are there or not."""
    return "".join("add table %s %s\ndelete table %s %s\n" % (tuple(table) * 2) for table in tables)
