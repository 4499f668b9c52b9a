"""A terminal for programs to run in: a real pseudo-terminal, and what would be seen on its screen."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from codecs import getincrementaldecoder
from pathlib import Path
from typing import IO, Self

from runcomfy.sandbox import Sandbox

_CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|[\x00-\x1f\x7f-\x9f]")
_UNFINISHED = re.compile(r"\x1b(\[[?\d;]*)?\Z")
_OF_OTHER_TERMINALS = ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


class Screen:
    """What a terminal shows: it obeys the few controls that a live line needs, and refuses any other."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.has_cursor = True
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """All lines, with those that have left the screen at its top."""
        lines = ["".join(line).rstrip() for line in self._lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def feed(self, text: str) -> None:
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else ""
        text = text.removesuffix(self._rest)
        while control := _CONTROL.search(text):
            self._put(text[: control.start()])
            self._obey(control[0], control[1], control[2])
            text = text[control.end() :]
        self._put(text)

    def _put(self, text: str) -> None:
        for sign in text:
            if self._column == self.columns:
                self._line_feed()
                self._column = 0
            line = self._lines[self._row]
            line.extend(" " * (self._column + 1 - len(line)))
            line[self._column] = sign
            self._column += 1

    def _line_feed(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])

    def _obey(self, control: str, parameters: str | None, command: str | None) -> None:
        match control if command is None else (parameters, command):
            case "\r":
                self._column = 0
            case "\n":
                self._line_feed()
            case (count, "A"):
                top = max(0, len(self._lines) - self.rows)
                self._row = max(top, self._row - int(count or 1))
            case ("2", "K"):
                self._lines[self._row] = []
            case ("?25", "h" | "l" as shows):
                self.has_cursor = shows == "h"
            case (_, "m"):
                pass
            case _:
                raise AssertionError(f"an unknown control: {control!r}")


class Terminal:
    """A program whose stderr, and if that is wished its stdout, is a terminal.

    `written` is all that it wrote there, `screen` what is to be seen of it; `out` is its stdout where that is a pipe.
    """

    def __init__(self, *, rows: int = 24, columns: int = 120) -> None:
        self.screen = Screen(rows, columns)
        self.written = ""
        self.out = ""
        self._decoder = getincrementaldecoder("utf-8")()
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def start(self, program: Path, sandbox: Sandbox, *, stdout: bool = False, **environment: str) -> Self:
        kept = {name: value for name, value in os.environ.items() if name not in _OF_OTHER_TERMINALS}
        where = {"RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            env={**kept, "TERM": "xterm-256color", "PYTHONUTF8": "1", **where, **environment},
            stdin=subprocess.PIPE,
            stdout=self._theirs if stdout else subprocess.PIPE,
            stderr=self._theirs,
            text=True,
        )
        os.close(self._theirs)
        return self

    def until(self, text: str | re.Pattern[str]) -> re.Match[str]:
        """Read on until a line shows a text or matches a pattern."""
        pattern = re.compile(re.escape(text)) if isinstance(text, str) else text
        while True:
            for line in self.screen.lines:
                if found := pattern.search(line):
                    return found
            assert self._read(), f"{pattern.pattern!r} was never shown, but {self.screen.lines[-30:]}"

    def enter(self) -> None:
        """Give a line to the program's stdin."""
        stdin = self._pipe(self._process.stdin)
        stdin.write("\n")
        stdin.flush()

    def hang_up(self) -> None:
        """Close the terminal under the program."""
        os.close(self._ours)
        self._ours = -1

    def end(self) -> None:
        """Read to the end of the program, which has to be a good one."""
        while self._ours >= 0 and self._read():
            pass
        self._pipe(self._process.stdin).close()
        if self._process.stdout is not None:
            self.out = self._process.stdout.read()
            self._process.stdout.close()
        assert self._process.wait() == 0, self.screen.lines[-30:]
        if self._ours >= 0:
            self.hang_up()

    def kill(self) -> None:
        """End the program, if it has not ended."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        if self._ours >= 0:
            self.hang_up()

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream

    def _read(self) -> bool:
        try:
            received = os.read(self._ours, 65536)
        except OSError:  # as Linux says that nobody writes any more
            received = b""
        text = self._decoder.decode(received)
        self.written += text
        self.screen.feed(text)
        return bool(received)
