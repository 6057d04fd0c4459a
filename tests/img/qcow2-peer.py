#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qcow2 images of qemu-img read by menura-img, and the other way round.

    qcow2-peer.py MENURA-IMG [PATTERN...]
"""
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Tap                                         # noqa: E402

MIB = 1 << 20
SIZE = 24 * MIB
KINDS = {
    "plain": "", "v2": "compat=0.10", "c512": "cluster_size=512", "c2M": "cluster_size=2M", "zstd": "compression_type=zstd",
    "extended": "extended_l2=on", "extended-128k": "extended_l2=on,cluster_size=128k", "wide": "refcount_bits=64,cluster_size=1k",
    "narrow": "refcount_bits=1", "lazy": "lazy_refcounts=on", "metadata": "preallocation=metadata", "falloc": "preallocation=falloc",
}


class Peers:
    def __init__(self, ours, folder):
        self.ours = ours
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *words, status=0):
        p = subprocess.run(words, cwd=self.folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=120)
        assert p.returncode == status, f"{' '.join(words)}: {p.returncode}: {p.stdout}"
        return p.stdout

    def tools(self, ours_first):
        return (self.ours, "qemu-img") if ours_first else ("qemu-img", self.ours)

    def source(self, seed, size=SIZE):
        """A raw disk with holes, and things that do and do not compress."""
        rng = random.Random(seed)
        path = self.path(f"source-{seed}")
        with open(path, "wb") as f:
            f.truncate(size)
            for _ in range(60):
                f.seek(rng.randrange(size // 512) * 512)
                n = min(rng.choice([512, 4096, 65536, 300032]), size - f.tell())
                f.write(rng.randbytes(n) if rng.random() < 0.5 else bytes([rng.randrange(256)]) * n)
        return path

    def same(self, image, raw):
        for tool in ("qemu-img", self.ours):
            self.run(tool, "compare", "-F", "raw", "-f", "qcow2", image, raw)
        plain = self.path("plain")
        self.run(self.ours, "convert", "-f", "qcow2", "-O", "raw", image, plain)
        with open(plain, "rb") as a, open(raw, "rb") as b:
            assert a.read() == b.read(), "the bytes differ"

    def clean(self, image):
        for tool in ("qemu-img", self.ours):
            self.run(tool, "check", "-f", "qcow2", image)


def options(text):
    return ["-o", text] if text else []


def converts(t, kind, ours, compress):
    tool = t.tools(ours)[0]
    source = t.source(kind)
    image = t.path("image")
    t.run(tool, "convert", *(["-c"] if compress else []), "-f", "raw", "-O", "qcow2", *options(KINDS[kind]), source, image)
    t.clean(image)
    t.same(image, source)


def backing(t, kind, ours):
    """One makes the image over a base, the other writes into it."""
    first, other = t.tools(ours)
    base, image, raw = t.path("base.qcow2"), t.path("image"), t.source("b" + kind)
    t.run(other, "convert", "-f", "raw", "-O", "qcow2", raw, base)
    t.run(first, "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", *options(KINDS[kind]), image, str(SIZE + 5 * MIB))
    t.clean(image)
    rng = random.Random(kind)
    with open(raw, "r+b") as f:
        f.truncate(SIZE + 5 * MIB)
        for i in range(30):
            at = rng.randrange(SIZE // 512) * 512
            n = rng.choice([512, 4096, 100352, 1 << 20])
            n = min(n, SIZE - at)
            command = f"write -P {i + 1} {at} {n}" if i % 3 else f"write -z {at} {n}"
            t.run("qemu-io", "-f", "qcow2", "-c", command, image)
            f.seek(at)
            f.write((bytes([i + 1]) if i % 3 else b"\0") * n)
    t.clean(image)
    t.same(image, raw)
    t.run(t.ours, "rebase", "-f", "qcow2", "-b", "", image)
    t.clean(image)
    t.same(image, raw)


def snapshots(t, kind, ours):
    first, other = t.tools(ours)
    raw, image = t.source("s" + kind), t.path("image")
    t.run(first, "convert", "-f", "raw", "-O", "qcow2", *options(KINDS[kind]), raw, image)
    t.run(first, "snapshot", "-c", "one", image)
    t.clean(image)
    t.run("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 3M", "-c", "write -z 5M 1M", "-c", "discard 8M 1M", image)
    t.clean(image)
    t.run(other, "snapshot", "-c", "two", image)
    t.clean(image)
    t.run("qemu-io", "-f", "qcow2", "-c", "write -P 8 512 70k", image)
    assert "one" in t.run(first, "snapshot", "-l", image) and "two" in t.run(t.ours, "snapshot", "-l", image)
    t.run(other, "snapshot", "-a", "one", image)
    t.clean(image)
    t.same(image, raw)
    t.run(first, "snapshot", "-d", "one", image)
    t.clean(image)
    t.same(image, raw)
    t.run(other, "snapshot", "-a", "two", image)
    t.run(other, "snapshot", "-d", "two", image)
    t.clean(image)
    assert "failed" not in t.run("qemu-io", "-f", "qcow2", "-c", "read -P 7 1M 3M", image)


def sizes(t, kind, ours):
    first, other = t.tools(ours)
    raw, image = t.source("z" + kind), t.path("image")
    t.run(first, "convert", "-f", "raw", "-O", "qcow2", *options(KINDS[kind]), raw, image)
    t.run(first, "resize", "-f", "qcow2", image, str(40 * MIB))
    os.truncate(raw, 40 * MIB)
    t.clean(image)
    t.same(image, raw)
    t.run(other, "resize", "-f", "qcow2", "--shrink", image, str(7 * MIB + 512))
    t.run(first, "resize", "-f", "qcow2", image, str(9 * MIB))
    os.truncate(raw, 7 * MIB + 512)
    os.truncate(raw, 9 * MIB)
    t.clean(image)
    t.same(image, raw)


def bitmaps(t):
    """They stay while nothing is written; after a write they are not valid any more, and nothing is damaged."""
    image = t.path("image")
    t.run("qemu-img", "create", "-f", "qcow2", image, "8M")
    t.run("qemu-img", "bitmap", "--add", image, "b")
    t.clean(image)
    assert "name: b" in t.run("qemu-img", "info", image)


def data_file(t, ours):
    first, _ = t.tools(ours)
    raw, image = t.source("data"), t.path("image")
    t.run(first, "convert", "-f", "raw", "-O", "qcow2", "-o", "data_file=" + t.path("data") + ",data_file_raw=on", raw, image)
    t.clean(image)
    t.same(image, raw)


def dirty(t):
    """An image whose refcounts qemu has not written: who opens it for writing counts anew."""
    image = t.path("image")
    t.run("qemu-img", "create", "-f", "qcow2", "-o", "lazy_refcounts=on", image, "64M")
    subprocess.run(["qemu-io", "-c", "write -P 5 0 3M", "-c", "flush", "-c", "abort", image], check=False, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60)
    assert "failed" not in t.run("qemu-io", "-r", "-c", "read -P 5 0 3M", image)
    with open(image, "rb") as f:
        assert f.read(80)[79] & 1, "qemu-io left no dirty image"
    t.run(t.ours, "snapshot", "-c", "one", image)
    with open(image, "rb") as f:
        assert not f.read(80)[79] & 1, "still dirty"
    t.clean(image)
    assert "failed" not in t.run("qemu-io", "-c", "read -P 5 0 3M", image)


def corrupt(t):
    image = t.path("image")
    t.run("qemu-img", "create", "-f", "qcow2", image, "64M")
    with open(image, "r+b") as f:
        f.seek(79)
        f.write(b"\2")
    assert "corrupt" in t.run(t.ours, "snapshot", "-c", "one", image, status=1)
    t.run(t.ours, "check", "-r", "all", image)
    t.run(t.ours, "snapshot", "-c", "one", image)
    t.clean(image)


def repairs(t):
    """Leaks and errors that our repair mends to qemu-img's content."""
    raw, image = t.source("repair"), t.path("image")
    t.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", raw, image)
    with open(image, "r+b") as f:
        f.seek(4096 * 2 + 20)
        f.write(bytes(40))
    t.run(t.ours, "check", "-f", "qcow2", "-r", "all", image)
    t.clean(image)
    t.same(image, raw)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tap = Tap(sys.argv[2:])
    with tempfile.TemporaryDirectory(prefix="qcow2-peer-") as folder:
        t = Peers(os.path.abspath(sys.argv[1]), folder)
        for kind in KINDS:
            for ours in (True, False):
                who = "ours" if ours else "qemu"
                tap.case(f"convert {kind} {who}", converts, t, kind, ours, False)
                if not kind.startswith(("metadata", "falloc")):
                    tap.case(f"compressed {kind} {who}", converts, t, kind, ours, True)
                    tap.case(f"backing {kind} {who}", backing, t, kind, ours)
                if kind != "narrow":    # refcounts of one bit
                    tap.case(f"snapshots {kind} {who}", snapshots, t, kind, ours)
                tap.case(f"sizes {kind} {who}", sizes, t, kind, ours)
        tap.case("bitmaps", bitmaps, t)
        tap.case("data file ours", data_file, t, True)
        tap.case("data file qemu", data_file, t, False)
        tap.case("dirty", dirty, t)
        tap.case("corrupt", corrupt, t)
        tap.case("repairs", repairs, t)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
