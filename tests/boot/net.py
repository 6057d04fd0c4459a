#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks with whole guests: addresses by DHCP, files over HTTP both ways with their checksums, forwarded ports, ping, two machines on one
network, what a dump says, link state.

    net.py [--mib SIZE] [CASE-PATTERN...]
"""
import argparse
import contextlib
import hashlib
import os
import random
import re
import socket
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]
import machine                                                    # noqa: E402
from guestlib.initramfs import Cpio                               # noqa: E402
from serve import free_port, served                               # noqa: E402
from tap import Tap                                               # noqa: E402

SIZE = 24 << 20
BLOCK_MIB = 8
PROMPT = r"net-guest# "
INIT = """#!/bin/sh
export PATH=/bin:/sbin PS1='net-guest# '
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mkdir -p /sys
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
sh /modules/load
ip link set lo up
echo 'ip addr add $ip/$mask dev $interface; ip route add default via $router; echo LEASE $ip $router $dns' >/tmp/lease
sed -i '1i#!/bin/sh\\n[ "$1" = bound ] || exit 0' /tmp/lease
chmod +x /tmp/lease
exec setsid cttyhack sh 2>/dev/null || exec sh
"""


def make_initrd(folder):
    cpio = Cpio()
    cpio.file("init", INIT.encode(), 0o755)
    path = os.path.join(folder, "initrd.cpio")
    with open(machine.guest("initramfs.cpio"), "rb") as base, open(path, "wb") as f:
        f.write(base.read() + cpio.finish())
    return path


def boot(initrd, *options, harts=1):
    console = machine.start("-M", "virt", "-m", "256M", "-smp", str(harts), "-kernel", machine.guest("Image"), "-initrd", initrd,
                            "-append", "console=ttyS0 quiet", "-nographic", *options)
    console.expect(PROMPT, machine.limit(120))
    return console


def ask(console, command, seconds=60):
    return console.run(command, PROMPT, machine.limit(seconds))


def lease(console):
    """Brings the card up by DHCP."""
    ask(console, "ip link set eth0 up")
    text = ask(console, "udhcpc -i eth0 -n -q -t 5 -s /tmp/lease")
    found = re.search(r"LEASE (\S+) (\S+) (\S+)", text)
    assert found, text
    return found.groups()


def make_file(folder):
    data = random.Random(7).randbytes(SIZE)
    with open(os.path.join(folder, "file"), "wb") as f:
        f.write(data)
    return hashlib.sha256(data).hexdigest()


def receive_all(port):
    """Connects to a forwarded port until the guest answers; all that it sends."""
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
            digest, n = hashlib.sha256(), 0
            with contextlib.suppress(ConnectionError):
                while piece := s.recv(1 << 20):
                    digest.update(piece)
                    n += len(piece)
            if n:
                return n, digest.hexdigest()
        time.sleep(0.2)
    return None


def user(device="", model="virtio-net-device"):
    """DHCP, a file down and up, a forwarded port, ping."""
    with tempfile.TemporaryDirectory() as folder, served(folder) as port:
        digest, forward = make_file(folder), free_port()
        with boot(make_initrd(folder), "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{forward}-:7000",
                  "-device", f"{model},netdev=n0{device}") as console:
            assert lease(console) == ("10.0.2.15", "10.0.2.2", "10.0.2.3"), "another lease"
            text = ask(console, "ping -c 3 -W 5 10.0.2.2")
            assert "3 packets received" in text, text
            text = ask(console, f"wget -q -O /tmp/file http://10.0.2.2:{port}/file; sha256sum /tmp/file", 120)
            assert digest in text, "down: " + text
            console.line("nc -l -p 7000 </tmp/file")
            assert receive_all(forward) == (SIZE, digest), "up: another file"
            console.expect(PROMPT, machine.limit(60))
    return f"{SIZE >> 20} MiB each way"


def services():
    """What else there is in a user network: IPv6, TFTP, a forward to a Unix socket of the host; and that restrict=on leaves no way out."""
    with tempfile.TemporaryDirectory() as folder, served(folder) as port, socket.socket(socket.AF_UNIX) as listener:
        make_initrd(folder)
        with open(os.path.join(folder, "note"), "w", encoding="ascii") as f:
            f.write("a note\n")
        listener.bind(os.path.join(folder, "s"))
        listener.listen()
        options = f"user,tftp={folder},ipv6-prefix=fd00:1::,guestfwd=tcp:10.0.2.100:8080-unix:{folder}/s"
        fetch, tftp = f"wget -T 5 -q -O - http://10.0.2.2:{port}/note", "tftp -g -r note -l /tmp/n 10.0.2.2 >/dev/null 2>&1; cat /tmp/n"
        with boot(make_initrd(folder), "-nic", options) as console:
            lease(console)
            assert "a note" in ask(console, fetch), "no way to the host"
            assert "a note" in ask(console, tftp), "no TFTP"
            text = ask(console, "until ip -6 route | grep -q default; do sleep 0.2; done; ping6 -c 1 -W 5 fd00:1::2")
            assert "1 packets received" in text, text
            console.line("nc 10.0.2.100 8080")
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"through the socket\n")
            console.expect("^through the socket$", machine.limit(30))
            console.expect(PROMPT, machine.limit(30))
        with boot(make_initrd(folder), "-nic", options + ",restrict=on") as console:
            text = ask(console, "ip link set eth0 up; udhcpc -i eth0 -n -q -t 5 -s /tmp/lease")
            assert re.search("^LEASE 10.0.2.15 *$", text, re.M), "it offers a router: " + text
            assert "refused" in ask(console, fetch + " 2>&1"), "there is a way out"
            assert "a note" in ask(console, tftp), "no TFTP"


def nic():
    """-nic, its address, the monitor's commands; the file by a forward added later."""
    with tempfile.TemporaryDirectory() as folder, served(folder) as port:
        digest = make_file(folder)
        with boot(make_initrd(folder), "-nic", "user,model=virtio-net-device,mac=52:54:00:ab:cd:ef,net=192.168.9.0/24", harts=2) as console:
            assert lease(console)[0] == "192.168.9.15", "another network"
            assert "52:54:00:ab:cd:ef" in ask(console, "cat /sys/class/net/eth0/address")
            assert digest in ask(console, f"wget -q -O - http://192.168.9.2:{port}/file | sha256sum", 120)
            machine.needs_menura("this monitor")
            text = console.monitor("info network")
            assert "macaddr=52:54:00:ab:cd:ef" in text and "net=192.168.9.0" in text, text
            forward = free_port()
            console.line(f"hostfwd_add tcp:127.0.0.1:{forward}-:7000")
            console.line("set_link nic0 off")
            console.send("\x01c")
            console.line("")
            console.expect(PROMPT)
            assert "0" in ask(console, "sleep 1; cat /sys/class/net/eth0/carrier"), "the link stays up"
            console.monitor("set_link nic0 on")
            console.send("\x01c")
            console.line("")
            console.expect(PROMPT)
            assert "1" in ask(console, "sleep 1; cat /sys/class/net/eth0/carrier"), "the link stays down"
            console.line("echo good | nc -l -p 7000")
            assert receive_all(forward) == (5, hashlib.sha256(b"good\n").hexdigest())


