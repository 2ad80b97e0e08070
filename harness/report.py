"""The report of a build for its person: what passed since when, what waits for them, what comes next.

Read from git, progress and what is left of the evidence, so it can be written while a run is at work, and for a clone
that has no state. Nothing is judged here: a feature passes when the list says so, by the verdict that put it there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.console_text import gist
from harness.diffs import Diff, read_diff
from harness.errors import HarnessError
from harness.features import SKIPPED, next_feature
from harness.questions import Question, question_of
from harness.status import Status, next_step, read_status
from harness.status_report import proved_commits
from harness.trajectory import OUTSIDE
from harness.verify.files import ELEMENTS, FLOWS, parse, read_check
from harness.verify.html import render
from harness.verify.shown import Item, Shown, Step, show

if TYPE_CHECKING:
    from harness.commits import Commit
    from harness.features import Feature
    from harness.progress import SessionEntry
    from harness.project import Project
    from harness.repo import Repo
    from harness.verify.check import Check

PICTURES_BYTES = 12_000_000
"""Of all pictures: what a phone takes in at once. What is new comes first, and no feature takes another's share."""
CHECKS_BYTES = 50_000_000
NEXT = 5
"""Features that are named as coming next."""


@dataclass(frozen=True)
class Used:
    """What sessions took."""

    sessions: int = 0
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0

    @classmethod
    def by(cls, entries: Sequence[SessionEntry]) -> Used:
        """The sum of some sessions."""
        return cls(
            sessions=len(entries),
            turns=sum(entry.turns for entry in entries),
            tokens=sum(entry.tokens for entry in entries),
            cost_usd=sum(entry.cost_usd for entry in entries),
            seconds=sum(sum(entry.seconds.values()) for entry in entries),
        )


@dataclass(frozen=True)
class Told:
    """One feature."""

    feature: Feature
    entries: tuple[SessionEntry, ...]
    """Its sessions, oldest first."""
    commit: Commit | None = None
    diff: Diff | None = None
    check: tuple[Step, ...] = ()
    shown: Shown = field(default_factory=Shown)
    evidence: str = ""
    question: Question | None = None

    @property
    def used(self) -> Used:
        """What all its sessions took."""
        return Used.by(self.entries)

    @property
    def said(self) -> str:
        """What the coder said of it last."""
        return self.entries[-1].summary if self.entries else ""


@dataclass(frozen=True)
class Report:
    """All that is told."""

    status: Status
    at: datetime
    since: datetime | None
    """None: from the beginning."""
    since_run: bool
    """Whether that is when the last run began."""
    used: Used
    """By sessions that ended since."""
    waiting: tuple[Told, ...]
    """Parked, until a person says something."""
    skipped: tuple[Told, ...]
    """Set aside by a person."""
    passed: tuple[Told, ...]
    """Since then, newest first."""
    failed: tuple[Told, ...]
    """Open, and somebody tried or it passed before."""
    earlier: tuple[Told, ...]
    """Passed before, newest first."""
    following: tuple[Feature, ...]
    """Open; what comes next first."""

    @property
    def headline(self) -> str:
        """The one thing to know."""
        count, totals = len(self.passed), self.status.totals
        if not totals.total:
            return "No feature is planned yet"
        if totals.is_complete:
            return "The feature passes" if totals.total == 1 else f"All {totals.total} features pass"
        if not count:
            return "Nothing new passed"
        return f"{count} feature{'s' if count > 1 else ''} passed"


