# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge of `provision`: drives packages.sh and provision.sh in all routers at once, through routerd.

One call works for a bounded time and returns how far every router is; the next call takes that up. So a person sees
progress while the action plugin calls again and again.
"""

import os
import time

from ansible_collections.multiverse.router_controller.plugins.module_utils import provisioning
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.routerd_client import (
    Client,
    RouterdProblem,
    RouterdUnreachable,
)

#: Seconds between two looks at runs in progress.
PAUSE = 0.3
#: Seconds that routerd lets a script take at most.
LONGEST_RUN = 3600
#: Problems of routerd that pass: the agent is not up yet, another run is in progress.
PASSING = ("agent-unreachable", "router-down", "busy", "run-in-progress", "libvirt-unreachable")


def new_progress(now: float) -> dict:
    """A router at the beginning. `phase` is agent, a script's name, done or failed; `run` is the run waited for."""
    return {"phase": "agent", "run": None, "since": now, "changes": [], "message": "", "results": {}}


class Provisioning(object):
    """All routers of one play. `arguments` are those of the module `provision`."""

    def __init__(self, arguments: dict, check_mode: bool):
        self._client = Client()
        self._images = arguments["images"]
        self._rendered = arguments["rendered"]
        self._timeout = arguments["timeout"]
        self._check_mode = check_mode
        self._routers = {router["name"]: router for router in arguments["routers"]}
        self.progress = {name: arguments["progress"].get(name) or new_progress(time.time()) for name in self._routers}

    @property
    def finished(self) -> bool:
        return all(entry["phase"] in ("done", "failed") for entry in self.progress.values())

    def work(self, seconds: float) -> None:
        """Take every router as far as it gets within `seconds`."""
        until = time.monotonic() + seconds
        while True:
            for name in sorted(self.progress):
                self._advance(name, self.progress[name])
            if self.finished or time.monotonic() >= until:
                return
            time.sleep(PAUSE)

    def _advance(self, name, entry):
        while entry["phase"] not in ("done", "failed"):
            before = (entry["phase"], entry["run"])
            try:
                if entry["phase"] == "agent":
                    self._await_agent(name, entry)
                elif entry["run"]:
                    self._follow(name, entry)
                else:
                    self._begin(name, entry)
            except RouterdUnreachable as error:
                self._give_up_later(name, entry, str(error))
            except RouterdProblem as error:
                if error.code not in PASSING:
                    _fail(entry, "router {0}: {1}".format(name, error))
                else:
                    self._give_up_later(name, entry, str(error))
            if before == (entry["phase"], entry["run"]):
                return

    def _await_agent(self, name, entry):
        if self._check_mode:
            self._preview(name, entry)
            return
        router = self._client.router(name)
        if router["agent"] == "ok":
            entry.update(phase=provisioning.SCRIPTS[0], message="answers")
        else:
            self._give_up_later(name, entry, "its agent does not answer yet: it boots, or did not come up")

    def _preview(self, name, entry):
        """What can be said without touching: nothing of a router not there yet, which provisions itself at boot."""
        try:
            running = self._client.router(name)["agent"] == "ok"
        except MultiverseError:
            running = False
        folder = self._routers[name]["portal"]["path"] + "/"
        entry["changes"] += [
            {"kind": "portal", "name": path[len(folder) :], "action": "rendered anew"}
            for path in self._rendered
            if running and path.startswith(folder)
        ]
        entry.update(phase=provisioning.SCRIPTS[0] if running else "done")

    def _begin(self, name, entry):
        """Look first, unless it is clear that the script has to run."""
        script = entry["phase"]
        current = provisioning.is_current(self._client.runs(name), script, self._inputs(name, script))
        self._start(name, entry, check=current or self._check_mode)

    def _start(self, name, entry, check):
        script = entry["phase"]
        run = self._client.start_run(
            name,
            script,
            provisioning.CHECK if check else [],
            self._inputs(name, script),
            min(self._timeout, LONGEST_RUN),
        )
        entry.update(run=run["id"], message="{0}.sh{1}".format(script, " --check" if check else ""))

    def _follow(self, name, entry):
        run = self._client.run(name, entry["run"])
        if run["state"] == "running":
            return
        entry["run"] = None
        checked = run["arguments"] == provisioning.CHECK
        if checked and provisioning.finding(run) and not self._check_mode:
            self._start(name, entry, check=False)
            return
        if not run["ok"]:
            _fail(entry, provisioning.failure(name, run))
            return
        entry["changes"] += provisioning.changes(run)
        entry["results"][run["script"]] = {key: run[key] for key in ("exit_code", "stdout", "stderr")}
        following = provisioning.SCRIPTS[provisioning.SCRIPTS.index(run["script"]) + 1 :]
        entry.update(phase=following[0] if following else "done", message="" if following else "provisioned")

    def _give_up_later(self, name, entry, reason):
        waited = time.time() - entry["since"]
        if waited > self._timeout:
            _fail(
                entry,
                "router {0}: not provisioned within {1} s: {2}; see its console with tail "
                "/var/log/multiverse/{0}.log on universe".format(name, self._timeout, reason),
            )
        else:
            entry["message"] = "{0} ({1:.0f} s)".format(reason, waited)

    def _inputs(self, name, script):
        folder = self._routers[name]["portal"]["path"]
        files = {}
        for path in provisioning.INPUTS[script]:
            files.update(_read(os.path.join(folder, path), path))
        return provisioning.inputs_digest((self._images.get(name) or {}).get("hash", ""), files)


def _read(path, name):
    """name -> content of a file, or of every file of a folder. What is missing is no input."""
    if os.path.isdir(path):
        found = {}
        for entry in sorted(os.listdir(path)):
            found.update(_read(os.path.join(path, entry), name + "/" + entry))
        return found
    try:
        with open(path, "rb") as file:
            return {name: file.read()}
    except OSError:
        return {}


def _fail(entry, message):
    entry.update(phase="failed", message=message)
