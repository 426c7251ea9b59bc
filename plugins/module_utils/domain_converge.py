# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Router VMs: reading them from libvirt and the kernel, and carrying out the steps of a plan.

Every function takes an open connection; libvirt connections may be shared by threads, so routers that do not depend
on each other can be stopped and started at the same time.
"""

import time
from collections import namedtuple

from ansible_collections.multiverse.router_controller.plugins.module_utils import bridge_ports, domain_plan, domain_xml
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import (
    explained,
    find_domain,
)

try:
    import libvirt
except ImportError:
    libvirt = None

#: Seconds. A guest unplugs a card when its kernel gets to it: PCIe alone lets 5 s pass by its specification.
UNPLUG_DEADLINE = 40
#: Seconds between two requests to unplug: one that comes before the guest's driver is up is lost.
UNPLUG_AGAIN = 10
STOP_DEADLINE = 60
POLL = 0.2

#: 9p's multidevs came with libvirt 6.3.0 (https://libvirt.org/formatdomain.html#filesystems).
MULTIDEVS_SINCE = 6003000

# virDomainState of an active domain; what is not listed counts as running.
_STATES = {3: "paused", 4: "shutdown", 6: "crashed", 7: "suspended"}

#: current: domain_plan.Current; id: libvirt's number of the running VM or None; uuid: text; text, live_text: the
#: persistent and the live definition, or None.
State = namedtuple("State", "current id uuid text live_text")

#: What was done. stopped, started, resumed, defined: bool; attached: MACs of cards the guest saw arrive, and now has
#: to configure; replugged: MACs whose tap went back into its bridge unseen by the guest; detached: MACs.
Applied = namedtuple("Applied", "defined stopped started resumed attached detached replugged")


# --- read -------------------------------------------------------------------------------------------------------------


def read(connection, name):
    """The State of the domain of this name, or None when libvirt has none. Raises MultiverseError."""
    domain = find_domain(connection, name)
    if domain is None:
        return None
    with explained("reading the definition of router %s" % name):
        active = bool(domain.isActive())
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        live_text = domain.XMLDesc(0) if active else None
        persistent = text if domain.isPersistent() else None
        state = _STATES.get(domain.state()[0], "running") if active else "shutoff"
        number = domain.ID() if active else None
        return State(_current(persistent, live_text, state), number, domain.UUIDString(), persistent, live_text)


def _current(text, live_text, state):
    ports = []
    for card in domain_xml.cards(live_text) if live_text else []:
        master = bridge_ports.master(card.tap) if card.tap else None
        ports.append(domain_plan.Port(card.entry, card.tap, master))
    return domain_plan.Current(
        persistent=domain_xml.from_xml(text) if text else None,
        live=domain_xml.from_xml(live_text) if live_text else None,
        state=state,
        ports=ports,
        ours=domain_xml.is_ours(text or live_text),
    )


def multidevs(connection):
    """The `multidevs` of a share that this libvirt understands: "remap", or "default" before 6.3."""
    return "remap" if connection.getLibVersion() >= MULTIDEVS_SINCE else "default"


# --- apply ------------------------------------------------------------------------------------------------------------


def apply(connection, desired, state, steps, on_stopped=None, stop_deadline=STOP_DEADLINE):
    """Carry out the steps of `domain_plan.steps`; returns Applied.

    state: the State that was planned from, or None. on_stopped: called without arguments whenever the VM is off and
    defined, before it starts: the place to make its disk anew. stop_deadline: seconds a guest gets to shut down.
    Raises MultiverseError.
    """
    if steps.define:
        define(connection, desired, state)
    # Isolation first: what must not be connected is cut before anything is connected.
    for port in steps.detach:
        _detach(connection, desired.name, port)
    bridge_ports.replug([(port.tap, port.entry["bridge"]) for port in steps.replug])
    for entry in steps.attach:
        _attach(connection, desired.name, entry)
    if steps.stop:
        stop(connection, desired.name, stop_deadline)
    if on_stopped is not None and (steps.stop or state is None or state.current.live is None):
        on_stopped()
    if steps.start:
        start(connection, desired.name)
    if steps.resume:
        _resume(connection, desired.name)
    return Applied(
        defined=steps.define,
        stopped=steps.stop,
        started=steps.start,
        resumed=steps.resume,
        attached=[entry["mac"] for entry in steps.attach],
        detached=[port.entry["mac"] for port in steps.detach],
        replugged=[port.entry["mac"] for port in steps.replug],
    )


def verify(connection, desired, running=True, restart=True):
    """Read again and raise MultiverseError for everything that is still not as declared.

    running, restart: as they were given to `domain_plan.plan` and `steps`. Returns the State.
    """
    state = read(connection, desired.name)
    left = domain_plan.plan(desired, state and state.current, running)
    left = [change for change in left if restart or change.effect == "live"]
    if left:
        listed = "; ".join("%s is %r, not %r" % (change.field, change.before, change.after) for change in left)
        raise MultiverseError(
            "router %s is not as declared after the changes: %s. Look into journalctl -u multiverse-libvirtd and the "
            "router's log in libvirt/qemu/log." % (desired.name, listed)
        )
    return state


def define(connection, desired, state=None):
    """Write the persistent definition; what libvirt and people added to the one of `state` stays."""
    base = None if state is None else state.text or None
    text = domain_xml.to_xml(desired, base or (_transient_base(state) if state else None))
    with explained("defining router %s" % desired.name):
        connection.defineXML(text)


def _transient_base(state):
    """A running domain without a persistent definition gets one under its own UUID."""
    return "<domain><uuid>%s</uuid></domain>" % state.uuid


def start(connection, name):
    """Start a defined router. A saved memory image, which would bring back an old state, is thrown away."""
    hint = "The usual reasons: a missing bridge or image, or a bridge that /etc/qemu/bridge.conf does not allow."
    with explained("starting router %s" % name, hint):
        domain = _domain(connection, name)
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT if domain.hasManagedSaveImage() else 0)


def stop(connection, name, deadline=STOP_DEADLINE):
    """Ask the guest to power off; after `deadline` seconds switch it off. Returns whether it went by itself."""
    domain = _domain(connection, name)
    until = time.time() + deadline
    if _STATES.get(domain.state()[0]) not in domain_plan.RESUMABLE:
        _ask_to_power_off(domain)
        if _wait(lambda: not domain.isActive(), until):
            return True
    with explained("switching router %s off" % name):
        try:
            domain.destroy()
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
    return False


def _ask_to_power_off(domain):
    """Through the power button, which costs nothing, and the agent where one listens.

    Either may fail: a guest without an ACPI daemon, an agent that went away. The deadline is the answer to both.
    """
    ways = [libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN]
    if domain_xml.agent_connected(domain.XMLDesc(0)):
        ways.append(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
    for way in ways:
        try:
            domain.shutdownFlags(way)
        except libvirt.libvirtError:
            continue


def _resume(connection, name):
    domain = _domain(connection, name)
    with explained("resuming router %s" % name, "A full disk pauses a VM: make room on the pools' file system."):
        if _STATES.get(domain.state()[0]) == "suspended":
            domain.pMWakeup()
        else:
            domain.resume()


def remove(connection, name, deadline=STOP_DEADLINE):
    """Stop and undefine a router of ours. Images and folders stay. Raises MultiverseError for one without our mark."""
    state = read(connection, name)
    if state is None:
        return
    if not state.current.ours:
        raise MultiverseError("router %s: this collection did not make that domain, so it is not removed." % name)
    if state.current.live is not None:
        stop(connection, name, deadline)
    if state.text is None:
        return
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if "<nvram" in state.text:
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    with explained("removing the definition of router %s" % name):
        _domain(connection, name).undefineFlags(flags)


# --- cards ------------------------------------------------------------------------------------------------------------


def _attach(connection, name, entry):
    with explained("plugging card %s of router %s into %s" % (entry["mac"], name, entry["bridge"] or entry["type"])):
        _domain(connection, name).attachDeviceFlags(domain_xml.interface_xml(entry), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _detach(connection, name, port):
    """Unplug a card. The kernel cuts it off at once; then the guest has its time to let go of it."""
    if port.tap and port.master:
        bridge_ports.ip("link", "set", "dev", port.tap, "nomaster")
    domain = _domain(connection, name)
    until = time.time() + UNPLUG_DEADLINE
    while time.time() < until:
        element = _card_xml(domain, port)
        if element is None:
            return
        _ask_to_unplug(domain, element)
        if _wait(lambda: _card_xml(domain, port) is None, min(until, time.time() + UNPLUG_AGAIN)):
            return
    raise MultiverseError(
        "router %s does not let go of its card %s within %s s. The card is out of every bridge; to get rid of it, "
        "restart the router." % (name, port.entry["mac"], UNPLUG_DEADLINE)
    )


def _ask_to_unplug(domain, element):
    """libvirt refuses to repeat a request that QEMU still works on, and QEMU may be done before we ask again."""
    try:
        domain.detachDeviceFlags(element, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError:
        pass


def _card_xml(domain, port):
    """The live XML of the port's card, or None when it is gone."""
    with explained("reading the cards of router %s" % domain.name()):
        found = [card for card in domain_xml.cards(domain.XMLDesc(0)) if (card.entry, card.tap) == port[:2]]
    return found[0].element if found else None


def _domain(connection, name):
    domain = find_domain(connection, name)
    if domain is None:
        raise MultiverseError("router %s: libvirt has no such domain (any more). Run again." % name)
    return domain


def _wait(done, until):
    """Whether `done()` became true before the time `until`."""
    while not done():
        if time.time() >= until:
            return False
        time.sleep(POLL)
    return True
