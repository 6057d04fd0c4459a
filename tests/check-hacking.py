#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The paths that HACKING.md, README.md and the pages in docs/ name exist; one test case a page.

A path is what stands in backquotes, has a slash or a known ending, and begins in one of the source's folders. "<" marks a
place holder. A word with a function's "()" or an option is none.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Tap                                               # noqa: E402

MADE = ("build/", "build-")      # what the build makes


def paths(text):
    """Paths in backquotes outside fenced blocks, {a,b} and * expanded by the caller."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    folders = {name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and not name.startswith(".")}
    for quoted in re.findall(r"`([^`\n]+)`", text):
        for word in quoted.split():
            word = word.strip(",;:.\"'()")
            first = word.removeprefix("./").split("/")[0]
            looks = first in folders and "/" in word or re.fullmatch(r"[\w.-]+\.(md|build|py|sh|txt)", word)
            if looks and not re.search(r"[<>$]|NAME|\.\.\.", word) and not word.startswith(MADE):
                yield word


def expand(word):
    m = re.match(r"(.*)\{([^}]*)\}(.*)", word)
    return [m[1] + part + m[3] for part in m[2].split(",")] if m else [word]


def main():
    pages = ["HACKING.md", "README.md", *sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "docs", "*.md")))]
    tap = Tap()
    for page in pages:
        path = os.path.join(ROOT, page)
        if not os.path.exists(path):
            tap.check(page, False, "not there")
            continue
        with open(path, encoding="utf-8") as f:
            words = {w for word in paths(f.read()) for w in expand(word)}
        missing = sorted(w for w in words if not glob.glob(os.path.join(ROOT, w)) and not w.endswith(("meson.build",)))
        tap.check(page, not missing, "not there: " + " ".join(missing))
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
