#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

# The documentation of the action plugin of this name, which renders on the controller.

DOCUMENTATION = r"""
module: portals
short_description: Render the portal folders of all routers and keep their links mounted
description:
  - Renders one folder per router (and the one image builds use) on the controller and converges them on universe with
    M(multiverse.router_controller.files); what does not belong into a portal is removed from it.
  - Mounts each router's links into its portal with M(multiverse.router_controller.mounts).
author: The Multiverse OS authors (@multiverse-os)
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  topology:
    description: The derived topology, fact C(multiverse_topology).
    type: dict
    required: true
  packages:
    description: apk packages that every router has.
    type: list
    elements: str
    required: true
  host_share:
    description: The 9p share that the HOST gives to universe, with C(tag) and C(mount).
    type: dict
"""

EXAMPLES = r"""
- name: Render the portals
  multiverse.router_controller.portals:
    topology: "{{ multiverse_topology }}"
    packages: [dnsmasq, nftables, qemu-guest-agent]
"""

RETURN = r"""
rendered:
  description: Paths of the files that changed.
  returned: always
  type: list
  elements: str
mounts:
  description: Mounts that changed.
  returned: always
  type: list
  elements: dict
"""
