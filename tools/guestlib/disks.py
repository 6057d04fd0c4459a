# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk images, made without root rights and without mounting: the demo's ext4 root, and a disk that firmware boots."""
import os
import shutil
import tempfile

from .debian import need, run
from .initramfs import busybox_applets

UUID = "5d4b3c2a-0000-4000-8000-6d656e757261"

DEMO_INIT = """#!/bin/sh
# Process 1 of Menura's demo: set up, one shell on the console, power off when it is left.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM="${TERM:-vt100}"
[ -e /proc/mounts ] || mount -t proc proc /proc
[ -e /sys/kernel ] || mount -t sysfs sys /sys
[ -e /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -o remount,rw /
hostname menura
[ -x /etc/rc ] && /etc/rc
cat /etc/motd
echo "    $(uname -srm), $(nproc) CPUs, up $(cut -d' ' -f1 /proc/uptime) s"
echo
cd /root
setsid cttyhack sh -l
echo "The machine powers off."
sync
mount -o remount,ro /
poweroff -f
"""

# Works without input, for runs that must be the same twice.
SELFTEST = """#!/bin/sh
export PATH=/bin:/sbin HOME=/root
[ -e /proc/mounts ] || mount -t proc proc /proc
echo "SELFTEST-BEGIN $(nproc) CPUs"
date
cat /proc/uptime /proc/interrupts
head -c 16 /dev/urandom | od -An -tx1
seq 1 2000 | sort -r | md5sum
i=0
while [ $i -lt 100 ]; do
    (echo $i | cat >/dev/null) &
    i=$((i + 1))
done
wait
dd if=/dev/vda bs=64k count=16 2>/dev/null | md5sum
cat /proc/uptime
echo "SELFTEST-END"
sync
mount -o remount,ro /
poweroff -f
"""

DEMO_MOTD = """
    Welcome to Debian's riscv64 Linux, translated by Menura.
    This is busybox on a small ext4 disk; "exit" powers the machine off.
"""

DEMO_FILES = {
    "etc/passwd": "root::0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hostname": "menura\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/profile": "export PS1='\\u@\\h:\\w\\$ '\n",
    "etc/motd": DEMO_MOTD,
}


def make_ext4(tree, out, size, label, fakeroot=None):
    """@out: a sparse file of @size ("64M") with the folder's files. @fakeroot: state file that knows the owners."""
    need("mke2fs")
    if os.path.exists(out):
        os.unlink(out)
    wrap = ["fakeroot", "-i", fakeroot, "--"] if fakeroot else []
    # A fixed hash seed: where names lie in folders, and with it a deterministic run, is the same for every build.
    run([*wrap, "mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-d", tree, "-U", UUID,
         "-E", f"root_owner=0:0,hash_seed={UUID}", out, size])


def make_demo(busybox, out):
    """The demo's root: a static busybox under all its names, and an init that gives a shell."""
    with tempfile.TemporaryDirectory() as tree:
        for d in ("bin", "sbin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var"):
            os.mkdir(os.path.join(tree, d))
        for name, target in (("usr/bin", "../bin"), ("usr/sbin", "../sbin")):
            os.symlink(target, os.path.join(tree, name))
        shutil.copy(busybox, os.path.join(tree, "bin/busybox"))
        os.chmod(os.path.join(tree, "bin/busybox"), 0o755)
        with open(busybox, "rb") as f:
            for name in busybox_applets(f.read()):
                if name != "init":
                    os.symlink("busybox", os.path.join(tree, "bin", name))
        for name, text in {**DEMO_FILES, "sbin/init": DEMO_INIT, "sbin/selftest": SELFTEST}.items():
            with open(os.path.join(tree, name), "w", encoding="utf-8") as f:
                f.write(text)
        for name in ("sbin/init", "sbin/selftest"):
            os.chmod(os.path.join(tree, name), 0o755)
        make_ext4(tree, out, "32M", "menura-demo")


def make_esp(kernel, initrd, cmdline, efi_name, grub, out):
    """A GPT disk with one FAT partition that EDK2 boots through GRUB and U-Boot through extlinux.conf."""
    need("sfdisk", "mkfs.vfat", "mmd", "mcopy")
    mib = (os.path.getsize(kernel) + os.path.getsize(initrd)) // 2**20 + 44
    if os.path.exists(out):
        os.unlink(out)
    with open(out, "wb") as f:
        f.truncate((mib + 2) * 2**20)
    run(["sfdisk", "-q", out], f"label: gpt\nstart=2048, size={mib * 2048}, type=U, bootable\n")
    run(["mkfs.vfat", "-F", "32", "-n", "ESP", "--offset", "2048", out, str(mib * 1024)])
    part = out + "@@1M"
    texts = {
        "boot/grub/grub.cfg": f"set timeout=0\nlinux /linux {cmdline}\ninitrd /initrd\nboot\n",
        "extlinux/extlinux.conf": "default linux\ntimeout 1\nlabel linux\n  kernel /linux\n  initrd /initrd\n"
                                  f"  append {cmdline}\n",
    }
    run(["mmd", "-i", part, "::/EFI", "::/EFI/BOOT", "::/boot", "::/boot/grub", "::/extlinux"])
    for source, name in ((kernel, "linux"), (initrd, "initrd"), (grub, f"EFI/BOOT/BOOT{efi_name}.EFI")):
        run(["mcopy", "-i", part, source, "::/" + name])
    for name, text in texts.items():
        run(["mcopy", "-i", part, "-", "::/" + name], text)
