"""Listing a tree of files and looking for a pattern in it: a program of its own, run with a time limit.

Apart because a pattern of the model's, or one in a `.gitignore`, can take for ever, and a process can be ended where a
function cannot. It is handed open directories, never paths, and follows no link. What `.gitignore` files name is left
out, also where git holds it all the same; a directory that is asked for by its name is looked through whatever they
say. pathspec knows what their patterns mean: ripgrep would be one program more to install, has other regular
expressions than the model is told, and opens paths, in a tree that hostile code may change at any moment.
"""

from __future__ import annotations

import codecs
import fnmatch
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathspec import RegexPattern

ALWAYS = frozenset(
    {".git", "node_modules", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)
"""Directories that are left out whether a `.gitignore` names them or not."""
FILE_BYTES = 2 << 20
LINE_CHARACTERS = 300
UNUSABLE = (re.error, OverflowError, RecursionError)
"""What `re` raises for a pattern that it does not take."""
LEFT_OUT = 5
"""Names that are told of what was left out."""


@dataclass(frozen=True)
class Rule:
    """One line of a `.gitignore`."""

    pattern: RegexPattern
    directories_only: bool

    def fits(self, path: str, *, is_directory: bool) -> bool:
        """Whether it names this path itself; what lies below a directory is never asked for once that is left out."""
        if self.directories_only and not is_directory:
            return False
        found = self.pattern.match_file(path)
        return found is not None and found.match.lastgroup != "ps_d"  # that group is the slash after a name above it


@dataclass(frozen=True)
class Ignored:
    """What the `.gitignore` files from the top down to one directory say."""

    rules: tuple[tuple[int, Rule], ...] = ()
    """(depth of the file's directory, one line of it), the deepest and last one first."""

    def below(self, directory: int, depth: int) -> Ignored:
        """With what the file of one directory more says."""
        rules = _rules(_content(directory, ".gitignore"))
        return Ignored((*((depth, rule) for rule in reversed(rules)), *self.rules)) if rules else self

    def has(self, parts: Sequence[str], *, is_directory: bool) -> bool:
        """Whether a path from the top is ignored: the first rule that fits it decides."""
        paths = ["/".join(parts[depth:]) for depth in range(len(parts))]
        for depth, rule in self.rules:
            if rule.fits(paths[depth], is_directory=is_directory):
                return bool(rule.pattern.include)
        return False


@dataclass
class Walk:
    """The files below a directory.

    Args:
        way: open directories from the top to the one that was asked for.
        names: of all of them but the first.
    """

    way: Sequence[int]
    names: Sequence[str]
    left_out: list[str] = field(default_factory=list)
    """What was not looked at, relative to the directory; directories end with a slash."""

    def files(self) -> Iterator[tuple[str, int, str]]:
        """Path, open directory and name of every file, in order."""
        known = {".": self._on_the_way()}
        for path, directories, names, descriptor in os.fwalk(".", dir_fd=self.way[-1], follow_symlinks=False):
            inside = () if path == "." else tuple(os.path.normpath(path).split("/"))
            at = (*self.names, *inside)
            ignored = known.pop(path).below(descriptor, len(at))
            directories[:] = [name for name in sorted(directories) if not self._is_left_out(ignored, at, name, "/")]
            known |= {os.path.join(path, name): ignored for name in directories}  # noqa: PTH118 - as fwalk names them
            for name in sorted(names):
                if not self._is_left_out(ignored, at, name, ""):
                    yield "/".join((*inside, name)), descriptor, name

    def _on_the_way(self) -> Ignored:
        ignored = Ignored()
        for depth in range(len(self.names)):
            ignored = ignored.below(self.way[depth], depth)
            if ignored.has(self.names[: depth + 1], is_directory=True):
                ignored = Ignored()  # asked for by its name
        return ignored

    def _is_left_out(self, ignored: Ignored, at: Sequence[str], name: str, end: str) -> bool:
        left_out = (end and name in ALWAYS) or ignored.has((*at, name), is_directory=bool(end))
        if left_out and name != ".git":
            self.left_out.append("/".join((*at[len(self.names) :], name)) + end)
        return bool(left_out)


def matches(walk: Walk, pattern: re.Pattern[str], glob: str) -> Iterator[str]:
    """`path:line: text` for every line that matches."""
    for path, directory, name in walk.files():
        if glob and not (fnmatch.fnmatch(path, glob) or fnmatch.fnmatch(name, glob)):
            continue
        data = _content(directory, name)
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", errors="replace").split("\n"), 1):
            if pattern.search(line := line.rstrip("\r")):
                yield f"{path}:{number}: {line[:LINE_CHARACTERS]}"


def _content(directory: int, name: str) -> bytes:
    """Of a plain file that is not too big; of all else nothing."""
    try:
        found = os.lstat(name, dir_fd=directory)
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_BYTES:
            return b""
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(FILE_BYTES)


def _rules(data: bytes) -> list[Rule]:
    """What a `.gitignore` says; a line that is no pattern is passed over, as git does."""
    lines = os.fsdecode(data.removeprefix(codecs.BOM_UTF8)).split("\n")
    return [rule for line in lines if (rule := _rule(line.removesuffix("\r")))]


def _rule(line: str) -> Rule | None:
    if not line.strip() or line.startswith("#"):
        return None
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    plain = line.rstrip(" ")
    directories_only = plain.endswith("/")
    try:
        pattern = GitIgnoreSpecPattern(plain[:-1] if directories_only else line)
    except (ValueError, *UNUSABLE):
        return None
    return None if pattern.include is None else Rule(pattern, directories_only)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Lines that were found, at most `limit`, how many there are, and what was left out; or what is wrong with it.

    Args:
        question: way and names as for `Walk`, limit; to search and not list: pattern, glob, ignore_case.
    """
    walk = Walk(question["way"], question["names"])
    found: Iterator[str]
    if question.get("pattern") is None:
        found = (path for path, _, _ in walk.files())
    else:
        try:
            pattern = re.compile(question["pattern"], re.IGNORECASE if question["ignore_case"] else 0)
        except UNUSABLE as exc:
            return {"wrong": str(exc)}
        found = matches(walk, pattern, question["glob"])
    lines, count = [], 0
    for count, line in enumerate(found, 1):
        if count <= question["limit"]:
            lines.append(line)
    return {
        "lines": lines,
        "found": count,
        "left_out": walk.left_out[:LEFT_OUT],
        "more": walk.left_out[LEFT_OUT:] != [],
    }


def main() -> None:
    """Read a question from standard input as JSON, write the answer to standard output as JSON."""
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
