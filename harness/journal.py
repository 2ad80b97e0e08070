"""What a session did, so that a turn that runs twice acts once.

Each tool call leaves two lines in a file: the intent before it and the result after it. A call with a result is never
carried out again: its result is told again. A call with an intent and no result was cut by a kill: files it was about
to change are put back first, and it is carried out anew. Source: SWE-agent/mini-swe-agent saves every step before the
next one; the two lines are the write-ahead rule of databases.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

_CHANGES_A_FILE = ("write_file", "edit_file")


class Journal:
    """The journal of one session.

    Args:
        path: the file; made when the first call is carried out.
        worktree: where the paths of file tools begin.
    """

    def __init__(self, path: Path, worktree: Path) -> None:
        self._path = path
        self._worktree = worktree
        self._intents: dict[str, dict[str, Any]] = {}
        self._results: dict[str, str] = {}
        self._torn = False
        self._read()

    def has(self, call_id: str) -> bool:
        """Whether the call was carried out."""
        return call_id in self._results

    async def once(
        self, call_id: str, name: str, args: dict[str, Any], call: Callable[[str, dict[str, Any]], Awaitable[str]]
    ) -> str:
        """Carry out a call unless that is done; returns its result either way."""
        if call_id in self._results:
            return self._results[call_id]
        if call_id in self._intents:
            self._undo(self._intents[call_id])
        else:
            self._write({"intent": call_id, "name": name, **self._before(name, args)}, lasting=True)
        result = await call(name, args)
        self._write({"result": call_id, "text": result})
        self._results[call_id] = result
        return result

    def _before(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        """The file a call is about to change, as it is now; nothing for paths the tool is going to refuse."""
        path = self._file(args.get("path")) if name in _CHANGES_A_FILE else None
        if path is None:
            return {}
        content = base64.b64encode(path.read_bytes()).decode() if path.is_file() else None
        return {"path": str(path.relative_to(self._worktree)), "content": content}

    def _undo(self, intent: dict[str, Any]) -> None:
        path = self._file(intent.get("path"))
        if path is None:
            return
        if intent["content"] is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(base64.b64decode(intent["content"]))

    def _file(self, name: Any) -> Path | None:
        if not isinstance(name, str) or "\0" in name:
            return None
        path = self._worktree / name.removeprefix("/project/")
        try:
            real = Path(os.path.realpath(path))
            inside = real.is_relative_to(os.path.realpath(self._worktree)) and path.is_relative_to(self._worktree)
            plain = path.is_file() or not os.path.lexists(path)
            return path if inside and ".." not in path.parts and plain and not path.is_symlink() else None
        except (OSError, ValueError):
            return None  # no name a file can have; the tool says so

    def _read(self) -> None:
        if not self._path.exists():
            return
        text = self._path.read_text(encoding="utf-8", errors="replace")
        self._torn = bool(text) and not text.endswith("\n")
        for line in text.split("\n"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a killed process may be torn; its call is carried out anew
            if "result" in entry:
                self._results[entry["result"]] = entry["text"]
            else:
                self._intents[entry["intent"]] = entry

    def _write(self, entry: dict[str, Any], *, lasting: bool = False) -> None:
        """Add a line; a lasting one is on the disk before anything else happens.

        A result need not be: a kill leaves it to the system, and when power fails it only makes the call one that was
        cut, which is put back and carried out anew.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n" * self._torn + json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        self._torn = False
