#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts: a guest writes with several processes and says what it was told is on the disk; the emulator's writes are logged, and the
power is cut at each boundary between them.

    powercut.py [--seed N] [--steps N] [CASE-PATTERN...]

Other cases make snapshots in the image meanwhile (savevm), of names that are there already, too.

See tests/powercut/replay.c for what is asked of the disk after each cut. With a file system, e2fsck must make it whole from its own
journal, and each file that was synced must be there.
"""
import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]
import machine                                                    # noqa: E402
from guestlib.initramfs import Cpio                               # noqa: E402
from tap import Skip, Tap                                         # noqa: E402

PAGE, DISK, PATTERN_PAGES = 4096, 4 << 20, 512
WORKERS = 4
FILES = 5           # that a process writes ever again, with a file system
FILE_PAGES = 8
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None     # where the host's disk does not matter
BOOT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
sh /modules/load
%s
for w in 0 1 2 3; do
    worker $w <"/work.$w" &
done
wait
%s
poweroff -f
"""
# "PAGE COUNT FROM" a line.
RAW_WORKER = """worker() {
    n=0
    while read -r at pages from; do
        n=$((n+1))
        dd if=/pattern of=/dev/vda bs=4096 skip="$from" seek="$at" count="$pages" conv=notrunc,fsync 2>/dev/null || echo FAILED
        echo "synced $1 $n"
    done
}"""
# The file's number is the step's, counted round; a new file takes the place of the one before.
FILE_WORKER = """mount -t ext4 /dev/vda /mnt || echo FAILED
worker() {
    n=0
    while read -r at pages from; do
        n=$((n+1))
        dd if=/pattern of=/mnt/new.$1 bs=4096 skip="$from" count="$pages" conv=fsync 2>/dev/null || echo FAILED
        mv /mnt/new.$1 /mnt/$1.$((n % 5))
        sync
        echo "synced $1 $n"
    done
}"""


