"""Opens the real parts of a run, and closes them in the reverse order whatever ends it.

Nothing else opens a part: the project's lock first, so that one process owns it, then what is tried before anything is
spent, then what is held until the end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.disk import refused_by_disk
from harness.errors import ContractError, FeatureFileError, SetupError
from harness.events import Decided, Events, Noticed
from harness.lock import ProjectLock
from harness.project import Project
from harness.settings import Settings, load_settings
from harness.threads import load_threads

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    from harness.budget import Spent
    from harness.memory.recall import Memory
    from harness.model import Model
    from harness.parts import Parts
    from harness.repo import Repo
    from harness.settings import SandboxSettings
    from harness.thread_audit import ThreadAudit


class Stop:
    """The person's wish to stop, heard at the next safe point."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Ask for it."""
        self.requested = True


@dataclass(frozen=True)
class RunOptions:
    """What one run was asked for, beyond the settings."""

    max_sessions: int = 0
    max_turns: int = 0
    record: Path | None = None
    wanted: int = 0


@asynccontextmanager
async def open_memory(
    directory: Path, *, flags: dict[str, Any], events: Events, is_started: bool = True
) -> AsyncIterator[Memory]:
    """Memory alone, seen from a project.

    Args:
        is_started: whether the libraries that know meaning are loaded at once, and not only when somebody waits.
    """
    from harness.memory.recall import Memory

    project = Project.find(directory)
    project.prepare_state()
    settings = settings_of(project.directory, flags, events)
    memory = Memory.open(project.memory_dir, settings.memory, project.state_dir.name, events)
    if is_started:
        memory.start()
    try:
        yield memory
    finally:
        await memory.close()


@asynccontextmanager
async def open_model(directory: Path, *, events: Events) -> AsyncIterator[Model]:
    """The model alone, for what is asked while a run may be at work.

    Raises: SetupError: none is named.
    """
    from harness.model import Model

    model = Model(settings_of(directory, {}, events).model, events)
    model.start()
    try:
        yield model
    finally:
        await model.aclose()


@asynccontextmanager
async def open_parts(
    directory: Path,
    thread_id: str,
    options: RunOptions,
    flags: dict[str, Any],
    events: Events,
    stop: Stop,
    *,
    create: bool = False,
    needs_model: bool = True,
    needs_tools: bool = True,
) -> AsyncIterator[Parts]:
    """Open everything a run needs, the project's lock first.

    Args:
        create: make a repository where there is none.
        needs_model: whether a model must be named now, and not only when it is asked.
        needs_tools: whether anything of the project is run, or shown in a browser.

    Raises: SetupError: what is missing, and the command that mends it.
    """
    from harness.budget import Budget, Meter, Spent
    from harness.memory.recall import Memory
    from harness.model import MissingModel, Model
    from harness.parts import Parts
    from harness.recording import Recorder
    from harness.repo import Repo
    from harness.sandbox.processes import reap
    from harness.steering import Steering
    from harness.trajectory import Trajectory

    settings = settings_of(directory, flags, events)
    async with AsyncExitStack() as stack:
        repo = await asyncio.to_thread(Repo.create if create else Repo.open, directory)
        project = Project.find(directory)
        lock = stack.enter_context(ProjectLock(project, thread_id))
        _require_writable(project.directory, repo.git.common_dir)
        if needs_tools:
            _require_tools(settings, events)
        repo.require_identity()
        await _require_branch(repo)
        for journal in project.rooms_dir.glob("*.jsonl"):
            reap(journal)
        for text in await repo.clear_stale_locks(lock):
            events.emit(Noticed(text=text, level="warning"))
        trajectory = Trajectory(project.trajectories_dir / thread_id)
        stack.callback(events.listen(trajectory))
        stack.callback(trajectory.close)
        meter = Meter(project.state_dir / f"spent-{thread_id}.json")
        stack.callback(events.listen(meter))
        memory = Memory.open(project.memory_dir, settings.memory, project.state_dir.name, events)
        stack.push_async_callback(memory.close)
        recorder = Recorder(options.record) if options.record else None
        # Its libraries take seconds of the one interpreter there is: they load while the endpoint works.
        try:
            model = Model(settings.model, events, transport=recorder, on_waiting=memory.start)
        except SetupError as exc:
            if needs_model:
                raise
            model = MissingModel(exc)
        stack.push_async_callback(model.aclose)
        thread_audit = await _open_audit(project, repo, thread_id, model.redact)
        stack.callback(thread_audit.close)
        stack.callback(events.listen(thread_audit))
        if needs_tools:
            events.emit(_sandbox_decided(settings.sandbox))
        checkpointer = await stack.enter_async_context(open_checkpoints(project.checkpoints_file))
        budget = Budget(settings.limits, meter, options.max_turns, options.max_sessions, lambda: stop.requested)
        if meter.earlier is None:
            is_known = any(record.thread_id == thread_id for record in load_threads(project))
            meter.earlier = spent_before(project) if is_known else Spent()
        budget.before = meter.earlier
        yield Parts(
            project,
            settings,
            thread_id,
            repo,
            model,
            memory,
            events,
            checkpointer,
            budget,
            thread_audit,
            Steering(project, thread_id),
        )


