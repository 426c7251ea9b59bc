"""The command line of the lab."""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import List, Optional

from . import cgroup, clients, host, internet, inventory, model, netns, registry, requirements, rootfs, state
from .errors import LabError
from .model import DEFAULT_NAME, SUITES, Lab
from .run import discard, run

ENTRY = str(Path(__file__).resolve().parents[1] / "lab")
MIRROR_BUILDER = Path(__file__).resolve().parents[1] / "alpine" / "mirror.py"


def _settle(lab: Lab, suite: Optional[str], uplink_only: bool) -> None:
    """Fix what the lab host is made of on its first `up`; raise LabError when a later one asks for another suite."""
    known = state.settings(lab)
    down = "lab/lab down --name %s" % lab.name
    if known and suite and known["suite"] != suite:
        raise LabError("lab %r runs %s; take it down first: %s" % (lab.name, known["suite"], down))
    if known and lab.disk.is_dir():
        folder = known["rootfs"]
        if not Path(folder).is_dir():
            raise LabError("the Debian below lab %r is gone from the cache; run `%s`, then up" % (lab.name, down))
    else:
        folder = str(rootfs.ensure(lab, suite or known.get("suite") or SUITES[0]))
    if known and known["uplink_only"] != uplink_only:
        for title in (internet.DNS, internet.WEB):  # to be started as is wanted now
            cgroup.remove(lab, "%s/%s" % (internet.PART, title))
    suite = suite or known.get("suite") or SUITES[0]
    state.save_settings(lab, {"suite": suite, "uplink_only": uplink_only, "rootfs": folder})


def _lock(lab: Lab) -> Path:
    return model.RUNTIME / ("lab-%d.lock" % lab.index)


def _fill_mirror(lab: Lab) -> None:
    if MIRROR_BUILDER.exists():
        print("Alpine mirror", flush=True)
        command = [sys.executable, str(MIRROR_BUILDER), "--cache", str(lab.cache)]
        done = subprocess.run(command, preexec_fn=lambda: cgroup.enter(lab, "build"))
        if done.returncode != 0:
            raise LabError("`%s` failed (%d); its own words are above" % (shlex.join(command), done.returncode))


def up(options: argparse.Namespace) -> int:
    """Start a lab, or repair one that was started."""
    requirements.ensure()
    lab = registry.register(options.name, model.cache_dir())
    with registry.locked(_lock(lab), wait=False):
        cgroup.remove(lab, "build")  # of an `up` that was killed
        _settle(lab, options.suite, options.uplink_only)
        host.make_keys(lab)
        if internet.ensure(lab, options.uplink_only):
            cgroup.remove(lab, "universe")
        host.ensure(lab, ENTRY)
        internet.verify(lab, options.uplink_only)
        path = inventory.write(lab, options.uplink_only)
        if not options.uplink_only:
            _fill_mirror(lab)  # after the host: without a mirror it is still good for everything but routers
            inventory.write(lab, options.uplink_only)
    print("lab %s: universe at %s, inventory %s" % (lab.name, lab.address, os.path.relpath(str(path))))
    return 0


def _take_down(lab: Lab) -> None:
    """Remove a lab, in an order in which a second try finds whatever a killed first one has left."""
    with registry.locked(_lock(lab), wait=False):
        for socket in (lab.runtime / "ssh").glob("*"):
            run(["ssh", "-O", "exit", "-o", "ControlPath=%s" % socket, "root@" + lab.address], check=False)
        cgroup.remove(lab)
        netns.sweep(lab.index, registry.indexes_in_use().get(lab.index, []))
        host.remove(lab)
        inventory.remove(lab)
        discard(lab.directory)
        registry.forget(lab)
        _lock(lab).unlink()


def _to_take_down(name: str, everything: bool) -> List[Lab]:
    """Labs to remove: those registered, and those whose index went with a reboot while their folder stayed."""
    folders = [folder.parent.name for folder in sorted((registry.CHECKOUT / ".lab").glob("*/ssh"))]
    names = sorted({lab.name for lab in registry.labs()} | set(folders)) if everything else [name]
    known = [(registry.find(each), each) for each in names]
    return [lab or registry.register(each, model.cache_dir()) for lab, each in known if lab or each in folders]


def down(options: argparse.Namespace) -> int:
    """Take labs down; what is not there is no error."""
    for lab in _to_take_down(options.name, options.all):
        _take_down(lab)
        print("lab %s is down" % lab.name)
    if options.all:
        registered = registry.all_indexes()
        for index, names in registry.indexes_in_use().items():
            if index not in registered:  # its record is lost, so it is nobody's
                netns.sweep(index, names)
    if not registry.all_indexes():
        netns.restore_sysctls()
        cgroup.remove_top()
    return 0


