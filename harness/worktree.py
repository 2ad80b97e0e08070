"""A checkout that belongs to the harness: where sessions work and baselines are replayed.

Everything in it may have been written by a model. Its `.git` is never read (commands name the git directory), other
repositories inside it are refused, and looking at changes uses an index of its own, so that looking changes nothing.
Paths are given and returned relative to the project directory. Work and commits cover all of that directory, because
what was proved is its whole tree, and nothing else: where the project lies in a directory of a larger repository, what
the other directories hold is what was committed there by others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.commits import (
    Commit,
    find_commit,
    from_root,
    list_commits,
    make_message,
    read_commits,
    read_file,
    read_log,
    split_message,
    to_root,
    within,
)
from harness.errors import RepoError
from harness.git import NO_PROGRAMS, Git
from harness.git_trees import read_files


@dataclass(frozen=True)
class MergeResult:
    """How a merge ended. Without `merged` the tree is as it was before."""

    merged: bool
    sha: str
    """The branch's commit now."""
    conflicts: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The content of a tree at one moment."""

    sha: str
    """A commit that holds it; on no branch, so git forgets it in time."""
    content: str
    """Names the content, the same for the same content."""


_CHANGED = ("diff", "--name-only", "--no-renames", "-z", *NO_PROGRAMS)


@dataclass(frozen=True)
class Worktree:
    """One checkout and what can be done in it."""

    git: Git
    path: Path
    """Its top directory."""
    prefix: str
    """The project's directory inside it; empty when they are the same."""
    branch: str | None
    """None: a detached checkout, to look at only."""
    repairs: tuple[str, ...] = ()
    """What had to be put right to open it, in words."""

    @property
    def _all(self) -> tuple[str, ...]:
        """The whole project, for a command of git."""
        return within(self.prefix) or (":/",)

    @property
    def directory(self) -> Path:
        """The project directory in this checkout."""
        return self.path / self.prefix

    async def head(self) -> str:
        """The commit that is checked out."""
        return (await self.git.run("rev-parse", "--verify", "HEAD^{commit}")).strip()

    async def fork_point(self, branch: str) -> str:
        """The last commit this checkout and a branch have in common."""
        return (await self.git.run("merge-base", "HEAD", f"refs/heads/{branch}")).strip()

    async def is_ours_since_fork(self, branch: str, name: str) -> bool:
        """Whether all that changed a file on a branch since the fork are commits of a thread of ours."""
        since = f"{await self.fork_point(branch)}..refs/heads/{branch}"
        shape = ("-z", "--format=%B", "--no-merges")
        messages = (await self.git.run("log", *shape, since, "--", _literal(to_root(name, self.prefix)))).split("\0")
        made = [split_message(message)[2] for message in messages if message.strip()]
        return bool(made) and all("Harness-Thread" in trailers for trailers in made)

    async def is_left_alone_since_fork(self, branch: str) -> bool:
        """Whether no commit on a branch since the fork touches the project."""
        since = f"{await self.fork_point(branch)}..refs/heads/{branch}"
        return not (await self.git.run("rev-list", "-1", "--full-history", since, "--", *self._all)).strip()

    async def read(self, name: str, at: str = "HEAD") -> str | None:
        """A file as a commit has it, whatever lies in the tree; None when it has none."""
        return await read_file(self.git, name, self.prefix, at)

    async def read_all(self, endings: tuple[str, ...], most_bytes: int, all_bytes: int) -> dict[str, bytes]:
        """Plain files of the last commit whose names end so, but for large ones; the other arguments: `read_files`."""
        found = await read_files(self.git, "HEAD", self.prefix, endings, most_bytes, all_bytes)
        return {from_root(name, self.prefix): content for name, content in found.items()}

    async def files(self) -> list[str]:
        """Tracked paths of the project."""
        names = await self.git.paths("ls-files", "-z", "--", *self._all)
        return [from_root(name, self.prefix) for name in names]

    async def same_code(self, sha: str, other: str, without: Sequence[str]) -> bool:
        """Whether two commits hold the same of the project, some names left out."""
        left_out = [f":(top,exclude,literal){to_root(name, self.prefix)}" for name in without]
        shape = ("--quiet", "--no-renames", *NO_PROGRAMS)
        answer = await self.git.ask("diff", *shape, await resolve(self.git, sha), other, "--", *self._all, *left_out)
        return answer.code == 0

    async def reset(self, sha: str) -> None:
        """Make the tree that of a commit and remove what is new; ignored files, such as caches, stay."""
        await self._remove_nested()
        await self.git.run("reset", "--hard", "--quiet", await resolve(self.git, sha))
        await self.git.run("clean", "-ffdq", "--", ":/")
        self.directory.mkdir(parents=True, exist_ok=True)

    async def restore(self, name: str) -> bool:
        """Make a file what the last commit has, and return whether it was anything else.

        Whatever code put in its place is replaced by git, which follows no link, also not one on the way there.
        """
        path = _literal(to_root(name, self.prefix))
        was_changed = await self.read(name) is not None and bool(await self.git.paths(*_CHANGED, "HEAD", "--", path))
        if was_changed:
            await self.git.run("checkout", "--quiet", "--no-overlay", "HEAD", "--", path)
        return was_changed

    async def changed_files(self, base: str) -> list[str]:
        """List what differs from a commit, new files included and ignored ones not."""
        sha = await resolve(self.git, base)
        async with self._staged_copy() as env:
            shape = ("--cached", "--name-only", "--no-renames", "-z")
            names = await self.git.paths("diff", *shape, *NO_PROGRAMS, sha, "--", *self._all, env=env)
        return [from_root(name, self.prefix) for name in names]

    async def diff(self, base: str) -> bytes:
        """Write what differs from a commit as a patch for `git apply`, binary and new files included."""
        sha = await resolve(self.git, base)
        async with self._staged_copy() as env:
            shape = ("--cached", "--binary", "--full-index", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
            return await self.git.run_bytes("diff", *shape, *NO_PROGRAMS, sha, "--", *self._all, env=env)

    async def commit(
        self,
        subject: str,
        body: str,
        trailers: Mapping[str, str],
        paths: Sequence[str] | None = None,
        always: Sequence[str] = (),
    ) -> str:
        """Commit the tree once for these trailers and return the sha.

        Args:
            subject: first line; blanks are folded.
            body: prose; may be empty.
            trailers: what the commit is for.
            paths: only these; None: everything of the project that is not ignored.
            always: also these, even where `.gitignore` (which a model may have edited) names them.

        Raises:
            RepoError: there is a repository inside the tree (the text is fit for the model), or git failed.
            SetupError: git does not know who commits.

        Replay: a commit that already carries the trailers is returned as it is.
        """
        self.git.require_identity()
        await self._require_branch()
        if made := await self.find_commit(trailers):
            return made
        await self._refuse_nested()
        await self._stage(paths, always)
        message = make_message(subject, body, trailers).encode(errors="surrogateescape")
        shape = ("--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "--cleanup=verbatim")
        await self.git.run("commit", *shape, "-F", "-", stdin=message)
        return await self.head()

    async def find_commit(self, trailers: Mapping[str, str]) -> str | None:
        """The newest commit of this checkout's history that carries all of the trailers."""
        return await find_commit(self.git, trailers, prefix=self.prefix)

    async def log(self, count: int, *, first_parent: bool = False) -> list[Commit]:
        """The newest commits of this checkout's history; of one line of it, when only first parents are followed."""
        return await read_log(self.git, count, self.prefix, first_parent=first_parent)

    async def history(self, count: int) -> list[str]:
        """Shas of the newest commits that touch the project, newest first."""
        return await list_commits(self.git, count, self.prefix)

    async def commits(self, shas: Sequence[str]) -> list[Commit]:
        """Some of them."""
        return await read_commits(self.git, shas, self.prefix)

    async def merge(self, branch: str) -> MergeResult:
        """Take in what a branch has and this one has not; a conflict leaves nothing behind."""
        self.git.require_identity()
        await self._require_branch()
        theirs, before = await resolve(self.git, branch), await self.head()
        shape = ("--quiet", "--no-edit", "--no-verify", "--no-stat", "--no-squash", "--no-gpg-sign", "--ff", "--commit")
        answer = await self.git.ask("merge", *shape, "-m", f"Merge {branch}", theirs)
        if answer.code == 0:
            return MergeResult(True, await self.head())
        names = await self.git.paths("diff", "--name-only", "--diff-filter=U", "-z", *NO_PROGRAMS)
        await self.git.ask("merge", "--abort")
        conflicts = tuple(from_root(name, self.prefix) for name in names)
        return MergeResult(False, before, conflicts, answer.err or f"conflicts in {', '.join(conflicts)}")

    async def snapshot(self, without: Sequence[str] = ()) -> Snapshot:
        """What a commit of this tree would hold now, as a commit on no branch; the tree and its index stay as they are.

        Args:
            without: names that do not count for the content's id.

        Raises: RepoError: there is a repository inside the tree, or git cannot take a file (the text is fit for the
            model).
        """
        self.git.require_identity()
        await self._refuse_nested()
        async with self._staged_copy() as env:
            tree = (await self.git.run("write-tree", env=env)).strip()
            names = [_literal(to_root(name, self.prefix)) for name in without]
            if names:
                await self.git.run("rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", *names, env=env)
            content = await self._content(env)
        sha = (await self.git.run("commit-tree", tree, "-p", await self.head(), "-m", "candidate")).strip()
        return Snapshot(sha, content)

    async def _content(self, env: Mapping[str, str]) -> str:
        """The id of the project's own tree in an index."""
        if not self.prefix:
            return (await self.git.run("write-tree", env=env)).strip()
        if not await self.git.paths("ls-files", "-z", "--", *self._all, env=env):
            return (await self.git.run("hash-object", "-t", "tree", "--stdin")).strip()
        return (await self.git.run("write-tree", f"--prefix={self.prefix}/", env=env)).strip()

    async def added_below(self, sha: str, names: Sequence[str]) -> list[str]:
        """Directories of these names, wherever they lie, of which a commit has something and HEAD has nothing."""
        shape = ("--name-only", "--no-renames", "--diff-filter=A", "-z", *NO_PROGRAMS)
        globs = [f":(top,glob)**/{name}/**" for name in names]
        added = await self.git.paths("diff", *shape, "HEAD", await resolve(self.git, sha), "--", *globs)
        found = {_down_to(path, names) for path in added}
        before = (
            await self.git.paths("ls-tree", "-z", "--full-tree", "--name-only", "HEAD", "--", *sorted(found))
            if found
            else []
        )
        return [from_root(path, self.prefix) for path in sorted(found - {*before})]

    async def nested_repositories(self) -> list[str]:
        """List `.git` entries inside the tree that are not ignored: each could bring programs of its own."""
        found = await asyncio.to_thread(_find_nested, self.path)
        if not found:
            return []
        parents = "\0".join(os.path.dirname(name) for name in found)  # noqa: PTH120 - names, not paths here
        answer = await self.git.ask("check-ignore", "-z", "--stdin", stdin=os.fsencode(parents))
        ignored = set(answer.out.split("\0"))
        return [name for name in found if os.path.dirname(name) not in ignored]  # noqa: PTH120

    async def _require_branch(self) -> None:
        if self.branch is None:
            raise RepoError(f"{self.path} is a checkout to look at; nothing can be committed in it.")
        current = (await self.git.ask("symbolic-ref", "--quiet", "HEAD")).out.strip()
        if current != f"refs/heads/{self.branch}":
            raise RepoError(f"{self.path} should be on branch {self.branch!r} and is on {current or 'none'!r}.")

    async def _refuse_nested(self) -> None:
        if nested := await self.nested_repositories():
            names = ", ".join(from_root(name, self.prefix) for name in nested[:5])
            raise RepoError(
                f"There is a git repository inside the project: {names}.",
                "Remove it (`rm -rf` the .git named above), or name its directory in .gitignore.",
            )

    async def _remove_nested(self) -> None:
        for name in await self.nested_repositories():
            await asyncio.to_thread(remove_tree, self.path / name)

    async def _stage(self, paths: Sequence[str] | None, always: Sequence[str]) -> None:
        if paths is None:
            await self._add()
        else:
            await self.git.run("reset", "--mixed", "--quiet")  # forget what a killed commit had staged
        for name in (to_root(name, self.prefix) for name in (*(paths or ()), *always)):
            if _is_there(self.path / name) or await self.git.paths("ls-files", "-z", "--", _literal(name)):
                await self.git.run("add", "--all", "--force", "--", _literal(name))

    @asynccontextmanager
    async def _staged_copy(self) -> AsyncIterator[dict[str, str]]:
        nested = [os.path.dirname(name) for name in await self.nested_repositories()]  # noqa: PTH120
        with tempfile.TemporaryDirectory(prefix="harness-index-") as directory:
            index = Path(directory) / "index"
            if (self.git.git_dir / "index").exists():
                shutil.copy2(self.git.git_dir / "index", index)  # with its time, by which git knows what is fresh
            env = {"GIT_INDEX_FILE": str(index)}
            excluded = [f":(top,exclude,literal){name}" for name in nested]
            await self._add(excluded, env)
            yield env

    async def _add(self, excluded: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        """Take all of the project that is not ignored into an index; a directory may hold nothing yet."""
        shape = ("-z", "--cached", "--others", "--exclude-standard")
        if not self.prefix or await self.git.paths("ls-files", *shape, "--", *self._all, env=env):
            await self.git.run("add", "--all", "--", *self._all, *excluded, env=env)


async def resolve(git: Git, revision: str) -> str:
    """Turn a revision into the sha of a commit.

    Raises: RepoError: there is no such commit.
    """
    answer = await git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if answer.code != 0:
        raise RepoError(f"There is no commit {revision!r} in {git.root}.")
    return answer.out.strip().splitlines()[-1]


def remove_tree(path: Path) -> None:
    """Delete whatever lies there, also where directories cannot be written or read; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    for directory, names, _ in os.walk(path):
        for inner in (Path(directory, name) for name in names):
            if not inner.is_symlink():
                inner.chmod(0o700)  # before it is walked
    shutil.rmtree(path)


def _find_nested(root: Path) -> list[str]:
    found = []
    for directory, directories, files in os.walk(root):
        inside = os.path.relpath(directory, root)
        hits = [name for name in (*directories, *files) if name.lower() == ".git"]
        directories[:] = [name for name in directories if name.lower() != ".git"]
        found += [os.path.normpath(os.path.join(inside, name)) for name in hits if inside != "."]  # noqa: PTH118
    return found


def _down_to(path: str, names: Sequence[str]) -> str:
    """A path as far as the first directory of one of the names."""
    parts = path.split("/")
    return "/".join(parts[: 1 + min(parts.index(name) for name in names if name in parts)])


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _literal(name: str) -> str:
    return f":(top,literal){name}"
