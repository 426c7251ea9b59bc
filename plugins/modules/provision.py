#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: provision
short_description: Run packages.sh and provision.sh inside the routers
description:
  - Waits until each router's guest agent answers, then has its scripts put right what differs from its portal; all
    routers at once, through routerd. Shows how far each router is while it waits.
  - Each script first looks (C(--check)). It runs for real only if it would change something, if its inputs changed
    since its last run, or if that run failed.
author: The Multiverse OS authors (@multiverse-os)
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  routers:
    description: The routers of the derived topology.
    type: list
    elements: dict
    required: true
  images:
    description: Per router its image, as returned by M(multiverse.router_controller.images).
    type: dict
    required: true
  rendered:
    description:
      - Paths of portal files that this play changes. In check mode they tell which routers would be provisioned anew.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds until a router must be provisioned, from the first try on.
    type: int
    default: 600
  progress:
    description: How far an earlier call came. Set by the action plugin.
    type: dict
    default: {}
  wait:
    description: Seconds one call may take before it returns with what is left to do. Set by the action plugin.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Provision the routers
  multiverse.router_controller.provision:
    routers: "{{ multiverse_topology.routers }}"
    images: "{{ built.images }}"
"""

RETURN = r"""
progress:
  description:
    - Per router its C(phase), the C(changes) its scripts made (C(kind), C(name), C(action)), and per script its
      C(exit_code), C(stdout) and C(stderr) under C(results).
  returned: always
  type: dict
finished:
  description: Whether every router is provisioned or has failed.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.provision_converge import Provisioning
from ansible_collections.multiverse.router_controller.plugins.module_utils.provisioning import diff

ARGUMENTS = {
    "routers": {"type": "list", "elements": "dict", "required": True},
    "images": {"type": "dict", "required": True},
    "rendered": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 600},
    "progress": {"type": "dict", "default": {}},
    "wait": {"type": "int", "default": 5},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    provisioning = Provisioning(module.params, module.check_mode)
    try:
        provisioning.work(module.params["wait"])
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    progress = provisioning.progress
    failures = [entry["message"] for entry in progress.values() if entry["phase"] == "failed"]
    result = {
        "changed": any(entry["changes"] for entry in progress.values()),
        "finished": provisioning.finished,
        "progress": progress,
        "diff": diff(progress),
    }
    if failures and provisioning.finished:
        module.fail_json(msg="\n".join(failures), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
