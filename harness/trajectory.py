"""The trajectory: everything that happened, a JSONL file a session, on disk after every event.

What happens outside of a session (planning, regress) goes to `thread.jsonl`. A session that is resumed continues its
file. A killed process may leave a torn last line, which readers pass over.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from harness.disk import cannot_write
from harness.events import RunEnded, SessionStarted, StageStarted

OUTSIDE = "thread"
"""The name of what happens outside of sessions."""
BETWEEN_SESSIONS = ("orient", "regress", "select", "survey", "plan", "baseline")


class Trajectory:
    """A listener that writes. Made for one thread.

    Args:
        directory: of the thread's files; made when first written to.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, IO[str]] = {}
        self._current = OUTSIDE

    def __call__(self, event: Any) -> None:
        """Write one event.

        Raises: SetupError: it cannot; a run without its record must not go on.
        """
        self._current = session_after(self._current, event)
        try:
            file = self._open(self._current)
            file.write(event.model_dump_json() + "\n")
            file.flush()
        except OSError as exc:
            raise cannot_write(self._directory / f"{self._current}.jsonl", exc) from exc

    def close(self) -> None:
        """Put everything on the disk."""
        for file in self._files.values():
            os.fsync(file.fileno())
            file.close()
        self._files.clear()

    def _open(self, name: str) -> IO[str]:
        if name not in self._files:
            self.close()  # one file at a time: a thread may have a thousand sessions
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._directory / f"{name}.jsonl"
            torn = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
            self._files[name] = path.open("a", encoding="utf-8")
            self._files[name].write("\n" if torn else "")
        return self._files[name]


def session_after(current: str, event: Any) -> str:
    """The session that what follows an event belongs to, or the name of what lies outside."""
    if isinstance(event, SessionStarted):
        return event.session_id
    if isinstance(event, RunEnded) or (isinstance(event, StageStarted) and event.stage in BETWEEN_SESSIONS):
        return OUTSIDE
    return current
