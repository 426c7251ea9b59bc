# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of the collection promises."""


class ModuleDocFragment(object):
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts exactly the changes of a run and makes none of them.
    support: full
  diff_mode:
    description: Shows every changed field before and after, object by object.
    support: full
  idempotent:
    description: A second run over the same input changes nothing.
    support: full
"""
