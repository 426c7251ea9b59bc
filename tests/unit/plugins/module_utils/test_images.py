"""Names of images, forms of checksum files, and where a filesystem lies in disks both honest and hostile."""

import io
import struct

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.images import (
    LINUX_GPT_TYPES,
    Image,
    find_filesystem,
    first_word_digest,
    image_digest,
    partitions,
)
from hypothesis import given
from hypothesis import strategies as st

BASE = "ab" * 64
SEED = {"build": "755 " + "1" * 64, "image/etc/inittab": "644 " + "2" * 64}
MIB = 1024 * 1024
NAMES = st.lists(st.sampled_from(["dnsmasq", "nftables", "tor", "openvpn"]))


# --- names ------------------------------------------------------------------------------------------------------------


@given(NAMES, st.randoms())
def test_order_and_repetition_of_packages_do_not_matter(packages, random):
    shuffled = packages * 2
    random.shuffle(shuffled)
    assert image_digest(BASE, shuffled, SEED) == image_digest(BASE.upper(), packages, SEED)


@given(NAMES, NAMES)
def test_other_packages_are_another_image(one, other):
    same = image_digest(BASE, one, SEED) == image_digest(BASE, other, SEED)
    assert same == (set(one) == set(other))


@pytest.mark.parametrize(
    "base, packages, seed",
    [
        ("cd" * 64, ["tor"], SEED),
        (BASE, [], SEED),
        (BASE, ["tor", "dnsmasq"], SEED),
        (BASE, ["tor"], {}),
        (BASE, ["tor"], dict(SEED, build="755 " + "3" * 64)),
        (BASE, ["tor"], dict(SEED, build="644 " + "1" * 64)),
        (BASE, ["tor"], dict(SEED, keys="644 " + "1" * 64)),
    ],
    ids=["base", "no package", "more packages", "no seed", "content", "mode", "more files"],
)
def test_every_input_counts(base, packages, seed):
    assert image_digest(base, packages, seed) != image_digest(BASE, ["tor"], SEED)


def test_an_image_is_three_files_named_by_its_hash():
    assert Image("/os", "0123").to_result() == {
        "hash": "0123",
        "disk": "/os/router-0123.raw",
        "kernel": "/os/router-0123.vmlinuz",
        "initrd": "/os/router-0123.initramfs",
    }


# --- checksum files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        BASE + "\n",
        BASE.upper(),
        BASE + "  alpine.qcow2\n",
        BASE + " *alpine.qcow2\r\n",
        "\n\t" + BASE + "\tx",
    ],
    ids=["bare", "line", "upper", "sha512sum", "binary", "spaces"],
)
def test_the_usual_forms_of_a_checksum(text):
    assert first_word_digest(text, "x") == BASE


@pytest.mark.parametrize(
    "text",
    ["", " \n", BASE[:-1], BASE + "a", "g" + BASE[1:], "<html>404</html>", "٣" * 128],
    ids=["empty", "blank", "short", "long", "not hex", "a page", "other digits"],
)
def test_what_is_no_checksum_is_an_error_with_its_origin(text):
    with pytest.raises(
        MultiverseError, match="^http://m/x.sha512: the first word is no SHA-512.*set multiverse_alpine"
    ):
        first_word_digest(text, "http://m/x.sha512")


# --- disks ------------------------------------------------------------------------------------------------------------


class Disk:
    """A sparse disk of 4 MiB: only what is written to it exists."""

    def __init__(self, size=4 * MIB):
        self.data = bytearray(size)

    def put(self, offset, data):
        self.data[offset : offset + len(data)] = data
        return self

    def ext4(self, offset):
        return self.put(offset + 1024 + 0x38, b"\x53\xef")

    def mbr(self, *entries):
        for number, (kind, start, length) in enumerate(entries):
            self.put(446 + 16 * number, struct.pack("<BxxxBxxxII", 0, kind, start, length))
        return self.put(510, b"\x55\xaa")

    def gpt(self, *entries, table=2, count=128, width=128):
        self.mbr((0xEE, 1, 8191))
        self.put(512, b"EFI PART").put(512 + 72, struct.pack("<QII", table, count, width))
        for number, (kind, first, last) in enumerate(entries):
            self.put(1024 + width * number, bytes.fromhex(kind).ljust(32, b"\1") + struct.pack("<QQ", first, last))
        return self

    def find(self):
        file = io.BytesIO(bytes(self.data))

        def read(offset, length):
            file.seek(offset)  # refuses what no file can have: the code must not ask for it
            return file.read(length)

        return find_filesystem(read, len(self.data), "disk.img")


DATA, ROOT = LINUX_GPT_TYPES
EFI = "28732ac11ff8d211ba4b00a0c93ec93b"


