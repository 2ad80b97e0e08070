"""Whether list, checks, commits and evidence say what the audit says: a verdict edited by hand is noticed.

Looked at from the working files and what the checked-out commit reaches, so a clone is judged like the project itself.
What disagrees is told in words, the first line or the feature named; nothing is mended here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.features import Feature, FeatureList
from harness.project import thread_branch
from harness.state_file import read_text
from harness.verify import audit

if TYPE_CHECKING:
    from harness.commits import Commit
    from harness.project import Project
    from harness.repo import Repo
    from harness.verify.audit import Line

PICTURES = "checks/pictures"
GOLDEN = "checks/golden"


@dataclass(frozen=True)
class Trail:
    """What was found."""

    problems: tuple[str, ...]
    """What does not agree, each with the line or feature; empty: all does."""
    lines: int
    """Verdicts in the project's chain."""
    note: str = ""
    """What could not be looked at."""


async def follow(project: Project) -> Trail:
    """Compare the project's chain with its list, its checks and the commits that carry it.

    Raises: FeatureFileError: the list is broken. SetupError, RepoError: git cannot be asked.
    """
    from harness.repo import Repo

    try:
        lines = audit.load_chain(project.directory / audit.AUDIT)
    except HarnessError as exc:
        return Trail((exc.what,), 0)
    features = FeatureList.load(project.features_file) if project.features_file.exists() else FeatureList()
    problems = _of_files(lines, project.directory, features)
    repo = await asyncio.to_thread(Repo.open, project.directory)
    if await repo.is_shallow():
        return Trail(tuple(problems), len(lines), "the clone is shallow, so commits were not compared")
    carried = list(reversed(await repo.with_trailer(audit.TRAILER)))
    problems += _commits_against(lines, carried)
    problems += await _contents_against(lines, carried, repo)
    return Trail(tuple(problems), len(lines))


def file_problems(project: Project, features: FeatureList) -> list[str]:
    """What disagrees between chain, list and checks, without asking git. Never raises: what cannot be read is told."""
    try:
        lines = audit.load_chain(project.directory / audit.AUDIT)
    except HarnessError as exc:
        return [exc.what]
    except (OSError, ValueError) as exc:
        return [f"{audit.AUDIT} cannot be read: {exc}."]
    return _of_files(lines, project.directory, features)


def _of_files(lines: Sequence[Line], directory: Path, features: FeatureList) -> list[str]:
    return [*_list_against(lines, features), *_files_against(lines, directory, features)]


def evidence_problems(project: Project) -> list[str]:
    """What disagrees between this machine's own chain and the evidence that is kept. What was put away is no matter.

    Raises: FeatureFileError: the chain is broken, the first line that is is named.
    """
    known: dict[str, str] = {}
    for line in (*audit.load_chain(project.directory / audit.AUDIT), *audit.load_chain(project.audit_file)):
        known |= line.evidence
    return [
        f"{project.evidence_dir / name} is not what it was when the verdict was written."
        for name, digest in known.items()
        if (path := project.evidence_dir / name).is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != digest
    ]


async def anchors(repo: Repo, thread_id: str) -> list[str]:
    """The last lines of a thread's own audit that its commits carry, number and hash, oldest first.

    Raises: FeatureFileError: the chain in the last commit is broken.
    """
    branch = thread_branch(thread_id, repo.prefix)
    text = await repo.read(audit.AUDIT, f"refs/heads/{branch}") or await repo.read(audit.AUDIT) or ""
    lines = audit.chain(text, Path(audit.AUDIT))
    return list(dict.fromkeys(line.done for line in lines if line.thread == thread_id and line.done))


# --- the list ---


def _list_against(lines: Sequence[Line], features: FeatureList) -> Iterator[str]:
    last = {line.feature: line for line in lines if line.outcome != "amended"}
    for feature in features.features:
        if why := _disagreement(feature, last.get(feature.id)):
            yield f"{feature.id}: {why}"
    known = {feature.id for feature in features.features}
    for name in sorted(name for name in last.keys() - known if last[name].outcome != "removed"):
        yield f"{name}: the audit knows it (line {last[name].seq}), features.json does not."


