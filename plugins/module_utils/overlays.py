# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disk of a router: a thin qcow2 overlay on its image. One that no longer fits is set aside, never removed."""

import os
import struct
import subprocess

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.plan import Change

QCOW2_MAGIC = b"QFI\xfb"


def backing_file(header: bytes, path: str) -> str:
    """The backing file a qcow2 header names; empty for none (https://www.qemu.org/docs/master/interop/qcow2.html).

    :param header: the first cluster of the file at `path`.
    :raises MultiverseError: for what is no qcow2 file.
    """
    if len(header) < 72 or header[:4] != QCOW2_MAGIC:
        raise MultiverseError("{0} is no qcow2 image; move it away and the next run makes a new one".format(path))
    offset, length = struct.unpack(">QI", header[8:20])
    return header[offset : offset + length].decode("utf-8", "replace") if offset else ""


#: Extended attribute of an overlay: when its image was built, in ns.
IMAGE_BUILT = "user.multiverse.image_built"


def _built(image):
    return str(os.stat(image).st_mtime_ns).encode("ascii")


def _note_image(overlay, image):
    try:
        os.setxattr(overlay, IMAGE_BUILT, _built(image), follow_symlinks=False)
    except OSError:  # a file system without extended attributes
        pass


class Overlay(object):
    """The overlay of one router in the pool portal-images."""

    def __init__(self, folder: str, router: str):
        self._router = router
        self.path = "{0}/{1}.qcow2".format(folder, router)

    def plan(self, image: str) -> list:
        """[] when the overlay is there and stands on `image`, else one Change."""
        try:
            with open(self.path, "rb") as file:
                backing = backing_file(file.read(65536), self.path)
        except FileNotFoundError:
            backing = None
        if backing == image:
            if not self._stands_on_another(image):
                return []
            backing += " as it was before it was built again"
        return [Change("router", self._router, "disk.image", backing, image, "recreate")]

    def create(self, image: str, uid: int, gid: int) -> None:
        """Put an empty overlay on `image` in place; the former one stays beside it as PATH.before-N."""
        temporary = self.path + ".new"
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, temporary]

        def as_owner():
            # The folder is that user's: what it left there must not lead root astray.
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            os.umask(0o077)

        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, preexec_fn=as_owner
        )
        output, _unused = process.communicate()
        if process.returncode:
            raise MultiverseError("router {0}: {1} failed: {2}".format(self._router, " ".join(command), output.strip()))
        _note_image(temporary, image)
        if os.path.exists(self.path):
            os.rename(self.path, self._aside())
        os.rename(temporary, self.path)

    def _stands_on_another(self, image):
        """Was the image built again under its name after this overlay was made on it? Its blocks would not match.

        An image that is missing is about to be built again. An overlay that does not tell is taken as it is.
        """
        try:
            known = os.getxattr(self.path, IMAGE_BUILT, follow_symlinks=False)
        except OSError:
            return False
        return not os.path.exists(image) or known != _built(image)

    def _aside(self):
        number = 1
        while os.path.exists("{0}.before-{1}".format(self.path, number)):
            number += 1
        return "{0}.before-{1}".format(self.path, number)
