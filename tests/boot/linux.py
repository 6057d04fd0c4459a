#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots Debian's Linux to the demo's shell, does some work there, powers off.

    linux.py [CASE-PATTERN...]        such as jit-4, or jit-*
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

# Fork and pipes, the disk, 64-bit arithmetic, code that is written and run, time.
WORK = [
    ("uname -srm", r"^Linux \S+ riscv64$"),
    ("seq 1 1000 | sort -r | md5sum", r"^a1633ac8dd529995ee2b84872e91c9a0  -$"),
    ("dd if=/dev/urandom of=/root/blob bs=64k count=64 2>/dev/null && sha256sum </root/blob >a && sync", None),
    ("echo 3 > /proc/sys/vm/drop_caches; sha256sum </root/blob | cmp - a && echo SAME", r"^SAME$"),
    ("echo $((123456789 * 987654321 % 1000007))", f"^{123456789 * 987654321 % 1000007}$"),
    ("echo 'scale=30; sqrt(2)' | bc", r"^1\.414213562373095048801688724209"),
    ("seq 100000 | gzip | gunzip | tail -n 1", r"^100000$"),
    ("i=0; while [ $i -lt 300 ]; do i=$((i + 1)); /bin/true; done; echo DONE $i", r"^DONE 300$"),
]


def boot(harts, kind):
    # The interpreter is slow enough for the kernel to think that it hangs.
    options = [*machine.accel(kind), *machine.linux(harts, append="nosoftlockup" if kind == "interp" else "")]
    with machine.start(*options) as console:
        seconds = machine.limit(900 if kind == "interp" else 180)
        console.expect(machine.PROMPT, seconds)
        begin = console.text.count("\n")
        assert console.run("nproc", machine.PROMPT, seconds).strip() == str(harts), "wrong number of CPUs"
        for command, answer in WORK:
            console.line(command)
            console.expect(r"\n", seconds)
            if answer:
                console.expect(answer, seconds)
            console.expect(machine.PROMPT, seconds)
        bad = [line for line in console.text.splitlines() if any(w in line for w in ("Oops", "BUG:", "WARNING:", "rcu: INFO"))]
        assert not bad, "the kernel complains: " + bad[0]
        console.line("exit")
        status = console.wait(machine.limit(60))
        assert status == 0, f"exit status {status}"
        return f"{begin} lines to the prompt"


def main():
    tap = Tap(sys.argv[1:])
    for harts in (1, 2, 4, 8):
        tap.case(f"jit-{harts}", boot, harts, "jit")
    tap.case("interp-1", boot, 1, "interp")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
