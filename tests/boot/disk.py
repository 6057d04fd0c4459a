#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk's bytes after random reads and writes of eight processes on four harts, past the guest's page cache and through it.

    disk.py [--seed N] [CASE-PATTERN...]

A model here knows what every read must give and what the disk must hold at the end; the guest's sha256sum and the image must
say the same.
"""
import argparse
import contextlib
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]
import machine                                                    # noqa: E402
from guestlib.initramfs import Cpio                               # noqa: E402
from tap import Tap                                               # noqa: E402

PAGE, DISK, PATTERN = 4096, 8 << 20, 1 << 20
CHUNK = 64 << 10                # belongs to one process
WORKERS, OPERATIONS = 8, 60
VIRTIO, NVME, SCSI = "virtio-blk-device", "nvme,serial=A1", "scsi-hd"
INIT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
sh /modules/load
for try in 1 2 3 4 5 6 7 8 9 10; do # some are looked for in the background
    for disk in /dev/vda /dev/nvme0n1 /dev/sda; do
        [ -b $disk ] && break 2
    done
    sleep 0.5
done
if [ $disk = /dev/nvme0n1 ]; then
    echo "DRIVER $(readlink /sys/class/nvme/nvme0/device/driver)"
fi
worker() {
    while read -r what flags at pages from sum; do
        case $what in
        write) dd if=/pattern of=$disk bs=4096 skip="$from" seek="$at" count="$pages" conv="notrunc$sum" $flags 2>/error.$1 ||
            cat /error.$1 ;;
        read) found=$(dd if=$disk bs=4096 skip="$at" count="$pages" $flags 2>/error.$1 | sha256sum)
            [ "$found" = "$sum  -" ] || echo "WRONG $at $pages $flags: $found" ;;
        esac
    done <"/work.$1"
    echo "WORKER $1 END"
}
for n in 0 1 2 3 4 5 6 7; do
    worker $n &
done
wait
sync
echo 3 >/proc/sys/vm/drop_caches
echo "DISK $(sha256sum <$disk)"
poweroff -f
"""