def back(console):
    """From the monitor to the guest's shell."""
    console.send("\x01c")
    console.line("")
    console.expect(PROMPT)


def card(model):
    """A card by -nic: its address, link state, and a snapshot that is taken and loaded while files come and go."""
    machine.needs_menura("this monitor")
    with tempfile.TemporaryDirectory() as folder, served(folder) as port:
        digest = make_file(folder)
        with boot(make_initrd(folder), "-nic", f"user,model={model},mac=52:54:00:ab:cd:ef", harts=2) as console:
            lease(console)
            assert "52:54:00:ab:cd:ef" in ask(console, "cat /sys/class/net/eth0/address")
            for state, carrier in (("off", "0"), ("on", "1")):
                console.monitor(f"set_link nic0 {state}")
                back(console)
                said = ask(console, "sleep 3; echo carrier=$(cat /sys/class/net/eth0/carrier)")
                assert f"carrier={carrier}" in said, f"the link is {state}: {said}"
            fetch = f"wget -q -O - http://10.0.2.2:{port}/file | sha256sum"
            ask(console, f"while :; do wget -q -T 3 -O - http://10.0.2.2:{port}/file >/dev/null; done & sleep 1")
            for command in ("savevm", "loadvm"):
                said = console.monitor(f"{command} {folder}/snapshot")
                assert not said.strip(), said
                back(console)
                said = ask(console, fetch, 120)
                assert digest in said, f"after {command}: {said}"


