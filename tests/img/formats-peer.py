#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of all formats but qcow2 and raw, of qemu-img read by menura-img, and the other way round.

    formats-peer.py MENURA-IMG [PATTERN...]

A format is an entry of FORMATS.
"""
import bz2
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from peers import MIB, SIZE, Peers, memory                    # noqa: E402
from tap import Skip, Tap                                    # noqa: E402

BIG = 3 << 40


class Format:
    def __init__(self, kinds, *, sizes=(), big=BIG, big_alone=False, check=True, grows=False, backing=None, damage=(), leaks=False,
                 dirty=None, unlike=(), once=()):
        self.kinds = kinds          # name: -o
        self.sizes = sizes          # odd ones, beside SIZE
        self.big = big
        self.big_alone = big_alone  # qemu-img cannot compare these: ours does
        self.check = check          # has checks, in both tools
        self.grows = grows
        self.backing = backing      # a format of images that it can lie upon
        self.damage = damage        # (name, function(file), qemu-img's exit status, exit status of ours) of an image of source()
        self.leaks = leaks          # may stay when an image is mended
        self.dirty = dirty          # function(file): was it not closed properly?
        self.unlike = unlike        # members of info that need not be alike
        self.once = once            # of the kinds those in which nothing can be written twice


def put(f, offset, text, *values):
    f.seek(offset)
    f.write(struct.pack(text, *values))


def get(f, offset, text):
    f.seek(offset)
    return struct.unpack(text, f.read(struct.calcsize(text)))[0]


def vdi_twice(f):
    entries = get(f, 340, "<I")
    put(f, entries + 4, "<I", get(f, entries, "<I"))


def qed_entry(f, n, level=1):
    at = get(f, 40, "<Q")
    for _ in range(level):
        at = get(f, at, "<Q")
    return at + n * 8


def vmdk_entry(f, n):
    return get(f, get(f, 56, "<Q") * 512, "<I") * 512 + n * 4


FORMATS = {
    "qed": Format({"plain": "", "4k": "cluster_size=4k,table_size=2", "1M": "cluster_size=1M,table_size=16"}, sizes=(512, 5 * MIB + 512),
                  grows=True, backing="qcow2", leaks=True, dirty=lambda f: get(f, 16, "<Q") & 2, damage=(
        ("outside", lambda f: put(f, qed_entry(f, 0), "<Q", 1 << 40), 2, 2),
        ("crooked", lambda f: put(f, qed_entry(f, 0), "<Q", 0x50001), 2, 2),
        ("twice", lambda f: put(f, qed_entry(f, 0), "<Q", get(f, qed_entry(f, 383), "<Q")), 2, 2),
        ("L1", lambda f: put(f, qed_entry(f, 0, 0), "<Q", 1 << 50), 2, 2),
        ("table", lambda f: put(f, qed_entry(f, 0), "<Q", get(f, 40, "<Q")), 2, 2),
        ("leak", lambda f: f.seek(0, 2) and f.write(bytes(131072)), 3, 3),
    )),
    "parallels": Format({"plain": "", "64k": "cluster_size=64k", "31k": "cluster_size=31k"}, sizes=(512, 5 * MIB + 512),
                        unlike=("dirty-flag",), big_alone=True, dirty=lambda f: get(f, 44, "<I") == 0x746f6e59, damage=(
        ("outside", lambda f: put(f, 68, "<I", 1000), 2, 2),
        ("twice", lambda f: put(f, 68, "<I", 1), 0, 2),                 # qemu-img does not look for these two
        ("header", lambda f: put(f, 68, "<I", 0x1000000), 2, 2),
        ("leak", lambda f: f.seek(0, 2) and f.write(bytes(1300000)), 3, 3),
        ("short", lambda f: f.truncate(SIZE // 2), 2, 2),
        ("dirty", lambda f: put(f, 44, "<I", 0x746f6e59), 2, 2),
    )),
    "vpc": Format({"plain": "force_size=on", "fixed": "force_size=on,subformat=fixed"}, sizes=(512, 5 * MIB + 512), check=False,
                  big=(2040 << 30) - 512),
    "vdi": Format({"plain": "", "static": "static=on"}, sizes=(512, 5 * MIB + 512, 7 * MIB - 1536), damage=(
        ("outside", lambda f: put(f, get(f, 340, "<I") + 8, "<I", 5000), 2, 2),
        ("twice", vdi_twice, 2, 2),
        ("count", lambda f: put(f, 388, "<I", 1), 2, 2),
    )),
    "vhdx": Format({"plain": "", "1M": "block_size=1M,log_size=2M", "fixed": "subformat=fixed", "present": "block_state_zero=off"},
                   sizes=(512, 5 * MIB + 512), big_alone=True, damage=(
        ("outside", lambda f: put(f, 2 * MIB + 8, "<Q", 5000 << 20 | 6), 2, 2),
        ("twice", lambda f: put(f, 2 * MIB + 8, "<Q", get(f, 2 * MIB, "<Q")), 0, 2),
    )),
    "vmdk": Format({"plain": "", "zeroed": "zeroed_grain=on", "flat": "subformat=monolithicFlat", "split": "subformat=twoGbMaxExtentSparse",
                    "split-flat": "subformat=twoGbMaxExtentFlat", "stream": "subformat=streamOptimized"}, sizes=(512, 5 * MIB + 512),
                   backing="vmdk", once=("stream",), damage=(
        ("outside", lambda f: put(f, vmdk_entry(f, 1), "<I", 0x7ffffff), 1, 2),
        ("twice", lambda f: put(f, vmdk_entry(f, 1), "<I", get(f, vmdk_entry(f, 0), "<I")), 0, 2),
        ("table", lambda f: put(f, vmdk_entry(f, 1), "<I", get(f, 56, "<Q")), 0, 2),
    )),
}


class FormatPeers(Peers):
    def tool(self, ours):
        return self.ours if ours else "qemu-img"

    def io(self, name, image, *commands):
        words = [w for c in commands for w in ("-c", c)]
        output = self.run("qemu-io", "-f", name, *words, image)
        assert "failed" not in output, output

    def source(self, seed, size=SIZE):
        """A raw disk with holes, the first and the last sector not among them."""
        rng = random.Random(seed)
        path = self.path(f"source-{seed}")
        with open(path, "wb") as f:
            f.truncate(size)
            for i in range(40 if size > 100000 else 2):
                at = rng.randrange(size // 512) * 512 if i > 1 else i * (size - 512)
                f.seek(at)
                f.write(rng.randbytes(min(rng.choice([512, 4096, 65536, 300032]), size - at)))
        return path

    def sparse(self, size):
        """A raw disk with a little here and there."""
        path = self.path("sparse")
        with open(path, "wb") as f:
            f.truncate(size)
            for at in (0, MIB - 512, size // 3 // 512 * 512, size // 2 // MIB * MIB, size - 3 * MIB - 512, size - 4096):
                f.seek(at)
                f.write(random.Random(at).randbytes(4096))
        return path

    def same(self, name, image, raw, whole=True, tools=None):
        for tool in tools or ("qemu-img", self.ours)[not whole and FORMATS[name].big_alone:]:
            self.run(tool, "compare", "-F", "raw", "-f", name, image, raw)
        if whole:
            plain = self.path("plain")
            self.run(self.ours, "convert", "-f", name, "-O", "raw", image, plain)
            self.run("qemu-img", "compare", "-f", "raw", "-F", "raw", plain, raw)

    def clean(self, name, image, status=(0,)):
        if FORMATS[name].check:
            for tool in ("qemu-img", self.ours):
                self.run(tool, "check", "-f", name, image, status=status)

    def make(self, ours, name, kind, raw, image):
        text = FORMATS[name].kinds[kind]
        self.run(self.tool(ours), "convert", "-f", "raw", "-O", name, *(["-o", text] if text else []), raw, image)


def converts(t, name, kind, ours, size):
    raw, image = t.source(f"{name}{kind}{size}", size), t.path("image")
    t.make(ours, name, kind, raw, image)
    t.clean(name, image)
    t.same(name, image, raw)


def writes(t, name, kind, ours):
    """One makes the image; qemu-io and then ours write into it."""
    first, then, image = t.source("first" + name), t.source("then" + name), t.path("image")
    t.make(ours, name, kind, first, image)
    rng = random.Random(name + kind)
    commands = []
    with open(first, "r+b") as f:
        for i in range(12):
            at, n = rng.randrange(SIZE // 512 - 4000) * 512, rng.choice([512, 4096, 100352, 1 << 20])
            commands.append(f"write -P {i + 1} {at} {n}" if i % 4 else f"write -z {at} {n}")
            f.seek(at)
            f.write((bytes([i + 1]) if i % 4 else b"\0") * n)
    t.io(name, image, *commands)
    t.clean(name, image)
    t.same(name, image, first)
    t.run(t.ours, "convert", "-n", "-f", "raw", "-O", name, then, image)
    t.clean(name, image)
    t.same(name, image, then)


def big(t, name, kind, ours):
    size, image = FORMATS[name].big, t.path("image")
    raw = t.sparse(size)
    t.make(ours, name, kind, raw, image)
    t.clean(name, image)
    t.same(name, image, raw, False, () if ours else (t.ours,))  # qemu-img takes long for some: what we wrote, once
    assert os.stat(image).st_blocks * 512 < 100 * MIB
    t.run("qemu-img", "create", "-f", name, *(["-o", FORMATS[name].kinds[kind]] if FORMATS[name].kinds[kind] else []), image, str(size))
    t.run(t.ours, "convert", "-n", "-f", "raw", "-O", name, raw, image)
    t.clean(name, image)
    t.same(name, image, raw, False, (t.ours,))


def crosses(t, name, other, ours):
    """From one format to another."""
    raw, image, copy = t.source("cross"), t.path("image"), t.path("copy")
    t.make(not ours, name, "plain", raw, image)
    t.run(t.tool(ours), "convert", "-f", name, "-O", other, image, copy)
    t.same(other, copy, raw)
    if other in FORMATS:
        t.clean(other, copy)


def sizes(t, name, kind, ours):
    raw, image = t.source("size" + name), t.path("image")
    t.make(ours, name, kind, raw, image)
    if not FORMATS[name].grows:
        for tool in ("qemu-img", t.ours):
            assert "resize" in t.run(tool, "resize", "-f", name, image, str(2 * SIZE), status=(1,))
        return
    for tool, size in ((t.ours, SIZE + 512), ("qemu-img", 2 * SIZE), (t.ours, 3 * SIZE + 1536)):
        t.run(tool, "resize", "-f", name, image, str(size))
        os.truncate(raw, size)
        t.clean(name, image)
        t.same(name, image, raw)
        t.io(name, image, f"write -P 9 {size - 1024} 1024")
        with open(raw, "r+b") as f:
            f.seek(size - 1024)
            f.write(b"\x09" * 1024)
    t.clean(name, image)
    t.same(name, image, raw)
    for tool in ("qemu-img", t.ours):
        t.run(tool, "resize", "-f", name, "--shrink", image, str(SIZE), status=(1,))


def backing(t, name, kind, ours):
    below = FORMATS[name].backing
    raw, base, image = t.source("base" + name), t.path("base." + below), t.path("image")
    text = FORMATS[name].kinds[kind]
    t.run("qemu-img", "convert", "-f", "raw", "-O", below, raw, base)
    t.run(t.tool(ours), "create", "-f", name, "-b", "base." + below, "-F", below, *(["-o", text] if text else []), image,
          str(SIZE + 5 * MIB))
    t.same(name, image, raw)
    other = t.source("other" + name)
    os.truncate(raw, SIZE + 5 * MIB)
    os.truncate(other, SIZE + 5 * MIB)
    t.io(name, image, "write -P 7 1M 1000k", "write -z 3M 2M", "write -z 6143k 1023k", f"write -P 8 {SIZE - 512} 1k")
    with open(raw, "r+b") as f:
        for at, data in ((MIB, b"\x07" * 1024000), (3 * MIB, bytes(2 * MIB)), (6143 << 10, bytes(1023 << 10)), (SIZE - 512, b"\x08" * 1024)):
            f.seek(at)
            f.write(data)
    t.clean(name, image)
    t.same(name, image, raw)
    t.run(t.ours, "convert", "-n", "-f", "raw", "-O", name, other, image)
    t.clean(name, image)
    t.same(name, image, other)
    if below == name:           # cannot become longer
        return
    t.run(t.ours, "commit", "-f", name, image)
    t.clean(name, image)
    t.same(name, image, other)
    t.run("qemu-img", "compare", "-f", below, "-F", "raw", base, other)
    t.run(t.ours, "rebase", "-u", "-f", name, "-b", "", image)
    assert "backing" not in t.run("qemu-img", "info", image)
    t.clean(name, image)


def damages(t, name, damage):
    """What qemu-img finds, ours finds; mended, both find nothing."""
    _, change, theirs, ours = damage
    raw, image, copy = t.source("damage" + name), t.path("image"), t.path("copy")
    t.make(False, name, "plain", raw, image)
    with open(image, "r+b") as f:
        change(f)
    shutil.copy(image, copy)
    t.run("qemu-img", "check", "-f", name, copy, status=(theirs,))
    t.run(t.ours, "check", "-f", name, image, status=(ours,))
    mended = (0, 3) if FORMATS[name].leaks else (0,)
    t.run(t.ours, "check", "-f", name, "-r", "all", image, status=mended)
    t.clean(name, image, mended)
    t.io(name, image, "write -P 5 3M 9M", "read -P 5 3M 9M")
    t.clean(name, image, mended)


def dirty(t, name):
    """An image whose writer died. Who looks changes nothing; who writes mends it first."""
    raw, image = t.source("dirty" + name), t.path("image")
    t.make(True, name, "plain", raw, image)
    subprocess.run(["qemu-io", "-f", name, "-c", "write -P 5 0 3M", "-c", "flush", "-c", "abort", image], check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    def is_dirty():
        with open(image, "rb") as f:
            return FORMATS[name].dirty(f)

    assert is_dirty(), "qemu-io left a clean image"
    with open(raw, "r+b") as f:
        f.write(b"\x05" * (3 * MIB))
    t.run(t.ours, "compare", "-f", name, "-F", "raw", image, raw)
    assert is_dirty()
    t.run(t.ours, "convert", "-n", "-f", "raw", "-O", name, raw, image)
    assert not is_dirty()
    t.clean(name, image)
    t.same(name, image, raw)


def info(t, name, kind, ours):
    raw, image = t.source("info" + name), t.path("image")
    t.make(ours, name, kind, raw, image)
    a, b = (json.loads(t.run(tool, "info", "--output=json", image)) for tool in ("qemu-img", t.ours))
    for key in FORMATS[name].unlike:
        a.pop(key, None)
        b.pop(key, None)
    assert a == b, f"{a} {b}"
    commands = [(tool, "map", "--output=json", image) for tool in ("qemu-img", t.ours)]
    a, b = (json.loads(t.run(*c)) for c in commands)
    assert [x["zero"] for x in a] or [x["zero"] for x in b]
    if FORMATS[name].check:
        a, b = (json.loads(t.run(tool, "check", "--output=json", image)) for tool in ("qemu-img", t.ours))
        assert a == b, f"{a} {b}"


def vpc_geometry(t):
    """What disks become that are made without force_size."""
    image = t.path("image")
    for size in ("0", "1", "513", "1M", "100M", "503M", "504M", "505M", "4032M", "4033M", "8G", "33G", "127G", "136899990000", "128G", "2040G"):
        lengths = []
        for tool in ("qemu-img", t.ours):
            t.run(tool, "create", "-f", "vpc", image, size)
            lengths += [json.loads(t.run(x, "info", "--output=json", image))["virtual-size"] for x in ("qemu-img", t.ours)]
        assert len(set(lengths)) == 1, (size, lengths)
    for tool in ("qemu-img", t.ours):
        for words in (("-o", "subformat=x", image, "1M"), (image, "2041G")):
            t.run(tool, "create", "-f", "vpc", *words, status=(1,))


def samples(t):
    """Images that other programs made."""
    folder = os.environ.get("QEMU_IOTESTS_SAMPLES")
    if not folder:
        raise Skip("no QEMU_IOTESTS_SAMPLES")
    for sample, name in (("virtualpc-dynamic.vhd", "vpc"), ("d2v-zerofilled.vhd", "vpc"), ("hyperv2012r2-dynamic.vhd", "vpc"),
                         ("parallels-v1", "parallels"), ("parallels-v2", "parallels"), ("parallels-with-bitmap", "parallels")):
        if name not in FORMATS:
            continue
        image = t.path(sample)
        with bz2.open(os.path.join(folder, sample + ".bz2")) as a, open(image, "wb") as b:
            shutil.copyfileobj(a, b)
        infos = [json.loads(t.run(tool, "info", "--output=json", image)) for tool in ("qemu-img", t.ours)]
        for key in ("virtual-size", "format"):
            assert infos[0][key] == infos[1][key], infos
        t.run("qemu-img", "convert", "-f", name, "-O", "qcow2", image, t.path("theirs"))
        t.run(t.ours, "compare", "-f", name, "-F", "qcow2", image, t.path("theirs"))
        os.unlink(image)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tap = Tap(sys.argv[2:])
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        print("1..0 # SKIP no qemu-img")
        return
    with tempfile.TemporaryDirectory(prefix="formats-peer-", dir=memory()) as folder:
        t = FormatPeers(os.path.abspath(sys.argv[1]), folder)
        for name, f in FORMATS.items():
            for kind in f.kinds:
                for ours in (True, False):
                    who = f"{name} {kind} {'ours' if ours else 'qemu'}"
                    for size in (SIZE, *f.sizes):
                        tap.case(f"convert {who} {size}", converts, t, name, kind, ours, size)
                    if kind not in f.once:
                        tap.case(f"write {who}", writes, t, name, kind, ours)
                    tap.case(f"sizes {who}", sizes, t, name, kind, ours)
                    tap.case(f"info {who}", info, t, name, kind, ours)
                    if f.backing and kind not in f.once and "lat" not in kind:
                        tap.case(f"backing {who}", backing, t, name, kind, ours)
            for ours in (True, False):
                tap.case(f"big {name} {'ours' if ours else 'qemu'}", big, t, name, "plain", ours)
                for other in ["qcow2", *FORMATS]:
                    if other != name:
                        tap.case(f"cross {name} {other} {'ours' if ours else 'qemu'}", crosses, t, name, other, ours)
            if f.dirty:
                tap.case(f"dirty {name}", dirty, t, name)
            for damage in f.damage:
                tap.case(f"damage {name} {damage[0]}", damages, t, name, damage)
        tap.case("geometry of vpc", vpc_geometry, t)
        tap.case("samples", samples, t)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
