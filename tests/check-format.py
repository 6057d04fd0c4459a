#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""C files are as clang-format leaves them (make format), and begin with their licence. Python files are plain too."""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Skip, Tap                                         # noqa: E402

WIDTH = 150     # of what clang-format does not break: comments, strings, Python


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    return [f for f in out.split() if os.path.exists(os.path.join(ROOT, f))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def clang_format():
    if not shutil.which("clang-format"):
        raise Skip("no clang-format")
    p = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=3", *tracked("*.c", "*.h")], cwd=ROOT, text=True,
                       check=False, stderr=subprocess.PIPE)
    wrong = sorted({line.split(":")[0] for line in p.stderr.splitlines() if ": error:" in line})
    assert p.returncode == 0, "make format changes: " + " ".join(wrong)


def licences():
    wrong = [f for f in tracked("*.c", "*.h", "*.py", "*.sh", "*.S", "*meson.build")
             if "SPDX-License-Identifier: GPL-2.0-or-later" not in "".join(read(f).splitlines()[:3])]
    assert not wrong, "no SPDX line in the first three: " + " ".join(wrong)


def lines():
    wrong = []
    for path in tracked("*.c", "*.h", "*.py", "*.sh", "*.S", "*meson.build", "*.isa"):
        for number, line in enumerate(read(path).splitlines(), 1):
            if "\t" in line and not path.endswith(".S") or line != line.rstrip() or len(line) > WIDTH:
                wrong.append(f"{path}:{number}")
    assert not wrong, "tabs, trailing blanks or lines over {} columns: {}".format(WIDTH, " ".join(wrong[:20]))


def main():
    tap = Tap(sys.argv[1:])
    tap.case("clang-format", clang_format)
    tap.case("licences", licences)
    tap.case("lines", lines)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
