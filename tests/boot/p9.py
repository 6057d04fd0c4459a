#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of the host in Linux: a tree made by the guest is the same for the host and after another mount, and the other way; owners and modes.

    p9.py [CASE-PATTERN...]
"""
import hashlib
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]
import machine                                                    # noqa: E402
from tap import Tap                                               # noqa: E402

MOUNT = "mount -t 9p -o trans=virtio,version=9p2000.L,msize={msize} share /mnt"
# Files of all sizes, deep directories, long and odd names.
MAKE = r"""for i in 1 2 3 4 5 6 7 8; do mkdir -p d$i/e/f; dd if=/dev/urandom of=d$i/e/f/big bs=70001 count=$i 2>/dev/null; echo $i >"d$i/a name, $i"
done; for i in $(seq 300); do echo $i >d1/file-with-a-number-$i; done; : >empty; cp -r d3 copy; mv copy d4/moved; rm -r d2/e"""
SUMS = r"find . -type f | sort | tr '\n' '\0' | xargs -0 sha256sum | sha256sum"


def boot(folder, model="mapped-xattr", device="virtio-9p-pci", more=()):
    return machine.start(*machine.linux(2, "256M", "quiet", [
        "-fsdev", f"local,id=f,path={folder},security_model={model}", "-device", f"{device},fsdev=f,mount_tag=share", *more]))


def start(console, msize=512000):
    console.expect(machine.PROMPT, machine.limit(120))
    run(console, "stty cols 1000")
    mount(console, msize)


def run(console, line, seconds=60):
    return console.run(line, machine.PROMPT, machine.limit(seconds)).strip()


def mount(console, msize=512000):
    said = run(console, MOUNT.format(msize=msize) + " && cd /mnt && echo MOUNTED")
    assert said.endswith("MOUNTED"), said


def unmount(console):
    said = run(console, "cd / && umount /mnt && echo UNMOUNTED")
    assert said.endswith("UNMOUNTED"), said


def power_off(console):
    console.line("poweroff -f")
    status = console.wait(machine.limit(60))
    assert status == 0, f"exit status {status}"


def last(text):
    return text.split()[-2] if text.endswith("-") else text.split()[-1]


def host_sums(folder):
    """As SUMS."""
    names = sorted(os.path.relpath(os.path.join(root, f), folder) for root, _, files in os.walk(folder) for f in files)
    lines = []
    for name in sorted("./" + n for n in names):
        with open(os.path.join(folder, name), "rb") as f:
            lines.append(f"{hashlib.sha256(f.read()).hexdigest()}  {name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def tree(model, device, msize):
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "from-the-host"))
        with open(os.path.join(folder, "from-the-host", "data"), "wb") as f:
            f.write(os.urandom(3000000))
        with boot(folder, model, device) as console:
            start(console, msize)
            run(console, MAKE, 120)
            first = last(run(console, SUMS))
            assert first == host_sums(folder), "guest and host see different files"
            unmount(console)
            mount(console, msize)
            assert last(run(console, SUMS)) == first, "another mount has different files"
            with open(os.path.join(folder, "d1", "new"), "w", encoding="ascii") as f:
                f.write("from the host")
            os.rename(os.path.join(folder, "d3"), os.path.join(folder, "d9"))
            assert run(console, "cat d1/new").endswith("from the host")
            assert last(run(console, SUMS)) == host_sums(folder)
            said = run(console, "ls d1 | wc -l; rm -r d* && find . | wc -l")
            assert said.split()[-2:] == ["303", "4"], said
            unmount(console)
            power_off(console)
        assert sorted(os.listdir(folder)) == ["empty", "from-the-host"]


def owners():
    """Attributes that an ordinary user of the host could not set."""
    with tempfile.TemporaryDirectory() as folder:
        with boot(folder) as console:
            start(console)
            run(console, "echo x >f; chown 1234:5678 f; chmod 4751 f; mkdir -m 1777 d; chown 7:8 d; ln -s /etc/hostname l; mknod c c 4 65; "
                "mkfifo p; ln f d/hard; touch -d '2001-02-03 04:05:06' f")
            expected = ["f regular file 4751 1234 5678", "d directory 1777 7 8", "l symbolic link 777 0 0",
                        "c character special file 644 0 0", "p fifo 644 0 0"]
            for _ in range(2):
                said = run(console, "stat -c '%n %F %a %u %g' f d l c p")
                assert said.splitlines()[-5:] == expected, said
                said = run(console, "readlink l; stat -c '%h %Y' d/hard; echo through >p & cat p; stat -c '%t:%T' c")
                assert re.search(r"^/etc/hostname$", said, re.M) and "2 981173106" in said and "through" in said and "4:41" in said, said
                unmount(console)
                mount(console)
            unmount(console)
            power_off(console)
        for name in "flcp":
            st = os.lstat(os.path.join(folder, name))
            assert (st.st_mode, st.st_uid) == (0o100600, os.getuid()), name
        assert os.getxattr(os.path.join(folder, "f"), "user.virtfs.uid") == (1234).to_bytes(4, "little")


def confined():
    """Links of the host's lead to the guest's own files."""
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "share")
        os.mkdir(folder)
        with open(os.path.join(top, "secret"), "w", encoding="ascii") as f:
            f.write("secret")
        os.symlink("../secret", os.path.join(folder, "relative"))
        os.symlink(os.path.join(top, "secret"), os.path.join(folder, "absolute"))
        os.symlink(top, os.path.join(folder, "dir"))
        os.mkfifo(os.path.join(folder, "fifo"))
        with boot(folder, "none") as console:
            start(console)
            said = run(console, "cat relative absolute dir/secret; echo x >relative; echo x >absolute; echo x >dir/secret; ls dir/")
            assert not re.search(r"^secret", said, re.M) and said.count("No such file") >= 3, said
            unmount(console)
            power_off(console)
        with open(os.path.join(top, "secret"), encoding="ascii") as f:
            assert f.read() == "secret"
        assert sorted(os.listdir(top)) == ["secret", "share"]


def readonly_and_unlinked():
    """A folder that cannot be changed beside one whose file is used on after it was removed."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as fixed:
        with open(os.path.join(fixed, "f"), "w", encoding="ascii") as f:
            f.write("as it is")
        more = ["-virtfs", f"local,path={fixed},mount_tag=fixed,security_model=none,readonly=on"]
        with boot(folder, more=more) as console:
            start(console)
            said = run(console, "exec 3>gone 4<gone; echo first >&3; rm gone; echo second >&3; cat <&4; stat -L -c '%h %s' /proc/self/fd/4; "
                       "exec 3>&- 4>&-; ls | wc -l")
            assert said.split() == ["first", "second", "0", "13", "0"], said
            said = run(console, "mkdir /tmp/fixed; mount -t 9p -o trans=virtio,version=9p2000.L fixed /tmp/fixed; cat /tmp/fixed/f; echo; echo x "
                       ">/tmp/fixed/f; rm /tmp/fixed/f; mkdir /tmp/fixed/d; umount /tmp/fixed")
            assert "as it is" in said and said.count("Read-only file system") == 3, said
            unmount(console)
            power_off(console)
        with open(os.path.join(fixed, "f"), encoding="ascii") as f:
            assert f.read() == "as it is"


