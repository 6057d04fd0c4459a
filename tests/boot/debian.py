#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian at work: apt-get over the user network, ssh and a gigabyte each way by every card, file systems on every kind of disk, and
which of Debian's drivers binds each device.

    debian.py [--mib SIZE] [--keep FOLDER] [CASE-PATTERN...]

The first case installs what the others need, in the guest; --keep keeps the disk that comes of it for another run. The table of drivers
is in docs/devices.md; MENURA_UPDATE_GOLDEN=1 writes it anew.
"""
import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import debian                                                     # noqa: E402
import machine                                                    # noqa: E402
from debian import Debian, mirror                                         # noqa: E402
from serve import free_port                                       # noqa: E402
from tap import Skip, Tap                                         # noqa: E402

PACKAGES = "openssh-server pciutils usbutils e2fsprogs linux-image-riscv64"
MIB = 1 << 20
CARDS = ["virtio-net-pci", "e1000e"]


class Kept:
    """What the first case makes: disk, kernel, initial RAM disk, key."""

    def __init__(self, folder):
        self.disk, self.key = os.path.join(folder, "debian.qcow2"), os.path.join(folder, "key")
        self.boot = os.path.join(folder, "vmlinux"), os.path.join(folder, "initrd.img")

    def start(self, folder, *options, board="virt"):
        """On an overlay."""
        if not os.path.exists(self.boot[1]):
            raise Skip("apt-get installed nothing")
        image = os.path.join(folder, "root.qcow2")
        debian.overlay(image, self.disk, "qcow2")
        return Debian(image, self.boot, self.key, *options, board=board)


def user_net(port, model="virtio-net-pci"):
    return ["-nic", f"user,model={model},hostfwd=tcp:127.0.0.1:{port}-:22"]


# ---- apt ----

def update(guest, archive, suite=debian.SUITE):
    """Whether apt can."""
    guest.type(f"echo 'deb {archive} {suite} main' >/etc/apt/sources.list")
    said = guest.type("apt-get -q update || true", 600)
    return not re.search(r"^[WE]:", said, re.M) and "Reading package lists" in said, said


def install(guest):
    with contextlib.ExitStack() as stack:
        begin, remark = time.monotonic(), ""
        done, said = update(guest, debian.seen_from_guest(mirror()))
        if not done:
            assert not debian.archive_is_whole(), said
            begin, remark = time.monotonic(), "; the mirror's lists are not the signed ones, for this machine neither: older ones"
            done, said = update(guest, stack.enter_context(debian.older_archive()))
            assert done, said
        updated = time.monotonic()
        guest.type(f"DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install {PACKAGES}", 3600)
        return f"update {updated - begin:.0f} s, install {time.monotonic() - updated:.0f} s{remark}"


def prepare(kept):
    """The machine as it was installed gets a network, and packages by it."""
    if not shutil.which("scp"):
        raise Skip("no ssh here")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(kept.key)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", kept.key], check=True)
    with open(kept.key + ".pub", encoding="ascii") as f:
        public = f.read().strip()
    debian.overlay(kept.disk, machine.guest("rootfs.img"), "raw")
    port = free_port()
    with Debian(kept.disk, (machine.guest("Image"), machine.guest("initramfs.cpio")), kept.key, *user_net(port), root="/dev/vda") as guest:
        guest.login()
        guest.type(debian.NETWORK)
        guest.type(f"echo '{public}' >/root/.ssh/authorized_keys")
        guest.type("\n".join(["cat >/etc/apt/apt.conf.d/90host <<'END'", *debian.apt_settings(), "END"]))
        remark = install(guest)
        guest.connect(("127.0.0.1", port))
        for kind, path in zip(("vmlinux", "initrd.img"), kept.boot):
            name = guest.ssh(f"ls /boot/{kind}-*").split()[-1]
            guest.scp(f":{name}", path)
        guest.power_off()
    subprocess.run([debian.IMG, "check", "-q", kept.disk], check=True)
    return remark


def install_straight(kept):
    """Lists and packages from the mirror itself, of the first of these suites that is whole there today."""
    suite = next((suite for suite in (debian.SUITE, "forky", "sid") if debian.archive_is_whole(suite)), None)
    if not suite:
        raise Skip("no suite of the mirror is whole")
    with tempfile.TemporaryDirectory() as folder, kept.start(folder, *user_net(free_port())) as guest:
        guest.login()
        done, said = update(guest, debian.seen_from_guest(mirror()), suite)
        assert done, said
        guest.type("DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install tree cowsay", 900)
        assert "< it works >" in guest.type("tree --version && /usr/games/cowsay it works")
        guest.power_off()
        return suite


# ---- ssh ----

def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(MIB):
            found.update(piece)
    return found.hexdigest()


def copy_both_ways(guest, folder, mib):
    """A file to the guest and back, with the guest's word for its sum in between. What that took."""
    here, back = os.path.join(folder, "file"), os.path.join(folder, "back")
    with open(here, "wb") as f:
        for _ in range(mib):
            f.write(os.urandom(MIB))
    expected = digest(here)
    begin = time.monotonic()
    guest.scp(here, ":/root/file")
    there = time.monotonic()
    assert expected in guest.ssh("sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum /root/file", 600), "another file in the guest"
    middle = time.monotonic()
    guest.scp(":/root/file", back)
    end = time.monotonic()
    assert digest(back) == expected, "another file came back"
    return f"{mib} MiB by scp, in {mib / (there - begin):.1f} MiB/s, out {mib / (end - middle):.1f} MiB/s"


