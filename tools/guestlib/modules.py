# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules out of an unpacked kernel package: what needs what, and a form of them that loads quickly.

Debian's RISC-V modules carry a symbol for each label of the compiler: of ext4's 7 MB, 5.6 are the names and places of 216,000
of these. The kernel hashes and walks them all at each load, which is two thirds of a whole boot. strip() takes out what no
relocation refers to, as "strip --strip-unneeded" does; the code stays as it is, but the signature at the end, which a kernel
that does not insist on one reports once as missing, cannot stay.
"""
import lzma
import os
import re
import struct

from .debian import GuestError

SYMTAB, STRTAB, RELA, NOBITS = 2, 3, 4, 8


def read_module(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        data = lzma.decompress(data)
    if data[:4] != b"\x7fELF":
        raise GuestError(f"{path}: not a kernel module")
    return data


class Section:
    """A section header (64-bit: name, type, flags, addr, offset, size, link, info, align, entry size) with its contents."""

    def __init__(self, fields, elf):
        self.fields = list(fields)
        self.name, self.type, _, _, start, size, self.link, self.info, self.align, _ = fields
        self.data = b"" if self.type == NOBITS else elf[start:start + size]

    def header(self, offset):
        f = self.fields
        size = f[5] if self.type == NOBITS else len(self.data)
        return struct.pack("<IIQQQQIIQQ", f[0], f[1], f[2], f[3], offset, size, f[6], self.info, f[8], f[9])


def sections_of(elf):
    """Of a little-endian 64-bit file."""
    offset, = struct.unpack_from("<Q", elf, 0x28)
    count, = struct.unpack_from("<H", elf, 0x3C)
    return [Section(struct.unpack_from("<IIQQQQIIQQ", elf, offset + i * 64), elf) for i in range(count)]


def module_info(elf):
    """The .modinfo strings: key -> list of values."""
    sections = sections_of(elf)
    names = sections[struct.unpack_from("<H", elf, 0x3E)[0]].data
    info = {}
    for s in sections:
        if names[s.name:names.index(b"\0", s.name)] == b".modinfo":
            for text in s.data.split(b"\0"):
                key, _, value = text.decode(errors="replace").partition("=")
                info.setdefault(key, []).append(value)
    return info


def used_symbols(sections, table):
    """Indices that must stay, in order: the first, global ones, those that relocations name."""
    used = {0}
    for s in sections:
        if s.type == RELA:
            used |= {info >> 32 for _, info, _ in struct.iter_unpack("<QQq", s.data)}
    for i, (_, info, *_) in enumerate(struct.iter_unpack("<IBBHQQ", table.data)):
        if info >> 4:
            used.add(i)
    return sorted(used)


def shrink_tables(sections, table):
    """Leaves the used symbols and their names; relocations follow."""
    names, strings = sections[table.link], bytearray(b"\0")
    kept, number, first_global = bytearray(), {}, 0
    for new, old in enumerate(used_symbols(sections, table)):
        name, info, *rest = struct.unpack_from("<IBBHQQ", table.data, old * 24)
        text = names.data[name:names.data.index(b"\0", name)]
        place = len(strings) if text else 0
        strings += text + b"\0" if text else b""
        kept += struct.pack("<IBBHQQ", place, info, *rest)
        number[old] = new
        first_global += not info >> 4
    table.data, table.info, names.data = bytes(kept), first_global, bytes(strings)
    for s in sections:
        if s.type == RELA:
            s.data = b"".join(struct.pack("<QQq", where, number[info >> 32] << 32 | info & 0xFFFFFFFF, addend)
                              for where, info, addend in struct.iter_unpack("<QQq", s.data))


def strip(elf):
    """The module without the symbols that loading does not need; as it is if it is of a form not known here."""
    if elf[4:6] != b"\2\1":
        return elf
    sections = sections_of(elf)
    tables = [s for s in sections if s.type == SYMTAB]
    if len(tables) != 1 or sections[tables[0].link].type != STRTAB:
        return elf
    shrink_tables(sections, tables[0])
    out, headers = bytearray(elf[:64]), b""
    for s in sections:
        out += bytes(-len(out) % max(s.align, 1))
        headers += s.header(len(out))
        out += s.data
    out += bytes(-len(out) % 8)
    struct.pack_into("<Q", out, 0x28, len(out))
    return bytes(out) + headers


class Modules:
    """The modules of an unpacked kernel package."""

    def __init__(self, tree):
        self.paths = {}
        self.builtin = set()
        for base in ("usr/lib/modules", "lib/modules"):
            for folder, _, files in os.walk(os.path.join(tree, base)):
                for name in files:
                    self._add(folder, name)

    def _add(self, folder, name):
        path = os.path.join(folder, name)
        m = re.fullmatch(r"(.+)\.ko(\.xz)?", name)
        if m:
            self.paths[m[1].replace("-", "_")] = path
        elif name == "modules.builtin":
            with open(path, encoding="utf-8") as f:
                self.builtin |= {os.path.basename(line.strip())[:-3].replace("-", "_") for line in f}

    def load_order(self, wanted):
        """[(name, bytes)] with what each needs before it; built-in ones are left out, and "NAME?" that there is not."""
        order, seen = [], set()

        def visit(name):
            name = name.replace("-", "_")
            if name in seen or name in self.builtin:
                return
            seen.add(name)
            if name not in self.paths:
                raise GuestError(f"kernel module {name}: the kernel package has none")
            data = read_module(self.paths[name])
            for depend in ",".join(module_info(data).get("depends", [])).split(","):
                if depend:
                    visit(depend)
            order.append((name, strip(data)))

        for name in wanted:
            if name[-1] != "?" or name[:-1] in self.paths:
                visit(name.rstrip("?"))
        return order
