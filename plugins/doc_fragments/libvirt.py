# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules have in common that talk to libvirt."""


class ModuleDocFragment(object):
    DOCUMENTATION = r"""
options:
  absent:
    description:
      - Names of objects to remove.
      - Those that do not exist, and those that this collection did not make, are passed over.
    type: list
    elements: str
    default: []
requirements:
  - python3-libvirt, libvirt 3.0 or later
notes:
  - Runs as root on the machine that it converges.
  - An object of a declared name that this collection did not make is an error and stays untouched.
  - In check mode a machine without libvirt counts as one whose libvirt has no objects yet, with a warning.
"""
