"""Output of a process: beginning and end in memory, all of it, up to a bound, in a file.

The bound on memory keeps a chatty program from filling the harness; the file lets the model read what was cut.
"""

from __future__ import annotations

import os
from pathlib import Path


class Output:
    """Takes bytes as they come.

    Args:
        kept_bytes: how much stays in memory, half of it the beginning.
        path: where all of it goes; None: nowhere. Made anew, never through a link.
        stored_bytes: bound of the file.
        ring: True keeps the newest in the file (a server), False the oldest (a command).
    """

    def __init__(self, kept_bytes: int, path: Path | None, stored_bytes: int, *, ring: bool = False) -> None:
        self.total_bytes = 0
        self._half = max(kept_bytes // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._path, self.stored_bytes, self._ring = path, stored_bytes, ring
        self._written = 0
        self._file = _create(path) if path else None

    @property
    def is_full(self) -> bool:
        """The bound of the file is passed and the oldest is what counts."""
        return not self._ring and self.total_bytes > self.stored_bytes

    @property
    def dropped_bytes(self) -> int:
        """Bytes between the beginning and the end kept in memory."""
        return self.total_bytes - len(self._head) - len(self._tail)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._store(data)
        self.total_bytes += len(data)
        room = self._half - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(room, 0) :]
        if len(self._tail) > self._half:
            del self._tail[: -self._half]

    def text(self, since: int | None = None) -> str:
        """What is kept, the gap named; from byte `since` on, when given."""
        if since is None or since < len(self._head):
            head = bytes(self._head[since or 0 :])
            return _decode(head) + self._gap() + _decode(bytes(self._tail))
        tail_start = self.total_bytes - len(self._tail)
        if since < tail_start:
            return f"[{tail_start - since} bytes dropped]\n" + _decode(bytes(self._tail))
        return _decode(bytes(self._tail[since - tail_start :]))

    def close(self) -> None:
        """Close the file; memory stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _gap(self) -> str:
        return f"\n[{self.dropped_bytes} bytes dropped]\n" if self.dropped_bytes else ""

    def _store(self, data: bytes) -> None:
        if self._file is None:
            return
        if self._ring and self._written + len(data) > self.stored_bytes // 2:
            self._turn_over()
        data = data[: max(self.stored_bytes - self._written, 0)]
        try:
            self._written += os.write(self._file, data)
        except OSError:  # no room on the disk: a command goes on, and what memory keeps of its output is what is told
            self.close()

    def _turn_over(self) -> None:
        assert self._path is not None
        assert self._file is not None
        os.close(self._file)
        self._path.replace(self._path.with_name(self._path.name + ".old"))
        self._file, self._written = _create(self._path), 0


def _create(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _decode(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
