#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the public riscv-tests (their isa/ ELFs, built elsewhere) on -M spike and counts.

    riscv-tests.py --dir FOLDER [--accel jit|interp|both] [--only PATTERN]... [--skip PATTERN]...

rv32* run on menura-system-riscv32, the others on menura-system-riscv64. A test passes when it ends with status 0, which it
reports through HTIF; another status is the number of the check that failed. Without --dir: $MENURA_RISCV_TESTS.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import machine                                                    # noqa: E402
from tap import Skip, Tap                                         # noqa: E402


def program(name):
    if name.startswith("rv32"):
        return re.sub(r"riscv64$", "riscv32", machine.PROGRAM)
    return machine.PROGRAM


def run(folder, name, options, timeout):
    """What went wrong, or None."""
    command = [program(name), "-M", "spike", "-display", "none", "-serial", "none", "-monitor", "none", "-bios", "none",
               "-kernel", os.path.join(folder, name), *options]
    try:
        p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           errors="replace", timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"no end within {timeout:.0f} s"
    if p.returncode == 0:
        return None
    # The -p environment reports an exception that it did not expect as (1337 | check) >> 1.
    what = "an unexpected exception" if p.returncode in (156, 157, 158, 159) else f"check {p.returncode}"
    return f"exit status {p.returncode} ({what}): {p.stdout.strip()[-300:]}"


def elves(folder, only, skip):
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            if f.read(4) != b"\x7fELF":
                continue
        if (not only or any(fnmatch.fnmatch(name, p) for p in only)) and not any(fnmatch.fnmatch(name, p) for p in skip):
            yield name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default=os.environ.get("MENURA_RISCV_TESTS"))
    parser.add_argument("--accel", default="both", choices=["jit", "interp", "both"])
    parser.add_argument("--cpu", default="max", help="-cpu (default max)")
    parser.add_argument("--only", action="append", default=[], help="names (with * and ?)")
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30)
    args = parser.parse_args()
    if not args.dir:
        print("1..0 # SKIP the suite is not here: set MENURA_RISCV_TESTS to a folder with its ELFs")
        return
    tap = Tap()
    cpu = ["-cpu", args.cpu] if not machine.IS_PEER else []
    for kind in ("jit", "interp") if args.accel == "both" else (args.accel,):
        try:
            options = [*cpu, *machine.accel(kind)]
        except Skip as e:
            print(f"# {kind}: {e}")
            continue
        names = list(elves(args.dir, args.only, args.skip))
        begin = time.monotonic()
        bad = []
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            results = pool.map(lambda name: run(args.dir, name, options, machine.limit(args.timeout)), names)
            for name, wrong in zip(names, results):
                bad += [name] if wrong else []
                tap.check(f"{kind} {name}", not wrong, wrong or "")
        print(f"# {kind}: {len(names) - len(bad)} of {len(names)} passed in {time.monotonic() - begin:.0f} s"
              + (": failed " + " ".join(bad) if bad else ""))
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
