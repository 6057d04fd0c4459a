#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Menura against Debian's qemu-system on the same guest and images, in turn; one table of ratios (QEMU / Menura: higher is better).

    bench/run.py [--rounds N] [--group GROUP ...] [--json FILE] [--menura PATH] [--peer PATH]

Needs the cross compiler and the peer of tools/packages.txt's bench group, and the guests of tools/guests.py. Prints the
medians of N alternating rounds; absolute times are of this machine and this minute only. A program that fails, or whose
checksum is not the same everywhere, is in the table as FAILED, and the exit status is 1. docs/performance.md tells more.
"""
import argparse
import json
import math
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import inputs

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from guestlib.initramfs import Cpio                               # noqa: E402

GROUPS = "start boot integer fp system smp disk nvme qcow2 image net e1000e pair debian jit".split()
KERNELS = ("integer", "fp", "system")       # those of kernels.c
TIMEOUT = 300                               # seconds, for one guest
SCRATCH = b"Menura's bench scratch disk\0"  # how kernels.c knows the disk it may write to
CROSS = "riscv64-linux-gnu-gcc"
INIT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
disk() { # NVMe disks are looked for in the background
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ -b /dev/vda ] || [ -b /dev/nvme0n1 ] || sleep 0.2
    done
}
debian() {
    sh /modules/load
    mount -t ext4 /dev/vda /mnt && mount -t tmpfs tmp /mnt/tmp || return
    mount -o bind /dev /mnt/dev
    mount -o bind /proc /mnt/proc
    cp /kernels /work/* /mnt/tmp
    chroot /mnt /bin/sh /tmp/debian.sh
    umount /mnt/tmp /mnt/dev /mnt/proc /mnt
}
card() {
    sh /modules/load
    ip addr add "$1/24" dev eth0
    ip link set eth0 up
}
for word in $(cat /proc/cmdline); do
    case $word in
    bench=debian) debian ;;
    bench=disk) sh /modules/load; disk && /kernels disk ;;
    bench=net,*) card 10.0.2.15 && /net net 10.0.2.2 "${word#bench=net,}" ;;
    bench=pair,serve) card 10.0.2.2 && /net serve 7000 ;;
    bench=pair) card 10.0.2.15 && /net pair 10.0.2.2 7000 ;;
    bench=*) /kernels $(echo "${word#bench=}" | tr , ' ') ;;
    esac
done
echo BENCH-END
poweroff -f
"""


def guest_files(*names):
    words = [sys.executable, os.path.join(ROOT, "tools", "guests.py"), "path", *names]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def build(folder):
    """The guest's programs and an initial RAM disk with them; paths by name."""
    kernels, start = os.path.join(folder, "kernels"), os.path.join(folder, "poweroff")
    here = os.path.join(ROOT, "bench")
    subprocess.run([CROSS, "-O2", "-static", "-o", kernels, os.path.join(here, "kernels.c"), "-lm"], check=True)
    net, server = os.path.join(folder, "net"), os.path.join(folder, "net-server")
    for words in ([CROSS, "-static", "-o", net], ["cc", "-o", server]):
        subprocess.run([*words, "-O2", os.path.join(here, "net.c")], check=True)
    subprocess.run([CROSS, "-nostdlib", "-static", "-Wl,-N,-Ttext=0x80000000,--build-id=none,--no-warn-rwx-segments", "-o", start,
                    os.path.join(here, "poweroff.S")], check=True)
    image, initramfs, firmware = guest_files("Image", "initramfs.cpio", "fw_dynamic.bin")
    cpio = Cpio()
    with open(kernels, "rb") as f:
        cpio.file("kernels", f.read(), 0o755)
    with open(net, "rb") as f:
        cpio.file("net", f.read(), 0o755)
    cpio.file("init", INIT.encode(), 0o755)
    cpio.folder("work")
    with open(os.path.join(here, "debian.sh"), "rb") as f:
        cpio.file("work/debian.sh", f.read())
    for name, data in inputs.files().items():
        cpio.file("work/" + name, data)
    initrd = os.path.join(folder, "initrd.cpio")
    with open(initramfs, "rb") as base, open(initrd, "wb") as out:
        out.write(base.read() + cpio.finish())
    return {"image": image, "initrd": initrd, "firmware": firmware, "start": start, "server": server, "base": initramfs, "folder": folder}


