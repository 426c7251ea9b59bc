# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge of `images`: which images are missing, and getting them."""

import os
import pwd

from ansible_collections.multiverse.router_controller.plugins.module_utils import acceleration
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.image_build import Build, seed_of
from ansible_collections.multiverse.router_controller.plugins.module_utils.image_store import BaseImage
from ansible_collections.multiverse.router_controller.plugins.module_utils.images import Image, image_digest
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change, Plan


class Images(object):
    """The images a set of routers needs. `arguments` are those of the module `images`."""

    def __init__(self, arguments: dict):
        self._folder = arguments["image_folder"]
        self._portal = arguments["portal"]
        self._user = arguments["user"]
        self._uri = arguments["uri"]
        self._timeout = arguments["timeout"]
        self._requested = arguments["acceleration"]
        self._packages = {router["name"]: tuple(sorted(set(router["packages"]))) for router in arguments["routers"]}
        self._base = BaseImage(arguments["base_folder"], arguments["source"], arguments["sha512"])

    def plan(self) -> Plan:
        """What is missing: the base image, and one image for each distinct package set."""
        digest = self._base.sha512
        changes = (
            []
            if digest
            else [Change("image", os.path.basename(self._base.path), "base", None, self._base.source, "live")]
        )
        for packages in self._sets():
            image = self._image(packages)
            if image is None or not os.path.exists(image.disk):
                changes.append(
                    Change(
                        "image",
                        os.path.basename(image.disk) if image else "router image",
                        "packages",
                        None,
                        list(packages),
                        "live",
                    )
                )
        return Plan(changes)

    def apply(self, connection) -> None:
        """Fetch the base image and build what is missing.

        :raises MultiverseError: see BaseImage.fetch and Build.run.
        """
        entry = self._owner()
        if entry is None:
            raise MultiverseError("user {0} does not exist; the role storage creates it".format(self._user))
        owner = (entry.pw_uid, entry.pw_gid)
        if self._base.sha512 is None:
            self._base.fetch(entry.pw_gid)
        for packages in self._sets():
            image = self._image(packages)
            if not os.path.exists(image.disk):
                Build(connection, image, list(packages), self._portal, owner, self._acceleration()).run(
                    self._base.path, self._timeout
                )

    def to_result(self) -> dict:
        """Per router its image, and the acceleration that VMs run with."""
        images = {name: self._image(packages) for name, packages in self._packages.items()}
        decided = self._acceleration()
        return {
            "images": {name: image.to_result() for name, image in images.items() if image},
            "acceleration": {"accel": decided.accel, "cpu": decided.cpu, "warning": decided.warning},
        }

    def _sets(self):
        return sorted(set(self._packages.values()))

    def _image(self, packages):
        """The image of a package set, or None while its name cannot be known."""
        if self._base.sha512 is None or not os.path.isdir(self._portal):
            return None
        return Image(self._folder, image_digest(self._base.sha512, packages, seed_of(self._portal)))

    def _acceleration(self):
        # A user that does not exist yet (a preview of a bare machine) is not asked for its rights.
        session = self._uri.startswith("qemu:///session") and self._owner()
        return acceleration.read(self._requested, self._user if session else None)

    def _owner(self):
        try:
            return pwd.getpwnam(self._user)
        except KeyError:
            return None
