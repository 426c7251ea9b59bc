#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converge any number of files, folders and links in one call."""

DOCUMENTATION = r"""
module: files
short_description: Converge many files, folders and links at once, each of them atomically
version_added: 0.1.0
author: The Multiverse OS authors (@multiverse-os)
description:
  - Writes each file under a temporary name in its own folder, syncs it and renames it, so that a reader sees the old
    content or the new one and a killed run leaves nothing half-written. Temporary files of a killed run are removed by
    the next one.
  - Never follows a symlink at a declared path, nor one on the way to it that another user could have made.
  - In an exclusive folder nothing undeclared stays. Symlinks and mount points in it are never followed or crossed;
    what is mounted there is left alone, its owner and mode included.
  - File contents stay out of the system log and of the reported arguments.
extends_documentation_fragment:
  - multiverse.router_controller.attributes
options:
  files:
    description: The declared files. Missing parent folders are an error; declare them too, in any order.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path, without C(..).
        type: str
        required: true
      state:
        description:
          - V(absent) removes a folder with all it holds, unless something is mounted below it.
          - Something of another kind in the way is an error outside of O(exclusive) folders; only a symlink gives way
            to a file of declared content or to another link.
        type: str
        choices: [file, directory, link, absent]
        default: file
      content:
        description:
          - The whole content, as text. Without it, O(files[].content_b64) and O(files[].lines), only owner, group and
            mode of a file that is there already are converged.
        type: raw
      content_b64:
        description: The whole content in base64, for anything that is not text.
        type: str
      lines:
        description: Lines that the file must hold. Missing ones are appended; all others stay as they are.
        type: list
        elements: str
        default: []
      lines_absent:
        description: Lines that the file must not hold.
        type: list
        elements: str
        default: []
      target:
        description: Where a link points to.
        type: str
      owner:
        description: Name or number of the owner. Default is to keep it; root for something new.
        type: str
      group:
        description: Name or number of the group. Default is to keep it; root for something new.
        type: str
      mode:
        description:
          - Four octal digits in quotes. Default is to keep the mode; C(0644) for a new file, C(0755) for a new folder.
        type: str
      dpkg_override:
        description:
          - V(true) registers owner, group and mode with C(dpkg-statoverride), so that package upgrades keep them.
          - V(false) removes such a registration. Default is to leave it alone.
        type: bool
      secret:
        description: Hide the content from the diff.
        type: bool
        default: false
  exclusive:
    description: Folders of ours in which nothing undeclared may stay. Folders of the system are refused.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Allow the bridges to the routers and keep the rights of the helper over upgrades
  multiverse.router_controller.files:
    files:
      - {path: /etc/qemu, state: directory}
      - {path: /etc/qemu/bridge.conf, lines: [include /etc/qemu/multiverse.conf]}
      - {path: /etc/qemu/multiverse.conf, content: "allow galaxy0\n", group: multiverse, mode: "0640"}
      - path: /usr/lib/qemu/qemu-bridge-helper
        owner: root
        group: multiverse
        mode: "4750"
        dpkg_override: true

- name: Converge a folder that holds nothing else
  multiverse.router_controller.files:
    exclusive: [/etc/multiverse/keys]
    files:
      - {path: /etc/multiverse/keys, state: directory, mode: "0700"}
      - {path: /etc/multiverse/keys/galaxy, content: "{{ galaxy_key }}", mode: "0600", secret: true}
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in the order of the changes.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The path.
      type: str
    what:
      description: Any of C(created), C(content), C(target), C(owner), C(group), C(mode), C(dpkg_override), C(replaced),
        C(removed), C(undeclared) and C(leftover).
      type: list
      elements: str
  sample: [{path: /etc/qemu/multiverse.conf, what: [content, mode]}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multiverse.router_controller.plugins.module_utils import files as model
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.file_converge import converge

FILE_OPTIONS = {
    "path": {"type": "str", "required": True},
    "state": {"type": "str", "choices": list(model.STATES), "default": "file"},
    "content": {"type": "raw"},
    "content_b64": {"type": "str"},
    "lines": {"type": "list", "elements": "str", "default": []},
    "lines_absent": {"type": "list", "elements": "str", "default": []},
    "target": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "dpkg_override": {"type": "bool"},
    "secret": {"type": "bool", "default": False},
}


class QuietModule(AnsibleModule):
    """An AnsibleModule that logs its call without its arguments: they hold whole files, keys among them."""

    def _log_invocation(self):
        self.log("Invoked")


def main():
    module = QuietModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS},
            "exclusive": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    files = module.params["files"]
    module.params["files"] = model.redact(files)  # what exit_json and fail_json report of the arguments
    try:
        changes = converge(files, module.params["exclusive"], module.check_mode)
    except MultiverseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=model.report(changes), diff=model.diff(changes))


if __name__ == "__main__":
    main()
