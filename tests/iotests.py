#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs qemu-iotests, the public suite for disk images, with Menura's tools in the place of qemu-img and qemu-io.

    tests/iotests.py --dir SUITE [--format F]... [--peer] [-j N] [--list] [TEST...]

SUITE is the folder tests/qemu-iotests of QEMU's sources (7.2), or $QEMU_IOTESTS; it is not changed. Only tests of images take part:
what needs a system emulator, an NBD server or a storage daemon is not run. --peer takes the host's qemu-img and qemu-io instead, so
that the two can be compared in the same environment. The tools are in $MENURA_BUILD. Prints the counts of each format, and for each
failure the first line that differs.

The suite's own driver wants a build folder with all programs. It gets one in a temporary folder, in which all but the two tools
are a script that leaves a mark: a test that ran into it is not counted as failed, but as not run.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("MENURA_BUILD", os.path.join(ROOT, "build"))
FORMATS = ["raw", "qcow2", "qed", "vmdk", "vpc", "vdi", "vhdx", "parallels"]
TIMEOUT = 120
OTHERS = ["qemu-system-x86_64", "qemu-nbd", "storage-daemon/qemu-storage-daemon"]
# What a test says that needs more than the two tools.
NEEDS = [
    (r"_launch_qemu|\$\{?QEMU\b|iotests\.VM|\.launch\(|run_qemu|_require_devices|_require_one_device_of|QMPTestCase", "a system emulator"),
    (r"\$\{?QEMU_NBD\b|qemu_nbd|nbd_server_start|QEMU_NBD_PROG", "an NBD server"),
    (r"\$\{?QSD\b|QemuStorageDaemon", "a storage daemon"),
]
STUB = """#!/bin/sh
case "$*" in
*"-machine help"*) echo "none empty machine"; exit 0 ;;
*"-drive format=help"*) echo "Supported formats:$(sed -n 's/^Supported formats://p' "{formats}")"; exit 0 ;;
*"-device help"*) exit 0 ;;
esac
echo "$0" > "$TEST_DIR/needs-other"
exit 1
"""


def find_tool(peer, name):
    path = shutil.which("qemu-" + name) if peer else os.path.join(BUILD, "menura-" + name)
    if not path or not os.path.exists(path):
        sys.exit(f"iotests: there is no {path or 'qemu-' + name}")
    return os.path.abspath(path)


