# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Base images on disk: taken from a mirror or a file, verified, and never under their name before they are complete."""

import glob
import hashlib
import os
import tempfile
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.images import first_word_digest

BLOCK = 1024 * 1024
MAX_SIZE = 8 * 1024**3


class BaseImage(object):
    """One image of the pool base-images: `path`, and beside it `path`.sha512 with the sum it was verified against."""

    def __init__(self, folder: str, source: str, sha512):
        """:param source: URL, or path on universe. :param sha512: hex, or None to ask for `source`.sha512."""
        self.source = source
        self.path = os.path.join(folder, os.path.basename(urlsplit(source).path))
        self._sum_file = self.path + ".sha512"
        self._declared = sha512.lower() if sha512 else None

    @property
    def sha512(self):
        """The sum of the image in the pool, or None while the wanted one is not there."""
        try:
            with open(self._sum_file) as file:
                present = file.read().split()[0]
        except (FileNotFoundError, IndexError):
            return None
        if not os.path.exists(self.path) or self._declared not in (None, present):
            return None
        return present

    def fetch(self, group: int):
        """Bring the image into the pool, readable for `group` only.

        :raises MultiverseError: when it cannot be had, or is not what its sum says.
        """
        expected = self._declared or self._published_sum()
        folder = os.path.dirname(self.path)
        for leftover in glob.glob(os.path.join(glob.escape(folder), ".fetch.*")):
            os.unlink(leftover)  # of a run that was killed
        handle, temporary = tempfile.mkstemp(prefix=".fetch.", dir=folder)
        try:
            with os.fdopen(handle, "wb") as target, self._open(self.source) as source:
                found = _copy(source, target, self.source)
            if found != expected:
                raise MultiverseError(
                    "{0}: the SHA-512 is {1}..., expected {2}... from {3}; the download was thrown away".format(
                        self.source,
                        found[:16],
                        expected[:16],
                        "multiverse_alpine.sha512" if self._declared else self.source + ".sha512",
                    )
                )
            os.chown(temporary, 0, group)
            os.chmod(temporary, 0o440)
            if os.path.exists(self._sum_file):
                os.unlink(self._sum_file)  # before: it must never stand beside an image that it is not the sum of
            os.rename(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        _write(self._sum_file, expected + "\n", group)

    def _published_sum(self):
        origin = self.source + ".sha512"
        with self._open(origin) as file:
            return first_word_digest(file.read(4096).decode("ascii", "replace"), origin)

    def _open(self, source):
        try:
            return open_url(source, timeout=60) if "://" in source else open(source, "rb")
        except Exception as error:  # urllib, ssl, socket and OS errors alike: there is one thing to say
            raise _unreadable(source, error) from error


def _read(source, name):
    try:
        return source.read(BLOCK)
    except Exception as error:  # a connection that breaks off, in whatever way
        raise _unreadable(name, error) from error


def _unreadable(source, error):
    return MultiverseError(
        "{0} cannot be read: {1}; check multiverse_alpine and multiverse_alpine_mirror".format(source, error)
    )


def _copy(source, target, name):
    digest, size = hashlib.sha512(), 0
    for block in iter(lambda: _read(source, name), b""):
        size += len(block)
        if size > MAX_SIZE:
            raise MultiverseError(
                "{0} is larger than {1} GiB; that is no Alpine image".format(name, MAX_SIZE // 1024**3)
            )
        digest.update(block)
        target.write(block)
    target.flush()
    os.fsync(target.fileno())
    return digest.hexdigest()


def _write(path, text, group):
    temporary = path + ".new"
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chown(temporary, 0, group)
    os.chmod(temporary, 0o440)
    os.rename(temporary, path)
