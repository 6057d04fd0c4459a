#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""menura-io beside qemu-io: the same commands on the same images in two folders. What they print (but for the program's name, help and
times), their exit statuses and the images they leave must be the same. Without qemu-io a few cases check the output by itself.

    tests/img/test-io.py [PATTERN...]         menura-io is in $MENURA_BUILD
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Skip, Tap                                         # noqa: E402

BUILD = os.environ.get("MENURA_BUILD", os.path.join(ROOT, "build"))
MENURA = os.path.join(BUILD, "menura-io")
QEMU = shutil.which("qemu-io")
WORK = tempfile.mkdtemp(prefix="menura-io-")

# Name: (options and file, commands[, input]). "@" stands for -c.
RAW, QCOW2, TOP = ["-f", "raw", "a.raw"], ["-f", "qcow2", "a.qcow2"], ["-f", "qcow2", "top.qcow2"]
CASES = {
    "write": (RAW, ["write 0 64k", "write -P 0xab 100 100", "w 1k 1", "read -P 0xab 100 100", "r -v 96 33"]),
    "write patterns": (RAW, ["write -P 300 0 1", "write -P x 0 1", "write -P -1 0 1", "read -P x 0 1", "writev -P 256 0 1"]),
    "write usage": (RAW, ["write -P 1 0", "write 0 1 2", "write -x 0 1", "w -x 0 1", "write 0 -P", "write 0 1 -q", "write"]),
    "numbers": (RAW, ["alloc foo", "alloc 9E", "alloc 10E", "alloc 8E", "alloc 7E", "alloc 0x10", "alloc 1.5k", "alloc 1.5", "alloc 1e3",
                      "alloc 1kB", "alloc 1kiB", "alloc +1", "alloc -1", "alloc 1b", "alloc 1B", "alloc 1K", "alloc 0.0", "alloc .5k",
                      "alloc 0x1e", "alloc 99999999999999999999", "alloc 0x10k"]),
    "write limits": (RAW, ["write 0 2G", "write -z 0 7E", "write -zn 0 7E", "readv 0 2G", "writev 0 2G", "aio_read 0 2G", "read 0 2G",
                           "discard 0 8G", "write 1M 512", "read 1M 1", "write 1048575 2"]),
    "write flags": (RAW, ["write -u 0 1k", "write -n 0 1k", "write -z -P 1 0 1k", "write -s f -P 1 0 1k", "write -b -z 0 1k",
                          "write -f -c 0 1k", "write -f -b 0 1k", "write -b 0 512", "write -b 3 512", "write -c 0 64k", "write -c -z 0 64k",
                          "write -f 0 1k", "write -f -z 0 1k", "write -zu 0 64k", "write -zn 0 64k", "write -p 0 1"]),
    "write from a file": (RAW, ["write -s f 0 7", "read -v 0 7", "write -s nofile 0 1", "write -s empty 0 1", "write -s . 0 1"]),
    "nothing": (RAW, ["write 0 0", "read 0 0", "readv 0 0", "write -z 0 0", "discard 0 0", "read -v 0 0"]),
    "read": (RAW, ["read -v 0 33", "read -P 5 0 33", "read -qP 5 0 33", "read -vP 5 0 17", "read -qv 0 16", "read -b 1 512", "read -b 0 33",
                   "read 0", "read 0 1 2", "read -a 0 1", "read x 1", "read 0 x"]),
    "read windows": (RAW, ["read -P 0 -s 1 -l 4 0 33", "read -P 5 -s 1 -l 4 0 33", "read -P 5 -s 1 0 33", "read -P 5 -l 2 10 33",
                           "read -s 1 0 33", "read -l 1 0 33", "read -P 0 -s 40 0 33", "read -P 0 -s 10 -l 30 0 33", "read -P 0 -l 34 0 33",
                           "read -P 1 -s x 0 1", "read -P 1 -l x 0 1", "read -P 0 -s 33 0 33"]),
    "vectors": (RAW, ["writev -P 9 0 512 1024 7", "readv 0 512 1024 7", "readv -P 9 0 512 1024 7", "readv -P 7 0 512 1024",
                      "readv -v 0 16 17", "readv 0", "writev -P 9 0 512 x", "writev -f 0 1 1", "readv x 1", "writev -x 0 1"]),
    "discard": (RAW, ["discard 0 64k", "discard 0", "discard x 1", "discard 0 y", "discard -q 0 2M", "discard 3 64k", "d -x 0 1"]),
    "aio": (RAW, ["aio_write -P 1 0 16 16 16", "aio_flush", "aio_read -P 1 0 48", "aio_flush", "aio_read -P 2 0 48", "aio_flush",
                  "aio_read -v 0 16", "aio_flush", "aio_read -q 0 512", "aio_flush", "aio_write -z 0 16", "aio_flush",
                  "aio_read 2M 512", "aio_flush", "aio_write 2M 16", "aio_flush", "length"]),
    "aio usage": (RAW, ["aio_read x 16", "aio_read 0", "aio_read 0 x", "aio_read -i 0 16", "aio_write -i 0 16", "aio_write -u 0 16",
                        "aio_write -z 0 16 16", "aio_read -x 0 1", "aio_write -x 0 1", "aio_write -P x 0 1", "aio_flush 1"]),
    "truncate": (RAW, ["truncate 2M", "length", "truncate -m full 3M", "length", "truncate 1M", "length", "truncate x", "truncate",
                       "truncate -m foo 2M", "truncate -m metadata 4M", "truncate -x 1", "truncate 1 2 3 4"]),
    "truncate qcow2": (QCOW2, ["truncate 2M", "length", "truncate 1M", "length", "map"]),
    "info": (RAW, ["info", "length", "map", "i", "l", "length 1", "map 1"]),
    "info qcow2": (QCOW2, ["info", "length", "map"]),
    "map": (QCOW2, ["write -q 64k 64k", "write -qz 256k 128k", "map", "alloc 0", "alloc 0 256k", "alloc 64k 8k", "alloc 60k 8k",
                    "discard -q 64k 64k", "map"]),
    "map with a backing image": (TOP, ["map", "read -P 0x22 0 64k", "write -q -P 1 32k 100", "map", "read -P 0x22 0 32k",
                                       "alloc 0 1M", "write -qz 128k 64k", "read -P 0 128k 64k", "map"]),
    "alloc": (RAW, ["alloc 0", "alloc 0 1M", "alloc 0 2M", "alloc 3M", "alloc 1 3", "alloc", "alloc 0 x", "a 0 7"]),
    "compressed": (QCOW2, ["write -c -P 7 0 64k", "read -P 7 0 64k", "write -c 3 12", "write -c 64k 65k", "map"]),
    "state of a machine": (QCOW2, ["write -b -P 9 0 64k", "read -b -P 9 0 64k", "read -b -P 0 1M 512", "read -P 0 0 1M", "length",
                                   "write -b -P 8 4k 512", "read -b -P 9 0 4k", "read -b -P 9 8k 4k"]),
    "copy on read": (["-C", *TOP], ["read -P 0x22 0 4k", "map", "read 0 1M", "map"]),
    "copy on read, read-only": (["-C", "-r", *TOP], ["read 0 1"]),
    "snapshot": (["-s", *QCOW2], ["write -P 3 0 64k", "read -P 3 0 64k", "length"]),
    "read-only": (["-r", *RAW], ["write 0 1", "aio_write 0 1", "discard 0 1", "truncate 0", "flush", "read 0 1", "writev 0 1"]),
    "flush": (RAW, ["flush", "flush 1", "f"]),
    "open and close": ([], ["length", "open -o driver=raw a.raw", "length", "open -o driver=raw a.raw", "close", "length", "close",
                            "open nofile", "open -o driver=qcow2 a.raw", "open", "open a.raw b.raw", "open -x a.raw"]),
    "open options": ([], ["open -o driver=raw,file.filename=a.raw", "length", "close", "open -o driver=raw,file.filename=a.raw,foo=1",
                          "open -o driver=raw -t foo a.raw", "open -o driver=raw -d foo a.raw", "open -o driver=raw -i foo a.raw",
                          "open -r -o driver=raw a.raw", "write 0 1", "close", "open -o driver=raw,offset=512,size=1024 a.raw",
                          "length", "write -q 0 1k", "write 1k 1"]),
    "options of qcow2": ([], ["open -o driver=qcow2,lazy-refcounts=foo a.qcow2", "open -o driver=qcow2,overlap-check=foo a.qcow2",
                              "open -o driver=qcow2,l2-cache-entry-size=33k a.qcow2", "open -o driver=qcow2,lazy-refcounts=on a.qcow2",
                              "length"]),
    "reopen": (RAW, ["reopen -r", "write 0 1", "reopen -w", "write 0 1", "reopen -r -w", "reopen -c foo", "reopen x", "reopen -o foo=1",
                     "reopen -x", "reopen -o driver=raw", "reopen -o driver=qcow2", "reopen -r -o read-only=on",
                     "reopen -c none -o cache.direct=on", "reopen -c writethrough", "write 0 1k"]),
    "a format that is none": (["-f", "foo", "a.raw"], ["length"]),
    "another format": (["-f", "qcow2", "a.raw"], ["length"]),
    "a file that is not there": (["nofile"], ["length"]),
    "a folder": (["."], ["length"]),
    "no name": ([""], ["length"]),
    "an unknown protocol": (["foo:a.raw"], ["length"]),
    "file:": (["-f", "raw", "file:a.raw"], ["length"]),
    "a bad cache mode": (["-t", "foo", "a.raw"], ["length"]),
    "a bad discard mode": (["-d", "foo", "a.raw"], ["length"]),
    "a bad aio mode": (["-i", "foo", "a.raw"], ["length"]),
    "cache modes": (["-t", "writethrough", "-d", "unmap", "-i", "threads", *RAW], ["write 0 1k"]),
    "image-opts": (["--image-opts", "driver=raw,file.filename=a.raw"], ["length"]),
    "image-opts, unknown": (["--image-opts", "driver=raw,file.filename=a.raw,x=1"], ["length"]),
    "image-opts and -f": (["--image-opts", "-f", "raw", "driver=raw,file.filename=a.raw"], ["length"]),
    "json": (['json:{"driver":"raw","file":{"driver":"file","filename":"a.raw"}}'], ["length"]),
    "json of a chain": (["json:{'driver':'qcow2','file':{'driver':'file','filename':'top.qcow2'},"
                         "'backing':{'driver':'raw','file.filename':'a.raw'}}"], ["read -P 0 0 64k"]),
    "json without backing": (["json:{'driver':'qcow2','file.filename':'top.qcow2','backing':null}"], ["read -P 0 0 64k"]),
    "null-co": (["json:{'driver':'null-co','size':65536,'read-zeroes':true}"], ["length", "read -P 0 0 64k", "info"]),
    "faults": (["json:{'driver':'raw','file':{'driver':'blkdebug','inject-error':[{'event':'read_aio','once':true}],"
                "'image':{'driver':'file','filename':'a.raw'}}}"], ["read 0 512", "read 0 512"]),
    "break points": (RAW, ["break foo 1", "resume 1", "remove_break 1", "break a"]),
    "break points with blkdebug": (["-f", "raw", "blkdebug::a.raw"], ["resume 1", "remove_break 1"]),
    "sleep": (RAW, ["sleep 1", "sleep x", "sleep -1", "sleep", "sleep 1 2"]),
    "signals": (RAW, ["sigraise 0", "sigraise x", "sigraise 99", "sigraise -1", "sigraise", "sigraise 1 2", "length"]),
    "a fatal signal": (RAW, ["length", "sigraise 9", "length"]),
    "abort": (RAW, ["abort"]),
    "unknown commands": (RAW, ["foo", "length", "", "  ", "help foo", "help a b"]),
    "quit": (RAW, ["quit", "length"]),
    "q": (RAW, ["q", "length"]),
    "input": (RAW, [], "length\n read 0 512\nfoo\n\nquit\nlength\n"),
    "input without an end": (RAW, [], "length\nmap"),
    "no commands": (RAW, [], ""),
}


