"""Lock files of git that their owner did not live to remove.

Git makes `index.lock` and removes it at the end; killed in between, it leaves it, and every later commit fails. A lock
is stale when the project's own lock is ours, so that no other harness is at work, and no living git process works on
that repository. Where processes cannot be listed, and in the user's own checkout, it must also be old.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import RepoError

if TYPE_CHECKING:
    from harness.git import Git
    from harness.lock import ProjectLock

_OLD_SECONDS = 60.0
_NAMES = ("index.lock", "HEAD.lock", "ORIG_HEAD.lock")
_PROCESSES = Path("/proc")


def remove_stale_locks(lock: ProjectLock, checkouts: list[Git], users_root: Path) -> list[str]:
    """Remove stale locks of every checkout and of our branches; return what was removed, in words.

    Raises: RepoError: the project's lock is not held.
    """
    if not lock.held:
        raise RepoError("Stale git locks are removed only by the process that holds the project.")
    removed = []
    for git in checkouts:
        is_ours = git.root != users_root
        for path in [git.git_dir / name for name in _NAMES] + _branch_locks(git.common_dir):
            if path.exists() and _is_stale(path, git, is_ours):
                path.unlink(missing_ok=True)
                removed.append(f"removed {path}, left by a git command that was killed")
    return removed


def _branch_locks(common_dir: Path) -> list[Path]:
    return sorted((common_dir / "refs" / "heads" / "harness").rglob("*.lock"))


def _is_stale(path: Path, git: Git, is_ours: bool) -> bool:
    age = abs(time.time() - path.stat().st_mtime)  # after a clock went back, what was left before is of the future
    if (not is_ours or not _PROCESSES.is_dir()) and age < _OLD_SECONDS:
        return False
    return not any(_works_on(process, git) for process in _PROCESSES.glob("[0-9]*"))


def _works_on(process: Path, git: Git) -> bool:
    """Whether a process is a git at work on this repository."""
    try:
        words = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
        if Path(words[0]).name.removesuffix(".exe") != "git" and not Path(words[0]).name.startswith("git-"):
            return False
        here = Path(os.path.realpath(process / "cwd"))
    except OSError:
        return False
    inside = git.root in (here, *here.parents) or git.common_dir in (here, *here.parents)
    return inside or any(str(git.git_dir) in word for word in words)
