# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives a program on a terminal of its own: waits for what it prints, types, collects its exit status.

Used by the boot tests, by tools/demo.py and by tools/guests.py. The terminal is raw from the start, so what is read
is what the program (the guest's console) wrote. Every wait has a limit; leaving the "with" block ends the program.
"""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import tty

# What terminals understand and people do not read: colours, cursor movement, titles, the size query of busybox's line editor.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>78cM]")

MONITOR = r"\(menura\) "


class ConsoleError(Exception):
    """Something expected did not come; the message ends with the last output."""


class Console:
    def __init__(self, argv, echo=None, cwd=None, env=None):
        """Starts @argv. @echo: a stream that gets a copy of all output, as it comes."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.argv = argv
        self.text = ""          # all output so far, escapes removed
        self.seen = 0           # how much of it expect() has consumed
        self._pending = b""     # an unfinished UTF-8 or escape sequence
        self._echo = echo
        self._fd = master
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env,
                                        start_new_session=True)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Ends the program if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take(self, raw):
        """Appends decoded output; keeps back what may be the beginning of an escape."""
        raw = self._pending + raw
        cut = raw.rfind(b"\x1b")
        self._pending = b""
        if cut >= 0 and not ESCAPES.match(raw[cut:].decode("latin-1")) and len(raw) - cut < 16:
            raw, self._pending = raw[:cut], raw[cut:]
        text = ESCAPES.sub("", raw.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "")
        self.text += text
        if "the sandbox refused" in text:
            self._fail("the sandbox keeps the program from something")
        if self._echo:
            self._echo.write(text)
            self._echo.flush()

    def _read(self, seconds):
        """Reads once; False: nothing more will come."""
        if self._fd < 0:
            return False
        ready, _, _ = select.select([self._fd], [], [], max(0, seconds))
        if not ready:
            return True
        try:
            raw = os.read(self._fd, 65536)
        except OSError:         # the other end of a terminal was closed
            raw = b""
        if raw:
            self._take(raw)
        return bool(raw)

    def _fail(self, what):
        tail = "\n".join(self.text.splitlines()[-25:])
        raise ConsoleError(f"{what}; {os.path.basename(self.argv[0])} wrote last:\n{tail}")

    def expect(self, pattern, timeout=60):
        """Waits until the regular expression matches new output, and consumes it. Returns the match."""
        deadline = time.monotonic() + timeout
        regex = re.compile(pattern, re.M)
        alive = True
        while True:
            match = regex.search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            if not alive:
                self._fail(f"ended before {pattern!r} came (status {self.process.wait()})")
            left = deadline - time.monotonic()
            if left <= 0:
                self._fail(f"no {pattern!r} within {timeout} s")
            alive = self._read(min(left, 1))

    def drain(self):
        """Takes what has come so far, so that the program can write on."""
        while self._fd >= 0 and select.select([self._fd], [], [], 0)[0] and self._read(0):
            pass

    def settle(self, seconds=0.2, limit=3):
        """Until nothing has come for @seconds, or @limit is over."""
        deadline = time.monotonic() + limit
        while self._fd >= 0 and select.select([self._fd], [], [], seconds)[0] and self._read(0) and time.monotonic() < deadline:
            pass

    def send(self, text):
        """Types. Guests' serial ports are small, so in pieces."""
        data = text.encode()
        for i in range(0, len(data), 16):
            os.write(self._fd, data[i:i + 16])
            if len(data) > 16:
                time.sleep(0.01)

    def line(self, text):
        self.send(text + "\r")

    def run(self, command, prompt, timeout=60):
        """Types a shell command and returns what it printed, up to the next prompt (a regular expression)."""
        start = self.seen
        self.line(command)
        self.expect(r"\n", timeout)
        start = self.seen
        match = self.expect(prompt, timeout)
        return self.text[start:match.start()]

    def monitor(self, command, timeout=60, then=None):
        """What the monitor behind C-a c says to @command, up to its next prompt. It keeps the keyboard.

        @then: what the guest writes because of it (a regular expression), before or after that prompt; it is waited for and consumed.
        """
        self.settle()       # a shell's query of the terminal, after its prompt, would come among the monitor's words
        self.send("\x01c")
        self.line(command)
        match = self.expect(r"(?s)" + re.escape(command) + r"\s*\n(.*?)" + MONITOR, timeout)
        if then:
            self.seen = match.start(1)
            self.expect(then, timeout)
        return match[1]

    def wait(self, timeout=60):
        """Waits for the end and returns the exit status (negative: a signal)."""
        deadline = time.monotonic() + timeout
        while self._read(min(1, max(0, deadline - time.monotonic()))):
            if time.monotonic() > deadline:
                self._fail(f"still running after {timeout} s")
        return self.process.wait(max(1, deadline - time.monotonic()))


def main():
    """console.py PROGRAM...: shows the output, types nothing. To try things out."""
    with Console(sys.argv[1:], echo=sys.stdout) as console:
        sys.exit(console.wait(600))


if __name__ == "__main__":
    main()
