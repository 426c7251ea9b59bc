# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a router image is: its name, its inputs, and where the filesystem lies in a base image. Pure."""

import hashlib
import json
import struct

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

SECTOR = 512
EXT4_SUPERBLOCK = 1024
EXT4_MAGIC = b"\x53\xef"  # s_magic, offset 0x38: https://docs.kernel.org/filesystems/ext4/super.html
LINUX_GPT_TYPES = (
    "af3dc60f838472478e793d69d8477de4",  # Linux filesystem data
    "e3bc684fcde8b14d96e7fbcaf984b709",  # Linux root (x86-64)
)


class Image(object):
    """The three files of one router image, named by the hash of everything that went into them.

    A file under its final name is complete; the disk comes last, so a present disk means a present image.
    """

    def __init__(self, folder: str, digest: str):
        stem = "{0}/router-{1}".format(folder, digest)
        self.digest = digest
        self.disk = stem + ".raw"
        self.kernel = stem + ".vmlinuz"
        self.initrd = stem + ".initramfs"

    def to_result(self) -> dict:
        return {"hash": self.digest, "disk": self.disk, "kernel": self.kernel, "initrd": self.initrd}


def image_digest(base_sha512: str, packages: list, seed: dict) -> str:
    """The name of an image: 16 hex digits over the base image, the package set and our own files.

    :param base_sha512: hex digest of the base image file.
    :param packages: names of apk packages; order and repetition do not matter.
    :param seed: path -> mode and sha256 hex of every file of the build portal.
    """
    inputs = {"base": base_sha512.lower(), "packages": sorted(set(packages)), "seed": seed}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def first_word_digest(text: str, origin: str) -> str:
    """The digest in a checksum file, whichever of the usual forms it has (bare, or followed by a file name).

    :raises MultiverseError: when the first word is no SHA-512 in hex.
    """
    word = (text.split() or [""])[0].lower()
    if len(word) != 128 or set(word) - set("0123456789abcdef"):
        raise MultiverseError(
            "{0}: the first word is no SHA-512 in hex: {1!r}; set multiverse_alpine.sha512 to the "
            "image's own sum".format(origin, word[:20])
        )
    return word


def find_filesystem(read, size: int, origin: str) -> tuple:
    """(offset, length) in bytes of the one ext4 filesystem of a disk: the whole disk, or one of its partitions.

    :param read: function (offset, length) -> bytes.
    :param size: size of the disk in bytes.
    :param origin: what to call the disk in an error.
    :raises MultiverseError: when there is none, or more than one.
    """
    if _is_ext4(read, 0):
        return 0, size
    found = [(start, length) for start, length in partitions(read, size) if _is_ext4(read, start)]
    if len(found) != 1:
        raise MultiverseError(
            "{0}: expected one ext4 filesystem (bare, or in an MBR or GPT partition), found {1}; "
            "use an official Alpine cloud image for BIOS".format(origin, len(found))
        )
    return found[0]


def partitions(read, size: int) -> list:
    """(offset, length) in bytes of the Linux partitions of a disk (UEFI specification 2.10, chapter 5).

    The tables are the image's word only: what does not lie inside its `size` bytes is left out.
    """
    sector = read(0, SECTOR)
    if sector[510:512] != b"\x55\xaa":
        return []
    entries = [struct.unpack("<BxxxBxxxII", sector[446 + 16 * i : 462 + 16 * i]) for i in range(4)]
    if any(kind == 0xEE for _flag, kind, _start, _length in entries):
        found = _gpt_partitions(read, size)
    else:
        found = [(start, length) for _flag, kind, start, length in entries if kind == 0x83]
    return [
        (start * SECTOR, length * SECTOR)
        for start, length in found
        if start > 0 and length > 0 and (start + length) * SECTOR <= size
    ]


def _gpt_partitions(read, size):
    header = read(SECTOR, SECTOR)
    if len(header) < SECTOR or header[:8] != b"EFI PART":
        return []
    table, count, width = struct.unpack("<QII", header[72:88])
    if not 128 <= width <= 4096 or count > 1024 or table * SECTOR + count * width > size:
        return []
    found = []
    for index in range(count):
        entry = read(table * SECTOR + index * width, 48)
        if len(entry) == 48 and entry[:16].hex() in LINUX_GPT_TYPES:
            first, last = struct.unpack("<QQ", entry[32:48])
            found.append((first, last - first + 1))
    return found


def _is_ext4(read, start: int) -> bool:
    return read(start + EXT4_SUPERBLOCK + 0x38, 2) == EXT4_MAGIC
