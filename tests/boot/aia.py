#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux on the Advanced Interrupt Architecture: interrupts of PCI devices as messages to the harts' IMSICs, or by pins of an APLIC, while disks and a
network are used; messages that move to another hart; harts that go and come back; snapshots.

    aia.py [CASE-PATTERN...]
"""
import hashlib
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

PROMPT = r"^/ # $"
MEGABYTE = 1 << 20
# Reads back past the page cache what it wrote; the sum depends on every round. Two of them at a time.
WORK = """w() { i=0; s=$1; while [ $i -lt %d ]; do s=$(echo $s $i | sha256sum | cut -c1-64); echo $s | dd of=$1 bs=4k seek=$((i + 4096)) conv=sync \
oflag=direct 2>/dev/null; s=$(dd if=$1 bs=4k skip=$((i + 4096)) count=1 iflag=direct 2>/dev/null | head -n 1); i=$((i + 1)); done; \
echo "RESULT $1 $s END"; }
"""
ROUNDS = 150
DISKS = ("/dev/nvme0n1", "/dev/sda")


def new_disk(folder, name):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.truncate(64 * MEGABYTE)
    return path


def start(folder, board, append, harts=4, more=()):
    paths = [os.path.join(folder, name) for name in ("nvme", "usb")]
    for path in paths:
        if not os.path.exists(path):
            new_disk(folder, os.path.basename(path))
    return machine.start("-M", board, "-m", "256M", "-smp", str(harts), "-nographic", "-kernel", machine.guest("Image"), "-initrd",
                         machine.guest("initramfs.cpio"), "-append", f"console=ttyS0 {append} sh".replace("  ", " "), "-drive",
                         f"file={paths[0]},format=raw,if=none,id=hd0", "-device", "nvme,serial=A1,drive=hd0", "-device",
                         "qemu-xhci,id=xhci", "-drive", f"file={paths[1]},format=raw,if=none,id=hd1", "-device",
                         "usb-storage,drive=hd1,bus=xhci.0,port=1", "-nic", "user,model=virtio-net-pci", "-device", "pcie-root-port,id=rp1",
                         "-device", "pci-bridge,id=b1", "-device", "virtio-rng-pci,bus=rp1", "-device", "virtio-rng-pci,bus=b1", *more)


def boot(console):
    """To the shell. What the kernel and the firmware said."""
    begin = console.seen
    console.expect("leave it to power off", machine.limit(120))
    console.expect(PROMPT, machine.limit(30))
    ask(console, "stty cols 1000; dmesg -n 1")
    for disk in DISKS:
        ask(console, f"until [ -e {disk} ]; do sleep 0.1; done")
    return console.text[begin:console.seen]


def ask(console, line, seconds=60):
    return console.run(line, PROMPT, machine.limit(seconds)).strip()


def interrupts(console):
    """(controller, device) -> interrupts by hart."""
    found = {}
    for line in ask(console, "cat /proc/interrupts").splitlines():
        m = re.match(r"^ *(\w+): +((?:\d+ +)+)(\S.*?) *$", line)
        if m:
            chip, *words = m[3].replace(",", " ").split()
            found.update({(chip, word): [int(n) for n in m[2].split()] for word in words})
    return found


def use_nvme(console):
    """A file keeps its bytes across mounting; raw blocks get what the host will find. Their sum."""
    said = ask(console, "mke2fs -F /dev/nvme0n1 16384 >/dev/null && mount /dev/nvme0n1 /mnt && dd if=/dev/urandom of=/mnt/f bs=64k count=200 "
               "2>/dev/null && sha256sum </mnt/f && umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount /dev/nvme0n1 /mnt && "
               "sha256sum </mnt/f && umount /mnt && echo GOOD")
    sums = re.findall(r"^([0-9a-f]{64})  -$", said, re.M)
    assert len(sums) == 2 and sums[0] == sums[1] and "GOOD" in said, said
    said = ask(console, "dd if=/dev/urandom of=/tmp/raw bs=4k count=2000 2>/dev/null; for h in 0 1 2 3; do taskset $((1 << h % $(nproc))) dd "
               "if=/tmp/raw of=/dev/nvme0n1 bs=4k skip=$((h * 500)) seek=$((8192 + h * 500)) count=500 oflag=direct 2>/dev/null & done; wait; "
               "sha256sum </tmp/raw")
    return re.search(r"^([0-9a-f]{64})  -$", said, re.M)[1]


def check_nvme(folder, expected):
    with open(os.path.join(folder, "nvme"), "rb") as f:
        f.seek(8192 * 4096)
        assert hashlib.sha256(f.read(2000 * 4096)).hexdigest() == expected, "the image has something else"


def use_others(console):
    """A USB disk, the network, random numbers from behind a port and a bridge."""
    said = ask(console, "dd if=/tmp/raw of=/dev/sda bs=64k oflag=direct 2>/dev/null; dd if=/dev/sda bs=4k count=2000 iflag=direct 2>/dev/null | "
               "cmp - /tmp/raw && echo GOOD")
    assert "GOOD" in said, said
    said = ask(console, "ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ping -c 4 -W 5 10.0.2.2")
    assert " 4 packets received" in said, said
    said = ask(console, "cd /sys/class/misc/hw_random; for n in 0 1; do echo virtio_rng.$n >rng_current; "
               "dd if=/dev/hwrng bs=64 count=2 2>/dev/null | wc -c; done; cd /")
    assert said.split()[-2:] == ["128", "128"], said


def move(console, hart):
    """The network card's messages go to this hart now: MSI-X gets another address while it is used. Newer kernels change it when the next one comes,
    so the first may still go to the old hart."""
    said = ask(console, f"for i in /proc/irq/*/virtio*-input.0; do echo {1 << hart:x} >${{i%/*}}/smp_affinity; done; ping -c 4 -W 5 10.0.2.2")
    assert " 4 packets received" in said, said


def power_off(console):
    console.line("poweroff -f")
    status = console.wait(machine.limit(60))
    assert status == 0, f"exit status {status}"


def messages():
    with tempfile.TemporaryDirectory() as folder:
        with start(folder, "virt,aia=aplic-imsic", "") as console:
            said = boot(console)
            assert "riscv-imsic" in said and "providing IPIs" in said, "interprocessor interrupts are not the IMSIC's"
            assert "_smaia_ssaia" in ask(console, "cat /proc/cpuinfo")
            written = use_nvme(console)
            use_others(console)
            before = interrupts(console)
            for device in ("nvme0q0", "nvme0q1", "nvme0q2", "nvme0q3", "nvme0q4", "xhci_hcd"):
                counts = [sum(n) for (chip, name), n in before.items() if name == device and chip.startswith("PCI-MSIX")]
                assert counts and counts[0], f"{device}: {before}"
            assert [k for k in before if k[1] == "ttyS0" and k[0].startswith("APLIC-MSI")], before
            assert all(before["Rescheduling", "interrupts"]) and all(before["Function", "interrupts"]), before
            for hart in (1, 3):
                card = next(k for k in before if re.match(r"virtio\d-input\.0", k[1]))
                then = interrupts(console)[card][hart]
                move(console, hart)
                assert interrupts(console)[card][hart] >= then + 3, interrupts(console)
            for _ in range(2):
                ask(console, "echo 0 >/sys/devices/system/cpu/cpu3/online && echo 1 >/sys/devices/system/cpu/cpu3/online")
            assert ask(console, "cat /sys/devices/system/cpu/online").endswith("0-3")
            ask(console, "taskset 8 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=50 iflag=direct")
            assert console.monitor("info pci").count("MSI-X is on") == 5
            console.send("\x01c")
            power_off(console)
        check_nvme(folder, written)


def pins(board, append, chip):
    """Level-triggered lines: shared by devices, asserted again before they are served."""
    with tempfile.TemporaryDirectory() as folder:
        with start(folder, board, append, harts=3) as console:
            boot(console)
            written = use_nvme(console)
            use_others(console)
            found = interrupts(console)
            assert not [k for k in found if k[0].startswith("PCI-MSI")], found
            for device in ("nvme0q1", "xhci-hcd:usb1", "ttyS0"):
                counts = [sum(n) for (c, name), n in found.items() if name == device and c.startswith(chip)]
                assert counts and counts[0], f"{device}: {found}"
            power_off(console)
        check_nvme(folder, written)


def expected(disk):
    s = disk
    for i in range(ROUNDS):
        s = hashlib.sha256(f"{s} {i}\n".encode()).hexdigest()
    return s


def check_results(console):
    found = {}
    for _ in DISKS:
        m = console.expect(r"RESULT (\S+) (\S+) END", machine.limit(120))
        found[m[1]] = m[2]
    console.expect(PROMPT)
    assert found == {disk: expected(disk) for disk in DISKS}, "something else was computed"


def monitor(console, line):
    said = console.monitor(line)
    console.send("\x01c")
    assert "vm:" not in said, said


def snapshot(board):
    """Two disks are busy when the machine is kept; it goes on, is taken back, and goes on in another process."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state")
        with start(folder, board, "", more=["-snapshot"]) as console:
            boot(console)
            console.line(WORK.strip() % ROUNDS)
            console.expect(PROMPT)
            console.line("w /dev/nvme0n1 & w /dev/sda & sleep 1; wait")
            console.expect("wait")
            monitor(console, f"savevm {path}")
            check_results(console)
            monitor(console, f"loadvm {path}")
            check_results(console)
        with start(folder, board, "", more=["-snapshot", "-loadvm", path]) as console:
            check_results(console)
            power_off(console)


def main():
    tap = Tap(sys.argv[1:])
    tap.case("messages", messages)
    tap.case("pins", pins, "virt,aia=aplic-imsic", "pci=nomsi", "APLIC-MSI")
    tap.case("aplic", pins, "virt,aia=aplic", "", "APLIC-DIRECT")
    tap.case("snapshot", snapshot, "virt,aia=aplic-imsic")
    tap.case("snapshot-aplic", snapshot, "virt,aia=aplic")
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
