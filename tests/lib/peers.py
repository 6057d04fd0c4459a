# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of menura's image tools beside qemu's share: a folder, running programs in it, disks to start from."""
import os
import random
import shutil
import subprocess

MIB = 1 << 20
SIZE = 24 * MIB
LIMIT = 120     # seconds, for one program
ROOM = 2 << 30


def memory():
    """A folder in memory with room for images, or None: flushes, and what is written again and again, cost nothing there."""
    shm = "/dev/shm"
    return shm if os.access(shm, os.W_OK) and shutil.disk_usage(shm).free >= ROOM else None


class Peers:
    """@ours: menura-img."""

    def __init__(self, ours, folder):
        self.ours = ours
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *words, status=(0,)):
        """What the program writes; its exit status must be one of these."""
        p = subprocess.run(words, cwd=self.folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=LIMIT)
        assert p.returncode in status, f"{' '.join(words)}: {p.returncode}: {p.stdout}"
        return p.stdout

    def source(self, seed, size=SIZE):
        """A raw disk with holes, and things that do and do not compress."""
        rng = random.Random(seed)
        path = self.path(f"source-{seed}")
        with open(path, "wb") as f:
            f.truncate(size)
            for _ in range(60):
                f.seek(rng.randrange(size // 512) * 512)
                n = min(rng.choice([512, 4096, 65536, 300032]), size - f.tell())
                f.write(rng.randbytes(n) if rng.random() < 0.5 else bytes([rng.randrange(256)]) * n)
        return path
