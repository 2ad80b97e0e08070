"""What sessions did, told from their trajectories for a person.

A trajectory is read line by line; a line that a killed process tore, or that a newer harness wrote, is counted and
passed over, never a reason to show nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.console_text import call_line, event_line, plain, wrapped
from harness.errors import SetupError
from harness.events import Event
from harness.progress import Progress, SessionEntry
from harness.project import Project
from harness.status import load_progress, worktree_of
from harness.threads import load_threads
from harness.trajectory import OUTSIDE

RESULT_LINES = 8
"""Lines of a tool's result that are shown."""
TEXT_LINES = 40
REASONING_LINES = 12
CUT = 0.9
"""A request that repeats less than this of the one before it was made shorter, or its head changed."""
_NUMBER = re.compile(r"s(\d+)(?:-|$)")


@dataclass(frozen=True)
class Session:
    """One trajectory on disk."""

    thread_id: str
    session_id: str
    path: Path
    entry: SessionEntry | None
    """Its outcome, once it was recorded."""

    @property
    def number(self) -> int | None:
        """The number in its id; None for what happened between sessions."""
        match = _NUMBER.match(self.session_id)
        return int(match[1]) if match else None

    @property
    def feature_id(self) -> str:
        """What it worked on."""
        return self.entry.feature if self.entry else self.session_id.partition("-")[2]

    @property
    def title(self) -> str:
        """What a person calls it."""
        return "outside sessions" if self.session_id == OUTSIDE else self.session_id

    @property
    def outcome(self) -> str:
        """How it ended, as far as it is known."""
        return self.entry.outcome if self.entry else ("" if self.number is None else "not recorded")


@dataclass(frozen=True)
class Trajectory:
    """The events of one session."""

    events: tuple[Any, ...]
    unreadable: int
    """Lines that could not be read."""


def find_sessions(project: Project) -> list[Session]:
    """All sessions, thread by thread, oldest first.

    Raises: FeatureFileError, ContractError: progress or a thread's record is broken; it is named.
    """
    threads = [record.thread_id for record in load_threads(project)]
    unknown = sorted({p.name for p in project.trajectories_dir.glob("*") if p.is_dir()} - set(threads))
    return [session for thread in (*unknown, *threads) for session in _sessions_of(project, thread)]


def choose_session(sessions: list[Session], asked: str) -> Session:
    """The session of a number or an id; of several, the newest thread's.

    Raises: SetupError: there is none; those that are there are named.
    """
    for session in reversed(sessions):
        if asked in (session.session_id, f"{session.thread_id}/{session.session_id}"):
            return session
        if asked.isdecimal() and session.number == int(asked):
            return session
    listed = ", ".join(session.session_id for session in sessions[-12:]) or "none yet"
    raise SetupError(f"There is no session {asked!r}.", f"Sessions here: {listed}.")


