"""Remembers that a tree is prepared, so that installing and building is done once and not before every replay.

The stamp holds the digest of the tree's sources and the names of what `prepare` made beside them; it is void when
either changed, say after an edit (`prepare` may build) or `git clean`. It lies outside the tree, where no commit and
no model meets it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.project import write_atomic

LEFT_OUT = frozenset({"node_modules", ".venv", "venv", "__pycache__", "target", ".cache"})
"""Directories that hold what was installed or compiled, never what somebody wrote."""


class Stamp:
    """Whether one tree is prepared."""

    def __init__(self, tree: Path, stamps_dir: Path, ignored: frozenset[str] = frozenset()) -> None:
        self._tree, self._ignored = tree, ignored
        name = hashlib.sha256(str(tree.resolve()).encode()).hexdigest()[:16]
        self._path = stamps_dir / f"prepared-{name}.json"
        self.seed = stamps_dir / f"prepared-{name}.data"
        """The data that `prepare` made, say an empty database with its tables."""

    def is_valid(self) -> bool:
        """Nothing it depends on changed, and what it made is still there. A stamp that cannot be read is none."""
        digest, made = self._kept()
        return digest == self._digest(made) and made <= self.entries()

    def write(self, made: set[str]) -> None:
        """The tree is prepared now.

        Args:
            made: entries at the top of the tree that were not there before; those of earlier times still count.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        made = made | (self._kept()[1] & self.entries())
        write_atomic(self._path, json.dumps({"digest": self._digest(made), "made": sorted(made)}))

    def _kept(self) -> tuple[str, set[str]]:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            return str(kept["digest"]), set(kept["made"])
        except (OSError, ValueError, TypeError, KeyError):
            return "", set()

    def entries(self) -> set[str]:
        """Names at the top of the tree; those the harness itself puts there and takes away are left out."""
        return {path.name for path in self._tree.iterdir()} - self._ignored

    def _digest(self, made: set[str]) -> str:
        """Of all that `prepare` may read: it builds as well as installs, so every source counts."""
        total = hashlib.sha256()
        for path in sorted(_sources(self._tree, self._ignored | made)):
            with contextlib.suppress(FileNotFoundError):  # a temporary file of an application that runs here
                content = hashlib.sha256(path.read_bytes()).digest()
                total.update(f"{path.relative_to(self._tree)}\0".encode(errors="surrogateescape") + content)
        return total.hexdigest()


def _sources(tree: Path, left_out: frozenset[str]) -> Iterator[Path]:
    """Plain files of a tree; `left_out` counts at its top only."""
    for directory, directories, files in os.walk(tree):
        skip = LEFT_OUT | (left_out if Path(directory) == tree else frozenset())
        directories[:] = [name for name in directories if name not in skip and name != ".git"]
        for name in files:
            path = Path(directory, name)
            if name not in skip and name != ".git" and path.is_file() and not path.is_symlink():
                yield path


def restore(directory: Path, seed: Path | None = None) -> None:
    """Make a directory hold what the seed holds, nothing without one.

    The directory itself stays: it may be mounted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if seed and seed.is_dir():
        shutil.copytree(seed, directory, symlinks=True, dirs_exist_ok=True, ignore=_special)


def _special(directory: str, names: list[str]) -> set[str]:
    """Pipes, sockets and devices: what runs makes them anew, and they cannot be copied."""
    paths = {name: Path(directory, name) for name in names}
    return {n for n, path in paths.items() if not (path.is_symlink() or path.is_dir() or path.is_file())}
