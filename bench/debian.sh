# SPDX-License-Identifier: GPL-2.0-or-later
# The "debian" group of bench/run.py, run in the guest by a shell whose root is bench.img. One line a program: its name and
# a shell command whose output is checked. Each takes 1-5 s under the peer.
export PATH=/usr/bin:/usr/sbin HOME=/root LC_ALL=C PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
cd /tmp
run() {
    ./kernels --run "$1" "$2"
}
# Once, so that reading the programs from the disk is nobody's time.
for warm in 'python3 -c 0' 'sqlite3 :memory: .exit' 'zstd -V' 'xz -V' 'openssl version' 'cc1 -version /dev/null -o /dev/null' \
    'riscv64-linux-gnu-as --version' 'perl -e 0' 'awk 1 /dev/null' '7z -h' 'lame --help' 'tachyon-nox' 'hackbench -h'; do
    $warm </dev/null >/dev/null 2>&1
done
run python-compile 'python3 -S compile.py'
run python-program 'python3 -S work.py'
run sqlite3 'sqlite3 /var/bench.db <work.sql'
run zstd 'zstd -q -9 --single-thread -c text'
run xz 'xz -3 -T1 -c text'
run openssl-sha256 'openssl dgst -sha256 text text text text text text text text text text'
run gcc 'cc1 -quiet -fpreprocessed -march=rv64gc -mabi=lp64d -O2 program.c -o program.s &&
    riscv64-linux-gnu-as program.s -o program.o && cat program.s'
run 7zip '7z a -txz -mx=5 -mmt=1 -bd -so text.xz text 2>/dev/null'
run lame 'lame --quiet -b 128 tune.wav -'
run tachyon 'tachyon-nox scene.dat -res 256 192 -numthreads 1 -format PPM -o scene.ppm >/dev/null && cat scene.ppm'
run hackbench 'hackbench -g 2 -l 100 >/dev/null && echo done'
run perl 'perl work.pl text'
run awk 'awk -f work.awk text'
run busybox-sort 'busybox sort -k3,3 -k1,1n text'
run busybox-grep 'busybox grep -E "(ka|to)[a-z]*mi .*[0-9]5$" text'