@pytest.mark.parametrize(
    "disk, expected",
    [
        (Disk().ext4(0), (0, 4 * MIB)),
        (Disk().ext4(0).mbr((0x83, 2048, 2048)).ext4(MIB), (0, 4 * MIB)),
        (Disk().mbr((0x83, 2048, 2048)).ext4(MIB), (MIB, MIB)),
        (Disk().mbr((0x82, 64, 64), (0xEF, 128, 64), (0x83, 2048, 6144)).ext4(MIB), (MIB, 3 * MIB)),
        (Disk().mbr((0x83, 64, 64), (0x83, 2048, 2048)).ext4(MIB), (MIB, MIB)),
        (Disk().gpt((EFI, 64, 127), (DATA, 2048, 4095)).ext4(MIB), (MIB, MIB)),
        (Disk().gpt((ROOT, 2048, 8191), width=256).ext4(MIB), (MIB, 3 * MIB)),
        (Disk().gpt((EFI, 64, 127), (DATA, 2048, 4095)).ext4(64 * 512).ext4(MIB), (MIB, MIB)),
    ],
    ids=[
        "bare",
        "bare with a boot sector",
        "MBR",
        "MBR among others",
        "MBR, one without ext4",
        "GPT",
        "GPT, root type",
        "GPT, ext4 of a foreign type",
    ],
)
def test_the_one_filesystem_is_found(disk, expected):
    assert disk.find() == expected


HUGE = 2**64 - 1


@pytest.mark.parametrize(
    "disk, found",
    [
        (Disk(), 0),
        (Disk(0), 0),
        (Disk(100), 0),
        (Disk(512).mbr((0x83, 2048, 2048)), 0),
        (Disk().mbr((0x83, 2048, 2048), (0x83, 4096, 2048)).ext4(MIB).ext4(2 * MIB), 2),
        (Disk().mbr((0x83, 2048, 2048), (0x83, 2048, 2048)).ext4(MIB), 2),
        (Disk().mbr((0x83, 2048, 6145)).ext4(MIB), 0),
        (Disk().mbr((0x83, 2048, 0)).ext4(MIB), 0),
        (Disk().mbr((0x83, 2**32 - 1, 2**32 - 1)), 0),
        (Disk().gpt((DATA, 2048, 4095), (ROOT, 4096, 8191)).ext4(MIB).ext4(2 * MIB), 2),
        (Disk().gpt((DATA, 2048, 8192)).ext4(MIB), 0),
        (Disk().gpt((DATA, 4096, 2048)).ext4(2 * MIB), 0),
        (Disk().gpt((DATA, HUGE, HUGE)), 0),
        (Disk().gpt((DATA, HUGE, 0)), 0),
        (Disk().gpt((DATA, 2**60, 0)), 0),
        (Disk().gpt((DATA, 2048, 4095), table=HUGE).ext4(MIB), 0),
        (Disk().gpt((DATA, 2048, 4095), table=8190).ext4(MIB), 0),
        (Disk().gpt((DATA, 2048, 4095), count=2**32 - 1).ext4(MIB), 0),
        (Disk().gpt((DATA, 2048, 4095), width=2**32 - 1).ext4(MIB), 0),
        (Disk().gpt((DATA, 2048, 4095), width=0).ext4(MIB), 0),
        (Disk().gpt((DATA, 2048, 4095)).put(512, b"EFI FART").ext4(MIB), 0),
        (Disk(520).mbr((0xEE, 1, 1)).put(512, b"EFI PART"), 0),
    ],
    ids=[
        "blank",
        "empty",
        "shorter than a sector",
        "a sector",
        "MBR, two",
        "MBR, one twice",
        "MBR, past the end",
        "MBR, no length",
        "MBR, far away",
        "GPT, two",
        "GPT, past the end",
        "GPT, backwards",
        "GPT, far away",
        "GPT, far and backwards",
        "GPT, huge and backwards",
        "GPT, table far away",
        "GPT, table past the end",
        "GPT, too many",
        "GPT, too wide",
        "GPT, no width",
        "GPT, no signature",
        "GPT, cut off",
    ],
)
def test_none_or_two_filesystems_are_an_error(disk, found):
    with pytest.raises(
        MultiverseError, match="^disk.img: expected one ext4 filesystem .*, found {}; use".format(found)
    ):
        disk.find()


@given(st.binary(max_size=2048), st.booleans())
def test_no_table_leads_out_of_the_disk(data, gpt):
    disk = Disk(8192).put(446, data)
    disk.put(510, b"\x55\xaa")
    if gpt:
        disk.put(450, b"\xee").put(512, b"EFI PART").put(584, struct.pack("<QII", 2, 8, 128))
        for number in range(8):
            disk.put(1024 + 128 * number, bytes.fromhex(DATA))
    for start, length in partitions(lambda offset, count: bytes(disk.data[offset : offset + count]), 8192):
        assert 0 < start < start + length <= 8192
