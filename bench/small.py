#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What small things cost under Menura and under Debian's qemu-system-riscv64: a call of the kernel, reading the time, a jump to another
page, a TLB entry, a timer's interrupt, an idle guest, a start from a snapshot.

    bench/small.py [--rounds N] [--no-debian] [--snapshot] [--menura PATH] [--peer PATH]

bench/small.c runs on bare metal, in turn under both, N times; the table has the least of each time (what disturbs makes it longer). Then
each boots Debian (tools/guests.py rootfs) to a root shell, runs getppid() there and idles for 10 s; and each keeps a guest of 1 GiB, of which
300 MiB are random data, by savevm, and is started from it N times: until the guest answers, and until it has read all the data.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import machine                                                    # noqa: E402
from console import MONITOR, Console                                       # noqa: E402

CROSS = "riscv64-linux-gnu-gcc"
LIMIT = 120             # seconds, for the bare-metal program
SETTLE, IDLE = 10, 10   # seconds
PROMPT = r"root@debian:\S*# "
# Loops of calls, the fastest of ten.
GETPPID = r"""printf '#include <stdio.h>\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\nint main(void){double best=1e9;
for(int r=0;r<10;r++){struct timespec a,b;clock_gettime(CLOCK_MONOTONIC,&a);for(int i=0;i<100000;i++)syscall(SYS_getppid);
clock_gettime(CLOCK_MONOTONIC,&b);double t=((b.tv_sec-a.tv_sec)*1e9+b.tv_nsec-a.tv_nsec)/1e5;if(t<best)best=t;}
printf("GETPPID %%.1f\\n",best);}' > t.c; gcc -O2 -o t t.c && ./t""".replace("\n", "")


def build(folder):
    program = os.path.join(folder, "small")
    subprocess.run([CROSS, "-O2", "-march=rv64gc", "-mcmodel=medany", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-no-pie",
                    "-Wl,-N,--section-start=.init=0x80000000,--build-id=none,--no-warn-rwx-segments", "-o", program,
                    os.path.join(ROOT, "bench", "small.c")], check=True)
    return program


def bare_metal(emulator, program):
    """name -> (value, unit)"""
    text = subprocess.run([emulator, "-M", "virt", "-m", "256M", "-nographic", "-monitor", "none", "-serial", "stdio", "-bios", "none",
                           "-kernel", program], check=True, timeout=LIMIT, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    found = {m[1]: (float(m[2]), m[3]) for m in re.finditer(r"^SMALL (\S+) ([\d.]+) (\S+)", text, re.M)}
    found["page, made anew"] = found["page-cold"][0] - found["page-warm"][0], found["page-cold"][1]
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def debian(emulator):
    """The same for what needs an operating system."""
    options = ["-M", "virt", "-m", "1G", "-kernel", machine.guest("Image"), "-initrd", machine.guest("initramfs.cpio"), "-append",
               "root=/dev/vda console=ttyS0", *machine.disk(machine.guest("rootfs.img")), "-snapshot", "-nographic"]
    with Console([emulator, *options]) as console:
        console.expect(r"login: ", 600)
        console.line("root")
        console.expect(PROMPT, 120)
        console.run("systemctl is-system-running --wait", PROMPT, 300)
        console.line(GETPPID)
        getppid = float(console.expect(r"^GETPPID ([\d.]+)\n", 120)[1])
        console.expect(PROMPT, 60)
        time.sleep(SETTLE)
        begin = cpu_seconds(console.process.pid)
        time.sleep(IDLE)
        used = cpu_seconds(console.process.pid) - begin
    return {"Debian: getppid()": (getppid, "ns"), "Debian: idle, of a host core": (100 * used / IDLE, "%")}


def snapshot(emulator, monitor, folder, rounds):
    """The least of @rounds starts with -loadvm."""
    disk = os.path.join(folder, "disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", machine.guest("demo.img"), "-F", "raw", disk], check=True)
    argv = [emulator, "-M", "virt", "-m", "1G", "-smp", "2", "-nographic", "-kernel", machine.guest("Image"), "-initrd",
            machine.guest("initramfs.cpio"), "-append", "console=ttyS0 root=/dev/vda rw", "-drive",
            f"file={disk},format=qcow2,if=none,id=hd0", "-device", "virtio-blk-device,drive=hd0"]
    found = []
    with Console(argv) as console:
        console.expect(machine.PROMPT, LIMIT)
        console.line("mount -t tmpfs t /mnt; dd if=/dev/urandom of=/mnt/a bs=1M count=300 2>/dev/null; echo DO''NE")
        console.expect(r"\nDONE\s", LIMIT)
        console.send("\x01c")
        console.line("savevm bench")
        console.expect(r"savevm bench\s*\n(.*\n)*" + monitor, LIMIT)
        console.send("\x01x")
        console.wait()
    for _ in range(rounds):
        begin = time.monotonic()
        with Console(argv + ["-loadvm", "bench"]) as console:
            console.line("echo HE''RE")
            console.expect(r"\nHERE\s", LIMIT)
            answer = time.monotonic() - begin
            console.line("cat /mnt/a >/dev/null; echo REA''D")
            console.expect(r"\nREAD\s", LIMIT)
            found.append((answer, time.monotonic() - begin))
    os.unlink(disk)
    return {f"snapshot: {what}": (1000 * min(f[i] for f in found), "ms") for i, what in enumerate(("the guest answers", "all data read"))}


def least(rounds):
    return {name: (min(r[name][0] for r in rounds), unit) for name, (_, unit) in rounds[0].items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-debian", action="store_true", help="bare metal only")
    parser.add_argument("--snapshot", action="store_true", help="the start from a snapshot only")
    parser.add_argument("--menura", default=os.path.join(ROOT, "build", "menura-system-riscv64"))
    parser.add_argument("--peer", default="qemu-system-riscv64")
    args = parser.parse_args()
    for program in (args.menura, args.peer, CROSS):
        if not shutil.which(program):
            parser.error(f"{program}: not found")
    rounds = {args.menura: [], args.peer: []}
    ours, peers = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        if not args.snapshot:
            program = build(folder)
            for _ in range(args.rounds):
                for emulator, results in rounds.items():
                    results.append(bare_metal(emulator, program))
            ours, peers = (least(results) for results in rounds.values())
        if not args.no_debian and not args.snapshot:
            ours.update(debian(args.menura))
            peers.update(debian(args.peer))
        if not args.no_debian:
            ours.update(snapshot(args.menura, MONITOR, folder, args.rounds))
            peers.update(snapshot(args.peer, r"\(qemu\) ", folder, args.rounds))
    print(f"{'':30} {'Menura':>10} {'peer':>10}")
    for name, (value, unit) in ours.items():
        print(f"{name:30} {value:10.1f} {peers[name][0]:10.1f} {unit}")


if __name__ == "__main__":
    main()
