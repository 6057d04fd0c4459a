# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian root file system, installed by debootstrap: first stage here, second stage inside the emulated machine.

The first stage only downloads and unpacks; packages' scripts are guest programs, so they run in the guest, where
/sbin/init-stage2 is process 1. The result boots to a login prompt under systemd; root has no password.
"""
import os
import shutil
import subprocess
import sys

from .debian import GuestError, KEYRING, mirror, need, say
from .disks import make_ext4

PACKAGES = ("systemd-sysv udev dbus libpam-systemd kmod procps iproute2 python3 gcc libc6-dev openssl stress-ng").split()

STAGE2 = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C HOME=/root
mount -o remount,rw /
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
echo "STAGE2-BEGIN"
if /debootstrap/debootstrap --second-stage; then
    mountpoint -q /proc || mount -t proc proc /proc
    passwd -d root
    rm -f /var/cache/apt/archives/*.deb /etc/dpkg/dpkg.cfg.d/menura /sbin/init-stage2
    systemctl enable serial-getty@ttyS0.service
    echo "STAGE2-DONE"
else
    tail -40 /debootstrap/debootstrap.log
    echo "STAGE2-FAILED"
fi
sync
mount -o remount,ro / 2>/dev/null || echo u > /proc/sysrq-trigger
echo o > /proc/sysrq-trigger
sleep 60
"""

# While it installs: no fsync for each file, and no documentation.
DPKG_CONFIG = """force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/doc/*/copyright
"""

FILES = {
    "etc/hostname": "debian\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/dpkg/dpkg.cfg.d/menura": DPKG_CONFIG,
    "sbin/init-stage2": STAGE2,
}


def first_stage(suite, arch, cache, tree, state):
    """Fills @tree; owners are kept in the fakeroot state file @state if this is not run by root."""
    need("debootstrap", "wget", "mke2fs", *([] if state is None else ["fakeroot"]))
    debs = os.path.join(cache, "debootstrap", f"{suite}-{arch}")
    os.makedirs(debs, exist_ok=True)
    wrap = [] if state is None else ["fakeroot", "-s", state, "--"]
    say(f"debootstrap {suite} {arch}, first stage (about 120 MB of packages; those at hand are not fetched again)")
    p = subprocess.run([*wrap, "debootstrap", "--foreign", f"--arch={arch}", "--variant=minbase", f"--keyring={KEYRING}",
                        f"--cache-dir={debs}", "--include=" + ",".join(PACKAGES), suite, tree, mirror()],
                       stdout=sys.stderr, check=False)
    if p.returncode:
        raise GuestError("debootstrap failed; what it downloaded is kept, so try again")
    for name, text in FILES.items():
        path = os.path.join(tree, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    os.chmod(os.path.join(tree, "sbin/init-stage2"), 0o755)


def second_stage(command, timeout):
    """Boots the machine that runs init-stage2 and waits for its end."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/lib"))
    from console import Console, ConsoleError
    say("second stage, inside the machine: " + " ".join(command))
    with Console(command, echo=sys.stderr) as console:
        try:
            done = console.expect(r"STAGE2-(DONE|FAILED)", timeout)
            if done[1] != "DONE":
                raise GuestError("the second stage failed")
            console.wait(120)
        except ConsoleError as e:
            raise GuestError(f"second stage: {e}") from e


def build(suite, arch, cache, out, boot):
    """@boot: image -> command line that boots it with init=/sbin/init-stage2."""
    work = os.path.join(cache, "work")
    tree = os.path.join(work, f"rootfs-{suite}-{arch}")
    state = None if os.geteuid() == 0 else tree + ".fakeroot"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    try:
        first_stage(suite, arch, cache, tree, state)
        make_ext4(tree, out + ".part", "3G", "debian", state)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    second_stage(boot(out + ".part"), 3 * 3600)
    os.rename(out + ".part", out)
