"""The lab host: its disk, its boot, and the process that boots it again when it reboots itself."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Dict, List

from . import cgroup, debs, model, netns, state
from .errors import LabError
from .model import Lab
from .run import discard, run, write_atomic

SUPERVISOR = "universe"
REBOOTED = 133  # systemd-nspawn --keep-unit: the machine asked for a reboot
BOOT_PATIENCE = 60.0  # seconds until ssh must answer

# systemd-nspawn(1), and its environment variables: systemd, docs/ENVIRONMENT.md
NSPAWN_ENVIRONMENT = {
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # sysctls under net. belong to the host's own namespace
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",  # cgroup v2 whatever this machine mounts: every suite boots with it
    "SYSTEMD_NSPAWN_TMPFS_TMP": "0",  # /tmp as the suite has it
    "SYSTEMD_NSPAWN_LOCK": "0",  # one supervisor per host; a killed one would leave its lock file
}


def identity(lab: Lab) -> Dict[str, str]:
    """What the operator's side relies on: how to reach the host, and whom it lets in; paths from its root."""
    key = lab.directory / "ssh"
    return {
        "etc/network/interfaces.d/management": "auto %s\niface %s inet static\n\taddress %s/30\n"
        % (model.MANAGEMENT_NIC, model.MANAGEMENT_NIC, lab.address),
        "root/.ssh/authorized_keys": (key / "id_ed25519.pub").read_text(),
        "etc/ssh/ssh_host_ed25519_key": (key / "host_ed25519").read_text(),
        "etc/ssh/ssh_host_ed25519_key.pub": (key / "host_ed25519.pub").read_text(),
    }


def files() -> Dict[str, str]:
    """What makes a bare Debian a host of any lab, as the Debian installer would write it; paths from its root."""
    uplink = {
        "nic": model.UPLINK,
        "gateway": model.GATEWAY,
        "address": model.UNIVERSE,
        "prefix": model.UPLINK_PREFIX,
        "gateway6": model.GATEWAY6,
        "address6": model.UNIVERSE6,
        "prefix6": model.UPLINK_PREFIX6,
    }
    return {
        "etc/hostname": "universe\n",
        "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tuniverse\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        "etc/resolv.conf": "nameserver %s\n" % model.SERVERS["dns"]["ipv4"],
        "etc/network/interfaces": (
            "source /etc/network/interfaces.d/*\n\n"
            "# The loopback network interface\nauto lo\niface lo inet loopback\n\n"
            "# The primary network interface\nauto %(nic)s\n"
            "iface %(nic)s inet static\n\taddress %(address)s/%(prefix)d\n\tgateway %(gateway)s\n"
            "iface %(nic)s inet6 static\n\taddress %(address6)s/%(prefix6)d\n\tgateway %(gateway6)s\n"
            "\tdad-attempts 0\n" % uplink
        ),
    }


def make_keys(lab: Lab) -> None:
    """Make the operator's key and the host's own, and write down the host's: nobody has to trust it on first use."""
    folder = lab.directory / "ssh"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, comment in (("id_ed25519", "multiverse-lab"), ("host_ed25519", "universe")):
        if not (folder / (name + ".pub")).exists():
            for leftover in folder.glob(name + "*"):
                leftover.unlink()
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(folder / name)])
    kind, key = (folder / "host_ed25519.pub").read_text().split()[:2]
    write_atomic(folder / "known_hosts", "%s %s %s\n" % (lab.address, kind, key))


def kept_debs(lab: Lab) -> Path:
    """The folder of downloaded packages for the lab's suite."""
    return lab.cache / "debs" / str(state.settings(lab)["suite"])


def make_disk(lab: Lab) -> None:
    """Make the host's own folder with its first files, unless it has one."""
    if lab.disk.is_dir():
        return
    temporary = lab.disk.with_name(".new-" + lab.disk.name)
    shutil.rmtree(str(temporary), ignore_errors=True)
    for folder, mode in (("upper", 0o755), ("work", 0o755), ("upper/root", 0o700), ("upper/root/.ssh", 0o700)):
        (temporary / folder).mkdir(parents=True)
        (temporary / folder).chmod(mode)
    for name, text in files().items():
        write_atomic(temporary / "upper" / name, text)
    debs.give(kept_debs(lab), temporary / "upper")
    os.rename(str(temporary), str(lab.disk))


def command(lab: Lab, rootfs: Path) -> List[str]:
    """The command line that boots the host. Its root is mounted in a mount namespace that ends with it."""
    root = lab.runtime / "root"
    mount = "lowerdir=%s,upperdir=%s,workdir=%s" % (rootfs, lab.disk / "upper", lab.disk / "work")
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        'mount -t overlay overlay -o "$1" "$2" && shift 2 && exec "$@"',
        "sh",
        mount,
        str(root),
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--directory=" + str(root),
        "--machine=" + lab.machine,
        "--network-namespace-path=/run/netns/" + lab.universe,
        "--register=no",
        "--keep-unit",
        "--settings=no",
        "--capability=all",
        "--bind=/dev/net/tun",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
    ]


