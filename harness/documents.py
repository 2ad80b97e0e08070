"""Documents that a person adds to memory: found, read, cut, and remembered in place of what they said before.

Anybody may have written them. A directory is listed and a PDF or page is read by a program of its own with limits
(`tools/apart.py`); nothing but plain files is opened, links in a directory are not followed, and what is too large,
broken, binary or looks like a secret is left out and told. What they say is recalled as quoted data.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Refused, SetupError, ToolFailed, ToolRetry
from harness.memory.ingest import document_records
from harness.project import Project, find_git
from harness.tools import papers, search
from harness.tools.apart import run_apart
from harness.tools.places import DIRECTORY, Places
from harness.tools.texts import decode

if TYPE_CHECKING:
    from harness.memory.recall import Memory
    from harness.memory.record import Record

MOST_FILES = 5_000
MOST_PIECES_OF_ONE = 3_000
MOST_PIECES = 30_000
TEXT_BYTES, PAGE_BYTES, PDF_BYTES = 2 << 20, 8 << 20, 64 << 20
SECONDS = 90
"""After which a file is given up."""
_HEADED = {".md", ".markdown", ".mdx", ".html", ".htm", ".xhtml", ".pdf"}
_PLAIN = {".txt", ".rst", ".adoc", ".text", ".org", ""}
_KINDS = {".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf"}
_RAISED = re.compile(r"\b[\w.]+Error: ")
_SECRET = {".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".gpg", ".asc"}
_MADE = {"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "cargo.lock", "go.sum"}
_MADE_ENDINGS = (".min.js", ".min.css", ".map", ".svg")

Progress = Callable[[int, int, str], None]
"""Called with (files done, files in all, name)."""


@dataclass
class Added:
    """What came of it."""

    documents: dict[str, int] = field(default_factory=dict)
    """Name -> records it has now."""
    came: int = 0
    """Records that were not there before."""
    went: int = 0
    """Records of what is not said any more."""
    gone: list[str] = field(default_factory=list)
    """Documents that are no longer where they were."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Name -> why."""


class _Unreadable(Exception):
    """A file is left out, and why."""


async def add_documents(memory: Memory, project: Project, paths: Sequence[Path], progress: Progress) -> Added:
    """Remember what files and directories say now; what they said before and do not any more is forgotten.

    Raises: SetupError: a path is not there, or a directory cannot be listed.
    """
    added = Added()
    known = set(await memory.documents())
    files = [each for path in paths for each in await _found(path, project, added)]
    for done, (base, name) in enumerate(files):
        shown = _name(base / name, project)
        progress(done, len(files), shown)
        try:
            if sum(added.documents.values()) >= MOST_PIECES:
                raise _Unreadable(f"{MOST_PIECES} records are enough at once; add it by itself")
            records = await _records(base, name, shown, project)
        except _Unreadable as exc:
            added.left_out[shown] = str(exc)
            continue
        came, went = await memory.replace_document(shown, records)
        added.documents[shown], added.came, added.went = len(records), added.came + came, added.went + went
        if len(records) == MOST_PIECES_OF_ONE:
            added.left_out[shown] = f"only its first {MOST_PIECES_OF_ONE} pieces were taken"
    progress(len(files), len(files), "")
    for name in sorted(known - added.documents.keys()):
        if _was_below(name, paths, project):
            _, went = await memory.replace_document(name, [])
            added.gone.append(name)
            added.went += went
    return added


async def _found(path: Path, project: Project, added: Added) -> list[tuple[Path, str]]:
    """(directory, name below it) of every file: one that is named, or those of a directory."""
    real = Path(os.path.realpath(path))
    if not real.exists():
        raise SetupError(f"{path} does not exist.", "Name files and directories that are there.")
    if not real.is_dir():
        return [(real.parent, real.name)]
    names = await _listed(real)
    if len(names) > MOST_FILES:
        added.left_out[str(path)] = f"only the first {MOST_FILES} of its {len(names)} files were looked at"
    kept = []
    for name in names[:MOST_FILES]:
        if why := _unwanted(name):
            added.left_out[_name(real / name, project)] = why
        else:
            kept.append((real, name))
    return kept


