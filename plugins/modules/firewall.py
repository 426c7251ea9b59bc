#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge whole nftables tables and the script that loads them at boot."""

DOCUMENTATION = r"""
module: firewall
short_description: Converge nftables tables, live and in the file that is loaded at boot
version_added: 0.1.0
author: The Multiverse OS authors (@multiverse-os)
description:
  - Compares the tables of the kernel with what the script means and loads the script, in one transaction, only if they
    differ. Somebody's C(nft add rule) in one of our tables is found and undone; tables of others are never touched.
  - What a script means is found out by loading it into an empty network namespace, so a mistake shows in check mode
    already and before anything is changed.
  - Counters, handles and the way a rule is spelled make no difference.
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  path:
    description: Where the script is kept. Loading it at boot is up to a service.
    type: path
    required: true
  content:
    description:
      - The nft script. For each of its tables it reads C(add table X), C(delete table X), C(table X { ... }), which nft
        carries out as one replacement. It must not touch other tables or include files.
      - Required with O(state=present).
    type: str
  tables:
    description: Exactly the tables that the script makes, each as a list of family and name.
    type: list
    elements: list
    required: true
  state:
    description: V(absent) removes the tables and the script.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Needs nft 0.7 or newer and C(unshare) of util-linux. With nft 0.7 (Debian 9) a set with elements that time out
    cannot be compared, and the names of priorities (C(filter), C(raw)) are not known - write numbers.
"""

EXAMPLES = r"""
- name: Keep universe out of a network
  multiverse.router_controller.firewall:
    path: /etc/multiverse/firewall.nft
    tables: [[arp, multiverse]]
    content: |
      add table arp multiverse
      delete table arp multiverse
      table arp multiverse {
          chain input {
              type filter hook input priority 0; policy accept;
              iifname "galaxy0" drop
          }
      }
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{table: arp multiverse, what: [rules]}, {path: /etc/multiverse/firewall.nft, what: [content]}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils import files, firewall, firewall_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "tables": {"type": "list", "elements": "list", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["content"])],
        supports_check_mode=True,
    )
    path, tables = module.params["path"], module.params["tables"]
    try:
        if module.params["state"] == "absent":
            result = firewall_converge.remove(path, tables, module.check_mode)
        else:
            result = firewall_converge.converge(path, module.params["content"], tables, module.check_mode, module.warn)
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    changes, differing, live, wanted = result
    module.exit_json(
        changed=bool(changes or differing),
        changes=[{"table": "%s %s" % table, "what": ["rules"]} for table in differing] + files.report(changes),
        diff=firewall.diff(live, wanted, differing) + files.diff(changes),
    )


if __name__ == "__main__":
    main()
