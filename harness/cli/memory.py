"""`harness memory`: looking into what was learned."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from harness.console import watch
from harness.console_text import one_line, plain
from harness.errors import SetupError
from harness.events import Events, Noticed, Progressed
from harness.project import Project

if TYPE_CHECKING:
    from harness.memory.recollection import Hit, Recollection

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})([mhdw])")
_EVERY = 20
"""Files after which progress is shown."""
SHOWN_TOKENS = 100_000
"""A person's screen has no token budget."""


def read_age(text: str) -> timedelta | None:
    """`30m`, `12h`, `7d`, `2w`; None for an empty text.

    Raises: typer.BadParameter: it is none of these.
    """
    if not text:
        return None
    if not (match := _AGE.fullmatch(text.strip().lower())):
        raise typer.BadParameter(f"{text!r} is no age; write 30m, 12h, 7d or 2w.", param_hint="--since")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def read_kinds(kinds: Sequence[str]) -> list[str] | None:
    """Known kinds of record; None for all.

    Raises: typer.BadParameter: one is unknown.
    """
    from harness.memory.record import KINDS

    if unknown := [kind for kind in kinds if kind not in KINDS]:
        message = f"{unknown[0]!r} is no kind of record; there are {', '.join(KINDS)}."
        raise typer.BadParameter(message, param_hint="--kind")
    return list(kinds) or None


async def search(
    directory: Path, query: str, count: int, kinds: Sequence[str], since: str, scope: Literal["project", "all"]
) -> Recollection:
    """Find records. Waits for meaning, as a person would."""
    from harness.opening import open_memory

    age, chosen = read_age(since), read_kinds(kinds)
    async with open_memory(directory, flags={}, events=_heard()) as memory:
        await memory.wait()
        return await memory.recall(query, k=count, kinds=chosen, since=age, scope=scope, token_budget=SHOWN_TOKENS)


async def stats(directory: Path) -> dict[str, Any]:
    """Counts, and which index answers."""
    from harness.opening import open_memory

    async with open_memory(directory, flags={}, events=_heard()) as memory:
        await memory.wait()
        found = await memory.stats()
    facts = {name: value for name, value in vars(found).items() if name != "by_kind"}
    return {**facts, **{f"kind {kind}": number for kind, number in found.by_kind.items()}}


async def rebuild(directory: Path) -> int:
    """Build the index anew; progress goes to standard error."""
    from harness.opening import open_memory

    async with open_memory(directory, flags={}, events=_heard()) as memory:
        return await memory.rebuild(lambda done, total: typer.echo(f"{done} of {total}", err=True))


async def add(directory: Path, paths: Sequence[Path]) -> str:
    """Remember documents; what was, in words. Progress goes to standard error."""
    from harness.documents import add_documents, told
    from harness.opening import open_memory

    events, project = Events(), Project.find(directory)
    with watch(events, sys.stderr):

        def progress(done: int, total: int, detail: str) -> None:
            if done % _EVERY == 0 or done == total:
                events.emit(Progressed(stage="read", done=done, total=total, detail=detail))

        def learned(done: int, total: int) -> None:
            events.emit(Progressed(stage="learn", done=done, total=total, detail="records"))

        async with open_memory(directory, flags={}, events=events) as memory:
            added = await add_documents(memory, project, paths, progress)
            await memory.learn(learned)
    return "\n".join(one_line(line) for line in told(added))


async def documents(directory: Path) -> dict[str, int]:
    """Documents that were added, and how many records each has."""
    from harness.opening import open_memory

    async with open_memory(directory, flags={}, events=_heard(), is_started=False) as memory:
        return await memory.documents()


async def forget(directory: Path, names: Sequence[str]) -> int:
    """Recall documents never again; how many records that were.

    Args:
        names: each as it is listed, a path as it was added, or an end of one that no other document has.

    Raises: SetupError: one was not added, or several are meant.
    """
    from harness.opening import open_memory

    async with open_memory(directory, flags={}, events=_heard(), is_started=False) as memory:
        known = await memory.documents()
        meant = {_document(name, directory, known) for name in names}
        return sum([(await memory.replace_document(name, []))[1] for name in meant])


def _document(name: str, directory: Path, known: Collection[str]) -> str:
    for whole in (name, str(Path(name).resolve()), str((directory / name).resolve())):
        if whole in known:
            return whole
    found = [each for each in known if each.endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    what = f"{one_line(name)!r} is the end of {len(found)} documents." if found else ""
    what = what or f"{one_line(name)!r} is no document that was added."
    raise SetupError(what, "`harness memory list` names them.")


def as_text(found: Recollection) -> str:
    """Records for a person; what they say is quoted, not believed."""
    if not found.hits:
        return "Nothing was found."
    blocks = [f"{number}. {_head(hit)}\n{_body(hit)}" for number, hit in enumerate(found.hits, 1)]
    return "\n\n".join([*blocks, f"(ranked by {found.source})"])


def as_json(found: Recollection) -> str:
    """Records for a program."""
    hits = [
        {"key": hit.record.key, "score": hit.score, "stale": hit.stale, **hit.record.model_dump(mode="json")}
        for hit in found.hits
    ]
    facts = {"query": found.query, "source": found.source, "seconds": dict(found.seconds), "hits": hits}
    return json.dumps(facts, indent=2, ensure_ascii=False)


def _head(hit: Hit) -> str:
    record = hit.record
    facts = (record.kind, record.outcome, record.feature, f"{record.created_at:%Y-%m-%d}", record.source)
    return one_line(", ".join(filter(None, facts)))


def _body(hit: Hit) -> str:
    return "\n".join(f"   {line}" for line in plain(hit.record.text).split("\n"))


def _heard() -> Events:
    """Warnings (an index held elsewhere, a model that cannot be had) go to standard error."""
    events = Events()
    events.listen(lambda e: typer.echo(one_line(e.text), err=True) if isinstance(e, Noticed) else None)
    return events
