#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every header compiles alone: it includes what it uses. One test case a header.

    check-headers.py [BUILD-FOLDER]       where generated headers are
"""
import concurrent.futures
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Tap                                               # noqa: E402

PACKAGES = ["glib-2.0", "gobject-2.0", "gio-2.0", "gio-unix-2.0"]


def output(*words):
    return subprocess.run(words, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.split()


def main():
    build = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build")
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-I" + ROOT, "-I" + build,
             *output("pkg-config", "--cflags", *PACKAGES)]
    headers = [h for h in output("git", "ls-files", "*.h") if os.path.exists(os.path.join(ROOT, h))]

    def compile_alone(header):
        source = f'#include "{header}"\n#include "{header}"\n'
        return subprocess.run([os.environ.get("CC", "cc"), *flags, "-fsyntax-only", "-x", "c", "-"], input=source, text=True,
                              check=False, stderr=subprocess.PIPE)

    tap = Tap()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, p in zip(headers, pool.map(compile_alone, headers)):
            tap.check(header, p.returncode == 0, p.stderr)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
