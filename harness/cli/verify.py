"""Driving `harness verify`: once or whenever files change, and what is written of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from harness.cli.text import one_screen, replayed_text
from harness.console import watch
from harness.errors import HarnessError
from harness.events import Events
from harness.project import Project
from harness.repo import Repo

if TYPE_CHECKING:
    from harness.verify.standalone import Replays

T = TypeVar("T")
INTERRUPTED = 130


@dataclass(frozen=True)
class Wish:
    """What a person asked for."""

    directory: Path
    feature_ids: Sequence[str] = ()
    url: str | None = None
    as_json: bool = False
    junit: Path | None = None
    html: Path | None = None
    headed: bool = False
    flags: dict[str, Any] | None = None


async def verify_once(wish: Wish) -> int:
    """Replay and show; returns the exit code. Progress goes to standard error, so that the results stand alone.

    Raises: HarnessError: what happened and what to do.
    """
    from harness.runtime import replay_checks

    events = Events()
    with watch(events, sys.stderr):
        replays = await replay_checks(
            wish.directory,
            wish.feature_ids,
            url=wish.url,
            headed=wish.headed,
            flags=wish.flags or {},
            events=events,
        )
    _write(wish, replays)
    _show(wish, replays)
    return 0 if replays.passed else 1


async def verify_on_change(wish: Wish) -> int:
    """Replay, and again whenever files of the project change, until Ctrl-C; returns the last result's exit code.

    Raises: SetupError: there is nothing to watch.
    """
    project = Project.find(wish.directory)
    repo = await asyncio.to_thread(Repo.open, project.directory)
    outputs = [Path(os.path.realpath(path)) for path in (wish.junit, wish.html) if path]
    async with stop_signals() as stop, _changes(project.directory, repo, outputs) as changed:
        return await keep_verifying(lambda: _code_of(wish), changed, stop)


async def keep_verifying(
    verify: Callable[[], Coroutine[Any, Any, int]], changed: asyncio.Event, stop: asyncio.Event
) -> int:
    """Verify, wait for a change, verify again; what changes meanwhile counts. Returns the last code."""
    code = INTERRUPTED
    while True:
        changed.clear()
        found = await _unless(stop, verify())
        if found is None:
            return code
        code = found
        typer.echo("Waiting for files to change; Ctrl-C ends.", err=True)
        if await _unless(stop, changed.wait()) is None:
            return code


async def _code_of(wish: Wish) -> int:
    """A file that is broken just now is told like a result: the next change may mend it."""
    try:
        return await verify_once(wish)
    except HarnessError as exc:
        typer.echo(one_screen(str(exc)), err=True)
        return exc.exit_code


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Do it unless asked to stop, which ends it; None then."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await _end(task)
        await _end(stopping)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, HarnessError):
        await task


@asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """Set by Ctrl-C."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _changes(directory: Path, repo: Repo, outputs: Sequence[Path]) -> AsyncIterator[asyncio.Event]:
    """Set whenever a file changes that counts: not ignored by git, not written by ourselves."""
    from watchfiles import awatch

    changed = asyncio.Event()

    async def listen() -> None:
        async for changes in awatch(directory):
            paths = [path for _, path in changes if not _is_output(Path(path), outputs)]
            if paths and await repo.any_counts(paths):
                changed.set()

    task = asyncio.create_task(listen())
    try:
        yield changed
    finally:
        await _end(task)


def _is_output(path: Path, outputs: Sequence[Path]) -> bool:
    """Whether it is one of ours, or its temporary form beside it."""
    return any(path.is_relative_to(output) or path.name.startswith(f".{output.name}.") for output in outputs)


def _write(wish: Wish, replays: Replays) -> None:
    name = Path(os.path.realpath(wish.directory)).name
    if wish.junit:
        from harness.verify.junit import write_junit

        write_junit(wish.junit, name, replays)
    if wish.html:
        from harness.verify.report import write_report

        path = write_report(wish.html, name, replays)
        typer.echo(f"The report is {path}", err=True)


def _show(wish: Wish, replays: Replays) -> None:
    if wish.as_json:
        facts = [vars(result) for result in replays.results]
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        typer.echo(replayed_text(replays.results))
