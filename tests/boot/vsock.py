#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual sockets between a Linux guest and the host: megabytes both ways at once with their checksums, connections from both sides, refusals,
many at once, snapshots.

    vsock.py [CASE-PATTERN...]

Needs a RISC-V cross compiler for the guest's program (guests/vsock-cat.c); without one all cases are skipped.
"""
import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]
import machine                                                    # noqa: E402
from console import MONITOR, Console                              # noqa: E402
from guestlib.initramfs import Cpio                               # noqa: E402
from hostile import COMPILER                                      # noqa: E402
from tap import Skip, Tap                                         # noqa: E402
from usb import PROMPT, boot, monitor, new_disk, output, power_off        # noqa: E402

SIZE = 12 << 20
CAT = "/root/vsock-cat"
PORT = 1234


class Place:
    """A folder with the guest's initial RAM disk and the device's socket."""

    def __init__(self, folder):
        self.folder, self.path, self.initrd = folder, os.path.join(folder, "v"), os.path.join(folder, "initrd")
        if not shutil.which(COMPILER):
            raise Skip(f"no {COMPILER}")
        program = os.path.join(folder, "vsock-cat")
        subprocess.run([COMPILER, "-O2", "-static", "-o", program, os.path.join(HERE, "guests", "vsock-cat.c")], check=True)
        cpio = Cpio()
        with open(program, "rb") as f:
            cpio.file(CAT[1:], f.read(), 0o755)
        with open(machine.guest("initramfs.cpio"), "rb") as f:
            data = f.read() + cpio.finish()
        with open(self.initrd, "wb") as f:
            f.write(data)

    def command(self, *more, model="virtio-vsock-pci"):
        return [machine.PROGRAM, "-M", "virt", "-m", "256M", "-smp", "2", "-nographic", "-kernel", machine.guest("Image"), "-initrd",
                self.initrd, "-append", "console=ttyS0 quiet sh", "-device", f"{model},guest-cid=42,path={self.path}", *more]

    def listen(self, port=PORT):
        s = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.path}_{port}")
        s.bind(f"{self.path}_{port}")
        s.listen(64)
        s.settimeout(machine.limit(60))
        return s

    def connect(self, port):
        """Connected to the guest, or None."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(machine.limit(60))
        s.connect(self.path)
        s.sendall(f"CONNECT {port}\n".encode())
        said = b""
        while not said.endswith(b"\n"):
            c = s.recv(1)
            if not c:
                return None
            said += c
        assert re.fullmatch(rb"OK \d+\n", said), said
        return s


@contextlib.contextmanager
def running(*more, model="virtio-vsock-pci"):
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder)
        with Console(place.command(*more, model=model)) as console:
            boot(console)
            assert output(console, "ls /dev/vsock").endswith("/dev/vsock")
            yield place, console


class Exchange(threading.Thread):
    """Sends random bytes and receives to the end, both at once."""

    def __init__(self, get_socket, size=SIZE):
        super().__init__(daemon=True)
        self.get_socket, self.data, self.received = get_socket, os.urandom(size), hashlib.sha256()
        self.error = None
        self.start()

    def send(self, s):
        s.sendall(self.data)
        s.shutdown(socket.SHUT_WR)

    def run(self):
        try:
            s = self.get_socket()
            sender = threading.Thread(target=self.send, args=(s,), daemon=True)
            sender.start()
            while piece := s.recv(1 << 16):
                self.received.update(piece)
            sender.join()
            s.close()
        except Exception as e:              # pylint: disable=broad-except
            self.error = e

    def sums(self):
        """Of what was sent and received."""
        self.join(machine.limit(60))
        assert not self.is_alive() and not self.error, self.error
        return [hashlib.sha256(self.data).hexdigest(), self.received.hexdigest()]


def exchange(console, what, get_socket, size=SIZE):
    """The guest's program gets what the host sent, and the other way round."""
    output(console, f"dd if=/dev/urandom of=/tmp/in bs=64k count={size >> 16} 2>/dev/null; rm -f /tmp/out")
    console.line(f"{CAT} {what} </tmp/in >/tmp/out; echo STATUS $?; cat /tmp/out /tmp/in | wc -c; sha256sum </tmp/out; sha256sum </tmp/in")
    if what.startswith("listen"):
        time.sleep(1)
    host = Exchange(get_socket, size)
    said = console.expect(r"STATUS (\d+)\n(\d+)\n(\w{64})  -\n(\w{64})  -\n", machine.limit(60))
    console.expect(PROMPT, 20)
    assert said[1] == "0" and int(said[2]) == 2 * size, said[0]
    assert host.sums() == [said[3], said[4]], "the sums differ"


def transfer(model):
    with running(model=model) as (place, console):
        listener = place.listen()
        exchange(console, f"connect {PORT}", lambda: listener.accept()[0])
        exchange(console, "listen 5000", lambda: place.connect(5000))
        power_off(console)
        assert not os.path.exists(place.path), "the socket is left behind"