def read_trajectory(path: Path) -> Trajectory:
    """Read the events of a file.

    Raises: SetupError: the file cannot be opened.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Event)
    events, unreadable = [], 0
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise SetupError(f"{path} cannot be read: {exc.strerror}.", "Make it readable.") from exc
    for line in filter(None, lines):
        try:
            events.append(adapter.validate_json(line))
        except ValidationError:
            unreadable += 1
    return Trajectory(tuple(events), unreadable)


def sessions_text(sessions: list[Session], width: int = 0) -> str:
    """The list of sessions with their outcome.

    Args:
        width: characters a line may have; 0: all.
    """
    if not sessions:
        return "No session yet."
    longest = max(len(session.title) for session in sessions)
    lines, thread = [], ""
    for session in sessions:
        if session.thread_id != thread:
            thread = session.thread_id
            lines.append(f"thread {thread}")
        facts = f"{session.outcome:<12}  {_used(session.entry)}".rstrip()
        lines.append(wrapped(f"  {session.title:<{longest}}  ", facts, width).rstrip())
    hint = f"`harness log --session N` tells what a session did, `--session {OUTSIDE}` what happened outside."
    return "\n".join([*lines, "", wrapped("", hint, width)])


def session_text(session: Session, trajectory: Trajectory) -> Iterator[str]:
    """One session, readable: brief, turns, verdicts."""
    name = session.title if session.session_id == OUTSIDE else f"session {session.session_id}"
    yield f"{name} of thread {session.thread_id} {session.outcome}".rstrip()
    for event in trajectory.events:
        yield from _TELLERS.get(event.kind, _other)(event)
    yield from _repeats([event for event in trajectory.events if event.kind == "model" and event.previous_bytes])
    if trajectory.unreadable:
        yield f"({trajectory.unreadable} lines could not be read; a killed process leaves one)"


def as_facts(session: Session) -> dict[str, Any]:
    """The line of the list for a program."""
    entry = session.entry.model_dump(mode="json") if session.entry else None
    facts = {"thread": session.thread_id, "session": session.session_id, "feature": session.feature_id}
    return {**facts, "outcome": session.outcome, "file": str(session.path), "entry": entry}


def _sessions_of(project: Project, thread_id: str) -> Iterator[Session]:
    paths = sorted((project.trajectories_dir / thread_id).glob("*.jsonl"), key=lambda p: (p.stem != OUTSIDE, p.stem))
    if not paths:
        return
    entries = {entry.session: entry for entry in _newest_progress(project, thread_id).sessions}
    for path in paths:
        yield Session(thread_id, path.stem, path, entries.get(path.stem))


def _newest_progress(project: Project, thread_id: str) -> Progress:
    """The worktree's file while it tells more than the user's."""
    place = worktree_of(project, thread_id)
    found = [load_progress(project), *([load_progress(place)] if place else [])]
    return max(found, key=lambda progress: len(progress.sessions))


def _used(entry: SessionEntry | None) -> str:
    if entry is None:
        return ""
    seconds = sum(entry.seconds.values())
    return f"{entry.turns} turns, {entry.tokens:,} tokens, {seconds:.0f} s  {_first_line(entry.summary)}"


def _first_line(text: str) -> str:
    line = plain(text).strip().partition("\n")[0]
    return line if len(line) <= 100 else f"{line[:97]}..."


def _repeats(calls: list[Any]) -> Iterator[str]:
    """What prompt caches had to work with; see `model/prefix.py`."""
    if calls:
        share = sum(call.repeated_bytes for call in calls) / sum(call.previous_bytes for call in calls)
        cut = sum(call.repeated_bytes < CUT * call.previous_bytes for call in calls)
        yield ""
        yield f"{share:.2%} of a request's bytes began the next one ({len(calls)} requests, {cut} made shorter)"


def _brief(event: Any) -> Iterator[str]:
    title = "brief" if not event.attempt else f"evidence, attempt {event.attempt + 1}"
    yield ""
    yield f"{title} of {event.feature_id}"
    yield from _indented(event.brief, TEXT_LINES * 2)


def _turn(event: Any) -> Iterator[str]:
    cached = f" ({event.cached_tokens:,} cached)" if event.cached_tokens else ""
    counts = f"{event.input_tokens:,}{cached} in, {event.output_tokens:,} out, {event.seconds:.1f} s"
    other = f"; answered by {plain(event.answered_by)}" if event.answered_by else ""
    yield ""
    yield f"turn {event.turn} ({event.role}; {counts}{other})"
    yield from _indented(event.reasoning, REASONING_LINES, "  . ") if event.reasoning else ()
    yield from _indented(event.text, TEXT_LINES)


def _tool(event: Any) -> Iterator[str]:
    outcome = "" if event.outcome == "ok" else f" [{event.outcome}]"
    yield f"  > {call_line(event.name, event.args)}{outcome}"
    yield from _indented(event.result, RESULT_LINES, "    ")
    if event.picture:
        yield f"    picture: pictures/{plain(event.picture)}, beside this file"


def _verdict(event: Any) -> Iterator[str]:
    yield ""
    yield f"verdict on {event.feature_id}: {'passed' if event.passed else 'not yet'}"
    proof = ", ".join(f"{count} {kind}" for kind, count in event.proof.items() if count)
    yield from _indented("\n".join(filter(None, (event.reason, proof and f"proof: {proof}"))), TEXT_LINES)
    if event.evidence:
        yield f"  evidence: {plain(event.evidence)}"


def _contract(event: Any) -> Iterator[str]:
    yield event_line(event)
    yield from _indented(event.words, TEXT_LINES)


def _other(event: Any) -> Iterator[str]:
    if line := event_line(event):
        yield line


def _indented(text: str, limit: int, indent: str = "  ") -> Iterator[str]:
    lines = plain(text).strip("\n").split("\n")
    for line in lines[:limit]:
        yield f"{indent}{line}".rstrip()
    if len(lines) > limit:
        yield f"{indent}... {len(lines) - limit} more lines"


_TELLERS: dict[str, Any] = {
    "session": _brief,
    "model": _turn,
    "tool": _tool,
    "verdict": _verdict,
    "contract": _contract,
}
