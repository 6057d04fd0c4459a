#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots and powers off again and again: what hangs once in ten times.

    repeat.py [--count 20] [--harts 4]
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402


def boot(harts):
    with machine.start(*machine.linux(harts, append="quiet")) as console:
        console.expect(machine.PROMPT, machine.limit(120))
        assert console.run("nproc", machine.PROMPT, machine.limit(30)).strip() == str(harts), "wrong number of CPUs"
        console.line("exit")
        status = console.wait(machine.limit(60))
        assert status == 0, f"exit status {status}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--harts", type=int, default=4)
    args = parser.parse_args()
    tap = Tap()
    for i in range(args.count):
        tap.case(f"boot-{i + 1}-of-{args.count}", boot, args.harts)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