def refusals():
    with running() as (place, console):
        assert "connect: Connection reset by peer" in output(console, f"{CAT} connect 99")
        assert re.search(r"^(socket|connect): ", output(console, f"{CAT} seqpacket {PORT}"), re.M)
        assert place.connect(5000) is None, "nobody listens there"
        place.listen().close()      # there is a file, but nobody any more
        assert "connect: Connection reset by peer" in output(console, f"{CAT} connect {PORT}")
        exchange(console, "listen 5000", lambda: place.connect(5000), 1 << 16)
        power_off(console)


def serve(listener):
    """Gives every connection back what it sends."""
    def one(s):
        while piece := s.recv(1 << 16):
            s.sendall(piece)
        s.close()

    while True:
        try:
            s = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=one, args=(s,), daemon=True).start()


def many():
    """40 at once, some of which go away in the middle."""
    with running() as (place, console):
        threading.Thread(target=serve, args=(place.listen(),), daemon=True).start()
        output(console, "dd if=/dev/urandom of=/tmp/in bs=64k count=4 2>/dev/null")
        said = output(console, f"for i in $(seq 40); do {CAT} connect {PORT} </tmp/in >/tmp/out.$i & [ $((i % 4)) = 0 ] && kill $!; done; "
                      "wait; sha256sum /tmp/in /tmp/out.* | cut -c1-64 | sort | uniq -c | sort -n | tail -n 1")
        found = re.search(r"^ *(\d+) [0-9a-f]{64}$", said, re.M)
        assert found and int(found[1]) >= 31, said
        power_off(console)


def paused():
    """What the host sends while the machine is stopped comes when it goes on; meanwhile the emulator is idle."""
    with running() as (place, console):
        console.line(f"{CAT} listen 5000 >/tmp/out; cat /tmp/out")
        time.sleep(1)
        host = place.connect(5000)
        console.monitor("stop")
        host.sendall(b"hello in there\n")
        with open(f"/proc/{console.process.pid}/stat", encoding="ascii") as f:
            before = sum(map(int, f.read().split()[13:15]))
        time.sleep(2)
        with open(f"/proc/{console.process.pid}/stat", encoding="ascii") as f:
            assert sum(map(int, f.read().split()[13:15])) - before < 50, "the emulator is busy though it is stopped"
        console.line("cont")
        console.expect(MONITOR, 30)
        console.send("\x01c")
        host.close()
        time.sleep(1)
        console.send("\x04")
        console.expect("^hello in there$", 30)
        power_off(console)


def snapshot():
    """Connections of a snapshot are reset; listeners stay."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder)
        argv = place.command("-drive", f"file={new_disk(folder, 4)},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d")
        listener = place.listen()
        with Console(argv) as console:
            boot(console)
            output(console, f"{CAT} listen 6000 </dev/null >/tmp/got 2>&1 &")
            console.line(f"{CAT} connect {PORT}")
            held = listener.accept()[0]
            for line, then in (("savevm one", None), ("loadvm one", "receive: Connection reset by peer")):
                said = monitor(console, line, then)
                assert "vm:" not in said, said
            assert held.recv(1) == b""
            console.line("")
            console.expect(PROMPT, 30)
            exchange(console, f"connect {PORT}", lambda: listener.accept()[0], 1 << 20)
        with Console([*argv, "-loadvm", "one"]) as console:
            console.expect("receive: Connection reset by peer", machine.limit(30))
            console.line("")
            console.expect(PROMPT, 30)
            host = place.connect(6000)
            host.sendall(b"still there")
            host.close()
            assert "still there" in output(console, "sleep 1; cat /tmp/got")
            exchange(console, "listen 5000", lambda: place.connect(5000), 1 << 20)
            power_off(console)


def errors():
    for options, text in (("vhost-vsock-pci,guest-cid=3", "path: missing"), ("virtio-vsock-pci,path=/v,guest-cid=2", "guest-cid"),
                          ("virtio-vsock-pci,path=/nowhere/v", "No such file")):
        p = subprocess.run([machine.PROGRAM, "-M", "virt", "-display", "none", "-device", options], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=machine.limit(20))
        assert p.returncode == 1 and text in p.stdout and p.stdout.count("\n") == 1, p.stdout


def main():
    tap = Tap(sys.argv[1:])
    machine.needs_menura("sockets of the host by path=")
    tap.case("errors", errors)
    tap.case("pci", transfer, "vhost-vsock-pci")
    tap.case("pci-packed", transfer, "virtio-vsock-pci,packed=on")
    tap.case("mmio", transfer, "virtio-vsock-device")
    tap.case("refusals", refusals)
    tap.case("many", many)
    tap.case("paused", paused)
    tap.case("snapshot", snapshot)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
