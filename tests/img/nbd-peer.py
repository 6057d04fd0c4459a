#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""NBD with qemu-nbd, qemu-img and qemu-io at the other end: menura's client with their server, theirs with menura-nbd.

    nbd-peer.py BUILD-FOLDER [PATTERN...]
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from peers import LIMIT, MIB, SIZE, Peers                    # noqa: E402
from tap import Tap                                         # noqa: E402


class Server:
    """A server of one image; ends with the block."""

    def __init__(self, peers, program, *words, tcp=False, name="", persistent=True):
        self.name = name
        self.path = peers.path(f"socket-{peers.count()}")
        self.port = free_port() if tcp else None
        place = ["-p", str(self.port), "-b", "127.0.0.1"] if tcp else ["-k", self.path]
        words = [program, *place, "-x", name, *(["-t"] if persistent else []), *words]
        self.log = open(self.path + ".log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(words, cwd=peers.folder, stdout=self.log, stderr=subprocess.STDOUT)
        wait(lambda: self.is_up() or self.process.poll() is not None)
        assert self.process.poll() is None, f"{' '.join(words)}: {self.output()}"

    def is_up(self):
        if self.port is None:
            return os.path.exists(self.path)
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def uri(self):
        return f"nbd://127.0.0.1:{self.port}/{self.name}" if self.port else f"nbd+unix:///{self.name}?socket={self.path}"

    def old(self):
        place = f"nbd:127.0.0.1:{self.port}" if self.port else f"nbd:unix:{self.path}"
        return place + (f":exportname={self.name}" if self.name else "")

    def stop(self, sig=signal.SIGTERM):
        """The exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        try:
            self.stop()
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


class NbdPeers(Peers):
    def __init__(self, build, folder):
        super().__init__(os.path.join(build, "menura-img"), folder)
        self.nbd = os.path.join(build, "menura-nbd")
        self.counter = 0

    def count(self):
        self.counter += 1
        return self.counter

    def server(self, ours, *words, **more):
        return Server(self, self.nbd if ours else "qemu-nbd", *words, **more)

    def empty(self, name, size=SIZE):
        path = self.path(name)
        with open(path, "wb") as f:
            f.truncate(size)
        return path

    def same(self, a, b):
        with open(a, "rb") as x, open(b, "rb") as y:
            assert x.read() == y.read(), "the bytes differ"

    def io(self, image, *commands, fmt="raw", flags=()):
        words = [w for c in commands for w in ("-c", c)]
        out = self.run("qemu-io", *flags, "-f", fmt, *words, image)
        assert "failed" not in out.lower(), out
        return out

    def extents(self, tool, image, fmt="raw"):
        """What the map says, without what only one of them knows."""
        keys = ("start", "length", "zero", "data")
        found = json.loads(self.run(tool, "map", "--output=json", "-f", fmt, image))
        return [tuple(e[k] for k in keys) for e in found]


# ---- Both directions: @ours is whose server it is ----


def reads(t, ours, tcp):
    """Both clients see the same bytes, lengths and holes."""
    source, kept, copy = t.source(f"r{ours}{tcp}"), t.path("kept"), t.path("copy")
    shutil.copy(source, kept)
    extents = t.extents("qemu-img", source)
    with t.server(ours, "-f", "raw", "-r", "-e", "4", source, tcp=tcp, name="disk") as s:
        for tool in (t.ours, "qemu-img"):
            for name in (s.uri(), s.old()):
                assert f"({SIZE} bytes)" in t.run(tool, "info", "-f", "raw", name)
            t.run(tool, "convert", "-f", "raw", "-O", "raw", s.uri(), copy)
            t.same(copy, kept)
            t.run(tool, "compare", "-f", "raw", "-F", "raw", s.old(), kept)
            assert t.extents(tool, s.uri()) == extents


def writes(t, ours, tool):
    """@tool's client writes in pieces of all kinds, several at a time."""
    source, image = t.source(f"w{ours}"), t.empty("image")
    with t.server(ours, "-f", "raw", "-e", "4", "--discard=unmap", image) as s:
        program = t.ours if tool == "menura" else "qemu-img"
        t.run(program, "convert", "-n", "-W", "-m", "8", "-f", "raw", "-O", "raw", source, s.uri())
        t.run(t.ours, "compare", "-f", "raw", "-F", "raw", s.uri(), source)
    t.same(image, source)


def odd_pieces(t, ours):
    """Any offset and length, against a copy in memory."""
    image, rng = t.empty("image", 4 * MIB), random.Random(7)
    model = bytearray(4 * MIB)
    commands = []
    for i in range(120):
        at = rng.randrange(len(model))
        n = min(rng.choice([1, 511, 512, 513, 4096, 70001, MIB]), len(model) - at)
        kind = rng.choice(["-P", "-P", "-z", "-zu", "-zn", "-f -P"])
        value = 0 if "z" in kind else i % 255 + 1
        commands.append(f"write {kind} {'' if 'z' in kind else value} {at} {n}")
        model[at:at + n] = bytes([value]) * n
        at = rng.randrange(len(model))
        commands += [f"read -P {model[at]} {at} 1", "flush"]
    with t.server(ours, "-f", "raw", "--discard=unmap", image) as s:
        t.io(s.uri(), *commands)
    with open(image, "rb") as f:
        assert f.read() == model


def formats(t, ours):
    """qcow2 in an export: made, filled, changed and checked by both clients."""
    source, store = t.source(f"q{ours}"), t.empty("store", 40 * MIB)
    with t.server(ours, "-f", "raw", "-e", "4", "--discard=unmap", store) as s:
        for tool, other in ((t.ours, "qemu-img"), ("qemu-img", t.ours)):
            t.run(tool, "convert", "-f", "raw", "-O", "qcow2", source, s.uri())
            t.run(other, "snapshot", "-c", "one", s.uri())
            t.io(s.uri(), "write -P 7 1M 3M", "write -z 5M 1M", "flush", fmt="qcow2")
            t.run(other, "snapshot", "-a", "one", s.uri())
            for program in (tool, other):
                t.run(program, "check", "-f", "qcow2", s.uri())
                t.run(program, "compare", "-f", "qcow2", "-F", "raw", s.uri(), source)
    for tool in (t.ours, "qemu-img"):
        t.run(tool, "compare", "-f", "qcow2", "-F", "raw", store, source)


def backing(t, ours):
    """An image over an export."""
    source, over = t.source(f"b{ours}"), t.path("over")
    with t.server(ours, "-f", "raw", "-r", "-e", "8", source) as s:
        t.run(t.ours, "create", "-f", "qcow2", "-F", "raw", "-b", s.old(), over)
        t.io(over, "write -P 9 2M 100k", fmt="qcow2")
        t.run(t.ours, "compare", "-f", "qcow2", "-F", "qcow2", over, over)
        copies = [t.path("a"), t.path("b")]
        t.run(t.ours, "convert", "-f", "qcow2", "-O", "raw", over, copies[0])
        t.run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", over, copies[1])
        t.same(*copies)


def readonly(t, ours):
    source = t.source("ro", MIB)
    with t.server(ours, "-f", "raw", "-r", source) as s:
        out = t.run(t.ours, "convert", "-n", "-f", "raw", "-O", "raw", source, s.uri(), status=(1,))
        assert "read-only" in out, out
        t.run("qemu-io", "-f", "raw", "-c", "write 0 512", s.uri(), status=(1,))


def lists(t, ours):
    """-L says the same of one server, whoever asks."""
    with t.server(ours, "-f", "raw", "-A", "-D", "a disk", t.source("l", MIB), name="some") as s:
        texts = {t.run(program, "-L", "-k", s.path) for program in (t.nbd, "qemu-nbd")}
        assert len(texts) == 1 and "export: 'some'" in texts.pop()
        out = t.run(t.ours, "info", f"nbd+unix:///other?socket={s.path}", status=(1,))
        assert "no such export" in out, out


def many_clients(t, ours):
    """Eight at once, each with a part of its own."""
    image, part = t.empty("image", 16 * MIB), 2 * MIB
    with t.server(ours, "-f", "raw", "-e", "8", image) as s:
        wrong = []

        def work(i):
            try:
                t.io(s.uri(), *[f"write -P {i * 16 + j + 1} {i * part + j * 65536} 64k" for j in range(8)],
                     f"write -P {i + 1} {i * part + MIB} 1M", "flush")
            except AssertionError as e:
                wrong.append(str(e))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong[0]
    with open(image, "rb") as f:
        data = f.read()
    for i in range(8):
        for j in range(8):
            assert data[i * part + j * 65536:][:65536] == bytes([i * 16 + j + 1]) * 65536
        assert data[i * part + MIB:][:MIB] == bytes([i + 1]) * MIB


def server_dies(t, ours):
    """In mid-write: our client ends soon, with an error that says it."""
    source, image = t.source("d", 64 * MIB), t.empty("image", 64 * MIB)
    with t.server(ours, "-f", "raw", "--cache=directsync", image) as s:
        with subprocess.Popen([t.ours, "bench", "-w", "-c", "1000000", "-d", "16", "-f", "raw", s.uri()], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
            time.sleep(0.4)
            assert p.poll() is None, p.stdout.read()
            s.stop(signal.SIGKILL)
            out = p.communicate(timeout=20)[0]
            assert p.returncode == 1 and "server is lost" in out, out
    assert os.path.getsize(source) == os.path.getsize(image)


# ---- menura-nbd's own ----


def ends_gracefully(t):
    """SIGTERM while a client writes: what was answered is there, the socket is not."""
    image = t.empty("image", 64 * MIB)
    with t.server(True, "-f", "raw", image) as s:
        with subprocess.Popen(["qemu-img", "bench", "-w", "-c", "1000000", "-d", "8", "-f", "raw", "--pattern=65", s.uri()],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            time.sleep(0.5)
            assert s.stop() == 0, s.output()
            p.wait(30)
        assert not os.path.exists(s.path), "the socket is still there"
    with open(image, "rb") as f:
        assert b"AAAA" in f.read(65536)


def ends_with_last_client(t):
    image = t.empty("image", MIB)
    with t.server(True, "-f", "raw", image, persistent=False) as s:
        t.run("qemu-nbd", "-L", "-k", s.path)       # asked only
        assert s.process.poll() is None
        t.run("qemu-img", "info", s.uri())
        assert s.process.wait(10) == 0


def snapshot_mode(t, fmt):
    """-s: written and read back, and the file is as it was."""
    source = t.source("s")
    image = t.path("image")
    t.run("qemu-img", "convert", "-f", "raw", "-O", fmt, source, image)
    before = t.path("before")
    shutil.copy(image, before)
    with t.server(True, "-f", fmt, "-s", "-e", "2", image) as s:
        t.run("qemu-img", "compare", "-f", "raw", "-F", "raw", s.uri(), source)
        t.io(s.uri(), "write -P 5 3M 2M", "write -z 100 5000", "flush", "read -P 5 3M 2M", "read -P 0 100 5000")
        t.io(s.uri(), "read -P 5 3M 2M")
    t.same(image, before)


def inner_snapshot(t):
    source, image = t.source("l"), t.path("image")
    t.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", source, image)
    t.run("qemu-img", "snapshot", "-c", "one", image)
    t.io(image, "write -P 7 1M 4M", fmt="qcow2")
    for given in ("one", "snapshot.name=one", "snapshot.id=1"):
        with t.server(True, "-f", "qcow2", "-l", given, image) as s:
            t.run("qemu-img", "compare", "-f", "raw", "-F", "raw", s.uri(), source)
    out = t.run(t.nbd, "-k", t.path("x"), "-f", "qcow2", "-l", "two", image, status=(1,))
    assert "two" in out or "snapshot" in out, out


def part_of_image(t):
    source = t.source("o", 3 * MIB)
    with t.server(True, "-f", "raw", "-o", "1M", source) as s:
        copy = t.path("copy")
        t.run("qemu-img", "convert", "-f", "raw", "-O", "raw", s.uri(), copy)
    with open(source, "rb") as a, open(copy, "rb") as b:
        assert a.read()[MIB:] == b.read()


def depth(t):
    """qemu:allocation-depth as qemu-nbd has it."""
    base, top = t.path("base"), t.path("top")
    t.run("qemu-img", "create", "-q", "-f", "qcow2", base, "4M")
    t.io(base, "write 1M 1M", fmt="qcow2")
    t.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top)
    t.io(top, "write 512k 768k", fmt="qcow2")
    found = []
    for ours in (True, False):
        with t.server(ours, "-f", "qcow2", "-A", "-r", top) as s:
            opts = f"driver=nbd,server.type=unix,server.path={s.path},x-dirty-bitmap=qemu:allocation-depth"
            found.append(t.run("qemu-img", "map", "--output=json", "--image-opts", opts))
    assert found[0] == found[1], found


def bitmaps(t):
    """qemu:dirty-bitmap:NAME as qemu-nbd has it, of the image and of the one behind it, whoever made the bitmap."""
    for maker in (t.ours, "qemu-img"):
        base, top = t.path("base"), t.path("top")
        t.run("qemu-img", "create", "-q", "-f", "qcow2", base, "4M")
        t.run(maker, "bitmap", "--add", "-g", "4k", base, "low")
        t.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top)
        t.run(maker, "bitmap", "--add", top, "high")
        t.io(base, "write 1M 1M", "write 8k 4k", fmt="qcow2")
        with t.server(True, "-f", "qcow2", top) as s:
            t.io(s.uri(), "write 512k 768k", "write -z 3M 64k")
        for name in ("low", "high"):
            found = []
            for ours in (True, False):
                with t.server(ours, "-f", "qcow2", "-B", "low", "-B", "high", "-r", top) as s:
                    opts = f"driver=nbd,server.type=unix,server.path={s.path},x-dirty-bitmap=qemu:dirty-bitmap:{name}"
                    found.append(t.run("qemu-img", "map", "--output=json", "--image-opts", opts))
            assert found[0] == found[1] and '"data": false' in found[0], found


def detects_zeroes(t):
    for mode, kept in (("off", True), ("unmap", False)):
        image = t.empty("image", 4 * MIB)
        with t.server(True, "-f", "raw", "--discard=unmap", f"--detect-zeroes={mode}", image) as s:
            t.io(s.uri(), "write -P 3 0 4M", "write -P 0 1M 1M")
        assert (os.stat(image).st_blocks * 512 >= 4 * MIB) == kept, mode


def goes_to_background(t):
    image, path, pid = t.empty("image", MIB), t.path("fork-socket"), t.path("pid")
    t.run(t.nbd, "--fork", "-k", path, "--pid-file", pid, "-f", "raw", "-t", image)
    with open(pid, encoding="utf-8") as f:
        number = int(f.read())
    t.io(f"nbd:unix:{path}", "write -P 1 0 1M", "read -P 1 0 1M")
    os.kill(number, signal.SIGTERM)
    wait(lambda: not os.path.exists(pid))
    out = t.run(t.nbd, "--fork", "-k", path, "-f", "raw", t.path("nothing"), status=(1,))
    assert "nothing" in out, out


def refuses(t):
    """What is not supported, and what is wrong, each with its reason."""
    image = t.empty("image", MIB)
    for words, text in ((["-c", "/dev/nbd0", image], "not supported"), (["-d", "/dev/nbd0"], "not supported"),
                        (["-B", "b", image], "Bitmap 'b' is not found"), (["--tls-creds", "x", image], "TLS"), (["-P", "1", image], "-o"),
                        (["-p", "0", image], "port"), (["-f", "qcow3", image], "qcow2"), ([], "arguments"),
                        (["--cache=fast", image], "cache"), (["--detect-zeroes=unmap", image], "discard"),
                        (["-k", "relative", image], "absolute"), (["-e", "-1", image], "shared"),
                        (["-s", "-l", "x", image], "exclusive"), (["--persistant", image], "--persistent"),
                        (["-o", "2M", "-f", "raw", image], "offset"), (["-L", image], "List"),
                        (["-k", t.path("no/where"), "-f", "raw", image], "listen")):
        assert text in t.run(t.nbd, *words, status=(1,)), words


def chain(t):
    """An export of an export."""
    source, kept = t.source("c", 4 * MIB), t.path("kept")
    shutil.copy(source, kept)
    extents = t.extents("qemu-img", source)
    with t.server(False, "-f", "raw", "-e", "4", source, name="inner") as inner:
        with t.server(True, "--image-opts", "-r", f"driver=raw,file.driver=nbd,file.path={inner.path},file.export=inner") as s:
            t.run("qemu-img", "compare", "-f", "raw", "-F", "raw", s.uri(), kept)
            assert t.extents(t.ours, s.uri()) == extents


def main():
    tap = Tap(sys.argv[2:])
    if not shutil.which("qemu-nbd"):
        print("1..0 # SKIP no qemu-nbd")
        return 0
    with tempfile.TemporaryDirectory(prefix="menura-nbd-") as folder:
        t = NbdPeers(os.path.abspath(sys.argv[1]), folder)
        for ours, name in ((True, "ours"), (False, "theirs")):
            for tcp in (True, False):
                tap.case(f"reads {'tcp' if tcp else 'unix'}, server {name}", reads, t, ours, tcp)
            for tool in ("menura", "qemu"):
                tap.case(f"writes by {tool}, server {name}", writes, t, ours, tool)
            for case in (odd_pieces, formats, backing, readonly, lists, many_clients, server_dies):
                tap.case(f"{case.__name__}, server {name}", case, t, ours)
        for fmt in ("raw", "qcow2"):
            tap.case(f"snapshot_mode {fmt}", snapshot_mode, t, fmt)
        for case in (ends_gracefully, ends_with_last_client, inner_snapshot, part_of_image, depth, bitmaps, detects_zeroes,
                     goes_to_background, refuses, chain):
            tap.case(case.__name__, case, t)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
