"""What the scenarios' tests share: the lab around a host, converging it, and reading what a run said."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SESSION = "qemu:///session?socket=/run/multiverse/libvirt/libvirt-sock"


def run(*command, check=True, **options):
    """Run a command on this machine; its output as text."""
    done = subprocess.run(command, check=False, text=True, capture_output=True, cwd=ROOT, **options)
    assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


class LabHost:
    """One lab host and the lab around it."""

    def __init__(self, name):
        self.name = name
        self.folder = ROOT / ".lab" / name

    def sh(self, script, check=True):
        """Run a shell script on the host, as root."""
        return run("lab/lab", "ssh", "--name", self.name, "--", script, check=check).stdout.strip()

    def router(self, name, script, check=True):
        """Run a shell script inside a router."""
        command = ("lab/lab", "ssh", "--name", self.name, "--", "routerctl", "exec", name, "--", "sh", "-c", script)
        return run(*command, check=check).stdout.strip()

    def client(self, network, *command, check=True):
        """Run a command in a client of a network, which gets its lease first."""
        return run("lab/lab", "client", network, "--name", self.name, "--dhcp", "--", *command, check=check).stdout

    def lease(self, network):
        """The line that tells the lease of a network's client."""
        return run("lab/lab", "client", network, "--name", self.name, "--dhcp", "--", "true").stderr.strip()

    def fetch(self, network):
        """The page of the small internet, as a client of a network gets it: {"client": address it is seen with}."""
        page = self.client(network, "curl", "-sS", "--max-time", "30", "http://www.internet.test/")
        return json.loads(page.splitlines()[-1])

    def virsh(self, command):
        return self.sh(f"virsh -q -c '{SESSION}' {command}")

    def domain_ids(self):
        """Name -> libvirt's number of every running router; it changes whenever a router is started anew."""
        return dict(reversed(line.split()[:2]) for line in self.virsh("list").splitlines())

    def uptime(self, router):
        """Seconds since a router's kernel started."""
        return float(self.router(router, "cat /proc/uptime").split()[0])

    def converge(self, *arguments):
        """Run site.yml on the host: {task: its result} of those that report a change."""
        record = self.folder / "record.json"
        environment = dict(
            os.environ,
            ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
            ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "molecule/shared/callback_plugins"),
            ANSIBLE_CALLBACKS_ENABLED="record",
            MULTIVERSE_RECORD=str(record),
        )
        run(
            "ansible-playbook",
            "-i",
            str(self.folder / "inventory.yml"),
            "playbooks/site.yml",
            *arguments,
            env=environment,
        )
        return json.loads(record.read_text(encoding="utf-8"))


def changes(recorded, task):
    """The changes a module listed in a recorded run, as (name, field) pairs."""
    return {(change["name"], change["field"]) for change in recorded["changed"].get(task, {}).get("changes", [])}
