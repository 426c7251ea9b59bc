"""What the lab takes out of Debian packages, and where it puts it."""

import pathlib
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab" / "alpine"))

import alpine_debs  # noqa: E402
import alpine_elf  # noqa: E402


def elf(*names):
    """A minimal ELF file that needs the named libraries, loaded at an address that differs from its offset."""
    base = 0x400000
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    headers = 64 + 2 * 56
    entries, position = b"", 1
    for name in names:
        entries += struct.pack("<QQ", 1, position)
        position += len(name) + 1
    entries += struct.pack("<QQ", 5, base + headers) + struct.pack("<QQ", 0, 0)
    dynamic = headers + len(strings)
    size = dynamic + len(entries)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    table = struct.pack("<IIQQQQQQ", 2, 6, dynamic, base + dynamic, base + dynamic, len(entries), len(entries), 8)
    return header + load + table + strings + entries


@pytest.mark.parametrize(
    "version, expected",
    [
        ("1.0.6-2+deb12u2", "1.0.6-r0"),
        ("2.90-4~deb12u2", "2.90-r0"),
        ("1:7.2+dfsg-7+deb12u18+b3", "7.2-r0"),
        ("0.4.9.11-0+deb12u1", "0.4.9.11-r0"),
        ("1.0.20210914-1+b1", "1.0.20210914-r0"),
    ],
)
def test_apk_version(version, expected):
    assert alpine_debs.apk_version(version) == expected


def test_apk_version_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="'git2024'"):
        alpine_debs.apk_version("git2024")


@pytest.mark.parametrize(
    "control, expected",
    [
        ("", []),
        ("debconf (>= 0.5) | debconf-2.0, libc6 (>= 2.34), zlib1g (>= 1:1.1.4), adduser", ["libc6", "zlib1g"]),
        ("libssl3:any (>= 3.0.0), libfoo | libbar", ["libssl3", "libfoo"]),
    ],
)
def test_dependencies_are_libraries_only(control, expected):
    assert alpine_debs.dependencies(control) == expected


def test_file_names_of_apt():
    uris = "'http://mirror.example/pool/q_1%3a7.2_amd64.deb' q_1%3a7.2_amd64.deb 346272 SHA256:00\nW: something else\n"
    assert alpine_debs.file_names(uris) == ["q_1%3a7.2_amd64.deb"]


@pytest.mark.parametrize("names", [(), ("libc.so.6",), ("libm.so.6", "libc.so.6")])
def test_needed_libraries_of_an_elf_file(names):
    assert alpine_elf.needed(elf(*names)) == list(names)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(200)])
def test_other_files_need_nothing(data):
    assert alpine_elf.needed(data) == []


def test_closure_follows_libraries_and_their_links(tmp_path):
    directory = tmp_path / alpine_debs.LIBRARY_DIRECTORY
    directory.mkdir(parents=True)
    (directory / "liba.so.1.0").write_bytes(elf("libb.so.2"))
    (directory / "liba.so.1").symlink_to("liba.so.1.0")
    (directory / "libb.so.2").write_bytes(elf("liba.so.1"))
    program = tmp_path / "program"
    program.write_bytes(elf("liba.so.1"))
    pool = alpine_debs.Pool(tmp_path, tmp_path)
    assert pool.closure([program]) == {"liba.so.1", "libb.so.2"}
    assert pool.library("liba.so.1").name == "liba.so.1.0"


def test_a_library_of_this_machine_is_not_taken(tmp_path):
    unpacked = tmp_path / "unpacked"
    directory = unpacked / alpine_debs.LIBRARY_DIRECTORY
    directory.mkdir(parents=True)
    (tmp_path / "libhost.so.1").write_bytes(b"")
    (directory / "libhost.so.1").symlink_to(tmp_path / "libhost.so.1")
    with pytest.raises(SystemExit, match="no libhost.so.1"):
        alpine_debs.Pool(tmp_path, unpacked).library("libhost.so.1")


def test_share_puts_each_library_in_exactly_one_place():
    shared, own = alpine_debs.share({"a": {"libc", "libx"}, "b": {"libc", "liby"}, "c": set()})
    assert shared == {"libc"}
    assert own == {"a": {"libx"}, "b": {"liby"}, "c": set()}
