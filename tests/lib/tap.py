# SPDX-License-Identifier: GPL-2.0-or-later
"""Test cases that print TAP ("ok 1 - name"), which tests/run.py and meson count."""
import fnmatch
import sys
import time
import traceback


class Skip(Exception):
    """A prerequisite of the case is missing; the message says which."""


class Tap:
    """Runs cases as they are given: tap = Tap(); tap.case("name", function); sys.exit(tap.finish())."""

    def __init__(self, only=()):
        self.only = only        # patterns of names; none: all
        self.count = self.failed = 0

    def wants(self, name):
        """The case is among those to run."""
        return not self.only or any(fnmatch.fnmatch(name, p) for p in self.only)

    def case(self, name, function, *args):
        """Runs one case; what it raises is its failure."""
        if not self.wants(name):
            return
        begin = time.monotonic()
        self.count += 1
        try:
            remark = function(*args)
        except Skip as e:
            print(f"ok {self.count} - {name} # SKIP {e}", flush=True)
            return
        except Exception as e:  # pylint: disable=broad-except # a test's failure may be anything
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            detail = str(e) if type(e).__name__.endswith("Error") and str(e) else ""
            text = detail or traceback.format_exc()
            print("".join(f"#   {line}\n" for line in text.splitlines()), end="", flush=True)
            return
        seconds = time.monotonic() - begin
        print(f"ok {self.count} - {name} # {seconds:.1f} s{', ' + remark if remark else ''}", flush=True)

    def check(self, name, passed, detail=""):
        """A case that was decided elsewhere. @detail: lines shown when it failed."""
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {name}")
        if not passed and detail:
            print("".join(f"#   {line}\n" for line in detail.splitlines()), end="")
        sys.stdout.flush()

    def finish(self):
        """Prints the plan; returns the exit status."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0
