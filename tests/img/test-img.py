#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""menura-img beside qemu-img: the same commands on the same files in two folders. What they print (but for the program's name and
suggestions), their exit statuses and the files they leave must be the same.

    tests/img/test-img.py [PATTERN...]        menura-img is in $MENURA_BUILD
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Skip, Tap                                         # noqa: E402

BUILD = os.environ.get("MENURA_BUILD", os.path.join(ROOT, "build"))
MENURA = os.path.join(BUILD, "menura-img")
QEMU = shutil.which("qemu-img")
WORK = tempfile.mkdtemp(prefix="menura-img-")
TIMEOUT = 60


def run(program, *args, cwd=None):
    return subprocess.run([program, *args], cwd=cwd, check=False, timeout=TIMEOUT, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def can_make(format_):
    path = os.path.join(WORK, "probe." + format_)
    made = run(MENURA, "create", "-q", "-f", format_, path, "1M").returncode == 0
    return made and run(MENURA, "info", path).returncode == 0


def plain(text, loose=False):
    """Without what may differ. @loose: also the space that an image takes."""
    text = re.sub(r"; did you mean '[^']*'\?", "", text.replace("menura-img", "qemu-img"))
    text = re.sub(r"(WARNING: Image format[^\n]*\n[^\n]*\n[^\n]*\n)\1+", r"\1", text)
    text = re.sub(r"#block\d+", "#block", text)
    text = re.sub(r"(\n(disk size| *\"actual-size\"):)[^\n]*", r"\1 0,", text) if loose else text
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)


def write(path, pieces, size=None):
    """@pieces: (offset, bytes)."""
    with open(path, "wb") as f:
        for offset, data in pieces:
            f.seek(offset)
            f.write(data)
        if size is not None:
            f.truncate(size)


