#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""CD drives with Linux: a disc's files, its capacity, ejecting, an empty drive, on AHCI and SCSI controllers.

    cdrom.py [CASE-PATTERN...]
"""
import hashlib
import os
import random
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import iso                                                        # noqa: E402
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

PROMPT = r"^/ # $"
SETTINGS = "/proc/sys/dev/cdrom"
READ = "dd if=/dev/sr0 bs=2048 skip=16 count=1"
LOAD = "until [ -e /dev/sr0 ]; do sh /modules/load; sleep 0.2; done"


def output(console, line, seconds=60):
    return console.run(line, PROMPT, machine.limit(seconds)).strip()


def boot(*devices):
    console = machine.start("-M", "virt", "-m", "256M", "-smp", "2", "-nographic", "-nic", "none", "-kernel", machine.guest("Image"),
                            "-initrd", machine.guest("initramfs.cpio"), "-append", "console=ttyS0 quiet sh", *devices)
    console.expect("leave it to power off", machine.limit(120))
    console.expect(PROMPT, 30)
    output(console, "stty cols 1000; dmesg -n 1")
    output(console, LOAD)
    return console


def power_off(console):
    console.line("poweroff -f")
    status = console.wait(machine.limit(60))
    assert status == 0, f"exit status {status}"


def disc(*devices):
    content = random.Random(3).randbytes(5_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "disc.iso")
        with open(path, "wb") as f:
            f.write(iso.image({"FILE.BIN;1": content, "README.TXT;1": b"good\n"}))
        sectors = os.path.getsize(path) // 512
        with boot("-drive", f"file={path},format=raw,if=none,id=cd,media=cdrom", *devices) as console:
            assert output(console, "cat /sys/block/sr0/size") == str(sectors), "another size"
            assert "read-only" in output(console, "dd if=/dev/zero of=/dev/sr0 count=1 2>&1 | grep -o -i read-only").lower(), "it can be written"
            text = output(console, "mkdir /cd; mount -t iso9660 -o ro /dev/sr0 /cd && cat /cd/readme.txt && sha256sum /cd/file.bin")
            assert "good" in text and hashlib.sha256(content).hexdigest() in text, text
            output(console, f"umount /cd; echo 0 >{SETTINGS}/autoclose; echo 1 >{SETTINGS}/autoeject; {READ} >/dev/null")
            assert output(console, READ + " 2>&1 | grep -c medium") == "1", "it is still in"
            assert output(console, f"echo 1 >{SETTINGS}/autoclose; {READ} 2>/dev/null | grep -c CD001") == "1", "it did not come back"
            power_off(console)


def empty(*devices):
    with boot(*devices) as console:
        assert output(console, "dd if=/dev/sr0 count=1 2>&1 | grep -c medium") == "1", "there is something in it"
        power_off(console)


def main():
    tap = Tap(sys.argv[1:])
    tap.case("ahci", disc, "-device", "ahci,id=a", "-device", "ide-cd,bus=a.1,drive=cd")
    tap.case("scsi", disc, "-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd")
    tap.case("ahci-empty", empty, "-device", "ahci,id=a", "-device", "ide-cd,bus=a.0")
    tap.case("scsi-empty", empty, "-device", "virtio-scsi-pci", "-device", "scsi-cd")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
