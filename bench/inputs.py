# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs of the "debian" group work on: made here, the same on every machine, and put into the guest as files."""
import struct


class Numbers:
    """A small generator of our own, so that no Python version changes the inputs."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit


def text(lines=40000):
    """Lines of words, common ones more often: about 2 MB."""
    numbers = Numbers(1)
    syllables = "ka to mi ren sul va or ti ne pa lo dra esh um in gor fe al ix ba".split()
    words = ["".join(syllables[numbers.below(20)] for _ in range(1 + numbers.below(4))) for _ in range(4000)]
    rows = []
    for n in range(lines):
        picked = [words[numbers.below(1 + numbers.below(4000))] for _ in range(7)]
        rows.append(f"{n * 7919 % 100003} {' '.join(picked)} {numbers.below(1000000)}\n")
    return "".join(rows)


FUNCTION = """
static unsigned f{n}(unsigned a, unsigned b)
{{
    unsigned t[8], s = {k};

    for (int i = 0; i < 8; i++) {{
        t[i] = (a * {m}u) ^ (b >> (i & 3));
        s += t[i] & 1 ? t[i] / {d} : t[(i + s) & (i | 1) & 7];
    }}
    switch (s % 5) {{
    case 0: return s + {callee};
    case 1: return t[s & 7] * b;
    case 2: return a > b ? a - b : b - a;
    default: return s ^ t[2];
    }}
}}
"""


def program(functions=20):
    """A C source of about 400 lines, without headers."""
    numbers = Numbers(2)
    parts = []
    for n in range(functions):
        callee = f"f{numbers.below(n)}(b, a)" if n else "a"
        parts.append(FUNCTION.format(n=n, k=numbers.below(1000), m=numbers.below(100000), d=3 + numbers.below(30), callee=callee))
    calls = " ^ ".join(f"f{n}(x, {n})" for n in range(functions))
    return "".join(parts) + f"\nunsigned all(unsigned x)\n{{\n    return {calls};\n}}\n"


PYTHON = """
def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    count = 0
    free = ~(columns | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free ^= bit
        count += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return count


class Account:
    def __init__(self, name):
        self.name, self.items = name, []

    def add(self, value):
        self.items.append(value)
        return len(self.items)


accounts = {}
with open("/tmp/text") as f:
    for number, line in enumerate(f):
        if number < 6000:
            for word in line.split()[1:-1]:
                accounts.setdefault(word, Account(word)).add(len(line) * 0.5)
print(queens(7), sorted((sum(a.items), a.name) for a in accounts.values())[-50:])
"""

COMPILE = """
import marshal, os, sys
folder = "/usr/lib/python3.13"
for name in sorted(os.listdir(folder))[:LIMIT]:
    if name.endswith(".py"):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            sys.stdout.buffer.write(marshal.dumps(compile(f.read(), name, "exec")))
"""

PERL = r"""
my (%count, $dates);
while (<>) {
    $count{lc $1}++ while /([a-z]{4,9})/g;
    $dates++ if s/(\d+) (\w+)/$2-$1/ && /x\w*-\d*7/;
}
print "$dates\n", map { "$_ $count{$_}\n" } sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
"""

AWK = """
{ for (i = 2; i < NF; i++) { words[$i]++; length_of[length($i)] += $NF } total += $1 % 17 }
/ka.*mi|sul$/ { matches++ }
{ line = $2 "-" $3; gsub(/[aeiou]/, "", line); seen[line]++ }
END { for (w in words) n += words[w] * length(w); for (s in seen) k++; print NR, n, k, matches, total
      for (l = 1; l < 16; l++) print l, length_of[l] }
"""


def sql():
    """Rows in one transaction, an index, joins and an update."""
    return """
create table t(id integer primary key, name text, value integer);
begin;
with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000)
insert into t select n, 'name-' || (n * 7919 % 20011), n * 31 % 1009 from c;
commit;
create index by_name on t(name);
create index by_value on t(value);
select count(*), sum(length(name)) from t where name like '%7%';
select value, count(*), max(name) from t group by value order by 2 desc, 1 limit 20;
select count(*) from t a join t b on a.value = b.value where a.id < 400;
update t set value = value + 1 where name > 'name-5';
delete from t where id % 3 = 0;
select sum(value), min(name), count(*) from t;
"""


def tune(seconds=4):
    """A WAV file: three voices of sawtooth with noise, 44.1 kHz, stereo, 16 bits."""
    numbers, frames = Numbers(3), bytearray()
    for n in range(44100 * seconds):
        note = 1 + n // 11025 % 7
        left = (n * 37 * note % 16384) + (n * 91 % 8192) - 12288 + numbers.below(512)
        right = (n * 53 * note % 16384) - (n * 23 % 8192) - 4096 + numbers.below(512)
        frames += struct.pack("<hh", left, right)
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + len(frames), b"WAVEfmt ", 16, 1, 2, 44100, 176400, 4, 16,
                       b"data", len(frames))
    return head + bytes(frames)


def scene(spheres=60):
    """A scene for the ray tracer Tachyon: spheres that reflect each other over a plane."""
    numbers = Numbers(4)
    rows = ["BEGIN_SCENE", "RESOLUTION 256 192",
            "CAMERA ZOOM 1.0 ASPECTRATIO 1.0 ANTIALIASING 1 RAYDEPTH 5 CENTER 0.0 2.0 -12.0 VIEWDIR 0.0 -0.1 1.0 UPDIR 0.0 1.0 0.0",
            "END_CAMERA", "LIGHT CENTER -6.0 12.0 -8.0 RAD 0.2 COLOR 1.0 1.0 0.9", "BACKGROUND 0.2 0.3 0.5",
            "PLANE CENTER 0.0 -2.0 0.0 NORMAL 0.0 1.0 0.0 TEXTURE AMBIENT 0.1 DIFFUSE 0.8 SPECULAR 0.2 OPACITY 1.0",
            "COLOR 0.8 0.8 0.7 TEXFUNC 0"]
    for _ in range(spheres):
        x, y, z = (numbers.below(1000) / 100 - 5 for _ in range(3))
        rows += [f"SPHERE CENTER {x:.2f} {y / 2 + 1:.2f} {z:.2f} RAD {0.2 + numbers.below(60) / 100:.2f}",
                 "TEXTURE AMBIENT 0.1 DIFFUSE 0.6 SPECULAR 0.4 OPACITY 1.0",
                 f"COLOR {numbers.below(100) / 100:.2f} {numbers.below(100) / 100:.2f} 0.5 TEXFUNC 0"]
    return "\n".join(rows + ["END_SCENE", ""])


def files():
    """name -> bytes, for the guest's /tmp."""
    return {name: content.encode() for name, content in {
        "text": text(), "program.c": program(), "work.py": PYTHON, "compile.py": COMPILE.replace("LIMIT", "30"),
        "work.pl": PERL, "work.awk": AWK, "work.sql": sql(), "scene.dat": scene()}.items()} | {"tune.wav": tune()}
