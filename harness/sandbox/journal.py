"""What a killed harness leaves behind, written down before it can be left: processes and stand-ins for absent files.

One JSON object a line, appended; a torn last line is what a kill leaves and is skipped. `reap` puts all of it away
at the next start, unless who wrote it is still at work: `harness verify` runs beside a build.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.sandbox import tree


class Journal:
    """Append-only list of one room's processes and stand-ins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def process(self, pid: int, mark: str) -> None:
        """Note a process of ours; the start time tells it from a later one of the same number."""
        self._append({"pid": pid, "started": tree.start_time(pid), "mark": mark})

    def stand_in(self, path: Path) -> None:
        """Note a file or directory that is there only to be mounted over."""
        self._append({"stand_in": str(path)})

    def clear(self) -> None:
        """Everything is put away."""
        self._path.unlink(missing_ok=True)

    def _append(self, entry: dict[str, Any]) -> None:
        own = os.getpid()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "by": own, "by_started": tree.start_time(own)}) + "\n")


def reap(journal: Path) -> list[int]:
    """End what survived a killed harness and remove its stand-ins.

    Returns: the pids that were still alive; none, where it belongs to a process that is at work.
    Replay: entries name processes by pid and start time, so a second run ends nobody else.
    """
    entries = list(_entries(journal))
    if any(_is_at_work(entry) for entry in entries):
        return []
    alive = [pid for entry in entries for pid in _survivors(entry)]
    tree.end(alive, signal.SIGKILL)
    for entry in entries:
        if path := entry.get("stand_in"):
            remove_stand_in(Path(path))
    journal.unlink(missing_ok=True)
    return alive


def remove_stand_in(path: Path) -> None:
    """Remove it if it is still what was made: an empty directory or an empty file."""
    with contextlib.suppress(OSError):
        if path.is_symlink():
            return
        if path.is_dir():
            path.rmdir()
        elif path.stat().st_size == 0:
            path.unlink()


def _entries(journal: Path) -> Iterator[dict[str, Any]]:
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry


def _is_at_work(entry: dict[str, Any]) -> bool:
    """Whether another process wrote it that has not ended."""
    by, started = entry.get("by"), entry.get("by_started")
    if not isinstance(by, int) or by == os.getpid() or not started:
        return False
    return tree.is_alive(by) and tree.start_time(by) == started


def _survivors(entry: dict[str, Any]) -> set[int]:
    pid = entry.get("pid")
    if not isinstance(pid, int):
        return set()
    same = bool(entry.get("started")) and tree.start_time(pid) == entry["started"]
    below = tree.descendants([pid])[pid] if same and tree.is_alive(pid) else []
    return {*below, *tree.marked(str(entry.get("mark", "-")))} - {os.getpid()}
