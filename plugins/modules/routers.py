#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: routers
short_description: Converge the router VMs
description:
  - Makes every router's disk and libvirt domain what the topology says, and starts what does not run, in the order of
    their dependencies; routers that do not depend on each other at the same time.
  - Compares the persistent definition, the running one, and the bridge each card is really plugged into. What can be
    put right in a running VM is; the rest restarts that router and no other.
  - A domain without our mark is never touched. A disk that no longer fits its image is set aside, not removed.
author: The Multiverse OS authors (@multiverse-os)
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  uri:
    description: libvirt connection of the routers.
    type: str
    required: true
  user:
    description: User that runs QEMU and owns the overlays.
    type: str
    required: true
  routers:
    description: The routers of the derived topology.
    type: list
    elements: dict
    required: true
  images:
    description: Per router its image, as returned by M(multiverse.router_controller.images).
    type: dict
    required: true
  acceleration:
    description: C(accel) and C(cpu), as returned by M(multiverse.router_controller.images).
    type: dict
    required: true
  overlay_folder:
    description: Folder of the pool portal-images.
    type: path
    required: true
  console_folder:
    description: Folder for the console logs, one C(NAME.log) per router.
    type: path
    required: true
  purge:
    description: Remove the domains of our routers that are no longer declared. Their disks and portals stay.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Run the routers
  multiverse.router_controller.routers:
    uri: "{{ multiverse_topology.connect_uri }}"
    user: multiverse
    routers: "{{ multiverse_topology.routers }}"
    images: "{{ built.images }}"
    acceleration: "{{ built.acceleration }}"
    overlay_folder: /var/lib/multiverse/portal-images
    console_folder: /var/log/multiverse
"""

RETURN = r"""
changes:
  description:
    - What differed, each with router, field, before, after and effect (V(live), V(restart) or V(recreate)).
  returned: always
  type: list
  elements: dict
undeclared:
  description: Routers of ours that run or are defined but are no longer declared. They stay, unless I(purge) is set.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import connect
from ansible_collections.multiverse.router_controller.plugins.module_utils.router_converge import Routers

ARGUMENTS = {
    "uri": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "routers": {"type": "list", "elements": "dict", "required": True},
    "images": {"type": "dict", "required": True},
    "acceleration": {"type": "dict", "required": True},
    "overlay_folder": {"type": "path", "required": True},
    "console_folder": {"type": "path", "required": True},
    "purge": {"type": "bool", "default": False},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        with connect(module.params["uri"], module.check_mode, module.warn) as connection:
            routers = Routers(connection, module.params)
            plan, removal = routers.plan, routers.plan_removal()
            purge = module.params["purge"]
            if removal and purge and not module.check_mode:
                routers.remove(removal)
            if plan and not module.check_mode:
                routers.apply()
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    undeclared = [change.name for change in removal]
    if undeclared and not purge:
        module.warn("routers of ours that are no longer declared stay: {0}; multiverse_purge removes them".format(
            ", ".join(undeclared)))  # fmt: skip
    plan += removal if purge else []
    module.exit_json(changed=bool(plan), changes=plan.to_result(), diff=plan.to_diff(), undeclared=undeclared)


if __name__ == "__main__":
    main()
