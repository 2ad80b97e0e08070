"""Moving the user's branch to a proved commit without touching anything of theirs.

Git's own fast-forward merge refuses to overwrite work, with three exceptions closed here: ignored files, which it
overwrites by default; a configured squash, which reports success and moves nothing; and a branch without a commit.
What is in the way but already equal to the commit is no obstacle: a fast-forward killed half way leaves such files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from harness.git import NO_PROGRAMS, Answer, Git

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisection",
}


@dataclass(frozen=True)
class FastForward:
    """Whether the branch is at the commit now, and why not."""

    moved: bool
    reason: str
    """In words for the person; also says when it was there already."""


async def fast_forward(git: Git, checkouts: list[Git], branch: str, to_sha: str) -> FastForward:
    """Move a branch forward where nothing of the user's is in the way.

    Args:
        git: the project's checkout.
        checkouts: every checkout of the repository.
        branch: the short name of the user's branch.
        to_sha: a full sha.
    """
    ref = f"refs/heads/{branch}"
    old = (await git.ask("rev-parse", "--verify", "--quiet", ref)).out.strip()
    if old == to_sha:
        return FastForward(True, "already there")
    if old and (await git.ask("merge-base", "--is-ancestor", old, to_sha)).code != 0:
        return FastForward(False, f"{branch} has commits of its own")
    for checkout in checkouts:
        if (await checkout.ask("symbolic-ref", "--quiet", "HEAD")).out.strip() == ref:
            return await _advance_checkout(checkout, ref, old, to_sha)
    return await _advance_ref(git, checkouts, ref, old, to_sha)


async def _advance_ref(git: Git, checkouts: list[Git], ref: str, old: str, to_sha: str) -> FastForward:
    """Nobody has the branch checked out: only its name moves."""
    if not old:
        return FastForward(False, f"there is no branch {ref.removeprefix('refs/heads/')!r}")
    if any(_is_rebasing(checkout.git_dir, ref) for checkout in checkouts):
        return FastForward(False, "a rebase of it is under way")
    answer = await git.ask("update-ref", "-m", "harness: fast-forward", ref, to_sha, old)
    return FastForward(answer.code == 0, answer.err)


async def _advance_checkout(git: Git, ref: str, old: str, to_sha: str) -> FastForward:
    if reason := _obstacle(git):
        return FastForward(False, reason)
    if not old and (clashes := await _clashes(git, to_sha)):
        return FastForward(False, _in_the_way(clashes))
    answer = await _merge(git, to_sha)
    if answer.code != 0:
        answer = await _merge_over_equal_files(git, old, to_sha) or answer
    now = (await git.ask("rev-parse", "--verify", "--quiet", ref)).out.strip()
    if now == to_sha:
        return FastForward(True, "")
    files = [line.strip() for line in answer.err.splitlines() if line.startswith("\t")]
    return FastForward(False, _in_the_way(files) if files else answer.err or "git did not move it")


def _obstacle(git: Git) -> str:
    if not git.root.is_dir():
        return f"its checkout {git.root} is gone"
    for name, what in _UNDER_WAY.items():
        if (git.git_dir / name).exists():
            return f"{what} is under way in {git.root}"
    lock = git.git_dir / "index.lock"
    return f"another git command is at work, or was killed: {lock}" if lock.exists() else ""


def _in_the_way(files: list[str]) -> str:
    shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    return f"these files of yours would be overwritten: {shown}"


async def _merge(git: Git, to_sha: str) -> Answer:
    guards = ("--ff-only", "--no-squash", "--no-autostash", "--no-overwrite-ignore", "--no-verify-signatures")
    return await git.ask("merge", *guards, "--no-stat", "--quiet", to_sha)


async def _merge_over_equal_files(git: Git, old: str, to_sha: str) -> Answer | None:
    """Try again with files that already are as the commit has them counted as known; None: there are none."""
    targets = await _targets(git, old, to_sha)
    equal = [(mode, sha, name) for name, (mode, sha) in targets.items() if _equals(git.root / name, mode, sha)]
    if not equal:
        return None
    index, kept = git.git_dir / "index", git.git_dir / "index.harness"
    if index.exists():
        shutil.copy2(index, kept)
    lines = b"".join(os.fsencode(f"{mode} {sha}\t{name}\0") for mode, sha, name in equal)
    await git.run("update-index", "-z", "--add", "--index-info", stdin=lines)
    answer = await _merge(git, to_sha)
    if answer.code != 0 and kept.exists():
        kept.replace(index)
    kept.unlink(missing_ok=True)
    return answer


async def _clashes(git: Git, to_sha: str) -> list[str]:
    """On a branch without a commit git guards nothing: list what lies where a file would go."""
    targets = await _targets(git, "", to_sha)
    return [name for name, (mode, sha) in targets.items() if _blocks(git.root, name, mode, sha)]


async def _targets(git: Git, old: str, to_sha: str) -> dict[str, tuple[str, str]]:
    """Mode and sha of each file that differs from the old commit."""
    base = old or (await git.run("hash-object", "-t", "tree", "-w", "--stdin")).strip()
    words = await git.paths(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--diff-filter=d", *NO_PROGRAMS, base, to_sha
    )
    facts = [word.removeprefix(":").split(" ") for word in words[::2]]
    return {name: (fact[1], fact[3]) for fact, name in zip(facts, words[1::2], strict=True)}


def _blocks(root: Path, name: str, mode: str, sha: str) -> bool:
    path = root / name
    parents = [parent for parent in path.parents if root in parent.parents]
    if any(os.path.lexists(parent) and (parent.is_symlink() or not parent.is_dir()) for parent in parents):
        return True
    return os.path.lexists(path) and not _equals(path, mode, sha)


def _equals(path: Path, mode: str, sha: str) -> bool:
    """Whether a file is byte for byte what the commit holds."""
    try:
        found = path.lstat().st_mode
        content = os.fsencode(path.readlink()) if stat.S_ISLNK(found) else path.read_bytes()
    except OSError:
        return False
    actual = "120000" if stat.S_ISLNK(found) else "100755" if found & 0o100 else "100644"
    kind = hashlib.sha1 if len(sha) == 40 else hashlib.sha256
    return actual == mode and kind(b"blob %d\0" % len(content) + content).hexdigest() == sha


def _is_rebasing(git_dir: Path, ref: str) -> bool:
    files = (git_dir / name / "head-name" for name in ("rebase-merge", "rebase-apply"))
    return any(file.is_file() and file.read_text(encoding="utf-8").strip() == ref for file in files)