def _disagreement(feature: Feature, line: Line | None) -> str:
    said = f"line {line.seq} of the audit says {line.outcome}" if line else "no line of the audit is about it"
    if feature.passes != (line is not None and line.outcome == "passed"):
        listed = "it passes" if feature.passes else "it does not pass"
        return f"features.json says {listed}, and {said}." if line or feature.passes else ""
    if line is None or not feature.passes:
        return ""
    if feature.passed_at is None or feature.passed_at.check != line.check:
        return f"features.json names another check than the verdict in line {line.seq}."
    if audit.wording(feature) != line.wording:
        return f"its description or steps were changed after the verdict in line {line.seq}."
    return ""


# --- the checks ---


def _files_against(lines: Sequence[Line], directory: Path, features: FeatureList) -> Iterator[str]:
    written = {name: (line.seq, digest) for line in lines for name, digest in line.files.items()}
    needed = {f"checks/{feature.id}.json" for feature in features.features if feature.passes}
    kept = [*(directory / "checks").glob("*.json"), *(directory / PICTURES).rglob("*.png")]
    kept += (directory / GOLDEN).rglob("*.txt")
    there = {path.relative_to(directory).as_posix() for path in kept}
    for name in sorted(there | (needed & written.keys())):
        if why := _changed(directory / name, written.get(name)):
            yield f"{name} {why}"


def _changed(path: Path, written: tuple[int, str] | None) -> str:
    if written is None:
        return "is of no verdict: no line of the audit names it."
    if not path.exists():
        return f"is gone since line {written[0]}."
    if not path.is_file():
        return "is no file."
    try:
        content = read_text(path) if path.suffix == ".json" else path.read_bytes()
        is_same = audit.file_digest(content) == written[1]
    except (OSError, ValueError):
        is_same = False
    return "" if is_same else f"was changed after the verdict in line {written[0]}."


# --- the commits ---


def _commits_against(lines: Sequence[Line], carried: Sequence[Commit]) -> Iterator[str]:
    place = {line.hash: line.seq for line in lines}
    for commit in carried:
        if commit.trailers[audit.TRAILER] not in place:
            yield f"commit {commit.sha[:12]} ({commit.subject}) carries a line that is not in {audit.AUDIT} any more."
    order = [place[commit.trailers[audit.TRAILER]] for commit in carried if commit.trailers[audit.TRAILER] in place]
    if any(later < earlier for earlier, later in pairwise(order)):
        yield f"{audit.AUDIT} has its lines in another order than the commits that carry them."
    unseen = [line for line in lines if line.seq > max(order, default=0)]
    if unseen:
        first = unseen[0]
        yield f"line {first.seq} of {audit.AUDIT} ({first.feature} {first.outcome}) is in no commit's trailer."


async def _contents_against(lines: Sequence[Line], carried: Sequence[Commit], repo: Repo) -> list[str]:
    """Is the code of a pass commit the code that was judged?"""
    from harness.verify.hall import OWN_FILES

    commits = _commit_of(lines, carried)
    judged = [line for line in lines if line.outcome == "passed" and line.content and line.seq in commits]
    found = await repo.contents([commits[line.seq].sha for line in judged], OWN_FILES)
    return [
        f"{line.feature}: commit {sha[:12]} holds other code than was judged (line {line.seq})."
        for line in judged
        if found[sha := commits[line.seq].sha] != line.content
    ]


def _commit_of(lines: Sequence[Line], carried: Sequence[Commit]) -> Mapping[int, Commit]:
    """Line number -> the commit that carries it: the first whose trailer names it or a later line."""
    place = {line.hash: line.seq for line in lines}
    found: dict[int, Commit] = {}
    begin = 1
    for commit in carried:
        end = place.get(commit.trailers[audit.TRAILER], 0)
        found |= dict.fromkeys(range(begin, end + 1), commit)
        begin = max(begin, end + 1)
    return found
