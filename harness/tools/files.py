"""The coder's file tools: read, write, edit, list, search.

They run in the harness's own process, so `places` keeps them inside the project whatever the tree does meanwhile.
Their texts are the same on every machine: a recorded conversation must fit again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from harness.errors import ToolFailed, ToolRetry
from harness.sandbox.policy import PROTECTED
from harness.tools import search
from harness.tools.places import Places
from harness.tools.syntax import syntax_errors
from harness.tools.texts import Text, apply_edits, decode, numbered
from harness.tools.tool import Arguments, Tool

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
    written: Callable[[str, str], None] = lambda path, sha256: None,
) -> list[Tool]:
    """The five tools of one session, for the project in `worktree`.

    Args:
        written: told the path and the SHA-256 of each file that was written.
    """
    desk = _Desk(Places(worktree, protected, outputs_dir), search_seconds, written)
    return [
        Tool(
            "read_file",
            "Read a text file with line numbers; long ones in parts by first_line and last_line.",
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
            "List the files below a directory, sorted, dependencies left out.",
            ListFiles,
            desk.list,
        ),
        Tool(
            "search_files",
            "Find lines that match a regular expression; returns path:line: text.",
            SearchFiles,
            desk.search,
        ),
    ]


class _Desk:
    """The tools' functions; they share only the places they may go to."""

    def __init__(self, places: Places, search_seconds: float, written: Callable[[str, str], None]) -> None:
        self._places, self._written = places, written
        self._search_seconds = search_seconds

    async def read(self, asked: ReadFile) -> str:
        text = decode(self._places.read(asked.path, READ_BYTES)).text
        return numbered(text, asked.first_line, asked.last_line, asked.path)

    async def write(self, asked: WriteFile) -> str:
        old = self._old(asked.path)
        self._write(asked.path, (old or Text("")).with_text(asked.content))
        lines = len(asked.content.splitlines())
        return _told(f"{'Wrote' if old else 'Created'} {asked.path}: {lines} lines.", asked.path, asked.content)

    async def edit(self, asked: EditFile) -> str:
        old = decode(self._places.read(asked.path, READ_BYTES))
        edits = [(_plain(old, e.search), _plain(old, e.replace), e.every_place) for e in asked.edits]
        new = apply_edits(old.text, edits)
        self._write(asked.path, old.with_text(new))
        applied = "edit" if len(edits) == 1 else "edits"
        return _told(f"Edited {asked.path}: {len(edits)} {applied} applied.", asked.path, new)

    def _write(self, path: str, data: bytes) -> None:
        self._places.write(path, data)
        self._written(path, hashlib.sha256(data).hexdigest())

    async def list(self, asked: ListFiles) -> str:
        with self._places.directory(asked.path) as directory:
            found = [path for path, _, _ in search.files(directory)]
        shown = found[:LISTED]
        more = [f"[{len(found) - LISTED} more; name a directory]"] if len(found) > LISTED else []
        text = "\n".join([*shown, *more]) or "No files."
        return text.encode(errors="replace").decode()  # names need not be text

    async def search(self, asked: SearchFiles) -> str:
        with self._places.directory(asked.path) as directory:
            lines = await _searched(directory, asked, self._search_seconds)
        found = int(lines.pop())
        if not found:
            return "No line matches."
        more = [f"[{found - len(lines)} more matches; narrow the pattern or the glob]"] if found > len(lines) else []
        return "\n".join([*lines, *more])

    def _old(self, path: str) -> Text | None:
        try:
            return decode(self._places.read(path, READ_BYTES))
        except (ToolRetry, ToolFailed):  # absent, or not text: `write` decides whether it may be replaced
            return None


def _told(done: str, path: str, text: str) -> str:
    """What was done, and what a parser finds wrong in it now."""
    errors = syntax_errors(path, text)
    return f"{done}\n{errors}" if errors else done


def _plain(old: Text, text: str) -> str:
    """Line ends as `old.text` has them, whichever the model wrote."""
    return text.replace("\r\n", "\n") if old.crlf else text


async def _searched(directory: int, asked: SearchFiles, seconds: float) -> list[str]:
    question = {
        **asked.model_dump(include={"pattern", "glob", "ignore_case"}),
        "directory": directory,
        "limit": MATCHES,
    }
    searcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", search.__file__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(directory,),
        env={},
    )
    try:
        async with asyncio.timeout(seconds):
            out, errors = await searcher.communicate(json.dumps(question).encode())
    except TimeoutError as exc:
        raise ToolRetry(f"The search took longer than {seconds:g} s; use a simpler pattern.") from exc
    finally:
        if searcher.returncode is None:
            searcher.kill()
            await searcher.wait()
    if searcher.returncode:
        raise ToolRetry(f"The pattern cannot be used: {errors.decode(errors='replace').strip().splitlines()[-1]}")
    return out.decode(errors="replace").rstrip("\n").split("\n")
