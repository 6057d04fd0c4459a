#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo: boots Debian's riscv64 Linux from a small ext4 disk, two virtual CPUs, to a shell on this terminal.

Without a terminal it types a few commands itself, shows what the guest answers, powers off, and ends with status 0 if all
went well. The disk is a copy in the build folder, so what is written to it is there the next time.
"""
import argparse
import os
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from console import Console, ConsoleError                         # noqa: E402

PROMPT = r"root@menura:\S*# "
COMMANDS = [
    ("uname -srm", r"Linux \S+ riscv64"),
    ("nproc", r"^2$"),
    ("df -h /", r"/dev/vda"),
    ("echo $((6 * 7)) > answer; sync; cat answer", r"^42$"),
    ("grep -m 1 isa /proc/cpuinfo", r"rv64imafd"),
    ("uptime", r"load average"),
]


def guests(*names):
    script = os.path.join(ROOT, "tools", "guests.py")
    out = subprocess.run([sys.executable, script, "path", *names], check=True, text=True, stdout=subprocess.PIPE).stdout
    return out.split("\n")[:-1]


def command_line(build):
    image, initrd, pristine, _ = guests("Image", "initramfs.cpio", "demo.img", "fw_dynamic.bin")
    disk = os.path.join(build, "demo.img")
    if not os.path.exists(disk) or os.path.getmtime(disk) < os.path.getmtime(pristine):
        shutil.copyfile(pristine, disk)
    emulator = os.environ.get("MENURA") or os.path.join(build, "menura-system-riscv64")
    append = "root=/dev/vda console=ttyS0 " + ("" if sys.stdout.isatty() else "quiet ") + "rw"
    return [emulator, "-M", "virt", "-m", "128M", "-smp", "2", "-kernel", image, "-initrd", initrd, "-append", append,
            "-drive", f"file={disk},format=raw,if=none,id=hd0", "-device", "virtio-blk-device,drive=hd0", "-nographic"]


def type_commands(command):
    """The demo without a terminal."""
    with Console(command, echo=sys.stdout) as console:
        console.expect(PROMPT, 180)
        for line, answer in COMMANDS:
            console.line(line)
            console.expect(r"\n", 30)
            console.expect(answer, 60)
            console.expect(PROMPT, 60)
        console.line("exit")
        console.expect("powers off", 30)
        status = console.wait(60)
    print(f"\ndemo: the guest powered off, exit status {status}")
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    build = os.path.relpath(parser.parse_args().build)
    command = command_line(build)
    print("\n" + shlex.join(command) + "\n", flush=True)
    if sys.stdin.isatty() and sys.stdout.isatty():
        print('At the prompt, "exit" powers off; C-a x ends the emulator, C-a h helps.\n', flush=True)
        os.execv(command[0], command)
    sys.exit(type_commands(command))


if __name__ == "__main__":
    try:
        main()
    except (ConsoleError, OSError) as e:
        sys.exit(f"demo: {e}")
    except subprocess.CalledProcessError as e:
        sys.exit(e.returncode)
