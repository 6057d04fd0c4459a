# SPDX-License-Identifier: GPL-2.0-or-later
"""Tiny RISC-V guests for the command-line tests, assembled here so that no cross compiler is needed.

They are raw images for -bios at 0x80000000 on machine virt: UART at 0x10000000, test device at 0x100000.
"""
import struct

ZERO, RA, T0, T1, A0, A1 = 0, 1, 5, 6, 10, 11


def i_type(opcode, funct3, rd, rs1, imm):
    return (imm & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def lui(rd, imm20):
    return imm20 << 12 | rd << 7 | 0x37


def addi(rd, rs1, imm):
    return i_type(0x13, 0, rd, rs1, imm)


def andi(rd, rs1, imm):
    return i_type(0x13, 7, rd, rs1, imm)


def lbu(rd, rs1, imm):
    return i_type(0x03, 4, rd, rs1, imm)


def store(funct3, rs2, rs1, imm):
    return (imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 0x1f) << 7 | 0x23


def branch(funct3, rs1, rs2, offset):
    return ((offset >> 12 & 1) << 31 | (offset >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12
            | (offset >> 1 & 0xf) << 8 | (offset >> 11 & 1) << 7 | 0x63)


def jump(offset):
    return ((offset >> 20 & 1) << 31 | (offset >> 1 & 0x3ff) << 21 | (offset >> 11 & 1) << 20
            | (offset >> 12 & 0xff) << 12 | 0x6f)


def image(*words):
    return b''.join(struct.pack('<I', w) for w in words)


def power_off(code=0):
    """Ends the machine: 0 as a power-off, else with this exit status."""
    value = 0x5555 if code == 0 else code << 16 | 0x3333
    return [lui(T0, 0x100), lui(T1, (value + 0x800) >> 12 & 0xfffff), addi(T1, T1, value & 0xfff), store(2, T1, T0, 0), jump(0)]


def echo():
    """Writes '>' and then every character it reads, until 'Q', which powers off."""
    return image(
        lui(T0, 0x10000), addi(A0, ZERO, ord('>')), store(0, A0, T0, 0),
        lbu(T1, T0, 5), andi(T1, T1, 1), branch(0, T1, ZERO, -8),       # wait for data ready
        lbu(A0, T0, 0), addi(A1, ZERO, ord('Q')), branch(0, A0, A1, 12),
        store(0, A0, T0, 0), jump(-28),
        *power_off())


def spin():
    """An endless loop of one instruction."""
    return image(jump(0))


def count():
    """Counts in a1; its second insn is at 0x80000004 and the loop runs there."""
    return image(addi(A1, ZERO, 0), addi(A1, A1, 1), addi(A0, A1, 0), jump(-8))


def csrs():
    """Reads mscratch over and over."""
    return image(i_type(0x73, 2, A0, ZERO, 0x340), jump(-4))


def leave(code):
    return image(*power_off(code))
