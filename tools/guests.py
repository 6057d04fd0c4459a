#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Menura's guests: kernels, firmware and disks, fetched from Debian or built from its packages.

    tools/guests.py kernel|firmware|initramfs|demo-disk|esp|rootfs|bench-disk ...   make these (nothing if they are there)
    tools/guests.py path NAME ...     the same for single files, and print where they are
    tools/guests.py list              what there can be and what there is
    tools/guests.py update            fetch the package lists anew and forget the kernel chosen

Everything lies in one folder outside the source: $MENURA_GUESTS, or menura in $XDG_CACHE_HOME (~/.cache). What is
there is not fetched or built again, unless the recipe in tools/guestlib changed. --arch chooses the guest.
"""
import argparse
import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guestlib import disks, initramfs, modules, programs, rootfs  # noqa: E402
from guestlib.debian import Archive, GuestError, say              # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODULES = "virtio_mmio virtio_blk crc32c_generic? ext4".split()     # "?": if the kernel has such a module
# Loaded for the devices that there are: modalias -> what it takes.
DRIVERS = {
    "pci:v00001AF4*": "virtio_pci",
    "pci:v00008086d0000100E*": "e1000",
    "pci:v00008086d000010D3*": "e1000e",
    "pci:*bc01sc06i01*": "ahci sd_mod sr_mod isofs",
    "pci:*bc01sc08i02*": "nvme",
    "pci:*bc0Csc03i30*": "xhci_pci usb_storage sd_mod sr_mod isofs usbhid hid_generic evdev",
    "virtio:d00000001v*": "virtio_net",
    "virtio:d00000003v*": "virtio_console",
    "virtio:d00000004v*": "virtio_rng",
    "virtio:d00000005v*": "virtio_balloon",
    "virtio:d00000008v*": "virtio_scsi sd_mod sr_mod isofs",
    "virtio:d00000009v*": "9pnet_virtio 9p",
    "virtio:d00000012v*": "virtio_input evdev",
    "virtio:d00000013v*": "vmw_vsock_virtio_transport",
}

# What differs from guest to guest. "suites": the first is what is meant; the others stand in while a mirror that is being
# synchronized offers lists of it that are not the signed ones. "files": file in the cache -> (package, path in it).
ARCHES = {
    "riscv64": {
        "suites": ["trixie", "forky", "sid"],
        "kernel": ("linux-image-riscv64", ("boot/vmlinux-{version}", "usr/lib/modules/{version}/vmlinuz"), "Image"),
        "files": {
            "fw_dynamic.bin": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
            "fw_dynamic.elf": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.elf"),
            "fw_jump.bin": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin"),
            "fw_jump.elf": ("opensbi", "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf"),
            "u-boot-m.bin": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64/u-boot.bin"),
            "u-boot-s.bin": ("u-boot-qemu", "usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"),
            "efi-code.fd": ("qemu-efi-riscv64", "usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd"),
            "efi-vars.fd": ("qemu-efi-riscv64", "usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd"),
        },
        "grub": ("grub-efi-riscv64-unsigned", "usr/lib/grub/riscv64-efi/monolithic/gcdriscv64.efi"),
        "efi": "RISCV64",
        "cmdline": "console=ttyS0",
        "emulator": "system-riscv64",
        "machine": "-M virt -m 2G -smp 2 -nographic -no-reboot".split(),
    },
}


def default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("MENURA_GUESTS") or os.path.join(base, "menura")


# Files that this project's code builds, with the code. The others are downloads, or (rootfs.img) take long: they stay.
SOURCES = {"initramfs.cpio": [initramfs, modules], "demo.img": [initramfs, disks],
           "esp.img": [initramfs, modules, disks], "bench.img": [disks, programs]}


def recipe(name):
    """Changes when the code that builds the file does."""
    digest = hashlib.sha256(repr((MODULES, DRIVERS)).encode())
    for module in SOURCES[name]:
        with open(module.__file__, "rb") as f:
            digest.update(f.read())
    return digest.hexdigest()[:16]


class Guests:
    """The files of one architecture: each is made when first asked for."""

    def __init__(self, cache, arch, emulator):
        self.cache, self.arch, self.table, self.emulator = cache, arch, ARCHES[arch], emulator
        self.archives = [Archive(cache, suite, arch) for suite in self.table["suites"]]
        self.folder = os.path.join(cache, "images", arch)
        self.held = set()
        self.image = self.table["kernel"][2]
        self.builders = {
            self.image: self.build_kernel, "initramfs.cpio": self.build_initramfs, "demo.img": self.build_demo,
            "esp.img": self.build_esp, "rootfs.img": self.build_rootfs, "bench.img": self.build_bench,
        }
        self.groups = {
            "kernel": [self.image], "firmware": list(self.table["files"]), "initramfs": ["initramfs.cpio"],
            "demo-disk": ["demo.img"], "esp": ["esp.img"], "rootfs": ["rootfs.img"],
            "bench-disk": ["bench.img"],
        }

    @functools.cached_property
    def archive(self):
        """The suite whose lists are kept, so that all files are of one; at first the first whose lists can be had."""
        return next((a for a in self.archives if a.has_lists()), None) or self.fetch_lists()

    def fetch_lists(self):
        """The first suite whose lists can be had, with new ones."""
        *others, last = self.archives
        for archive in others:
            try:
                archive.update()
                return archive
            except GuestError as e:
                if archive.has_lists():     # older ones
                    raise
                say(f"{e}; trying the next suite")
        last.update()
        return last

    def file(self, name):
        return os.path.join(self.folder, name)

    def names(self):
        return [*self.builders, *self.table["files"]]

    @contextlib.contextmanager
    def lock(self, name):
        """One process at a time builds; rootfs.img has a lock of its own, as it takes long."""
        kind = "rootfs.lock" if name == "rootfs.img" else "build.lock"
        if kind in self.held:
            yield
            return
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.cache, kind), "w", encoding="utf-8") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("waiting for another tools/guests.py")
                fcntl.flock(f, fcntl.LOCK_EX)
            self.held.add(kind)
            yield
            self.held.remove(kind)

    def is_current(self, name):
        """There, and made by today's recipe."""
        if name not in SOURCES or not os.path.exists(self.file(name)):
            return os.path.exists(self.file(name))
        try:
            with open(self.file("." + name + ".recipe"), encoding="utf-8") as f:
                return f.read() == recipe(name)
        except OSError:
            return False

    def make(self, name):
        """The file's path, after making it if need be."""
        if name not in self.names():
            raise GuestError(f"{name}: no such guest file; there are {', '.join(self.names())}")
        if not self.is_current(name):
            with self.lock(name):
                if not self.is_current(name):
                    self.build(name)
        return self.file(name)

    def build(self, name):
        say(f"making {self.file(name)}")
        if name in self.builders:
            self.builders[name](self.file(name))
        else:
            self.copy(self.from_package(*self.table["files"][name]), self.file(name))
            self.offer(name)
        if name in SOURCES:
            with open(self.file("." + name + ".recipe"), "w", encoding="utf-8") as f:
                f.write(recipe(name))

    def copy(self, source, out):
        shutil.copyfile(source, out + ".part")
        os.rename(out + ".part", out)

    def offer(self, name):
        """Links firmware into the cache's top folder, where the emulator looks for its default."""
        link = os.path.join(self.cache, name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)
        os.symlink(os.path.relpath(self.file(name), self.cache), link)

    def from_package(self, package, path):
        return os.path.join(self.archive.unpack(package), path)

    def kernel_package(self):
        """The kernel chosen when first asked (the newest then), so that later runs need no network."""
        chosen = self.file(".kernel")
        if not os.path.exists(chosen):
            names = [n for n in self.archive.depends(self.table["kernel"][0]) if n.startswith("linux-image-")]
            if not names:
                raise GuestError(f"{self.table['kernel'][0]}: names no kernel")
            with open(chosen, "w", encoding="utf-8") as f:
                f.write(names[0])
        with open(chosen, encoding="utf-8") as f:
            return f.read()

    def kernel_tree(self):
        """The kernel and its modules. From forky on, linux-image-VERSION is a shell around packages for each."""
        package = self.kernel_package()
        parts = [n for n in self.archive.depends(package) if n.endswith(self.kernel_version())]
        return self.archive.unpack(package, *parts)

    def kernel_version(self):
        return self.kernel_package()[len("linux-image-"):]

    def build_kernel(self, out):
        places = [os.path.join(self.kernel_tree(), path.format(version=self.kernel_version())) for path in self.table["kernel"][1]]
        self.copy(next(filter(os.path.exists, places), places[0]), out)

    def busybox(self):
        return self.from_package("busybox-static", "usr/bin/busybox")

    def build_initramfs(self, out):
        tree = self.kernel_tree()
        with open(self.busybox(), "rb") as f:
            data = initramfs.build(f.read(), tree, MODULES, DRIVERS)
        with open(out + ".part", "wb") as f:
            f.write(data)
        os.rename(out + ".part", out)

    def build_demo(self, out):
        disks.make_demo(self.busybox(), out + ".part")
        os.rename(out + ".part", out)

    def build_esp(self, out):
        disks.make_esp(self.make(self.image), self.make("initramfs.cpio"), self.table["cmdline"] + " sh", self.table["efi"],
                       self.from_package(*self.table["grub"]), out + ".part")
        os.rename(out + ".part", out)

    def build_bench(self, out):
        programs.make_disk(self.archive, out + ".part")
        os.rename(out + ".part", out)

    def find_emulator(self):
        """Menura if it is built, else another emulator of this machine's."""
        for name in (self.emulator, os.path.join(ROOT, "build", "menura-" + self.table["emulator"]),
                     shutil.which("qemu-" + self.table["emulator"])):
            if name and os.path.exists(name):
                return name
        raise GuestError(f"build/menura-{self.table['emulator']}: not built yet; make it first")

    def build_rootfs(self, out):
        kernel, initrd, emulator = self.make(self.image), self.make("initramfs.cpio"), self.find_emulator()

        def boot(image):
            append = f"root=/dev/vda {self.table['cmdline']} init=/sbin/init-stage2"
            return [emulator, *self.table["machine"], "-kernel", kernel, "-initrd", initrd, "-append", append,
                    "-drive", f"file={image},format=raw,if=none,id=hd0,cache=unsafe", "-device", "virtio-blk-device,drive=hd0"]

        rootfs.build(self.archive.suite, self.arch, self.cache, out, boot)

    def update(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.file(".kernel"))
        for name in (self.image, "initramfs.cpio", "esp.img"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.file(name))
        self.fetch_lists()

    def show(self):
        print(f"{self.folder}:")
        for name in self.names():
            there = os.path.exists(self.file(name))
            size = f"{os.stat(self.file(name)).st_blocks / 2048:8.1f} MB" if there else "  not made"
            print(f"  {name:16} {size}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="riscv64", choices=sorted(ARCHES))
    parser.add_argument("--cache", default=default_cache(), help="folder of the guests")
    parser.add_argument("--emulator", help="program that runs the second stage of rootfs")
    parser.add_argument("verb")
    parser.add_argument("more", nargs="*")
    args = parser.parse_args()
    guests = Guests(os.path.abspath(args.cache), args.arch, args.emulator)
    if args.verb == "list":
        guests.show()
        return
    if args.verb == "update":
        with guests.lock("update"):
            guests.update()
        return
    if args.verb == "path":
        for name in args.more:
            print(guests.make(name), flush=True)
        return
    for verb in [args.verb, *args.more]:
        if verb not in guests.groups:
            raise GuestError(f"{verb}: unknown; one of path, list, update, {', '.join(guests.groups)}")
        for name in guests.groups[verb]:
            guests.make(name)


if __name__ == "__main__":
    try:
        main()
    except (GuestError, OSError, subprocess.CalledProcessError) as e:
        sys.exit(f"guests.py: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