def peak_resident(pid):
    """KiB, so far. What wait4() tells begins with what this process had when it forked."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return int(re.search(r"^VmHWM:\s*(\d+)", f.read(), re.M)[1])
    except (OSError, TypeError):
        return 0                                                  # it has ended


def run(command):
    """Wall seconds, peak resident KiB and output of a whole process, and what went wrong (or None)."""
    begin = time.monotonic()
    wrong, resident = None, 0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        while True:
            resident = max(resident, peak_resident(process.pid))
            pid, status = os.waitpid(process.pid, 0 if wrong else os.WNOHANG)
            if pid:
                break
            if time.monotonic() > begin + TIMEOUT:
                process.kill()
                wrong = f"no end after {TIMEOUT} s"
            time.sleep(0.004)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begin
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode and not wrong:
        wrong = f"exit status {process.returncode}"
    return wall, resident, text, wrong


def guest_command(emulator, files, append, *more, harts=1, board="virt"):
    return [emulator, "-M", board, "-m", "256M", "-smp", str(harts), "-nographic", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            "-bios", files["firmware"], "-kernel", files["image"], "-initrd", files["initrd"],
            "-append", f"console=ttyS0 quiet {append}", *more]


class Figures:
    """One emulator's: (group, program) -> seconds (or KiB) a round, its checksums, and why it failed."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.values, self.sums, self.failures = {}, {}, {}

    def fail(self, key, why):
        print(f"bench: {self.emulator}: {' '.join(key)}: {why}", file=sys.stderr)
        self.failures[key] = why

    def add(self, key, value, checksum=None):
        self.values.setdefault(key, []).append(value)
        if self.sums.setdefault(key, checksum) != checksum:
            self.fail(key, f"checksum {checksum}, before {self.sums[key]}")

    def whole(self, key, command):
        """A figure of the whole process; returns its resident KiB."""
        wall, rss, text, wrong = run(command)
        if wrong:
            self.fail(key, f"{wrong}\n{text[-2000:]}")
            return None
        self.add(key, wall)
        return rss

    def guest(self, groups, command, name=None):
        """What the programs in the guest tell on its console; @name instead of the group that they know."""
        text, wrong = run(command)[2:]
        for m in re.finditer(r"^BENCH (\S+) (\S+) ([\d.]+) ([0-9a-f]{16})", text, re.M):
            self.add((name or m[1], m[2]), float(m[3]), m[4])
        for m in re.finditer(r"BENCH-FAILED (\S+) (\S+): (.*)", text):
            self.fail((name or m[1], m[2]), m[3].strip())
        if wrong or "BENCH-END" not in text:
            self.fail((",".join(groups), "(guest)"), f"{wrong or 'it did not finish'}\n{text[-2000:]}")


def drive(path, image="raw", device="virtio-blk-device"):
    return ["-drive", f"file={path},format={image},if=none,id=hd0", "-device", f"{device},drive=hd0"]


def scratch_disk(folder):
    """A fresh image of 64 MiB without holes, the same each time."""
    path = os.path.join(folder, "scratch.img")
    data = random.Random(1).randbytes(64 << 20)
    with open(path, "wb") as f:
        f.write(SCRATCH + data[len(SCRATCH):])
        f.flush()
        os.fsync(f.fileno())
    return path


def image_tool(emulator):
    """menura-img or qemu-img, whichever belongs to it."""
    ours = os.path.join(os.path.dirname(emulator), "menura-img")
    return ours if os.path.exists(ours) else "qemu-img"


