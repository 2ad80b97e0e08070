"""Commits as values, and the trailers by which the harness finds its own again.

A commit is known by what it was made for, not by its sha: a killed process may have made it and never told anybody.
Trailers are written and read here and not by `git commit --trailer`, which runs programs named in the configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.errors import RepoError
from harness.git import NO_PROGRAMS, Git

_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): (\S.*)")
_OURS_IN_PROSE = re.compile(r"^(?=harness-)", re.IGNORECASE | re.MULTILINE)
_BODY_CHARACTERS = 20_000
_ACTED_ON = re.compile(
    r"(^|/)(\.envrc|\.npmrc|\.yarnrc[^/]*|\.gitattributes|\.gitmodules|\.pre-commit-config\.ya?ml|\.mcp\.json"
    r"|\.(vscode|idea|claude|cursor|harness|devcontainer|husky|githooks|github/workflows)/.*)$",
    re.IGNORECASE,
)
"""Files that shells, editors, agents, git and CI of the person act on when they merely open or receive the project."""

_SHAPE = (
    "-z",
    "--full-history",
    "--name-only",
    "--no-renames",
    "--diff-merges=first-parent",
    "--format=%x00%H%x00%cI%x00%B",
)
"""How `git log` tells commits with their files, for `_parse_log`."""


def begun_unasked(files: Sequence[str]) -> list[str]:
    """Those of some files that programs of the person act on unasked; a person should have seen them."""
    return [name for name in files if _ACTED_ON.search(name)]


@dataclass(frozen=True)
class Commit:
    """One commit."""

    sha: str
    subject: str
    date: datetime
    """When it was committed, UTC."""
    body: str = ""
    """The message without subject and trailers."""
    trailers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Paths it changed, relative to the project directory."""


def make_trailers(thread: str, session: str = "", feature: str = "", event: str = "") -> dict[str, str]:
    """Name what a commit is for; empty parts are left out."""
    named = {"Thread": thread, "Session": session, "Feature": feature, "Event": event}
    return {f"Harness-{name}": value for name, value in named.items() if value}


