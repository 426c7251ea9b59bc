# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge of `routers`: every router's disk and domain as declared, started in the order of their dependencies."""

import pwd
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.multiverse.router_controller.plugins.module_utils import (
    bridge_ports,
    domain_converge,
    domain_plan,
    domain_xml,
    domains,
)
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import explained
from ansible_collections.multiverse.router_controller.plugins.module_utils.overlays import Overlay
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change, Plan

# https://gitlab.alpinelinux.org/alpine/mkinitfs: modules=, overlaytmpfs= are options of Alpine's initramfs.
_KERNEL = "root=/dev/vda rootfstype=ext4 console=ttyS0 quiet panic=10 multiverse.portal={tag} modules=ext4,virtio_blk"
_PERSISTENT = " rw"
_EPHEMERAL = ",overlay ro overlaytmpfs=yes"

#: One router on its way: what is declared, what is there, and what would change.
Task = namedtuple("Task", "router desired overlay image state plan")


def desired_domain(
    router: dict, image: dict, overlay: Overlay, acceleration: dict, console: str, multidevs: str
) -> domains.Domain:
    """The VM of one router of the topology. An ephemeral one runs on the read-only image, changes go to memory."""
    if router["ephemeral"]:
        disk = {"path": image["disk"], "format": "raw", "read_only": True}
    else:
        disk = {"path": overlay.path, "format": "qcow2"}
    return domains.router(
        name=router["name"],
        accel=acceleration["accel"],
        cpu=acceleration["cpu"],
        memory=router["memory"],
        kernel=image["kernel"],
        initrd=image["initrd"],
        cmdline=_KERNEL.format(tag=router["portal"]["tag"]) + (_EPHEMERAL if router["ephemeral"] else _PERSISTENT),
        disks=[disk],
        interfaces=[
            {"mac": side["mac"], "bridge": side["network"]} for side in (router["upstream"], router["downstream"])
        ],
        share={
            "path": router["portal"]["path"],
            "tag": router["portal"]["tag"],
            "multidevs": multidevs if router["links"] else "default",
        },
        console_log="{0}/{1}.log".format(console, router["name"]),
    )


class Routers(object):
    """All routers over one libvirt connection. `arguments` are those of the module `routers`.

    :param connection: open libvirt connection, or None in the preview of a machine without libvirt.
    """

    def __init__(self, connection, arguments: dict):
        self._connection = connection
        self._arguments = arguments
        self._tasks = [self._task(router) for router in arguments["routers"]]

    @property
    def plan(self) -> Plan:
        return Plan(change for task in self._tasks for change in task.plan)

    def apply(self) -> None:
        """Carry the plan out, stage by stage; routers of one stage at the same time. Verifies every router.

        :raises MultiverseError: naming each failed router; the others of its stage are done, later stages not begun.
        """
        for stage in sorted({task.router["stage"] for task in self._tasks}):
            tasks = [task for task in self._tasks if task.router["stage"] == stage]
            with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
                outcomes = [pool.submit(self._converge, task) for task in tasks]
            errors = [(task.router["name"], outcome.exception()) for task, outcome in zip(tasks, outcomes)]
            for _name, error in errors:
                if error is not None and not isinstance(error, MultiverseError):
                    raise error  # a bug keeps its traceback
            messages = [_named(name, str(error)) for name, error in errors if error is not None]
            if messages:
                raise MultiverseError("\n".join(messages))

    def plan_removal(self) -> Plan:
        """What it takes to remove the routers that are no longer declared: their domains. Disks and portals stay."""
        return Plan(Change("router", name, "state", "defined", "absent", "recreate") for name in self.undeclared())

    def remove(self, plan: Plan) -> None:
        """Carry out a `plan_removal`."""
        for change in plan:
            domain_converge.remove(self._connection, change.name)

    def undeclared(self) -> list:
        """Names of domains of ours that no router of the topology stands for."""
        declared = {task.router["name"] for task in self._tasks}
        with explained("listing the domains"):
            found = self._connection.listAllDomains() if self._connection else []
            return sorted(
                domain.name()
                for domain in found
                if domain.name() not in declared and domain_xml.is_ours(domain.XMLDesc(0))
            )

    def _task(self, router):
        name = router["name"]
        overlay = Overlay(self._arguments["overlay_folder"], name)
        image = self._arguments["images"].get(name)
        if image is None:  # only in check mode, before there is anything to name the image by
            return Task(
                router,
                None,
                overlay,
                None,
                None,
                Plan([Change("router", name, "state", None, "running, from a new image", "live")]),
            )
        multidevs = domain_converge.multidevs(self._connection) if self._connection else "remap"
        desired = desired_domain(
            router, image, overlay, self._arguments["acceleration"], self._arguments["console_folder"], multidevs
        )
        state = domain_converge.read(self._connection, name)
        recreate = [] if router["ephemeral"] else overlay.plan(image["disk"])
        return Task(
            router,
            desired,
            overlay,
            image,
            state,
            domain_plan.plan(desired, state and state.current, recreate=recreate),
        )

    def _converge(self, task):
        if not task.plan:
            return
        current = task.state and task.state.current
        steps = domain_plan.steps(task.desired, current, task.plan)
        fresh = any(change.field == "disk.image" for change in task.plan)
        domain_converge.apply(
            self._connection,
            task.desired,
            task.state,
            steps,
            on_stopped=lambda: self._make_overlay(task) if fresh else None,
        )
        state = domain_converge.verify(self._connection, task.desired)
        for port in state.current.ports:
            bridge_ports.silence(port.tap)

    def _make_overlay(self, task):
        owner = pwd.getpwnam(self._arguments["user"])
        task.overlay.create(task.image["disk"], owner.pw_uid, owner.pw_gid)


def _named(router, message):
    return message if "router " + router in message else "router {0}: {1}".format(router, message)
