# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ports of a bridge: which there are, and plugging them in again after the bridge was made anew."""

import os
import subprocess

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

SYS_NET = "/sys/class/net"


def ports(bridge):
    """The names of the devices plugged into a bridge; [] for a bridge that does not exist.

    libvirt's own ``<bridge>-nic`` is left out: before 6.1 it carries the bridge's MAC and comes and goes with it.
    """
    try:
        plugged = os.listdir(os.path.join(SYS_NET, bridge, "brif"))
    except FileNotFoundError:
        return []
    return sorted(port for port in plugged if port != bridge + "-nic")


def master(device):
    """The name of the bridge a device is plugged into, or None."""
    try:
        return os.path.basename(os.readlink(os.path.join(SYS_NET, device, "master")))
    except FileNotFoundError:
        return None


def replug(plugs):
    """Plug each (device, bridge) of ``plugs`` in again and set it up; returns the pairs that had to be moved.

    A device that does not exist any more is passed over, one that is in its bridge stays untouched. Every pair is
    tried before a MultiverseError names those that failed.
    """
    moved, failed = [], []
    for device, bridge in plugs:
        if not os.path.exists(os.path.join(SYS_NET, device)) or master(device) == bridge:
            continue
        try:
            ip("link", "set", "dev", device, "master", bridge, "up")
            moved.append((device, bridge))
        except MultiverseError as error:
            failed.append(str(error))
    if failed:
        raise MultiverseError("some ports are not plugged in again and what is behind is cut off: " + " ".join(failed))
    return moved


def ip(*arguments):
    """The output of iproute2's ``ip``. Raises MultiverseError with the command line and what it said."""
    command = ("ip",) + arguments
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        raise MultiverseError("%s failed: %s." % (" ".join(command), done.stderr.strip().rstrip(".")))
    return done.stdout


def silence(device):
    """Take IPv6 off a port: its link-local address would have universe speak to whoever is behind it.

    A port carries frames for its bridge, never packets of its own. A device that is gone is passed over.
    """
    try:
        with open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % device, "w") as file:
            file.write("1")
    except FileNotFoundError:
        pass