async def _open_audit(project: Project, repo: Repo, thread_id: str, mask: Callable[[str], str]) -> ThreadAudit:
    """The audit of a thread, gone on with; a file that begins here names the line that the last commit carries."""
    from harness.thread_audit import ThreadAudit, audit_file
    from harness.verify.trail import anchors

    path, carried = audit_file(project.trajectories_dir, thread_id), list[str]()
    if not path.exists():
        with suppress(FeatureFileError):  # a broken chain of verdicts: `harness doctor` tells
            carried = await anchors(repo, thread_id)
    return ThreadAudit(path, mask, carried[-1] if carried else "")


def _sandbox_decided(settings: SandboxSettings) -> Decided:
    from harness.sandbox.bubblewrap import describe

    what, mode = "commands, application, browser", settings.mode
    return Decided(topic="sandbox", what=what, decision=mode, by="policy", reason=describe(settings))


def settings_of(directory: Path, flags: dict[str, Any], events: Events) -> Settings:
    """The settings of a project; what its own file may not set is told."""
    return load_settings(directory, flags, lambda text: events.emit(Noticed(text=text, level="warning")))


def spent_before(project: Project) -> Spent:
    """What earlier runs used, as the progress file tells; for threads of which no meter kept anything.

    Raises: FeatureFileError: the file is broken.
    """
    from harness.budget import Spent
    from harness.progress import Progress

    if not project.progress_file.exists():
        return Spent()
    totals = Progress.load(project.progress_file).totals
    return Spent(totals.turns, totals.tokens, totals.cost_usd)


@asynccontextmanager
async def open_checkpoints(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """LangGraph's store, whose blobs may only hold plain data and messages.

    Raises: ContractError: the file is broken; it is left as it is.
    """
    import sqlite3

    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    try:
        async with aiosqlite.connect(path) as connection:
            saver = AsyncSqliteSaver(connection)
            await saver.setup()
            cursor = await connection.execute("PRAGMA quick_check(1)")
            if (row := await cursor.fetchone()) and row[0] != "ok":
                raise sqlite3.DatabaseError(str(row[0]))
            path.chmod(0o600)
            yield saver
    except sqlite3.DatabaseError as exc:
        raise refused_by_disk(exc, path) or ContractError(
            f"The checkpoints in {path} cannot be used: {exc}.",
            "Move the file away and run again: the build goes on from git; only the session in work is lost.",
        ) from exc


def _require_writable(*directories: Path) -> None:
    for directory in directories:
        if not os.access(directory, os.W_OK | os.X_OK):
            raise SetupError(
                f"{directory} cannot be written.", "Make it writable, or work on a clone in another place."
            )


def _require_tools(settings: Settings, events: Events) -> None:
    """Chromium and the sandbox, tried before anything is spent.

    Raises: SetupError: with the command that mends it.
    """
    from harness.browser.browser import find_chromium
    from harness.sandbox.bubblewrap import describe, probe
    from harness.sandbox.processes import allowed_hosts

    _require_writing(settings)
    if settings.sandbox.mode == "project+net":
        allowed_hosts(settings.sandbox)
    if settings.app.kind == "web":
        find_chromium(settings.verify.chromium)
    events.emit(Noticed(text=describe(settings.sandbox)))
    if settings.sandbox.mode == "off":
        text = "UNSAFE: the sandbox is off; commands of the model run with your rights."
        events.emit(Noticed(text=text, level="warning"))
        return
    enforcement = probe()
    if not enforcement.is_enforced:
        raise SetupError(enforcement.reason, enforcement.remedy)
    if enforcement.warning:
        events.emit(Noticed(text=enforcement.warning, level="warning"))


def _require_writing(settings: Settings) -> None:
    """Refuse to begin what must write, where nothing may be written."""
    if settings.sandbox.mode == "plan":
        raise SetupError(
            "Nothing can be built in mode `plan`: it only looks.",
            "`harness verify --sandbox plan` replays proofs so. To build, leave --sandbox plan out, and the mode in "
            "harness.toml and in your config.toml.",
        )


async def _require_branch(repo: Any) -> None:
    if await repo.branch() is None:
        raise SetupError(
            "HEAD is detached: proved work would have no branch to go to.", "Check out a branch: `git switch -c work`."
        )
