# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial RAM disks: a static busybox, kernel modules with what they need, and an /init that loads them and mounts root=.

Written here byte by byte (cpio "newc"), so that no tool and no root rights are needed and the same input gives the same
file. It is not compressed: unpacking would cost the guest more than loading the few megabytes.
"""
from .debian import GuestError
from .modules import Modules

INIT = """#!/bin/sh
# Menura's initial RAM disk: load modules, mount root=, become its init.
# Words of the kernel command line: root=DEVICE (ext4), ro, init=PATH, sh (a shell here instead).
export PATH=/bin:/sbin HOME=/root TERM="${TERM:-vt100}"
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
sh /modules/load
root= init=/sbin/init mode=rw shell=
for word in $(cat /proc/cmdline); do
    case $word in
    root=*) root=${word#root=} ;;
    init=*) init=${word#init=} ;;
    ro) mode=ro ;;
    sh) shell=1 ;;
    esac
done
if [ -n "$root" ] && [ -z "$shell" ]; then
    tries=0
    while [ ! -b "$root" ] && [ $tries -lt 100 ]; do
        sleep 0.05
        sh /modules/load
        tries=$((tries + 1))
    done
    if mount -t ext4 -o $mode "$root" /mnt; then
        for d in dev proc sys; do
            mount -o move /$d /mnt/$d
        done
        exec switch_root /mnt "$init"
    fi
    echo "initramfs: cannot mount $root"
fi
echo "initramfs: a shell; leave it to power off"
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
setsid cttyhack sh
poweroff -f
"""


# May be run again: some devices are only found after a while.
LOAD = """#!/bin/sh
# Loads the modules in /modules/list, and those that /modules/drivers has for the devices that there are: lines "PATTERN MODULE...", the
# pattern of a device's modalias.
insert() {
    for module in "$@"; do
        [ -e "/sys/module/$module" ] && continue
        insmod "/modules/$module.ko" || echo "initramfs: cannot load $module"
        again=1
    done
}
[ -d /sys/module ] || mount -t sysfs sys /sys
while read -r module; do
    insert "${module%.ko}"
done </modules/list
again=1
while [ -n "$again" ]; do
    again=
    for file in /sys/bus/pci/devices/*/modalias /sys/bus/virtio/devices/*/modalias /sys/bus/usb/devices/*/modalias \\
        /sys/bus/scsi/devices/*/modalias; do
        [ -e "$file" ] || continue
        read -r alias <"$file"
        while read -r pattern modules; do
            case $alias in
            $pattern) insert $modules ;;
            esac
        done </modules/drivers
    done
done
"""


def busybox_applets(binary):
    """Names that busybox answers to: its table of NUL-terminated, sorted names, which begins with "[" and "[["."""
    start = binary.find(b"[\0[[\0")
    if start < 0:
        raise GuestError("busybox: no table of applets in it")
    names = binary[start:binary.index(b"\0\0", start)].decode().split("\0")
    return [n for n in names if n and n != "busybox"]


class Cpio:
    """An archive in the "newc" format that the kernel unpacks."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def _add(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.data += bytes(-len(self.data) % 4) + data
        self.data += bytes(-len(self.data) % 4)

    def folder(self, name):
        self._add(name, 0o040755)

    def file(self, name, data, mode=0o644):
        self._add(name, 0o100000 | mode, data)

    def link(self, name, target):
        self._add(name, 0o120777, target.encode())

    def device(self, name, mode, major, minor):
        self._add(name, 0o020000 | mode, rdev=(major, minor))

    def finish(self):
        self._add("TRAILER!!!", 0)
        return bytes(self.data) + bytes(-len(self.data) % 512)


def build(busybox, kernel_tree, modules, drivers):
    """The archive's bytes. @drivers: patterns of devices' modaliases, each with the modules it needs; the others are always loaded."""
    cpio = Cpio()
    for name in ("bin", "dev", "etc", "mnt", "modules", "proc", "root", "sbin", "sys", "tmp"):
        cpio.folder(name)
    cpio.device("dev/console", 0o600, 5, 1)
    cpio.device("dev/null", 0o666, 1, 3)
    cpio.file("init", INIT.encode(), 0o755)
    cpio.file("bin/busybox", busybox, 0o755)
    for name in busybox_applets(busybox):
        cpio.link(f"bin/{name}", "busybox")
    tree = Modules(kernel_tree)
    files = dict(tree.load_order(modules))
    cpio.file("modules/list", "".join(f"{name}.ko\n" for name in files).encode())
    lines = []
    for pattern, wanted in drivers.items():
        order = tree.load_order(wanted.split())
        files.update(order)
        lines.append(f"{pattern} {' '.join(name for name, _ in order)}\n")
    for name, data in files.items():
        cpio.file(f"modules/{name}.ko", data)
    cpio.file("modules/drivers", "".join(lines).encode())
    cpio.file("modules/load", LOAD.encode(), 0o755)
    return cpio.finish()
