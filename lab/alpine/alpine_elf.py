"""Which shared libraries an ELF file asks for, read from the file itself: nothing is ever run (as ldd would)."""

import struct

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<QQ")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


def is_elf(data):
    """True for a 64-bit little-endian ELF file, the only kind on x86_64."""
    return data[:6] == b"\x7fELF\x02\x01"


def needed(data):
    """The names (``libc.so.6``) in an ELF file's DT_NEEDED entries, in order; [] for a static or a non-ELF file.

    data: the whole file as bytes.
    """
    if not is_elf(data):
        return []
    header = _HEADER.unpack_from(data)
    start, size, count = header[5], header[9], header[10]
    segments = [_SEGMENT.unpack_from(data, start + index * size) for index in range(count)]
    dynamic = [segment for segment in segments if segment[0] == _PT_DYNAMIC]
    if not dynamic:
        return []
    entries = list(_entries(data, dynamic[0][2]))
    tables = [_offset(segments, value) for tag, value in entries if tag == _DT_STRTAB]
    return [_string(data, tables[0] + value) for tag, value in entries if tag == _DT_NEEDED]


def _entries(data, offset):
    while True:
        tag, value = _DYNAMIC.unpack_from(data, offset)
        if tag == _DT_NULL:
            return
        yield tag, value
        offset += _DYNAMIC.size


def _offset(segments, address):
    """Turn a virtual address into an offset in the file."""
    for kind, _flags, offset, start, _physical, size, _memory, _align in segments:
        if kind == _PT_LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError("ELF address 0x{:x} lies in no loaded segment".format(address))


def _string(data, offset):
    return data[offset : data.index(b"\0", offset)].decode("ascii")