def plain(text):
    """Without times, the program's name and suggestions."""
    text = text.replace("menura-io", "qemu-io")
    text = re.sub(r"; did you mean '[^']*'\?", "", text)
    text = re.sub(r"1 ops; [\d:.]+( sec)? \(\S+ \S+/sec and \S+ ops/sec\)", "1 ops; TIME", text)
    return re.sub(r"(?m)^(\d+),1,0:\d\d:\d\d\.\d\d,[\d.]+,[\d.]+$", r"\1,1,TIME", text)


def prepare(folder):
    os.makedirs(folder)
    at = lambda name: os.path.join(folder, name)                  # noqa: E731
    with open(at("a.raw"), "wb") as f:
        f.write(bytes(1 << 20))
    with open(at("base.raw"), "wb") as f:
        f.write(b"\x22" * (1 << 20))
    with open(at("f"), "wb") as f:
        f.write(b"abc")
    with open(at("empty"), "wb"):
        pass
    img = os.path.join(BUILD, "menura-img")
    for words in (["a.qcow2", "1M"], ["-b", "base.raw", "-F", "raw", "top.qcow2"]):
        subprocess.run([img, "create", "-q", "-f", "qcow2", *words], cwd=folder, check=True)


def run(program, folder, case):
    words, commands, *text = case
    args = [program]
    for c in commands:
        args += ["-c", c]
    return subprocess.run([*args, *words], cwd=folder, input=text[0] if text else "", check=False, timeout=60, text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def contents(folder):
    """What the images read as."""
    found = {}
    for name, format_ in (("a.raw", "raw"), ("a.qcow2", "qcow2"), ("top.qcow2", "qcow2")):
        out = os.path.join(folder, "contents")
        subprocess.run([os.path.join(BUILD, "menura-img"), "convert", "-f", format_, "-O", "raw", os.path.join(folder, name), out], check=True)
        with open(out, "rb") as f:
            found[name] = f.read()
    return found


def compare(number, case):
    if not QEMU:
        raise Skip("no qemu-io")
    results = []
    for program in (QEMU, MENURA):
        folder = os.path.join(WORK, f"{number}-{os.path.basename(program)}")
        prepare(folder)
        done = run(program, folder, case)
        results.append([plain(done.stdout), plain(done.stderr), done.returncode, contents(folder)])
    wrong = []
    for what, theirs, ours in zip(("output", "errors", "status", "images"), *results):
        if theirs != ours:
            wrong.append(f"{what} differ" + ("" if what == "images" else f"\n  qemu-io: {theirs!r}\n  ours:    {ours!r}"))
    assert not wrong, "\n".join(wrong)


def alone(tap):
    """What needs no other program."""
    folder = os.path.join(WORK, "alone")
    prepare(folder)
    done = run(MENURA, folder, (RAW, ["write -P 5 0 64k", "read -P 5 0 64k", "read -v 0 4"]))
    tap.check("alone: written and read", done.returncode == 0 and done.stdout.count("65536/65536 bytes at offset 0") == 2
              and "00000000:  05 05 05 05  ....\n" in done.stdout, done.stdout + done.stderr)
    done = run(MENURA, folder, (["--object", "secret,id=a,data=b", *RAW], ["length"]))
    tap.check("alone: --object is refused", done.returncode == 1 and "--object" in done.stderr, done.stderr)
    done = run(MENURA, folder, (["-h"], []))
    tap.check("alone: help", done.returncode == 0 and "--read-only" in done.stdout, done.stdout)
    done = run(MENURA, folder, (["-V"], []))
    tap.check("alone: version", done.returncode == 0 and done.stdout.startswith("menura-io version "), done.stdout)
    done = run(MENURA, folder, (RAW, ["help", "help read"]))
    tap.check("alone: commands", done.returncode == 0 and "aio_flush -- completes" in done.stdout, done.stdout)


def main():
    tap = Tap(sys.argv[1:])
    try:
        alone(tap)
        for number, (name, case) in enumerate(CASES.items()):
            tap.case(name, compare, number, case)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
