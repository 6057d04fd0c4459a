# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/guests.py is made of: packages (debian), initial RAM disks (initramfs), disks (disks, rootfs)."""
