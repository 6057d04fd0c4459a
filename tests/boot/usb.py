#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""USB with Linux: a disk on its own port and behind hubs, keyboard, mouse and tablet, a snapshot while the disk is busy.

    usb.py [CASE-PATTERN...]
"""
import hashlib
import os
import random
import re
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from console import Console                                       # noqa: E402
from tap import Tap                                               # noqa: E402

PROMPT = r"^/ # $"
MEGABYTE = 1 << 20
EV_KEY, EV_REL, EV_ABS = 1, 2, 3


def command(disk, *more, harts=2):
    return [machine.PROGRAM, "-M", "virt", "-m", "256M", "-smp", str(harts), "-nographic", "-kernel", machine.guest("Image"),
            "-initrd", machine.guest("initramfs.cpio"), "-append", "console=ttyS0 quiet sh", "-drive",
            f"file={disk},format=raw,if=none,id=usb0", "-device", "qemu-xhci,id=xhci", *more]


def new_disk(folder, megabytes=64):
    path = os.path.join(folder, "disk.img")
    with open(path, "wb") as f:
        f.truncate(megabytes * MEGABYTE)
    return path


def boot(console, *devices):
    """To the shell, and until these files are there."""
    console.expect("leave it to power off", machine.limit(90))
    console.expect(PROMPT, 30)
    console.run("stty cols 1000; dmesg -n 1", PROMPT, 20)
    for device in devices:
        console.run(f"until [ -e {device} ]; do sleep 0.1; done", PROMPT, machine.limit(30))


def output(console, line, seconds=60):
    return console.run(line, PROMPT, machine.limit(seconds)).strip()


def monitor(console, line, then=None):
    said = console.monitor(line, machine.limit(60), then)
    console.send("\x01c")
    return said


def power_off(console):
    console.line("poweroff -f")
    assert console.wait(machine.limit(30)) == 0


def drivers(console):
    """Interface -> driver."""
    said = output(console, "cd /sys/bus/usb/devices; for i in *:*; do echo $i $(basename $(readlink $i/driver)); done; cd /")
    return dict(re.findall(r"^(\S+:\S+) (\S+)$", said, re.M))


def use_disk(console):
    """A file system's file keeps its bytes across mounting; raw blocks get what the host will find. Their bytes."""
    said = output(console, "mke2fs -F /dev/sda 49152 >/dev/null && mount /dev/sda /mnt && dd if=/dev/urandom of=/mnt/f bs=64k count=300 "
                  "2>/dev/null && sha256sum </mnt/f && umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount /dev/sda /mnt && "
                  "sha256sum </mnt/f && umount /mnt && echo GOOD")
    sums = re.findall(r"^([0-9a-f]{64})  -$", said, re.M)
    assert len(sums) == 2 and sums[0] == sums[1] and "GOOD" in said, said
    said = output(console, "dd if=/dev/urandom of=/tmp/raw bs=4k count=1000 2>/dev/null; for n in 1 7 64 240; do dd if=/tmp/raw of=/dev/sda "
                  "bs=${n}k seek=$((50 * 1024 / n)) count=$((1000 / n)) oflag=direct 2>/dev/null; done; sync; sha256sum </tmp/raw; "
                  "dd if=/dev/sda bs=4k skip=12800 count=1000 iflag=direct 2>/dev/null | sha256sum")
    sums = re.findall(r"^([0-9a-f]{64})  -$", said, re.M)
    assert len(sums) == 2, said
    return sums[1]


def storage(more, speed, driver):
    with tempfile.TemporaryDirectory() as folder:
        disk = new_disk(folder)
        with Console(command(disk, *more)) as console:
            boot(console, "/dev/sda")
            assert drivers(console).get(driver) == "usb-storage", drivers(console)
            assert output(console, f"cat /sys/bus/usb/devices/{driver.split(':')[0]}/speed").splitlines()[-1] == speed
            found = use_disk(console)
            assert re.search(rf"Port \S+, Speed {speed} Mb/s, Product USB disk, ID: stick", monitor(console, "info usb"))
            power_off(console)
        with open(disk, "rb") as f:
            f.seek(50 * MEGABYTE)
            assert hashlib.sha256(f.read(1000 * 4096)).hexdigest() == found, "the image has something else"


