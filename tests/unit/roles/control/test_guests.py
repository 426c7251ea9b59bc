"""The libvirt edge against a libvirt that restarts, loses domains and passes on what guests say."""

import threading

import pytest
from multiverse import guests
from multiverse.problems import AgentRefused, AgentUnreachable, BadReply, Busy, LibvirtUnreachable, RouterDown


class LibvirtError(Exception):
    def __init__(self, code, text="broken"):
        super().__init__(text)
        self.code = code

    def get_error_code(self):
        return self.code


class FakeDomain:
    def __init__(self, name, state, number):
        self._name, self._state, self._number = name, state, number

    def name(self):
        return self._name

    def ID(self):
        return self._number

    def state(self, flags):
        if isinstance(self._state, Exception):
            raise self._state
        return [self._state, 0]


class FakeModule:
    """Both libvirt and libvirt_qemu."""

    libvirtError = LibvirtError

    def __init__(self):
        self.opened = 0
        self.dead = set()
        self.refuse = False
        self.domains = [FakeDomain("galaxy", 1, 4), FakeDomain("star", 5, -1)]
        self.reply = '{"return": {}}'

    def open(self, uri):
        if self.refuse:
            raise LibvirtError(guests.ERR_SYSTEM, "Failed to connect socket: No such file\nmore")
        self.opened += 1
        return FakeConnection(self, self.opened)

    def qemuAgentCommand(self, domain, request, timeout, flags):
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


class FakeConnection:
    def __init__(self, module, number):
        self._module, self._number = module, number

    def _check(self):
        if self._number in self._module.dead:
            raise LibvirtError(guests.ERR_INTERNAL, "client socket is closed")

    def listAllDomains(self, flags):
        self._check()
        return self._module.domains

    def lookupByName(self, name):
        self._check()
        for domain in self._module.domains:
            if domain.name() == name:
                return domain
        raise LibvirtError(guests.ERR_NO_DOMAIN)

    def close(self):
        self._check()


@pytest.fixture
def module():
    return FakeModule()


@pytest.fixture
def libvirt(module):
    return guests.Libvirt("qemu:///fake", module, module)


def test_domains(libvirt, module):
    module.domains += [
        FakeDomain("gone", LibvirtError(guests.ERR_NO_DOMAIN), 9),
        FakeDomain("odd", 99, 5),
    ]
    assert libvirt.domains() == {
        "galaxy": guests.Domain("running", 4),
        "star": guests.Domain("shutoff", None),
        "odd": guests.Domain("unknown", 5),
    }


def test_reconnects_after_a_restart_of_libvirt(libvirt, module):
    libvirt.domains()
    libvirt.command("galaxy", "{}", 5)
    module.dead = {1, 2}
    assert libvirt.domains()["galaxy"].id == 4
    assert libvirt.command("galaxy", "{}", 5) == module.reply
    assert module.opened == 4


def test_an_absent_libvirt_is_told_with_what_to_do(libvirt, module):
    module.refuse = True
    for call in (libvirt.domains, lambda: libvirt.command("galaxy", "{}", 5)):
        with pytest.raises(LibvirtUnreachable) as caught:
            call()
        assert "multiverse-libvirtd.service" in str(caught.value) and "more" not in str(caught.value)
    module.refuse = False
    assert libvirt.domains()


def test_each_router_has_its_own_connection(libvirt, module):
    libvirt.domains()
    libvirt.command("galaxy", "{}", 5)
    libvirt.command("star", "{}", 5)
    libvirt.command("galaxy", "{}", 5)
    assert module.opened == 3


ERRORS = [
    (LibvirtError(guests.ERR_AGENT_UNRESPONSIVE, "QEMU guest agent is not connected"), AgentUnreachable),
    (LibvirtError(guests.ERR_OPERATION_TIMEOUT), AgentUnreachable),
    (LibvirtError(guests.ERR_ARGUMENT_UNSUPPORTED), AgentUnreachable),
    (LibvirtError(guests.ERR_OPERATION_INVALID, "domain is not running"), RouterDown),
    (LibvirtError(guests.ERR_INTERNAL, "unable to execute QEMU agent command 'x': y"), AgentRefused),
    (LibvirtError(guests.ERR_INTERNAL, "client socket is closed"), LibvirtUnreachable),
    (LibvirtError(guests.ERR_RPC), LibvirtUnreachable),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), BadReply),
]


@pytest.mark.parametrize("error, expected", ERRORS, ids=[str(error)[:40] for error, _expected in ERRORS])
def test_errors_of_a_command(libvirt, module, error, expected):
    module.reply = error
    with pytest.raises(expected):
        libvirt.command("galaxy", "{}", 5)


def test_what_a_guest_says_in_an_error_is_bounded(libvirt, module):
    module.reply = LibvirtError(guests.ERR_INTERNAL, "unable to execute QEMU agent command" + "x" * 10000 + "\ny")
    with pytest.raises(AgentRefused) as caught:
        libvirt.command("galaxy", "{}", 5)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_unknown_domain(libvirt):
    with pytest.raises(RouterDown):
        libvirt.command("nebula", "{}", 5)


def test_one_command_at_a_time_and_no_endless_queue():
    begun, release = threading.Event(), threading.Event()

    class Slow:
        def command(self, name, request, timeout):
            begun.set()
            release.wait(10)
            return "x"

    guest = guests.Guest("galaxy", Slow(), turn=0.05)
    thread = threading.Thread(target=guest.command, args=("{}",))
    thread.start()
    begun.wait(5)
    with pytest.raises(Busy):
        guest.command("{}")
    release.set()
    thread.join(5)
    assert guest.command("{}") == "x"
