#!/usr/bin/env python3
"""How much longer does the module `images` take than the same steps by hand? Both on one lab host, turn by turn.

Needs a converged lab (`make lab`). Prints the times and their ratio, and ends with 1 when that is above the promise.
Only the ratio means anything: the machine is shared.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROMISE = 1.5
DATA = "/var/lib/multiverse"
PACKAGES = ["dnsmasq", "nftables", "qemu-guest-agent", "multiverse-lab-hello"]


def timed(*command):
    """Seconds a command takes; its failure is ours."""
    start = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def ssh(name, *command):
    return timed("lab/lab", "ssh", "--name", name, "--", *command)


def by_module(name, image):
    """One build by the module, of an image that is removed again."""
    arguments = {
        "uri": "qemu:///session?socket=/run/multiverse/libvirt/libvirt-sock",
        "source": image,
        "user": "multiverse",
        "base_folder": f"{DATA}/base-images",
        "image_folder": f"{DATA}/benchmark",
        "portal": f"{DATA}/network-controller/build.portal.multiverse",
        "routers": [{"name": "benchmark", "packages": PACKAGES}],
    }
    ssh(name, f"rm -rf {DATA}/benchmark && install -d -g multiverse -m 0750 {DATA}/benchmark")
    taken = timed(
        "ansible",
        "-i",
        f".lab/{name}/inventory.yml",
        "universe",
        "-m",
        "multiverse.router_controller.images",
        "-a",
        json.dumps(arguments),
    )
    ssh(name, f"test -s {DATA}/benchmark/router-*.raw && rm -rf {DATA}/benchmark")
    return taken


def by_hand(name, image):
    """One build by hand; copying the script and connecting count as they do for the module."""
    script = (ROOT / "benchmarks/image_build.sh").read_text(encoding="utf-8")
    base = f"{DATA}/base-images/{image.rsplit('/', 1)[-1]}"
    portal = f"{DATA}/network-controller/build.portal.multiverse"
    return ssh(name, f"bash -s <<'EOF' -- {base} {portal} {' '.join(PACKAGES)}\n{script}\nEOF")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="lab", help="name of the lab")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    image = "http://mirror.internet.test/alpine/v3.23/releases/cloud/generic_alpine-3.23.0-x86_64-bios-tiny-r0.qcow2"
    times = {"hand": [], "module": []}
    for _round in range(options.rounds):
        times["hand"].append(by_hand(options.name, image))
        times["module"].append(by_module(options.name, image))
    ratio = statistics.median(times["module"]) / statistics.median(times["hand"])
    for how, taken in times.items():
        print(f"{how:8}" + " ".join(f"{seconds:7.1f} s" for seconds in taken))
    print(f"ratio   {ratio:7.2f}  (promised: at most {PROMISE})")
    return ratio > PROMISE


if __name__ == "__main__":
    sys.exit(main())
