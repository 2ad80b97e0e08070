"""Looking for a pattern in a tree of files: a program of its own, run with a time limit.

Apart because a pattern of the model's can take for ever, and a process can be ended where a function cannot. It uses
the standard library alone, so it starts in a moment and shows the same on every machine. Links are not followed.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import sys
from collections.abc import Iterator

IGNORED = frozenset(
    {".git", "node_modules", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)
"""Directories that are neither listed nor searched."""
FILE_BYTES = 2 << 20
LINE_CHARACTERS = 300


def files(directory: int) -> Iterator[tuple[str, int, str]]:
    """Path, open directory and name of every file below, in order, ignored directories left out."""
    for path, directories, names, descriptor in os.fwalk(".", dir_fd=directory, follow_symlinks=False):
        directories[:] = sorted(name for name in directories if name not in IGNORED)
        for name in sorted(names):
            yield os.path.normpath(os.path.join(path, name)), descriptor, name  # noqa: PTH118 - text for the model


def matches(directory: int, pattern: re.Pattern[str], glob: str) -> Iterator[str]:
    """`path:line: text` for every line that matches."""
    for path, descriptor, name in files(directory):
        if glob and not (fnmatch.fnmatch(path, glob) or fnmatch.fnmatch(name, glob)):
            continue
        for number, line in enumerate(_lines(descriptor, name), 1):
            if pattern.search(line):
                yield f"{path}:{number}: {line[:LINE_CHARACTERS]}"


def _lines(directory: int, name: str) -> list[str]:
    try:
        found = os.lstat(name, dir_fd=directory)
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_BYTES:
            return []
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(FILE_BYTES)
    if b"\0" in data:
        return []
    return [line.rstrip("\r") for line in data.decode("utf-8", errors="replace").split("\n")]


def main() -> None:
    """Read the question from standard input, write at most `limit` matches and then how many there are."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # a real file here
    question = json.load(sys.stdin)
    pattern = re.compile(question["pattern"], re.IGNORECASE if question["ignore_case"] else 0)
    found = 0
    for line in matches(question["directory"], pattern, question["glob"]):
        found += 1
        if found <= question["limit"]:
            sys.stdout.write(line + "\n")
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main()
