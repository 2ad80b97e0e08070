"""`harness audit`: what a thread did, refused and decided, and whether that is what was written down then."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.console_text import gist, one_line, wrapped
from harness.errors import ContractError, HarnessError, SetupError
from harness.project import Project
from harness.thread_audit import BROKEN, NOT_WHOLE, Line, audit_file, begins_after, load_audit, readable, unanchored
from harness.threads import load_threads, require_begun

_SHA = re.compile(r"^[0-9a-f]{40,64}\b")
_TEXT, _DETAIL = 200, 120
"""Characters of what was done, and of what came of it."""


@dataclass(frozen=True)
class Audited:
    """What was found."""

    thread_id: str
    path: Path
    lines: Sequence[Line]
    commits: int
    """Commits of the thread that carry a line of an audit."""
    broken: ContractError | None
    """The first thing that does not fit."""


async def read_audit(directory: Path, thread_id: str) -> Audited:
    """Read the audit of a thread and compare it with itself and with the thread's commits.

    Args:
        thread_id: empty: the last thread.

    Raises: SetupError: there is no such thread here.
    """
    project = Project.find(directory)
    require_begun(project)
    thread_id = _known(project, thread_id)
    path = audit_file(project.trajectories_dir, thread_id)
    carried = await _carried(project, thread_id)
    try:
        lines = load_audit(path)
    except ContractError as exc:
        return Audited(thread_id, path, readable(path), len(carried), exc)
    why = unanchored(lines, carried)
    return Audited(thread_id, path, lines, len(carried), ContractError(f"{path}: {why}", BROKEN) if why else None)


def as_text(found: Audited, width: int = 0) -> str:
    """A line a deed, then what holds them.

    Args:
        width: characters a line may have; 0: all.
    """
    longest = max((len(line.session) for line in found.lines), default=0)
    rows = [_row(line, longest, width) for line in found.lines]
    return "\n".join([*rows, "", verified_text(found)] if rows else [verified_text(found)])


def verified_text(found: Audited) -> str:
    """How much was looked at."""
    if not found.lines:
        return f"Thread {found.thread_id} has no audit here ({found.path})."
    if found.broken:
        return f"{len(found.lines)} lines can be read in {found.path}."
    said = f"{len(found.lines)} lines fit; {found.commits} commits carry one. {found.path}"
    return f"{said}\n{NOT_WHOLE.format(before=before)}" if (before := begins_after(found.lines)) else said


def as_json(found: Audited, *, lines: bool = True) -> str:
    """The same for a program.

    Args:
        lines: whether each of them is told, and not only whether they fit.
    """
    facts = {
        "thread": found.thread_id,
        "file": str(found.path),
        "broken": found.broken.what if found.broken else "",
        "begins_after": begins_after(found.lines),
        "count": len(found.lines),
        "commits": found.commits,
    }
    if lines:
        facts["lines"] = [line.model_dump(mode="json") for line in found.lines]
    return json.dumps(facts, indent=2, ensure_ascii=False)


def _row(line: Line, longest: int, width: int) -> str:
    decided = one_line(f"{line.decision} by {line.by}")
    head = f"{line.at:%Y-%m-%d %H:%M:%S}  {one_line(line.session):<{longest}}  {decided:<20}  "
    detail = one_line(gist(line.detail), _DETAIL)
    digest = f" {line.digest[:12]}" if line.kind == "file" and line.digest else ""
    what = _SHA.sub(lambda sha: sha[0][:10], line.what) if line.kind == "commit" else line.what
    said = f"{line.kind} {one_line(what, _TEXT)}{digest}"
    return wrapped(head, f"{said}: {detail}" if detail else said, width)


def _known(project: Project, thread_id: str) -> str:
    known = [record.thread_id for record in load_threads(project)]
    if thread_id in known:
        return thread_id
    if known and not thread_id:
        return known[-1]
    listed = ", ".join(known) or "none yet"
    raise SetupError(
        f"There is no thread {thread_id!r}.", f"Threads here: {listed}; `harness audit THREAD DIR` looks elsewhere."
    )


async def _carried(project: Project, thread_id: str) -> list[str]:
    from harness.repo import Repo
    from harness.verify.trail import anchors

    try:
        repo = await asyncio.to_thread(Repo.open, project.directory)
    except HarnessError:  # no repository any more: the seals are left
        return []
    return await anchors(repo, thread_id)
