"""The coder's file tools: read, write, edit, list, search.

They run in the harness's own process, so `places` keeps them inside the project whatever the tree does meanwhile.
Their texts are the same on every machine: a recorded conversation must fit again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from harness.errors import ToolFailed, ToolRetry
from harness.sandbox.policy import PROTECTED
from harness.tools import search
from harness.tools.apart import run_apart
from harness.tools.picture import NONE_TAKEN, is_picture, read_picture
from harness.tools.places import Places
from harness.tools.syntax import syntax_errors
from harness.tools.texts import Text, apply_edits, decode, numbered
from harness.tools.tool import Arguments, Shown, Tool

READ_BYTES = 10 << 20
WRITE_CHARACTERS = 2_000_000
LISTED = 400
MATCHES = 100
SEARCH_SECONDS = 10.0


class ReadFile(Arguments):
    """Arguments of `read_file`."""

    path: str = Field(description="Relative to the project, or a kept output such as /outputs/command-3.txt.")
    first_line: int = Field(default=1, ge=1)
    last_line: int | None = Field(default=None, ge=1)


class WriteFile(Arguments):
    """Arguments of `write_file`."""

    path: str = Field(description="Relative to the project.")
    content: str = Field(max_length=WRITE_CHARACTERS, description="The whole new content.")


class Edit(Arguments):
    """One replacement."""

    search: str = Field(min_length=1, description="Exactly as in the file, blanks and line ends included.")
    replace: str
    every_place: bool = Field(default=False, description="Replace all occurrences instead of the only one.")


class EditFile(Arguments):
    """Arguments of `edit_file`."""

    path: str = Field(description="Relative to the project.")
    edits: list[Edit] = Field(min_length=1, description="Applied in order; all of them or none.")


class ListFiles(Arguments):
    """Arguments of `list_files`."""

    path: str = Field(default=".", description="A directory, relative to the project.")


class SearchFiles(Arguments):
    """Arguments of `search_files`."""

    pattern: str = Field(min_length=1, max_length=1000, description="A regular expression, as in Python.")
    path: str = Field(default=".", description="A directory to search in.")
    glob: str = Field(default="", description="Only files whose path or name fits, such as *.js.")
    ignore_case: bool = False


def file_tools(
    worktree: Path,
    protected: Sequence[str] = PROTECTED,
    outputs_dir: Path | None = None,
    search_seconds: float = SEARCH_SECONDS,
    top: Path | None = None,
    *,
    images: bool = False,
    written: Callable[[str, str], None] = lambda path, sha256: None,
) -> list[Tool]:
    """The five tools of one session, for the project in `worktree`.

    Args:
        worktree: as for `Places`, like protected, outputs_dir and top.
        search_seconds: after which listing or searching is ended.
        images: whether the model takes pictures.
        written: told the path and the SHA-256 of each file that was written.
    """
    desk = _Desk(Places(worktree, protected, outputs_dir, top), search_seconds, images, written)
    return [
        Tool(
            "read_file",
            "Read a text file with line numbers; long ones in parts by first_line and last_line. Of a picture it tells "
            "kind and size, and shows it if you take pictures.",
            ReadFile,
            desk.read,
        ),
        Tool(
            "write_file",
            "Create a file or replace its whole content; directories are made as needed.",
            WriteFile,
            desk.write,
        ),
        Tool(
            "edit_file",
            "Replace exact pieces of text in a file. Each search text must be in the file exactly once.",
            EditFile,
            desk.edit,
        ),
        Tool(
            "list_files",
            "List the files below a directory, sorted, dependencies and what .gitignore names left out.",
            ListFiles,
            desk.list,
        ),
        Tool(
            "search_files",
            "Find lines that match a regular expression in the files that list_files lists; returns path:line: text.",
            SearchFiles,
            desk.search,
        ),
    ]


class _Desk:
    """The tools' functions; they share only the places they may go to."""

    def __init__(
        self, places: Places, search_seconds: float, images: bool, written: Callable[[str, str], None]
    ) -> None:
        self._places, self._written = places, written
        self._search_seconds = search_seconds
        self._images = images

    async def read(self, asked: ReadFile) -> str | Shown:
        data = self._places.read(asked.path, READ_BYTES)
        if is_picture(data):
            return await self._picture(asked.path, data)
        return numbered(decode(data).text, asked.first_line, asked.last_line, asked.path)

    async def _picture(self, path: str, data: bytes) -> str | Shown:
        picture = await read_picture(data)
        told = f"{path} is a picture ({picture})"
        return Shown(f"{told}; it follows.", picture.data) if self._images else f"{told}; {NONE_TAKEN}."

    async def write(self, asked: WriteFile) -> str:
        old = self._old(asked.path)
        self._write(asked.path, (old or Text("")).with_text(asked.content))
        lines = len(asked.content.splitlines())
        return await _told(f"{'Wrote' if old else 'Created'} {asked.path}: {lines} lines.", asked.path, asked.content)

    async def edit(self, asked: EditFile) -> str:
        old = decode(self._places.read(asked.path, READ_BYTES))
        edits = [(_plain(old, e.search), _plain(old, e.replace), e.every_place) for e in asked.edits]
        new = apply_edits(old.text, edits)
        self._write(asked.path, old.with_text(new))
        applied = "edit" if len(edits) == 1 else "edits"
        return await _told(f"Edited {asked.path}: {len(edits)} {applied} applied.", asked.path, new)

    def _write(self, path: str, data: bytes) -> None:
        self._places.write(path, data)
        self._written(path, hashlib.sha256(data).hexdigest())

    async def list(self, asked: ListFiles) -> str:
        found = await self._look(asked.path, {"limit": LISTED})
        return _lines(found, "No files.", "more; name a directory")

    async def search(self, asked: SearchFiles) -> str:
        question = asked.model_dump(include={"pattern", "glob", "ignore_case"})
        found = await self._look(asked.path, {**question, "limit": MATCHES})
        return _lines(found, "No line matches.", "more matches; narrow the pattern or the glob")

    async def _look(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        with self._places.way(path) as (way, names):
            return await _looked({**question, "way": way, "names": names}, way, self._search_seconds)

    def _old(self, path: str) -> Text | None:
        try:
            return decode(self._places.read(path, READ_BYTES))
        except (ToolRetry, ToolFailed):  # absent, or not text: `write` decides whether it may be replaced
            return None


async def _told(done: str, path: str, text: str) -> str:
    """What was done, and what a parser finds wrong in it now."""
    errors = await syntax_errors(path, text)
    return f"{done}\n{errors}" if errors else done


def _plain(old: Text, text: str) -> str:
    """Line ends as `old.text` has them, whichever the model wrote."""
    return text.replace("\r\n", "\n") if old.crlf else text


def _lines(found: dict[str, Any], nothing: str, narrow: str) -> str:
    lines, more = found["lines"], found["found"] - len(found["lines"])
    if not lines:
        lines = [nothing + _left_out(found)]
    text = "\n".join([*lines, *([f"[{more} {narrow}]"] if more else [])])
    return text.encode(errors="replace").decode()  # names need not be text


def _left_out(found: dict[str, Any]) -> str:
    """Where else it may lie."""
    if not found["left_out"]:
        return ""
    names = ", ".join([*found["left_out"], *(["..."] if found["more"] else [])])
    return f" Left out as ignored: {names}; a directory of these can be named as path, a file be read by its name."


async def _looked(question: dict[str, Any], way: Sequence[int], seconds: float) -> dict[str, Any]:
    try:
        answer = await run_apart(search.__file__, json.dumps(question).encode(), seconds, way)
    except TimeoutError as exc:
        simpler = "use a simpler pattern, or" if "pattern" in question else "a pattern in a .gitignore may be too hard;"
        raise ToolRetry(f"It took longer than {seconds:g} s; {simpler} name a smaller directory.") from exc
    found: dict[str, Any] = json.loads(answer)
    if "wrong" in found:
        raise ToolRetry(f"The pattern cannot be used: {found['wrong']}")
    return found
