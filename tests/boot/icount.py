#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-icount: two runs of the same boot give the same console output and the same number of instructions at power-off.

    icount.py [CASE-PATTERN...]

The guest types to itself (init=), so that no input from outside arrives at one time or another.
"""
import contextlib
import os
import re
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402


class Disturber(threading.Thread):
    """Stops the vCPUs again and again, by what it asks the monitor for."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path

    def run(self):
        with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(ConnectionError):
            while s.connect_ex(self.path):
                time.sleep(0.001)
            while True:
                s.sendall(b"info registers\n")
                s.recv(1 << 16)
                time.sleep(0.002)


def boot(harts, log, monitor="none"):
    """Console output and the log's word on instructions."""
    extra = ["-icount", "shift=0", "-d", "cpu_reset", "-D", log, "-monitor", monitor, "-serial", "stdio", "-display", "none"]
    options = [o for o in machine.linux(harts, append="init=/sbin/selftest") if o != "-nographic"]
    with machine.start(*options, *extra) as console:
        status = console.wait(machine.limit(300))
        assert status == 0, f"exit status {status}: {console.text[-500:]}"
    with open(log, encoding="utf-8") as f:
        found = re.findall(r"(\d+) instructions", f.read())
    return console.text, found


def twice(harts, disturbed=False):
    machine.needs_menura("this -icount")
    with tempfile.TemporaryDirectory() as folder:
        first, count = boot(harts, os.path.join(folder, "1"))
        path = os.path.join(folder, "monitor")
        if disturbed:
            Disturber(path).start()
        second, count2 = boot(harts, os.path.join(folder, "2"), f"unix:{path},server=on,wait=off" if disturbed else "none")
    assert "SELFTEST-END" in first, "the guest did not do its work: " + first[-500:]
    for a, b in zip(first.splitlines(), second.splitlines()):
        assert a == b, f"the runs differ:\n{a}\n{b}"
    assert first == second, "one run printed more"
    assert count, "the log of power-off names no number of instructions"
    assert count == count2, f"instructions differ: {count} {count2}"
    return f"{count[-1]} instructions"


def main():
    tap = Tap(sys.argv[1:])
    for harts in (1, 2):
        tap.case(f"twice-{harts}", twice, harts)
    tap.case("disturbed", twice, 2, True)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
