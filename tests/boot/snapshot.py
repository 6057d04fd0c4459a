#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots: a Linux with four harts that computes is kept by savevm, goes on, is taken back by loadvm, and goes on in another process by -loadvm.

    snapshot.py [CASE-PATTERN...]
"""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from console import Console                                       # noqa: E402
from tap import Tap                                               # noqa: E402

PROMPT = r"root@menura:\S*# "
# Two processes that hash what the other wrote to the disk last, ever again; the sum at the end depends on every round.
WORK = """cat >/w.sh <<'END'
i=0; s=$1; while [ $i -lt $2 ]; do s=$(echo $s $i | sha256sum | cut -c1-64); echo $s >/f$1; [ $((i % 20)) = 0 ] && sync; i=$((i+1)); done
echo "RESULT$1 $(cat /f$1)"
END
"""
ROUNDS = 250
# The disk's name in the guest, its model, what it is plugged into.
KINDS = {"virtio": ("vda", "virtio-blk-device", []), "nvme": ("nvme0n1", "nvme,serial=A1", []),
         "ahci": ("sda", "ide-hd,bus=a.0", ["-device", "ahci,id=a"])}


def command(disk, *more, kind="virtio"):
    image = "qcow2" if disk.endswith("qcow2") else "raw"
    name, device, adapter = KINDS[kind]
    return [machine.PROGRAM, "-M", "virt", "-m", "128M", "-smp", "4", "-nographic", "-kernel", machine.guest("Image"), "-initrd",
            machine.guest("initramfs.cpio"), "-append", f"console=ttyS0 root=/dev/{name} rw", "-drive",
            f"file={disk},format={image},if=none,id=hd0", *adapter, "-device", f"{device},drive=hd0", *more]


def monitor(console, line, then=None):
    """What the monitor says to @line; then the guest has the keyboard again."""
    text = console.monitor(line, then=then)
    console.send("\x01c")
    return text


def results(console):
    found = {}
    for _ in range(2):
        m = console.expect(r"RESULT([ab]) ([0-9a-f]{64})\n", machine.limit(120))
        found[m[1]] = m[2]
    return found


def expected():
    out = {}
    for name in "ab":
        s = name
        for i in range(ROUNDS):
            s = hashlib.sha256(f"{s} {i}\n".encode()).hexdigest()
        out[name] = s
    return out


def boot(console):
    console.expect(PROMPT, machine.limit(60))
    for line in WORK.splitlines():
        console.line(line)
    console.run("true", PROMPT, 20)
    console.line(f"sh /w.sh a {ROUNDS} & sh /w.sh b {ROUNDS} & wait")
    console.expect(r"& wait", 20)


def kept_and_taken_back(folder, more, image=None, kind="virtio"):
    disk = image or os.path.join(folder, "disk.img")
    if not image:
        shutil.copyfile(machine.guest("demo.img"), disk)
    with Console(command(disk, *more, kind=kind)) as console:
        boot(console)
        said = monitor(console, "savevm first")
        assert "savevm:" not in said, said
        assert results(console) == expected(), "the machine that went on computed something else"
        said = monitor(console, "loadvm first")
        assert "loadvm:" not in said, said
        assert results(console) == expected(), "the machine that was taken back computed something else"
        assert re.search(r"first +[\d.]+ MiB", monitor(console, "info snapshots"))
    with Console(command(disk, *more, "-loadvm", "first", kind=kind)) as console:
        assert results(console) == expected(), "the machine in another process computed something else"
        console.run("sync", PROMPT, 30)
        console.line("poweroff -f")
        console.wait(30)
    return disk + ".snapshots"


def case(more, kind="virtio"):
    with tempfile.TemporaryDirectory() as folder:
        snapshots = kept_and_taken_back(folder, more, kind=kind)
        return f"{os.path.getsize(os.path.join(snapshots, 'first')) >> 20} MiB"


def whole(disk):
    for checker in [os.path.join(machine.BUILD, "menura-img")] + [q for q in [shutil.which("qemu-img")] if q]:
        p = subprocess.run([checker, "check", disk], check=False, capture_output=True, text=True)
        assert p.returncode == 0, p.stdout + p.stderr


def qcow2():
    """A qcow2 image over another keeps the disk and the machine's state itself, and is whole afterwards, also when they are deleted."""
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, "disk.qcow2")
        img = os.path.join(machine.BUILD, "menura-img")
        subprocess.run([img, "create", "-q", "-f", "qcow2", "-b", machine.guest("demo.img"), "-F", "raw", disk], check=True)
        snapshots = kept_and_taken_back(folder, [], disk)
        assert not os.path.exists(snapshots), "the state is in a file"
        said = subprocess.run([img, "snapshot", "-l", disk], check=True, capture_output=True, text=True).stdout
        size = re.search(r"^1 +first +(\S+ MiB) ", said, re.M)
        assert size, said
        whole(disk)
        with Console(command(disk)) as console:
            console.expect(PROMPT, machine.limit(60))
            for line, answer in (("savevm second", ""), ("savevm first", ""), ("info snapshots", r"second .*MiB.*\n(.*\n)?first .*MiB"),
                                 ("delvm 9", r"delvm: .*cannot be deleted"), ("delvm first", ""), ("delvm second", ""),
                                 ("info snapshots", "There is no snapshot")):
                said = monitor(console, line)
                assert re.search(answer, said) if answer else "vm:" not in said, f"{line}: {said}"
            console.line("poweroff -f")
            console.wait(30)
        whole(disk)
        return size[1]


