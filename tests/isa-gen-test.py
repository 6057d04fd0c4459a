#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of tools/isa-gen.py: tables that must be refused, and a decoder that is compiled and compared with the tables.

Usage: isa-gen-test.py [C compiler]
"""
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('isa_gen', os.path.join(HERE, '..', 'tools', 'isa-gen.py'))
isa_gen = importlib.util.module_from_spec(spec)
spec.loader.exec_module(isa_gen)

COMPILER = 'cc'

HEAD = '''
width 16
field rd 11:8
field rs 7:4
field i4 s7:4 <<1
field sc s12 3:2 11 +4
format R rd rs
format I rd imm=i4
format N rd
ext a
'''

REFUSED = [
    ('overlap', 'x 0000 .... .... 0000 @R\ny 0000 .... 0000 0000 @N', 'y overlaps x'),
    ('overlap with itself', 'x 0000 .... .... 0000 @R\nx 0000 .... .... 0000 @R', 'x overlaps x'),
    ('unread bits', 'x 0000 .... .... 0000 @N', 'x leaves bits unread: 0xf0'),
    ('unread without a format', 'x 000000000000000.', 'x leaves bits unread: 0x1'),
    ('unknown format', 'x 0000 .... .... 0000 @Q', 'unknown format Q'),
    ('unknown field in a format', 'format Q rd foo', 'unknown field foo'),
    ('unknown field in a constraint', 'x 0000 .... .... 0000 @R foo!=0', 'unknown field foo'),
    ('constraint on a fixed operand', 'format Q rd rs=3\nx 0000 .... 0000 0000 @Q rs!=0', 'unknown field rs'),
    ('impossible constraint', 'x 0000 .... .... 0000 @R rd!=16', 'rd never is 16'),
    ('constraint below the shift', 'x 0000 .... .... 0000 @I imm!=3', 'imm never is 3'),
    ('too few bits', 'x 0000 .... .... 000 @R', 'x has 15 bits, not 16'),
    ('too many bits', 'x 0000 .... .... 00000 @R', 'x has 17 bits, not 16'),
    ('rubbish', 'x 0000 .... .... 0000 @R what', '"what" is not understood'),
    ('special case outside', 'x 0000 .... .... 0000 @R\n  y 0001 .... 0000 0000 @N', 'y does not lie within x'),
    ('special cases overlap', 'x 0000 .... .... 0000 @R\n  y 0000 .... 0000 0000 @N\n  z 0000 0000 0000 0000',
     'z overlaps y'),
    ('special case of nothing', '  y 0001 .... 0000 0000 @N', 'y is indented but has nothing above it'),
    ('field twice', 'field rd 3:0', 'field rd twice'),
    ('format twice', 'format R rd', 'format R twice'),
    ('bit outside the width', 'field big 16:1', 'not within 16 bits'),
    ('reversed range', 'field big 1:3', 'not within 16 bits'),
    ('bit read twice', 'field big 3:1 2', 'reads one twice'),
    ('field without bits', 'field none', 'has no bits'),
    ('sign in the middle', 'field odd 3:1 s4', 'only the first bits can be signed'),
    ('no range', 'field odd a:b', 'is no bit range'),
    ('ext without a name', 'ext', 'ext without a name'),
    ('width', 'width 17', 'width must be 16 or 32'),
]

ACCEPTED = [
    ('told apart by a constraint', 'x 0000 .... .... 0000 @R rs!=0\ny 0000 .... 0000 0000 @N'),
    ('told apart by the base', 'ext a+rv32\nx 0000 .... .... 0000 @R\next a+rv64\ny 0000 .... .... 0000 @R'),
    ('special case', 'x 0000 .... .... 0000 @R\n  y 0000 .... 0000 0000 @N'),
]


class Refused(unittest.TestCase):
    def test_refused(self):
        for title, text, message in REFUSED:
            with self.subTest(title):
                with self.assertRaisesRegex(isa_gen.IsaError, re.escape(message)):
                    isa_gen.Isa(HEAD + text)

    def test_error_names_the_line(self):
        with self.assertRaisesRegex(isa_gen.IsaError, r'^t\.isa:2: '):
            isa_gen.Isa('width 16\nfield a 99\n', 't.isa')

    def test_before_ext(self):
        with self.assertRaisesRegex(isa_gen.IsaError, 'before any ext line'):
            isa_gen.Isa('width 16\nx 0000000000000000')

    def test_accepted(self):
        for title, text in ACCEPTED:
            with self.subTest(title):
                isa_gen.Isa(HEAD + text)

    def test_base_does_not_excuse_other_overlaps(self):
        with self.assertRaises(isa_gen.IsaError):
            isa_gen.Isa(HEAD + 'ext a\nx 0000 .... .... 0000 @R\next a+rv64\ny 0000 .... .... 0000 @R')

    def test_command_fails_and_writes_nothing(self):
        with tempfile.TemporaryDirectory() as tmp:
            name = os.path.join(tmp, 'bad.isa')
            with open(name, 'w', encoding='utf-8') as f:
                f.write(HEAD + 'x 0000 .... .... 0000 @N')
            run = subprocess.run([sys.executable, isa_gen.__file__, '--prefix', 'tt', '--header', name + '.h', name],
                                 capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn('bad.isa:11: x leaves bits unread', run.stderr)
            self.assertFalse(os.path.exists(name + '.h'))


class Fields(unittest.TestCase):
    def test_encode(self):
        field = isa_gen.Isa(HEAD).fields['sc']
        self.assertEqual(field.encode(4), 0)
        self.assertEqual(field.encode(3), 1 << 12 | 3 << 2 | 1 << 11)
        self.assertEqual(field.encode(4 + 7), 3 << 2 | 1 << 11)
        self.assertIsNone(field.encode(4 + 8))
        self.assertIsNone(field.encode(-5))


def extract(field, word):
    """The field's value, from its definition."""
    value = 0
    for hi, lo in field.parts:
        value = value << (hi - lo + 1) | (word >> lo & ((1 << (hi - lo + 1)) - 1))
    if field.signed and value >> (field.bits() - 1):
        value -= 1 << field.bits()
    return (value << field.shift) + field.add


