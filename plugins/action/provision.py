# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls the module `provision` until every router is done, and says how far each one is meanwhile."""

from ansible.plugins.action import ActionBase
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.natives import natives


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = natives(self._task.args)
        shown = {}
        while True:
            done = self._execute_module(
                module_name="multiverse.router_controller.provision", module_args=arguments, task_vars=task_vars
            )
            # The module ends every call within seconds; how long to go on is its decision (timeout).
            if done.get("failed") or done.get("finished"):
                result.update(done)
                return result
            arguments["progress"] = natives(done["progress"])
            self._show(arguments["progress"], shown)

    def _show(self, progress, shown):
        for name, entry in sorted(progress.items()):
            line = f"  {name}: {entry['phase']}: {entry['message']}"
            if shown.get(name) != line:
                self._display.display(line)
                shown[name] = line