def beside_qcow2():
    """A path is a file's, and the disk's contents are still in the image."""
    with tempfile.TemporaryDirectory() as folder:
        disk, path = os.path.join(folder, "disk.qcow2"), os.path.join(folder, "state")
        subprocess.run([os.path.join(machine.BUILD, "menura-img"), "create", "-q", "-f", "qcow2", "-b", machine.guest("demo.img"), "-F",
                        "raw", disk], check=True)
        with Console(command(disk)) as console:
            console.expect(PROMPT, machine.limit(60))
            console.run("echo before >/root/note; sync", PROMPT)
            said = monitor(console, f"savevm {path}")
            assert "savevm:" not in said, said
            console.run("echo after >/root/note; sync", PROMPT)
            said = monitor(console, f"loadvm {path}")
            assert "loadvm:" not in said, said
            said = console.run("cat /root/note", PROMPT)
            assert said.split()[-1] == "before", repr(said)
            assert "there is no" not in monitor(console, f"delvm {path}")
            console.line("poweroff -f")
            console.wait(30)
        assert not os.path.exists(path)
        whole(disk)


def used_at_once():
    """What the guest does first after a load meets RAM that is not there yet: disk requests from and to it, and a savevm; without lazy loading it is
    the same."""
    with tempfile.TemporaryDirectory() as folder:
        disk, second = os.path.join(folder, "disk.img"), os.path.join(folder, "second.img")
        shutil.copyfile(machine.guest("demo.img"), disk)
        with open(second, "wb") as f:
            f.truncate(8 << 20)
        argv = command(disk, "-drive", f"file={second},format=raw,if=none,id=hd1", "-device", "virtio-blk-device,drive=hd1")
        with Console(argv) as console:
            console.expect(PROMPT, machine.limit(60))
            console.line("mount -t tmpfs t /mnt; dd if=/dev/urandom of=/mnt/a bs=1M count=8 2>/dev/null; cp /mnt/a /mnt/b; "
                         "sha256sum /mnt/a /mnt/b >/mnt/sums; echo DO''NE")
            console.expect(r"\nDONE\s", machine.limit(60))
            said = monitor(console, "savevm one")
            assert "savevm:" not in said, said
        for more in ("", ",lazy=off", ""):
            with Console(argv + ["-snapshot", "-loadvm", "one" + more]) as console:
                console.line("dd if=/mnt/b of=/dev/vdb bs=1M oflag=direct 2>/dev/null && dd if=/dev/vdb of=/mnt/a bs=1M iflag=direct conv=notrunc "
                             "2>/dev/null && cmp /mnt/a /dev/vdb && sha256sum -c /mnt/sums && echo GO''OD")
                console.expect(r"\nGOOD", machine.limit(60))
        for n, (old, new) in enumerate((("one", "two"), ("two", "three"), ("three", "two"))):
            with Console(argv + ["-loadvm", old]) as console:
                said = monitor(console, f"savevm {new}")
                assert "savevm:" not in said, said
                said = monitor(console, f"loadvm {new}")
                said += monitor(console, f"loadvm {new}") + monitor(console, "delvm one") if n == 0 else ""
                assert "vm:" not in said, said
                console.line("sha256sum -c /mnt/sums && echo GO''OD")
                console.expect(r"\nGOOD", machine.limit(60))


def in_memory_chunks(data):
    """A place in the data of each chunk of RAM that a snapshot's file has (hw/core/snapshot-file.c)."""
    at = 24 + struct.unpack_from("<Q", data, 16)[0]
    while at < len(data):
        area, _, packed = struct.unpack_from("<III", data, at)
        at += 24
        if area == 0:
            yield at + packed // 2
        at += packed


