"""The watchers: what they find out, and that a guest or libvirt that hangs holds up nobody who asks."""

import json
import threading
import time

import pytest
from fake_libvirt import FakeGuest, FakeLibvirt
from multiverse import observer
from multiverse.guests import Guest
from multiverse.observer import IDENTITY
from multiverse.problems import AgentUnreachable

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    "text, matches",
    [
        ("12.34 5.67\n" + UUID + "\n", True),
        ("12.34 5.67\n" + UUID, True),
        ("12.34 5.67\n", False),
        ("", False),
        ("-1.00 5.67\n" + UUID + "\n", False),
        ("1e9 5.67\n" + UUID + "\n", False),
        ("9" * 30 + ".00 5.67\n" + UUID + "\n", False),
        ("12.34 5.67\n" + UUID.upper() + "\n", False),
        ("12.34 5.67\n" + UUID + "\n\n\x1b[2J", False),
    ],
)
def test_identity(text, matches):
    assert bool(IDENTITY.match(text)) is matches


@pytest.fixture
def libvirt():
    return FakeLibvirt(galaxy=FakeGuest())


@pytest.fixture
def domains(libvirt):
    made = observer.Domains(libvirt)
    made.start()
    yield made
    made.end()


@pytest.fixture
def pulse(libvirt, domains):
    return observer.Pulse(Guest("galaxy", libvirt), domains)


def test_healthy(pulse):
    pulse.turn()
    assert (pulse.beat.agent, pulse.beat.domain_id, pulse.beat.error) == ("ok", 1, None)
    assert pulse.beat.seen == pytest.approx(time.time(), abs=5)
    assert pulse.beat.boot_id and pulse.beat.booted < time.monotonic()


def test_silence_and_return(pulse, libvirt):
    guest = libvirt.guests["galaxy"]
    pulse.turn()
    guest.override = lambda request: AgentUnreachable("not connected")
    pauses = []
    for _number in range(12):
        pulse.turn()
        pauses.append(pulse.pause)
    assert (pulse.beat.agent, pulse.beat.booted, pulse.beat.error) == ("unreachable", None, "not connected")
    # Quick at first, for a boot; then seldom.
    assert pauses[0] == observer.SHORTEST_RETRY and pauses[-1] == observer.LONGEST_RETRY
    guest.override = None
    pulse.turn()
    assert (pulse.beat.agent, pulse.pause) == ("ok", 5) and pulse.beat.booted


def test_a_new_boot_starts_over(pulse, libvirt, domains):
    pulse.turn()
    guest = libvirt.guests["galaxy"]
    guest.override = lambda request: AgentUnreachable("not connected")
    guest.domain = guest.domain._replace(id=8)
    domains.ask(5)
    pulse.turn()
    assert (pulse.beat.domain_id, pulse.beat.agent, pulse.beat.seen) == (8, "unreachable", None)
    guest.domain = guest.domain._replace(state="shutoff", id=None)
    domains.ask(5)
    pulse.turn()
    assert pulse.beat.agent is None


def test_a_guest_without_uptime_is_there_all_the_same(pulse, libvirt):
    def lies(request):
        return None if request["execute"] == "guest-ping" else json.dumps({"return": {"pid": "many"}})

    libvirt.guests["galaxy"].override = lies
    pulse.turn()
    assert (pulse.beat.agent, pulse.beat.booted) == ("ok", None)


def test_a_libvirt_that_hangs_is_told_in_time():
    release = threading.Event()

    class Hanging:
        def domains(self):
            release.wait(20)
            return {}

    domains = observer.Domains(Hanging())
    domains.start()
    begun = time.monotonic()
    assert "does not answer" in domains.snapshot(wait=0.1).error
    assert domains.domain("galaxy", wait=0.1).state == "unknown"
    assert time.monotonic() - begun < 5
    domains.end()
    release.set()


def test_a_failing_turn_does_not_end_the_thread(caplog):
    class Failing(observer.Loop):
        turns = 0

        def turn(self):
            self.turns += 1
            raise RuntimeError("boom")

    loop = Failing("failing", 100)
    loop.start()
    assert loop.ask(5) and loop.ask(5)
    assert loop.turns >= 2 and loop.is_alive() and "boom" in caplog.text
    loop.end()
    loop.join(5)
    assert not loop.is_alive()
