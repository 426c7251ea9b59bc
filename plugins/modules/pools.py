#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge the storage pools of a router controller in one call."""

DOCUMENTATION = r"""
module: pools
short_description: Converge libvirt storage pools and their directories
version_added: 0.1.0
author: The Multiverse OS authors (@multiverse-os)
description:
  - Makes each pool's directory, defines the pool in libvirt, starts it and has it start with libvirt, over one
    connection.
  - A pool whose path changes is stopped and defined anew. Data is never moved or deleted, whatever changes.
  - libvirt keeps no metadata on pools, so ours are known by a UUID derived from their name. A directory pool that has a
    declared name and path already is used as it is.
extends_documentation_fragment:
  - multiverse.router_controller.attributes
  - multiverse.router_controller.libvirt
options:
  pools:
    description: The declared pools.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The pool's name.
        type: str
        required: true
      path:
        description: The directory, absolute. It is made when it is missing.
        type: str
        required: true
      owner:
        description: The user that owns the directory; left as it is by default.
        type: str
      group:
        description: The group of the directory; left as it is by default.
        type: str
      mode:
        description: The directory's mode, octal digits in quotes; left as it is by default.
        type: str
  uri:
    description: The libvirt that has the pools, C(connect_uri) of the derived topology.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Converge the pools
  multiverse.router_controller.pools:
    uri: "{{ multiverse_topology.connect_uri }}"
    pools:
      - {name: base-images, path: /var/lib/multiverse/base-images, owner: root, group: multiverse, mode: "0750"}
      - {name: os-images, path: /var/lib/multiverse/os-images, owner: root, group: multiverse, mode: "0750"}

- name: Let libvirt forget a pool, and keep its data
  multiverse.router_controller.pools:
    uri: "{{ multiverse_topology.connect_uri }}"
    absent: [os-images]
"""

RETURN = r"""
changes:
  description: Every changed field in the order of its application; in check mode, every field that would change.
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: pool, name: base-images, field: directory.mode, before: "0755", after: "0750", effect: live}
pools:
  description: What happened to each pool.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The pool's name.
      type: str
    outcome:
      description: One of V(unchanged), V(created), V(updated), V(removed), V(foreign).
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import connect
from ansible_collections.multiverse.router_controller.plugins.module_utils.pool_converge import converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.pools import from_declared

POOL_OPTIONS = {
    "name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
}


def main():
    module = AnsibleModule(
        argument_spec={
            "pools": {"type": "list", "elements": "dict", "default": [], "options": POOL_OPTIONS},
            "absent": {"type": "list", "elements": "str", "default": []},
            "uri": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        desired = [from_declared(**entry) for entry in module.params["pools"]]
        with connect(module.params["uri"], module.check_mode, module.warn) as connection:
            plan, summary = converge(connection, desired, module.params["absent"], apply=not module.check_mode)
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(plan), changes=plan.to_result(), pools=summary, diff=plan.to_diff())


if __name__ == "__main__":
    main()