def supervise(lab: Lab) -> int:
    """Boot the host with a fresh network until it powers off; runs as a background process of its own."""
    rootfs = Path(state.settings(lab)["rootfs"])
    while True:
        netns.plug_universe(lab)
        (lab.runtime / "root").mkdir(parents=True, exist_ok=True)
        print("--- boot", time.strftime("%Y-%m-%d %H:%M:%S"), flush=True)
        environment = dict(os.environ, **NSPAWN_ENVIRONMENT)
        done = subprocess.run(command(lab, rootfs), stdin=subprocess.DEVNULL, env=environment)
        if done.returncode != REBOOTED:
            print("--- off", done.returncode, flush=True)
            return done.returncode


def ssh_options(lab: Lab) -> List[str]:
    """ssh options that use only this lab's keys."""
    folder = lab.directory / "ssh"
    options = (
        "UserKnownHostsFile=%s" % (folder / "known_hosts"),
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "LogLevel=ERROR",
    )
    return [word for option in options for word in ("-o", option)]


def ssh_command(lab: Lab, *words: str) -> List[str]:
    """The ssh command line to the host as root."""
    key = str(lab.directory / "ssh" / "id_ed25519")
    return ["ssh", "-F", "none", "-i", key, *ssh_options(lab), "-o", "ConnectTimeout=5", "root@" + lab.address, *words]


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


#: Succeeds once the host has a default route.
ROUTED = "ip -4 route show default | grep -q ."


def wait_for_ssh(lab: Lab) -> None:
    """Wait until the host lets us in and knows its way out, which comes up by itself: ssh may be first.

    Raises LabError when the host stops or takes too long.
    """
    deadline = time.monotonic() + BOOT_PATIENCE
    log = lab.directory / "console.log"
    while time.monotonic() < deadline:
        if state.running(lab, SUPERVISOR) is None:
            said = log.read_text(errors="replace").splitlines()[-6:]
            raise LabError("the lab host stopped while it booted: %s (all of it in %s)" % (" / ".join(said), log))
        if _answers(lab.address) and run(ssh_command(lab, ROUTED), check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise LabError("no ssh on %s, or no default route there, after %d s; see %s" % (lab.address, BOOT_PATIENCE, log))


def ensure(lab: Lab, entry: str) -> None:
    """Boot the host unless it runs, and wait for ssh. `entry` is the program that runs `supervise`."""
    if state.running(lab, SUPERVISOR) is None:
        cgroup.remove(lab, "universe")  # what a killed supervisor has left
        _forget_machine(lab)
        make_disk(lab)
        for name, text in identity(lab).items():  # each time: the index or the keys may be new, the disk an old one
            mode = 0o600 if name.endswith(("_key", "authorized_keys")) else 0o644
            write_atomic(lab.disk / "upper" / name, text, mode)
        argv = [entry, "_supervise", "--name", lab.name]
        state.start(lab, SUPERVISOR, "universe", argv, lab.directory / "console.log")
    wait_for_ssh(lab)


def reboot(lab: Lab) -> None:
    """Reboot the host and wait until it is back. Raises LabError when it does not come back."""
    identity = ssh_command(lab, "cat", "/proc/sys/kernel/random/boot_id")  # systemd-nspawn gives each boot its own
    before = run(identity).stdout
    run(ssh_command(lab, "systemctl", "reboot"), check=False)
    deadline = time.monotonic() + BOOT_PATIENCE
    while time.monotonic() < deadline:
        wait_for_ssh(lab)
        done = run(identity, check=False)
        if done.returncode == 0 and done.stdout != before:
            return
        time.sleep(0.2)
    raise LabError("the lab host did not reboot within %d s; see %s" % (BOOT_PATIENCE, lab.directory / "console.log"))


def _forget_machine(lab: Lab) -> None:
    """Remove what a killed systemd-nspawn leaves under /run."""
    for folder in Path("/run/systemd/nspawn").glob("*/%s" % lab.machine):
        if folder.is_dir():
            shutil.rmtree(str(folder), ignore_errors=True)


def remove(lab: Lab) -> None:
    """Remove the host's disk and traces; its processes must be gone."""
    if state.settings(lab) and lab.disk.is_dir():
        debs.take(kept_debs(lab), lab.disk / "upper")
    discard(lab.disk.with_name(".new-" + lab.disk.name))
    discard(lab.disk)
    shutil.rmtree(str(lab.runtime), ignore_errors=True)
    _forget_machine(lab)
