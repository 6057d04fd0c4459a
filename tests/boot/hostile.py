#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bare guests that do hostile things (guests/hostile*.c), each of which must end as the manuals say and never hurt the emulator.

    hostile.py [CASE-PATTERN...]

Needs a RISC-V cross compiler; without one all cases are skipped. Every case runs with -accel jit and interp.
"""
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from tap import Skip, Tap                                         # noqa: E402

GUESTS = os.path.join(HERE, "guests")
COMPILER = os.environ.get("MENURA_RISCV_CC") or "riscv64-linux-gnu-gcc"
CASE_AT = 8             # where start.S has case_number
RAM = 0x80000000
LIMIT = 20              # seconds a guest may take

# name: (number, harts, options)
CASES = {
    "jump-nowhere": (1, 1, []),
    "jump-flash": (2, 1, []),
    "run-off-ram": (3, 1, []),
    "access-nowhere": (5, 1, []),
    "access-devices": (6, 1, []),
    "access-rom": (7, 1, []),
    "crossing-fetch": (8, 1, []),
    "crossing-into-first-page": (9, 1, []),
    "crossing-two-views": (10, 1, []),
    "tables-nowhere": (11, 1, []),
    "tables-recursive": (13, 1, []),
    "tables-in-code-page": (14, 1, []),
    "smc-stores": (20, 1, []),
    "smc-same-block": (21, 1, []),
    "smc-crossing": (22, 1, []),
    "smc-ipi": (23, 2, []),
    "smc-ipi-4": (23, 4, []),
    "smc-busy-page": (24, 2, []),
    "smc-busy-page-4": (24, 4, []),
    "smc-churn-4": (25, 4, []),
    "reset-under-load": (26, 4, []),
    "exhaust": (30, 1, []),
    "exhaust-4": (31, 4, []),
}
# With a disk whose image is compared afterwards.
DISK_CASES = {"virtio-queues": 40, "virtio-sizes": 41, "virtio-dma-on-code": 42, "virtio-no-driver": 43}


class Builder:
    """Compiles a guest once, in a folder of its own."""

    def __init__(self, folder, sources=("start.S", "hostile.c", "hostile-virtio.c")):
        self.folder = folder
        self.names = sources
        self.images = {}

    @staticmethod
    def tool(*argv):
        p = subprocess.run(argv, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert p.returncode == 0, p.stdout

    def image(self, march):
        if not shutil.which(COMPILER):
            raise Skip(f"no {COMPILER}")
        if march not in self.images:
            elf = os.path.join(self.folder, march + ".elf")
            sources = [os.path.join(GUESTS, name) for name in self.names]
            self.tool(COMPILER, "-march=" + march, "-mabi=lp64", "-mcmodel=medany", "-mno-relax", "-O1", "-Wall", "-Wextra",
                      "-Wno-unused-parameter", "-Werror", "-ffreestanding", "-fno-pic", "-fno-builtin", "-fno-stack-protector",
                      "-fno-strict-aliasing", "-nostdlib", "-static", "-Wl,--build-id=none",
                      "-T", os.path.join(GUESTS, "hostile.ld"), *sources, "-o", elf)
            self.tool(COMPILER.replace("gcc", "objcopy"), "-O", "binary", elf, elf + ".bin")
            with open(elf + ".bin", "rb") as f:
                self.images[march] = f.read()
        return self.images[march]

    def program(self, number, harts, march="rv64gc"):
        """The path of a program that runs case @number."""
        path = os.path.join(self.folder, f"case-{number}-{harts}-{march}.bin")
        image = bytearray(self.image(march))
        struct.pack_into("<Q", image, CASE_AT, number | harts << 8)
        with open(path, "wb") as f:
            f.write(image)
        return path


def run(builder, accel, number, harts, options=(), march="rv64gc"):
    with machine.start("-M", "virt", "-m", "32M", "-smp", str(harts), "-bios", builder.program(number, harts, march),
                       "-accel", accel, "-display", "none", "-serial", "stdio", "-monitor", "none", *options) as console:
        status = console.wait(machine.limit(LIMIT))
    assert status == 0, f"exit status {status}: {console.text}"


def run_disk(builder, accel, number, engine):
    """The image's first sector is a pattern, the next two hold code (hostile-virtio.c)."""
    sectors = [bytes((i * 7 + 1) & 255 for i in range(512))]
    sectors += [struct.pack("<HH", 0x4501 | value << 2, 0x8082) + bytes(508) for value in (9, 10)]
    image = b"".join(sectors).ljust(64 << 10, b"\xa5")
    path = os.path.join(builder.folder, "disk.img")
    with open(path, "wb") as f:
        f.write(image)
    run(builder, accel, number, 1, machine.disk(path, options=",aio=" + engine))
    with open(path, "rb") as f:
        found = f.read()
    assert hashlib.sha256(found).digest() == hashlib.sha256(image).digest(), \
        f"the disk changed at {[i for i in range(len(image)) if found[i:i + 1] != image[i:i + 1]][:4]}"


def run_stopped(builder, accel):
    """Four harts that change code, stopped and continued by the monitor all the time."""
    with machine.start("-M", "virt", "-m", "32M", "-smp", "4", "-bios", builder.program(27, 4), "-accel", accel, "-display", "none",
                       "-serial", "none", "-monitor", "stdio", "-S") as console:
        for _ in range(60):
            if console.process.poll() is not None:
                break
            console.send("cont\n")
            console.send("stop\n")
            console.send("info registers\n")
        if console.process.poll() is None:
            console.send("cont\n")
        status = console.wait(machine.limit(LIMIT))
    assert status == 0, f"exit status {status}: {console.text[-500:]}"


def run_flash(builder, accel):
    """Page tables in flash (case_tables_flash)."""
    def pte(bits):
        return RAM >> 12 << 10 | bits
    path = os.path.join(builder.folder, "flash.img")
    with open(path, "wb") as f:
        f.write(struct.pack("<4Q", 0, 0, pte(0xcf), pte(0x0f)))
        f.truncate(32 << 20)
    run(builder, accel, 12, 1, ["-drive", f"file={path},format=raw,if=pflash,unit=0,readonly=on"])


def main():
    tap = Tap(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(folder)
        for accel in ("jit", "interp"):
            for name, (number, harts, options) in CASES.items():
                tap.case(f"{name}-{accel}", run, builder, accel + ",tb-size=1" * name.startswith("exhaust"), number, harts,
                         options)
            for name, number in DISK_CASES.items():
                tap.case(f"{name}-{accel}", run_disk, builder, accel, number, "threads")
                tap.case(f"{name}-ring-{accel}", run_disk, builder, accel, number, "io_uring")
            tap.case(f"stop-under-load-{accel}", run_stopped, builder, accel)
            tap.case(f"tables-flash-{accel}", run_flash, builder, accel)
            tap.case(f"jump-misaligned-{accel}", run, builder, accel, 4, 1, ["-cpu", "rv64,c=off"], "rv64g")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
