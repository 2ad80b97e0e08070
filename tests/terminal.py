"""A real terminal for tests: a command of ours on a pseudo-terminal, read and answered as a person would."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A command that sees a terminal; a context manager that leaves no process behind."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], columns: int = 100) -> None:
        self._ours, theirs = pty.openpty()
        size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm"}
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env={**env, **size}, start_new_session=True
        )
        os.close(theirs)
        self.said = ""
        """All that was shown, without colours and cursor movements."""
        self._read = 0

    def until(self, word: str, seconds: float = 60) -> str:
        """Read on until a word is shown; returns what was shown since the last time."""
        deadline = time.monotonic() + seconds
        while (at := self.said.find(word, self._read)) < 0:
            ready, _, _ = select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{word!r} was never shown:\n{self.said}"
            assert self._take(), f"it ended without showing {word!r}:\n{self.said}"
        shown, self._read = self.said[self._read : at + len(word)], at + len(word)
        return shown

    def say(self, line: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, and again when it shows nothing for ten seconds: Python misses one that arrives just before
        `input` begins to wait."""
        heard = False
        while not heard and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            heard = bool(select.select([self._ours], [], [], 10)[0])

    def kill(self) -> None:
        """SIGKILL, to the command alone."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._take():
            pass
        return self.process.wait(60)

    def _take(self) -> bool:
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.said += _ESCAPES.sub("", data.decode(errors="replace"))
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
