"""Where a project stands, read from files alone, so that it answers at once and while a run is at work.

While a thread runs, or when the user's branch could not follow it, the newest list is the one on the thread's branch,
in its worktree. A file there may be an empty stand-in while a sandbox is open; then the user's own is read.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.console_text import gist, one_line, wrapped
from harness.features import REOPENED_BY_PERSON, Feature, FeatureList, Totals
from harness.lock import Holder
from harness.progress import Progress, ProgressTotals
from harness.project import Project, read_holder
from harness.steering import Steering, Word
from harness.threads import ThreadRecord, latest_thread, require_begun, resume_command
from harness.verify.history import History
from harness.verify.last import LastVerify, load_last

_TAIL_BYTES = 65_536


@dataclass(frozen=True)
class Failure:
    """The last time something did not pass."""

    feature_id: str
    reason: str


@dataclass(frozen=True)
class Status:
    """What `harness status` tells."""

    project: Project
    features: FeatureList | None
    """None: `harness init` has not come that far."""
    progress: Progress
    thread: ThreadRecord | None
    holder: Holder | None
    session: str
    """The session at work, with its turn; empty when none is."""
    last_failure: Failure | None
    flaky: dict[str, int]
    """Features whose check failed among others and passed alone, and how often."""
    behind: str
    """The branch that holds more than the user's checkout; empty when none does."""
    last_verify: LastVerify | None = None
    """What `harness verify` found last; None: it never ran."""
    words: tuple[Word, ...] = ()
    """What a person said that no session has heard yet."""
    source: Project | None = None
    """Where list and checks were read; None: nobody said."""

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What in the list or the checks is not as a verdict left it; not looked at while a run writes them."""
        if self.source is None or not self.features or self.holder:
            return ()
        from harness.verify.trail import file_problems

        return tuple(file_problems(self.source, self.features))

    @property
    def totals(self) -> Totals:
        """How far the list is."""
        return (self.features or FeatureList()).totals


def read_status(directory: Path | str) -> Status:
    """Read everything.

    Raises: FeatureFileError, ContractError: a file is broken; it is named. SetupError: there is nothing here.
    """
    project = Project.find(directory)
    thread, holder = latest_thread(project), read_holder(project)
    ours = _load(project)
    place = worktree_of(project, thread.thread_id) if thread else None
    theirs = _load(place) if place else None
    if ours is None and theirs is None:
        require_begun(project)
    is_behind = theirs is not None and (ours is None or theirs.totals.passing > ours.totals.passing)
    use_theirs = theirs is not None and (is_behind or holder is not None)
    source = place if place and use_theirs else project
    return Status(
        project=project,
        features=theirs if use_theirs else ours,
        progress=load_progress(source),
        thread=thread,
        holder=holder,
        session=_session_at_work(project, thread) if thread and holder else "",
        last_failure=_last_failure(project, thread),
        flaky=History.load(project.state_dir).flaky(),
        behind=project.branch(thread.thread_id) if thread and is_behind and thread.stage == "build" else "",
        last_verify=load_last(project),
        words=tuple(Steering(project, thread.thread_id).waiting()) if thread else (),
        source=source,
    )


def current_features(directory: Path | str) -> FeatureList:
    """The newest list; empty when there is none yet."""
    return read_status(directory).features or FeatureList()


def worktree_of(project: Project, thread_id: str) -> Project | None:
    """The project inside a thread's worktree; None when it is not there."""
    place = project.worktrees_dir / thread_id / project.inside
    return project.at(place) if place.is_dir() else None


def load_progress(project: Project) -> Progress:
    """What the sessions did; nothing before the first.

    Raises: FeatureFileError: the file is broken.
    """
    path = project.progress_file
    return Progress.load(path) if path.exists() and not _is_stand_in(project, path) else Progress()


def next_step(status: Status) -> str:
    """What the person can do now."""
    where = shlex.quote(str(status.project.directory))
    if status.holder:
        return f"It is at work: `harness log {where}` tells; `kill -INT {status.holder.pid}` stops it safely."
    if failed := _failed_since(status):
        again = " ".join(f"--feature {name}" for name in failed[:3])
        return f"The last verify failed: `harness verify {where} {again}` shows why."
    if status.totals.is_complete:
        return f"Every feature passes. `harness verify {where}` replays the proofs."
    if status.thread is None:
        return f"`harness run {where}` builds what is open."
    return f"`{resume_command(status.project, status.thread)}` goes on."


def _failed_since(status: Status) -> list[str]:
    """Features that still claim the pass which the last verify did not see."""
    last = status.last_verify
    failed = [f for f in (status.features or FeatureList()).features if last and f.id in last.failed and f.passes]
    return [f.id for f in failed if last and (f.passed_at is None or f.passed_at.time < last.at)]


def as_json(status: Status) -> str:
    """The facts for a program, to be read by a person too."""
    return json.dumps(as_facts(status), indent=2, ensure_ascii=False)


def as_facts(status: Status) -> dict[str, Any]:
    """The facts for a program."""
    thread, failure, holder = status.thread, status.last_failure, status.holder
    used = status.progress.totals
    return {
        "directory": str(status.project.directory),
        "state_dir": str(status.project.state_dir),
        "totals": status.totals.model_dump(),
        "is_complete": status.totals.is_complete,
        "thread": thread.model_dump(mode="json") if thread else None,
        "holder": vars(holder) if holder else None,
        "session": status.session,
        "last_failure": vars(failure) if failure else None,
        "flaky": status.flaky,
        "used": {"sessions": used.sessions, "turns": used.turns, "tokens": used.tokens, "cost_usd": used.cost_usd},
        "behind": status.behind,
        "last_verify": status.last_verify.model_dump(mode="json") if status.last_verify else None,
        "doubts": list(status.doubts),
        "words": [word.model_dump(mode="json") for word in status.words],
        "next": next_step(status),
        "features": [f.model_dump(mode="json") for f in (status.features or FeatureList()).features],
    }


