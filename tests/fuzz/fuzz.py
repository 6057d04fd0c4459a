#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the fuzzers: with their corpus and a few random inputs in every "make check", or for long with sanitizers and coverage.

    tests/fuzz/fuzz.py BUILD                              the corpus, and some inputs more
    tests/fuzz/fuzz.py BUILD --seconds 600 --keep         what is worth keeping goes to tests/fuzz/corpus
    tests/fuzz/fuzz.py BUILD --only qcow2 --runs 1000000

BUILD: for --keep one made by ./configure --fuzz. An input that crashes is appended to tests/fuzz/crashes/TARGET, and the search goes on with
another seed; BUILD/tests/fuzz-images TARGET tests/fuzz/crashes/TARGET --replay shows it again.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from tap import Tap                                               # noqa: E402

TARGETS = {name: "fuzz-images" for name in ("qcow2", "qed", "vdi", "vpc", "parallels", "vmdk", "vhdx")}
# Images in memory: the disk is not what is tested.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
RUNS, CRASHES = 1500, 20
# More memory at once than a file of some MiB is worth is a defect, too.
SANITIZERS = {"ASAN_OPTIONS": "max_allocation_size_mb=512:malloc_context_size=8", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def save_crash(program, target, corpus, why):
    now = subprocess.run([program, "show-now", corpus + ".now"], capture_output=True, text=True, check=True).stdout
    os.makedirs(os.path.join(HERE, "crashes"), exist_ok=True)
    with open(os.path.join(HERE, "crashes", target), "a", encoding="ascii") as f:
        f.write(now)
    summary = re.findall(r"^(?:SUMMARY|==.*ERROR|.*runtime error|fuzz:|\*\*).*", why, re.M)
    return f"{now.strip()}: {summary[0] if summary else why[-500:]}"


def fuzz(args, target):
    """One target; a line on what was done, and the crashes."""
    program = os.path.join(args.build, "tests", TARGETS[target])
    kept = os.path.join(HERE, "corpus", target)
    end = time.monotonic() + args.seconds
    said, crashes = [], []
    with tempfile.TemporaryDirectory() as folder:
        corpus = os.path.join(folder, target)
        if os.path.exists(kept):
            shutil.copyfile(kept, corpus)
        while len(crashes) < CRASHES:
            how = ["--seconds", str(max(1, int(end - time.monotonic())))] if args.seconds else ["--runs", str(args.runs)]
            seed = random.randrange(1 << 32) if args.seed is None else args.seed
            memory = tempfile.mkdtemp(dir=MEMORY)
            p = subprocess.run([program, target, corpus, "--seed", str(seed), *how, *(["--keep"] if args.keep else [])],
                               capture_output=True, text=True, errors="replace", check=False, env={**SANITIZERS, **os.environ, "TMPDIR": memory})
            shutil.rmtree(memory, ignore_errors=True)
            if p.returncode == 0:
                said.append(p.stdout.strip())
                break
            crashes.append(save_crash(program, target, corpus, p.stdout + p.stderr))
            if not args.seconds:
                break
        if args.keep and not crashes:
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            shutil.copyfile(corpus, kept)
    return " ".join(said), crashes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", action="append", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=0, help="of each target")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    tap = Tap()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(t, pool.submit(fuzz, args, t)) for t in args.only or TARGETS]
        for target, job in jobs:
            said, crashes = job.result()
            print(f"# {said}")
            tap.check(target, not crashes, "\n".join(crashes))
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
