#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench/run.py's reading of results: what fails, crashes or computes something else is reported, never left out."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", "lib"), os.path.join(ROOT, "bench")]
sys.dont_write_bytecode = True
import inputs                                                     # noqa: E402
import run                                                        # noqa: E402
from tap import Tap                                               # noqa: E402

GOOD = "BENCH integer sort 0.5 00000000000000aa\r\nBENCH fp nbody {} {}\r\nBENCH-END\r\n"


def figures(*texts):
    """What one emulator gives whose guests print these, a round each."""
    table = run.Figures("emulator")
    sys.stderr = open(os.devnull, "w", encoding="utf-8")
    for text in texts:
        run.run = lambda command, said=text: (1.0, 1000, said, None)
        table.guest(["integer", "fp"], [])
    sys.stderr = sys.__stderr__
    return table


def rows(ours, peers, rounds=1):
    return {row[1]: row for row in run.compare(ours, peers, rounds)}


def medians():
    ours = figures(*(GOOD.format(t, "0" * 16) for t in ("1.0", "9.0", "2.0")))
    peers = figures(*[GOOD.format("8.0", "0" * 16)] * 3)
    found = rows(ours, peers, 3)
    assert found["nbody"][2:] == (2.0, 8.0, ""), found
    means = run.geomeans(found.values())
    assert abs(means["fp"] - 4) < 1e-9 and abs(means["integer"] - 1) < 1e-9, means


def wrong_checksum():
    good, bad = GOOD.format("1.0", "0" * 16), GOOD.format("1.0", "1" * 16)
    found = rows(figures(good), figures(bad))
    assert "checksums differ" in found["nbody"][4] and not found["sort"][4], found
    found = rows(figures(good, bad), figures(good, good), 2)
    assert found["nbody"][4].startswith("Menura: checksum 1111"), found
    assert "fp" not in run.geomeans(found.values())


def failures():
    good = GOOD.format("1.0", "0" * 16)
    failed = good.replace("BENCH fp nbody 1.0", "BENCH-FAILED fp nbody: status 8b").replace("8b " + "0" * 16, "8b")
    found = rows(figures(failed), figures(good))
    assert found["nbody"][4] == "Menura: status 8b", found
    found = rows(figures(good), figures(good.replace("BENCH fp nbody 1.0 " + "0" * 16, "")))
    assert found["nbody"][4] == "peer: 0 results in 1 rounds", found


def crash():
    good = GOOD.format("1.0", "0" * 16)
    found = rows(figures(good.split("BENCH fp")[0]), figures(good))
    assert found["(guest)"][4] == "Menura: it did not finish", found
    assert not found["sort"][4] and found["nbody"][4], found


def same_inputs():
    first, second = inputs.files(), inputs.files()
    assert first == second and first["program.c"].count(b"static unsigned") == 20


def main():
    tap = Tap(sys.argv[1:])
    for case in (medians, wrong_checksum, failures, crash, same_inputs):
        tap.case(case.__name__, case)
    sys.exit(tap.finish())


if __name__ == "__main__":
    main()
