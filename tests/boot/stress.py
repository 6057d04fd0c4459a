#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Address translation under stress: a bare guest (guests/stress*.c) that changes page tables, satp, PMP and code all the time.

    stress.py [--seeds N] [--first SEED] [--steps N] [CASE-PATTERN...]

Directed cases check themselves. A fuzzed program, made by its seed, folds all that it sees into a hash, which must be the same however it
is run; the judge is "tlb=off", which walks the page tables at each access. With a qemu-system-riscv64 installed, seeds of what is defined
in all emulators are compared with it too. A difference is shown as the first step that differs.
"""
import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from hostile import CASE_AT, Builder                              # noqa: E402
from tap import Skip, Tap                                         # noqa: E402

SOURCES = ("stress-start.S", "stress-space.c", "stress.c", "stress-cases.c")
CASES = ["two-spaces", "switch-in-s", "global", "private-jumps", "sum", "fences", "many-private", "crossing", "bare", "split-pages",
         "many-contexts", "superpages", "code-aliases", "asid-reuse", "page-end", "stores"]
JUDGE = "interp,tlb=off"
ACCELS = ["jit", "interp", "jit,one-insn-per-tb=on", "jit,tb-size=1", "jit -icount shift=0", "jit,tlb=off"]
PEER = "qemu-system-riscv64"
PRINT, FOR_PEER = 1, 2      # flags of the guest (stress.c)
LIMIT = 60                  # seconds a guest may take


class Guest:
    def __init__(self, folder):
        self.folder = folder
        self.builder = Builder(folder, SOURCES)

    def run(self, accel, case=0, seed=0, steps=0, flags=0):
        """What the guest prints, run by Menura with @accel or by the peer."""
        image = bytearray(self.builder.image("rv64gc"))
        struct.pack_into("<4Q", image, CASE_AT, case, seed, steps, flags)
        path = os.path.join(self.folder, "stress.bin")
        with open(path, "wb") as f:
            f.write(image)
        program = [PEER] if accel == PEER else [machine.PROGRAM, "-accel", *accel.split()]
        p = subprocess.run([*program, "-M", "virt", "-m", "32M", "-bios", path, "-display", "none", "-serial", "stdio", "-monitor",
                            "none"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False, timeout=machine.limit(LIMIT))
        assert p.returncode == 0, f"{accel}: exit status {p.returncode}: {p.stdout[-500:]}"
        return p.stdout

    def same(self, seed, steps, flags, judge, accels):
        """Asserts that a program ends with the same hash."""
        right = self.run(judge, 0, seed, steps, flags)
        for accel in accels:
            if self.run(accel, 0, seed, steps, flags) != right:
                raise AssertionError(f"seed {seed}, {judge} and {accel} differ:\n" + self.where(seed, steps, flags, judge, accel))

    def where(self, seed, steps, flags, judge, accel):
        """The first step that differs, and those before."""
        left, right = (self.run(a, 0, seed, steps, flags | PRINT).splitlines() for a in (judge, accel))
        for i, (a, b) in enumerate(zip(left, right)):
            if a != b:
                return "\n".join(left[max(0, i - 6):i] + [f"{judge}: {a}", f"{accel}: {b}"])
        return "only with what is in memory at the end"


def directed(guest, accel, number):
    assert guest.run(accel, number).strip() == "passed"


def fuzz(guest, first, seeds, steps):
    begin = time.monotonic()
    for seed in range(first, first + seeds):
        # The slow form of the JIT is for the long runs, and now and then.
        guest.same(seed, steps, 0, JUDGE, ACCELS if seeds > 100 or seed % 8 == 0 else ACCELS[:-1])
    return f"{seeds} seeds of {steps} steps in {time.monotonic() - begin:.0f} s"


def fuzz_peer(guest, first, seeds, steps):
    if not shutil.which(PEER):
        raise Skip(f"no {PEER}")
    for seed in range(first, first + seeds):
        guest.same(seed, steps, FOR_PEER, PEER, ["jit"])
    return f"{seeds} seeds"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    machine.needs_menura("tlb=off")
    tap = Tap(args.cases)
    with tempfile.TemporaryDirectory() as folder:
        guest = Guest(folder)
        for accel in ("jit", "interp", JUDGE):
            for number, name in enumerate(CASES, 1):
                tap.case(f"{name}-{accel}", directed, guest, accel, number)
        tap.case("fuzz", fuzz, guest, args.first, args.seeds, args.steps)
        tap.case("fuzz-peer", fuzz_peer, guest, args.first, args.seeds, args.steps)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
