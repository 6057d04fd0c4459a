# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of any Debian suite and architecture, fetched by apt, away from this machine's own package state.

apt checks the archive's signature with Debian's keyring and each file's hash, and continues broken downloads. The
mirror is the one that this machine's apt is set up with. Everything lies under the cache folder: apt/SUITE-ARCH (lists
and state), debs (packages, kept for good), trees/SUITE-ARCH/NAME_VERSION (packages unpacked; no script of theirs is run).
"""
import os
import re
import shutil
import subprocess
import sys

HELPER = "/usr/lib/apt/apt-helper"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class GuestError(Exception):
    """What the user is told, without a traceback."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def need(*programs):
    """Refuses to go on without these programs, naming the one line that helps."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise GuestError(f"{missing[0]}: not found; install what tools/packages.txt lists: tools/install-deps.sh")


def run(words, text=None):
    """Runs a program that has nothing to say unless it fails. @text: its standard input."""
    p = subprocess.run(words, input=text, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        raise GuestError(f"{os.path.basename(words[0])} failed: {p.stdout.strip()[-400:]}")


def mirror():
    """The archive's address: $MENURA_MIRROR, else where this machine gets its own release from."""
    if os.environ.get("MENURA_MIRROR"):
        return os.environ["MENURA_MIRROR"]
    need("apt-get")
    with open("/etc/os-release", encoding="utf-8") as f:
        release = re.search(r"^VERSION_CODENAME=\"?(\w+)", f.read(), re.M)
    out = subprocess.run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    rows = [line.split() for line in out.splitlines() if len(line.split()) == 2]
    for name, uri in rows:
        if release and name == release[1]:
            return uri
    raise GuestError("apt: its sources name no Debian archive; set MENURA_MIRROR to one")


class Archive:
    """One suite and architecture."""

    def __init__(self, cache, suite, arch):
        self.cache, self.suite, self.arch = cache, suite, arch
        self.state = os.path.join(cache, "apt", f"{suite}-{arch}")
        self.debs = os.path.join(cache, "debs")
        self.trees = os.path.join(cache, "trees", f"{suite}-{arch}")

    def _options(self):
        """apt's options that keep it inside the cache folder."""
        own = {
            "Dir::Etc::SourceList": f"{self.state}/sources.list", "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": self.state, "Dir::State::Lists": f"{self.state}/lists",
            "Dir::State::status": f"{self.state}/status", "Dir::Cache": f"{self.state}/cache",
            "APT::Architecture": self.arch, "APT::Architectures": self.arch,
            "Acquire::Languages": "none", "APT::Install-Recommends": "0", "APT::Sandbox::User": "",
            "Acquire::Retries": "3", "Debug::NoLocking": "1",
        }
        words = []
        for key, value in own.items():
            words += ["-o", f"{key}={value}"]
        return words

    def _apt(self, program, *words, show=False, check=True):
        """Runs apt; @show: its progress goes to the user, else its output is returned."""
        quiet = ["-q"] if not show else [] if sys.stderr.isatty() else ["-qq"]
        p = subprocess.run([program, *quiet, *self._options(), *words], cwd=self.state, text=True, check=False,
                           stdout=sys.stderr if show else subprocess.PIPE,
                           stderr=None if show else subprocess.PIPE)
        if check and p.returncode:
            raise GuestError(f"{program} {words[0]} ({self.suite} {self.arch}) failed" +
                             ("" if show else ": " + p.stderr.strip()[-400:]))
        return p

    def update(self):
        """Fetches the package lists (about 10 MB)."""
        need("apt-get", "apt-cache", "dpkg-deb")
        if not os.path.exists(KEYRING):
            raise GuestError(f"{KEYRING}: not there; install debian-archive-keyring")
        for d in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.state, d), exist_ok=True)
        open(os.path.join(self.state, "status"), "a", encoding="utf-8").close()
        with open(os.path.join(self.state, "sources.list"), "w", encoding="utf-8") as f:
            f.write(f"deb [signed-by={KEYRING}] {mirror()} {self.suite} main\n")
        say(f"package lists of Debian {self.suite}, {self.arch}:")
        self._apt("apt-get", "update", show=True)
        # Warnings about unreachable servers do not fail an update, so look.
        if not self.has_lists():
            raise GuestError(f"no package lists of Debian {self.suite} ({self.arch}) could be fetched")

    def has_lists(self):
        """Package lists are here."""
        lists = os.path.join(self.state, "lists")
        return os.path.isdir(lists) and any("_Packages" in name for name in os.listdir(lists))

    def _ready(self):
        if not self.has_lists():
            self.update()

    def depends(self, package):
        """Names that @package depends on directly."""
        self._ready()
        out = self._apt("apt-cache", "depends", "--important", package).stdout
        return re.findall(r"^ *\|?Depends: (\S+)", out, re.M)

    def _files(self, packages, with_depends):
        """(name, size, address, hash) of the .debs, from the signed lists."""
        verb = ["-y", "install"] if with_depends else ["download"]
        # In and with empty folders, or apt leaves out what is there.
        out = self._apt("apt-get", "--print-uris", "-qq", *verb, *packages).stdout
        rows = [line.split() for line in out.splitlines() if line.startswith("'")]
        return [(row[1], int(row[2]), row[0].strip("'"), row[3]) for row in rows]

    def _missing(self, packages, with_depends):
        files = self._files(packages, with_depends)
        return [f for f in files if not os.path.exists(os.path.join(self.debs, f[0]))]

    def fetch(self, packages, with_depends=False):
        """The packages' files (with all they depend on), downloaded if they are not there yet."""
        self._ready()
        missing = self._missing(packages, with_depends)
        if missing and not self._download(missing):
            self.update()       # perhaps the archive moved on since the lists were fetched
            if not self._download(self._missing(packages, with_depends)):
                raise GuestError("the download failed; try again, it goes on where it stopped")
        return [os.path.join(self.debs, f[0]) for f in self._files(packages, with_depends)]

    def _download(self, files):
        """A broken download stays in "incoming", where apt goes on with it; what is whole and has the right hash moves out."""
        incoming = os.path.join(self.debs, "incoming")
        os.makedirs(incoming, exist_ok=True)
        say(f"downloading {len(files)} package{'s' * (len(files) != 1)}, {sum(f[1] for f in files) / 1e6:.1f} MB")
        for name, size, address, digest in files:
            path = os.path.join(incoming, name)
            p = self._apt(HELPER, "download-file", address, path, digest, show=True, check=False)
            if p.returncode or not os.path.exists(path) or os.path.getsize(path) != size:
                return False
            os.rename(path, os.path.join(self.debs, name))
        return True

    def unpack(self, package, *more):
        """A folder with the package's files, and those of @more."""
        debs = self.fetch([package, *more])
        first, = (deb for deb in debs if os.path.basename(deb).startswith(package + "_"))
        tree = os.path.join(self.trees, os.path.basename(first)[:-len(".deb")])
        if not os.path.isdir(tree):
            shutil.rmtree(tree + ".part", ignore_errors=True)
            os.makedirs(tree + ".part")
            for deb in debs:
                run(["dpkg-deb", "-x", deb, tree + ".part"])
            os.rename(tree + ".part", tree)
        return tree
