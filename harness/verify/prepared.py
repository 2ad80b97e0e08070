"""Remembers that a tree is prepared, so that installing and building is done once and not before every replay.

The stamp holds the digest of what `prepare` depends on and the names of what it made in the tree; it is void when
either changed, say after `git clean`. It lies outside the tree, where no commit and no model meets it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from harness.project import write_atomic

DEPENDED_ON = (
    "init.sh", "harness.toml", "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock",
    "pnpm-lock.yaml", "bun.lock", "bun.lockb", "pyproject.toml", "setup.py", "setup.cfg", "uv.lock", "poetry.lock",
    "Pipfile", "Pipfile.lock", "Cargo.toml", "Cargo.lock", "go.mod", "go.sum", "Gemfile", "Gemfile.lock",
    "composer.json", "composer.lock", "pom.xml", "build.gradle", "build.gradle.kts", "mix.exs", "mix.lock",
    "deno.json", "deno.lock", "Makefile",
)  # fmt: skip
"""Files at the top of a tree that say what is installed and how."""
ALSO = ("requirements*.txt", "constraints*.txt")


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
        return digest == self._digest() and made <= self.entries()

    def write(self, made: set[str]) -> None:
        """The tree is prepared now.

        Args:
            made: entries at the top of the tree that were not there before; those of earlier times still count.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        still_there = self._kept()[1] & self.entries()
        write_atomic(self._path, json.dumps({"digest": self._digest(), "made": sorted(made | still_there)}))

    def _kept(self) -> tuple[str, set[str]]:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            return str(kept["digest"]), set(kept["made"])
        except (OSError, ValueError, TypeError, KeyError):
            return "", set()

    def entries(self) -> set[str]:
        """Names at the top of the tree; those the harness itself puts there and takes away are left out."""
        return {path.name for path in self._tree.iterdir()} - self._ignored

    def _digest(self) -> str:
        found = {path.name: path for pattern in ALSO for path in self._tree.glob(pattern)}
        found |= {name: self._tree / name for name in DEPENDED_ON}
        total = hashlib.sha256()
        for name, path in sorted(found.items()):
            if path.is_file():
                total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
        return total.hexdigest()


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
        shutil.copytree(seed, directory, symlinks=True, dirs_exist_ok=True)
