#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge the Debian packages of a machine in one call."""

DOCUMENTATION = r"""
module: packages
short_description: Upgrade, install and remove Debian packages, and say which one is in the way
version_added: 0.1.0
author: The Multiverse OS authors (@multiverse-os)
description:
  - Refreshes the package lists if they are old or older than the sources, upgrades, installs and removes, in this
    order. Every step is simulated first. An installation never removes other packages.
  - Unlike M(ansible.builtin.apt) it needs no Python binding of apt, so a bare machine can be looked at in check mode;
    it names the held or missing package that makes apt-get fail; and it finishes what a killed run left half-way.
  - Recommended and suggested packages are not installed. Changed configuration files of the machine are kept.
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  present:
    description: Packages to install where they are missing.
    type: list
    elements: str
    default: []
  absent:
    description: Packages to remove where they are installed. Their configuration files stay.
    type: list
    elements: str
    default: []
  upgrade:
    description:
      - V(safe) upgrades what needs no removal of other packages, V(full) everything, V(none) nothing.
        Held packages stay as they are.
    type: str
    choices: [none, safe, full]
    default: none
  max_age:
    description: Refresh package lists that are older than this many seconds.
    type: int
    default: 86400
notes:
  - Check mode does not refresh the lists. Without any (on a machine just installed) it names the declared packages
    only.
"""

EXAMPLES = r"""
- name: Have vim, not nano
  multiverse.router_controller.packages:
    upgrade: safe
    present: [vim]
    absent: [nano]
"""

RETURN = r"""
changes:
  description: Every package that changed, or would in check mode, by version.
  returned: success
  type: list
  elements: dict
  sample: [{action: upgrade, name: vim, before: "2:9.0.1378-2", after: "2:9.0.1378-2+deb12u2"}]
held:
  description: Packages that are kept at their version by C(apt-mark hold).
  returned: success
  type: list
  elements: str
refreshed:
  description: Whether the package lists were refreshed. This is no change.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils import packages as model
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.package_converge import converge


def main():
    module = AnsibleModule(
        argument_spec={
            "present": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
            "upgrade": {"type": "str", "choices": list(model.UPGRADES), "default": "none"},
            "max_age": {"type": "int", "default": 86400},
        },
        supports_check_mode=True,
    )
    try:
        result = converge(check=module.check_mode, **module.params)
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    if result["blind"]:
        module.warn("there are no package lists yet, so neither the names nor upgrades were checked")
    steps = result["steps"]
    module.exit_json(
        changed=bool(steps),
        changes=steps,
        held=result["held"],
        refreshed=result["refreshed"],
        diff=model.diff(steps) if steps else {},
    )


if __name__ == "__main__":
    main()
