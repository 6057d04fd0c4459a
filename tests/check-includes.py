#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which folder may include which: the table of HACKING.md, one test case a folder.

A folder's private headers (x-priv.h) are for that folder alone.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from tap import Tap                                               # noqa: E402

BACK_ENDS = ["block", "net", "chardev", "fsdev", "ui"]

# Folder -> what it may include besides itself. The longest matching folder counts.
ALLOWED = {
    "util": [],
    "tcg": ["util"],
    "tcg/x86_64": ["tcg", "util"],
    "softmmu": ["tcg", "util"],
    "target": ["target/riscv", "softmmu", "tcg", "util"],
    "target/riscv": ["target", "softmmu", "tcg", "util"],
    "hw": ["softmmu", "util", *BACK_ENDS],
    "hw/core": ["softmmu", "util", *BACK_ENDS],
    "hw/pci": ["hw/core", "softmmu", "util"],
    "hw/ata": ["hw/core", "hw/pci", "hw/scsi", "softmmu", "block", "util"],
    "hw/scsi": ["hw/core", "softmmu", "block", "util"],
    "hw/usb": ["hw/core", "hw/pci", "hw/scsi", "softmmu", "util", *BACK_ENDS],
    "hw/riscv": ["hw", "target", "target/riscv", "softmmu", "util", *BACK_ENDS],
    "block": ["util"], "block/formats": ["block", "util"], "net": ["util"], "chardev": ["util"], "fsdev": ["util"], "ui": ["util"],
    "img": ["block", "util"], "io": ["img", "block", "util"], "nbd": ["block", "util"],
    "monitor": ["softmmu", "hw/core", "hw/pci", "hw/usb", "util", "chardev", "block", "net", "ui"],
    "gdbstub": ["softmmu", "hw/core", "util", "chardev"],
}
DEVICES = ("hw", "hw/ata", "hw/core", "hw/pci", "hw/scsi", "hw/usb")
FREE = ("main", "tests", "bench", "tools")


def folder_of(path):
    """The table's folder that a file belongs to; None: the table does not know it."""
    best = None
    for folder in ALLOWED:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def may_include(folder, target):
    """A device may use other devices, but not the machines."""
    if target == folder:
        return True
    if folder == "hw":
        return target in DEVICES or target in ALLOWED[folder]
    return target in ALLOWED[folder] or any(a == "hw" and target in DEVICES for a in ALLOWED[folder])


def problems_of(path, text):
    folder = folder_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        header = m[1]
        if "/" not in header:
            yield f"{path}:{number}: {header}: headers are included from the root"
            continue
        target = folder_of(header)
        if target is None:
            yield f"{path}:{number}: {header}: a folder that tests/check-includes.py does not know"
        elif not may_include(folder, target) and path != "hw/machines.c":
            yield f"{path}:{number}: {folder}/ must not use {header}"
        elif header.endswith("-priv.h") and os.path.dirname(header) != os.path.dirname(path):
            yield f"{path}:{number}: {header} is private to its folder"


def main():
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, check=True, text=True,
                           stdout=subprocess.PIPE).stdout.split()
    found = {folder: [] for folder in ALLOWED}
    unknown = []
    for path in files:
        if path.startswith(tuple(f + "/" for f in FREE)) or not os.path.exists(os.path.join(ROOT, path)):
            continue
        if folder_of(path) is None:
            unknown.append(path + ": a folder that tests/check-includes.py does not know")
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            found[folder_of(path)] += problems_of(path, f.read())
    tap = Tap()
    tap.check("known folders", not unknown, "\n".join(unknown))
    for folder, problems in found.items():
        if os.path.isdir(os.path.join(ROOT, folder)):
            tap.check(folder, not problems, "\n".join(problems))
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