def make_work(rand, disk, pattern, worker):
    """Lines for one process, of which @disk gets the writes."""
    lines = []
    for _ in range(OPERATIONS):
        pages = rand.choice((1, 1, 1, 2, 5, 16))
        chunk = rand.randrange(DISK // CHUNK // WORKERS) * WORKERS + worker
        at = chunk * CHUNK // PAGE + rand.randrange(CHUNK // PAGE - pages + 1)
        from_page = rand.randrange(PATTERN // PAGE - pages + 1)
        here = slice(at * PAGE, (at + pages) * PAGE)
        direct = worker % 2
        if rand.random() < 0.6:
            disk[here] = pattern[from_page * PAGE:(from_page + pages) * PAGE]
            lines.append(f"write {'oflag=direct' if direct else 'bs=4096'} {at} {pages} {from_page} {rand.choice(('', ',fsync'))}")
        else:
            lines.append(f"read {'iflag=direct' if direct else 'bs=4096'} {at} {pages} - {hashlib.sha256(disk[here]).hexdigest()}")
    return "\n".join(lines) + "\n"


def make_initrd(folder, rand, disk):
    pattern = rand.randbytes(PATTERN)
    cpio = Cpio()
    cpio.file("init", INIT.encode(), 0o755)
    cpio.file("pattern", pattern)
    for worker in range(WORKERS):
        cpio.file(f"work.{worker}", make_work(rand, disk, pattern, worker).encode())
    path = os.path.join(folder, "initrd.cpio")
    with open(machine.guest("initramfs.cpio"), "rb") as base, open(path, "wb") as f:
        f.write(base.read() + cpio.finish())
    return path


@contextlib.contextmanager
def served(path):
    """The name of an export that has the file's bytes."""
    socket = path + ".socket"
    with subprocess.Popen([os.path.join(machine.BUILD, "menura-nbd"), "-k", socket, "-f", "raw", "--discard=unmap", path]) as server:
        while not os.path.exists(socket) and server.poll() is None:
            time.sleep(0.02)
        yield "nbd:unix:" + socket
        server.terminate()
        assert server.wait(30) == 0, "the server failed"


def run(seed, options, kept, place=contextlib.nullcontext, device=VIRTIO, append="", adapter=()):
    """@kept: the image is what the guest wrote; else it stays as it was. @place: what the emulator opens for it."""
    if place is served:
        machine.needs_menura("menura-nbd")
    rand = random.Random(seed)
    before = rand.randbytes(DISK)
    disk = bytearray(before)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "disk.img")
        with open(path, "wb") as f:
            f.write(before)
        initrd = make_initrd(folder, rand, disk)
        with place(path) as name, machine.start(
                "-M", "virt", "-m", "256M", "-smp", "4", "-kernel", machine.guest("Image"), "-initrd", initrd,
                "-append", f"console=ttyS0 quiet {append}", *adapter, *machine.disk(name, options=options, device=device), "-nographic") as console:
            status = console.wait(machine.limit(180))
            text = console.text
        with open(path, "rb") as f:
            image = f.read()
    assert status == 0, f"exit status {status}: {text[-500:]}"
    assert "WRONG" not in text and text.count(" END") == WORKERS, text[-2000:]
    found = re.search(r"DISK ([0-9a-f]{64})", text)
    assert found and found[1] == hashlib.sha256(disk).hexdigest(), "the guest reads something else: " + text[-2000:]
    assert image == (disk if kept else before), "the image has something else"
    assert "nvme" not in device or re.search(r"DRIVER \S*/nvme$", text, re.M), "another driver: " + text[-2000:]
    return f"{WORKERS * OPERATIONS} operations, seed {seed}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    tap = Tap(args.cases)
    for engine in ("threads", "io_uring"):
        tap.case(f"integrity-{engine}", run, args.seed, f",aio={engine}", True)
        tap.case(f"integrity-{engine}-snapshot", run, args.seed, f",aio={engine},snapshot=on", False)
        tap.case(f"integrity-{engine}-nvme", run, args.seed, f",aio={engine}", True, contextlib.nullcontext, NVME)
    for cache in ("none", "directsync"):
        tap.case(f"integrity-{cache}", run, args.seed, f",cache={cache},discard=unmap", True)
    tap.case("integrity-nvme-direct", run, args.seed, ",cache=none,discard=unmap", True, contextlib.nullcontext,
             NVME + ",logical_block_size=4096,physical_block_size=4096,max_ioqpairs=1,mdts=3")
    for name, options in (("", ",discard=unmap"), ("-io_uring", ",aio=io_uring"), ("-snapshot", ",snapshot=on")):
        tap.case("integrity-nbd" + name, run, args.seed, options, "snapshot" not in name, served)
    for name, properties, append in (("", "", ""), ("-packed", ",packed=on", ""), ("-packed-flags", ",packed=on,event_idx=off", ""),
                                     ("-plain", ",event_idx=off,indirect_desc=off", ""),
                                     ("-packed-plain", ",packed=on,indirect_desc=off", ""),
                                     ("-legacy", "", "virtio_pci.force_legacy=1")):
        tap.case("integrity-pci" + name, run, args.seed, "", True, contextlib.nullcontext, "virtio-blk-pci" + properties, append)
    for name, adapter, options in (("", "virtio-scsi-pci", ",aio=io_uring"), ("-queues", "virtio-scsi-device,num_queues=4", "")):
        tap.case("integrity-scsi" + name, run, args.seed, options, True, contextlib.nullcontext, SCSI, "", ("-device", adapter))
    for name, options in (("", ",discard=unmap"), ("-io_uring", ",aio=io_uring"), ("-direct", ",cache=none")):
        tap.case("integrity-ahci" + name, run, args.seed, options, True, contextlib.nullcontext, "ide-hd,bus=ahci.2", "", ("-device", "ahci,id=ahci"))
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
