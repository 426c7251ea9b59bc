#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge the bridges of a router controller in one call."""

DOCUMENTATION = r"""
module: networks
short_description: Converge libvirt networks and their bridges
version_added: 0.1.0
author: The Multiverse OS authors (@multiverse-os)
description:
  - Defines, starts and repairs all networks of a router controller, over one libvirt connection.
  - Three views are compared with the declared network - libvirt's persistent definition, its live one, and the kernel's
    bridge with its exact set of addresses. Only declared fields count; UUIDs and foreign elements survive.
  - A changed DHCP range or reservation is applied while the network runs, and so is what the kernel takes at once
    (addresses, link state, IPv6 switched off, ARP silenced). Anything else restarts the network and plugs its ports in
    again, also when the start failed; the last definition that worked is then restored.
  - A network without host access has no address of any family on its bridge and no dnsmasq.
extends_documentation_fragment:
  - multiverse.router_controller.attributes
  - multiverse.router_controller.libvirt
options:
  networks:
    description:
      - The networks of the derived topology.
      - Used of each are C(name), C(mac), C(host_access), C(address), C(prefix), C(dhcp), C(forward), C(uplink)
        and C(reservations); other keys are ignored.
    type: list
    elements: dict
    default: []
  purge:
    description: Remove every network of ours that I(networks) does not have. Without it they stay, with a warning.
    type: bool
    default: false
  uri:
    description: The libvirt to talk to. Networks need a privileged one, a session cannot make bridges.
    type: str
    default: qemu:///system
"""

EXAMPLES = r"""
- name: Converge the networks
  multiverse.router_controller.networks:
    networks: "{{ multiverse_topology.networks }}"

- name: Remove two networks
  multiverse.router_controller.networks:
    absent: [galaxy0, star0]
"""

RETURN = r"""
changes:
  description: Every changed field in the order of its application; in check mode, every field that would change.
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: network, name: galaxy0, field: live.mac, before: "52:54:00:00:00:01", after: "00:00:10:01:01:fe",
       effect: restart}
networks:
  description: What happened to each network, and which ports were plugged in again.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The network's name.
      type: str
    outcome:
      description: One of V(unchanged), V(created), V(updated), V(started), V(restarted), V(removed), V(foreign).
      type: str
    replugged:
      description: Devices that were plugged into the bridge again after a restart.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import connect
from ansible_collections.multiverse.router_controller.plugins.module_utils.network_converge import converge, undeclared
from ansible_collections.multiverse.router_controller.plugins.module_utils.networks import from_declared


def main():
    module = AnsibleModule(
        argument_spec={
            "networks": {"type": "list", "elements": "dict", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
            "purge": {"type": "bool", "default": False},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
        supports_check_mode=True,
    )
    try:
        desired = [from_declared(entry) for entry in module.params["networks"]]
        with connect(module.params["uri"], module.check_mode, module.warn) as connection:
            left = undeclared(connection, desired)
            absent = sorted(set(module.params["absent"]).union(left if module.params["purge"] else []))
            plan, summary = converge(connection, desired, absent, apply=not module.check_mode)
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    left = sorted(set(left).difference(absent))
    if left:
        module.warn(
            "networks of ours that are no longer declared stay: %s; multiverse_purge removes them" % ", ".join(left)
        )
    module.exit_json(changed=bool(plan), changes=plan.to_result(), networks=summary, diff=plan.to_diff())


if __name__ == "__main__":
    main()
