# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A client of routerd, for modules on universe and for routerctl: HTTP over a unix socket, standard library only."""

import errno
import http.client
import json
import socket
import time
from urllib.parse import quote

from .errors import MultiverseError

SOCKET = "/run/multiverse/admin.sock"
#: Bytes of an answer that are read at most.
MAX_ANSWER = 16 * 1024 * 1024
#: Seconds that routerd may take on top of what a request itself allows its guest.
PATIENCE = 45

_HINTS = {
    errno.ENOENT: "there is no such socket; is multiverse-routerd.service running?",
    errno.ECONNREFUSED: "nobody listens there; is multiverse-routerd.service running?",
    errno.EACCES: "permission denied; be root or a member of group multiverse",
    errno.EPERM: "permission denied; be root or a member of group multiverse",
}


class RouterdUnreachable(MultiverseError):
    """routerd could not be asked at all: no service, no permission, no answer in time."""


class RouterdProblem(MultiverseError):
    """routerd answered with an error.

    :ivar status: int, HTTP status
    :ivar code: str, stable name of the kind of error: unknown-router, busy, agent-unreachable ...
    """

    def __init__(self, status, code, detail):
        super().__init__(detail)
        self.status = status
        self.code = code


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Talks to routerd; one connection a request, so it may be kept for as long as wanted and shared by threads."""

    def __init__(self, path=SOCKET):
        self.path = path

    def request(self, method, path, body=None, timeout=PATIENCE):
        """One request; the answer as Python data.

        :param body: data for JSON, or None
        :param timeout: seconds without a byte from routerd
        :raises RouterdUnreachable: no answer
        :raises RouterdProblem: an answer with an error
        """
        connection = _UnixConnection(self.path, timeout)
        data = None if body is None else json.dumps(body, sort_keys=True)
        headers = {"Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            raw = response.read(MAX_ANSWER + 1)
        except socket.timeout:
            raise RouterdUnreachable("routerd ({0}) did not answer within {1} s".format(self.path, timeout)) from None
        except OSError as error:
            hint = _HINTS.get(error.errno, str(error))
            raise RouterdUnreachable("routerd ({0}): {1}".format(self.path, hint)) from error
        except http.client.HTTPException as error:
            raise RouterdUnreachable("routerd ({0}) did not speak HTTP: {1!r}".format(self.path, error)) from error
        finally:
            connection.close()
        return self._data(response.status, raw)

    def _data(self, status, raw):
        try:
            if len(raw) > MAX_ANSWER:
                raise ValueError("larger than {0} bytes".format(MAX_ANSWER))
            value = json.loads(raw.decode("utf-8"))
        except ValueError as error:
            raise RouterdUnreachable(
                "routerd ({0}) answered with status {1} and no usable JSON: {2}".format(self.path, status, error)
            ) from error
        if status >= 400:
            known = value if isinstance(value, dict) else {}
            detail = known.get("detail") or known.get("title") or "status {0}".format(status)
            raise RouterdProblem(status, str(known.get("code", "unknown")), str(detail))
        return value

    @staticmethod
    def _router(name, *rest):
        return "/v1/routers/" + "/".join(quote(part, safe="") for part in (name,) + rest)

    def status(self):
        """All routers as dicts, under "routers"; answered without asking a guest."""
        return self.request("GET", "/v1/status")

    def router(self, name):
        """One router as a dict, its guest asked anew."""
        return self.request("GET", self._router(name))

    def execute(self, name, argv, timeout=30, env=None, **stdin):
        """Runs *argv* (list of str) in router *name* and waits at most *timeout* seconds for its end.

        :param stdin: ``stdin`` (text) or ``stdin_b64`` (base64)
        """
        body = dict(stdin, argv=list(argv), timeout=timeout)
        if env is not None:
            body["env"] = env
        return self.request("POST", self._router(name, "exec"), body, timeout + PATIENCE)

    def start_run(self, name, script, arguments=(), inputs=None, deadline=300):
        """Starts packages.sh or provision.sh in router *name*; the run as it begins."""
        body = {"script": script, "arguments": list(arguments), "inputs": inputs, "deadline": deadline}
        return self.request("POST", self._router(name, "runs"), body)

    def runs(self, name):
        """The latest runs of router *name*, newest first, without their output."""
        return self.request("GET", self._router(name, "runs"))["runs"]

    def run(self, name, identifier):
        return self.request("GET", self._router(name, "runs", identifier))

    def wait_run(self, name, identifier, timeout, sleep=time.sleep, clock=time.monotonic):
        """Waits until a run is over; the run.

        :raises MultiverseError: it was not within *timeout* seconds
        """
        deadline = clock() + timeout
        pause = 0.1
        while True:
            run = self.run(name, identifier)
            if run["state"] != "running":
                return run
            if clock() >= deadline:
                raise MultiverseError("run {0} of router {1} is not over after {2} s".format(identifier, name, timeout))
            sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def wait_agent(self, name, timeout, sleep=time.sleep, clock=time.monotonic):
        """Waits until the agent of router *name* answers, as after a boot; the router.

        :raises MultiverseError: it did not within *timeout* seconds; the message has its state
        """
        deadline = clock() + timeout
        while True:
            router = self.router(name)
            if router["agent"] == "ok":
                return router
            if clock() >= deadline:
                raise MultiverseError(
                    "router {0}: no answer from its agent within {1} s (state {2}; {3}); see its console log".format(
                        name, timeout, router["state"], router["agent_error"] or "agent " + str(router["agent"])
                    )
                )
            sleep(0.5)
