"""What a commit changed, for people to read: counted whole, shown as far as it can be read.

Nothing of the repository runs for it (`NO_PROGRAMS`), and a file that is too long to be read is only counted, so that
a commit of a million generated lines costs a line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.commits import from_root, to_root
from harness.git import NO_PROGRAMS

if TYPE_CHECKING:
    from harness.repo import Repo

LINES, LINE, FILES = 400, 300, 60
"""Shown of a diff: lines, characters of each, and files that are named."""
FILE_LINES = 2000
"""Changed lines beyond which a file is not read at all."""
Kind = Literal["file", "place", "added", "removed", "same"]
_KINDS: dict[str, Kind] = {"+": "added", "-": "removed", "@": "place", " ": "same"}


@dataclass(frozen=True)
class Changed:
    """One file of a commit."""

    path: str
    """Relative to the project's directory."""
    added: int | None
    """Lines; None: it is no text."""
    removed: int | None


@dataclass(frozen=True)
class DiffLine:
    """One line of what is shown."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Diff:
    """What a commit changed."""

    files: tuple[Changed, ...]
    lines: tuple[DiffLine, ...]
    is_cut: bool
    """Whether there is more than is shown."""

    @property
    def added(self) -> int:
        """Lines, in all files."""
        return sum(file.added or 0 for file in self.files)

    @property
    def removed(self) -> int:
        """Lines, in all files."""
        return sum(file.removed or 0 for file in self.files)

    def __str__(self) -> str:
        count = len(self.files)
        return f"{count} {'file' if count == 1 else 'files'}, +{self.added} -{self.removed}"


async def read_diff(repo: Repo, sha: str, without: Sequence[str] = ()) -> Diff:
    """What a commit changed against the one before it.

    Args:
        repo: of the project.
        sha: of the commit.
        without: names in the project's directory that are left out.

    Raises: RepoError: there is no such commit.
    """
    shape = ("diff-tree", "--root", "--no-commit-id", "-r", "--no-renames", *NO_PROGRAMS)
    left_out = [f":(top,exclude,literal){to_root(name, repo.prefix)}" for name in without]
    counted = await repo.git.paths(*shape, "--numstat", "-z", sha, "--", ":/", *left_out)
    rows = [_row(line, repo.prefix) for line in counted]
    files = [changed for _, changed in rows]
    readable = [name for name, each in rows if each.added is not None and each.added + (each.removed or 0) < FILE_LINES]
    wanted = readable[:FILES]
    asked = [f":(top,literal){name}" for name in wanted]
    text = await repo.git.run(*shape, "--patch", sha, "--", *asked) if asked else ""
    lines = list(_lines(text, [from_root(name, repo.prefix) for name in wanted]))
    is_cut = len(lines) > LINES or len(wanted) < len(files)
    return Diff(tuple(files), tuple(lines[:LINES]), is_cut)


def _row(line: str, prefix: str) -> tuple[str, Changed]:
    added, removed, name = line.split("\t", 2)
    return name, Changed(_printable(from_root(name, prefix)), _number(added), _number(removed))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _lines(patch: str, names: Sequence[str]) -> Iterator[DiffLine]:
    """The lines of a patch, the head of each file replaced by its name; git keeps the order it was asked in."""
    left, is_head = iter(names), True
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            is_head = True
            yield DiffLine("file", _cut(next(left, "")))
        elif line.startswith("@@"):
            is_head = False
            yield DiffLine("place", _cut(line))
        elif not is_head and line:
            yield DiffLine(_KINDS.get(line[0], "same"), _cut(line))


def _cut(text: str) -> str:
    plain = _printable(text)
    return plain if len(plain) <= LINE else f"{plain[:LINE]} ... {len(plain) - LINE} characters more"


def _printable(text: str) -> str:
    """Undecodable bytes as marks."""
    return os.fsencode(text).decode("utf-8", errors="replace")
