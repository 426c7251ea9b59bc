"""A router without a virtual machine: a root folder of its own, busybox, NICs, and a system that obeys files.

The scripts run as they are, chrooted, in their own mount, network and UTS namespace. What is not busybox (OpenRC, apk)
is a few lines of shell below; everything it does shows in files.
"""

import json
import shutil
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[4] / "roles/portal/files"
BUSYBOX = shutil.which("busybox") or "busybox is not installed: apt-get install busybox-static"
PORTAL = "mnt/galaxy-portal"
NICS = {"upstream": "00:00:10:00:00:02", "downstream": "00:00:10:01:01:01"}

#: What the kernel calls the two NICs at first: the wrong way round, as after a change of slots.
SETUP = """
set -e
mount --make-rprivate /
mount --bind "$1" "$2/bin"
mount -t proc proc "$2/proc"
mount -t sysfs sys "$2/sys"
# What is the whole machine's, no script of a test may set.
mount --bind "$2/proc/sys/kernel" "$2/proc/sys/kernel"
mount -o remount,bind,ro "$2/proc/sys/kernel"
mount --bind /dev/null "$2/dev/null"
ip link add eth0 type veth peer name eth1
ip link set eth0 address 00:00:10:01:01:01
ip link set eth1 address 00:00:10:00:00:02
hostname alpine
echo ready
exec cat
"""

RC_SERVICE = """#!/bin/sh
[ "$1" != -q ] || shift
case "$2" in
status)
	[ -f "/run/services/$1" ] && exit 0
	echo "$1 is down"; echo "since \\"today\\""; exit 3 ;;
restart)
	echo "$1" >> /run/restarted
	if [ -f "/run/broken/$1" ]; then rm -f "/run/services/$1"; echo "cannot start" >&2; exit 1; fi
	[ "$1" != networking ] || while read -r name mac address gateway; do
		ip addr flush dev "$name"
		ip addr add "$address" dev "$name"
		ip link set "$name" up
		[ "$gateway" = - ] || ip route replace default via "$gateway" dev "$name"
	done < /mnt/galaxy-portal/nics
	: > "/run/services/$1" ;;
esac
"""

RC_UPDATE = """#!/bin/sh
[ "$1" != -q ] || shift
: > "/etc/runlevels/$3/$2"
"""

APK = """#!/bin/sh
case "$1" in
info) [ -f "/run/apk/$3" ] ;;
add)
	[ ! -f /run/broken/apk ] || { echo "ERROR: unable to select packages" >&2; exit 4; }
	shift
	for name in "$@"; do
		case "$name" in -*|[0-9]*) ;; *) : > "/run/apk/$name"; echo "Installing $name" ;; esac
	done ;;
esac
"""

#: The portal of a small router: text, or (text, mode).
SMALL = {
    "nics": "upstream 00:00:10:00:00:02 10.0.0.2/24 10.0.0.1\ndownstream 00:00:10:01:01:01 10.1.1.1/24 -\n",
    "fstab": "galaxy-portal /mnt/galaxy-portal 9p trans=virtio,ro,nofail 0 0\n",
    "services": "firewall etc/nftables.nft\nnetworking etc/network/*\ndnsmasq etc/dnsmasq.conf etc/dnsmasq.d/*\n",
    "packages": "dnsmasq\nnftables\n",
    "repositories": "http://mirror.example/v3.23/main\n",
    "keys/mirror.rsa.pub": "a key\n",
    "base-files/etc/hostname": "galaxy\n",
    "base-files/etc/nftables.nft": "flush ruleset\n",
    "base-files/etc/network/interfaces": "auto lo\n",
    "base-files/etc/dnsmasq.conf": "no-resolv\n",
    "base-files/etc/sysctl.d/multiverse.conf": (
        "# a comment\nnet.ipv4.conf.all.accept_redirects = 0\nnet.ipv4.conf.upstream.arp_ignore = 2\n"
    ),
    "base-files/usr/bin/hook": ("#!/bin/sh\n", 0o755),
}


def make_bin(folder):
    """A folder with busybox under all its names."""
    folder.mkdir()
    shutil.copy(BUSYBOX, folder / "busybox")
    names = subprocess.run([folder / "busybox", "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    for name in names:
        if name != "busybox":
            (folder / name).symlink_to("busybox")
    return folder


class Sandbox:
    """One router. ``root`` is its file system, to read and to write by the test."""

    def __init__(self, root, bin_folder):
        self.root = root
        for name in (
            "bin",
            "proc",
            "sys",
            "dev",
            "tmp",
            "etc/runlevels/default",
            "etc/apk/keys",
            "usr/bin",
            "opt",
            "run/services",
            "run/broken",
            "run/apk",
            PORTAL,
        ):
            (root / name).mkdir(parents=True)
        (root / "dev/null").write_text("")
        self.write("etc/fstab", "")
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")
        for name, text in (("rc-service", RC_SERVICE), ("rc-update", RC_UPDATE), ("apk", APK)):
            self.write("opt/" + name, text, 0o755)
        for name in ("lib.sh", "packages.sh", "provision.sh"):
            shutil.copy(SCRIPTS / name, root / PORTAL / name)
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "sh", "-c", SETUP, "sh", str(bin_folder), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError("the namespaces cannot be made: " + self._holder.communicate()[1])

    def close(self):
        self._holder.communicate()

    def write(self, path, text, mode=0o644):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        target.chmod(mode)

    def read(self, path):
        return (self.root / path).read_text()

    def portal(self, files):
        """Adds files to the portal: {path: text or (text, mode)}."""
        for path, given in files.items():
            self.write("{}/{}".format(PORTAL, path), *(given if isinstance(given, tuple) else (given,)))

    def command(self, *argv, **more):
        """A command in the router, as the guest agent would start it: next to no environment, a strict umask."""
        inside = [
            "nsenter",
            "--target",
            str(self._holder.pid),
            "--mount",
            "--net",
            "--uts",
            "--wd=/",
            "chroot",
            str(self.root),
            "/bin/sh",
            "-c",
            'umask 077; exec "$@"',
            "sh",
        ]
        return subprocess.run(
            inside + list(argv),
            env={"PATH": "/opt:/bin:/usr/bin:/sbin:/usr/sbin"},
            timeout=60,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def run(self, script, *arguments):
        """A script of the portal; its report, which has to be one line of JSON and agree with the exit code."""
        done = self.command("/bin/sh", "/{}/{}".format(PORTAL, script), *arguments)
        assert done.stderr == b"" and done.stdout.count(b"\n") == 1, done
        report = json.loads(done.stdout.decode())
        assert report["script"] == script
        assert (done.returncode == 0) == (report["failed"] == []), report
        assert not list((self.root / "tmp").iterdir())
        return report

    def changes(self, script, *arguments):
        """What a run that has to succeed changed: [(kind, name, action)]."""
        report = self.run(script, *arguments)
        assert report["failed"] == [], report
        return [(entry["kind"], entry["name"], entry["action"]) for entry in report["changed"]]

    def snapshot(self):
        """Everything that a script could change: path -> what is there."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if name.split("/")[0] in ("bin", "dev", "proc", "sys", "tmp"):
                continue
            facts = path.lstat()
            content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[name] = (facts.st_mode, facts.st_uid, facts.st_mtime_ns, content)
        found["hostname"] = self.command("hostname").stdout
        # Duplicate address detection ends whenever the kernel is done; nobody here waits for it.
        found["nics"] = self.command("ip", "addr").stdout.replace(b" tentative", b"")
        found["sysctl"] = self.command("sysctl", "net.ipv4.conf.all.accept_redirects").stdout
        return found
