# SPDX-License-Identifier: GPL-2.0-or-later
"""bench.img, an ext4 disk with real programs for bench/run.py: packages of Debian, unpacked with all they depend on.

No maintainer script is run, so what these would set up (links of alternatives, users) is here only as far as the programs need
it. What is run, and on what input, is not on the disk: bench/ brings it in the initial RAM disk.
"""
import os
import tempfile

from .debian import run
from .disks import make_ext4

# dash, as busybox's shell would run its own xz and awk. The compiler proper and the assembler without the driver, whose
# package has 27 MB of link-time optimiser.
PACKAGES = ("python3.13-minimal sqlite3 zstd xz-utils openssl cpp-14-riscv64-linux-gnu binutils-riscv64-linux-gnu "
            "perl-base mawk dash busybox-static 7zip lame tachyon-bin-nox rt-tests").split()
FOLDERS = "dev etc mnt proc root run sys tmp usr/bin usr/sbin usr/lib var".split()
LINKS = {
    "bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "usr/bin/cat": "busybox", "usr/bin/awk": "mawk",
    "usr/bin/python3": "python3.13", "usr/bin/cc1": "../libexec/gcc/riscv64-linux-gnu/14/cc1",
    "usr/lib/riscv64-linux-gnu/libtachyon.so.0": "libtachyon-mt-thr.so.0",
}
FILES = {"etc/passwd": "root::0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}


def make_disk(archive, out):
    """@archive: where the packages come from."""
    with tempfile.TemporaryDirectory() as tree:
        for name in FOLDERS:
            os.makedirs(os.path.join(tree, name))
        for deb in archive.fetch(PACKAGES, with_depends=True):
            run(["dpkg-deb", "-x", deb, tree])
        for name, target in LINKS.items():
            if not os.path.lexists(os.path.join(tree, name)):
                os.symlink(target, os.path.join(tree, name))
        for name, text in FILES.items():
            with open(os.path.join(tree, name), "w", encoding="utf-8") as f:
                f.write(text)
        make_ext4(tree, out, "384M", "menura-bench")