def ssh_user(kept, mib, model):
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with kept.start(folder, *user_net(port, model)) as guest:
            seconds = guest.connect(("127.0.0.1", port))
            remark = copy_both_ways(guest, folder, mib)
            guest.power_off()
            return f"{remark}; ssh after {seconds:.0f} s"


@contextlib.contextmanager
def tap_interface():
    """Its name; the guest's end of it has the address debian.STATIC."""
    ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if os.geteuid() or not ip or not os.path.exists("/dev/net/tun"):
        raise Skip("a tap interface needs root, ip and /dev/net/tun")
    name = f"mtap{os.getpid() % 100000}"
    p = subprocess.run([ip, "tuntap", "add", "dev", name, "mode", "tap"], check=False, text=True, stderr=subprocess.PIPE)
    if p.returncode:
        raise Skip(f"no tap interface here: {p.stderr.strip()}")
    try:
        subprocess.run([ip, "addr", "add", f"{debian.STATIC_HOST}/30", "dev", name], check=True)
        subprocess.run([ip, "link", "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run([ip, "link", "del", name], check=False)


def ssh_tap(kept, mib, model):
    with tempfile.TemporaryDirectory() as folder, tap_interface() as name:
        with kept.start(folder, "-nic", f"tap,ifname={name},script=no,downscript=no,model={model},mac={debian.STATIC_MAC}") as guest:
            guest.connect((debian.STATIC, 22))
            remark = copy_both_ways(guest, folder, mib)
            guest.power_off()
            return remark


# ---- What the kernel and its drivers say of the devices ----

# What the kernel writes of other things, or of every disk. As with QEMU's devices, the window of 64 bits is not prefetchable, and the SATA
# controller has no power states of links. e1000e tries messages first, which only an IMSIC takes, and leaves its I/O ports off.
EXPECTED_MESSAGES = re.compile(r"systemd|sd-exec|hrtimer: interrupt took|regulatory|Power-on or device reset occurred|"
                               r"pci-host-generic.*Memory resource size exceeds max for 32 bits|LPM support broken, forcing max_power|"
                               r"e1000e.*Failed to initialize MSI(-X)? interrupts|clocksource|rcu:|sched:|perf:")
WRONG_IN_LSPCI = re.compile(r"!!!|Unknown header|unassigned|<ignored>|Region.*Memory.*\[disabled\]|Region.*\[virtual\]|<access denied>|<chain|rev ff|"
                            r"LnkSta:.*(unknown|Width x0)|DevSta:.* FatalErr\+|[<>](TAbort|MAbort)\+|[<>][SP]ERR\+")
WRONG_IN_LSUSB = re.compile(r"Driver=(,|\[none\])|Missing|must be|INVALID|Warning|unrecognized|can't get|cannot read")


def no_complaints(guest):
    said = [line for line in guest.ssh("dmesg -l emerg,alert,crit,err,warn").splitlines() if line and not EXPECTED_MESSAGES.search(line)]
    assert not said, "\n".join(said)


# (-device, its place in the guest's /sys/devices, drivers that bind it and what belongs to it).
DEVICES = [
    ("pcie-root-port,id=rp1,addr=2", "/0000:00:02.0/", "pcieport pcie_pme"),
    ("pcie-root-port,id=rp2,addr=12", "/0000:00:12.0/", "pcieport pcie_pme"),
    ("pci-bridge,id=b1,addr=3", "/0000:00:03.0/", ""),
    ("virtio-net-pci,netdev=n0,addr=1", "/0000:00:01.0/", "virtio-pci virtio_net"),
    ("e1000e,bus=rp2", "/0000:03:00.0/", "e1000e"),
    ("e1000,addr=11", "/0000:00:11.0/", "e1000"),
    ("virtio-blk-pci,drive=d0,bus=rp1", "/0000:01:00.0/", "virtio-pci virtio_blk"),
    ("virtio-scsi-pci,id=vscsi,addr=7", "/0000:00:07.0/", "virtio-pci virtio_scsi"),
    ("scsi-hd,bus=vscsi.0,drive=d1", r"/0000:00:07.0/.*/target\d+:0:0/", "sd"),
    ("scsi-cd,bus=vscsi.0,drive=d5", r"/0000:00:07.0/.*/target\d+:0:1/", "sr"),
    ("virtio-serial-pci,id=vser,addr=6", "/0000:00:06.0/", "virtio-pci virtio_console"),
    ("virtio-rng-pci,bus=b1,addr=4", "/0000:02:04.0/", "virtio-pci virtio_rng"),
    ("virtio-balloon-pci,addr=5", "/0000:00:05.0/", "virtio-pci virtio_balloon"),
    ("nvme,drive=d2,serial=S2,addr=8", "/0000:00:08.0/", "nvme"),
    ("ahci,id=ahci,addr=a", "/0000:00:0a.0/", "ahci"),
    ("ide-hd,bus=ahci.0,drive=d4", "/0000:00:0a.0/ata1/", "sd"),
    ("ide-cd,bus=ahci.1,drive=d6", "/0000:00:0a.0/ata2/", "sr"),
    ("virtio-9p-pci,fsdev=f0,mount_tag=tag,addr=b", "/0000:00:0b.0/", "virtio-pci 9pnet_virtio"),
    ("virtio-vsock-pci,path={folder}/vsock,addr=c", "/0000:00:0c.0/", "virtio-pci vmw_vsock_virtio_transport"),
    ("virtio-keyboard-pci,addr=d", "/0000:00:0d.0/", "virtio-pci virtio_input"),
    ("virtio-mouse-pci,addr=e", "/0000:00:0e.0/", "virtio-pci virtio_input"),
    ("virtio-tablet-pci,addr=f", "/0000:00:0f.0/", "virtio-pci virtio_input"),
    ("qemu-xhci,id=xhci,addr=9", "/0000:00:09.0/", "xhci_hcd usb hub"),
    ("usb-storage,bus=xhci.0,port=1,drive=d3", "/usb2/2-1/", "usb usb-storage sd"),
    ("usb-hub,bus=xhci.0,port=2", "/usb1/1-2/", "usb hub"),
    ("usb-kbd,bus=xhci.0,port=2.1", "/usb1/1-2/1-2.1/", "usb usbhid hid-generic"),
    ("usb-mouse,bus=xhci.0,port=2.2", "/usb1/1-2/1-2.2/", "usb usbhid hid-generic"),
    ("usb-tablet,bus=xhci.0,port=3", "/usb1/1-3/", "usb usbhid hid-generic"),
]
# What "virt" has anyway: (path, driver, what it is).
BOARD = [
    ("/10000000.serial/", "of_serial", "serial port, ns16550a"),
    ("/101000.rtc/", "goldfish_rtc", "clock, goldfish-rtc"),
    ("/c000000.plic/", "riscv-plic", "interrupt controller, PLIC"),
    ("/30000000.pci/", "pci-host-generic", "PCI Express host bridge, pci-host-ecam-generic"),
    ("/0000:00:00.0/", "", "the host bridge as a PCI function"),
    ("/10008000.virtio_mmio/", "virtio-mmio virtio_blk", "virtio-mmio transport, here with `virtio-blk-device`"),
    ("/poweroff/", "syscon-poweroff", "power-off by the test device"),
    ("/reboot/", "syscon-reboot", "reboot by the test device"),
    ("/10100000.fw-cfg/", "fw_cfg", "firmware configuration, fw-cfg-mmio"),
    ("/riscv-pmu-sbi/", "riscv-pmu-sbi", "performance counters, by SBI"),
]
# path|bus|driver|modalias of all devices that can have a driver
LIST = r"""cd /sys/bus; for d in */devices/*; do echo "$(readlink -f $d)|${d%%/*}|$(basename "$(readlink $d/driver)")|$(
cat $d/modalias 2>/dev/null)"; done"""
PAGE = os.path.join(machine.ROOT, "docs", "devices.md")


def identity(modalias):
    """vendor:device of PCI and USB."""
    found = re.match(r"pci:v0000(\w{4})d0000(\w{4})|usb:v(\w{4})p(\w{4})", modalias)
    return ":".join(word for word in found.groups() if word).lower() if found else ""


def attribute(listing, places):
    """(identity, drivers) for each of these places, the innermost counts; and devices of PCI, USB, SCSI and virtio that are nowhere."""
    ids, drivers, others = [[] for _ in places], [[] for _ in places], []
    for path, bus, driver, modalias in sorted(line.split("|") for line in listing.splitlines()):
        matches = [(match.end(), i) for i, place in enumerate(places) if (match := re.search(place, path + "/"))]
        if not matches:
            others += [path] if bus in ("pci", "usb", "scsi", "virtio") else []
            continue
        i = max(matches)[1]
        for words, word in ((ids[i], identity(modalias)), (drivers[i], driver)):
            if word and word not in words and bus != "serial-base":
                words.append(word)
    return [(i[0] if i else "", " ".join(d)) for i, d in zip(ids, drivers)], others


def table(found):
    """The page's two tables."""
    lines = ["| `-device` | vendor:device | Debian's drivers |", "|---|---|---|"]
    for (words, _, _), (ident, drivers) in zip(DEVICES, found):
        line = f"| `{words.split(',')[0]}` | {ident} | {', '.join(f'`{d}`' for d in drivers.split()) or 'none: the PCI core itself'} |"
        lines += [line] if line not in lines else []
    lines += ["", "| on the board | Debian's drivers |", "|---|---|"]
    for (_, _, what), (_, drivers) in zip(BOARD, found[len(DEVICES):]):
        lines.append(f"| {what} | {', '.join(f'`{d}`' for d in drivers.split()) or 'none: the PCI core itself'} |")
    return "\n".join(lines) + "\n"


def compare_page(text):
    """docs/devices.md has this table."""
    begin, end = "<!-- made by tests/boot/debian.py -->\n", "<!-- end -->\n"
    with open(PAGE, encoding="utf-8") as f:
        before, rest = f.read().split(begin)
    old, after = rest.split(end)
    if os.environ.get("MENURA_UPDATE_GOLDEN") and old != text:
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(before + begin + text + end + after)
    else:
        assert old == text, f"docs/devices.md has another table: MENURA_UPDATE_GOLDEN=1 writes it anew; now:\n{text}"


def all_devices(folder, port):
    options = []
    for i in range(sum("drive=" in words for words, _, _ in DEVICES)):
        path = os.path.join(folder, f"d{i}")
        with open(path, "wb") as f:
            f.truncate(64 * MIB)
        options += ["-drive", f"file={path},format=raw,if=none,id=d{i}"]
    options += ["-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:22"]
    options += ["-fsdev", f"local,id=f0,path={folder},security_model=mapped-xattr"]
    for words, _, _ in DEVICES:
        options += ["-device", words.format(folder=folder)]
    return options


def messages_bind(guest):
    """With an IMSIC: the same drivers, and messages from every device that has a driver, but for the one that has only pins."""
    found, others = attribute(guest.ssh(LIST), [place for _, place, _ in DEVICES] + ["/devices/"])
    assert [drivers for _, drivers in found[:len(DEVICES)]] == [drivers for _, _, drivers in DEVICES], f"other drivers: {found}"
    assert not others, "devices of nobody: " + "\n".join(others)
    text = guest.ssh("lspci -vv")
    silent = [part.splitlines()[0] for part in text.split("\n\n") if "Kernel driver" in part and not re.search(r"MSI(-X)?: Enable\+", part)]
    assert len(silent) == 1 and "82540EM" in silent[0] and "DisINTx+" in text, f"no messages from {silent}: {text}"


def drivers_bind(guest):
    found, others = attribute(guest.ssh(LIST), [place for _, place, _ in DEVICES] + [place for place, _, _ in BOARD])
    text = table(found)
    print("".join(f"# {line}\n" for line in text.splitlines()), end="")
    expected = [drivers for _, _, drivers in DEVICES] + [drivers for _, drivers, _ in BOARD]
    assert [drivers for _, drivers in found] == expected, f"not the drivers expected: {expected}"
    assert not others, "devices of nobody: " + "\n".join(others)
    compare_page(text)
    return f"{len(found)} devices"


def listed_well(guest, command, wrong):
    text = guest.ssh(command)
    bad = [line for line in text.splitlines() if wrong.search(line)]
    assert text and not bad, f"{bad} in:\n{text}"


def system_runs(guest):
    """No unit failed."""
    said = guest.ssh("systemctl is-system-running --wait || systemctl --failed", 300)
    assert said.startswith("running"), said


def devices(tap, kept, prefix, board, bind):
    checks = [("drivers", bind), ("lspci", lambda g: listed_well(g, "lspci -vv", WRONG_IN_LSPCI)),
              ("lsusb", lambda g: listed_well(g, "lsusb -t; lsusb -v", WRONG_IN_LSUSB)), ("messages", no_complaints), ("units", system_runs)]
    if not any(tap.wants(f"{prefix}-{name}") for name, _ in checks):
        return
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with kept.start(folder, *all_devices(folder, port), board=board) as guest:
            guest.connect(("127.0.0.1", port))
            guest.ssh("udevadm settle")
            for name, check in checks:
                tap.case(f"{prefix}-{name}", check, guest)
            guest.power_off()


# ---- File systems ----

DISKS = {
    "virtio-blk": ["-device", "virtio-blk-pci,drive={id},serial={id}"],
    "nvme": ["-device", "nvme,drive={id},serial={id}"],
    "scsi": ["-device", "virtio-scsi-pci,id=vscsi", "-device", "scsi-hd,bus=vscsi.0,drive={id},serial={id}"],
    "sata": ["-device", "ahci,id=ahci", "-device", "ide-hd,bus=ahci.0,drive={id},serial={id}"],
    "usb": ["-device", "qemu-xhci,id=xhci", "-device", "usb-storage,bus=xhci.0,drive={id},serial={id}"],
}
DISK_MIB, FILE_MIB = 1024, 256
FILL = f"""cd /mnt; cp -a /usr/lib/python3* .; dd if=/dev/urandom of=big bs=1M count={FILE_MIB} status=none; rm -rf python3/dist-packages
find . -type f -print0 | sort -z | xargs -0 sha256sum >/root/sums; cp /root/sums .; cd /; umount /mnt; sync; echo 3 >/proc/sys/vm/drop_caches"""
CHECK = """cd /mnt; cmp sums /root/sums; sha256sum --quiet -c sums; mkdir after; seq 100000 >after/numbers; cd /; umount /mnt"""
WORK = f"""set -e; mkfs.ext4 -q -F $disk; mount $disk /mnt; {FILL}; e2fsck -f -n $disk; mount $disk /mnt; {CHECK}; e2fsck -f -n $disk
wc -l </root/sums"""
FOLDER_WORK = f"""set -e; m="mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /mnt"; $m; {FILL}; $m; {CHECK}; wc -l </root/sums"""


def make_disks(folder):
    """Options, and a raw image for each by its name."""
    options, images = [], {}
    for name, words in DISKS.items():
        images[name] = os.path.join(folder, name)
        with open(images[name], "wb") as f:
            f.truncate(DISK_MIB * MIB)
        options += ["-drive", f"file={images[name]},format=raw,if=none,id={name},discard=unmap"]
        options += [word.format(id=name) for word in words]
    return options, images


def node(guest, serial):
    """/dev/... of the disk with that serial number."""
    text = guest.ssh("udevadm settle; lsblk -dno PATH,SERIAL")
    found = re.search(rf"^(\S+) +{serial}$", text, re.M)
    assert found, f"no disk {serial}: {text}"
    return found[1]


def use_disk(guest, name):
    begin = time.monotonic()
    said = guest.ssh(f"disk={node(guest, name)}\n{WORK}", 900)
    assert "Fix?" not in said and "WARNING" not in said, said
    return f"{said.split()[-1]} files, {FILE_MIB} MiB in one of them, {time.monotonic() - begin:.0f} s"


def use_folder(guest, folder):
    """A folder of this machine: what the guest wrote is here, too."""
    begin = time.monotonic()
    files = guest.ssh(FOLDER_WORK, 900).split()[-1]
    with open(os.path.join(folder, "sums"), encoding="utf-8") as f:
        assert f"{digest(os.path.join(folder, 'big'))}  ./big\n" in f, "another file here"
    return f"{files} files, {FILE_MIB} MiB in one of them, {time.monotonic() - begin:.0f} s"


def check_image(image):
    """What the guest left is whole for this machine, too."""
    fsck = shutil.which("e2fsck", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not fsck:
        raise Skip("no e2fsck here")
    p = subprocess.run([fsck, "-f", "-n", image], check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 0, p.stdout


def disks(tap, kept):
    names = [f"disk-{name}" for name in DISKS] + ["folder-9p"]
    if not any(tap.wants(name) for name in names):
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        options, images = make_disks(folder)
        share = os.path.join(folder, "share")
        os.mkdir(share)
        options += ["-virtfs", f"local,path={share},mount_tag=share,security_model=mapped-xattr"]
        port = free_port()
        guest = stack.enter_context(kept.start(folder, *user_net(port), *options))
        guest.connect(("127.0.0.1", port))
        for name in DISKS:
            tap.case(f"disk-{name}", use_disk, guest, name)
        tap.case("folder-9p", use_folder, guest, share)
        tap.case("disk-messages", no_complaints, guest)
        guest.power_off()
        for name in DISKS:
            tap.case(f"image-{name}", check_image, images[name])


# ---- All ----

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file that is copied")
    parser.add_argument("--keep", help="folder for the installed disk; taken if it is there")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    tap = Tap(args.cases)
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(os.path.abspath(args.keep or folder))
        if not os.path.exists(kept.boot[1]):
            tap.case("apt", prepare, kept)
        tap.case("apt-straight", install_straight, kept)
        for model in CARDS:
            tap.case(f"ssh-user-{model}", ssh_user, kept, args.mib, model)
            tap.case(f"ssh-tap-{model}", ssh_tap, kept, args.mib, model)
        if os.path.exists(kept.boot[1]):
            devices(tap, kept, "devices", "virt", drivers_bind)
            devices(tap, kept, "messages", "virt,aia=aplic-imsic", messages_bind)
            disks(tap, kept)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
