"""Remembers that a tree is prepared, so that installing and building is done once and not before every replay.

The stamp holds the digest of the tree's sources and the names of what `prepare` made beside them; it is void when
either changed, say after an edit (`prepare` may build) or `git clean`, and while something is being made. Sources are
what git tracks; all else in a checkout somebody made. The stamp lies outside the tree, where no commit and no model
meets it. What was made, `prepare_cache` keeps for other trees with the same sources.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.project import write_atomic
from harness.worktree import remove_tree

LEFT_OUT = frozenset({"node_modules", ".venv", "venv", "__pycache__", "target", ".cache"})
"""Directories that hold what was installed or compiled, where git does not tell what somebody wrote."""

Sources = Mapping[Path, str]
"""Plain files and links, relative to their tree, and the digests of what they hold or of where they lead."""


@dataclass(frozen=True)
class _Kept:
    digest: str = ""
    made: tuple[str, ...] = ()


class Stamp:
    """Whether one tree is prepared.

    Args:
        tree: the project's directory in some checkout.
        stamps_dir: where the stamps of all trees lie.
        ignored: names at the top that do not count.
        tracked: what git tracks, relative to the tree: its sources, and nothing else is. None: git does not know the
            tree, so all are that `prepare` did not make and that are not named as in LEFT_OUT.
    """

    def __init__(
        self,
        tree: Path,
        stamps_dir: Path,
        ignored: frozenset[str] = frozenset(),
        tracked: Collection[str] | None = None,
    ) -> None:
        self.tree, self._ignored = tree, ignored
        files = None if tracked is None else {*map(Path, tracked)}
        self._tracked = files and files.union(*(path.parents for path in files))
        name = hashlib.sha256(str(tree.resolve()).encode()).hexdigest()[:16]
        self._path = stamps_dir / f"prepared-{name}.json"
        self.seed = stamps_dir / f"prepared-{name}.data"
        """The data that `prepare` made, say an empty database with its tables."""

    def is_valid(self) -> bool:
        """Nothing it depends on changed, and what it made is still there. A stamp that cannot be read is none."""
        kept = self._kept()
        return bool(kept.digest) and kept.digest == digest_of(self.sources()) and {*kept.made} <= self.entries()

    def write(self, made: set[str]) -> None:
        """The tree is prepared now.

        Args:
            made: entries at the top of the tree that were not there before; those of earlier times still count.
        """
        made = made | (self.made() & self.entries())
        self._write(_Kept(digest_of(self._sources(made)), tuple(sorted(made))))

    def void(self) -> None:
        """It is being prepared: whoever is killed meanwhile leaves a tree that does not count as prepared."""
        self._write(_Kept(made=self._kept().made))

    def made(self) -> set[str]:
        """Names at the top of the tree that `prepare` made."""
        return {*self._kept().made}

    def entries(self) -> set[str]:
        """Names at the top of the tree; those the harness itself puts there and takes away are left out."""
        return {path.name for path in self.tree.iterdir()} - self._ignored

    def sources(self) -> Sources:
        """All that `prepare` may read: it builds as well as installs, so every source counts, links included."""
        return self._sources(self.made())

    def products(self, sources: Sources) -> list[str]:
        """What lies in the tree and is no source, or not as it was: files, and whole directories without a source."""
        parents = {parent for path in sources for parent in path.parents}
        found: list[str] = []
        for directory, directories, files in _walked(self.tree, self._ignored):
            here = directory.relative_to(self.tree)
            alien = {name for name in directories if here / name not in parents}
            directories -= alien
            changed = {name for name in files if _digest(directory / name) != sources.get(here / name)}
            found += sorted(str(here / name) for name in alien | changed)
        return found

    def _kept(self) -> _Kept:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            return _Kept(str(kept["digest"]), tuple(kept["made"]))
        except (OSError, ValueError, TypeError, KeyError):
            return _Kept()

    def _write(self, kept: _Kept) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, json.dumps(asdict(kept)))

    def _sources(self, made: set[str]) -> Sources:
        found = {}
        for directory, directories, files in _walked(self.tree, self._ignored):
            here = directory.relative_to(self.tree)
            directories -= {name for name in directories if not self._counts(here / name, made)}
            for path in (here / name for name in files if self._counts(here / name, made)):
                if digest := _digest(self.tree / path):
                    found[path] = digest
        return found

    def _counts(self, path: Path, made: set[str]) -> bool:
        """Whether a file is a source, or a directory may hold one."""
        if self._tracked is not None:
            return path in self._tracked
        return path.parts[0] not in made and path.name not in LEFT_OUT


def digest_of(sources: Sources) -> str:
    """One digest of them all."""
    total = hashlib.sha256()
    for path, digest in sorted(sources.items()):
        total.update(f"{path}\0{digest}".encode(errors="surrogateescape"))
    return total.hexdigest()


def _walked(tree: Path, left_out: frozenset[str] | set[str]) -> Iterator[tuple[Path, set[str], set[str]]]:
    """Directories with the names in them, links among the files; take names out of the second to go round them.

    Args:
        left_out: names that do not count at the top.
    """
    for place, directories, files in os.walk(tree):
        directory = Path(place)
        skipped = {".git", *(left_out if directory == tree else ())}
        links = {name for name in directories if (directory / name).is_symlink()}
        inner = {*directories} - links - skipped
        yield directory, inner, ({*files} | links) - skipped
        directories[:] = sorted(inner)


def _digest(path: Path) -> str:
    """Of a plain file or a link; empty for another one, or a temporary one that is gone."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_symlink():
            return f"link {hashlib.sha256(os.fsencode(path.readlink())).hexdigest()}"
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def restore(directory: Path, seed: Path | None = None) -> None:
    """Make a directory hold what the seed holds, nothing without one.

    The directory itself stays: it may be mounted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        remove_tree(path)
    if seed and seed.is_dir():
        shutil.copytree(seed, directory, symlinks=True, dirs_exist_ok=True, ignore=_special)


def _special(directory: str, names: list[str]) -> set[str]:
    """Pipes, sockets and devices: what runs makes them anew, and they cannot be copied."""
    paths = {name: Path(directory, name) for name in names}
    return {n for n, path in paths.items() if not (path.is_symlink() or path.is_dir() or path.is_file())}
