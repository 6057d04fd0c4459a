# SPDX-License-Identifier: GPL-2.0-or-later
"""A CD's image (ECMA-119, ISO 9660) with files in its root, as small as it can be."""
import struct

SECTOR = 2048


def both16(n):
    return struct.pack("<H", n) + struct.pack(">H", n)


def both32(n):
    return struct.pack("<I", n) + struct.pack(">I", n)


def record(name, sector, size, directory=False):
    """9.1: a directory's entry."""
    length = 33 + len(name) + (len(name) + 1) % 2
    date = bytes([126, 1, 1, 0, 0, 0, 0])
    return (bytes([length, 0]) + both32(sector) + both32(size) + date + bytes([2 if directory else 0, 0, 0]) + both16(1) +
            bytes([len(name)]) + name).ljust(length, b"\0")


def descriptor(root, sectors):
    """8.4: the primary volume descriptor."""
    d = b"\1CD001\1\0" + b" " * 32 + b"MENURA".ljust(32) + bytes(8) + both32(sectors) + bytes(32) + both16(1) + both16(1) + both16(SECTOR)
    d += both32(10) + struct.pack("<II", 18, 0) + struct.pack(">II", 19, 0) + root
    d += b" " * (4 * 128 + 37 * 3) + (b"0" * 16 + b"\0") * 4 + b"\1"
    return d.ljust(SECTOR, b"\0")


def image(files):
    """@files: names ("FILE.BIN;1") and contents."""
    at, entries, data = 21, b"", b""
    for name, content in sorted(files.items()):
        entries += record(name.encode(), at, len(content))
        data += content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0")
        at = 21 + len(data) // SECTOR
    root = record(b"\0", 20, SECTOR, True)
    table = bytes([1, 0]) + struct.pack("<IH", 20, 1) + b"\0\0", bytes([1, 0]) + struct.pack(">IH", 20, 1) + b"\0\0"
    sectors = [descriptor(root, at), b"\xffCD001\1", table[0], table[1], root + record(b"\1", 20, SECTOR, True) + entries]
    return bytes(16 * SECTOR) + b"".join(s.ljust(SECTOR, b"\0") for s in sectors) + data
