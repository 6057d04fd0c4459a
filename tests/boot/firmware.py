#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""U-Boot (in S mode over OpenSBI) and EDK2 start Linux from a disk; the shell of its initial RAM disk comes up.

U-Boot in M mode cannot start a kernel that wants an SBI; there its own shell has to work.

    firmware.py [CASE-PATTERN...]
"""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

SHELL = r"^/ # "


def finish(console):
    """At the shell: see that it works, and power off."""
    console.expect(SHELL, machine.limit(180))
    assert console.run("uname -m", SHELL, machine.limit(30)).strip() == "riscv64"
    console.line("exit")
    status = console.wait(machine.limit(60))
    assert status == 0, f"exit status {status}"


def common(device="virtio-blk-device"):
    return ["-m", "512M", "-smp", "2", *machine.disk(machine.guest("esp.img"), device=device), "-snapshot", "-nographic"]


def u_boot_m():
    with machine.start("-M", "virt", "-bios", machine.guest("u-boot-m.bin"), *common()) as console:
        console.expect(r"U-Boot 20\d\d", machine.limit(60))
        console.expect(r"Hit any key", machine.limit(60))
        console.send(" ")
        console.expect(r"^=> ", machine.limit(30))
        for command, answer in (("virtio scan; virtio info", "Block Device"), ("ls virtio 0:1 /", r"\d+ +linux"),
                                ("setexpr x 0x1234 * 0x5678; printenv x", "^x=6260060")):
            console.line(command)
            console.expect(answer, machine.limit(30))
            console.expect(r"^=> ", machine.limit(30))
        console.line("poweroff")
        status = console.wait(machine.limit(30))
        assert status == 0, f"exit status {status}"


def u_boot_s(board="virt"):
    with machine.start("-M", board, "-bios", machine.guest("fw_dynamic.bin"), "-kernel", machine.guest("u-boot-s.bin"),
                       *common()) as console:
        console.expect(r"U-Boot 20\d\d", machine.limit(60))
        console.expect(r"Starting kernel", machine.limit(120))
        finish(console)


def flash_options(code, variables, folder):
    """Code in the first flash bank, variables in the second; firmware that finds code there starts it in S mode."""
    if not machine.IS_PEER:
        return ["-drive", f"file={code},format=raw,if=pflash,unit=0,readonly=on",
                "-drive", f"file={variables},format=raw,if=pflash,unit=1"]
    # Before its version 8 it ran the first bank in M mode; so load the banks, and give a kernel that jumps there.
    jump = os.path.join(folder, "jump")
    with open(jump, "wb") as f:
        f.write(bytes.fromhex("b702002067800200"))      # lui t0, 0x20000; jr t0
    return ["-kernel", jump, "-device", f"loader,file={code},addr=0x20000000,force-raw=on",
            "-device", f"loader,file={variables},addr=0x22000000,force-raw=on"]


def edk2(device, board="virt", adapter=()):
    with tempfile.TemporaryDirectory() as folder:
        variables = os.path.join(folder, "vars.fd")
        shutil.copyfile(machine.guest("efi-vars.fd"), variables)
        flash = flash_options(machine.guest("efi-code.fd"), variables, folder)
        with machine.start("-M", board, *flash, *adapter, *common(device)) as console:
            console.expect(r"EFI stub|Booting Linux|Linux version", machine.limit(300))
            finish(console)


def main():
    tap = Tap(sys.argv[1:])
    tap.case("u-boot-m", u_boot_m)
    tap.case("u-boot-s", u_boot_s)
    tap.case("u-boot-s-aia", u_boot_s, "virt,aia=aplic-imsic")
    tap.case("edk2", edk2, "virtio-blk-device")
    tap.case("edk2-pci", edk2, "virtio-blk-pci")
    tap.case("edk2-nvme", edk2, "nvme,serial=A1")
    tap.case("edk2-ahci", edk2, "ide-hd,bus=a.3", "virt", ("-device", "ahci,id=a"))
    tap.case("edk2-aia", edk2, "nvme,serial=A1", "virt,aia=aplic-imsic")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