async def _listed(directory: Path) -> list[str]:
    """Files below a directory that no `.gitignore` names, from the top of the checkout down."""
    git = find_git(directory)
    top = Path(os.path.realpath(git.root)) if git else directory
    parts = directory.relative_to(top).parts
    with ExitStack() as opened:
        way: list[int] = []
        for depth in range(len(parts) + 1):
            descriptor = os.open(top.joinpath(*parts[:depth]), DIRECTORY)
            opened.callback(os.close, descriptor)
            way.append(descriptor)
        question = {"way": way, "names": parts, "limit": MOST_FILES + 1}
        try:
            answer = await run_apart(search.__file__, json.dumps(question).encode(), SECONDS, way)
        except (TimeoutError, ToolFailed) as exc:
            why = (
                "it took too long; a pattern in a .gitignore may be too hard" if isinstance(exc, TimeoutError) else exc
            )
            raise SetupError(
                f"{directory} cannot be listed: {why}.", "Name its files, or a smaller directory."
            ) from exc
    return list(json.loads(answer)["lines"])


def _unwanted(name: str) -> str:
    """Why a file of a directory is left out that nobody named; empty: it is not."""
    path = Path(name)
    if any(part.startswith(".") for part in path.parts):
        return "hidden; name it to add it"
    if path.suffix.lower() in _SECRET or path.name.lower().startswith("id_"):
        return "perhaps a key; name it to add it"
    if path.name.lower() in _MADE or path.name.lower().endswith(_MADE_ENDINGS):
        return "made by a program; name it to add it"
    return ""


async def _records(base: Path, name: str, shown: str, project: Project) -> list[Record]:
    """The pieces of a file.

    Raises: _Unreadable: why there are none.
    """
    suffix = Path(name).suffix.lower()
    kind = _KINDS.get(suffix, "")
    data = _content(base, name, {"pdf": PDF_BYTES, "html": PAGE_BYTES}.get(kind, TEXT_BYTES))
    text = await _extracted(kind, data) if kind else _decoded(data)
    inside = [shown] if (base / name).is_relative_to(project.directory) else []
    is_code = suffix not in _HEADED | _PLAIN
    records = document_records(project.state_dir.name, shown, text, is_code=is_code, files=inside)
    if not records:
        raise _Unreadable("there is no text in it")
    return records[:MOST_PIECES_OF_ONE]


def _content(base: Path, name: str, most: int) -> bytes:
    try:
        if (base / name).is_symlink():
            raise _Unreadable("it is a link; name what it leads to")
        size = (base / name).lstat().st_size
        if size > most:
            raise _Unreadable(f"it has {size:,} bytes; {most:,} are the most for its kind")
        return Places(base).read(name, most)
    except OSError as exc:
        raise _Unreadable(exc.strerror or str(exc)) from exc
    except (ToolFailed, ToolRetry, Refused) as exc:
        raise _Unreadable(str(exc).partition("\n")[0]) from exc


def _decoded(data: bytes) -> str:
    try:
        return decode(data).text
    except ToolFailed as exc:
        raise _Unreadable("it is no text") from exc


async def _extracted(kind: str, data: bytes) -> str:
    try:
        return (await run_apart(papers.__file__, f"{kind}\n".encode() + data, SECONDS)).decode(errors="replace")
    except TimeoutError as exc:
        raise _Unreadable(f"reading it took longer than {SECONDS} s") from exc
    except ToolFailed as exc:
        raise _Unreadable(_RAISED.sub("", str(exc))) from exc


def _name(path: Path, project: Project) -> str:
    """What a document is called: its path in the project, or where it lies."""
    return str(path.relative_to(project.directory) if path.is_relative_to(project.directory) else path)


def _was_below(name: str, paths: Sequence[Path], project: Project) -> bool:
    """Whether a document that was not found now lay in one of the directories."""
    place = project.directory / name
    return any(place.is_relative_to(os.path.realpath(path)) and not place.is_file() for path in paths)


def told(added: Added) -> Iterator[str]:
    """What came of it, in lines for a person."""
    count = sum(added.documents.values())
    yield f"{len(added.documents)} documents, {count} records: {added.came} new, {added.went} taken away."
    yield from (f"{name} is gone, and forgotten." for name in added.gone)
    for name, why in list(added.left_out.items())[:_TOLD]:
        yield f"Left out: {name}: {why.rstrip('.')}."
    if len(added.left_out) > _TOLD:
        yield f"Left out: {len(added.left_out) - _TOLD} more."


_TOLD = 20
