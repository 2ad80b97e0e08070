"""What a session did, so that a turn that runs twice acts once.

Each tool call leaves two lines in a file: the intent before it and the result after it. A call with a result is never
carried out again: its result is told again. A call with an intent and no result was cut by a kill: what it was about
to change (a file; for a command the shell's directory and variables) is put back first, and it is carried out anew.
Source: SWE-agent/mini-swe-agent saves every step before the next one; the two lines are the write-ahead rule of
databases.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.project import write_atomic

_CHANGES_A_FILE = ("write_file", "edit_file")


@dataclass(frozen=True)
class Result:
    """What a tool call gave."""

    text: str
    picture: str = ""
    """Name of the picture that came with it."""


class Journal:
    """The journal of one session.

    Args:
        path: the file; made when the first call is carried out.
        worktree: where the paths of file tools begin.
        shell_file: what the shell keeps from one command to the next; None: there is no shell.
    """

    def __init__(self, path: Path, worktree: Path, shell_file: Path | None = None) -> None:
        self._path = path
        self._worktree = worktree
        self._shell_file = shell_file
        self._intents: dict[str, dict[str, Any]] = {}
        self._results: dict[str, Result] = {}
        self._torn = False
        self._read()

    def has(self, call_id: str) -> bool:
        """Whether the call was carried out."""
        return call_id in self._results

    def was_cut(self, call_id: str) -> bool:
        """Whether the call was begun and a kill came before its result."""
        return call_id in self._intents and call_id not in self._results

    async def once(
        self, call_id: str, name: str, args: dict[str, Any], call: Callable[[str, dict[str, Any]], Awaitable[Result]]
    ) -> Result:
        """Carry out a call unless that is done; returns its result either way."""
        if call_id in self._results:
            return self._results[call_id]
        if self.was_cut(call_id):
            self._undo(self._intents[call_id])
        else:
            self._write({"intent": call_id, "name": name, **self._before(name, args)}, lasting=True)
        result = await call(name, args)
        picture = {"picture": result.picture} if result.picture else {}
        self._write({"result": call_id, "text": result.text, **picture})
        self._results[call_id] = result
        return result

    def _before(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        """The file a call is about to change, as it is now; nothing for paths the tool is going to refuse."""
        if name == "run_command" and self._shell_file:
            return {"shell": _content(self._shell_file)}
        path = self._file(args.get("path")) if name in _CHANGES_A_FILE else None
        if path is None:
            return {}
        return {"path": str(path.relative_to(self._worktree)), "content": _content(path)}

    def _undo(self, intent: dict[str, Any]) -> None:
        if "shell" in intent and self._shell_file:
            _put_back_whole(self._shell_file, intent["shell"])
        if path := self._file(intent.get("path")):
            _put_back(path, intent["content"])

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
                self._results[entry["result"]] = Result(entry["text"], entry.get("picture", ""))
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


def _content(path: Path) -> str | None:
    return base64.b64encode(path.read_bytes()).decode() if path.is_file() else None


def _put_back(path: Path, content: str | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(base64.b64decode(content))


def _put_back_whole(path: Path, content: str | None) -> None:
    """For a file that is read before the next time it is put back: a kill leaves the old one or the new."""
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_atomic(path, base64.b64decode(content))
