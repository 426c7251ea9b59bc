"""Watches libvirt and the guests in threads of their own, so that nobody who asks for the status waits for a guest."""

import logging
import re
import threading
import time
from collections import namedtuple

from . import agent
from .guests import ABSENT, Domain
from .problems import LibvirtUnreachable, Problem
from .programs import read_files

log = logging.getLogger("routerd")

#: Seconds until a guest's uptime and boot id are read again.
IDENTITY_AGE = 60
#: Seconds between two questions to a guest that does not answer: first quick, for a boot, then seldom.
SHORTEST_RETRY, LONGEST_RETRY = 0.5, 10

IDENTITY = re.compile(r"^(\d{1,12}\.\d{2}) \d{1,15}\.\d{2}\n([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n?$")

Snapshot = namedtuple("Snapshot", "at domains error")
#: What one question to a guest told: agent is "ok" or "unreachable"; booted is the monotonic time of the boot.
Beat = namedtuple("Beat", "at domain_id agent seen booted boot_id read error")
NO_BEAT = Beat(0, None, None, None, None, None, 0, None)


class Loop(threading.Thread):
    """A daemon thread that calls ``turn()``, at latest ``pause`` seconds after the last, at once when asked."""

    def __init__(self, name, pause):
        super().__init__(name=name)
        self.daemon = True
        self.pause = pause
        self._asked = threading.Event()
        self._done = threading.Condition()
        self._started_at = -1.0
        self._ended = False

    def run(self):
        while not self._ended:
            started = time.monotonic()
            try:
                self.turn()
            except Exception:
                # A guest must never be able to end the thread that watches it.
                log.exception("%s failed", self.name)
            with self._done:
                self._started_at = started
                self._done.notify_all()
            self._asked.wait(self.pause)
            self._asked.clear()

    def turn(self):
        raise NotImplementedError

    def ask(self, wait):
        """Waits at most *wait* seconds for a turn that began after now; whether there was one."""
        asked = time.monotonic()
        self._asked.set()
        with self._done:
            return self._done.wait_for(lambda: self._started_at >= asked, wait)

    def end(self):
        self._ended = True
        self._asked.set()


class Domains(Loop):
    """Reads the states of all domains. A libvirt that hangs holds this thread, and nobody else."""

    def __init__(self, libvirt, pause=5):
        super().__init__("domains", pause)
        self._libvirt = libvirt
        self._snapshot = Snapshot(-1.0, {}, "libvirt was not asked yet")

    def turn(self):
        at = time.monotonic()
        try:
            self._snapshot = Snapshot(at, self._libvirt.domains(), None)
        except LibvirtUnreachable as error:
            if self._snapshot.error != str(error):
                log.warning("%s", error)
            self._snapshot = Snapshot(at, {}, str(error))

    def snapshot(self, max_age=0.5, wait=2.0):
        """The latest :class:`Snapshot`; one without an answer in time has an error."""
        if time.monotonic() - self._snapshot.at > max_age and not self.ask(wait):
            return Snapshot(time.monotonic(), {}, "libvirt does not answer")
        return self._snapshot

    def domain(self, name, **bounds):
        """The :class:`Domain` of one router; state "unknown" while libvirt does not answer."""
        snapshot = self.snapshot(**bounds)
        return Domain("unknown", None) if snapshot.error else snapshot.domains.get(name, ABSENT)


class Pulse(Loop):
    """Asks one guest again and again whether it is there."""

    def __init__(self, guest, domains, heartbeat=5):
        super().__init__("pulse-" + guest.name, heartbeat)
        self._guest = guest
        self._domains = domains
        self._heartbeat = heartbeat
        self.beat = NO_BEAT

    def turn(self):
        domain = self._domains.domain(self._guest.name)
        if domain.state != "running":
            self.beat = NO_BEAT._replace(at=time.monotonic(), domain_id=domain.id)
            self.pause = self._heartbeat
            return
        same = self.beat.domain_id == domain.id
        beat = self.beat if same else NO_BEAT
        try:
            agent.ping_reply(self._guest.command(agent.ping_request()))
            # After a silence it may have booted anew under the same id.
            if beat.agent != "ok" or time.monotonic() - beat.read > IDENTITY_AGE:
                beat = self._identity(beat)
            beat = beat._replace(agent="ok", seen=time.time(), error=None)
            self.pause = self._heartbeat
        except Problem as problem:
            fresh = not same or beat.agent == "ok"
            beat = beat._replace(agent="unreachable", error=str(problem), booted=None, boot_id=None)
            self.pause = SHORTEST_RETRY if fresh else min(self.pause * 1.5, LONGEST_RETRY)
        if beat.agent != self.beat.agent:
            log.info("router %s: agent %s; %s", self._guest.name, beat.agent, beat.error or "no error")
        self.beat = beat._replace(at=time.monotonic(), domain_id=domain.id)

    def _identity(self, beat):
        """Uptime and boot id. A guest that has none to tell is still there."""
        now = time.monotonic()
        try:
            text = read_files(self._guest.command, ["/proc/uptime", "/proc/sys/kernel/random/boot_id"])
            match = IDENTITY.match(text)
        except Problem as problem:
            log.info("router %s: no uptime: %s", self._guest.name, problem)
            match = None
        if match is None:
            return beat._replace(read=now, booted=None, boot_id=None)
        return beat._replace(read=now, booted=now - float(match.group(1)), boot_id=match.group(2))
