# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action `topology`: reads universe's routes, builds the topology on the controller, reports everything wrong."""

from ansible.plugins.action import ActionBase

try:
    from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build
    from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.natives import natives
    from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.problems import Problem, show
    from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.universe import COMMAND, parse

    MISSING = None
except ImportError as error:
    MISSING = error

MOST_SHOWN = 100  # problems in one message


class ActionModule(ActionBase):
    """Runs on the controller. On universe it only looks, so check mode makes no difference."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if MISSING:
            return dict(
                result,
                failed=True,
                msg=f"The topology needs the Python package netaddr on the controller, "
                f"where Ansible itself is installed: pip install netaddr ({MISSING}).",
            )
        universe, problems = self._universe()
        topology, found = build(natives(self._task.args), universe)
        problems += found
        if problems:
            return dict(result, failed=True, msg=message(problems))
        return dict(result, changed=False, ansible_facts={"multiverse_topology": topology})

    def _universe(self):
        """What universe already has, and the problem, if any, of finding out."""
        done = self._low_level_execute_command(COMMAND)
        if done.get("rc") == 0:
            return parse(done.get("stdout", "")), []
        said = done.get("stderr") or done.get("stdout") or ""
        return {}, [
            Problem(
                "universe",
                "routes",
                show(said.strip()),
                "is what came back instead of its routes",
                "see that iproute2 is installed there",
            )
        ]


def message(problems):
    """All problems as one message, a line each."""
    lines = [f"- {problem}" for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        lines.append(f"- and {len(problems) - MOST_SHOWN} more")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The topology has {count}; nothing was changed:", *lines])