async def read_report(
    directory: Path, age: timedelta | None, now: datetime | None = None, *, pictures_bytes: int = PICTURES_BYTES
) -> Report:
    """Gather everything.

    Args:
        directory: the project's.
        age: how far back news go; None: to the beginning of the last run.
        now: when it is written.
        pictures_bytes: of all pictures.

    Raises: SetupError: there is no project. FeatureFileError, ContractError: a file is broken; it is named.
    """
    from harness.repo import Repo

    status, now = read_status(directory), now or datetime.now(UTC)
    begun = now - age if age else _last_run(status)
    since = begun if begun else None
    repo: Repo | None = None
    try:
        repo = await asyncio.to_thread(Repo.open, status.project.directory)
    except HarnessError:  # a list without a repository still has a report
        repo = None
    sources = _Sources(
        status=status,
        repo=repo,
        commits=await proved_commits(status) if repo else {},
        checks=await _checks(repo, status) if repo else {},
    )
    features = status.features.features if status.features else ()
    new = [f for f in features if f.passed_at and f.passes and _is_since(f.passed_at.time, since)]
    skipped = [f for f in features if f.status == "parked" and f.reason.startswith(SKIPPED)]
    parked = [f for f in features if f.status == "parked" and f not in skipped]
    tried = {entry.feature for entry in status.progress.sessions if _is_since(entry.ended_at, since)}
    failed = [f for f in features if f.state in ("open", "claimed") and (f.reason or f.id in tried)]
    earlier = [f for f in features if f.passes and f not in new]
    groups = (parked, _newest(new), failed, skipped, _newest(earlier))
    told = await _tell(sources, [feature for group in groups for feature in group], pictures_bytes)
    waiting, passed, not_yet, aside, before = (tuple(told[f.id] for f in group) for group in groups)
    ended = [entry for entry in status.progress.sessions if _is_since(entry.ended_at, since)]
    return Report(
        status=status,
        at=now,
        since=since,
        since_run=age is None,
        used=Used.by(ended),
        waiting=waiting,
        skipped=aside,
        passed=passed,
        failed=not_yet,
        earlier=before,
        following=tuple(_following(status)),
    )


def as_html(report: Report) -> bytes:
    """One page that needs nothing else."""
    return render(
        "report.html.j2",
        report=report,
        status=report.status,
        totals=report.status.totals,
        name=report.status.project.directory.name,
        next_step=next_step(report.status),
        when=_when,
        duration=duration,
        gist=gist,
        count=_count,
    )


