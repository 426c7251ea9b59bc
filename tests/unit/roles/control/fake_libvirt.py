"""Guests for tests: the agent's protocol, honest or hostile, with programs that really run on this machine."""

import base64
import json
import subprocess
import tempfile
import threading

from multiverse.guests import ABSENT, Domain
from multiverse.problems import AgentRefused, AgentUnreachable, LibvirtUnreachable, RouterDown


class FakeGuest:
    """One domain and its agent. ``override``: request dict -> reply, exception, or None for the honest answer."""

    def __init__(self, state="running", number=1):
        self.domain = Domain(state, number if state == "running" else None)
        self.override = None
        self.release = threading.Event()
        self._programs = {}

    def wedge(self):
        """From now on the agent takes commands and never answers; libvirt would give up after its timeout."""
        self.override = lambda request: self.release.wait(20) and AgentUnreachable("timed out")

    def command(self, text):
        request = json.loads(text)
        if self.override:
            reply = self.override(request)
            if isinstance(reply, Exception):
                raise reply
            if reply is not None:
                return reply
        return json.dumps({"return": getattr(self, "_" + request["execute"].replace("-", "_"))(request)})

    def _guest_ping(self, request):
        return {}

    def _guest_exec(self, request):
        body = request["arguments"]
        env = dict(pair.split("=", 1) for pair in body["env"]) if "env" in body else None
        stdin, out, err = (tempfile.TemporaryFile() for _ in range(3))
        stdin.write(base64.b64decode(body.get("input-data", "")))
        stdin.seek(0)
        process = subprocess.Popen([body["path"]] + body["arg"], stdin=stdin, stdout=out, stderr=err, env=env)
        self._programs[process.pid] = (process, out, err)
        return {"pid": process.pid}

    def _guest_exec_status(self, request):
        pid = request["arguments"]["pid"]
        if pid not in self._programs:
            raise AgentRefused("PID {0} does not exist".format(pid))
        process, out, err = self._programs[pid]
        code = process.poll()
        if code is None:
            return {"exited": False}
        del self._programs[pid]
        reply = {"exited": True}
        reply["signal" if code < 0 else "exitcode"] = abs(code)
        for key, stream in (("out-data", out), ("err-data", err)):
            stream.seek(0)
            data = stream.read()
            if data:
                reply[key] = base64.b64encode(data).decode()
        return reply


class FakeLibvirt:
    """Takes the place of guests.Libvirt."""

    def __init__(self, **guests):
        self.guests = guests
        self.down = False

    def domains(self):
        if self.down:
            raise LibvirtUnreachable("qemu:///fake: connection refused")
        return {name: guest.domain for name, guest in self.guests.items()}

    def command(self, name, request, timeout):
        if self.down:
            raise LibvirtUnreachable("qemu:///fake: connection refused")
        guest = self.guests.get(name)
        if guest is None or guest.domain == ABSENT or guest.domain.state != "running":
            raise RouterDown("router {0} is not running".format(name))
        return guest.command(request)