def reads_under_way(kind):
    """Reads of a disk that only reads, and slowly, are under way: savevm and loadvm wait for them, so that none is lost and none comes late."""
    name, device, _ = KINDS[kind]
    name = {"vda": "vdb"}.get(name, name)
    with tempfile.TemporaryDirectory() as folder:
        disk, slow = os.path.join(folder, "disk.img"), os.path.join(folder, "slow.img")
        shutil.copyfile(machine.guest("demo.img"), disk)
        data = os.urandom(4 << 20)
        with open(slow, "wb") as f:
            f.write(data)
        argv = command(disk, "-drive", f"file={slow},format=raw,if=none,id=slow,readonly=on,throttling.bps-read={1 << 20}",
                       "-device", f"{device},drive=slow")

        def summed(console):
            assert console.expect(r"([0-9a-f]{64})  -\n", machine.limit(60))[1] == hashlib.sha256(data).hexdigest()
            console.expect(PROMPT, 20)

        with Console(argv) as console:
            console.expect(PROMPT, machine.limit(60))
            console.line(f"sha256sum </dev/{name}")
            console.expect("sha256sum", 20)
            time.sleep(1)
            assert "savevm:" not in monitor(console, "savevm one")
            summed(console)
            console.line(f"echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/{name}")
            console.expect("sha256sum", 20)
            time.sleep(1)
            assert "loadvm:" not in monitor(console, "loadvm one")
            summed(console)
            console.run("true", PROMPT, 20)
        with Console([*argv, "-loadvm", "one"]) as console:
            summed(console)
            console.line("poweroff -f")
            console.wait(30)


def damaged_later():
    """Damage that only the load of RAM finds, when the machine runs already, stops it for good, until there is other RAM."""
    with tempfile.TemporaryDirectory() as folder:
        disk, path = os.path.join(folder, "disk.img"), os.path.join(folder, "state")
        shutil.copyfile(machine.guest("demo.img"), disk)
        with Console(command(disk, "-snapshot")) as console:
            console.expect(PROMPT, machine.limit(60))
            monitor(console, f"savevm {path}")
            good = bytearray(open(path, "rb").read())
            places = list(in_memory_chunks(good))
            for at in places[0], places[len(places) // 2], places[-1]:
                bad = bytearray(good)
                bad[at] ^= 4
                with open(path + ".bad", "wb") as f:
                    f.write(bad)
                said = monitor(console, f"loadvm {path}.bad,lazy=off")
                assert "is damaged or not whole" in said, said
                console.run("echo still he''re", PROMPT, 20)
                monitor(console, f"loadvm {path}.bad", r"state.bad: is damaged.*cannot go on")
                assert "paused (internal-error)" in monitor(console, "info status")
                assert "could not be loaded" in monitor(console, "cont")
                assert "savevm: the machine's memory could not" in monitor(console, "savevm other")
                said = monitor(console, f"loadvm {path}")
                assert "vm:" not in said, said
                monitor(console, "cont")
                console.run("echo still he''re", PROMPT, 20)
        with Console(command(disk, "-snapshot", "-loadvm", path + ".bad")) as console:
            console.expect(r"state.bad: is damaged.*cannot go on", 20)
            assert "paused (internal-error)" in monitor(console, "info status")
            console.send("\x01x")
            assert console.wait(20) == 0


def start_fails(argv, what):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                       timeout=machine.limit(20))
    assert p.returncode == 1 and re.search(what, p.stderr), f"status {p.returncode}, wanted {what}: {p.stderr}"


def refused():
    """What does not fit or is damaged is an error that says why, and changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        disk, name = os.path.join(folder, "disk.img"), os.path.join(folder, "disk.img.snapshots", "one")
        shutil.copyfile(machine.guest("demo.img"), disk)
        with Console(command(disk)) as console:
            console.expect(PROMPT, machine.limit(60))
            monitor(console, "savevm one")
            said = monitor(console, "loadvm nothing")
            assert re.search(r"loadvm: .*nothing.*No such file", said), repr(said)
            console.run("echo still here", PROMPT, 20)
            said = monitor(console, "delvm two")
            assert re.search("cannot be deleted: No such file", said), repr(said)
        before = open(disk, "rb").read()
        good = open(name, "rb").read()
        argv = command(disk, "-loadvm", name)
        start_fails([a if a != "4" else "2" for a in argv], r"-loadvm: .*one: is of a riscv64 machine virt, 4 CPUs.*this is .* 2 CPUs")
        start_fails(argv + ["-device", "virtio-rng-device"], r"has no device virtio-rng")
        for damaged in (good[:-1], good[:len(good) // 2], good[:40], b"", good[:5000] + bytes([good[5000] ^ 1]) + good[5001:],
                        good[:-100000] + bytes([good[-100000] ^ 4]) + good[-99999:], b"x" + good[1:]):
            with open(name, "wb") as f:
                f.write(damaged)
            start_fails(argv, r"-loadvm: .*one: is (damaged|no snapshot)")
        assert open(disk, "rb").read() == before, "the disk was changed"


def main():
    tap = Tap(sys.argv[1:])
    tap.case("disk", case, [])
    tap.case("throw-away-writes", case, ["-snapshot"])
    tap.case("nvme", case, [], "nvme")
    tap.case("ahci", case, [], "ahci")
    tap.case("qcow2", qcow2)
    tap.case("beside-qcow2", beside_qcow2)
    tap.case("used-at-once", used_at_once)
    tap.case("reads-under-way-virtio", reads_under_way, "virtio")
    tap.case("reads-under-way-nvme", reads_under_way, "nvme")
    tap.case("damaged-later", damaged_later)
    tap.case("refused", refused)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
