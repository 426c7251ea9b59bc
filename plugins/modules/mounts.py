#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: mounts
short_description: Converge the bind mounts and shares that belong to the router controller
description:
  - Keeps one marked line in C(/etc/fstab) per mount, and what is mounted equal to it.
  - Lines without the mark (the mount option C(x-multiverse)) are never changed; marked lines no longer declared are
    unmounted and removed.
author: The Multiverse OS authors (@multiverse-os)
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  mounts:
    description: All mounts that belong to us.
    type: list
    elements: dict
    required: true
    suboptions:
      source:
        description: Folder to bind, or tag or device to mount.
        type: str
        required: true
      target:
        description: Mount point; created when missing.
        type: path
        required: true
      fstype:
        description: File system type.
        type: str
        default: none
      options:
        description: Mount options. With V(nofail) a mount that fails is a warning, unless it is a bind mount.
        type: str
        default: bind,nofail
"""

EXAMPLES = r"""
- name: A folder of universe appears in the portal of star
  multiverse.router_controller.mounts:
    mounts:
      - source: /srv/shared
        target: /var/lib/multiverse/network-controller/star.portal.multiverse/shared
"""

RETURN = r"""
changes:
  description: What differed, one entry per mount, each with the mount point, before and after.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils import mount_converge, mounts
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

SUBOPTIONS = {
    "source": {"type": "str", "required": True},
    "target": {"type": "path", "required": True},
    "fstype": {"type": "str", "default": "none"},
    "options": {"type": "str", "default": "bind,nofail"},
}


def main():
    module = AnsibleModule(
        argument_spec={"mounts": {"type": "list", "elements": "dict", "required": True, "options": SUBOPTIONS}},
        supports_check_mode=True,
    )
    desired = [mounts.Mount(**entry) for entry in module.params["mounts"]]
    try:
        fstab = mount_converge.read_fstab()
        plan = mounts.plan(desired, fstab, mount_converge.read_mounted(desired, fstab))
        if plan and not module.check_mode:
            for warning in mount_converge.apply(desired, fstab, plan):
                module.warn(warning)
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(plan), changes=plan.to_result(), diff=plan.to_diff())


if __name__ == "__main__":
    main()