def pattern(n, seed=1):
    return bytes((i * seed + (i >> 8) * 7) & 0xff or 1 for i in range(256)) * (n // 256)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def prepare(folder):
    """What the commands find: all kinds of raw images."""
    os.makedirs(os.path.join(folder, "sub"))
    at = lambda name: os.path.join(folder, name)                  # noqa: E731
    write(at("a.raw"), [(65536, pattern(65536))], 1 << 20)
    write(at("same.raw"), [(65536, pattern(65536)), (300000, bytes(5000))], 1 << 20)
    write(at("longer.raw"), [(65536, pattern(65536))], 2 << 20)
    write(at("longer-data.raw"), [(65536, pattern(65536)), (1536100, b"x")], 2 << 20)
    write(at("other.raw"), [(65536, pattern(65536)), (614500, b"y")], 1 << 20)
    write(at("full.raw"), [(0, pattern(1 << 20, 3))])
    write(at("odd.raw"), [(0, b"hello\n")])
    write(at("odd2.raw"), [(4096, pattern(4096))], 10001)
    write(at("empty.raw"), [], 0)
    write(at("zero.raw"), [], 3 << 20)
    write(at("holes.raw"), [(i << 16, pattern(4096, i + 1)) for i in range(0, 64, 3)], 5 << 20)


class Pair:
    """The same folder twice."""

    def __init__(self, name, loose=False):
        self.folders, self.loose = [], loose
        for program in ("menura", "qemu"):
            folder = os.path.join(WORK, name, program)
            prepare(folder)
            self.folders.append(folder)

    def both(self, *args):
        return [run(p, *args, cwd=f) for p, f in zip((MENURA, QEMU), self.folders)]

    def same(self, *args, text=True):
        """@text: also what is printed."""
        ours, theirs = self.both(*args)
        what = "menura-img " + " ".join(args)
        for stream in ("stdout", "stderr") if text else ():
            a, b = (plain(getattr(r, stream), self.loose).rstrip() for r in (ours, theirs))
            if "--output=json" in args and stream == "stdout" and theirs.returncode == 0:
                a, b = json.loads(a), json.loads(b)
            assert a == b, f"{what}: {stream}:\n{a}\nqemu-img:\n{b}"
        assert ours.returncode == theirs.returncode, f"{what}: {ours.returncode}, qemu-img: {theirs.returncode}\n{ours.stderr}"
        return ours

    def same_file(self, name):
        paths = [os.path.join(f, name) for f in self.folders]
        there = [os.path.exists(p) for p in paths]
        assert there[0] == there[1], f"{name}: there: {there}"
        assert not there[0] or read(paths[0]) == read(paths[1]), name + ": differs"

    def same_files(self):
        names = sorted({n for f in self.folders for n in os.listdir(f) if n.endswith(".raw")})
        for name in names:
            self.same_file(name)

    def same_space(self, name):
        """Holes where qemu-img leaves holes."""
        blocks = [os.stat(os.path.join(f, name)).st_blocks for f in self.folders]
        assert blocks[0] <= blocks[1], f"{name}: {blocks[0]} blocks, qemu-img: {blocks[1]}"


def commands_case(name, lines, text=True):
    pair = Pair(name)
    for line in lines:
        pair.same(*line.split(), text=text)
    pair.same_files()
    return f"{len(lines)} commands"


USAGE = ["", "nocmd", "creat x", "--foo", "create", "create -f", "create -Z x", "create --foo x", "create -f raw x 1M extra",
         "info", "info a.raw full.raw", "info --output=xml a.raw", "map", "check", "check -r foo a.raw", "compare a.raw",
         "convert", "convert a.raw", "resize -f raw a.raw", "snapshot",
         "snapshot -c a -d b a.raw", "commit", "rebase a.raw", "measure", "measure --size 1G a.raw", "amend a.raw", "bench",
         "bitmap --add a.raw", "bitmap a.raw foo", "dd if=a.raw", "dd of=a.raw", "dd if=a.raw of=d.raw foo=1",
         "dd if=a.raw of=d.raw foo", "convert -t foo a.raw b", "check -T foo a.raw", "info -f raw --image-opts a.raw"]

CREATE = ["create a1.raw 1M", "create -f raw b.raw 1000", "create -q -f raw c.raw 10M", "create -f nofmt x 1M",
          "create -f raw -o foo=1 x 1M", "create -f raw -o size=1M,foo x", "create -f raw x", "create -f raw x abc",
          "create -f raw x.raw 1.5k", "create -f raw x 99999999999999999E", "create -f raw x 8E",
          "create -f raw -b a.raw -F raw o3.raw 4M", "create -f raw -o preallocation=full f.raw 64k",
          "create -f raw -o size=2M x 64k", "create -f raw -o preallocation=falloc,size=2M p.raw",
          "create -f raw -o size=5 -o size=1k y.raw", "create -f raw -o , x 1M", "create -f raw z.raw 0",
          "create -f raw /nonexist/x 1M"]

INFO = ["info nope", "info a.raw", "info odd.raw", "info --output=json odd2.raw", "info empty.raw", "info -U full.raw",
        "info --backing-chain a.raw", "info --backing-chain --output=json a.raw", "info -f raw --output=json holes.raw",
        "info -f foo a.raw", "info .", "info --image-opts driver=raw,file.filename=a.raw"]

MAP = ["map a.raw", "map --output=json a.raw", "map odd.raw",
       "map empty.raw", "map zero.raw", "map --output=json zero.raw", "map holes.raw", "map --output=json holes.raw",
       "map --output=json --start-offset=100k --max-length=200k holes.raw", "map --start-offset=5M a.raw",
       "map --start-offset=foo a.raw", "map nope"]

COMPARE = ["compare a.raw same.raw", "compare same.raw a.raw", "compare -s a.raw a.raw", "compare a.raw longer.raw",
           "compare longer.raw a.raw", "compare -s a.raw longer.raw", "compare a.raw longer-data.raw",
           "compare longer-data.raw a.raw", "compare a.raw other.raw", "compare -q a.raw other.raw", "compare -f raw -F raw other.raw a.raw",
           "compare a.raw nope", "compare nope a.raw", "compare -f foo a.raw a.raw", "compare full.raw zero.raw", "compare odd.raw empty.raw",
           "compare zero.raw empty.raw", "compare holes.raw full.raw", "compare -U a.raw a.raw"]

RESIZE = ["resize -f raw a.raw 2M", "resize -f raw a.raw 1M", "resize -f raw --shrink a.raw 1M", "resize -f raw a.raw +512",
          "resize -f raw --shrink a.raw -512", "resize -f raw --shrink a.raw -512G", "resize -f raw a.raw foo",
          "resize -f raw --preallocation=full a.raw 1100k", "resize -f raw --preallocation=foo a.raw 1200k",
          "resize -f raw --preallocation=full --shrink a.raw 1M", "resize nope 2M", "resize full.raw 2M",
          "resize -q -f raw --preallocation=falloc zero.raw 4M", "resize -f raw odd.raw +1k"]

CONVERT = ["convert a.raw b1.raw", "convert -f raw -O raw holes.raw b2.raw", "convert odd2.raw b3.raw", "convert empty.raw b4.raw",
           "convert a.raw odd.raw holes.raw b5.raw", "convert -S 0 holes.raw b6.raw", "convert -S 64k holes.raw b7.raw",
           "convert -m 1 full.raw b8.raw", "convert -W -m 16 full.raw b9.raw", "convert -n full.raw longer.raw",
           "convert -n a.raw nope", "convert -n zero.raw a.raw", "convert -n -S 4k holes.raw b6.raw",
           "convert -n --target-is-zero holes.raw b6.raw", "convert -O foo a.raw b", "convert -f foo a.raw b", "convert nope b",
           "convert -r x a.raw b", "convert -r 1G a.raw b17.raw",
           "convert -c -O raw a.raw b", "convert -S 3 a.raw b", "convert -m 99 a.raw b", "convert -O raw -B a.raw -F raw a.raw b",
           "convert -O raw -o foo=3 a.raw b", "convert --target-is-zero a.raw b", "convert -O raw a.raw /nonexist/x",
           "convert -O raw a.raw a.raw", "convert -C a.raw b10.raw", "convert -C -S 0 a.raw b", "convert --salvage a.raw b11.raw",
           "convert -o preallocation=full a.raw b12.raw", "convert -o size=5M a.raw b13.raw", "convert -U -q a.raw b14.raw",
           "convert -t none -T none holes.raw b15.raw", "convert full.raw b1.raw", "convert zero.raw b16.raw"]

DD = ["dd if=a.raw of=d1.raw bs=64k count=3", "dd if=a.raw of=d2.raw bs=64k skip=1", "dd if=a.raw of=d3.raw bs=64k count=4 skip=1",
      "dd if=a.raw of=d4.raw bs=0", "dd if=a.raw of=d5.raw bs=64k count=2 skip=100", "dd if=a.raw of=d6.raw count=x",
      "dd if=odd.raw of=d7.raw bs=3", "dd if=full.raw of=d8.raw bs=1000 count=3 skip=1", "dd if=nope of=d9.raw",
      "dd -f raw -O raw if=holes.raw of=d10.raw bs=1M", "dd if=full.raw of=d1.raw bs=4M"]

OTHERS = ["check a.raw", "check nope", "check --output=json a.raw", "snapshot -l a.raw", "snapshot -c foo a.raw",
          "snapshot -d foo a.raw", "snapshot -a foo a.raw", "commit a.raw", "commit nope", "rebase -b x a.raw", "amend -o x=1 a.raw",
          "amend -f raw -o size=2M a.raw", "bench -d x a.raw", "bench -c foo a.raw", "bench -s x a.raw", "bench --flush-interval=2 a.raw",
          "bench --pattern=256 -w -f raw a.raw"]

MEASURE = ["measure --size 1G", "measure a.raw", "measure odd.raw", "measure -O raw --output=json a.raw", "measure --size 1000",
           "measure --size foo", "measure -O foo --size 1", "measure nope"]


def progress():
    pair = Pair("progress")
    for line in ("convert -p -f raw full.raw p.raw", "compare -p full.raw p.raw"):
        ours = pair.same(*line.split(), text=False).stdout
        assert ours.startswith("    (0.00/100%)") and "    (100.00/100%)" in ours and ours.endswith("\n"), repr(ours)


def same_holes():
    pair = Pair("holes")
    for line in ("convert holes.raw h1.raw", "convert same.raw h2.raw", "convert zero.raw h3.raw"):
        pair.same(*line.split())
        pair.same_space(line.split()[-1])


def interrupted():
    """A target that is new is whole or not there; one that is there keeps its name."""
    folder = os.path.join(WORK, "interrupted")
    os.makedirs(folder)
    source, target = os.path.join(folder, "big.raw"), os.path.join(folder, "new.raw")
    with open(source, "wb") as f:
        for _ in range(128):
            f.write(pattern(2 << 20))
    for delay in (0, .01, .03, .1):
        p = subprocess.Popen([MENURA, "convert", "-m", "1", source, target])  # pylint: disable=consider-using-with
        time.sleep(delay)
        p.send_signal(signal.SIGTERM)
        status = p.wait(TIMEOUT)
        assert status in (0, -signal.SIGTERM), status
        if os.path.exists(target):
            assert status == 0 and os.path.getsize(target) == os.path.getsize(source)
            os.unlink(target)
        left = set(os.listdir(folder)) - {"big.raw"}
        assert status == 0 or delay == 0 or not left, left
        for name in left:
            os.unlink(os.path.join(folder, name))


def failed_target():
    pair = Pair("failed")
    folder = pair.folders[0]
    before = sorted(os.listdir(folder))
    assert run(MENURA, "convert", "-o", "preallocation=nonsense", "a.raw", "new.raw", cwd=folder).returncode == 1
    assert sorted(os.listdir(folder)) == before, sorted(set(os.listdir(folder)) - set(before))


def help_and_suggestions():
    for args in (["--help"], ["help"], ["help", "convert"], ["create", "--help"], ["--version"], ["-V"], ["info", "-h"]):
        r = run(MENURA, *args)
        assert r.returncode == 0 and "menura-img" in r.stdout and not r.stderr, (args, r)
    for args, text in ((["conver", "a", "b"], "did you mean 'convert'?"), (["info", "--outptu=json", "x"], "did you mean '--output'?"),
                       (["create", "-f", "rwa", "x", "1"], "did you mean 'raw'?"),
                       (["create", "-o", "preallocatoin=off", "x", "1"], "did you mean 'preallocation'?")):
        r = run(MENURA, *args, cwd=WORK)
        assert r.returncode == 1 and text in r.stderr, (args, r)


def manual():
    """docs/menura-img.1 has each command, and each option of its line in the help."""
    with open(os.path.join(ROOT, "docs", "menura-img.1"), encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    shown = re.findall(r"^  (\w+) (.*)$", run(MENURA, "--help").stdout, re.M)
    assert len(shown) >= 15, shown
    for name, syntax in shown:
        m = re.search(r"^\.SS " + name + r"\n(.*?)(?=^\.S[SH] )", page, re.M | re.S)
        assert m, name + ": not in the page"
        for option in re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", syntax):
            assert option in m[1] or option in page[:page.index(".SH COMMANDS")], f"{name} {option}: not in the page"


def hostile():
    """No file crashes it."""
    folder = os.path.join(WORK, "hostile")
    os.makedirs(folder)
    heads = [b"QFI\xfb\0\0\0\3", b"KDMV\1\0\0\0", b"conectix", b"vhdxfile", b"QED\0", b"WithoutFreeSpace", b"# Disk DescriptorFile\n",
             bytes(64) + b"\x7f\x10\xda\xbe"]
    for i, head in enumerate(heads):
        for tail in (b"", b"\xff" * 4096, bytes(4096)):
            write(os.path.join(folder, "x"), [(0, head + tail)])
            for args in (["info"], ["check"], ["map"], ["measure"], ["snapshot", "-l"]):
                r = run(MENURA, *args, "x", cwd=folder)
                assert r.returncode in (0, 1, 2, 3, 63), (i, args, r)


# ---- Formats with more to them ----

def formats(name, make_options=()):
    """From and to raw, read by the other program."""
    pair = Pair("format-" + name)
    ours = pair.folders[0]
    for source in ("holes.raw", "full.raw", "a.raw", "zero.raw"):
        for program, other in ((MENURA, QEMU), (QEMU, MENURA)):
            for p, args in ((program, ["convert", "-O", name, *make_options, source, "x.img"]),
                            (other, ["convert", "-f", name, "x.img", "back"])):
                r = run(p, *args, cwd=ours)
                assert r.returncode == 0, (p, args, r.stderr)
            r = run(QEMU, "compare", "-f", "raw", "-F", "raw", source, "back", cwd=ours)
            assert r.returncode == 0, (source, r.stdout)
            os.unlink(os.path.join(ours, "x.img"))


def prepare_qcow2(folder):
    """Images that both programs find the same."""
    def make(*args):
        r = run(QEMU, *args, cwd=folder)
        assert r.returncode == 0, (args, r.stderr)

    make("convert", "-O", "qcow2", "holes.raw", "holes.qcow2")
    make("convert", "-c", "-O", "qcow2", "full.raw", "packed.qcow2")
    make("convert", "-O", "qcow2", "-o", "cluster_size=4k,compat=0.10", "same.raw", "small.qcow2")
    make("create", "-q", "-f", "qcow2", "-b", "a.raw", "-F", "raw", "o.qcow2")
    make("create", "-q", "-f", "qcow2", "-b", "../holes.qcow2", "-F", "qcow2", "sub/p.qcow2", "6M")
    make("create", "-q", "-f", "qcow2", "-b", "sub/p.qcow2", "-F", "qcow2", "top.qcow2", "8M")
    make("create", "-q", "-f", "qcow2", "-b", "holes.qcow2", "-F", "qcow2", "mid.qcow2")
    make("create", "-q", "-f", "qcow2", "-b", "mid.qcow2", "-F", "qcow2", "top2.qcow2", "8M")
    for name, writes in (("mid.qcow2", "write -P 5 100k 300k"), ("top2.qcow2", "write -P 6 350k 100k;write -P 7 7M 3k"),
                         ("o.qcow2", "write -P 2 256k 64k;write -z 512k 64k"), ("sub/p.qcow2", "write -P 5 100k 300k;write -z 1M 200k"),
                         ("top.qcow2", "write -P 6 4000k 100k;write -P 7 7M 3k")):
        words = [w for c in writes.split(";") for w in ("-c", c)]
        subprocess.run(["qemu-io", *words, os.path.join(folder, name)], check=True, stdout=subprocess.DEVNULL)


def qcow2_case(name, lines, shown):
    """@lines: what they print is compared too. @shown: images whose contents must be the same in the end."""
    pair = Pair("qcow2-" + name, True)
    for folder in pair.folders:
        prepare_qcow2(folder)
    for line in lines:
        words = line.lstrip("!").split()
        pair.same(*[w.replace("''", "") for w in words], text=not line.startswith("!"))
    for image in shown:
        contents = []
        for folder in pair.folders:
            for program in (MENURA, QEMU):
                r = run(program, "convert", "-O", "raw", image, "shown", cwd=folder)
                assert r.returncode == 0, f"{program} convert {image}: {r.stderr}"
                contents.append(read(os.path.join(folder, "shown")))
            r = run(QEMU, "check", image, cwd=folder)
            assert r.returncode in (0, 63), f"check {image}: {r.stdout}{r.stderr}"
        assert all(c == contents[0] for c in contents), image + ": differs"
    return f"{len(lines)} commands"


QCOW2 = {
    "info": (["info holes.qcow2", "info --output=json holes.qcow2", "info --backing-chain top.qcow2",
              "info --backing-chain --output=json top.qcow2", "info sub/p.qcow2", "info small.qcow2", "info -f qcow2 a.raw",
              "info --output=json packed.qcow2"], ["top.qcow2"]),
    "map": ([f"map {json_}{name}" for json_ in ("", "--output=json ") for name in ("holes.qcow2", "o.qcow2", "top.qcow2", "small.qcow2",
             "packed.qcow2")] + ["map --output=json --start-offset=100k --max-length=5M top.qcow2"], []),
    "check": (["check holes.qcow2", "check --output=json holes.qcow2", "check packed.qcow2", "check -q o.qcow2", "check top.qcow2",
               "check -r all small.qcow2"], []),
    "compare": (["compare holes.raw holes.qcow2", "compare packed.qcow2 full.raw", "compare top.qcow2 holes.raw", "compare a.raw o.qcow2",
                 "compare sub/p.qcow2 top.qcow2"], []),
    "create": (["!create -f qcow2 n.qcow2 1M", "!create -f qcow2 -b a.raw -F raw n2.qcow2", "create -f qcow2 -b a.raw n3.qcow2",
                "create -f qcow2 -b nope -F raw n3.qcow2", "create -f qcow2 -u -b nope -F raw n3.qcow2",
                "!create -f qcow2 -u -b nope -F raw n4.qcow2 3M", "create -f qcow2 -o foo=1 n5.qcow2 1M", "create -f qcow2 n5.qcow2",
                "info --output=json n2.qcow2", "!create -f qcow2 -o cluster_size=3 n6.qcow2 1M",
                "create -q -f qcow2 -o cluster_size=2M,lazy_refcounts=on n7.qcow2 10M", "check n7.qcow2"],
               ["n.qcow2", "n2.qcow2", "n7.qcow2"]),
    "convert": (["convert -O qcow2 top.qcow2 c1.qcow2", "convert -c -O qcow2 top.qcow2 c2.qcow2", "convert -c -W -O qcow2 full.raw c3.qcow2",
                 "convert -O qcow2 -B a.raw -F raw o.qcow2 c4.qcow2", "convert -O qcow2 -B a.raw o.qcow2 c5.qcow2",
                 "convert -O qcow2 -S 0 holes.qcow2 c6.qcow2", "convert -O qcow2 -W -m 8 full.raw c7.qcow2",
                 "convert -O qcow2 holes.qcow2 odd.raw a.raw c8.qcow2", "convert -n -O qcow2 zero.raw top.qcow2",
                 "convert -c -O qcow2 -o cluster_size=4k holes.raw c9.qcow2", "convert -n -O qcow2 full.raw small.qcow2",
                 "convert -O qcow2 -o backing_file=sub/p.qcow2,backing_fmt=qcow2 top.qcow2 c10.qcow2", "info --output=json c4.qcow2",
                 "convert -n -O raw holes.qcow2 a.raw", "convert packed.qcow2 c11.raw"],
                ["c1.qcow2", "c2.qcow2", "c3.qcow2", "c4.qcow2", "c6.qcow2", "c7.qcow2", "c8.qcow2", "c9.qcow2", "c10.qcow2",
                 "small.qcow2", "top.qcow2"]),
    "resize": (["resize holes.qcow2 9M", "resize holes.qcow2 1M", "resize --shrink holes.qcow2 1M", "resize o.qcow2 +1M",
                "resize --preallocation=full small.qcow2 2M"], ["holes.qcow2", "o.qcow2", "small.qcow2"]),
    "snapshot": (["snapshot -l o.qcow2", "snapshot -c s1 o.qcow2", "snapshot -c s2 o.qcow2", "snapshot -l -U o.qcow2", "info o.qcow2",
                  "convert -n -O qcow2 full.raw o.qcow2",
                  "convert -l s1 o.qcow2 s1.raw", "convert -l snapshot.name=s2 o.qcow2 s2.raw", "!convert -l nope o.qcow2 s3.raw",
                  "!measure -O qcow2 -l s1 o.qcow2", "!convert -l foo a.raw b.raw",
                  "convert -l snapshot.id=1 -O qcow2 o.qcow2 s4.qcow2", "snapshot -a s1 o.qcow2", "snapshot -a nope o.qcow2",
                  "snapshot -d nope o.qcow2", "snapshot -d s1 o.qcow2", "snapshot -l o.qcow2"], ["o.qcow2", "s1.raw", "s2.raw", "s4.qcow2"]),
    "rebase": (["rebase -b longer.raw -F raw o.qcow2", "rebase -u -b a.raw o.qcow2", "rebase -b nope -F raw o.qcow2",
                "rebase -b holes.qcow2 -F qcow2 top.qcow2", "info top.qcow2", "rebase -b '' sub/p.qcow2", "info sub/p.qcow2",
                "rebase -u -b same.raw -F raw o.qcow2", "info o.qcow2"], ["o.qcow2", "top.qcow2", "sub/p.qcow2"]),
    "commit": (["commit o.qcow2", "commit -b nope top.qcow2", "commit -d top.qcow2", "commit holes.qcow2", "!commit -p sub/p.qcow2",
                "map --output=json o.qcow2", "!check o.qcow2"],
               ["a.raw", "o.qcow2", "sub/p.qcow2", "holes.qcow2", "top.qcow2"]),
    "amend": (["amend -o foo=1 o.qcow2", "amend -o size=2M o.qcow2", "amend -p -o size=512k o.qcow2", "amend -o backing_file=a.raw o.qcow2",
               "amend -o cluster_size=4k o.qcow2", "amend -o size=x o.qcow2", "info o.qcow2"], ["o.qcow2"]),
    "commit -b": (["commit -q -b holes.qcow2 top2.qcow2"], ["holes.qcow2", "top2.qcow2"]),
    "measure": ([f"measure --size {s} -O qcow2 -o {o}" for s in ("1M", "513M", "100G") for o in (
        "cluster_size=64k", "cluster_size=512", "cluster_size=2M", "refcount_bits=1", "refcount_bits=64,cluster_size=512", "extended_l2=on")] +
        ["measure -O qcow2 holes.raw", "measure -O qcow2 odd2.raw", "measure -O raw top.qcow2", "measure --output=json -O qcow2 a.raw",
         "measure -O qcow2 --size 10M -o preallocation=metadata", "measure -O qcow2 --size 1G -o cluster_size=3",
         "measure -O qcow2 --size 1G -o foo=1", "measure --size 5T -O qcow2 -o cluster_size=4k", "measure -O vdi a.raw"], []),
    "dd": (["dd if=top.qcow2 of=d1.raw bs=64k", "dd -O qcow2 if=holes.raw of=d2.qcow2 bs=1M count=3"], ["d1.raw", "d2.qcow2"]),
}


def damage(path, leak, free):
    """One cluster that nothing points to; one whose refcount is 0."""
    with open(path, "r+b") as f:
        def number(at, n=8):
            f.seek(at)
            return int.from_bytes(f.read(n), "big") & 0x00fffffffffffe00

        def put(at, data):
            f.seek(at)
            f.write(data)

        l2 = number(number(40))
        counts = number(number(48))
        if free:
            put(counts + number(l2) // 65536 * 2, b"\0\0")
        if leak:
            put(l2 + 3 * 8, bytes(8))


def damaged():
    """Exit statuses and numbers of check; the lines about single findings are each program's own."""
    pair = Pair("damaged", True)
    for folder in pair.folders:
        prepare_qcow2(folder)
    for leak, free in ((True, False), (False, True), (True, True)):
        for repair in ([], ["-r", "leaks"], ["-r", "all"]):
            if free and repair == ["-r", "leaks"]:
                continue        # qemu-img gives up there
            for output in ("human", "json"):
                for folder in pair.folders:
                    shutil.copy(os.path.join(folder, "holes.qcow2"), os.path.join(folder, "d.qcow2"))
                    damage(os.path.join(folder, "d.qcow2"), leak, free)
                ours, theirs = pair.both("check", "--output=" + output, *repair, "d.qcow2")
                what = (leak, free, repair, output)
                assert ours.returncode == theirs.returncode, (what, ours, theirs)
                if output == "json":
                    a, b = json.loads(ours.stdout), json.loads(theirs.stdout)
                    for key in ("leaks", "leaks-fixed", "check-errors", "filename", "format", "total-clusters", "allocated-clusters"):
                        assert a.get(key) == b.get(key), (what, key, a, b)
                    assert bool(a.get("corruptions")) == bool(b.get("corruptions")), (what, a, b)
                if repair:
                    r = run(QEMU, "check", "d.qcow2", cwd=pair.folders[0])
                    assert r.returncode == 0, (what, r.stdout, r.stderr)
                    assert run(QEMU, "compare", "-f", "raw", "holes.raw", "d.qcow2", cwd=pair.folders[0]).returncode == leak


def paced():
    pair = Pair("paced")
    begin = time.monotonic()
    r = run(MENURA, "convert", "-r", "2M", "full.raw", "p.raw", cwd=pair.folders[0])
    assert r.returncode == 0 and time.monotonic() - begin > .4, (r, time.monotonic() - begin)


def tap_formats(tap):
    if can_make("qcow2"):
        for name, (lines, shown) in QCOW2.items():
            tap.case("qcow2 " + name, qcow2_case, name.replace(" ", ""), lines, shown)
        tap.case("qcow2 damaged", damaged)
    for name in ("qcow2", "vdi", "vmdk", "vpc", "vhdx", "qed", "parallels"):
        if can_make(name):
            tap.case("format " + name, formats, name)


def main():
    tap = Tap(sys.argv[1:])
    tap.case("help and suggestions", help_and_suggestions)
    tap.case("manual page", manual)
    tap.case("files of any kind", hostile)
    tap.case("interrupted convert", interrupted)
    tap.case("failed convert", failed_target)
    tap.case("convert at a pace", paced)
    if not QEMU:
        raise Skip("no qemu-img")
    for name, lines in (("usage", USAGE), ("create", CREATE), ("info", INFO), ("map", MAP), ("compare", COMPARE), ("resize", RESIZE),
                        ("convert", CONVERT), ("dd", DD), ("others", OTHERS), ("measure", MEASURE)):
        tap.case(name, commands_case, name, lines)
    tap.case("progress", progress)
    tap.case("holes", same_holes)
    tap_formats(tap)
    sys.exit(tap.finish())


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(WORK)