def several():
    """Programs of the guest at the same time, one of them interrupted, with and without the guest's cache."""
    with tempfile.TemporaryDirectory() as folder:
        with boot(folder) as console:
            start(console)
            for option in ("none", "loose"):
                unmount(console)
                said = run(console, f"mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache={option} share /mnt && cd /mnt && echo YES")
                assert said.endswith("YES"), said
                run(console, "for i in 1 2 3 4; do (dd if=/dev/urandom of=f$i bs=64k count=100 2>/dev/null; sha256sum f$i >s$i) & done; wait", 120)
                run(console, "timeout 1 sh -c 'while :; do cat f1 >/dev/null; done'; timeout -s KILL 1 sh -c 'while :; do cat f2 >t; done'")
                said = run(console, "cat s? | sha256sum -c")
                assert said.count(": OK") == 4, said
            unmount(console)
            power_off(console)
        for i in "1234":
            with open(os.path.join(folder, "f" + i), "rb") as f, open(os.path.join(folder, "s" + i), encoding="ascii") as s:
                assert hashlib.sha256(f.read()).hexdigest() == s.read().split()[0]


def snapshots():
    """While it is mounted the machine cannot be saved; one that is loaded has it not mounted."""
    machine.needs_menura("its monitor's answers")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as share:
        tag = os.path.join(folder, "snapshot")
        with boot(share) as console:
            start(console)
            said = console.monitor(f"savevm {tag}")
            assert "the guest has the folder 'share' mounted" in said, said
            console.send("\x01c")
            unmount(console)
            said = console.monitor(f"savevm {tag}")
            assert not said.strip(), said
            console.send("\x01c")
            mount(console)
            run(console, "echo x >f")
            said = console.monitor(f"loadvm {tag}")
            assert not said.strip(), said
            console.send("\x01c\r")
            console.expect(machine.PROMPT, machine.limit(30))
            mount(console)
            assert run(console, "cat f").endswith("x")
            unmount(console)
            power_off(console)


def main():
    tap = Tap(sys.argv[1:])
    tap.case("mapped", tree, "mapped-xattr", "virtio-9p-pci", 512000)
    tap.case("none", tree, "none", "virtio-9p-device", 8192)
    tap.case("passthrough", tree, "passthrough" if not os.getuid() else "none", "virtio-9p-pci", 1 << 20)
    tap.case("owners", owners)
    tap.case("confined", confined)
    tap.case("readonly", readonly_and_unlinked)
    tap.case("several", several)
    tap.case("snapshots", snapshots)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