def as_text(status: Status, width: int = 0) -> str:
    """The facts for a person.

    Args:
        width: characters a line may have; features are cut, the rest is wrapped; 0: all.
    """
    blocks = [
        [wrapped(f"{name:<10}", text, width) for name, text in _head(status)],
        list(_list(status, width)),
        [wrapped(f"{name:<14}", text, width) for name, text in _tail(status)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _head(status: Status) -> Iterator[tuple[str, str]]:
    yield "project", one_line(str(status.project.directory))
    yield "state", one_line(str(status.project.state_dir))
    if status.thread:
        yield "thread", thread_line(status.thread, is_held=status.holder is not None)
    if status.holder:
        yield "held by", one_line(str(status.holder))
    if status.session:
        yield "session", one_line(status.session)
    yield "features", str(status.totals) if status.features else "none yet"


def thread_line(thread: ThreadRecord, *, is_held: bool) -> str:
    """A thread, its stage and how it ended."""
    unended = "running" if is_held else "cut off before its end"
    how = f"ended: {thread.exit_status}" if thread.exit_status else unended
    return one_line(f"{thread.thread_id} ({thread.stage}), {how} {thread.reason}", 400)


def _list(status: Status, width: int) -> Iterator[str]:
    features = status.features.features if status.features else ()
    longest = max((len(f.id) for f in features), default=0)
    for feature in features:
        yield one_line_kept(f"{feature.state:<7} {feature.id:<{longest}}  {one_line(feature.description)}", width)
        if feature.reason and not feature.passes:
            yield wrapped(" " * (longest + 10), _why(feature), width)


def one_line_kept(text: str, width: int) -> str:
    """Cut to a width, its blanks kept."""
    return text if not width or len(text) <= width else f"{text[: width - 3]}..."


def _why(feature: Feature) -> str:
    word = "parked: " if feature.status == "parked" else "reopened: "
    if feature.is_refuted or feature.reason.startswith(REOPENED_BY_PERSON):
        word = ""
    return f"{word}{one_line(gist(feature.reason), 300)}"


def _tail(status: Status) -> Iterator[tuple[str, str]]:
    if failure := status.last_failure:
        yield "last failure", f"{failure.feature_id}: {one_line(gist(failure.reason), 600)}"
    if status.flaky:
        yield "flaky", ", ".join(f"{name} ({count} times)" for name, count in status.flaky.items())
    if status.doubts:
        where = shlex.quote(str(status.project.directory))
        more = f" {len(status.doubts) - 1} more: `harness gate {where}`" if len(status.doubts) > 1 else ""
        yield "by hand?", f"{one_line(status.doubts[0], 400)}{more}"
    if status.last_verify:
        yield "last verify", str(status.last_verify)
    if (used := status.progress.totals).sessions:
        yield "used", used_words(used)
    for word in status.words:
        when = "at the next turn" if status.session else "when its next session starts"
        yield "your word", f"is told {when}: {one_line(word.text, 200)}"
    if status.behind:
        where = shlex.quote(str(status.project.directory))
        yield "not taken in", f"this list is on {status.behind}: `git -C {where} merge {status.behind}` takes it in"
    yield "next", next_step(status)


def used_words(used: ProgressTotals) -> str:
    """Sessions, turns, tokens, and money where it is known."""
    cost = f", ${used.cost_usd:.2f}" if used.cost_usd else ""
    return f"{used.sessions} sessions, {used.turns} turns, {used.tokens:,} tokens{cost}"


def _load(project: Project) -> FeatureList | None:
    path = project.features_file
    if not path.exists() or _is_stand_in(project, path):
        return None
    return FeatureList.load(path)


def _is_stand_in(project: Project, path: Path) -> bool:
    """Only in a worktree is an empty file a stand-in; the user's own is broken."""
    return project.worktrees_dir in project.directory.parents and path.stat().st_size == 0


def _session_at_work(project: Project, thread: ThreadRecord) -> str:
    files = [(path.stat().st_mtime_ns, path) for path in (project.trajectories_dir / thread.thread_id).glob("*.jsonl")]
    if not files:
        return ""
    path = max(files)[1]
    last = _last_event(path, ("model", "stage"))
    if path.stem == "thread":
        return f"between sessions: {last.get('stage', '')}"
    turn = f", turn {last['turn']}" if "turn" in last else ""
    return f"{path.stem}{turn}"


def _last_event(path: Path, kinds: tuple[str, ...]) -> dict[str, Any]:
    """The last event of a kind near the end of a file; a torn line is passed over."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("kind") in kinds:
            return event
    return {}


def _last_failure(project: Project, thread: ThreadRecord | None) -> Failure | None:
    """The newest verdict on a desk that says no. A desk is scratch: what cannot be read there is not told."""
    desks = (project.state_dir / "work" / thread.thread_id).glob("*/verdict.json") if thread else ()
    for path in sorted(desks, key=lambda p: p.stat().st_mtime_ns, reverse=True):
        try:
            verdict = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            continue
        if isinstance(verdict, dict) and verdict.get("passed") is False:
            return Failure(path.parent.name, str(verdict.get("reason", "")))
    return None
