# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks on a machine: read, plan, apply, read again and verify."""

from collections import OrderedDict

from ansible_collections.multiverse.router_controller.plugins.module_utils import bridge_ports, kernel_bridge, networks
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import (
    explained,
    find_network,
    libvirt,
)
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import plan_all, verify
from ansible_collections.multiverse.router_controller.plugins.module_utils.xml import to_text

SUBNET_HINT = "If its subnet is taken, see ip -o address, and change or remove the other user."


def converge(connection, desired, absent=(), apply=True):
    """Bring the machine's networks to the ``desired`` models and remove our networks named in ``absent``.

    Returns (Plan, summary per network). With apply=False nothing is touched: the plan is what a run would do. Raises
    MultiverseError for a network that is not ours, for what libvirt refuses, and for drift that survives the changes.
    """
    names = [network.name for network in desired] + list(absent)
    current = read(connection, names)
    plan = plan_all(networks, desired, absent, current)
    # The forecast; a run puts in what really happened.
    replugged = {name: _unplugged(name, plan.of(name)) for name in names}
    if apply and plan:
        for name in absent:
            if plan.of(name):
                _remove(connection, name)
        for network in desired:
            if plan.of(network.name):
                replugged[network.name] = _apply(connection, network, current[network.name], plan.of(network.name))
        verify(plan_all(networks, desired, absent, read(connection, names)))
    return plan, [
        {
            "name": name,
            "outcome": _outcome(plan.of(name), current[name], declared=name not in absent),
            "replugged": replugged[name],
        }
        for name in current
    ]


def read(connection, names):
    """All views of each named network, as networks.Current by name."""
    return OrderedDict((name, _read(connection, name)) for name in names)


def undeclared(connection, desired):
    """The names of the networks of ours that none of the ``desired`` models stands for."""
    declared = [network.name for network in desired]
    with explained("listing the networks"):
        found = [] if connection is None else connection.listAllNetworks()
        texts = {network.name(): network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE) for network in found}
    return sorted(name for name, text in texts.items() if name not in declared and networks.is_ours(text))


def _read(connection, name):
    network = find_network(connection, name)
    # Without libvirt (the preview of a bare machine) nobody can tell whose bridge it is.
    bridge = None if connection is None else kernel_bridge.read(name)
    if network is None:
        return networks.Current.NONE._replace(bridge=bridge)
    with explained("reading network %s" % name):
        persistent = network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
        return networks.Current(
            persistent=networks.from_xml(persistent),
            live=networks.from_xml(network.XMLDesc(0)) if network.isActive() else None,
            bridge=bridge,
            autostart=bool(network.autostart()),
            ours=networks.is_ours(persistent),
        )


def _unplugged(name, plan):
    """The ports that a restart unplugs for a moment."""
    return bridge_ports.ports(name) if plan.effect == "restart" else []


def _outcome(plan, current, declared):
    if not declared and current.persistent is not None:
        return "removed" if plan else "foreign"
    if plan and current.persistent is None:
        return "created"
    if plan and current.live is None:
        return "started"
    return {None: "unchanged", "live": "updated", "restart": "restarted"}[plan.effect]


# --- apply ------------------------------------------------------------------------------------------------------------


def _remove(connection, name):
    network = find_network(connection, name)
    with explained("removing network %s" % name):
        if network.isActive():
            network.destroy()
        network.undefine()


def _apply(connection, desired, current, plan):
    """Apply one network's plan; returns the devices that were plugged in again."""
    known = find_network(connection, desired.name)
    with explained("defining network %s" % desired.name):
        working = known and known.XMLDesc(0)
        base = known and known.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
        network = connection.networkDefineXML(networks.to_xml(desired, base))
        network.setAutostart(True)
    replugged = []
    if current.live is None or plan.effect != "live" or not _update_live(network, current.live, desired):
        replugged = _restart(connection, network, desired, working)
    kernel_bridge.correct(desired.bridge, networks.bridge_fields(desired))
    return replugged


def _update_live(network, live, desired):
    """Change ranges and reservations of a running network; False when libvirt refuses, and a restart has to do it."""
    try:
        for command, section, element in _live_updates(live, desired):
            network.update(command, section, -1, to_text(element), libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE)
    except libvirt.libvirtError:
        return False
    return networks.from_xml(network.XMLDesc(0)).fields == desired.fields


def _live_updates(live, desired):
    """(command, section, element) for each entry that goes, then for each that comes."""
    sections = (
        (libvirt.VIR_NETWORK_SECTION_IP_DHCP_RANGE, networks.range_element, live.dhcp, desired.dhcp),
        (libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, networks.host_element, live.reservations, desired.reservations),
    )
    for section, element, old, new in sections:
        for entry in old:
            if entry not in new:
                yield libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, section, element(entry)
        for entry in new:
            if entry not in old:
                yield libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, section, element(entry)


def _restart(connection, network, desired, working):
    """Stop and start a network so that its bridge follows its definition; what was plugged in is plugged in again.

    ``working``, the definition that ran until now, comes back when libvirt refuses to start the new one: a mistake must
    not cost the running VMs their network.
    """
    plugged = [(port, desired.bridge) for port in bridge_ports.ports(desired.bridge)]
    try:
        with explained("starting network %s" % desired.name, SUBNET_HINT):
            _stop(network, desired.bridge)
            network.create()
    except MultiverseError:
        _restore(connection, working)
        raise
    finally:
        # Without a bridge there is nothing to plug into, and the error that says why is on its way.
        moved = bridge_ports.replug(plugged) if kernel_bridge.read(desired.bridge) else []
    return [device for device, bridge in moved]


def _stop(network, bridge):
    if network.isActive():
        network.destroy()
    if kernel_bridge.read(bridge) is not None:
        kernel_bridge.remove(bridge)


def _restore(connection, working):
    """Best effort: the error that led here is the one to report."""
    if working is None:
        return
    try:
        network = connection.networkDefineXML(working)
        if not network.isActive():
            network.create()
    except libvirt.libvirtError:
        pass
