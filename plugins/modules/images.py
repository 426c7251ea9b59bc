#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: images
short_description: Build the images routers boot from
description:
  - Fetches and verifies the Alpine base image, then builds one image per distinct set of packages in a throwaway VM.
  - An image is named by the hash of its inputs (base image, packages, our own files), so a present one is up to date
    and is never built or changed again. Old images stay until a person removes them.
author: The Multiverse OS authors (@multiverse-os)
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  uri:
    description: libvirt connection that runs the build.
    type: str
    required: true
  source:
    description: URL of the base image, or its path on universe.
    type: str
    required: true
  sha512:
    description: SHA-512 of the base image in hex. Without it, the file I(source).sha512 beside it is asked.
    type: str
  base_folder:
    description: Folder of the pool base-images.
    type: path
    required: true
  image_folder:
    description: Folder of the pool os-images.
    type: path
    required: true
  portal:
    description: The build portal, rendered by the action C(portals).
    type: path
    required: true
  user:
    description: User that runs QEMU, and whose group may read the images.
    type: str
    required: true
  acceleration:
    description: V(kvm), V(tcg) (emulation), or V(auto) for KVM where it works.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  routers:
    description: Which packages each router needs.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the router.
        type: str
        required: true
      packages:
        description: Names of apk packages.
        type: list
        elements: str
        required: true
  timeout:
    description: Seconds one build may take.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: Build what the routers boot from
  multiverse.router_controller.images:
    uri: "{{ multiverse_topology.connect_uri }}"
    source: "{{ multiverse_topology.alpine.image }}"
    base_folder: /var/lib/multiverse/base-images
    image_folder: /var/lib/multiverse/os-images
    portal: /var/lib/multiverse/network-controller/build.portal.multiverse
    user: multiverse
    routers:
      - name: galaxy
        packages: [nftables, dnsmasq, qemu-guest-agent]
"""

RETURN = r"""
images:
  description: Per router its image, with C(hash), C(disk), C(kernel), C(initrd). Empty in check mode without a portal.
  returned: always
  type: dict
acceleration:
  description: What VMs run with, C(accel) and C(cpu).
  returned: always
  type: dict
changes:
  description: What was, or would be, fetched and built.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils import image_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import connect

ROUTER = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "required": True},
}
ARGUMENTS = {
    "uri": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    "sha512": {"type": "str"},
    "base_folder": {"type": "path", "required": True},
    "image_folder": {"type": "path", "required": True},
    "portal": {"type": "path", "required": True},
    "user": {"type": "str", "required": True},
    "acceleration": {"type": "str", "choices": ["auto", "kvm", "tcg"], "default": "auto"},
    "routers": {"type": "list", "elements": "dict", "required": True, "options": ROUTER},
    "timeout": {"type": "int", "default": 900},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        converge = image_converge.Images(module.params)
        plan = converge.plan()
        if plan and not module.check_mode:
            with connect(module.params["uri"]) as connection:
                converge.apply(connection)
        result = converge.to_result()
        if result["acceleration"]["warning"]:
            module.warn(result["acceleration"]["warning"])
        module.exit_json(changed=bool(plan), changes=plan.to_result(), diff=plan.to_diff(), **result)
    except MultiverseError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
