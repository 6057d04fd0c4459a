# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator under test and its guests.

The program is $MENURA, else the build folder's ($MENURA_BUILD, ./build). With $MENURA naming a qemu-system-riscv64, tests
run where both have the same options, to see whether a test or Menura is at fault.
"""
import os
import subprocess
import sys

from console import Console
from tap import Skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("MENURA_BUILD") or os.path.join(ROOT, "build"))
PROGRAM = os.environ.get("MENURA") or os.path.join(BUILD, "menura-system-riscv64")
IS_PEER = os.path.basename(PROGRAM).startswith("qemu")
PROMPT = r"root@menura:\S*# "
SLOW = float(os.environ.get("MENURA_TEST_SLOW") or 1)   # every limit is multiplied by this (sanitizers, loaded machines)


def guest(name):
    """Path of a guest file; it is fetched or made if need be."""
    p = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "guests.py"), "path", name], text=True, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode:
        raise Skip(f"{name}: {p.stderr.strip().splitlines()[-1] if p.stderr.strip() else 'cannot be made'}")
    return p.stdout.strip()


def accel(name):
    """Options that choose how code is run."""
    if not IS_PEER:
        return ["-accel", name]
    if name != "jit":
        raise Skip(f"only Menura has -accel {name}")
    return []


def needs_menura(what):
    if IS_PEER:
        raise Skip(f"only Menura has {what}")


def disk(path, ident="hd0", options="", device="virtio-blk-device"):
    """A disk of that model, and properties."""
    return ["-drive", f"file={path},format=raw,if=none,id={ident}{options}", "-device", f"{device},drive={ident}"]


def linux(harts=1, memory="128M", append="", extra=()):
    """Options that boot the demo's Linux to its shell; what it writes is thrown away."""
    return ["-M", "virt", "-m", memory, "-smp", str(harts), "-kernel", guest("Image"), "-initrd", guest("initramfs.cpio"),
            "-append", f"root=/dev/vda console=ttyS0 {append}".strip(), *disk(guest("demo.img")), "-snapshot", "-nographic",
            *extra]


def start(*options):
    """A Console with the emulator."""
    return Console([PROGRAM, *options])


def limit(seconds):
    return seconds * SLOW