def source_image(folder):
    """256 MiB: half holes, a quarter that can be compressed, a quarter that cannot."""
    path, piece, rng = os.path.join(folder, "source.img"), 4 << 20, random.Random(2)
    if not os.path.exists(path):
        words = [rng.randbytes(6) for _ in range(500)]
        with open(path, "wb") as f:
            for n in range(64):
                if n % 4 == 1:
                    f.write(rng.randbytes(piece))
                elif n % 4 == 3:
                    f.write(b"".join(rng.choices(words, k=piece // 6 + 1))[:piece])
                else:
                    f.seek(piece, os.SEEK_CUR)
            f.truncate(256 << 20)
    return path


def same_bytes(a, b):
    return subprocess.run(["cmp", "-s", a, b], check=False).returncode == 0


def measure_images(figures, folder):
    tool, source = image_tool(figures.emulator), source_image(folder)
    path = {name: os.path.join(folder, name) for name in ("a.qcow2", "b.img", "c.qcow2", "d.qcow2", "e.img")}
    for name, words in {
            "convert raw to qcow2": ["convert", "-f", "raw", "-O", "qcow2", source, path["a.qcow2"]],
            "convert qcow2 to raw": ["convert", "-f", "qcow2", "-O", "raw", path["a.qcow2"], path["b.img"]],
            "convert compressed": ["convert", "-c", "-f", "raw", "-O", "qcow2", source, path["c.qcow2"]],
            "create metadata": ["create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path["d.qcow2"], "64G"],
            "create full": ["create", "-q", "-f", "raw", "-o", "preallocation=full", path["e.img"], "256M"],
            "compare": ["compare", "-q", "-f", "qcow2", "-F", "raw", path["c.qcow2"], source],
            "check": ["check", "-q", "-f", "qcow2", path["d.qcow2"]]}.items():
        figures.whole(("image", name), [tool, *words])
    if not same_bytes(source, path["b.img"]):
        figures.fail(("image", "convert qcow2 to raw"), "other bytes than before")
    for name in path.values():
        if os.path.exists(name):
            os.unlink(name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def measure_net(figures, files, card, name=None):
    """A guest and the host, through the user network."""
    port = str(free_port())
    with subprocess.Popen([files["server"], "serve", port], stdout=subprocess.PIPE, text=True) as server:
        server.stdout.readline()
        figures.guest([name or "net"], guest_command(figures.emulator, files, f"bench=net,{port}", "-netdev", "user,id=n0", "-device",
                                                     f"{card},netdev=n0"), name)
        server.kill()


def measure_pair(figures, files):
    """Two guests of the same emulator."""
    port = free_port()

    def command(append, netdev, mac):
        return guest_command(figures.emulator, files, append, "-netdev", f"socket,id=n0,{netdev}=127.0.0.1:{port}", "-device",
                             f"virtio-net-device,netdev=n0,mac=52:54:00:12:34:{mac}")

    with subprocess.Popen(command("bench=pair,serve", "listen", "01"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True) as server:
        for line in server.stdout:
            if "SERVING" in line:
                break
        figures.guest(["pair"], command("bench=pair", "connect", "02"))
        server.kill()


def measure(figures, files, groups):
    """One round of one emulator."""
    emulator = figures.emulator
    if "start" in groups:
        figures.whole(("start", "process to power-off"), [emulator, "-M", "virt", "-m", "128M", "-nographic", "-monitor", "none",
                                                          "-serial", "null", "-bios", "none", "-kernel", files["start"]])
    if "boot" in groups:
        rss = figures.whole(("boot", "kernel to power-off"), guest_command(emulator, files, ""))
        if rss:
            figures.add(("memory", "resident, 256 MiB guest"), rss)
    wanted = [g for g in KERNELS if g in groups]
    if wanted:
        figures.guest(wanted, guest_command(emulator, files, "bench=" + ",".join(wanted)))
    if "smp" in groups:
        figures.guest(["smp"], guest_command(emulator, files, "bench=smp", harts=4))
    if "disk" in groups:
        disk = scratch_disk(files["folder"])
        figures.guest(["disk"], guest_command(emulator, files, "bench=disk", *drive(disk)))
    if "nvme" in groups:
        disk = scratch_disk(files["folder"])
        # By messages: by its pin the peer's controller loses interrupts, and each costs its driver 30 seconds.
        figures.guest(["nvme"], guest_command(emulator, files, "bench=disk", *drive(disk, device="nvme,serial=bench"),
                                              board="virt,aia=aplic-imsic"), "nvme")
    if "qcow2" in groups:
        disk = os.path.join(files["folder"], "scratch.qcow2")
        subprocess.run([image_tool(emulator), "convert", "-f", "raw", "-O", "qcow2", scratch_disk(files["folder"]), disk], check=True)
        figures.guest(["qcow2"], guest_command(emulator, files, "bench=disk", *drive(disk, "qcow2")), "qcow2")
    if "image" in groups:
        measure_images(figures, files["folder"])
    if "net" in groups:
        measure_net(figures, files, "virtio-net-device")
    if "e1000e" in groups:
        measure_net(figures, files, "e1000e" + (",romfile=" if "qemu" in os.path.basename(figures.emulator) else ""), "e1000e")
    if "pair" in groups:
        measure_pair(figures, files)
    if "debian" in groups:
        disk = os.path.join(files["folder"], "bench.img")
        subprocess.run(["cp", "--sparse=always", guest_files("bench.img")[0], disk], check=True)
        figures.guest(["debian"], guest_command(emulator, files, "bench=debian", *drive(disk)))


def translation(menura, files):
    """What "info jit" says of a boot, read through the monitor before the guest powers off."""
    log = os.path.join(files["folder"], "serial.log")
    command = guest_command(menura, {**files, "initrd": files["base"]}, "sh")
    command[command.index("-monitor"):command.index("-no-reboot")] = ["-monitor", "stdio", "-serial", "file:" + log]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _ in range(600):
        time.sleep(0.1)
        if os.path.exists(log):
            with open(log, encoding="utf-8", errors="replace") as f:
                if "initramfs: a shell" in f.read():
                    break
    text = process.communicate("info jit\nquit\n", timeout=30)[0]
    said = re.search(r"info jit\s*\n(.*?)\n\S*\(menura\)", text, re.S)
    return said[1].rstrip() if said else text


def compare(ours, peers, rounds):
    """Rows of (group, program, median of ours, of the peer's, why it failed or nothing)."""
    rows = []
    for key in dict.fromkeys([*ours.values, *peers.values, *ours.failures, *peers.failures]):
        why = []
        for who, table in (("Menura", ours), ("peer", peers)):
            count = len(table.values.get(key, []))
            if key in table.failures:
                why.append(f"{who}: {table.failures[key].splitlines()[0]}")
            elif count != rounds and (key in ours.values or key in peers.values):
                why.append(f"{who}: {count} results in {rounds} rounds")
        if not why and ours.sums[key] != peers.sums[key]:
            why.append(f"checksums differ: {ours.sums[key]} and {peers.sums[key]}")
        why = "; ".join(why)
        a, b = (statistics.median(t.values[key]) if key in t.values else None for t in (ours, peers))
        rows.append((*key, a, b, why))
    return rows


def geomeans(rows):
    """group -> geometric mean of its ratios, without what failed."""
    ratios = {}
    for group, _, a, b, why in rows:
        if not why:
            ratios.setdefault(group, []).append(b / a)
    return {group: math.exp(sum(map(math.log, values)) / len(values)) for group, values in ratios.items()}


def report(rows):
    print(f"{'group':10} {'program':26} {'Menura':>11} {'peer':>11} {'peer/Menura':>12}")
    for group, name, a, b, why in rows:
        if why:
            print(f"{group:10} {name:26} FAILED: {why}")
            continue
        unit, scale = ("MiB", 1024) if group == "memory" else ("s", 1)
        print(f"{group:10} {name:26} {a / scale:7.3f} {unit:3} {b / scale:7.3f} {unit:3} {b / a:12.2f}")
    for group, mean in geomeans(rows).items():
        failed = sum(1 for row in rows if row[0] == group and row[4])
        print(f"geometric mean of {group:10} {mean:6.2f}" + (f"   (without {failed} failed)" if failed else ""))


def write_json(path, rows, ours, peers, version):
    programs = [{"group": group, "program": name, "menura": ours.values.get((group, name), []),
                 "peer": peers.values.get((group, name), []), "failed": why} for group, name, _, _, why in rows]
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"peer": version, "programs": programs, "geomeans": geomeans(rows)}, f, indent=1)
        f.write("\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--json", metavar="FILE", help="all figures of all rounds")
    parser.add_argument("--menura", default=os.path.join(ROOT, "build", "menura-system-riscv64"))
    parser.add_argument("--peer", default="qemu-system-riscv64")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    for program in (args.menura, args.peer, CROSS):
        if not shutil.which(program):
            parser.error(f"{program}: not found")
    return args


def main():
    args = arguments()
    ours, peers = Figures(args.menura), Figures(args.peer)
    with tempfile.TemporaryDirectory() as folder:
        files = build(folder)
        for n in range(args.rounds):
            for figures in (ours, peers):
                print(f"round {n + 1} of {args.rounds}: {figures.emulator}", file=sys.stderr)
                measure(figures, files, args.group)
        version = subprocess.run([args.peer, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
        print(f"{version}, {args.rounds} rounds")
        rows = compare(ours, peers, args.rounds)
        report(rows)
        if args.json:
            write_json(args.json, rows, ours, peers, version)
        if "jit" in args.group:
            print("\nTranslation, a boot to the shell (info jit):\n" + translation(args.menura, files))
    return 1 if any(row[4] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
