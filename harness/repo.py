"""The project's repository: what it knows, its worktrees, and the user's branch.

The user's checkout is only ever read, but for `fast_forward`, which is guarded. All work happens in worktrees that
belong to the harness; opening one puts right whatever a killed process left of it. A worktree's git directory is found
in the user's `.git/worktrees`, which the sandbox cannot write, never through the `.git` file inside the worktree.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.commits import Commit, find_commit, from_root, read_file, read_log, within
from harness.errors import RepoError, SetupError
from harness.fast_forward import FastForward, fast_forward
from harness.git import Git, find_identity, init_repository, refuse_foreign_environment, write_identity
from harness.git_trees import contents
from harness.lock import ProjectLock
from harness.project import find_git
from harness.stale_locks import remove_stale_locks
from harness.worktree import Worktree, remove_tree, resolve

_ALL_COMMITS = 1_000_000


class Repo:
    """The repository that holds a project."""

    def __init__(self, git: Git, prefix: str) -> None:
        self.git = git
        self.prefix = prefix
        """The project's directory inside the repository; empty when they are the same."""

    @classmethod
    def open(cls, project_dir: Path) -> Repo:
        """Open the repository around a project.

        Raises: SetupError: there is none, or git is missing or misled by the environment.
        """
        refuse_foreign_environment()
        directory = Path(os.path.realpath(project_dir))
        found = find_git(directory)
        if found is None:
            raise SetupError(f"{directory} is not in a git repository.", "Run `harness init`, or `git init` there.")
        git = Git(found.root, found.git_dir, found.common_dir, find_identity(found.git_dir))
        prefix = os.path.relpath(directory, found.root)
        return cls(git, "" if prefix == "." else prefix)

    @classmethod
    def create(cls, project_dir: Path, identity: tuple[str, str] | None = None) -> Repo:
        """Open the repository around a project, made first where there is none.

        Args:
            identity: name and address for a repository of its own at just this place, where git knows nobody; None:
                the enclosing repository will do, and so will an author that is missing.
        """
        refuse_foreign_environment()
        directory = Path(os.path.realpath(project_dir))
        found = find_git(directory)
        if found is None or (identity and found.root != directory):
            init_repository(directory)
        repo = cls.open(directory)
        if identity and not repo.git.identity:
            write_identity(repo.git.git_dir, *identity)
            repo = cls.open(directory)
        return repo

    def require_identity(self) -> None:
        """Refuse early when git does not know who commits.

        Raises: SetupError: with the commands that tell it.
        """
        self.git.require_identity()

    async def head(self) -> str:
        """The commit the user has checked out.

        Raises: RepoError: there is no commit yet.
        """
        return await resolve(self.git, "HEAD")

    async def branch(self) -> str | None:
        """The user's branch; None when HEAD is detached."""
        answer = await self.git.ask("symbolic-ref", "--quiet", "HEAD")
        return answer.out.strip().removeprefix("refs/heads/") if answer.code == 0 else None

    async def has_commits(self) -> bool:
        """Whether the user's branch has any commit."""
        return (await self.git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")).code == 0

    async def dirty(self) -> list[str]:
        """Files of the user's that differ from the last commit or are new; ignored ones not, nor other directories."""
        shape = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=all")
        found = await self.git.paths("status", *shape, "--", *within(self.prefix))
        return [from_root(line[3:], self.prefix) for line in found]

    async def visible_files(self) -> list[str]:
        """Paths in the user's checkout that are tracked or would be, relative to its top directory."""
        return await self.git.paths("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ":/")

    async def own_files(self) -> list[str]:
        """Those of them that lie in the project, relative to it."""
        shape = ("-z", "--cached", "--others", "--exclude-standard")
        names = await self.git.paths("ls-files", *shape, "--", *(within(self.prefix) or (":/",)))
        return [from_root(name, self.prefix) for name in names]

    async def any_counts(self, paths: Sequence[str]) -> bool:
        """Whether one of these absolute paths is not ignored."""
        answer = await self.git.ask("check-ignore", "-z", "--stdin", stdin=os.fsencode("\0".join(paths)))
        return not set(paths) <= set(answer.out.split("\0"))

    async def log(self, count: int, tip: str = "HEAD") -> list[Commit]:
        """The newest commits of a branch or commit."""
        return await read_log(self.git, count, self.prefix, tip)

    async def read(self, name: str, at: str = "HEAD") -> str | None:
        """A file of the project as a commit has it; None when it has none."""
        return await read_file(self.git, name, self.prefix, at)

    async def files_of(self, sha: str) -> list[str]:
        """Paths that a commit has in the project's directory, relative to it."""
        where = ("--", f"{self.prefix}/") if self.prefix else ()
        names = await self.git.paths("ls-tree", "-r", "-z", "--name-only", "--full-tree", sha, *where)
        return [from_root(name, self.prefix) for name in names]

    async def export(self, sha: str, place: Path) -> None:
        """Write the files of a commit into an empty directory, which git does not know of.

        Raises: RepoError: there is no such commit, or no room.
        """
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="export-") as directory:
            env = {"GIT_INDEX_FILE": str(Path(directory, "index"))}
            await self.git.run("read-tree", await resolve(self.git, sha), env=env)
            await self.git.run("checkout-index", "--all", "--force", f"--prefix={place}/", env=env)

    async def find_commit(self, trailers: Mapping[str, str], tip: str = "HEAD") -> str | None:
        """The newest commit reachable from `tip` that carries all of the trailers."""
        return await find_commit(self.git, trailers, tip, self.prefix)

    async def with_trailer(self, name: str, tip: str = "HEAD") -> list[Commit]:
        """Commits reachable from `tip` that carry a trailer, newest first."""
        found = await read_log(self.git, _ALL_COMMITS, self.prefix, tip, grep=f"{name}: ")
        return [commit for commit in found if name in commit.trailers]

    async def is_shallow(self) -> bool:
        """Whether this is a clone without its whole history."""
        return (await self.git.run("rev-parse", "--is-shallow-repository")).strip() == "true"

    async def contents(self, shas: Sequence[str], without: Sequence[str]) -> dict[str, str]:
        """Commit -> the id its tree has with some names of the project left out, as `Snapshot.content`."""
        return await contents(self.git, shas, self.prefix, without)

    async def fast_forward(self, branch: str, to_sha: str) -> FastForward:
        """Move the user's branch to a commit if that overwrites nothing of theirs."""
        target = await resolve(self.git, to_sha)
        return await fast_forward(self.git, self._checkouts(), branch, target)

    async def clear_stale_locks(self, lock: ProjectLock) -> list[str]:
        """Remove what killed git commands left, and tell what.

        Args:
            lock: the project's lock; held, it is the proof that none of our own git commands is at work.
        """
        return await asyncio.to_thread(remove_stale_locks, lock, self._checkouts(), self.git.root)

    async def open_worktree(self, path: Path, branch: str, start: str = "HEAD") -> Worktree:
        """Open the checkout of a branch, made where it is missing and mended where it is broken.

        Args:
            path: its directory, outside the repository.
            branch: its branch, made from `start` where it is missing.
            start: a commit; without any commit in the repository an empty first one is made.

        Replay: an existing worktree is adopted with what is in it.
        """
        await self._make_branch(branch, start)
        place, repairs = await self._clear_place(path)
        await self._free_branch(branch, place)
        if self._admin_dir(place) is None:
            await self.git.run("worktree", "add", "--quiet", str(place), branch)
        worktree = self._worktree(place, branch, repairs)
        if (await worktree.git.ask("symbolic-ref", "--quiet", "HEAD")).out.strip() != f"refs/heads/{branch}":
            await worktree.git.run("switch", "--discard-changes", "--quiet", branch)
        return worktree

    async def checkout_at(self, sha: str, path: Path) -> Worktree:
        """Open a checkout of one commit to look at; whatever else was there is replaced, ignored files stay."""
        target = await resolve(self.git, sha)
        place, repairs = await self._clear_place(path)
        if self._admin_dir(place) is None:
            await self.git.run("worktree", "add", "--quiet", "--detach", str(place), target)
        worktree = self._worktree(place, None, repairs)
        await worktree.git.run("checkout", "--quiet", "--force", "--detach", target)
        await worktree.reset(target)
        return worktree

    async def remove_worktree(self, path: Path) -> None:
        """Remove a checkout of the harness and all that is in it; harmless when it is gone."""
        place = self._outside(path)
        if self._admin_dir(place) is not None:
            await self.git.ask("worktree", "unlock", str(place))
            await asyncio.to_thread(remove_tree, place)
            await self.git.run("worktree", "remove", "--force", "--force", str(place))
        await asyncio.to_thread(remove_tree, place)

    async def _make_branch(self, branch: str, start: str) -> None:
        ref = f"refs/heads/{branch}"
        if (await self.git.ask("check-ref-format", ref)).code != 0 or branch.startswith("-"):
            raise RepoError(f"{branch!r} cannot be a branch name.")
        if (await self.git.ask("rev-parse", "--verify", "--quiet", ref)).code != 0:
            begin = await resolve(self.git, start) if await self._any_commit(start) else await self._first_commit()
            await self.git.run("branch", "--no-track", branch, begin)

    async def _any_commit(self, start: str) -> bool:
        return start != "HEAD" or await self.has_commits()

    async def _first_commit(self) -> str:
        self.require_identity()
        tree = (await self.git.run("hash-object", "-t", "tree", "-w", "--stdin")).strip()
        return (await self.git.run("commit-tree", tree, "-m", "chore: begin")).strip()

    async def _clear_place(self, path: Path) -> tuple[Path, tuple[str, ...]]:
        """Leave at a path either a whole worktree of ours or nothing."""
        place = self._outside(path)
        admin = self._admin_dir(place)
        if admin is not None and not (place.is_dir() and (admin / "index").is_file()):
            await self.remove_worktree(place)
            return place, (f"the worktree {place.name} was incomplete and is made again",)
        if admin is not None:
            return place, await self._mend(place, admin)
        if place.is_dir() and any(place.iterdir()):
            aside = _free_name(place)
            place.rename(aside)
            return place, (f"an unknown directory was in the way and is now {aside.name}",)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place, ()

    async def _mend(self, place: Path, admin: Path) -> tuple[str, ...]:
        repairs = []
        if (admin / "locked").exists():
            await self.git.run("worktree", "unlock", str(place))
            repairs.append(f"the worktree {place.name} was locked")
        pointer, wanted = place / ".git", f"gitdir: {admin}\n"
        if pointer.is_symlink() or not pointer.is_file() or pointer.read_text(errors="replace") != wanted:
            await asyncio.to_thread(remove_tree, pointer)
            pointer.write_text(wanted)
            repairs.append(f"the .git file of {place.name} had been changed")
        return tuple(repairs)

    async def _free_branch(self, branch: str, place: Path) -> None:
        """A branch can be checked out once: forget a lost checkout of it, refuse over a living one."""
        for git in self._checkouts():
            if git.root == place or await self._branch_of(git) != branch:
                continue
            if git.root.is_dir():
                raise SetupError(f"Branch {branch!r} is checked out in {git.root}.", "Switch that checkout elsewhere.")
            await self.remove_worktree(git.root)

    async def _branch_of(self, git: Git) -> str:
        head = (git.git_dir / "HEAD").read_text(encoding="utf-8", errors="surrogateescape")
        return head.strip().removeprefix("ref: ").removeprefix("refs/heads/")

    def _worktree(self, place: Path, branch: str | None, repairs: tuple[str, ...]) -> Worktree:
        admin = self._admin_dir(place)
        if admin is None:
            raise RepoError(f"git made no worktree at {place}.")
        worktree = Worktree(self._git_at(place, admin), place, self.prefix, branch, repairs)
        worktree.directory.mkdir(parents=True, exist_ok=True)
        return worktree

    def _git_at(self, root: Path, git_dir: Path) -> Git:
        return Git(root, git_dir, self.git.common_dir, self.git.identity)

    def _outside(self, path: Path) -> Path:
        """Refuse to treat anything of the user's as ours."""
        place = Path(os.path.realpath(path))
        common = self.git.common_dir
        if any(own == place or place in own.parents or own in place.parents for own in (self.git.root, common)):
            raise RepoError(f"{place} is not outside the user's repository.")
        return place

    def _checkouts(self) -> list[Git]:
        """Every checkout of the repository, the project's own first."""
        linked = [self._git_at(root, admin) for root, admin in self._linked() if admin != self.git.git_dir]
        main = self.git.common_dir
        if self.git.git_dir != main and main.name == ".git":
            linked.insert(0, self._git_at(main.parent, main))
        return [self.git, *linked]

    def _admin_dir(self, place: Path) -> Path | None:
        return next((admin for root, admin in self._linked() if root == place), None)

    def _linked(self) -> list[tuple[Path, Path]]:
        """Top directory and git directory of each linked worktree, from the user's `.git`."""
        admins = sorted(self.git.common_dir.glob("worktrees/*/gitdir"))
        return [(_top(admin), admin.parent) for admin in admins]


def _top(gitdir_file: Path) -> Path:
    text = gitdir_file.read_text(encoding="utf-8", errors="surrogateescape").strip()
    return Path(os.path.realpath((gitdir_file.parent / text).parent))


def _free_name(place: Path) -> Path:
    numbers = range(1, 10_000)
    return next(p for n in numbers if not (p := place.with_name(f"{place.name}.aside-{n}")).exists())