def packets(path):
    """Frames of a pcap file."""
    with open(path, "rb") as f:
        magic, major, minor, _, _, _, link = struct.unpack("<IHHiIII", f.read(24))
        assert (magic, major, minor, link) == (0xa1b2c3d4, 2, 4, 1), "no pcap file"
        while header := f.read(16):
            yield f.read(struct.unpack("<IIII", header)[2])


def dump():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.pcap")
        with boot(make_initrd(folder), "-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0",
                  "-object", f"filter-dump,id=d0,netdev=n0,file={path}") as console:
            lease(console)
            ask(console, "ping -c 3 -W 5 10.0.2.2")
        frames = list(packets(path))
        requests = [f for f in frames if f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 8]
        replies = [f for f in frames if f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 0]
        assert len(requests) == 3 and len(replies) == 3, f"{len(frames)} frames, {len(requests)} pings, {len(replies)} answers"


def copy(sender, receiver, to, mib):
    """So much from one machine to the other, a file of some MiB again and again: the whole may be larger than their memory. MiB/s."""
    blocks = mib // BLOCK_MIB
    ask(sender, f"dd if=/dev/urandom of=/tmp/block bs=1M count={BLOCK_MIB} 2>/dev/null", 120)
    ask(sender, f"data() {{ for i in $(seq {blocks}); do cat /tmp/block; done; }}")
    digest = re.search(r"[0-9a-f]{64}", ask(sender, "data | sha256sum", 60 + mib))[0]
    receiver.line("nc -l -p 7000 | sha256sum")
    receiver.expect(r"sha256sum\n", machine.limit(30))
    time.sleep(1)
    begin = time.monotonic()
    ask(sender, f"data | nc {to} 7000", 60 + mib)
    assert receiver.expect(r"[0-9a-f]{64}", machine.limit(60))[0] == digest, "another file"
    seconds = time.monotonic() - begin
    receiver.expect(PROMPT, machine.limit(60))
    return blocks * BLOCK_MIB / seconds


def pair(mib, first, second, device=""):
    """Two machines: ping, and a file from each to the other."""
    with tempfile.TemporaryDirectory() as folder:
        initrd = make_initrd(folder)
        first, second = (text.format(folder=folder) for text in (first, second))
        card = f"virtio-net-device,netdev=n0{device}"
        with boot(initrd, "-netdev", first, "-device", card) as a, \
                boot(initrd, "-netdev", second, "-device", card + ",mac=52:54:00:12:34:99") as b:
            for console, address in ((a, "10.1.0.1"), (b, "10.1.0.2")):
                ask(console, f"ip link set eth0 up; ip addr add {address}/24 dev eth0; sleep 1")
            text = ask(b, "ping -c 3 -W 5 10.1.0.1")
            assert "3 packets received" in text, text
            speeds = copy(a, b, "10.1.0.2", mib), copy(b, a, "10.1.0.1", mib)
    return f"{mib} MiB each way, {speeds[0]:.1f} and {speeds[1]:.1f} MiB/s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=SIZE >> 20, help="what two machines copy")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    tap = Tap(args.cases)
    tap.case("user", user)
    tap.case("user-no-offload", user, ",csum=off,guest_csum=off,mrg_rxbuf=off")
    tap.case("user-no-mergeable", user, ",mrg_rxbuf=off,ctrl_vq=off")
    tap.case("user-multiqueue", user, ",mq=on,queues=3")
    for model in ("e1000e", "e1000"):
        tap.case("user-" + model, user, "", model)
        tap.case("card-" + model, card, model)
    tap.case("services", services)
    tap.case("nic", nic)
    tap.case("dump", dump)
    port = free_port()
    tap.case("pair-socket", pair, args.mib, f"socket,id=n0,listen=127.0.0.1:{port}", f"socket,id=n0,connect=127.0.0.1:{port}")
    tap.case("pair-stream", pair, args.mib, "stream,id=n0,server=on,addr.type=unix,addr.path={folder}/s",
             "stream,id=n0,addr.type=unix,addr.path={folder}/s")
    ports = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    dgram = "dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port={},remote.type=inet,remote.host=127.0.0.1,remote.port={}"
    tap.case("pair-dgram", pair, args.mib, dgram.format(*ports), dgram.format(*ports[::-1]))
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
