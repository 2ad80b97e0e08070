"""Lines of JSON, each sealed to the one before: what was written once cannot be changed, removed or moved unnoticed.

A line holds what is said, its number, the hash of the line before, the time, and its own hash over all of that. The
seal needs no key: who rewrites a chain from the changed line to its end is found out only by a hash that was kept
elsewhere. Two users: verdicts (`harness.verify.audit`) and what a thread did (`harness.thread_audit`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from harness.disk import cannot_write
from harness.state_file import file_errors, parse_json

FIRST = "0" * 64
"""What the first line names as the one before."""


class Sealed(BaseModel):
    """What a line of every chain holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seq: int
    prev: str
    at: datetime
    hash: str


L = TypeVar("L", bound=Sealed)


def read_chain(text: str, path: Path, line_type: type[L]) -> list[L]:
    """Read a chain.

    Args:
        path: where it was read, for the words of an error.

    Raises: FeatureFileError: a line is not what was written there; the first such line is named.
    """
    lines: list[L] = []
    for number, row in enumerate(_rows(text), 1):
        with file_errors(Path(f"{path}:{number}"), "line of the audit"):
            data = parse_json(row)
            line = line_type.model_validate(data)
            _refuse_misplaced(line, number, lines[-1].hash if lines else FIRST)
            if line.hash != _seal(data):
                raise ValueError("it was changed after it was written: its hash does not fit")
            lines.append(line)
    return lines


def _refuse_misplaced(line: Sealed, number: int, before: str) -> None:
    if line.seq != number or line.prev != before:
        raise ValueError("it does not follow the line before it: lines were changed, removed or put elsewhere")


def extend(text: str, said: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Add lines to a chain; returns it with the hash of its last line.

    A chain that is broken is gone on with from its last line: nothing is lost over it, and the break stays to be found.
    """
    rows = _rows(text)
    more, prev = _sealed(said, len(rows), _last_hash(rows))
    return "".join(f"{row}\n" for row in (*rows, *more)), prev


def _sealed(said: Iterable[Mapping[str, Any]], length: int, prev: str) -> tuple[list[str], str]:
    """Rows that follow a chain of that length and last hash; with the last hash then."""
    rows = []
    for number, each in enumerate(said, length + 1):
        data = {"seq": number, "prev": prev, "at": datetime.now(UTC).isoformat(timespec="seconds"), **each}
        data["hash"] = prev = _seal(data)
        rows.append(json.dumps(data, ensure_ascii=False))
    return rows, prev


class ChainFile:
    """A chain that grows on disk, opened by one writer at a time; a context manager.

    A line that a killed process left half is dropped when it is opened; one that is whole but for its end is kept.

    Raises: SetupError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _writing(path):
            self._file = path.open("a+b")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            rows = self._mended()
        self.length = len(rows)
        """Lines."""
        self.head = _last_hash(rows)
        """Hash of the last line."""

    def append(self, *said: Mapping[str, Any]) -> None:
        """Add lines; they are on the disk before this returns."""
        rows, head = _sealed(said, self.length, self.head)
        with _writing(self._path):
            self._file.write("".join(f"{row}\n" for row in rows).encode(errors="backslashreplace"))
            self._file.flush()
            os.fsync(self._file.fileno())
        self.length, self.head = self.length + len(rows), head

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def __enter__(self) -> ChainFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mended(self) -> list[str]:
        self._file.seek(0)
        head, newline, torn = self._file.read().rpartition(b"\n")
        rows = _rows((head + newline).decode(errors="replace"))
        if not torn:
            return rows
        if is_whole := _follows(torn, rows):
            self._file.write(b"\n")
        else:
            self._file.truncate(len(head + newline))
        self._file.flush()
        return [*rows, torn.decode()] if is_whole else rows


def load_chain(path: Path, line_type: type[L]) -> list[L]:
    """Read a chain from its file; empty when there is none. A half line at the end is what a kill leaves: left out.

    Raises: FeatureFileError: as `read_chain`.
    """
    if not path.exists():
        return []
    with file_errors(path, "audit"):
        content = path.read_bytes()
    head, newline, torn = content.rpartition(b"\n")
    whole = head + newline
    is_whole = bool(torn) and _follows(torn, _rows(whole.decode(errors="replace")))
    return read_chain((content if is_whole else whole).decode(errors="replace"), path, line_type)


def _rows(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _follows(row: bytes, rows: Sequence[str]) -> bool:
    """Whether a line without its end is whole and in its place."""
    try:
        data = json.loads(row)
        return bool(data["hash"] == _seal(data) and data["prev"] == _last_hash(rows))
    except (ValueError, KeyError, TypeError):
        return False


def _last_hash(rows: Sequence[str]) -> str:
    if not rows:
        return FIRST
    try:
        return str(json.loads(rows[-1])["hash"])
    except (ValueError, KeyError, TypeError):
        return digest(rows[-1])


def _seal(data: Mapping[str, Any]) -> str:
    return digest({name: value for name, value in data.items() if name != "hash"})


def digest(value: Any) -> str:
    """Names what a JSON value says, whatever the order of its keys."""
    said = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise cannot_write(path, exc) from exc
