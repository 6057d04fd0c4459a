#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Menura against Debian's qemu-system on the same guest and images, in turn; one table of ratios (QEMU / Menura: higher is better).

    bench/run.py [--rounds N] [--menura PATH] [--peer PATH] [--only GROUP,...]

Needs the cross compiler and the peer of tools/packages.txt's bench group, and the guests of tools/guests.py. Prints the
medians of N alternating rounds; absolute times are of this machine and this minute only.
"""
import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from guestlib.initramfs import Cpio                               # noqa: E402

CROSS = "riscv64-linux-gnu-gcc"
INIT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
    case $word in
    bench=*) /kernels $(echo "${word#bench=}" | tr , ' ') ;;
    esac
done
echo BENCH-END
poweroff -f
"""


def build(folder):
    """The guest's programs and an initial RAM disk with them."""
    kernels, start = os.path.join(folder, "kernels"), os.path.join(folder, "poweroff")
    here = os.path.join(ROOT, "bench")
    subprocess.run([CROSS, "-O2", "-static", "-o", kernels, os.path.join(here, "kernels.c"), "-lm"], check=True)
    subprocess.run([CROSS, "-nostdlib", "-static", "-Wl,-N,-Ttext=0x80000000,--build-id=none", "-o", start,
                    os.path.join(here, "poweroff.S")], check=True)
    guests = [sys.executable, os.path.join(ROOT, "tools", "guests.py"), "path", "Image", "initramfs.cpio", "fw_dynamic.bin"]
    image, initramfs, firmware = subprocess.run(guests, check=True, capture_output=True, text=True).stdout.split()
    cpio = Cpio()
    with open(kernels, "rb") as f:
        cpio.file("kernels", f.read(), 0o755)
    cpio.file("init", INIT.encode(), 0o755)
    initrd = os.path.join(folder, "initrd.cpio")
    with open(initramfs, "rb") as base, open(initrd, "wb") as out:
        out.write(base.read() + cpio.finish())
    return image, initrd, firmware, start


def run(command, timeout=900):
    """Wall seconds, peak resident KiB and output of a whole process."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        deadline = begin + timeout
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                process.kill()
                sys.exit(f"bench: no end after {timeout} s: {' '.join(command)}")
            time.sleep(0.002)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begin
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode:
        sys.exit(f"bench: status {process.returncode}: {' '.join(command)}\n{text[-2000:]}")
    return wall, usage.ru_maxrss, text


def guest_command(emulator, files, append):
    image, initrd, firmware, _ = files
    return [emulator, "-M", "virt", "-m", "256M", "-smp", "1", "-nographic", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            "-bios", firmware, "-kernel", image, "-initrd", initrd, "-append", f"console=ttyS0 quiet {append}"]


def measure(emulator, files, groups):
    """(group, name) -> seconds (or KiB), and the checksums."""
    figures, sums = {}, {}
    if "start" in groups:
        figures["start", "process to power-off"] = run([emulator, "-M", "virt", "-m", "128M", "-nographic", "-monitor", "none",
                                                        "-serial", "null", "-bios", "none", "-kernel", files[3]])[0]
    if "boot" in groups:
        wall, rss, _ = run(guest_command(emulator, files, ""))
        figures["boot", "kernel to power-off"] = wall
        figures["memory", "resident, 256 MiB guest"] = rss
    wanted = [g for g in ("integer", "fp", "system") if g in groups]
    if wanted:
        text = run(guest_command(emulator, files, "bench=" + ",".join(wanted)))[2]
        for m in re.finditer(r"^BENCH (\S+) (\S+) ([\d.]+) ([0-9a-f]{16})", text, re.M):
            figures[m[1], m[2]] = float(m[3])
            sums[m[2]] = m[4]
        if "BENCH-END" not in text:
            sys.exit(f"bench: the guest of {emulator} did not finish:\n{text[-2000:]}")
    return figures, sums


def translation(menura, files, folder):
    """What "info jit" says of a boot, read through the monitor before the guest powers off."""
    log = os.path.join(folder, "serial.log")
    command = guest_command(menura, files, "sh")
    command[command.index("-monitor"):command.index("-no-reboot")] = ["-monitor", "stdio", "-serial", "file:" + log]
    command[command.index("-initrd") + 1] = files[1].replace("initrd.cpio", "shell.cpio")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _ in range(600):
        time.sleep(0.1)
        if os.path.exists(log) and "initramfs: a shell" in open(log, errors="replace").read():
            break
    return process.communicate("info jit\nquit\n", timeout=30)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--menura", default=os.path.join(ROOT, "build", "menura-system-riscv64"))
    parser.add_argument("--peer", default="qemu-system-riscv64")
    parser.add_argument("--only", default="start,boot,integer,fp,system,jit")
    args = parser.parse_args()
    groups = args.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        files = build(folder)
        ours, peers = {}, {}
        for n in range(args.rounds):
            for emulator, table in ((args.menura, ours), (args.peer, peers)):
                print(f"round {n + 1} of {args.rounds}: {emulator}", file=sys.stderr)
                figures, sums = measure(emulator, files, groups)
                table.setdefault("sums", sums)
                if table["sums"] != sums or ours.get("sums", sums) != sums:
                    sys.exit(f"bench: checksums differ: {sums} and {ours.get('sums')}")
                for key, value in figures.items():
                    table.setdefault(key, []).append(value)
        print(subprocess.run([args.peer, "--version"], capture_output=True, text=True).stdout.splitlines()[0])
        report(ours, peers)
        if "jit" in groups:
            base = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "guests.py"), "path", "initramfs.cpio"], check=True,
                                  capture_output=True, text=True).stdout.strip()
            os.symlink(base, os.path.join(folder, "shell.cpio"))
            print("\nTranslation, a boot to the shell (info jit):\n" + translation(args.menura, files, folder))


def report(ours, peers):
    keys = [k for k in ours if k != "sums"]
    print(f"{'group':10} {'program':26} {'Menura':>11} {'peer':>11} {'peer/Menura':>12}")
    ratios = {}
    for group, name in keys:
        a, b = statistics.median(ours[group, name]), statistics.median(peers[group, name])
        ratios.setdefault(group, []).append(b / a)
        unit = "KiB" if group == "memory" else "s"
        print(f"{group:10} {name:26} {a:9.3f} {unit:3}{b:7.3f} {unit:3} {b / a:8.2f}")
    for group, values in ratios.items():
        mean = math.exp(sum(math.log(v) for v in values) / len(values))
        print(f"geometric mean of {group:10} {mean:6.2f}")


if __name__ == "__main__":
    main()
