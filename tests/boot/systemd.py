#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian (tools/guests.py rootfs) boots under systemd to a login; Python, gcc, OpenSSL and stress-ng do their work.

    systemd.py [--harts 2] [--stress SECONDS]
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import machine                                                    # noqa: E402
from tap import Skip, Tap                                         # noqa: E402

PROMPT = r"root@debian:\S*# "
PROGRAM = r"""printf '#include <stdio.h>\nint main(void){double s=0;for(int i=1;i<1000;i++)s+=1.0/i;printf("sum %%.6f\\n",s);}' > t.c"""


def work(seconds):
    """(name, command, what must come, limit)"""
    return [
        ("python", "python3 -c 'import json, math; print(json.dumps([2**100, math.pi]))'",
         r"^\[1267650600228229401496703205376, 3\.141592653589793\]$", 60),
        ("gcc", PROGRAM + " && gcc -O2 -o t t.c && ./t", r"^sum 7\.484471$", 120),
        ("openssl", "openssl speed -seconds 1 -evp sha256 2>&1 | tail -n 1", r"^sha256 +\d", 120),
        ("openssl-digest", "printf abc | openssl dgst -sha256 -r",
         r"^ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 60),
        ("stress-ng", f"stress-ng --cpu 2 --verify --timeout {seconds} --metrics-brief 2>&1; echo STATUS $?",
         r"^STATUS 0$", seconds * 3 + 120),
        ("systemctl", "systemctl is-system-running --wait", r"^running$", 120),
    ]


def login(console):
    console.expect(r"login: ", machine.limit(600))
    console.line("root")
    console.expect(PROMPT, machine.limit(120))


def do(console, command, answer, seconds):
    console.line(command)
    console.expect(r"\n", machine.limit(30))
    match = console.expect(answer, machine.limit(seconds))
    console.expect(PROMPT, machine.limit(60))
    return match[0].strip()[:60]


def power_off(console):
    console.line("systemctl poweroff")
    status = console.wait(machine.limit(180))
    assert status == 0, f"exit status {status}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harts", type=int, default=2)
    parser.add_argument("--stress", type=int, default=60, help="seconds")
    args = parser.parse_args()
    tap = Tap()
    try:
        options = ["-M", "virt", "-m", "1G", "-smp", str(args.harts), "-kernel", machine.guest("Image"),
                   "-initrd", machine.guest("initramfs.cpio"), "-append", "root=/dev/vda console=ttyS0",
                   *machine.disk(machine.guest("rootfs.img")), "-snapshot", "-nographic"]
    except Skip as e:
        print(f"1..0 # SKIP {e}")
        return
    with machine.start(*options) as console:
        tap.case("login", login, console)
        if not tap.failed:
            for name, command, answer, seconds in work(args.stress):
                tap.case(name, do, console, command, answer, seconds)
            tap.case("poweroff", power_off, console)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
