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
from peers import MIB, SIZE, Peers                           # noqa: E402
from tap import Tap                                         # noqa: E402

KINDS = {
    "plain": "", "v2": "compat=0.10", "c512": "cluster_size=512", "c2M": "cluster_size=2M", "zstd": "compression_type=zstd",
    "extended": "extended_l2=on", "extended-128k": "extended_l2=on,cluster_size=128k", "wide": "refcount_bits=64,cluster_size=1k",
    "narrow": "refcount_bits=1", "lazy": "lazy_refcounts=on", "metadata": "preallocation=metadata", "falloc": "preallocation=falloc",
}


class QcowPeers(Peers):
    def tools(self, ours_first):
        return (self.ours, "qemu-img") if ours_first else ("qemu-img", self.ours)

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


def bitmaps(t, ours):
    """One makes and enables them, the other writes; both say the same of them."""
    first, other = t.tools(ours)
    io = {"qemu-img": "qemu-io", t.ours: os.path.join(os.path.dirname(t.ours), "menura-io")}
    image, same = t.path("image"), t.path("same")
    t.run(first, "create", "-f", "qcow2", image, "8M")
    t.run(first, "bitmap", "--add", image, "b")
    t.run(io[other], "-c", "write 1M 64k", image)
    t.run(other, "bitmap", "--add", "--disable", "-g", "512", image, "c")
    t.run(io[first], "-c", "write 3M 1M", image)
    t.run(first, "bitmap", "--merge", "b", image, "c")
    t.run(other, "resize", image, "12M")
    t.clean(image)
    infos = [t.run(tool, "info", image).split("bitmaps:")[1] for tool in (first, other)]
    assert infos[0] == infos[1] and "name: c" in infos[0], infos
    sizes_of = [t.run(tool, "measure", "-O", "qcow2", image) for tool in (first, other)]
    assert sizes_of[0] == sizes_of[1], sizes_of
    t.run(other, "convert", "--bitmaps", "-O", "qcow2", image, same)
    assert t.run(first, "info", same).split("bitmaps:")[1] == infos[0]
    t.clean(same)
    t.run(first, "bitmap", "--remove", image, "b")
    t.run(other, "bitmap", "--clear", "--enable", image, "c")
    t.clean(image)
    t.run(first, "bitmap", "--remove", image, "c")
    t.clean(image)
    assert "bitmaps" not in t.run(other, "info", image)


def bitmap_errors(t):
    """The same words and the same exit status."""
    image, longer, v2 = t.path("image"), t.path("longer"), t.path("v2")
    t.run("qemu-img", "create", "-f", "qcow2", image, "8M")
    t.run("qemu-img", "bitmap", "--add", image, "b")
    t.run("qemu-img", "create", "-f", "qcow2", longer, "12M")
    t.run("qemu-img", "bitmap", "--add", longer, "b")
    t.run("qemu-img", "create", "-f", "qcow2", "-o", "compat=0.10", v2, "8M")
    lines = ([image, "b"], ["--add", image], ["--add", image, "b"], ["--remove", image, "x"], ["--clear", image, "x"],
             ["--merge", "x", image, "b"], ["--merge", "b", "-b", longer, "-F", "qcow2", image, "b"], ["--add", "-g", "100", image, "k"],
             ["--add", "-g", "4G", image, "k"], ["-g", "64k", "--clear", image, "b"], ["--clear", "-b", longer, image, "b"],
             ["--remove", v2, "b"], ["--add", image, ""], ["--merge", "b", "-F", "qcow2", image, "b"],
             ["--add", "-g", "x", image, "k"], ["--add", image, "b", "c"])
    subprocess.run(["qemu-io", "-c", "abort", image], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    more = (["--merge", "b", image, "b"], ["--clear", image, "b"], ["--enable", image, "b"], ["--add", image, "b"])
    for line in lines + more:
        theirs, ours = (t.run(tool, "bitmap", *line, status=(1,)).replace("menura-img", "qemu-img") for tool in ("qemu-img", t.ours))
        assert theirs == ours, (theirs, ours)


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


def lazy(t):
    """The same the other way round."""
    image = t.path("image")
    io = os.path.join(os.path.dirname(t.ours), "menura-io")
    t.run(t.ours, "create", "-f", "qcow2", "-o", "lazy_refcounts=on", image, "64M")
    subprocess.run([io, "-c", "write -P 5 0 3M", "-c", "flush", "-c", "abort", image], check=False, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60)
    for tool in ("qemu-img", t.ours):
        assert "cleanly shut down: no" in t.run(tool, "info", image)
        assert '"dirty-flag": true' in t.run(tool, "info", "--output=json", image)
    assert "failed" not in t.run("qemu-io", "-c", "read -P 5 0 3M", image)
    t.clean(image)


def amends(t, kind, ours):
    """One writes an image and a snapshot, both change what can be changed; qemu-img takes long for a width unless clusters are small."""
    first, other = t.tools(ours)
    raw, image, base = t.source("m" + kind), t.path("image"), t.path("base")
    t.run(first, "convert", "-f", "raw", "-O", "qcow2", *options(KINDS[kind]), raw, image)
    t.run(first, "create", "-f", "raw", base, "1M")
    t.run(first, "rebase", "-u", "-F", "raw", "-b", base, image)
    if "refcount_bits=1" not in KINDS[kind].split(","):
        t.run(first, "snapshot", "-c", "one", image)
    steps = ["compat=1.1,lazy_refcounts=on", "refcount_bits=64", "lazy_refcounts=off,refcount_bits=2", "refcount_bits=16"]
    steps += [] if KINDS[kind].startswith(("ext", "compression")) else ["compat=0.10", "compat=1.1", "compat=0.10"]
    for i, step in enumerate(steps):
        slow = "refcount_bits" in step and kind != "c512"
        t.run(t.ours if slow else (other, first)[i % 2], "amend", "-f", "qcow2", "-o", step, image)
        t.clean(image)
        t.same(image, raw)


def corrupt(t):
    image = t.path("image")
    t.run("qemu-img", "create", "-f", "qcow2", image, "64M")
    with open(image, "r+b") as f:
        f.seek(79)
        f.write(b"\2")
    assert "corrupt" in t.run(t.ours, "snapshot", "-c", "one", image, status=(1,))
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
        t = QcowPeers(os.path.abspath(sys.argv[1]), folder)
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
                if kind in ("plain", "v2", "c512", "c2M", "extended", "wide", "lazy"):
                    tap.case(f"amend {kind} {who}", amends, t, kind, ours)
        tap.case("bitmaps ours", bitmaps, t, True)
        tap.case("bitmaps qemu", bitmaps, t, False)
        tap.case("bitmap errors", bitmap_errors, t)
        tap.case("data file ours", data_file, t, True)
        tap.case("data file qemu", data_file, t, False)
        tap.case("dirty", dirty, t)
        tap.case("lazy", lazy, t)
        tap.case("corrupt", corrupt, t)
        tap.case("repairs", repairs, t)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
