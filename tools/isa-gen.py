#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes an instruction decoder in C from .isa tables.

    isa-gen.py --prefix rv --header OUT.h --source OUT.c [--list OUT.md] --include H.h... A.isa B.isa...

An .isa file describes the instructions of one width. One item a line; # starts a comment:

    width  32
    field  b13 s31 7 30:25 11:8 <<1     bits from high to low; s: the first bit is a sign; <<n: shifted left; +n: n added
    format B   rs1 rs2 imm=b13          operands: a field of that name, operand=field, or operand=number
    ext    zbb zbkb+rv64                the lines below need (zbb) or (zbkb and rv64)
    sh1add 0010000 ..... ..... 010 ..... 0110011 @R      # rd = rs2 + (rs1 << 1)
    c.jr   100 0 ..... 00000 10 @CR rs1!=0 =jalr          # constraint on a field; translated by rv_tr_jalr

The comment behind an instruction is its pseudo-code. An indented instruction is a special case of the unindented one
above it: it lies within that one's bits and is tried first. All other overlaps are refused, and so are bits (dots) that no
operand of the format reads, fields and formats that do not exist.

Made are, for prefix rv: struct RvInsn with the operands and the prototypes rv_tr_<name>() in the header; in the source,
one decoder a width, bool rv_decode<width>(RvTrans *, uint64_t exts, uint32_t word), and the table rv_isa_table[], whose
entries also have the function that takes the operands out of a word (or NULL: there are none). The headers named by
--include give the source that header, the extensions' bits (RV_EXT_<NAME>) and struct RvIsaEntry.
"""
import argparse
import collections
import re
import sys


class IsaError(Exception):
    pass


class Field:
    """Bit ranges of the word, from high to low, that make one number."""

    def __init__(self, name, parts, signed, shift, add):
        self.name, self.parts, self.signed, self.shift, self.add = name, parts, signed, shift, add

    def mask(self):
        return sum(((1 << (hi - lo + 1)) - 1) << lo for hi, lo in self.parts)

    def bits(self):
        return sum(hi - lo + 1 for hi, lo in self.parts)

    def encode(self, value):
        """The bits of the word for @value, or None if it cannot be had."""
        value -= self.add
        if value & ((1 << self.shift) - 1):
            return None
        value >>= self.shift
        low, high = (-(1 << (self.bits() - 1)), 1 << (self.bits() - 1)) if self.signed else (0, 1 << self.bits())
        if not low <= value < high:
            return None
        word = 0
        for hi, lo in reversed(self.parts):
            width = hi - lo + 1
            word |= (value & ((1 << width) - 1)) << lo
            value >>= width
        return word

    def c_expr(self):
        """C that takes the field out of w."""
        terms, left = [], self.bits()
        for n, (hi, lo) in enumerate(self.parts):
            width = hi - lo + 1
            left -= width
            up = f' << {left + self.shift}' if left + self.shift else ''
            if n == 0 and self.signed:
                terms.append(f'(uint32_t)((int32_t)(w << {31 - hi}) >> {32 - width}){up}')
            else:
                terms.append(f'(w >> {lo} & {(1 << width) - 1:#x}){up}')
        expr = ' | '.join(f'({t})' if len(self.parts) > 1 else t for t in terms)
        return f'({expr}) + {self.add}' if self.add else expr


class Format:
    """Operand name -> Field or number."""

    def __init__(self, name, operands):
        self.name, self.operands = name, operands

    def mask(self):
        mask = 0
        for source in self.operands.values():
            if isinstance(source, Field):
                mask |= source.mask()
        return mask


class Pattern:
    """One instruction: fixed bits, format, constraints."""

    def __init__(self, name, width, mask, match, fmt, unequal, target, exts, text, comment, where):
        self.name, self.width, self.mask, self.match, self.format = name, width, mask, match, fmt
        self.unequal = unequal          # (mask, bits): those bits of the word must differ
        self.target, self.exts, self.text, self.comment, self.where = target, exts, text, comment, where
        self.special = []

    def disjoint(self, other):
        """No word is an instruction of both."""
        common = self.mask & other.mask
        if (self.match ^ other.match) & common:
            return True
        for a, b in ((self, other), (other, self)):
            for mask, bits in a.unequal:
                if b.mask & mask == mask and b.match & mask == bits:
                    return True
        return not self.extensions_meet(other)

    def extensions_meet(self, other):
        """Some pair of alternatives is not told apart by rv32/rv64."""
        return any(not {'rv32', 'rv64'} <= set(a) | set(b) for a in self.exts for b in other.exts)


def parse_range(text, width, where):
    m = re.fullmatch(r'(\d+)(?::(\d+))?', text)
    if not m:
        raise IsaError(f'{where}: "{text}" is no bit range')
    hi = int(m[1])
    lo = int(m[2]) if m[2] else hi
    if hi < lo or hi >= width:
        raise IsaError(f'{where}: bit range {text} is not within {width} bits')
    return hi, lo


class Isa:
    """One parsed .isa file."""

    def __init__(self, text, filename='<isa>'):
        self.width, self.fields, self.formats, self.patterns = 32, {}, {}, []
        self.exts = None
        parent = None
        for number, line in enumerate(text.splitlines(), 1):
            where = f'{filename}:{number}'
            body, _, comment = line.partition('#')
            words = body.split()
            if not words:
                continue
            keyword = words[0]
            if keyword in ('width', 'field', 'format', 'ext'):
                getattr(self, 'parse_' + keyword)(words[1:], where)
                continue
            pattern = self.parse_pattern(words, comment.strip(), where)
            if line[0].isspace():
                self.add_special(parent, pattern, where)
            else:
                self.add_pattern(pattern, where)
                parent = pattern

    def parse_width(self, words, where):
        if words not in (['16'], ['32']):
            raise IsaError(f'{where}: width must be 16 or 32')
        self.width = int(words[0])

    def parse_field(self, words, where):
        name, parts, signed, shift, add = words[0], [], False, 0, 0
        if name in self.fields:
            raise IsaError(f'{where}: field {name} twice')
        for word in words[1:]:
            if word.startswith('<<'):
                shift = int(word[2:])
            elif word.startswith('+'):
                add = int(word[1:])
            else:
                if word.startswith('s'):
                    if parts:
                        raise IsaError(f'{where}: only the first bits can be signed')
                    signed, word = True, word[1:]
                parts.append(parse_range(word, self.width, where))
        field = Field(name, parts, signed, shift, add)
        if bin(field.mask()).count('1') != field.bits() or not parts:
            raise IsaError(f'{where}: field {name} has no bits or reads one twice')
        self.fields[name] = field

    def parse_format(self, words, where):
        if words[0] in self.formats:
            raise IsaError(f'{where}: format {words[0]} twice')
        operands = collections.OrderedDict()
        for word in words[1:]:
            name, _, source = word.partition('=')
            source = source or name
            if re.fullmatch(r'-?\d+', source):
                operands[name] = int(source)
            elif source in self.fields:
                operands[name] = self.fields[source]
            else:
                raise IsaError(f'{where}: unknown field {source}')
        self.formats[words[0]] = Format(words[0], operands)

    def parse_ext(self, words, where):
        if not words:
            raise IsaError(f'{where}: ext without a name')
        self.exts = [tuple(word.split('+')) for word in words]

    def parse_pattern(self, words, comment, where):
        name, bits, rest = words[0], '', words[1:]
        while rest and re.fullmatch(r'[01.]+', rest[0]):
            bits += rest.pop(0)
        if len(bits) != self.width:
            raise IsaError(f'{where}: {name} has {len(bits)} bits, not {self.width}')
        if self.exts is None:
            raise IsaError(f'{where}: {name} before any ext line')
        fmt, unequal, target = Format('', {}), [], name
        for word in rest:
            if word.startswith('@'):
                if word[1:] not in self.formats:
                    raise IsaError(f'{where}: unknown format {word[1:]}')
                fmt = self.formats[word[1:]]
            elif '!=' in word:
                unequal.append(word)
            elif word.startswith('='):
                target = word[1:]
            else:
                raise IsaError(f'{where}: "{word}" is not understood')
        mask = int(bits.replace('0', '1').replace('.', '0'), 2)
        match = int(bits.replace('.', '0'), 2)
        unequal = [self.parse_unequal(word, fmt, where) for word in unequal]
        unread = ~mask & ~fmt.mask() & ((1 << self.width) - 1)
        if unread:
            raise IsaError(f'{where}: {name} leaves bits unread: {unread:#x}')
        return Pattern(name, self.width, mask, match, fmt, unequal, target, self.exts, bits, comment, where)

    def parse_unequal(self, word, fmt, where):
        name, _, value = word.partition('!=')
        field = fmt.operands.get(name)
        if not isinstance(field, Field):
            raise IsaError(f'{where}: unknown field {name} in {word}')
        bits = field.encode(int(value, 0))
        if bits is None:
            raise IsaError(f'{where}: {name} never is {value}')
        return field.mask(), bits

    def add_pattern(self, pattern, where):
        for other in self.patterns:
            if not pattern.disjoint(other):
                raise IsaError(f'{where}: {pattern.name} overlaps {other.name} ({other.where})')
        self.patterns.append(pattern)

    def add_special(self, parent, pattern, where):
        if not parent:
            raise IsaError(f'{where}: {pattern.name} is indented but has nothing above it')
        if parent.mask & ~pattern.mask or (parent.match ^ pattern.match) & parent.mask:
            raise IsaError(f'{where}: {pattern.name} does not lie within {parent.name}')
        for other in parent.special:
            if not pattern.disjoint(other):
                raise IsaError(f'{where}: {pattern.name} overlaps {other.name} ({other.where})')
        parent.special.append(pattern)


def all_patterns(isa):
    for pattern in isa.patterns:
        yield from pattern.special
        yield pattern


class Writer:
    """The C text of several Isas of one instruction set."""

    def __init__(self, prefix, isas):
        self.p, self.isas = prefix, isas
        self.P = prefix.capitalize()
        self.operands = self.operand_types()

    def operand_types(self):
        """Operand -> C type; one signedness in all formats."""
        signs, sizes = {}, collections.OrderedDict()
        for isa in self.isas:
            for fmt in isa.formats.values():
                for name, source in fmt.operands.items():
                    if isinstance(source, Field):
                        bits = source.bits() + source.shift
                        signs.setdefault(name, set()).add(source.signed)
                    else:
                        bits = source.bit_length()
                    sizes[name] = max(sizes.get(name, 0), bits)
        types = collections.OrderedDict()
        for name, bits in sizes.items():
            if True in signs.get(name, ()) or bits > 16:
                types[name] = 'int32_t'
            else:
                types[name] = 'uint8_t' if bits <= 8 else 'uint16_t'
        return types

    def c_name(self, name):
        return f'{self.p}_tr_' + re.sub(r'\W', '_', name)

    def targets(self):
        """Translation function -> the pseudo-code of its first instruction."""
        result = collections.OrderedDict()
        for isa in self.isas:
            for pattern in all_patterns(isa):
                result.setdefault(self.c_name(pattern.target), f'{pattern.name}: {pattern.comment}')
        return result

    def header(self):
        guard = f'{self.p.upper()}_DECODE_H'
        out = ['/* Made by tools/isa-gen.py; do not edit. */', f'#ifndef {guard}', f'#define {guard}', '',
               '#include <stdbool.h>', '#include <stdint.h>', '', f'typedef struct {self.P}Trans {self.P}Trans;', '',
               '/* The operands; only those of the insn\'s format are set. */', f'typedef struct {self.P}Insn {{']
        out += [f'    {ctype} {name};' for name, ctype in
                sorted(self.operands.items(), key=lambda item: {'int32_t': 0, 'uint16_t': 1, 'uint8_t': 2}[item[1]])]
        out += [f'}} {self.P}Insn;', '']
        for name, comment in self.targets().items():
            out += [f'/* {comment} */', f'bool {name}({self.P}Trans *t, const {self.P}Insn *i);']
        out += ['', '/* Decodes and translates a word; @exts: bits of the extensions. False: illegal instruction. */']
        out += [f'bool {self.p}_decode{isa.width}({self.P}Trans *t, uint64_t exts, uint32_t w);' for isa in self.isas]
        out += ['', '#endif', '']
        return '\n'.join(out)

    def ext_bits(self, alternative):
        return ' | '.join(f'1ull << {self.p.upper()}_EXT_{name.upper()}' for name in alternative)

    def ext_test(self, exts):
        tests = []
        for alternative in exts:
            bits = self.ext_bits(alternative)
            tests.append(f'exts & {bits}' if len(alternative) == 1 else f'(exts & ({bits})) == ({bits})')
        return tests[0] if len(tests) == 1 else '(' + ' || '.join(f'({t})' for t in tests) + ')'

    def extractor(self, isa, fmt):
        out = [f'static void get{isa.width}_{fmt.name}({self.P}Insn *i, uint32_t w)', '{']
        out += ['    (void)w;'] if not fmt.mask() else []
        for name, source in fmt.operands.items():
            value = source.c_expr() if isinstance(source, Field) else str(source)
            out.append(f'    i->{name} = ({self.operands[name]})({value});')
        return out + ['}', '']

    def leaf(self, isa, pattern, tested, indent):
        """Statements that try one pattern; bits of @tested were compared already."""
        pad, out = '    ' * indent, []
        tests = []
        mask = pattern.mask & ~tested
        if mask:
            tests.append(f'(w & {mask:#x}) == {pattern.match & mask:#x}')
        tests += [f'(w & {m:#x}) != {bits:#x}' for m, bits in pattern.unequal]
        tests.append(self.ext_test(pattern.exts))
        out.append(f'{pad}if ({" && ".join(tests)}) {{')
        if pattern.format.operands:
            out.append(f'{pad}    get{isa.width}_{pattern.format.name}(&i, w);')
        out += [f'{pad}    return {self.c_name(pattern.target)}(t, &i);', f'{pad}}}']
        return out

    def tree(self, isa, patterns, tested, indent):
        """Nested switches over the bits that all patterns fix, at the end a chain of tests."""
        common = (1 << isa.width) - 1
        for pattern in patterns:
            common &= pattern.mask
        hi, lo = best_run(patterns, common & ~tested)
        if hi is None:
            out = []
            for pattern in patterns:
                for one in pattern.special + [pattern]:
                    out += self.leaf(isa, one, tested, indent)
            return out
        mask = ((1 << (hi - lo + 1)) - 1)
        pad = '    ' * indent
        groups = collections.OrderedDict()
        for pattern in patterns:
            groups.setdefault(pattern.match >> lo & mask, []).append(pattern)
        out = [f'{pad}switch (w >> {lo} & {mask:#x}) {{']
        for value in sorted(groups):
            out.append(f'{pad}case {value:#x}:')
            out += self.tree(isa, groups[value], tested | mask << lo, indent + 1)
            out.append(f'{pad}    break;')
        return out + [pad + '}']

    def table(self):
        out = [f'const {self.P}IsaEntry {self.p}_isa_table[] = {{']
        count = 0
        for isa in self.isas:
            for q in all_patterns(isa):
                unequal = ', '.join(f'{{ {m:#x}, {b:#x} }}' for m, b in q.unequal)
                exts = ' '.join('+'.join(alternative) for alternative in q.exts)
                need = ', '.join(self.ext_bits(alternative) for alternative in q.exts)
                code = q.comment.replace('\\', '\\\\').replace('"', '\\"')
                get = f'get{isa.width}_{q.format.name}' if q.format.operands else 'NULL'
                out.append(f'    {{ "{q.name}", {q.mask:#x}, {q.match:#x}, {{ {unequal or "{ 0, 0 }"} }}, {isa.width}, '
                           f'"{q.format.name}", "{exts}", "{code}", {{ {need} }}, "{q.target}", {get} }},')
                count += 1
        return out + ['};', f'const unsigned {self.p}_n_isa = {count};', '']

    def source(self, includes):
        out = ['/* Made by tools/isa-gen.py; do not edit. */', '#include <stddef.h>']
        out += [f'#include "{name}"' for name in includes] + ['']
        for isa in self.isas:
            used = {q.format.name for q in all_patterns(isa)}
            for fmt in isa.formats.values():
                if fmt.name in used and fmt.operands:
                    out += self.extractor(isa, fmt)
            out += [f'bool {self.p}_decode{isa.width}({self.P}Trans *t, uint64_t exts, uint32_t w)', '{',
                    f'    {self.P}Insn i = {{ 0 }};', '']
            out += self.tree(isa, isa.patterns, 0, 1)
            out += ['    return false;', '}', '']
        return '\n'.join(out + self.table())

    def listing(self):
        """The list of supported instructions for the documentation."""
        by_ext = collections.OrderedDict()
        for isa in self.isas:
            for q in all_patterns(isa):
                by_ext.setdefault(' '.join('+'.join(a) for a in q.exts), []).append(q)
        out = []
        for ext, patterns in by_ext.items():
            out += [f'### {ext}', '', '| instruction | encoding | operation |', '|---|---|---|']
            out += [f'| {q.name} | `{q.text}` | {q.comment.replace("|", chr(92) + "|")} |' for q in patterns] + ['']
        return '\n'.join(out)


def best_run(patterns, common):
    """The run of bits in @common (at most 8) on which the patterns differ most; (None, None): they do not differ."""
    best, result = 1, (None, None)
    for lo in range(common.bit_length()):
        hi = lo
        while hi < lo + 8 and common >> hi & 1:
            hi += 1
        values = len({p.match >> lo & ((1 << (hi - lo)) - 1) for p in patterns})
        if values > best:
            best, result = values, (hi - 1, lo)
    return result


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--prefix', required=True)
    parser.add_argument('--header')
    parser.add_argument('--source')
    parser.add_argument('--list')
    parser.add_argument('--include', action='append', default=[], help='a header for the source to include')
    parser.add_argument('isa', nargs='+')
    args = parser.parse_args(argv)
    try:
        isas = []
        for name in args.isa:
            with open(name, encoding='utf-8') as f:
                isas.append(Isa(f.read(), name))
        writer = Writer(args.prefix, isas)
    except IsaError as error:
        print(error, file=sys.stderr)
        return 1
    if args.header:
        with open(args.header, 'w', encoding='utf-8') as f:
            f.write(writer.header())
    if args.source:
        with open(args.source, 'w', encoding='utf-8') as f:
            f.write(writer.source(args.include))
    if args.list:
        with open(args.list, 'w', encoding='utf-8') as f:
            f.write(writer.listing())
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
