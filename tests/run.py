#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the tests that tests/meson.build lists and counts their cases; the last line is "N passed, N failed[, N skipped]".

    tests/run.py [BUILD-FOLDER] [--suite NAME]... [NAME-PATTERN...] [-v]

A case is a line of TAP, a method of Python's unittest, or a program that has no cases. What failed is shown with its output. The
tests that may run beside others come first, as many at a time as there are CPUs.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHOWN = 60          # lines of a failed test's output
SKIPPED = 77        # exit status of a program without cases


class Result:
    """What one program had to say."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.complaints = []    # lines for the user

    def count_tap(self, lines):
        plan, seen, keep = None, 0, False
        for line in lines:
            m = re.match(r"(not )?ok\b ?\d*(.*)", line)
            if m:
                seen += 1
                skip = re.search(r"# SKIP\s*(.*)", m[2], re.I)
                if skip and not m[1]:
                    self.skipped += 1
                    self.complaints.append(f"skipped: {m[2].split('#')[0].strip(' -')}: {skip[1]}")
                elif m[1]:
                    self.failed += 1
                    self.complaints.append("FAILED: " + m[2].strip(" -"))
                else:
                    self.passed += 1
                keep = bool(m[1])
                continue
            m = re.match(r"1\.\.(\d+)\s*(?:# SKIP\s*(.*))?", line)
            if m:
                plan = int(m[1])
                if plan == 0:
                    self.skipped += 1
                    self.complaints.append(f"skipped: {m[2] or 'no reason given'}")
            elif keep:
                self.complaints.append("    " + line.lstrip("# "))
        if plan is None or plan != seen and plan:
            return "its list of cases is not complete"
        return None

    def count_unittest(self, text):
        """Python's unittest sums up at the end: "Ran 12 tests in ...", "FAILED (failures=1, skipped=2)"."""
        total = int(re.search(r"^Ran (\d+) tests? in", text, re.M)[1])
        m = re.search(r"^(?:OK|FAILED)\s*(?:\((.*)\))?\s*$", text, re.M)
        words = dict(w.split("=") for w in m[1].split(", ")) if m and m[1] else {}
        self.failed = int(words.get("failures", 0)) + int(words.get("errors", 0)) + int(words.get("unexpected successes", 0))
        self.skipped = int(words.get("skipped", 0))
        self.passed = max(0, total - self.failed - self.skipped)
        self.complaints += ["skipped: " + m for m in re.findall(r"^(\S+ .*) \.\.\. skipped", text, re.M)]

    def count(self, test, text, status, seconds):
        lines = text.splitlines()
        wrong = None
        if test["protocol"] == "tap":
            wrong = self.count_tap(lines)
        elif re.search(r"^Ran \d+ tests? in", text, re.M):
            self.count_unittest(text)
        elif status == 0:
            self.passed = 1
        elif status == SKIPPED:
            self.skipped, status = 1, 0
            self.complaints.append("skipped: " + (lines[-1] if lines else "no reason given"))
        if status is None:
            wrong = f"no end within {seconds:.0f} s"
        elif status < 0:
            wrong = f"died of {signal.Signals(-status).name}"
        elif status > 0 and not self.failed:
            wrong = f"exit status {status}"
        if wrong:
            self.failed += 1
            self.complaints.append("FAILED: " + wrong)
        if self.failed and (wrong or test["protocol"] != "tap"):
            self.complaints += ["    " + line for line in lines[-SHOWN:]]


def run_program(test, slow):
    """Output and exit status; status None: it took too long and was ended."""
    env = {**os.environ, **test["env"]}
    limit = test["timeout"] * slow if test["timeout"] > 0 else None
    with subprocess.Popen(test["cmd"], env=env, cwd=test["workdir"] or ROOT, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as p:
        try:
            return p.communicate(timeout=limit)[0], p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            return p.communicate()[0], None


class Runner:
    def __init__(self, verbose, slow):
        self.verbose, self.slow = verbose, slow
        self.lock = threading.Lock()
        self.results = []

    def run(self, test):
        result = Result(test["name"])
        begin = time.monotonic()
        text, status = run_program(test, self.slow)
        seconds = time.monotonic() - begin
        result.count(test, text, status, seconds)
        with self.lock:
            self.results.append(result)
            parts = [f"{result.passed} passed"]
            parts += [f"{result.failed} FAILED"] if result.failed else []
            parts += [f"{result.skipped} skipped"] if result.skipped else []
            print(f"{test['name']:24} {', '.join(parts)}  ({seconds:.1f} s)")
            if self.verbose:
                print("".join(f"    {line}\n" for line in text.splitlines()), end="")
            else:
                print("".join(f"    {line}\n" for line in result.complaints), end="")
            sys.stdout.flush()


def chosen(build, suites, patterns):
    """The tests of a build folder, in the order they are listed."""
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", build], check=True, text=True,
                                      stdout=subprocess.PIPE).stdout)
    for t in tests:
        own = {s.split(":")[-1] for s in t["suite"]}
        if (not suites or own & set(suites)) and (not patterns or any(fnmatch.fnmatch(t["name"], p) for p in patterns)):
            if "long" not in own or "long" in suites or patterns:
                yield t


def sanitizer(build):
    """The build's sanitizer option ("none", "address,undefined", ...)."""
    options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", build], check=True, text=True,
                                        stdout=subprocess.PIPE).stdout)
    return next((o["value"] for o in options if o["name"] == "b_sanitize"), "none")


def prepare_environment(build):
    """Limits are longer under a sanitizer; returns by how much."""
    os.environ["MENURA_BUILD"] = build
    if sanitizer(build) != "none":
        os.environ.setdefault("MENURA_TEST_SLOW", "10")
        os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    return float(os.environ.get("MENURA_TEST_SLOW") or 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"))
    parser.add_argument("patterns", nargs="*", metavar="NAME-PATTERN")
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("-v", "--verbose", action="store_true", help="show all output")
    args = parser.parse_intermixed_args()
    build = os.path.abspath(args.build)
    runner = Runner(args.verbose, prepare_environment(build))
    tests = list(chosen(build, args.suite, args.patterns))
    if not tests:
        sys.exit("run.py: no test has such a name or suite")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(runner.run, [t for t in tests if t["is_parallel"]]))
    for t in tests:
        if not t["is_parallel"]:
            runner.run(t)
    bad = [r.name for r in runner.results if r.failed]
    if bad:
        print("\nfailed: " + " ".join(bad))
    passed, failed, skipped = (sum(getattr(r, k) for r in runner.results) for k in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
