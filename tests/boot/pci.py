#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""PCI Express in Linux: buses behind root ports and bridges, drivers that bind, interrupts over every line, ports of a console device.

    pci.py [CASE-PATTERN...]
"""
import hashlib
import os
import re
import socket
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

LIST = "cd /sys/bus/pci/devices; for d in *; do echo $d $(cat $d/vendor $d/device $d/class) $(basename $(readlink $d/driver)); done; cd /"
RNG = "/sys/class/misc/hw_random"


def boot(*more):
    return machine.start(*machine.linux(2, "256M", "quiet", ("-nic", "none", *more)))


def start(console):
    console.expect(machine.PROMPT, machine.limit(120))


def run(console, line, seconds=30):
    return console.run(line, machine.PROMPT, machine.limit(seconds)).strip()


def power_off(console):
    console.line("poweroff -f")
    status = console.wait(machine.limit(60))
    assert status == 0, f"exit status {status}"


def buses():
    """Every device is where it was put, has its driver, and its registers where the monitor shows them, too."""
    expected = """
0000:00:00.0 0x1b36 0x0008 0x060000
0000:00:01.0 0x1b36 0x000c 0x060400 pcieport
0000:00:02.0 0x1b36 0x000c 0x060400 pcieport
0000:00:03.0 0x1b36 0x0001 0x060400
0000:00:1f.0 0x1af4 0x1005 0x00ff00 virtio-pci
0000:00:1f.7 0x1af4 0x1005 0x00ff00 virtio-pci
0000:01:00.0 0x1af4 0x1044 0x00ff00 virtio-pci
0000:02:00.0 0x1b36 0x0001 0x060400
0000:03:05.0 0x1af4 0x1044 0x00ff00 virtio-pci
0000:04:1f.0 0x1af4 0x1005 0x00ff00 virtio-pci
""".split("\n")[1:-1]
    options = ("pcie-root-port,id=rp1 pcie-root-port,id=rp2 pci-bridge,id=b1 virtio-rng-pci,addr=1f,multifunction=on "
               "virtio-rng-pci,addr=1f.7 virtio-rng-pci,bus=rp1 pci-bridge,id=b2,bus=rp2 "
               "virtio-rng-pci,bus=b2,addr=05.0,disable-legacy=on virtio-rng-pci,bus=b1,addr=0x1f")
    with boot(*[word for device in options.split() for word in ("-device", device)]) as console:
        start(console)
        found = [line.strip() for line in run(console, LIST).splitlines() if line.startswith("0000:")]
        assert found == expected, "\n".join(found)
        places = set(re.findall(r"^0x0*([0-9a-f]+) ", run(console, "cat /sys/bus/pci/devices/*/resource"), re.M))
        shown = set(re.findall(r"BAR\d: \S+ bit.* memory at 0x([0-9a-f]+)", console.monitor("info pci")))
        console.send("\x01c")
        assert len(shown) == 10 and shown <= places, f"{shown} {places}"
        power_off(console)
        return f"{len(found)} devices"


def interrupts():
    """Each of these waits for an interrupt for each read: all four lines, shared, through bridges."""
    devices = ["-device", "pci-bridge,id=b1,addr=1", "-device", "pcie-root-port,id=rp1,addr=2"]
    for slot in range(4, 9):
        devices += ["-device", f"virtio-rng-pci,addr={slot:x}", "-device", f"virtio-rng-pci,bus=b1,addr={slot:x}"]
    devices += ["-device", "virtio-rng-pci,bus=rp1"]
    with boot(*devices) as console:
        start(console)
        names = [w for w in run(console, f"cat {RNG}/rng_available").split() if w.startswith("virtio_rng")]
        assert len(names) == 11, names
        for name in names:
            said = run(console, f"echo {name} >{RNG}/rng_current; for i in 1 2 3 4; do dd if=/dev/hwrng bs=64 count=1 2>/dev/null; done | wc -c")
            assert said.split()[-1] == "256", f"{name}: {said}"
        power_off(console)
        return f"{len(names)} sources"


def ports():
    """A named port of the console device: bytes both ways, and each end sees the other come and go."""
    data = bytes(range(250)) * 800
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "port")
        with boot("-device", "virtio-serial-pci,id=vs", "-chardev", f"socket,id=c,path={path},server=on,wait=off", "-device",
                  "virtserialport,chardev=c,name=org.menura.test", "-chardev", f"file,id=f,path={folder}/console", "-device",
                  "virtconsole,chardev=f,bus=vs.0") as console:
            start(console)
            assert run(console, "cat /sys/class/virtio-ports/vport*p1/name").endswith("org.menura.test")
            run(console, "p=/dev/$(basename /sys/class/virtio-ports/vport*p1)")
            console.line("head -c 200000 $p | md5sum")
            console.expect(r"md5sum\s")
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                peer.sendall(data)
                console.expect(hashlib.md5(data).hexdigest(), machine.limit(60))
                run(console, "echo from the guest >$p")
                assert peer.recv(100) == b"from the guest\n"
            run(console, "echo to the console >/dev/hvc0")
            power_off(console)
        with open(os.path.join(folder, "console"), encoding="ascii") as f:
            assert f.read().strip() == "to the console"


def main():
    tap = Tap(sys.argv[1:])
    tap.case("buses", buses)
    tap.case("interrupts", interrupts)
    tap.case("ports", ports)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