def stick(port):
    return ["-device", f"usb-storage,drive=usb0,id=stick,bus=xhci.0,port={port},serial=S-1,removable=on"]


def direct():
    storage(stick(1), "5000", "2-1:1.0")


def behind_hubs():
    hubs = ["-device", "usb-hub,bus=xhci.0,port=2", "-device", "usb-hub,bus=xhci.0,port=2.3"]
    storage([*hubs, *stick("2.3.8")], "480", "1-2.3.8:1.0")


def old_speed():
    """A disk in a port without USB 3, on a second controller."""
    with tempfile.TemporaryDirectory() as folder:
        with Console(command(new_disk(folder, 16), "-device", "qemu-xhci,id=old,p2=6,p3=1", "-device",
                             "usb-storage,drive=usb0,bus=old.0,port=6")) as console:
            boot(console, "/dev/sda")
            said = output(console, "cat /sys/block/sda/device/../../../../../speed")
            assert said.splitlines()[-1] == "480", said
            power_off(console)


def events(console, name):
    """(type, code, value) of what was read from an input device, without the ends of reports."""
    found = []
    for line in output(console, f"xxd -p -c 24 /tmp/{name}").splitlines():
        raw = bytes.fromhex(line) if re.fullmatch(r"[0-9a-f]{48}", line) else b""
        if raw:
            kind, code = int.from_bytes(raw[16:18], "little"), int.from_bytes(raw[18:20], "little")
            value = int.from_bytes(raw[20:24], "little", signed=True)
            if kind in (EV_KEY, EV_REL, EV_ABS) and not (kind == EV_REL and code == 11):
                found.append((kind, code, value))
    return found


def listen(console):
    said = output(console, "for e in /sys/class/input/event*; do echo ${e##*/} $(cat $e/device/name); done")
    names = {m[1]: m[0] for m in re.findall(r"^(event\d+) Menura USB (\w+)$", said, re.M)}
    assert set(names) == {"keyboard", "mouse", "tablet"}, said
    for name, event in names.items():
        output(console, f"cat /dev/input/{event} >/tmp/{name} 2>/dev/null &")


def type_and_point(console):
    for line in ("sendkey a", "mouse_set 0", "mouse_move 300 -5 1", "mouse_button 1", "mouse_button 0", "mouse_set 1",
                 "mouse_move 16000 32767"):
        said = monitor(console, line)
        assert "mouse_" not in said and "sendkey" not in said, said
        output(console, "sleep 0.3")
    monitor(console, "sendkey ctrl-shift-f2 20")
    output(console, "sleep 0.5")


def check_input(console):
    left, keys = 0x110, events(console, "keyboard")
    assert keys == [(EV_KEY, 30, 1), (EV_KEY, 30, 0), (EV_KEY, 29, 1), (EV_KEY, 42, 1), (EV_KEY, 60, 1), (EV_KEY, 60, 0),
                    (EV_KEY, 42, 0), (EV_KEY, 29, 0)], keys
    mouse = events(console, "mouse")
    moved = {code: sum(v for k, c, v in mouse if (k, c) == (EV_REL, code)) for code in (0, 1, 8)}
    assert moved == {0: 300, 1: -5, 8: 1} and mouse[-2:] == [(EV_KEY, left, 1), (EV_KEY, left, 0)], mouse
    tablet = events(console, "tablet")
    assert tablet == [(EV_ABS, 0, 16000), (EV_ABS, 1, 32767)], tablet


