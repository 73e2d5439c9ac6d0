"""A person at a terminal: starts a program in a pseudo-terminal, reads what it shows and presses keys."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path

ENTER, DOWN, CTRL_C = "\r", "\x1b[B", "\x03"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]|\r")
CHOICE = re.compile(r"^(?: » |   )(?=\S)", re.MULTILINE)
ROWS, COLUMNS = 200, 240  # a long list is shown as a whole, and no line is broken


class Terminal:
    def __init__(self, command: Sequence[str], cwd: Path, env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env | {"TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.shown = ""
        self._seen = 0
        self._undecoded = b""

    def close(self) -> None:
        """Hangs up."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)
            self.process.wait(timeout=60)
        os.close(self._master)

    def press(self, *keys: str) -> None:
        for key in keys:
            os.write(self._master, key.encode())

    def wait_for(self, words: str, seconds: float = 240) -> str:
        """Returns what was shown since the last call, up to and with `words`."""
        deadline = time.monotonic() + seconds
        while (at := self.shown.find(words, self._seen)) < 0:
            assert time.monotonic() < deadline, f"{words!r} not within {seconds:g} s:\n{self.last()}"
            assert self._read(1), f"ended ({self.process.wait(60)}) without {words!r}:\n{self.last()}"
        start, self._seen = self._seen, at + len(words)
        return self.shown[start : self._seen]

    def choose(self, question: str, choice: str) -> None:
        """From a list of choices, one a line, that begins below the question with the pointer at the first."""
        self.wait_for(question)
        start = self._seen
        self.wait_for(choice)
        above = len(CHOICE.findall(self.shown[start : self._seen])) - 1
        self.press(*[DOWN] * above, ENTER)

    def end(self, seconds: float = 60) -> int:
        """The exit status, once everything is shown."""
        deadline = time.monotonic() + seconds
        while self._read(1):
            assert time.monotonic() < deadline, self.last()
        return self.process.wait(timeout=seconds)

    def last(self) -> str:
        """The lines shown last, for a failure's story."""
        return "\n".join(list(filter(str.strip, self.shown.splitlines()))[-30:])

    def _read(self, seconds: float) -> bool:
        """Takes what there is; False when the program has closed the terminal."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when nobody has the other end open
            return False
        if b"\x1b[6n" in data:  # "where is the cursor?"
            os.write(self._master, b"\x1b[1;1R")
        self._undecoded += data
        whole = self._undecoded.decode(errors="ignore")
        self._undecoded = self._undecoded[len(whole.encode()) :]
        self.shown += ESCAPES.sub("", whole)
        return bool(data)
