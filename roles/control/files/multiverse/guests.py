"""The edge to libvirt: which routers run, and one command to a guest's agent.

Nothing else imports libvirt. libvirt answers at most five requests of one connection at a time, and a wedged guest
holds a request until its time is over: each router has a connection of its own.
"""

import threading
from collections import namedtuple

from .problems import AgentRefused, AgentUnreachable, BadReply, Busy, LibvirtUnreachable, RouterDown

#: Seconds that libvirt waits for one reply of an agent. Every command of ours is answered at once by a healthy guest.
AGENT_TIMEOUT = 8
#: Seconds that a command waits for its turn behind others to the same guest.
TURN_TIMEOUT = 20

# From libvirt's include/libvirt/virterror.h: stable numbers, so that tests need no libvirt.
ERR_INTERNAL = 1
ERR_SYSTEM = 38
ERR_RPC = 39
ERR_NO_DOMAIN = 42
ERR_OPERATION_INVALID = 55
ERR_OPERATION_TIMEOUT = 68
ERR_ARGUMENT_UNSUPPORTED = 74
ERR_AGENT_UNRESPONSIVE = 86

# virDomainState
STATES = ("unknown", "running", "running", "paused", "shutting-down", "shutoff", "crashed", "suspended")

Domain = namedtuple("Domain", "state id")
ABSENT = Domain("absent", None)


def short(error):
    """The first line of an error, bounded: it may quote a guest."""
    lines = str(error).splitlines() or [""]
    return lines[0][:300]


class Libvirt:
    """Connections to one libvirt, opened when needed and reopened when libvirt was restarted."""

    def __init__(self, uri, libvirt=None, libvirt_qemu=None):
        if libvirt is None:
            import libvirt
            import libvirt_qemu

            # Errors arrive as exceptions; the default handler would print each to the journal as well.
            libvirt.registerErrorHandler(lambda context, error: None, None)
        self.uri = uri
        self._libvirt = libvirt
        self._qemu = libvirt_qemu
        self._lock = threading.Lock()
        self._connections = {}

    def _connection(self, key):
        with self._lock:
            connection = self._connections.get(key)
        if connection is None:
            connection = self._libvirt.open(self.uri)
            with self._lock:
                self._connections[key] = connection
        return connection

    def _drop(self, key):
        with self._lock:
            connection = self._connections.pop(key, None)
        try:
            if connection is not None:
                connection.close()
        except self._libvirt.libvirtError:
            pass

    def _twice(self, key, call):
        """*call* with a connection, and once more with a new one where the first turned out to be dead.

        Only for calls that change nothing.
        """
        for attempt in (1, 2):
            try:
                return call(self._connection(key))
            except self._libvirt.libvirtError as error:
                if error.get_error_code() == ERR_NO_DOMAIN:
                    raise
                self._drop(key)
                if attempt == 2:
                    raise LibvirtUnreachable(
                        "{0}: {1}; is multiverse-libvirtd.service running?".format(self.uri, short(error))
                    ) from error

    def domains(self):
        """All domains by name, as :class:`Domain`; asks no guest.

        :raises LibvirtUnreachable: also after one reconnect
        """
        return self._twice(None, self._read_domains)

    def _read_domains(self, connection):
        found = {}
        for domain in connection.listAllDomains(0):
            try:
                number = domain.state(0)[0]
            except self._libvirt.libvirtError as error:
                # It went away between the two calls.
                if error.get_error_code() != ERR_NO_DOMAIN:
                    raise
                continue
            state = STATES[number] if 0 <= number < len(STATES) else "unknown"
            found[domain.name()] = Domain(state, domain.ID() if domain.ID() > 0 else None)
        return found

    def command(self, name, request, timeout):
        """Sends *request* (text) to the agent of domain *name*; the reply, unchecked.

        :param timeout: int, seconds
        :raises Problem: the domain does not run, the agent does not answer or refuses
        """
        # The look-up comes first on purpose: it may be repeated after a restart of libvirt, the command may not.
        try:
            domain = self._twice(name, lambda connection: connection.lookupByName(name))
        except self._libvirt.libvirtError:
            raise RouterDown("router {0} has no domain in libvirt; run the role 'routers'".format(name)) from None
        try:
            return self._qemu.qemuAgentCommand(domain, request, timeout, 0)
        except self._libvirt.libvirtError as error:
            raise self._problem(name, error) from error
        except ValueError:
            raise BadReply("the reply of router {0}'s agent is not UTF-8".format(name)) from None

    def _problem(self, name, error):
        code, text = error.get_error_code(), short(error)
        if code in (ERR_NO_DOMAIN, ERR_OPERATION_INVALID):
            return RouterDown("router {0} is not running ({1}); start it first".format(name, text))
        if code == ERR_INTERNAL and "unable to execute QEMU agent command" in text:
            return AgentRefused("router {0}: {1}".format(name, text))
        if code in (ERR_RPC, ERR_SYSTEM) or "client socket is closed" in text:
            self._drop(name)
            return LibvirtUnreachable("the connection to libvirt broke during a command: {0}".format(text))
        return AgentUnreachable("the agent of router {0} does not answer: {1}".format(name, text))


class Guest:
    """The agent of one router: one command at a time, in bounded time."""

    def __init__(self, name, libvirt, timeout=AGENT_TIMEOUT, turn=TURN_TIMEOUT):
        self.name = name
        self._libvirt = libvirt
        self._timeout = timeout
        self._turn = turn
        self._lock = threading.Lock()

    def command(self, request):
        """Sends one request (text), returns the reply (text, unchecked).

        :raises Busy: others kept the agent for too long
        """
        if not self._lock.acquire(timeout=self._turn):
            raise Busy("the agent of router {0} is busy with earlier commands; try again".format(self.name))
        try:
            return self._libvirt.command(self.name, request, self._timeout)
        finally:
            self._lock.release()