def make_folder(where, suite, peer):
    """A build folder as the suite's driver wants it."""
    work = os.path.join(where, "tests", "qemu-iotests")
    os.makedirs(work)
    os.symlink(os.path.join(suite, "check"), os.path.join(work, "check"))
    for name in ("img", "io"):
        tool = find_tool(peer, name)
        # The expected texts have the names of qemu's programs.
        script(os.path.join(where, "qemu-" + name), f'#!/bin/bash\nexec -a qemu-{name} "{tool}" "$@"\n')
    formats = os.path.join(where, "formats")
    with open(formats, "w", encoding="utf-8") as f:
        f.write(subprocess.run([os.path.join(where, "qemu-img"), "--help"], check=False, text=True, stdout=subprocess.PIPE).stdout)
    for name in OTHERS:
        path = os.path.join(where, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        script(path, STUB.format(formats=formats))


def script(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o755)


def all_tests(suite):
    names = [n for n in sorted(os.listdir(suite)) if re.fullmatch(r"\d{3}", n)]
    names += ["tests/" + n for n in sorted(os.listdir(os.path.join(suite, "tests")))]
    return [n for n in names if os.access(os.path.join(suite, n), os.X_OK) and os.path.isfile(os.path.join(suite, n))]


def words(pattern, text):
    return [w for m in re.findall(pattern, text, re.M | re.S) for w in re.findall(r"[\w-]+", m)]


def why_not(suite, test, format_):
    """Why @test is not run with @format_, as far as its text tells; None: try it."""
    with open(os.path.join(suite, test), encoding="utf-8", errors="replace") as f:
        text = f.read()
    no = words(r"^_unsupported_fmt ([^\n]*)", text) + words(r"unsupported_fmts=\[([^\]]*)\]", text)
    yes = words(r"^_supported_fmt ([^\n#]*)", text) + words(r"[^n]supported_fmts=\[([^\]]*)\]", text)
    if format_ in no or yes and format_ not in yes and "generic" not in yes:
        return "not suitable for this image format: " + format_
    for pattern, what in NEEDS:
        if re.search(pattern, text):
            return "needs " + what
    return None


def first_difference(suite, test, format_, work):
    """Of what was expected and what came."""
    expected = next(p for p in (f"{test}.out.{format_}", f"{test}.out") if os.path.exists(os.path.join(suite, p)))
    bad = os.path.join(work, os.path.basename(test) + ".out.bad")
    if not os.path.exists(bad):
        return "no output"
    diff = subprocess.run(["diff", os.path.join(suite, expected), bad], check=False, text=True, errors="replace",
                          stdout=subprocess.PIPE).stdout.splitlines()
    lines = [line for line in diff[1:] if line[:1] in "<>"]
    theirs = next((line for line in lines if line[0] == "<"), "< (nothing)")
    ours = next((line for line in lines if line[0] == ">"), "> (nothing)")
    return f"{diff[0] if diff else ''} {theirs} {ours}"


class Runner:
    def __init__(self, suite, folder, keep):
        self.suite, self.folder, self.keep = suite, folder, keep

    def check(self, test, format_, work, sockets):
        """The suite's word: pass, fail or not run, and why."""
        env = dict(os.environ, TEST_DIR=work, SOCK_DIR=sockets)
        command = [os.path.join(self.folder, "tests", "qemu-iotests", "check"), "-" + format_, test]
        process = subprocess.Popen(command, cwd=os.path.dirname(command[0]), env=env, text=True, errors="replace",
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            out = process.communicate(timeout=TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "fail", f"took more than {TIMEOUT} seconds"
        m = re.search(r"^%s +(pass|fail|not run) +\[[^\]]*\] *\[[^\]]*\] *(\d\S*|\.\.\.)? *(?:\(last: \S+\))?(.*)" %
                      re.escape(os.path.basename(test)), out.replace("\r", "\n"), re.M)
        return (m[1], m[3].strip()) if m else ("fail", "no result: " + out[-200:])

    def run(self, test, format_):
        """(test, pass | fail | not run, the reason)"""
        reason = why_not(self.suite, test, format_)
        if reason:
            return test, "not run", reason
        work = os.path.join(self.folder, format_, os.path.basename(test))
        os.makedirs(work)
        sockets = tempfile.mkdtemp(prefix="iot-")
        status, reason = self.check(test, format_, work, sockets)
        if status != "pass" and os.path.exists(os.path.join(work, "needs-other")):
            status, reason = "not run", "needs a system emulator, an NBD server or a storage daemon"
        if status == "fail" and not reason.startswith(("took", "no result")):
            reason = first_difference(self.suite, test, format_, work)
        shutil.rmtree(sockets, ignore_errors=True)
        if not self.keep:
            shutil.rmtree(work, ignore_errors=True)
        return test, status, reason


def run_format(runner, tests, format_, jobs, verbose):
    counts = {"pass": [], "fail": [], "not run": []}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for test, status, reason in pool.map(lambda t: runner.run(t, format_), tests):
            counts[status].append(test)
            if status == "fail" or verbose and not reason.startswith("not suitable"):
                print(f"{format_} {test} {status}: {reason}", flush=True)
    print(f"{format_}: {len(counts['pass'])} passed, {len(counts['fail'])} failed, {len(counts['not run'])} not run", flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description="qemu-iotests with Menura's tools")
    parser.add_argument("--dir", default=os.environ.get("QEMU_IOTESTS"), help="the suite's folder tests/qemu-iotests")
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--peer", action="store_true", help="with the host's qemu-img and qemu-io")
    parser.add_argument("-j", type=int, default=1, help="tests at a time")
    parser.add_argument("-v", action="store_true", help="say for each test what became of it")
    parser.add_argument("--keep", metavar="FOLDER", help="work in FOLDER, new, and leave the tests' output (*.out.bad) there")
    parser.add_argument("tests", nargs="*")
    args = parser.parse_args()

    suite = os.path.abspath(args.dir) if args.dir else None
    if not suite or not os.path.exists(os.path.join(suite, "check")):
        print("iotests: the suite is not there (--dir, $QEMU_IOTESTS)")
        return 77
    folder = os.path.abspath(args.keep) if args.keep else tempfile.mkdtemp(prefix="iotests-")
    failed = 0
    try:
        make_folder(folder, suite, args.peer)
        runner = Runner(suite, folder, bool(args.keep))
        for format_ in args.format or FORMATS:
            failed += len(run_format(runner, args.tests or all_tests(suite), format_, args.j, args.v)["fail"])
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
