#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian on qcow2 over a backing image compiles on four harts; in the middle it is kept by savevm and the emulator ends; -loadvm goes on in
a new process, and the program that comes out is the same as without all that.

    compile.py [--files N]

The image is checked by menura-img, and by qemu-img where it is installed.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import machine                                                    # noqa: E402
from console import Console                                       # noqa: E402
from tap import Skip, Tap                                         # noqa: E402

PROMPT = r"root@debian:\S*# "
IMG = os.path.join(machine.BUILD, "menura-img")
# File n has 30 functions of loops and floating point; the program sums them all up.
MAKE = r"""mkdir -p /root/work; cd /root/work; rm -rf *; cat >gen.py <<'END'
import sys
n = int(sys.argv[1])
for k in range(n):
    with open(f"f{k}.c", "w") as f:
        for j in range(30):
            f.write(f"double g{k}_{j}(int n){{double s={j}.5;int a[64];for(int i=0;i<64;i++)a[i]=i*{k+3}%{j+7};"
                    f"for(int i=1;i<=n;i++){{switch((i*{j+1}+{k})%5){{case 0:s+=a[i%64]/(double)i;break;case 1:s-=a[(i*7)%64]*.25;break;"
                    f"case 2:s=s*.5+i;break;case 3:s+=(i^{k});break;default:s*=.75;}}}}return s;}}\n")
        f.write(f"double f{k}(void){{double s=0;" + "".join(f"s+=g{k}_{j}({j*3+5});" for j in range(30)) + "return s;}\n")
with open("main.c", "w") as f:
    f.write("#include <stdio.h>\n" + "".join(f"double f{k}(void);" for k in range(n)))
    f.write("int main(void){double s=0;" + "".join(f"s+=f{k}();" for k in range(n)) + 'printf("SUM %.9f\\n",s);return 0;}\n')
END
cat >build.sh <<'END'
seq 0 $(($1 - 1)) | xargs -P 4 -I{} sh -c 'gcc -O2 -c f{}.c -o f{}.o && echo compiled {}'
gcc -O2 -o program main.c f*.o && ./program && echo "OBJECTS $(cat f*.o | sha256sum)"
END
"""


def command(image, *more):
    return [machine.PROGRAM, "-M", "virt", "-m", "512M", "-smp", "4", "-nographic", "-kernel", machine.guest("Image"), "-initrd",
            machine.guest("initramfs.cpio"), "-append", "root=/dev/vda console=ttyS0", "-drive",
            f"file={image},format=qcow2,if=none,id=hd0", "-device", "virtio-blk-device,drive=hd0", *more]


def login(console):
    console.expect(r"login: ", machine.limit(600))
    console.line("root")
    console.expect(PROMPT, machine.limit(120))
    for line in MAKE.splitlines():
        console.line(line)
    console.run("true", PROMPT, machine.limit(60))


def start_build(console, files):
    console.line(f"python3 gen.py {files} && sh build.sh {files}")
    console.expect(r"\n", 30)


def results(console):
    found = console.expect(r"SUM (\S+)\s+OBJECTS ([0-9a-f]{64})", machine.limit(1200))
    console.expect(PROMPT, 60)
    return found[1], found[2]


def power_off(console):
    console.line("systemctl poweroff")
    assert console.wait(machine.limit(180)) == 0


def check(image, folder):
    """Both tools find the image whole, and the same in it."""
    raw = os.path.join(folder, "raw")
    subprocess.run([IMG, "convert", "-O", "raw", image, raw], check=True)
    subprocess.run([IMG, "check", "-q", image], check=True)
    if shutil.which("qemu-img"):
        subprocess.run(["qemu-img", "check", "-q", image], check=True)
        subprocess.run(["qemu-img", "compare", "-q", image, raw], check=True)
    os.unlink(raw)


def run(files, interrupted):
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "root.qcow2")
        subprocess.run([IMG, "create", "-q", "-f", "qcow2", "-b", machine.guest("rootfs.img"), "-F", "raw", image], check=True)
        with Console(command(image)) as console:
            login(console)
            start_build(console, files)
            if not interrupted:
                found = results(console)
                power_off(console)
                return found
            console.expect(rf"compiled {files // 3}\b", machine.limit(600))
            said = console.monitor("savevm middle", machine.limit(120))
            assert "savevm" not in said, said
            console.line("quit")
            console.wait(60)
        with Console(command(image, "-loadvm", "middle")) as console:
            found = results(console)
            assert "login:" not in console.text, "it booted anew"
            power_off(console)
        check(image, folder)
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60)
    args = parser.parse_args()
    tap = Tap()
    found = {}

    def case(interrupted):
        machine.guest("rootfs.img")
        found[interrupted] = run(args.files, interrupted)
        return " ".join(found[interrupted])[:60]

    def same():
        if len(found) < 2:
            raise Skip("nothing to compare")
        assert found[True] == found[False], found

    tap.case("uninterrupted", case, False)
    tap.case("interrupted", case, True)
    tap.case("same", same)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
