#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtio keyboard, mouse and tablet with Linux: what the monitor types and points comes out of evdev.

    input.py [CASE-PATTERN...]
"""
import os
import re
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from console import Console                                       # noqa: E402
from tap import Tap                                               # noqa: E402
from usb import EV_ABS, EV_KEY, EV_REL, boot, events, monitor, new_disk, output, power_off, type_and_point   # noqa: E402

PCI = ["-device", "virtio-keyboard-pci,serial=K-1", "-device", "virtio-mouse-pci", "-device", "virtio-tablet-pci"]
MMIO = ["-device", "virtio-keyboard-device", "-device", "virtio-mouse-device", "-device", "virtio-tablet-device"]
NAMES = {"keyboard", "mouse", "tablet"}


def command(*devices):
    return [machine.PROGRAM, "-M", "virt", "-m", "256M", "-smp", "2", "-nographic", "-kernel", machine.guest("Image"), "-initrd",
            machine.guest("initramfs.cpio"), "-append", "console=ttyS0 quiet sh", *devices]


def listen(console):
    said = output(console, "for e in /sys/class/input/event*; do echo ${e##*/} $(cat $e/device/name); done")
    names = {m[1]: m[0] for m in re.findall(r"^(event\d+) Menura virtio (\w+)$", said, re.M)}
    assert set(names) == NAMES, said
    for name, event in names.items():
        output(console, f"cat /dev/input/{event} >/tmp/{name} 2>/dev/null &")
    return names


def check_input(console):
    left, keys = 0x110, events(console, "keyboard")
    assert keys == [(EV_KEY, 30, 1), (EV_KEY, 30, 0), (EV_KEY, 29, 1), (EV_KEY, 42, 1), (EV_KEY, 60, 1), (EV_KEY, 60, 0),
                    (EV_KEY, 42, 0), (EV_KEY, 29, 0)], keys
    mouse = events(console, "mouse")
    assert mouse == [(EV_REL, 0, 300), (EV_REL, 1, -5), (EV_REL, 8, 1), (EV_KEY, left, 1), (EV_KEY, left, 0)], mouse
    tablet = events(console, "tablet")
    assert tablet == [(EV_ABS, 0, 16000), (EV_ABS, 1, 32767)], tablet


def forget(console):
    for name in NAMES:
        output(console, f": >/tmp/{name}")


def human(devices, serial):
    with Console(command(*devices)) as console:
        boot(console, "/dev/input/event2")
        assert re.search(r"\* Mouse #1: Menura virtio tablet \(absolute\)", monitor(console, "info mice"))
        names = listen(console)
        uniq = output(console, f"cat /sys/class/input/{names['keyboard']}/device/uniq").splitlines()
        assert (uniq[-1] if uniq else "") == serial, uniq
        type_and_point(console)
        check_input(console)
        output(console, f"for l in /sys/class/input/{names['keyboard']}/device/input*::capslock; do echo 1 >$l/brightness; done")
        power_off(console)


def beside_usb():
    """The keyboard that came last gets the keys."""
    with Console(command("-device", "virtio-keyboard-pci,id=first", "-device", "qemu-xhci", "-device", "usb-kbd", "-device",
                         "virtio-keyboard-pci,addr=9")) as console:
        boot(console, "/dev/input/event2")
        said = output(console, "for e in /sys/class/input/event*; do echo ${e##*/} $(readlink -f $e/device); done")
        found = dict(re.findall(r"^(event\d+) (\S+)$", said, re.M))
        assert len(found) == 3, said
        for event in found:
            output(console, f"cat /dev/input/{event} >/tmp/{event} 2>/dev/null &")
        assert "sendkey" not in monitor(console, "sendkey z")
        output(console, "sleep 0.5")
        for event, path in found.items():
            expected = [(EV_KEY, 44, 1), (EV_KEY, 44, 0)] if "/0000:00:09.0/" in path else []
            assert events(console, event) == expected, (event, path, events(console, event))
        power_off(console)


def snapshot():
    """A key that is down in a snapshot is released when it is loaded, and all goes on."""
    with tempfile.TemporaryDirectory() as folder:
        disk = ["-drive", f"file={new_disk(folder, 4)},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d"]
        with Console(command(*disk, *PCI)) as console:
            boot(console, "/dev/input/event2")
            listen(console)
            monitor(console, "sendkey a 4000")
            said = monitor(console, "savevm down")
            assert "savevm:" not in said, said
            time.sleep(4)
            assert "loadvm:" not in monitor(console, "loadvm down")
            output(console, "sleep 1")
            keys = [e for e in events(console, "keyboard") if e[2] != 2]    # without repetitions
            assert keys == [(EV_KEY, 30, 1), (EV_KEY, 30, 0)], keys
            forget(console)
            type_and_point(console)
            check_input(console)
        with Console([*command(*disk, *PCI), "-loadvm", "down"]) as console:
            console.line("")
            console.expect(r"^/ # $", 30)
            output(console, "sleep 0.5")
            forget(console)
            type_and_point(console)
            check_input(console)
            power_off(console)


def main():
    tap = Tap(sys.argv[1:])
    machine.needs_menura("devices of these names")
    tap.case("pci", human, PCI, "K-1")
    tap.case("pci-packed", human, [d + ",packed=on" if d.startswith("virtio") else d for d in PCI], "K-1")
    tap.case("mmio", human, MMIO, "")
    tap.case("beside-usb", beside_usb)
    tap.case("snapshot", snapshot)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