def as_json(report: Report) -> str:
    """The facts for a program; no pictures."""
    facts: dict[str, Any] = {
        "headline": report.headline,
        "at": report.at.isoformat(),
        "since": report.since.isoformat() if report.since else None,
        "directory": str(report.status.project.directory),
        "totals": report.status.totals.model_dump(),
        "used": vars(report.used),
        "waiting": [_facts(told) for told in report.waiting],
        "passed": [_facts(told) for told in report.passed],
        "failed": [_facts(told) for told in report.failed],
        "skipped": [told.feature.id for told in report.skipped],
        "earlier": [told.feature.id for told in report.earlier],
        "following": [feature.id for feature in report.following],
        "next": next_step(report.status),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@dataclass(frozen=True)
class _Sources:
    status: Status
    repo: Repo | None
    commits: Mapping[str, Commit]
    checks: Mapping[str, Check]


async def _tell(sources: _Sources, features: Sequence[Feature], room: int) -> dict[str, Told]:
    """Each feature once; room for pictures is shared, and what one leaves the next may take."""
    told: dict[str, Told] = {}
    for place, feature in enumerate(features):
        each = await _told(sources, feature, room // (len(features) - place))
        room -= each.shown.picture_bytes
        told[feature.id] = each
    return told


async def _told(sources: _Sources, feature: Feature, room: int) -> Told:
    status, commit = sources.status, sources.commits.get(feature.id)
    evidence = _evidence(status, feature)
    shown = show(evidence, feature.steps, room)
    check = sources.checks.get(feature.id)
    return Told(
        feature=feature,
        entries=tuple(entry for entry in status.progress.sessions if entry.feature == feature.id),
        commit=commit if feature.passes else None,
        diff=await _diff(sources.repo, commit) if sources.repo and commit and feature.passes else None,
        check=tuple(_in_words(check, feature, shown)) if check else shown.steps,
        shown=shown,
        evidence=str(evidence) if evidence else "",
        question=question_of(
            feature, status.project.directory, [f.id for f in status.features.features] if status.features else ()
        ),
    )


async def _diff(repo: Repo, commit: Commit) -> Diff | None:
    """What the feature's code was; a history that was cut off has none."""
    from harness.verify.hall import OWN_FILES

    try:
        return await read_diff(repo, commit.sha, OWN_FILES)
    except HarnessError:
        return None


def _in_words(check: Check, feature: Feature, shown: Shown) -> list[Step]:
    """A check with its proofs, and what the replay that is shown saw of it."""
    from harness.verify import words
    from harness.verify.review import proofs

    seen = {(item.index, item.words): item for step in shown.steps for item in step.items}
    proved, contract = proofs(check), check.contract
    rows: dict[int, list[Item]] = {}
    for index, item in enumerate(contract.items):
        said = words.phrase(item, contract.targets)
        unseen = Item(said, "open" if shown.broke else "", index=index)
        rows.setdefault(item.step, []).append(replace(seen.get((index, said), unseen), proof=proved.get(index, "")))
    count = max([len(feature.steps), *rows])
    lines = [*feature.steps, *[""] * (count - len(feature.steps))]
    return [Step(number, line, tuple(rows.get(number, ()))) for number, line in enumerate(lines, 1)]


def _evidence(status: Status, feature: Feature) -> Path | None:
    """The newest replay that tells how it stands now; of one that passes, the one it passed with."""
    home = status.project.evidence_dir / feature.id
    last = status.last_verify
    has_failed = not feature.passes or bool(
        last and feature.id in last.failed and (feature.passed_at is None or feature.passed_at.time < last.at)
    )
    for outcome in ("failed", "passed") if has_failed else ("passed",):
        if found := sorted(home.glob(f"{outcome}-*"), key=lambda path: path.name):
            return found[-1]
    return None


async def _checks(repo: Repo, status: Status) -> dict[str, Check]:
    """The checks as the last commit has them; one that cannot be read is left out, `harness check show` tells why."""
    from harness.git_trees import read_files
    from harness.verify.check import Flows

    branch = f"harness/{status.thread.thread_id}" if status.thread else ""
    tips = [branch, "HEAD"] if status.holder or status.behind else ["HEAD", branch]
    for tip in filter(None, tips):
        try:
            home = str(PurePosixPath(repo.prefix, "checks"))
            files = await read_files(repo.git, tip, home, (".json",), CHECKS_BYTES, CHECKS_BYTES)
        except HarnessError:
            continue
        named = {PurePosixPath(name).name: data.decode(errors="replace") for name, data in files.items()}
        shared = {PurePosixPath(ELEMENTS).name, PurePosixPath(FLOWS).name}
        flows_text = named.get(PurePosixPath(FLOWS).name)
        try:
            flows = parse(Flows, Path(FLOWS), flows_text) if flows_text else Flows()
        except HarnessError:
            flows = Flows()
        found: dict[str, Check] = {}
        for name, text in named.items():
            if name not in shared:
                check = _read(name, flows, text)
                found |= {name.removesuffix(".json"): check} if check else {}
        if found:
            return found
    return {}


def _read(name: str, flows: Any, text: str) -> Check | None:
    try:
        return read_check(Path("checks") / name, flows, text)
    except HarnessError:
        return None


def _last_run(status: Status) -> datetime | None:
    """When the run at work, or the last one, began; None: none is known here."""
    if status.holder and (begun := _read_time(status.holder.started)):
        return begun
    if status.thread is None:
        return None
    return _begun(status.project, status.thread.thread_id) or status.thread.started


def _begun(project: Project, thread_id: str) -> datetime | None:
    """A run tells what its sandbox is, then enters a stage; a person's decision tells the first alone."""
    path = project.trajectories_dir / thread_id / f"{OUTSIDE}.jsonl"
    begun: datetime | None = None
    opened = ""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if '"topic":"sandbox"' in line:
                    opened = line
                elif opened and '"kind":"stage"' in line:
                    begun, opened = _time_of(opened) or begun, ""
    except OSError:
        return None
    return begun


def _time_of(line: str) -> datetime | None:
    try:
        return _read_time(json.loads(line)["at"])
    except (ValueError, KeyError, TypeError):
        return None


def _read_time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_since(at: datetime | None, since: datetime | None) -> bool:
    return since is None or (at is not None and at >= since)


def _newest(features: Sequence[Feature]) -> list[Feature]:
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(features, key=lambda f: f.passed_at.time if f.passed_at else never, reverse=True)


def _following(status: Status) -> list[Feature]:
    """What will be built, in that order, as far as it is known."""
    features = status.features
    found: list[Feature] = []
    while features and len(found) < NEXT and (feature := next_feature(features)):
        found.append(feature)
        features = features.replace(feature.id, passes=True, claimed=False)
    return found


def _when(at: datetime) -> str:
    """In the person's own time."""
    return f"{at.astimezone():%a %d %b, %H:%M}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _facts(told: Told) -> dict[str, Any]:
    feature, question = told.feature, told.question
    return {
        "id": feature.id,
        "description": feature.description,
        "state": feature.state,
        "reason": gist(feature.reason),
        "commit": told.commit.sha if told.commit else None,
        "diff": str(told.diff) if told.diff else None,
        "used": vars(told.used),
        "evidence": told.evidence or None,
        "question": question.text if question else None,
        "answers": [vars(answer) for answer in question.answers] if question else [],
    }
