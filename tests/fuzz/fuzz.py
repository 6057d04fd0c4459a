#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the fuzzers: with their corpus and a few random inputs in every "make check", or for long with sanitizers and coverage.

    tests/fuzz/fuzz.py BUILD                              the corpus, and some inputs more
    tests/fuzz/fuzz.py BUILD --seconds 600 --keep         what is worth keeping goes to tests/fuzz/corpus
    tests/fuzz/fuzz.py BUILD --only qcow2 --runs 1000000
    tests/fuzz/fuzz.py BUILD --program fuzz-devices --jobs 1

BUILD: for --keep one made by ./configure --fuzz. An input that crashes is appended to tests/fuzz/crashes/TARGET, and the search goes on with
another seed; BUILD/tests/fuzz-images TARGET tests/fuzz/crashes/TARGET --replay shows it again, BUILD/tests/fuzz-devices does without --replay.
When that is mended, the line goes to tests/fuzz/corpus/TARGET.mended, whose inputs are run first and stay.
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

IMAGES = ("qcow2", "qed", "vdi", "vpc", "parallels", "vmdk", "vhdx")
# Images in memory: the disk is not what is tested.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
RUNS, CRASHES = 1500, 20
# More memory (MiB) at once than a file of some MiB is worth, or a guest of some hundred KiB, is a defect, too.
MEMORY_LIMITS = {"fuzz-images": 512, "fuzz-devices": 64}


def sanitizers(program):
    """Their options. Few frames of each malloc(): an input that crashes can be run again."""
    return {"ASAN_OPTIONS": f"max_allocation_size_mb={MEMORY_LIMITS[program]}:malloc_context_size=2:quarantine_size_mb=32",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def find_targets(args):
    """The program of each target."""
    targets = {name: "fuzz-images" for name in IMAGES}
    devices = subprocess.run([os.path.join(args.build, "tests", "fuzz-devices"), "targets"], capture_output=True, text=True, check=True).stdout
    targets.update({name: "fuzz-devices" for name in devices.split()})
    for name in args.only or []:
        if name not in targets:
            sys.exit(f"fuzz.py: no target '{name}', there are: {' '.join(targets)}")
    return {name: program for name, program in targets.items()
            if (not args.only or name in args.only) and args.program in (None, program)}


def save_crash(program, target, corpus, why):
    now = subprocess.run([program, "show-now", corpus + ".now"], capture_output=True, text=True, check=True).stdout
    os.makedirs(os.path.join(HERE, "crashes"), exist_ok=True)
    with open(os.path.join(HERE, "crashes", target), "a", encoding="ascii") as f:
        f.write(now)
    summary = re.findall(r"^(?:SUMMARY|==.*ERROR|.*runtime error|fuzz:|\*\*).*", why, re.M)
    return f"{now.strip()}: {summary[0] if summary else why[-500:]}"


def replay(program, target, kept, env):
    """What is wrong with the inputs in corpus/TARGET.mended, each of which showed a defect once."""
    if not os.path.exists(kept + ".mended"):
        return []
    with tempfile.TemporaryDirectory() as folder:
        corpus = shutil.copyfile(kept + ".mended", os.path.join(folder, target))
        p = subprocess.run([program, target, corpus], capture_output=True, text=True, errors="replace", check=False, env=env)
        return [save_crash(program, target, corpus, p.stdout + p.stderr)] if p.returncode else []


def fuzz(args, target, name):
    """One target of the program @name; a line on what was done, and the crashes."""
    program = os.path.join(args.build, "tests", name)
    kept = os.path.join(HERE, "corpus", target)
    end = time.monotonic() + args.seconds
    env = {**sanitizers(name), **os.environ}
    said, crashes = [], replay(program, target, kept, env)
    with tempfile.TemporaryDirectory() as folder:
        corpus = os.path.join(folder, target)
        if os.path.exists(kept):
            shutil.copyfile(kept, corpus)
        while len(crashes) < CRASHES:
            how = ["--seconds", str(max(1, int(end - time.monotonic())))] if args.seconds else ["--runs", str(args.runs)]
            seed = random.randrange(1 << 32) if args.seed is None else args.seed
            memory = tempfile.mkdtemp(dir=MEMORY)
            p = subprocess.run([program, target, corpus, "--seed", str(seed), *how, *(["--keep"] if args.keep else [])],
                               capture_output=True, text=True, errors="replace", check=False, env={**env, "TMPDIR": memory})
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
    parser.add_argument("--only", action="append", metavar="TARGET")
    parser.add_argument("--program", choices=MEMORY_LIMITS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=0, help="of each target")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    tap = Tap()
    inputs = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [(t, pool.submit(fuzz, args, t, program)) for t, program in find_targets(args).items()]
        for target, job in jobs:
            said, crashes = job.result()
            print(f"# {said}", flush=True)
            inputs += sum(map(int, re.findall(r"(\d+) inputs", said)))
            tap.check(target, not crashes, "\n".join(crashes))
    print(f"# {inputs} inputs in all")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