def reference(isa, word, exts):
    """What a decoder must make of @word: 'name operand=value ...', or 'illegal'."""
    for pattern in isa_gen.all_patterns(isa):
        if word & pattern.mask != pattern.match or any(word & m == bits for m, bits in pattern.unequal):
            continue
        if not any(set(alternative) <= exts for alternative in pattern.exts):
            continue
        operands = [f'{name}={extract(s, word) if isinstance(s, isa_gen.Field) else s}'
                    for name, s in sorted(pattern.format.operands.items())]
        return ' '.join([re.sub(r'\W', '_', pattern.target)] + operands)
    return 'illegal'


DECODED = HEAD + '''
field b0 0
format T rd rs low=b0
format S rd=0 rs=7 imm=sc n=i4 low=b0
add     0000 .... .... 0000 @R
  clr   0000 .... 0000 0000 @N
addi    0001 .... .... 0000 @I imm!=-2
sub.w   0000 .... .... 0001 @R rd!=3 rs!=0
ext b+c d
mul     0000 .... .... 0010 @R
st      0110 .... .... 001. @T =store
st.sp   100. 1000 .... ..0. @S =store_sp
'''


def c_program(isa):
    """A main() that reads words and prints what the decoder calls."""
    out = ['#include <stdio.h>', '#include "d.h"']
    targets = {}
    for pattern in isa_gen.all_patterns(isa):
        targets.setdefault(pattern.target, pattern.format.operands)
    for target, operands in targets.items():
        name = re.sub(r'\W', '_', target)
        prints = ''.join(f' printf(" {o}=%d", (int)i->{o});' for o in sorted(operands))
        out.append(f'bool tt_tr_{name}(TtTrans *t, const TtInsn *i) {{ (void)i; printf("{name}");{prints} return true; }}')
    out.append('''int main(void)
{
    unsigned long long exts;
    unsigned w;
    while (scanf("%llx %x", &exts, &w) == 2) {
        if (!tt_decode16(0, exts, w)) printf("illegal");
        puts("");
    }
    return 0;
}''')
    return '\n'.join(out)


class Decoder(unittest.TestCase):
    def test_against_the_tables(self):
        isa = isa_gen.Isa(DECODED)
        names = ['a', 'b', 'c', 'd']
        rng = random.Random(1)
        words = list(range(0, 0x10000, 3)) + [rng.randrange(0x10000) for _ in range(1000)]
        cases = [(set(n for n in names if rng.random() < 0.7), w) for w in words]
        with tempfile.TemporaryDirectory() as tmp:
            def path(name):
                return os.path.join(tmp, name)
            with open(path('t.isa'), 'w', encoding='utf-8') as f:
                f.write(DECODED)
            with open(path('ext.h'), 'w', encoding='utf-8') as f:
                f.write('enum { TT_EXT_A, TT_EXT_B, TT_EXT_C, TT_EXT_D };\n')
                f.write('typedef struct TtIsaEntry { const char *name; uint32_t mask, match;\n'
                        'struct { uint32_t mask, bits; } unequal[2]; uint8_t width;\n'
                        'const char *format, *exts, *operation; uint64_t need[4]; const char *target;\n'
                        'void (*get)(struct TtInsn *i, uint32_t w); } TtIsaEntry;\n')
            with open(path('main.c'), 'w', encoding='utf-8') as f:
                f.write(c_program(isa))
            self.assertEqual(isa_gen.main(['--prefix', 'tt', '--header', path('d.h'), '--source', path('d.c'), '--include',
                                           'd.h', '--include', 'ext.h', '--list', path('d.md'), path('t.isa')]), 0)
            subprocess.run([COMPILER, '-Wall', '-Werror', '-o', path('main'), path('main.c'), path('d.c')], check=True)
            text = ''.join(f'{sum(1 << names.index(e) for e in exts):x} {w:x}\n' for exts, w in cases)
            run = subprocess.run([path('main')], input=text, capture_output=True, text=True, check=True)
        for (exts, w), got in zip(cases, run.stdout.splitlines()):
            self.assertEqual(got, reference(isa, w, exts), f'{w:#x} with {exts}')


if __name__ == '__main__':
    if len(sys.argv) > 1 and not sys.argv[1].startswith('-'):
        COMPILER = sys.argv.pop(1)
    unittest.main()