def human(version):
    with tempfile.TemporaryDirectory() as folder:
        devices = ["-device", "usb-hub,port=1,id=hub", "-device", f"usb-kbd,port=1.1,usb_version={version}", "-device",
                   f"usb-mouse,port=1.4,usb_version={version}", "-device", f"usb-tablet,port=3,usb_version={version}"]
        with Console(command(new_disk(folder, 1), *devices)) as console:
            boot(console, "/dev/input/event2")
            found = drivers(console)
            assert found["1-1:1.0"] == "hub" and [found[i] for i in ("1-1.1:1.0", "1-1.4:1.0", "1-3:1.0")] == 3 * ["usbhid"], found
            assert re.search(r"\* Mouse #1: USB tablet \(absolute\)", monitor(console, "info mice"))
            listen(console)
            type_and_point(console)
            check_input(console)
            said = monitor(console, "sendkey ctl-a")
            assert re.search("unknown key: 'ctl'.*ctrl", said), said
            power_off(console)


# Reads back what it wrote past the page cache; the sum depends on every round.
WORK = """i=0; s=x; while [ $i -lt %d ]; do s=$(echo $s $i | sha256sum | cut -c1-64); echo $s | dd of=/dev/sda bs=4k seek=$i conv=sync \
oflag=direct 2>/dev/null; s=$(dd if=/dev/sda bs=4k skip=$i count=1 iflag=direct 2>/dev/null | head -n 1); i=$((i + 1)); done; \
echo "RESULT $s END"
"""
ROUNDS = 200


def expected():
    s = "x"
    for i in range(ROUNDS):
        s = hashlib.sha256(f"{s} {i}\n".encode()).hexdigest()
    return s


def snapshot():
    def result(console):
        return console.expect(r"RESULT (\S+) END", machine.limit(120))[1]

    with tempfile.TemporaryDirectory() as folder:
        disk = new_disk(folder, 16)
        argv = command(disk, "-device", "usb-hub,port=2", *stick("2.1"), "-device", "usb-kbd,port=2.2", "-device", "usb-mouse", "-device",
                       "usb-tablet")
        with Console(argv) as console:
            boot(console, "/dev/sda", "/dev/input/event2")
            listen(console)
            console.line(WORK % ROUNDS)
            console.expect(r"END\"", 20)
            for name in ("one", "two", "three"):
                time.sleep(random.random())
                said = monitor(console, f"savevm {name}")
                assert "savevm:" not in said, said
            assert result(console) == expected(), "the machine that went on computed something else"
            for name in ("three", "one"):
                said = monitor(console, f"loadvm {name}")
                assert "loadvm:" not in said, said
                assert result(console) == expected(), "the machine that was taken back computed something else"
        with Console([*argv, "-loadvm", "two"]) as console:
            assert result(console) == expected(), "the machine in another process computed something else"
            console.line("")
            console.expect(PROMPT, 30)
            type_and_point(console)
            check_input(console)
            power_off(console)


def wakes_up(devices, keyboard, sleeper):
    """A keyboard that the kernel suspended, with the hub that it is behind, wakes them up; what was pressed comes."""
    with tempfile.TemporaryDirectory() as folder:
        with Console(command(new_disk(folder, 1), *devices)) as console:
            boot(console, "/dev/input/event0")
            output(console, "cat /dev/input/event0 >/tmp/keyboard 2>/dev/null &")
            output(console, f"for d in {keyboard} {sleeper}; do cd /sys/bus/usb/devices/$d/power; echo enabled >wakeup; "
                   "echo 300 >autosuspend_delay_ms; echo auto >control; cd /; done")
            output(console, f"until grep -q suspended /sys/bus/usb/devices/{sleeper}/power/runtime_status; do sleep 0.1; done", 20)
            said = monitor(console, "sendkey b")
            assert "sendkey" not in said, said
            output(console, "sleep 1")
            found = events(console, "keyboard")
            assert found == [(EV_KEY, 48, 1), (EV_KEY, 48, 0)], found
            power_off(console)


