#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cross-checks target/riscv/*.isa with GNU binutils: random words of every table line must have that line's mnemonic there.

Exit status 77 (skipped) without binutils for RISC-V. Extensions that these do not know are listed and left out.
"""
import importlib.util
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..')
spec = importlib.util.spec_from_file_location('isa_gen', os.path.join(ROOT, 'tools', 'isa-gen.py'))
isa_gen = importlib.util.module_from_spec(spec)
spec.loader.exec_module(isa_gen)

PREFIXES = ['riscv64-linux-gnu-', 'riscv64-unknown-elf-', 'riscv64-unknown-linux-gnu-']
EXTENSIONS = ['zicsr', 'zifencei', 'zicbom', 'zicbop', 'zicboz', 'zicond', 'zawrs', 'zfa', 'zfhmin', 'zfh', 'zcb', 'zba', 'zbb', 'zbc',
              'zbs', 'zbkb', 'zbkc', 'zbkx', 'svinval']
WORDS = 40                              # of each line

# Parts of an instruction's space, and hints, for which objdump has another name.
ALIASES = {
    'fence': {'fence.tso', 'pause'}, 'ori': {'prefetch.i', 'prefetch.r', 'prefetch.w'}, 'c.addi': {'c.nop'},
    'c.add': {'c.ntl.p1', 'c.ntl.pall', 'c.ntl.s1', 'c.ntl.all'}, 'add': {'ntl.p1', 'ntl.pall', 'ntl.s1', 'ntl.all'},
    'pack': {'zext.h'}, 'packw': {'zext.h'}, 'add.uw': {'zext.w'}, 'c.srli': {'c.srli64'}, 'c.srai': {'c.srai64'},
    'c.slli': {'c.slli64'},
}


# Fields that are reserved, for us ignored: objdump wants them 0.
RESERVED = {'fence': 0xf00f8f80, 'fence.i': 0xffff8f80}


def random_word(pattern, rng):
    while True:
        word = (rng.getrandbits(pattern.width) & ~pattern.mask) | pattern.match
        if any(word & m == bits for m, bits in pattern.unequal):
            continue
        if any(word & s.mask == s.match for s in pattern.special):
            continue
        if 'rm' in pattern.format.operands:
            exact = pattern.name in ('fcvt.d.s', 'fcvt.d.w', 'fcvt.d.wu', 'fcvt.s.h', 'fcvt.d.h')
            word = word & ~0x7000 | (0 if exact else rng.choice([0, 1, 2, 3, 4, 7])) << 12
        return word & ~RESERVED.get(pattern.name, 0)


def make_object(tool, directory, words, rv32):
    """An object file with the words as code, each in a slot of 4 bytes, for a hart with all extensions that the assembler knows."""
    base, abi = ('rv32', 'ilp32d') if rv32 else ('rv64', 'lp64d')
    arch, source, obj, code = base + 'gc', *(os.path.join(directory, name) for name in ('a.s', 'a.o', 'a.bin'))
    with open(source, 'w', encoding='utf-8') as f:
        f.write('nop\n')
    for ext in [''] + EXTENSIONS:
        longer = arch + ('_' + ext if ext else '')
        if subprocess.run([tool('as'), '-march=' + longer, '-mabi=' + abi, source, '-o', obj], capture_output=True,
                          check=False).returncode == 0:
            arch = longer
    subprocess.run([tool('as'), '-march=' + arch, '-mabi=' + abi, source, '-o', obj], check=True)
    with open(code, 'wb') as f:
        for word, width in words:
            f.write(struct.pack('<HH', word, 1) if width == 16 else struct.pack('<I', word))
    subprocess.run([tool('objcopy'), '--update-section', '.text=' + code, obj], check=True)
    return obj


def disassemble(tool, words, rv32):
    """Mnemonics of (word, width) pairs; None: unknown."""
    with tempfile.TemporaryDirectory() as directory:
        text = subprocess.run([tool('objdump'), '-d', '-z', '-M', 'no-aliases', make_object(tool, directory, words, rv32)],
                              capture_output=True, text=True, check=True).stdout
    found = {}
    for m in re.finditer(r'^\s*([0-9a-f]+):\s+([0-9a-f]+)\s+(\S+)', text, re.M):
        found[int(m[1], 16)] = m[3]
    names = [found.get(4 * n, '.') for n in range(len(words))]
    return [None if name[0] in '.0' or name == 'unimp' else name for name in names]


def same(pattern, name):
    name = re.sub(r'\.(aq|rl|aqrl)$', '', name)
    return name in {pattern.name, pattern.target} or name in ALIASES.get(pattern.name, ())


def check_lines(tool, patterns, rv32, rng):
    """Number of wrong lines."""
    patterns = [p for p in patterns if any(('rv64' if rv32 else 'rv32') not in a for a in p.exts)]
    words = [(random_word(p, rng), p.width) for p in patterns for _ in range(WORDS)]
    names = disassemble(tool, words, rv32)
    wrong, unknown = 0, {}
    for n, p in enumerate(patterns):
        got = names[n * WORDS:(n + 1) * WORDS]
        if all(name is None for name in got):
            unknown.setdefault(' '.join('+'.join(a) for a in p.exts), []).append(p.name)
            continue
        for (word, _), name in zip(words[n * WORDS:], got):
            if name is None or not same(p, name):
                print(f'{"rv32" if rv32 else "rv64"} {p.name}: {word:#x} is {name}')
                wrong += 1
                break
    for exts, lines in unknown.items():
        print(f'# {"rv32" if rv32 else "rv64"}: objdump does not know {exts}: {" ".join(lines)}')
    return wrong


def main():
    prefix = next((p for p in PREFIXES if all(shutil.which(p + name) for name in ('as', 'objcopy', 'objdump'))), None)
    if not prefix:
        print('no binutils for RISC-V')
        return 77
    rng = random.Random(1)
    patterns = []
    for name in ('rv.isa', 'rvc.isa'):
        with open(os.path.join(ROOT, 'target', 'riscv', name), encoding='utf-8') as f:
            patterns += isa_gen.all_patterns(isa_gen.Isa(f.read(), name))
    return 1 if sum(check_lines(lambda name: prefix + name, patterns, rv32, rng) for rv32 in (False, True)) else 0


if __name__ == '__main__':
    sys.exit(main())
