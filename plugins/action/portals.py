# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the portal folders on the controller and converges them on universe in one module call."""

from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.portal import (
    BUILD_PORTAL,
    PortalError,
    Portals,
    mounts,
)
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.natives import natives


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = natives(self._task.args)
        topology = arguments["topology"]
        roles = Path(__file__).resolve().parents[2] / "roles"
        portals = Portals(roles / "portal", roles / "routers")
        pool = next(pool["path"] for pool in topology["pools"] if pool["name"] == "network-controller")
        build = "{0}/{1}".format(pool, BUILD_PORTAL)
        try:
            entries = portals.build(topology, build)
            for router in topology["routers"]:
                folder = self._base_files(router, task_vars or {})
                entries += portals.router(router, topology, arguments["packages"], folder)
        except PortalError as error:
            raise AnsibleActionFail(str(error)) from error
        files = self._module(
            "files",
            task_vars,
            files=entries,
            exclusive=[build] + [router["portal"]["path"] for router in topology["routers"]],
        )
        if files.get("failed"):
            return dict(result, **files)
        mounted = self._module("mounts", task_vars, mounts=mounts(topology["routers"], arguments.get("host_share")))
        if mounted.get("failed"):
            return dict(result, **mounted)
        return dict(
            result,
            changed=files["changed"] or mounted["changed"],
            diff=files["diff"] + mounted["diff"],
            rendered=[change["path"] for change in files["changes"]],
            mounts=mounted["changes"],
            warnings=mounted.get("warnings", []),
        )

    def _module(self, name, task_vars, **arguments):
        return self._execute_module(
            module_name="multiverse.router_controller." + name, module_args=arguments, task_vars=task_vars
        )

    def _base_files(self, router, task_vars):
        """The router's base_files on the controller: relative to the inventory, else to the playbook."""
        if not router["base_files"]:
            return None
        places = [task_vars.get("inventory_dir"), self._loader.get_basedir()]
        candidates = [Path(place, router["base_files"]) for place in places if place]
        for candidate in candidates:
            if candidate.is_dir():
                return candidate
        raise PortalError(
            "router {0}: base_files {1!r} is no folder; looked for {2}".format(
                router["name"], router["base_files"], " and ".join(str(candidate) for candidate in candidates)
            )
        )