def hot_plug():
    """Devices come and go while Linux runs: a keyboard, a disk in use, a hub with what is behind it."""
    def changes(line, pattern):
        said = monitor(console, line, pattern)
        assert "device_" not in said.replace(line, ""), said
        console.line("")
        console.expect(PROMPT, 20)

    with tempfile.TemporaryDirectory() as folder:
        disk = new_disk(folder)
        with Console(command(disk)) as console:
            boot(console)
            output(console, "dmesg -n 7")
            for _ in range(2):
                changes("device_add usb-kbd,id=k,port=1", "hid-generic .*USB HID .* Keyboard")
                output(console, "cat /dev/input/event0 >/tmp/keyboard 2>/dev/null &")
                monitor(console, "sendkey a")
                output(console, "sleep 0.5")
                assert events(console, "keyboard") == [(EV_KEY, 30, 1), (EV_KEY, 30, 0)], events(console, "keyboard")
                assert re.search("Port 1, Speed 480 Mb/s, Product USB keyboard, ID: k", monitor(console, "info usb"))
                changes("device_del k", "USB disconnect")
                assert "Device" not in monitor(console, "info usb")
            changes("device_add usb-storage,drive=usb0,id=stick", "Attached SCSI disk")
            output(console, "dd if=/dev/zero of=/dev/sda bs=4k oflag=direct 2>/dev/null &")
            console.line("while dd if=/dev/sda of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done; echo ALL IS $((40 + 2))")
            time.sleep(0.3)
            monitor(console, "device_del stick", "ALL IS 42")
            changes("device_add usb-hub,id=hub,port=2", "hub .*: 8 ports detected")
            changes("device_add usb-storage,drive=usb0,id=stick,port=2.5", "Attached SCSI disk")
            output(console, "dmesg -n 1; until [ -e /dev/sda ]; do sleep 0.1; done")
            found = use_disk(console)
            monitor(console, "device_del hub")
            assert "No such" in output(console, "while [ -e /dev/sda ]; do sleep 0.1; done; ls /dev/sda")
            for line, text in (("device_add usb-kbd,port=9", "no such port"), ("device_add nvme", "only USB devices can"),
                               ("device_add usb-storage", "drive= is missing"), ("device_add usb-kbdd", "usb-kbd"),
                               ("device_del xhci", "only USB devices can"), ("device_del stick", "no device has the id 'stick'")):
                said = monitor(console, line)
                assert text in said, said
            power_off(console)
        with open(disk, "rb") as f:
            f.seek(50 * MEGABYTE)
            assert hashlib.sha256(f.read(1000 * 4096)).hexdigest() == found, "the image has something else"


def reset():
    """The machine is reset while the disk is busy, and finds it again."""
    with tempfile.TemporaryDirectory() as folder:
        with Console(command(new_disk(folder), *stick(1))) as console:
            for _ in range(3):
                boot(console, "/dev/sda")
                console.line("dd if=/dev/zero of=/dev/sda bs=1M oflag=direct & dd if=/dev/sda of=/dev/null bs=64k iflag=direct")
                time.sleep(random.random() / 4)
                monitor(console, "system_reset")
            boot(console, "/dev/sda")
            use_disk(console)
            power_off(console)


def main():
    tap = Tap(sys.argv[1:])
    machine.needs_menura("devices by these names in info usb")
    tap.case("disk", direct)
    tap.case("disk-behind-hubs", behind_hubs)
    tap.case("disk-without-usb3", old_speed)
    tap.case("input", human, 2)
    tap.case("input-full-speed", human, 1)
    tap.case("wakeup", wakes_up, ["-device", "usb-kbd,port=2"], "1-2", "1-2")
    tap.case("wakeup-behind-hub", wakes_up, ["-device", "usb-hub,port=1", "-device", "usb-kbd,port=1.2"], "1-1.2", "1-1")
    tap.case("hot-plug", hot_plug)
    tap.case("reset", reset)
    tap.case("snapshot", snapshot)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
