"""What only the harness or a person may write, and whether somebody else did: a coder that marks its own work.

Proofs are read from these files, so a list that says "passes" without a verdict, a check made easier, or progress that
nobody made is refused before anything is replayed. The audit tells what verdicts said (`trail`); the last commit that
the harness made tells the rest. `spec.md` and `harness.toml` are a person's: their changes count once committed, and
are told.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.features import FeatureList, diff_lists
from harness.verify import audit
from harness.verify.trail import follow

if TYPE_CHECKING:
    from harness.project import Project
    from harness.repo import Repo

LIST, PROGRESS = "features.json", "progress.json"
PERSONS = ("spec.md", "harness.toml")
"""Files whose changes count when they are committed."""
_MADE_BY_US = "Harness-Thread"


@dataclass(frozen=True)
class Edit:
    """One thing that was written by somebody who may not."""

    file: str
    """Relative to the project."""
    why: str
    remedy: str = ""
    """The command that takes it back."""


@dataclass(frozen=True)
class Edits:
    """What was found."""

    edits: tuple[Edit, ...] = ()
    notes: tuple[str, ...] = ()
    """What stops nothing, and a person should know."""


async def last_made(repo: Repo) -> str:
    """The newest commit of the harness in the checked-out history; the last commit where there is none."""
    made = await repo.with_trailer(_MADE_BY_US)
    return made[0].sha if made else "HEAD"


async def has_list(project: Project, repo: Repo) -> bool:
    """Whether this is a project with a list, be it that somebody took it away, also by a commit."""
    return project.features_file.exists() or await had_list(repo)


async def had_list(repo: Repo, tip: str = "HEAD") -> bool:
    """Whether a commit has the list, or one of the harness before it had."""
    if await repo.read(LIST, tip) is not None:
        return True
    for made in await repo.with_trailer(_MADE_BY_US, tip):
        if await repo.read(LIST, made.sha) is not None:
            return True
    return False


async def find_edits(project: Project, repo: Repo) -> Edits:
    """Compare the files as they lie with what the harness wrote last.

    Raises: FeatureFileError: the list cannot be read.
    """
    base = await last_made(repo)
    if not project.features_file.exists():
        return Edits((Edit(LIST, f"{LIST} is gone.", await _remedy(project, repo, LIST, base)),))
    trail = await follow(project)
    edits = [Edit(_file_of(problem), problem) for problem in trail.problems]
    edits += await _list_edits(project, repo, base, {edit.why.partition(":")[0] for edit in edits})
    if await _differs(project, repo, PROGRESS, base):
        edits.append(Edit(PROGRESS, f"{PROGRESS} is not what the harness wrote."))
    edits += [
        Edit(name, f"{name} was changed, and the change is not committed.")
        for name in PERSONS
        if await _differs(project, repo, name, "HEAD")
    ]
    edits = [replace(edit, remedy=await _remedy(project, repo, edit.file, base)) for edit in edits]
    changed = [name for name in PERSONS if await repo.read(name, base) != await repo.read(name)]
    notes = [f"{name} was changed by a commit since the last one of the harness." for name in changed]
    return Edits(tuple(edits), (*notes, *((trail.note,) if trail.note else ())))


async def _list_edits(project: Project, repo: Repo, base: str, told: set[str]) -> list[Edit]:
    """What differs from the last list of the harness otherwise than a person's list may; without what was told."""
    text = await repo.read(LIST, base)
    if text is None:
        return []
    change = diff_lists(FeatureList.parse(text, LIST), FeatureList.load(project.features_file))
    said = [f"{name}: it is gone from {LIST}." for name in change.removed]
    said += [f"{what} in {LIST} changed without the harness." for what in change.changed]
    said += [f"{LIST} has its features in another order."] * change.reordered
    return [Edit(LIST, words) for words in said if words.partition(":")[0] not in told]


async def _differs(project: Project, repo: Repo, name: str, sha: str) -> bool:
    path, committed = project.directory / name, await repo.read(name, sha)
    lying = os.fsdecode(path.read_bytes()) if path.is_file() else None
    return _lines(committed) != _lines(lying)


def _lines(text: str | None) -> str | None:
    """A text whatever the line ends of a checkout."""
    return None if text is None else text.replace("\r\n", "\n")


def _file_of(problem: str) -> str:
    """The file that a problem of the audit is about."""
    first = problem.split(" ", 1)[0]
    if first.startswith("checks/"):
        return first
    return audit.AUDIT if first in ("commit", "line") or audit.AUDIT in first else LIST


async def _remedy(project: Project, repo: Repo, name: str, base: str) -> str:
    """The command that takes an edit back, also where it was added to the index."""
    word, there = shlex.quote(name), (project.directory / name).exists()
    source = "HEAD" if name in PERSONS or await repo.read(name) == await repo.read(name, base) else base[:12]
    if await repo.read(name, source) is None:
        back = f"`rm {word}`" if there else ""
    else:
        back = f"`git checkout {source} -- {word}`"
    return f"{back}, or a person commits it" if name in PERSONS else back