def make_work(rand, steps, most):
    """For each process its lines."""
    work = []
    for worker in range(WORKERS):
        lines = []
        for _ in range(steps):
            count = rand.choice((1, 1, 1, 2, 3, most))
            # Processes share clusters, but no pages.
            page = rand.randrange(DISK // PAGE // WORKERS - count)
            stripe = 16
            page = min(page % stripe, stripe - count) + (page // stripe * WORKERS + worker) * stripe
            lines.append(f"{page} {count} {rand.randrange(PATTERN_PAGES - count)}")
        work.append("\n".join(lines) + "\n")
    return work


def make_initrd(folder, pattern, work, files):
    cpio = Cpio()
    boot = BOOT % ((FILE_WORKER, "umount /mnt") if files else (RAW_WORKER, ""))
    cpio.file("init", boot.encode(), 0o755)
    cpio.file("pattern", pattern)
    for worker, lines in enumerate(work):
        cpio.file(f"work.{worker}", lines.encode())
    path = os.path.join(folder, "initrd.cpio")
    with open(machine.guest("initramfs.cpio"), "rb") as base, open(path, "wb") as f:
        f.write(base.read() + cpio.finish())
    return path


class Run:
    """One machine's life, logged."""

    def __init__(self, folder, seed, steps, files):
        self.folder, self.files = folder, files
        self.rand = random.Random(seed)
        self.seed = seed
        self.pattern = self.rand.randbytes(PATTERN_PAGES * PAGE)
        self.work = make_work(self.rand, steps, FILE_PAGES)
        self.write("pattern", self.pattern)
        self.write("work", "".join(f"worker {w}\n{lines}" for w, lines in enumerate(self.work)).encode())
        self.initrd = make_initrd(folder, self.pattern, self.work, files)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)

    def img(self, *args):
        p = subprocess.run([os.path.join(machine.BUILD, "menura-img"), *args], check=False, capture_output=True, text=True)
        assert p.returncode == 0, p.stderr

    def make_disk(self, fmt, create):
        """disk.FMT with base.raw's contents; the list of its files."""
        if self.files:
            with open(self.path("base.raw"), "wb") as f:
                f.truncate(DISK * 4)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", self.path("base.raw")], check=True)
        else:
            self.write("base.raw", self.rand.randbytes(DISK // 2) + bytes(DISK // 2))
        image = self.path("disk." + fmt)
        if create[:1] == ["backing"]:
            self.img("create", "-q", "-f", fmt, "-b", "base.raw", "-F", "raw", *create[1:], image)
        else:
            self.img("convert", "-f", "raw", "-O", fmt, *create, self.path("base.raw"), image)
        os.mkdir(self.path("before"))
        os.mkdir(self.path("scratch"))
        shutil.copyfile(image, self.path("before/disk." + fmt))
        for place in ("before", "scratch"):
            os.symlink(self.path("base.raw"), self.path(place + "/base.raw"))
        return image

    def command(self, image, fmt, options=""):
        return [machine.PROGRAM, "-M", "virt", "-m", "128M", "-smp", "4", "-display", "none", "-serial", "file:" + self.path("console"),
                "-drive", f"file={image},format={fmt},if=none,id=hd0,aio=threads{options}", "-device", "virtio-blk-device,drive=hd0",
                "-monitor", "stdio"]

    def linux(self):
        return ["-kernel", machine.guest("Image"), "-initrd", self.initrd, "-append", "console=ttyS0 quiet"]

    def start(self, argv, image):
        """The emulator, what it does being logged."""
        for name in ("console", "monitor"):
            self.write(name, b"")
        env = {**os.environ, "WRITE_LOG": self.path("log"), "WRITE_LOG_FILES": f"{image}:{self.path('console')}:{self.path('monitor')}",
               "LD_PRELOAD": os.path.join(machine.BUILD, "tests", "libwrite-log.so")}
        with open(self.path("monitor"), "r+b") as f:
            return subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=f, text=True)

    def emulate(self, image, fmt, options, kill, names=()):
        """Until the guest ends, or is killed after that many seconds of work."""
        with self.start(self.command(image, fmt, options) + self.linux(), image) as p:
            try:
                for name in names:
                    self.wait_for("synced", machine.limit(60))
                    time.sleep(0.5)
                    p.stdin.write(f"savevm {name}\ninfo version\n")
                    p.stdin.flush()
                if kill:
                    self.wait_for("synced", machine.limit(60))
                status = p.wait(kill or machine.limit(240))
            except subprocess.TimeoutExpired:
                p.kill()
                status = p.wait()
        with open(self.path("console"), encoding="utf-8", errors="replace") as f:
            text = f.read()
        assert status == (-9 if kill else 0) and "FAILED" not in text, f"status {status}: {text[-1000:]}"

    def wait_for(self, what, seconds, where="console"):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with open(self.path(where), "rb") as f:
                if what.encode() in f.read():
                    return
            time.sleep(0.1)

    def save(self, image, names):
        """Snapshots of a machine without a guest."""
        with self.start(self.command(image, "qcow2"), image) as p:
            p.stdin.write("".join(f"savevm {name}\n" for name in names) + "info version\n")
            p.stdin.flush()
            self.wait_for("info version", machine.limit(120), "monitor")
            p.stdin.write("quit\n")
            p.stdin.close()
            assert p.wait(machine.limit(30)) == 0

    def load(self, image):
        """A machine goes on with each snapshot that the image has."""
        p = subprocess.run([os.path.join(machine.BUILD, "menura-img"), "snapshot", "-l", image], check=True, capture_output=True, text=True)
        ids = [line.split()[0] for line in p.stdout.splitlines()[2:]]
        assert ids, f"{image} has no snapshot"
        for ident in ids:
            p = subprocess.run(self.command(image, "qcow2") + ["-loadvm", ident], input="info status\nquit\n", check=False,
                               capture_output=True, text=True)
            assert p.returncode == 0 and "running" in p.stdout, f"{image} {ident}: {p.stdout}{p.stderr}"
        return len(ids)

    def replay(self, fmt, *options):
        p = subprocess.run([os.path.join(machine.BUILD, "tests", "powercut-replay"), self.path("log"), fmt, self.path("scratch"),
                            self.path("pattern"), self.path("base.raw"), self.path("work"), "--seed", str(self.seed), *options,
                            self.path("before/disk." + fmt)], check=False, capture_output=True, text=True)
        assert p.returncode == 0, p.stderr
        cuts, synced, saved = re.fullmatch(r"(\d+) cuts, synced ([\d ]+), saved (\d+)\n", p.stdout).groups()
        done = sum(map(int, synced.split())) + int(saved)
        assert done > 0 and int(cuts) > done, p.stdout
        return cuts + " cuts"

    def check_file_system(self, raw, synced):
        for options in ("-fy", "-fn"):  # the second time there is nothing to do
            p = subprocess.run(["e2fsck", options, raw], check=False, capture_output=True, text=True)
            assert p.returncode in ((0, 1) if options == "-fy" else (0,)), p.stdout + p.stderr
        for worker in range(WORKERS):
            steps = [line.split() for line in self.work[worker].splitlines()]
            for n in range(max(1, synced[worker] - FILES + 2), synced[worker] + 1):  # the oldest may be replaced already
                _, count, page = map(int, steps[n - 1])
                out = self.path("dumped")
                subprocess.run(["debugfs", "-R", f"dump /{worker}.{n % FILES} {out}", raw], check=True, capture_output=True)
                with open(out, "rb") as f:
                    assert f.read() == self.pattern[page * PAGE:(page + count) * PAGE], f"{raw}: {worker}.{n % FILES} has something else"


def blocks(seed, steps, fmt, create, options, kill=0):
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder, seed, steps, False)
        image = run.make_disk(fmt, create)
        run.emulate(image, fmt, options, kill)
        return f"{run.replay(fmt)}, seed {seed}"


def saves(seed, names, create):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        run = Run(folder, seed, 0, False)
        image = run.make_disk("qcow2", create)
        run.save(image, names)
        os.mkdir(run.path("cuts"))
        cuts = run.replay("qcow2", "--sample", run.path("cuts"), "60")
        os.symlink(run.path("base.raw"), run.path("cuts/base.raw"))
        images = [n for n in os.listdir(run.path("cuts")) if n.isdecimal()]
        loaded = sum(run.load(run.path("cuts/" + n)) for n in images)
        assert loaded, "no snapshot was loaded"
        return f"{cuts}, {loaded} loaded, seed {seed}"


def saves_meanwhile(seed, steps, names):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        run = Run(folder, seed, steps, False)
        image = run.make_disk("qcow2", ["backing"])
        run.emulate(image, "qcow2", "", 0, names)
        return f"{run.replay('qcow2')}, seed {seed}"


def noticed(seed, steps):
    """Without flushes something must be lost: else these tests can find nothing."""
    try:
        blocks(seed, steps, "qcow2", [], ",cache=unsafe")
    except AssertionError as e:
        assert "not there" in str(e) or "corruptions" in str(e) or "does not open" in str(e), e
        return
    raise AssertionError("nothing is lost without flushes")


def file_system(seed, steps, fmt, create, every):
    if not shutil.which("debugfs"):
        raise Skip("no debugfs")
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder, seed, steps, True)
        image = run.make_disk(fmt, create)
        run.emulate(image, fmt, "", 0)
        os.mkdir(run.path("cuts"))
        cuts = run.replay(fmt, "--export", run.path("cuts"), str(every))
        names = [n for n in os.listdir(run.path("cuts")) if n.endswith(".raw")]
        assert names, "no cut was exported"
        for name in names:
            raw = run.path("cuts/" + name)
            with open(raw[:-3] + "synced", encoding="ascii") as f:
                run.check_file_system(raw, [int(n) for n in f.read().split()])
            os.unlink(raw)
        return f"{len(names)} of {cuts}, seed {seed}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--steps", type=int, default=60, help="of each of the guest's processes")
    parser.add_argument("--every", type=int, default=40, help="so many cuts of which one has its file system checked")
    parser.add_argument("--saves", type=int, default=3, help="so many times three snapshots")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    machine.needs_menura("a build folder with the log")
    tap = Tap(args.cases)
    for name, fmt, create, options in (
            ("raw", "raw", [], ""),
            ("raw-directsync", "raw", [], ",cache=directsync"),
            ("qcow2", "qcow2", [], ""),
            ("qcow2-backing", "qcow2", ["backing"], ",discard=unmap"),
            ("qcow2-small-clusters", "qcow2", ["-o", "cluster_size=4k,refcount_bits=64"], ""),
            ("qcow2-extended-l2", "qcow2", ["-o", "extended_l2=on,cluster_size=64k"], ""),
            ("qcow2-compressed", "qcow2", ["-c"], ",cache=none"),
            ("qed", "qed", ["backing"], ""),
            ("vdi", "vdi", [], ""),
            ("vmdk", "vmdk", [], ""),
            ("vpc", "vpc", [], ""),
            ("vhdx", "vhdx", ["-o", "log_size=1M,block_size=1M"], ""),
            ("parallels", "parallels", [], "")):
        tap.case(name, blocks, args.seed, args.steps, fmt, create, options)
    for name, create in (("small-clusters", ["-o", "cluster_size=4k"]), ("backing", ["backing"]),
                         ("extended-l2", ["-o", "extended_l2=on,cluster_size=64k"])):
        tap.case("savevm-" + name, saves, args.seed, ["one", "two", "one"] * args.saves, create)
    if args.saves > 3:      # each image has megabytes of memory
        tap.case("savevm-guest", saves_meanwhile, args.seed, 20, ["one", "one"])
    tap.case("loss-is-noticed", noticed, args.seed, args.steps)
    tap.case("qcow2-killed", blocks, args.seed, args.steps * 100, "qcow2", ["backing"], "", 4)
    tap.case("ext4-raw", file_system, args.seed, args.steps // 4, "raw", [], args.every)
    tap.case("ext4-qcow2", file_system, args.seed, args.steps // 4, "qcow2", ["backing"], args.every)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
