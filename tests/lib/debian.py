# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Debian as a guest (tools/guests.py rootfs), on an overlay of its disk: its console and ssh.

Its apt gets packages from the archive that this machine's apt uses, and is told what this machine's apt is told of the way there.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import machine                                                    # noqa: E402
from console import Console                                       # noqa: E402
from guestlib.debian import Archive, GuestError, HELPER, mirror   # noqa: E402
from guests import default_cache                                  # noqa: E402
from serve import served                                          # noqa: E402

PROMPT = r"root@debian:\S*# "
IMG = os.path.join(machine.BUILD, "menura-img")
SUITE, ARCH = "trixie", "riscv64"
HOST = "10.0.2.2"               # this machine, seen from a user network
STATIC_MAC = "52:54:00:12:34:aa"
STATIC, STATIC_HOST = "10.213.77.2", "10.213.77.1"
# Cards get addresses by DHCP, but for the one that has this address: nobody offers it one.
NETWORK = f"""mkdir -p /etc/systemd/network /root/.ssh; cat >/etc/systemd/network/10-static.network <<'END'
[Match]
MACAddress={STATIC_MAC}
[Network]
Address={STATIC}/30
END
cat >/etc/systemd/network/20-dhcp.network <<'END'
[Match]
Name=en* eth*
[Network]
DHCP=ipv4
END
sed -i 's,^/dev/vda,LABEL=debian,' /etc/fstab; systemctl enable -q --now systemd-networkd; echo 'nameserver 10.0.2.3' >/etc/resolv.conf"""


def overlay(image, base, base_format):
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", "-b", base, "-F", base_format, image], check=True)


def seen_from_guest(address):
    """A URL; this machine is another host there."""
    parts = urllib.parse.urlsplit(address)
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return address
    return parts._replace(netloc=HOST + (f":{parts.port}" if parts.port else "")).geturl()


def archive_is_whole(suite=SUITE):
    """This machine's apt can fetch the guest's package lists. A mirror that is just being synchronized may have a list that is not the signed one."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Archive(folder, suite, ARCH).update()
        except GuestError:
            return False
    return True


@contextlib.contextmanager
def older_archive():
    """Address, for the guest, of a server with the package lists that tools/guests.py got and keeps; the packages are the mirror's."""
    machine.guest("Image")      # it needs the lists
    lists = os.path.join(os.environ.get("MENURA_GUESTS") or default_cache(), "apt", f"{SUITE}-{ARCH}", "lists")
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "dists", SUITE, "main", f"binary-{ARCH}"))
        for name in os.listdir(lists):
            if name.endswith("_InRelease"):
                shutil.copy(os.path.join(lists, name), os.path.join(folder, "dists", SUITE, "InRelease"))
            if "_Packages" in name:
                with open(os.path.join(folder, "dists", SUITE, "main", f"binary-{ARCH}", "Packages"), "wb") as f:
                    subprocess.run([HELPER, "cat-file", os.path.join(lists, name)], check=True, stdout=f)
        with served(folder, seen_from_guest(mirror())) as port:
            yield f"http://{HOST}:{port}"


def apt_settings():
    """Lines for apt.conf: proxies, and what to believe of dates."""
    dump = subprocess.run(["apt-config", "dump"], check=True, text=True, stdout=subprocess.PIPE).stdout
    found = dict(re.findall(r'^(Acquire::(?:Check-|http|ForceIPv)\S+) "(.+)";$', dump, re.M))
    for kind in ("http", "https"):
        if os.environ.get(f"{kind}_proxy"):
            found.setdefault(f"Acquire::{kind}::Proxy", os.environ[f"{kind}_proxy"])
    return ['Acquire::Languages "none";', *(f'{key} "{seen_from_guest(value)}";' for key, value in found.items())]


class Debian:
    """A running machine. @image: its disk. @boot: (kernel, initial RAM disk). @key: file with ssh's private key. @root: what Linux calls the disk."""

    def __init__(self, image, boot, key, *options, root="LABEL=debian", board="virt"):
        self.key, self.address = key, None
        self.begin = time.monotonic()
        self.console = Console([machine.PROGRAM, "-M", board, "-m", "1G", "-smp", "2", "-nographic", "-kernel", boot[0],
                                "-initrd", boot[1], "-append", f"root={root} console=ttyS0", "-drive",
                                f"file={image},format=qcow2,if=none,id=root", "-device", "virtio-blk-device,drive=root", *options])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.console.close()

    def login(self):
        """On the console."""
        self.console.expect(r"login: ", machine.limit(600))
        self.console.line("root")
        self.console.expect(PROMPT, machine.limit(120))
        self.type("stty cols 1000")

    def type(self, command, seconds=60):
        """What a command prints that is typed on the console, which must succeed. Of several lines the last must be soon at its end: what
        is typed before is lost if a program flushes its input."""
        begin = self.console.seen
        if "\n" in command:
            for line in command.splitlines():
                self.console.line(line)
            command = "(exit $?)"
        self.console.line(f"{command}; echo STATUS $?")
        status = self.console.expect(r"^STATUS (\d+)$", machine.limit(seconds))
        text = self.console.text[begin:status.start()]
        self.console.expect(PROMPT, machine.limit(60))
        assert status[1] == "0", f"{command}: {text[-2000:]}"
        return text

    def ssh_words(self, program, port_option):
        host, port = self.address
        return [program, "-q", "-i", self.key, port_option, str(port), "-o", "StrictHostKeyChecking=no", "-o",
                "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"], f"root@{host}"

    def connect(self, address):
        """Where ssh is to be found (host, port); waits for it. Seconds since the start."""
        self.address = address
        words, where = self.ssh_words("ssh", "-p")
        deadline = time.monotonic() + machine.limit(300)
        while subprocess.run([*words, where, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline or self.console.process.poll() is not None:
                self.console.expect("ssh answers", 0)
            self.console.drain()
            time.sleep(1)
        return time.monotonic() - self.begin

    def ssh(self, command, seconds=120, check=True):
        """What a command prints."""
        words, where = self.ssh_words("ssh", "-p")
        p = subprocess.run([*words, where, command], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=machine.limit(seconds), stdin=subprocess.DEVNULL)
        self.console.drain()
        assert not check or p.returncode == 0, f"{command}: status {p.returncode}: {p.stdout[-2000:]}"
        return p.stdout

    def scp(self, source, to, seconds=900):
        """Copies a file; ":PATH" is in the guest."""
        words, where = self.ssh_words("scp", "-P")
        names = [where + name if name.startswith(":") else name for name in (source, to)]
        p = subprocess.run([*words, *names], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=machine.limit(seconds), stdin=subprocess.DEVNULL)
        self.console.drain()
        assert p.returncode == 0, f"scp {source} {to}: {p.stdout}"

    def power_off(self):
        if self.address:
            self.ssh("systemctl poweroff", check=False)
        else:
            self.console.line("systemctl poweroff")
        status = self.console.wait(machine.limit(180))
        assert status == 0, f"exit status {status}"
