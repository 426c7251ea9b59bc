# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings the kernel's nftables tables and the script that makes them at boot in line with a declared script."""

import os
import shutil
import subprocess
import tempfile

from ansible_collections.multiverse.router_controller.plugins.module_utils import file_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils import firewall as model
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = dict(os.environ, LC_ALL="C", PATH=_PATH)

# Runs in a network namespace of its own, so the kernel's own parser judges the script and no live rule is touched.
_SCRATCH = (
    """
set -e
nft add table %s %s
nft -f "$1"
nft list tables
shift
for table; do echo "@ $table"; nft list table $table; done
"""
    % model.CANARY
)
_TIMEOUT = 60  # seconds for one nft command


def converge(path, content, tables, check=False, warn=lambda text: None):
    """Load the script if the live tables differ from what it means, and keep it as `path`.

    :param path: str
    :param content: str, an nft script
    :param tables: list of [family, name], exactly the tables of the script
    :param check: bool, change nothing
    :param warn: called with a text where check mode cannot tell everything
    :return: (file changes as `files.plan` gives them, list of (family, name) that differ, live and wanted listings)
    :raises MultiverseError: nft is missing, the script is wrong, or the kernel still has other rules afterwards
    """
    model.check_declared(path, content, tables)
    names = [tuple(table) for table in tables]
    entry = {"path": path, "content": content, "owner": "root", "group": "root", "mode": "0640"}
    if check and shutil.which("nft", path=_PATH) is None:
        warn("nft is not installed yet, so the rules were not checked")
        return file_converge.converge([entry], check=True), sorted(names), {}, {}
    with _script(content) as script:
        wanted = read_wanted(script, names)
        live = read_live(names)
        differing = model.differing(live, wanted)
        if differing and not check:
            _nft(["-f", script], "loading the firewall")
            left = model.differing(read_live(names), wanted)
            if left:
                raise MultiverseError(
                    "the firewall was loaded, but table %s %s is not as declared; is something else "
                    "changing it?" % left[0]
                )
    changes = file_converge.converge([entry], check=check)
    return changes, differing, live, wanted


def remove(path, tables, check=False):
    """Unload the tables and remove the script; the counterpart of `converge`, with the same result."""
    names = [tuple(table) for table in tables]
    live = read_live(names)
    present = sorted(table for table in names if live[table] is not None)
    if present and not check:
        with _script(model.removal(present)) as script:
            _nft(["-f", script], "removing the firewall")
    changes = file_converge.converge([{"path": path, "state": "absent"}], check=check)
    return changes, present, live, {}


class _script(object):
    """A private file with an nft script; nft 0.7 reads a path only."""

    def __init__(self, content):
        self._content = content

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="multiverse-firewall-")
        path = os.path.join(self._folder, "firewall.nft")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(self._content)
        return path

    def __exit__(self, *_error):
        shutil.rmtree(self._folder, ignore_errors=True)


def read_wanted(script, names):
    """What the script means, as nft lists it: {(family, name): listing}."""
    command = ["unshare", "-n", "--", "sh", "-c", _SCRATCH, "sh", script] + ["%s %s" % name for name in names]
    output = _run(command, "the rules do not load").replace(script, "content")
    head, *listings = output.split("\n@ ")
    model.check_scratch(model.parse_tables(head), names)
    return {name: listing.partition("\n")[2] for name, listing in zip(names, listings)}


def read_live(names):
    """The tables of the kernel as nft lists them: {(family, name): listing, or None if there is no such table}."""
    present = model.parse_tables(_nft(["list", "tables"], "reading the firewall"))
    return {
        name: _nft(["list", "table", name[0], name[1]], "reading the firewall") if name in present else None
        for name in names
    }


def _nft(arguments, doing):
    return _run(["nft"] + arguments, doing)


def _run(command, doing):
    for program in ("nft", "unshare"):
        if shutil.which(program, path=_PATH) is None:
            raise MultiverseError(
                "%s is not installed; install the package %s"
                % (program, {"nft": "nftables", "unshare": "util-linux"}[program])
            )
    try:
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env=_ENVIRONMENT,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise MultiverseError("%s: nft did not answer within %d s" % (doing, _TIMEOUT)) from None
    if result.returncode:
        raise MultiverseError("%s: %s" % (doing, (result.stderr or result.stdout).strip()))
    return result.stdout
