"""What routerd does for a request: joins the configuration, the guests, their watchers and their runs."""

import base64
import os
import threading
import time
from contextlib import contextmanager

from . import programs
from .guests import Guest
from .observer import Domains, Pulse
from .problems import Busy, RouterDown, UnknownRouter
from .runs import RUNNING, SCRIPTS, History, Runner, summary

#: Requests that one router may keep waiting; a wedged guest holds this many threads and no more.
SLOTS = 2
#: Seconds that a question about one router waits for its guest.
FRESH = 3.0


class Handle:
    """Everything that belongs to one router."""

    def __init__(self, config, guest, pulse, runner):
        self.config = config
        self.guest = guest
        self.pulse = pulse
        self.runner = runner
        self.slots = threading.BoundedSemaphore(SLOTS)


def output(name, data):
    """The members of an answer for one output (bytes): text, and base64 beside it where the text is not exact."""
    try:
        return {name: data.decode("utf-8")}
    except UnicodeDecodeError:
        encoded = base64.b64encode(data).decode("ascii")
        return {name: data.decode("utf-8", "replace"), name + "_b64": encoded}


class Controller:
    """The verbs of routerd. Thread-safe; no verb waits for a guest that it does not concern."""

    def __init__(self, config, libvirt):
        self._uri = config.connect_uri
        self.domains = Domains(libvirt)
        self._handles = {}
        self._order = [router.name for router in config.routers]
        for router in config.routers:
            guest = Guest(router.name, libvirt)
            history = History(os.path.join(config.state_dir, router.name + ".json"))
            pulse = Pulse(guest, self.domains, config.heartbeat)
            self._handles[router.name] = Handle(router, guest, pulse, Runner(guest, router.mount, history))

    @property
    def threads(self):
        """Threads that keep enough free for status requests while every router is wedged."""
        return 8 + SLOTS * len(self._order)

    @property
    def idle(self):
        """Whether no script of ours is running in any router."""
        histories = [handle.runner.history for handle in self._handles.values()]
        return not any(run["state"] == RUNNING for history in histories for run in history.all())

    def start(self):
        self.domains.start()
        for name in self._order:
            self._handles[name].pulse.start()

    def end(self):
        for loop in [self.domains] + [handle.pulse for handle in self._handles.values()]:
            loop.end()

    def _handle(self, name):
        try:
            return self._handles[name]
        except KeyError:
            known = ", ".join(self._order) or "none"
            raise UnknownRouter("no router {0!r} is declared; there are: {1}".format(name[:64], known)) from None

    @contextmanager
    def _slot(self, handle):
        if not handle.slots.acquire(blocking=False):
            raise Busy("router {0} has {1} commands in progress; try again".format(handle.config.name, SLOTS))
        try:
            yield
        finally:
            handle.slots.release()

    def _running(self, handle):
        state = self.domains.domain(handle.config.name).state
        if state not in ("running", "unknown"):
            advice = "run the role 'routers'" if state == "absent" else "start it first"
            raise RouterDown("router {0} is {1}; {2}".format(handle.config.name, state, advice))

    def status(self):
        """All routers and libvirt itself; asks no guest."""
        snapshot = self.domains.snapshot()
        return {
            "version": 1,
            "libvirt": {"uri": self._uri, "connected": snapshot.error is None, "error": snapshot.error},
            "routers": [self._view(self._handles[name]) for name in self._order],
        }

    def router(self, name):
        """One router, its guest asked anew where that takes no longer than FRESH seconds."""
        handle = self._handle(name)
        try:
            with self._slot(handle):
                handle.pulse.ask(FRESH)
        except Busy:
            pass
        return self._view(handle)

    def _view(self, handle):
        config, beat = handle.config, handle.pulse.beat
        domain = self.domains.domain(config.name)
        # What an earlier boot of the guest answered says nothing about this one.
        known = domain.state == "running" and beat.domain_id == domain.id and beat.agent is not None
        runs = dict((script, summary(handle.runner.history.last(script))) for script in SCRIPTS)
        provision = runs["provision"]
        return {
            "name": config.name, "kind": config.kind, "stage": config.stage, "requires": config.requires,
            "state": domain.state, "domain_id": domain.id,
            "agent": beat.agent if known else ("unknown" if domain.state in ("running", "unknown") else None),
            "agent_error": beat.error if known else None,
            "seen": round(beat.seen, 3) if known and beat.seen else None,
            "uptime": int(time.monotonic() - beat.booted) if known and beat.booted is not None else None,
            "boot_id": beat.boot_id if known else None,
            "provisioned": None if provision is None else provision["ok"],
            "last_runs": runs,
            "running": summary(next((run for run in handle.runner.history.all() if run["state"] == RUNNING), None)),
        }  # fmt: skip

    def execute(self, name, argv, stdin, env, timeout):
        """Runs a program in a router and waits for it; its output bounded by programs.MAX_OUTPUT each.

        :param stdin: bytes or None
        :param timeout: seconds
        :raises Problem: as the classes say
        """
        handle = self._handle(name)
        self._running(handle)
        with self._slot(handle):
            begun = time.monotonic()
            pid = programs.start(handle.guest.command, argv, stdin, env)
            outcome = programs.wait(handle.guest.command, pid, timeout)
        answer = {
            "exit_code": outcome.exit_code, "signal": outcome.signal, "truncated": outcome.truncated,
            "timed_out": outcome.timed_out, "duration": round(time.monotonic() - begun, 3),
        }  # fmt: skip
        answer.update(output("stdout", outcome.stdout))
        answer.update(output("stderr", outcome.stderr))
        return answer

    def start_run(self, name, script, arguments, inputs, deadline, peer):
        handle = self._handle(name)
        self._running(handle)
        with self._slot(handle):
            return handle.runner.start(script, arguments, inputs, deadline, peer)

    def runs(self, name):
        return [summary(run) for run in self._handle(name).runner.history.all()]

    def run(self, name, identifier):
        return self._handle(name).runner.history.get(identifier)
