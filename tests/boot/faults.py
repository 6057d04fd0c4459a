#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's disk fails while a guest uses its own: no space, errors of reads, writes and flushes.

    faults.py [CASE-PATTERN...]

Without space the machine stops; once there is some it goes on, and the guest has heard of nothing. Other errors the guest is told,
unless werror= and rerror= say otherwise; a flush that failed is never called good later.
"""
import errno
import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from console import Console                                       # noqa: E402
from tap import Tap                                               # noqa: E402

SIZE = 8            # MiB
WRITE = "dd if=/mnt/pattern of=/dev/vda bs=64k conv=fsync 2>/dev/null && echo WRIT''TEN || echo FAI''LED"
READ = "echo 3 >/proc/sys/vm/drop_caches; cmp /mnt/pattern /dev/vda && echo SA''ME || echo FAI''LED"


class Guest:
    """A machine whose disk hd0 fails as the file says (tests/powercut/write-log.c)."""

    def __init__(self, folder, fmt, options=""):
        self.folder, self.fmt = folder, fmt
        self.image, self.faults = os.path.join(folder, "disk." + fmt), os.path.join(folder, "faults")
        self.img("create", "-q", "-f", fmt, self.image, f"{SIZE}M")
        self.fail("")
        self.seen = 0   # up to where the console was when the last line was typed
        env = {**os.environ, "WRITE_LOG": "/dev/null", "WRITE_LOG_FILES": self.image, "WRITE_LOG_FAULTS": self.faults,
               "LD_PRELOAD": os.path.join(machine.BUILD, "tests", "libwrite-log.so")}
        self.console = Console(
            [machine.PROGRAM, "-M", "virt", "-m", "128M", "-nographic", "-kernel", machine.guest("Image"), "-initrd",
             machine.guest("initramfs.cpio"), "-append", "console=ttyS0 quiet root=/dev/vdb", "-drive",
             f"file={self.image},format={fmt},if=none,id=hd0,aio=threads{options}", "-device", "virtio-blk-device,drive=hd0",
             *machine.disk(machine.guest("demo.img"), "hd1", ",snapshot=on")], env=env)

    def img(self, *args):
        return subprocess.run([os.path.join(machine.BUILD, "menura-img"), *args], check=True, capture_output=True).stdout

    def fail(self, text):
        with open(self.faults, "w", encoding="ascii") as f:
            f.write(text)

    def monitor(self, line):
        """What the monitor says to @line."""
        self.seen = self.console.seen
        text = self.console.monitor(line, 30)
        self.console.send("\x01c")
        return text

    def start(self, line):
        self.seen = self.console.seen
        self.console.line(line)
        self.console.expect(r"\n", 20)

    def says(self, what):
        self.console.expect(what, machine.limit(30))
        self.console.expect(machine.PROMPT, 20)

    def boot(self):
        self.console.expect(machine.PROMPT, machine.limit(60))
        self.console.run(f"mount -t tmpfs t /mnt; dd if=/dev/urandom of=/mnt/pattern bs=1M count={SIZE} 2>/dev/null",
                         machine.PROMPT, machine.limit(60))

    def end(self):
        """The disk has the pattern, as the guest sees it and in the image."""
        self.start(READ)
        self.says("^SAME")
        want = self.console.run("sha256sum </mnt/pattern", machine.PROMPT, 60).split()[0]
        self.console.line("poweroff -f")
        assert self.console.wait(machine.limit(30)) == 0
        if self.fmt != "raw":
            self.img("check", "-q", self.image)
        raw = os.path.join(self.folder, "raw")
        self.img("convert", "-f", self.fmt, "-O", "raw", self.image, raw)
        with open(raw, "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() == want, "the image has something else"


def case(function, fmt, options=""):
    with tempfile.TemporaryDirectory() as folder:
        guest = Guest(folder, fmt, options)
        with guest.console:
            guest.boot()
            function(guest)


def stopped(guest, what):
    guest.console.seen = min(guest.seen, guest.console.seen)   # it may be told before "cont" has its prompt
    guest.console.expect(rf"drive hd0 .*: a {what} failed: .*; the machine is stopped", 30)
    said = guest.monitor("info status")
    assert "VM status: paused (io-error)" in said, guest.console.text[-1500:]


def full(guest):
    """Three times there is no space, and in between a little."""
    guest.fail(f"w{errno.ENOSPC}")
    guest.start(WRITE)
    for _ in range(3):
        stopped(guest, "write")
        said = guest.monitor("savevm x")
        assert "drive hd0 has requests that the host failed" in said, said
        guest.monitor("cont")
    stopped(guest, "write")
    guest.fail("")
    guest.monitor("cont")
    guest.says("^WRITTEN")
    guest.end()


def told(fault):
    """The guest is told, and tries again."""
    def run(guest):
        guest.fail(fault)
        guest.start(WRITE)
        guest.says("^FAILED")
        said = guest.monitor("info status")
        assert "VM status: running" in said, said
        guest.fail("")
        guest.start(WRITE)
        guest.says("^WRITTEN")
        guest.end()
    return run


def read_stops(guest):
    guest.start(WRITE)
    guest.says("^WRITTEN")
    guest.fail(f"r{errno.EIO}")
    guest.start(READ)
    stopped(guest, "read")
    guest.fail("")
    guest.monitor("cont")
    guest.says("^SAME")
    guest.end()


def ignored(guest):
    guest.fail(f"w{errno.EIO}")
    guest.start(WRITE)
    guest.says("^WRITTEN")


def flush(guest):
    """A flush that failed is never good again."""
    guest.fail(f"f{errno.EIO}")
    guest.start(WRITE)
    guest.says("^FAILED")
    guest.fail("")
    guest.start(WRITE)
    guest.says("^FAILED")
    assert guest.console.text.count("what was written may be lost") == 1, guest.console.text[-2000:]


def reset(guest):
    """A machine that is stopped can be reset: what waits is given up."""
    guest.fail(f"w{errno.ENOSPC}")
    guest.start(WRITE)
    stopped(guest, "write")
    guest.fail("")
    guest.monitor("system_reset")
    guest.monitor("cont")
    guest.boot()
    guest.start(WRITE)
    guest.says("^WRITTEN")
    guest.end()


def main():
    machine.needs_menura("a build folder with what makes disks fail")
    tap = Tap(sys.argv[1:])
    for fmt in ("raw", "qcow2"):
        tap.case(f"no-space-{fmt}", case, full, fmt)
        tap.case(f"no-space-report-{fmt}", case, told(f"w{errno.ENOSPC}"), fmt, ",werror=report")
        tap.case(f"write-error-{fmt}", case, told(f"w{errno.EIO}"), fmt)
        tap.case(f"read-error-stop-{fmt}", case, read_stops, fmt, ",rerror=stop")
        tap.case(f"flush-error-{fmt}", case, flush, fmt)
    tap.case("write-error-ignore", case, ignored, "raw", ",werror=ignore")
    tap.case("reset", case, reset, "qcow2")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
