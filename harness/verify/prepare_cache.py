"""What `prepare` made, kept for other trees with the same sources: a baseline, a new worktree, the tree of a resume.

The key covers every source, the command, what it may reach and the programs it finds, because `prepare` builds as well
as installs: of another source it might have made something else. What is kept was made in a tree that held its sources
and nothing else, with an empty home, so the key covers all that was read. Copies go in and out, never links, so no tree
can change what another uses, and the copying is done inside the sandbox: whatever links code of the project made, they
lead nowhere. Lies in the project's state, unseen by code of the project, and is bounded: what was used longest ago goes
first. `harness verify` does not use it: it tells whether a clone alone is enough.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.verify.prepared import Sources, Stamp, digest_of, restore
from harness.worktree import remove_tree

if TYPE_CHECKING:
    from harness.project import Project
    from harness.sandbox.policy import Policy
    from harness.sandbox.processes import Room
    from harness.settings import AppSettings, PrepareNetwork, Settings

PROGRAMS = ("python3", "node", "npm", "go", "cargo", "java", "ruby", "php")
"""Whose version changes what an installation holds."""
COPY_SECONDS = 600.0
TAKE_AWAY = 'xargs -0 -r -a "$1" rm -rf -- || { xargs -0 -a "$1" chmod -R u+rwX --; xargs -0 -a "$1" rm -rf --; }'
"""Directories may have been made read-only."""
COPY_OUT = 'cp -a --reflink=auto --remove-destination -- "$1/." .'
COPY_IN = 'mkdir -p "$2" && xargs -0 -r -a "$1" cp -a --reflink=auto --parents -t "$2" --'
LIST, TREE, DATA, ENTRY = "list", "tree", "data", "entry.json"
UNFINISHED = ".new-"


class PrepareCache:
    """A directory of entries, each named by its key."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._directory, self._limit_bytes = directory, limit_bytes

    @classmethod
    def of(cls, project: Project, settings: Settings) -> PrepareCache:
        """The cache of a project."""
        return cls(stamps_dir(project) / "cache", settings.sandbox.prepare_cache_mb << 20)

    def key(self, sources: Sources, app: AppSettings, network: PrepareNetwork, policy: Policy) -> str:
        """What names the result of preparing these sources here."""
        search = policy.search_path()
        found = [shutil.which(name, path=search) for name in PROGRAMS]
        programs = [(path, Path(path).stat().st_mtime_ns) for path in map(os.path.realpath, filter(None, found))]
        parts = [digest_of(sources), app.prepare, network, policy.is_sandboxed, policy.subdir]
        told = json.dumps([*parts, programs, sys.version, platform.platform()])
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def has(self, key: str) -> bool:
        """Whether there is an entry."""
        return _made(self._directory / key) is not None

    async def take(self, key: str, room: Room, policy: Policy, stamp: Stamp) -> bool:
        """Make a tree what it was when the entry was kept; False when there is none."""
        entry = self._directory / key
        made = _made(entry)
        if made is None:
            return False
        os.utime(entry)
        within = replace(policy, read_only=(*policy.read_only, entry))
        words = ["bash", "-c", COPY_OUT, "copy", str(entry / TREE)]
        if (
            not await take_away(room, policy, stamp)
            or (await room.run(words, timeout_seconds=COPY_SECONDS, policy=within)).exit_code
        ):
            self._forget(entry)
            return False
        restore(stamp.seed, entry / DATA)
        stamp.write(made)
        return True

    async def keep(self, key: str, room: Room, policy: Policy, stamp: Stamp, sources: Sources) -> None:
        """Keep what `prepare` made of these sources, if it fits; a copy that fails is none."""
        for left in self._directory.glob(f"{UNFINISHED}*"):
            remove_tree(left)  # of a harness that was killed: one process owns a project
        if not self._limit_bytes or any(not _is_file(stamp.tree / path) for path in sources):
            return
        new = self._directory / f"{UNFINISHED}{key}"
        within = replace(policy, data_dir=new)
        listed = _list(new, stamp.products(sources))
        words = ["bash", "-c", COPY_IN, "copy", within.inside(listed), within.inside(new / TREE)]
        result = await room.run(words, timeout_seconds=COPY_SECONDS, policy=within)
        listed.unlink()
        restore(new / DATA, stamp.seed)
        (new / ENTRY).write_text(json.dumps({"made": sorted(stamp.made())}), encoding="utf-8")
        if result.exit_code or not self._make_room(_size(new)):
            remove_tree(new)
            return
        self._forget(self._directory / key)
        new.rename(self._directory / key)

    def _make_room(self, size: int) -> bool:
        """Let the oldest entries go until there is room; False when it is too much for an empty one."""
        if size > self._limit_bytes:
            return False
        entries = [path for path in self._directory.iterdir() if not path.name.startswith(UNFINISHED)]
        entries.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for entry in entries:
            size += _size(entry)
            if size > self._limit_bytes:
                self._forget(entry)
        return True

    def _forget(self, entry: Path) -> None:
        (entry / ENTRY).unlink(missing_ok=True)  # first: half an entry is none
        remove_tree(entry)


async def take_away(room: Room, policy: Policy, stamp: Stamp) -> bool:
    """Leave nothing in a tree but its sources; it does not count as prepared any more. Whether that could be done."""
    stamp.void()
    listed = _list(policy.data_dir, stamp.products(stamp.sources()))
    words = ["bash", "-c", TAKE_AWAY, "take", policy.inside(listed)]
    return not (await room.run(words, timeout_seconds=COPY_SECONDS, policy=policy)).exit_code


def stamps_dir(project: Project) -> Path:
    """Where it is kept that trees are prepared, and with what."""
    return project.state_dir / "prepared"


def _made(entry: Path) -> set[str] | None:
    """Names at the top that `prepare` made; None where there is no entry, or only part of one."""
    try:
        return set(json.loads((entry / ENTRY).read_text(encoding="utf-8"))["made"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _list(directory: Path, names: list[str]) -> Path:
    """Names for `xargs -0`, in a directory that code of the project can read and that is empty before and after."""
    restore(directory)
    path = directory / LIST
    path.write_bytes(b"".join(os.fsencode(f"./{name}") + b"\0" for name in names))
    return path


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _size(directory: Path) -> int:
    return sum(Path(place, name).lstat().st_size for place, _, names in os.walk(directory) for name in names)
