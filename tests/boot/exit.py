#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bare guests that end through the test device: their codes are the emulator's exit status.

    exit.py [CASE-PATTERN...]
"""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

T0, T1 = 5, 6


def lui(rd, value):
    return (value & 0xFFFFF000) | rd << 7 | 0x37


def addi(rd, rs, value):
    return (value & 0xFFF) << 20 | rs << 15 | rd << 7 | 0x13


def sw(value, base):
    return value << 20 | base << 15 | 2 << 12 | 0x23


def write_test_device(word):
    """A program that writes @word to the test device at 0x100000, then loops."""
    return struct.pack("<5I", lui(T0, 0x100000), lui(T1, word + 0x800), addi(T1, T1, word), sw(T1, T0), 0x6F)


def run(program, expected, *options):
    with tempfile.NamedTemporaryFile(suffix=".bin") as f:
        f.write(program)
        f.flush()
        with machine.start("-M", "virt", "-bios", f.name, "-display", "none", "-serial", "none", "-monitor", "none",
                           *options) as console:
            status = console.wait(machine.limit(20))
    assert status == expected, f"exit status {status}, expected {expected}: {console.text}"


def main():
    tap = Tap(sys.argv[1:])
    tap.case("pass", run, write_test_device(0x5555), 0)
    for code in (0, 1, 42, 255):
        tap.case(f"fail-{code}", run, write_test_device(code << 16 | 0x3333), code)
    tap.case("reset-no-reboot", run, write_test_device(0x7777), 0, "-no-reboot")
    tap.case("four-harts", run, write_test_device(7 << 16 | 0x3333), 7, "-smp", "4")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