def make_message(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """Put a message together in which only the last paragraph can hold trailers."""
    for name, value in trailers.items():
        if not _TRAILER.fullmatch(f"{name}: {value}"):
            raise RepoError(f"{name!r}: {value!r} cannot be a commit trailer.")
    title = " ".join(subject.replace("\0", "").split()) or "work"
    prose = _OURS_IN_PROSE.sub(" ", body.replace("\0", "").strip()[:_BODY_CHARACTERS])
    lines = "\n".join(f"{name}: {value}" for name, value in trailers.items())
    return "\n\n".join(part for part in (title, prose, lines) if part) + "\n"


def split_message(message: str) -> tuple[str, str, dict[str, str]]:
    """Take a message apart: subject, body, trailers."""
    subject, *paragraphs = re.split(r"\n{2,}", message.strip())
    matches = [_TRAILER.fullmatch(line) for line in paragraphs[-1].split("\n")] if paragraphs else []
    if not matches or None in matches:
        return subject, "\n\n".join(paragraphs), {}
    return subject, "\n\n".join(paragraphs[:-1]), {match[1]: match[2] for match in matches if match}


async def find_commit(git: Git, trailers: Mapping[str, str], tip: str = "HEAD", prefix: str = "") -> str | None:
    """Search the newest commit that carries all of the trailers; None when there is none.

    Args:
        prefix: only those that touch this directory: another project of the repository may have a thread of that name.
    """
    if not trailers:
        raise RepoError("A commit can only be searched by at least one trailer.")
    patterns = [f"--grep={name}: {value}" for name, value in trailers.items()]
    answer = await git.ask("log", "-z", "-F", "--all-match", *patterns, "--format=%H%x00%B", tip, "--")
    words = answer.out.split("\0") if answer.code == 0 else []  # no commit yet is no fault
    for sha, message in zip(words[::2], words[1::2], strict=False):
        if trailers.items() <= split_message(message)[2].items() and await _touches(git, sha, prefix):
            return sha
    return None


async def _touches(git: Git, sha: str, prefix: str) -> bool:
    """Asked of the few that fit: limited to a directory, the log would compare every commit there is."""
    if not prefix:
        return True
    shape = ("--root", "--no-commit-id", "--name-only", "-r", "-m", "-z", *NO_PROGRAMS)
    return bool(await git.paths("diff-tree", *shape, sha, "--", *within(prefix)))


async def read_file(git: Git, name: str, prefix: str = "", at: str = "HEAD") -> str | None:
    """A file of the project as a commit has it, whatever lies in the tree; None when it has none."""
    answer = await git.ask("cat-file", "blob", f"{at}:{to_root(name, prefix)}")
    return answer.out if answer.code == 0 else None


async def list_commits(git: Git, count: int, prefix: str = "", tip: str = "HEAD") -> list[str]:
    """Shas of the newest commits that touch the project, newest first; quick, because nothing is compared for most."""
    if (await git.ask("rev-parse", "--verify", "--quiet", f"{tip}^{{commit}}")).code != 0:
        return []
    return (await git.run("log", f"-{count}", "--full-history", "--format=%H", tip, "--", *within(prefix))).split()


async def read_commits(git: Git, shas: Sequence[str], prefix: str = "") -> list[Commit]:
    """Just these commits, in their order."""
    if not shas:
        return []
    out = await git.run(
        *("log", "--no-walk=unsorted", "--stdin", *_SHAPE, *NO_PROGRAMS, "--", *within(prefix)),
        stdin="".join(f"{sha}\n" for sha in shas).encode(),
    )
    return list(_parse_log(out.split("\0"), prefix))


async def read_log(
    git: Git, count: int, prefix: str = "", tip: str = "HEAD", grep: str = "", *, first_parent: bool = False
) -> list[Commit]:
    """List the newest commits first; empty when there is none.

    Args:
        grep: only those whose message holds this.
        first_parent: one line of history: of a merge, only what it was merged into.
    """
    if (await git.ask("rev-parse", "--verify", "--quiet", f"{tip}^{{commit}}")).code != 0:
        return []
    wanted = ["-F", f"--grep={grep}"] if grep else []
    wanted += ["--first-parent"] if first_parent else []
    out = await git.run("log", f"-{count}", *wanted, *_SHAPE, *NO_PROGRAMS, tip, "--", *within(prefix))
    return list(_parse_log(out.split("\0"), prefix))


def _parse_log(words: list[str], prefix: str) -> Iterator[Commit]:
    """An empty word opens a commit: sha, date, message, then file names up to the next empty word."""
    position = 0
    while position + 3 < len(words):
        sha, date, message = words[position + 1 : position + 4]
        end = next((n for n in range(position + 4, len(words)) if not words[n]), len(words))
        names = [name.removeprefix("\n") for name in words[position + 4 : end]]
        subject, body, trailers = split_message(message)
        when = datetime.fromisoformat(date).astimezone(UTC)
        yield Commit(sha, subject, when, body, trailers, tuple(from_root(name, prefix) for name in names))
        position = end


def within(prefix: str) -> tuple[str, ...]:
    """What limits a command of git to a project in a directory of its repository; nothing for a whole one."""
    return (f":(top,literal){prefix}",) if prefix else ()


def from_root(name: str, prefix: str) -> str:
    """Turn a name relative to the repository's root into one relative to the project directory."""
    return os.path.relpath(name, prefix) if prefix else name


def to_root(name: str, prefix: str) -> str:
    """The other way round.

    Raises: RepoError: the name leads out of the repository.
    """
    full = os.path.normpath(os.path.join(prefix, name))  # noqa: PTH118 - names as git writes them, not paths here
    if full.startswith(("..", "/")):
        raise RepoError(f"{name!r} lies outside the repository.")
    return full