def _exec(lab: Lab, part: str, argv: List[str]) -> int:
    """Become another program, inside the lab's cgroup so that `down` finds it and what it leaves behind."""
    cgroup.enter(lab, part)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def ssh(options: argparse.Namespace) -> int:
    """Run a command on the lab host. One word is a shell line; several are a program and its arguments."""
    lab = registry.get(options.name)
    words = options.command if len(options.command) < 2 else [shlex.join(options.command)]
    argv = host.ssh_command(lab, *words)
    if not words:
        argv[1:1] = ["-t"]
    return _exec(lab, "clients", argv)


def reboot(options: argparse.Namespace) -> int:
    """Reboot the lab host."""
    host.reboot(registry.get(options.name))
    return 0


def client(options: argparse.Namespace) -> int:
    """Run a command on a client of a network."""
    lab = registry.get(options.name)
    with registry.locked(lab.state / "clients.lock"):
        one = clients.find(lab, options.network, options.number)
        clients.plug(one)
        if options.dhcp or options.renew:
            lease = clients.get_lease(one, options.renew)
            print(clients.describe(one, lease), file=sys.stderr if options.command else sys.stdout, flush=True)
    if not options.command and (options.dhcp or options.renew):
        return 0
    return _exec(lab, "clients", ["ip", "netns", "exec", one.namespace, *(options.command or ["bash"])])


def in_internet(options: argparse.Namespace) -> int:
    """Run a command in the small internet."""
    lab = registry.get(options.name)
    return _exec(lab, "internet", ["ip", "netns", "exec", lab.internet, *(options.command or ["bash"])])


def status(_options: argparse.Namespace) -> int:
    """Say what runs."""
    for lab in registry.labs():
        settings = state.settings(lab)
        parts = ["%s %s" % (title, "runs" if state.running(lab, title) else "DOWN") for title in state.titles(lab)]
        suite, running = settings.get("suite", "half-started"), ", ".join(parts) or "nothing runs"
        print("%s: %s at %s; %s" % (lab.name, suite, lab.address, running))
        for one in clients.known(lab):
            lease = clients.valid_lease(one)
            print("  client %s %d: %s" % (one.network, one.number, lease["address"] if lease else "no lease"))
    if not registry.labs():
        print("no lab is up; start one with `lab/lab up`")
    return 0


def show_inventory(options: argparse.Namespace) -> int:
    """Print the path of a lab's inventory."""
    lab = registry.get(options.name)
    print(lab.directory / "inventory.yml")
    return 0


def supervise(options: argparse.Namespace) -> int:
    """Boot the lab host; `up` runs this in the background."""
    return host.supervise(registry.get(options.name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab/lab", description="A throwaway bare Debian host and a small internet.")
    commands = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def command(name: str, action: object, text: Optional[str]) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text) if text else commands.add_parser(name)
        sub.set_defaults(action=action, command=[])
        sub.add_argument("--name", default=DEFAULT_NAME, help="which lab (default: %(default)s)")
        return sub

    sub = command("up", up, "start a lab, or repair one; says where its inventory is")
    sub.add_argument("--suite", choices=SUITES, help="Debian release of the host (default: %s)" % SUITES[0])
    sub.add_argument("--uplink-only", action="store_true", help="no web server and no Alpine mirror, just a way out")
    sub = command("down", down, "remove a lab and everything of it")
    sub.add_argument("--all", action="store_true", help="all labs of this checkout")
    command("ssh", ssh, "run a command on the lab host: lab/lab ssh -- CMD (one word: a shell line)")
    command("reboot", reboot, "reboot the lab host and wait until it is back")
    sub = command("client", client, "run a command on a client of a network: lab/lab client galaxy0 -- CMD")
    sub.add_argument("network", help="name of a bridge of the lab host")
    sub.add_argument("--number", type=int, default=1, help="which client of this network (default: %(default)s)")
    sub.add_argument("--dhcp", action="store_true", help="get a lease first, unless it has a valid one")
    sub.add_argument("--renew", action="store_true", help="get a new lease first")
    command("internet", in_internet, "run a command in the small internet: lab/lab internet -- CMD")
    command("status", status, "what runs")
    command("inventory", show_inventory, "print the path of the inventory")
    command("_supervise", supervise, None)
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    options = _parser().parse_args(words[:split])
    options.command = words[split + 1 :]
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    try:
        if options.verb not in ("inventory", "status") and os.geteuid() != 0:
            raise LabError("the lab makes namespaces and mounts; run it as root")
        return int(options.action(options))
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (LabError, OSError) as error:
        print("lab: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
