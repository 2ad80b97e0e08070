"""The composition root: opens the real parts of a run, drives a graph with them, and closes them.

Nothing else opens a part. Whatever ends a run, the project is left so that the next one can go on: parts are closed in
the reverse order, the thread's record says how it ended, and the lock is free.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import AdapterError, ContractError, FeatureFileError, HarnessError, SetupError, StopRun
from harness.events import Decided, Events, Noticed, RunEnded
from harness.lock import ProjectLock
from harness.project import Project, check_name, find_git
from harness.settings import Settings, load_settings
from harness.threads import ThreadRecord, latest_thread, load_threads, new_thread_id, save_thread

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    from harness.adopt import Adopted
    from harness.budget import Spent
    from harness.features import FeatureList
    from harness.ledger import Ledger
    from harness.memory.recall import Memory
    from harness.parts import Parts
    from harness.repo import Repo
    from harness.settings import SandboxSettings
    from harness.thread_audit import ThreadAudit
    from harness.verify.drafting import Drafted
    from harness.verify.standalone import Replays

    Decision = Callable[[Parts, Ledger, str], Awaitable[str]]
    """What a person decides about a feature, by its id; returns what was decided."""

Stage = Literal["init", "build"]
_RECURSION = 1_000_000
"""Super-steps of one invocation; LangGraph's default ends a long build."""
_BETWEEN = {"orient", "regress", "select"}
"""Nodes before which no feature is in work: a run that finds a thread there begins by looking at everything again."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    exit_status: str
    reason: str
    exit_code: int
    resume: str
    """The command that goes on; empty when nothing is left."""


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


async def initialise(
    directory: Path,
    spec: str,
    *,
    adopt: bool = False,
    thread_id: str | None,
    wanted: int,
    accept: Callable[[FeatureList], bool] | None,
    flags: dict[str, Any],
    events: Events,
    record: Path | None = None,
    stop: Stop,
) -> Ended:
    """Run graph 1, or continue it where it was cut.

    Args:
        spec: the specification's text, or one sentence; with `adopt` empty: it is looked for.
        adopt: take over a list that lies there, and ask no model.
        wanted: features asked for; 0: as many as the specification needs.
        accept: asked with the list before anything is committed; None: nobody is asked.

    Raises: HarnessError: what happened and what to do.
    """
    if not adopt:
        _make(directory)
    thread_id = _thread_to_initialise(directory, thread_id)
    adopted = _adopted(Project.find(directory), spec) if adopt else None
    spec = adopted.spec if adopted else spec
    if not spec.strip():
        raise SetupError("The specification is empty.", "Give a file, a text, or - for standard input with --spec.")
    options = RunOptions(record=record, wanted=wanted)
    how = {"create": not adopt, "needs_model": not adopt}
    async with open_parts(directory, thread_id, options, flags, events, stop, **how) as parts:
        from harness.initializer import Initializer

        graph = Initializer(parts, spec, accept, adopted).build()
        return await _drive(parts, graph, "init", {"wanted": wanted})


async def build(
    directory: Path,
    *,
    thread_id: str | None,
    must_exist: bool,
    only: str = "",
    max_sessions: int = 0,
    max_turns: int = 0,
    accept: Callable[[FeatureList], bool] | None = None,
    record: Path | None = None,
    flags: dict[str, Any],
    events: Events,
    stop: Stop,
) -> Ended:
    """Run graph 2 on a thread, from its start or where it was cut; an initialisation that was cut is ended first.

    Args:
        thread_id: None: the latest thread, or a new one.
        must_exist: refuse a thread that has not been started.
        accept: as for `initialise`.

    Raises: HarnessError: what happened and what to do.
    """
    project = Project.find(directory)
    thread = _thread_to_build(project, thread_id, must_exist)
    _require_files(project, only)
    known = [record.thread_id for record in load_threads(project)]
    if known and thread.thread_id not in known:
        events.emit(Noticed(text=f"Thread {thread.thread_id} is new. Known here: {', '.join(known)}."))
    if thread.stage == "init" and thread.exit_status != "Finished":
        begun = await initialise(
            directory,
            _given_spec(project, thread.thread_id),
            thread_id=thread.thread_id,
            wanted=0,  # the checkpoint knows better
            accept=accept,
            flags=flags,
            events=events,
            record=record,
            stop=stop,
        )
        if begun.exit_code:
            return begun
    options = RunOptions(max_sessions, max_turns, record)
    async with open_parts(directory, thread.thread_id, options, flags, events, stop) as parts:
        from harness.coding import Coding

        coding = Coding(parts, only)
        await coding.ledger.added_by_user()  # a list that cannot be used is told now, not after the feature in work
        return await _drive(parts, coding.build(), "build", {"session_id": "", "blocked": ""}, only)


async def replay_checks(
    directory: Path,
    feature_ids: Sequence[str],
    *,
    url: str | None,
    headed: bool = False,
    flags: dict[str, Any],
    events: Events,
) -> Replays:
    """Replay the checks of features that pass, without a model.

    Args:
        feature_ids: empty: all that pass.
        url: a running application; None: the project's own, from its files.
        headed: in a window.
    """
    from harness.verify.standalone import replay_project

    project = Project.find(directory)
    project.prepare_state()
    settings = _load(project.directory, flags, events)
    return await replay_project(project, settings, feature_ids, url, events, headed=headed)


async def decide(directory: Path, feature_id: str, decision: Decision, *, events: Events) -> str:
    """Let a person decide about a feature; returns what was decided.

    Args:
        decision: one of `harness.decisions`, with what the person gave.

    Raises: SetupError, FeatureFileError: it cannot be decided so, and why; nothing was changed.
    """
    from harness.ledger import Ledger

    async with _open_for_person(directory, feature_id, {}, events) as parts:
        return await decision(parts, Ledger(parts), feature_id)


async def author_check(
    directory: Path, feature_id: str, *, url: str | None, flags: dict[str, Any], events: Events
) -> Drafted:
    """Write a check for a feature on an application that is there; kept as a draft only when it passes twice.

    Raises: SetupError: the feature passes, and its check stays.
    """
    from harness import decisions
    from harness.ledger import Ledger
    from harness.verify.drafting import draft_check

    async with _open_for_person(directory, feature_id, flags, events) as parts:
        ledger = Ledger(parts)
        feature = (await ledger.features()).get(feature_id)
        if feature.passes:
            raise SetupError(
                f"{feature_id} passes, so its check stays.", f"`harness check show {feature_id}` tells it."
            )
        drafted = await draft_check(
            parts.project, parts.settings, parts.model, feature, await ledger.spec_lines(feature), await ledger.known(),
            (await ledger.elements()).locators(), events, url=url,
            conversation=f"{parts.thread_id}/check/{feature_id}",
        )  # fmt: skip
        if drafted.tried and not drafted.reason:
            await decisions.keep_draft(ledger, feature, drafted.tried.check)
        return drafted


@asynccontextmanager
async def _open_for_person(
    directory: Path, feature_id: str, flags: dict[str, Any], events: Events
) -> AsyncIterator[Parts]:
    """The parts of a run that makes no session: on the latest thread, or on a new one."""
    project = Project.find(directory)
    thread = _thread_to_build(project, None, False)
    _require_files(project, feature_id)
    async with open_parts(directory, thread.thread_id, RunOptions(), flags, events, Stop(), needs_model=False) as parts:
        if not any(known.thread_id == thread.thread_id for known in load_threads(project)):
            _record(parts, "build", "Decided", f"A person decided about {feature_id}.")
        yield parts


@asynccontextmanager
async def open_memory(directory: Path, *, flags: dict[str, Any], events: Events) -> AsyncIterator[Memory]:
    """Memory alone, seen from a project."""
    from harness.memory.recall import Memory

    project = Project.find(directory)
    project.prepare_state()
    settings = _load(project.directory, flags, events)
    memory = Memory.open(project.memory_dir, settings.memory, project.state_dir.name, events)
    memory.start()
    try:
        yield memory
    finally:
        await memory.close()


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
) -> AsyncIterator[Parts]:
    """Open everything a run needs, the project's lock first.

    Args:
        create: make a repository where there is none.
        needs_model: whether a model must be named now, and not only when it is asked.

    Raises: SetupError: what is missing, and the command that mends it.
    """
    from harness.budget import Budget, Meter, Spent
    from harness.memory.recall import Memory
    from harness.model import MissingModel, Model
    from harness.parts import Parts
    from harness.recording import Recorder
    from harness.repo import Repo
    from harness.sandbox.processes import reap
    from harness.trajectory import Trajectory

    settings = _load(directory, flags, events)
    async with AsyncExitStack() as stack:
        repo = await asyncio.to_thread(Repo.create if create else Repo.open, directory)
        project = Project.find(directory)
        lock = stack.enter_context(ProjectLock(project, thread_id))
        _require_writable(project.directory, repo.git.common_dir)
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
        events.emit(_sandbox_decided(settings.sandbox))
        checkpointer = await stack.enter_async_context(open_checkpoints(project.checkpoints_file))
        budget = Budget(settings.limits, meter, options.max_turns, options.max_sessions, lambda: stop.requested)
        if meter.earlier is None:
            is_known = any(record.thread_id == thread_id for record in load_threads(project))
            meter.earlier = spent_before(project) if is_known else Spent()
        budget.before = meter.earlier
        yield Parts(project, settings, thread_id, repo, model, memory, events, checkpointer, budget, thread_audit)


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


def _load(directory: Path, flags: dict[str, Any], events: Events) -> Settings:
    """The settings; what the project's own file may not set is told."""
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
        raise ContractError(
            f"The checkpoints in {path} cannot be used: {exc}.",
            "Move the file away and run again: the build goes on from git; only the session in work is lost.",
        ) from exc


async def _drive(parts: Parts, graph: Any, stage: Stage, fresh: dict[str, Any], only: str = "") -> Ended:
    """Run a graph from its last checkpoint to its end or a reason to stop, and keep a record of that."""
    from harness.model.faults import EndpointRefused
    from harness.session import nodes_left

    config = {
        "configurable": {"thread_id": f"{parts.thread_id}:{stage}", "checkpoint_ns": ""},
        "recursion_limit": _RECURSION,
    }
    _record(parts, stage, "")
    parts.model.start()
    ended: StopRun | None = None
    try:
        state = await graph.aget_state(config)
        is_in_work = bool(nodes_left(state) - _BETWEEN)
        if is_in_work and only:
            _require_same(parts, only, state.values.get("feature_id", only))
        await graph.ainvoke(None if is_in_work else fresh, config, durability="sync")
    except StopRun as exc:
        ended = exc
    except asyncio.CancelledError:
        _record(parts, stage, "Interrupted", "stopped at once")
        raise
    except HarnessError as exc:
        _record(parts, stage, type(exc).__name__, exc.what)
        if isinstance(exc, AdapterError) or (isinstance(exc, EndpointRefused) and stage == "build"):
            exc.remedy = f"{exc.remedy}\nNothing is lost. Go on with: {_again(parts)}".strip()
        raise
    result = _ended(parts, stage, ended)
    _record(parts, stage, result.exit_status, result.reason)
    parts.events.emit(RunEnded(exit_status=result.exit_status, reason=result.reason, resume=result.resume))
    return result


def _ended(parts: Parts, stage: Stage, ended: StopRun | None) -> Ended:
    if ended is None:
        where = shlex.quote(str(parts.project.directory))
        return Ended("Finished", "The project is initialised.", 0, f"harness run {where}")
    return Ended(ended.exit_status, ended.reason, ended.exit_code, _again(parts) if ended.exit_code else "")


def _again(parts: Parts) -> str:
    return f"harness resume {parts.thread_id} {shlex.quote(str(parts.project.directory))}"


def _record(parts: Parts, stage: Stage, exit_status: str, reason: str = "") -> None:
    now = datetime.now(UTC)
    known = {record.thread_id: record for record in load_threads(parts.project)}
    started = known[parts.thread_id].started if parts.thread_id in known else now
    save_thread(
        parts.project,
        ThreadRecord(
            thread_id=parts.thread_id, stage=stage, started=started, updated=now, exit_status=exit_status, reason=reason
        ),
    )


def _thread_to_initialise(directory: Path, thread_id: str | None) -> str:
    """The thread to begin or continue.

    Raises: SetupError: the project is initialised already.
    """
    project = Project.find(directory)
    unfinished = [t for t in load_threads(project) if t.stage == "init" and t.exit_status != "Finished"]
    if thread_id is None and unfinished:
        return unfinished[-1].thread_id
    if project.features_file.exists() and not any(t.thread_id == thread_id for t in unfinished):
        raise SetupError(
            f"{project.features_file} exists: the project is initialised already.",
            "Run `harness run`, or choose another directory.",
        )
    return check_name(thread_id) if thread_id else new_thread_id()


def _adopted(project: Project, spec: str) -> Adopted:
    """Raises: SetupError, FeatureFileError: there is nothing that can be adopted."""
    from harness.adopt import read_adoption

    if find_git(project.directory) is None:
        raise SetupError(
            f"{project.directory} is not in a git repository, and what is adopted is what is committed.",
            "Commit it first: `git init && git add --all && git commit -m begin`.",
        )
    return read_adoption(project.directory, spec)


def _given_spec(project: Project, thread_id: str) -> str:
    """The specification of an initialisation that was cut.

    Raises: SetupError: it was cut before the specification was kept.
    """
    path = project.state_dir / "work" / thread_id / "init" / "spec.md"
    if not path.exists():
        raise SetupError(
            f"Thread {thread_id!r} was stopped before its specification was kept.", "Run `harness init` again."
        )
    return path.read_text(encoding="utf-8")


def _thread_to_build(project: Project, thread_id: str | None, must_exist: bool) -> ThreadRecord:
    known = {record.thread_id: record for record in load_threads(project)}
    if thread_id in known:
        return known[thread_id]
    if must_exist:
        listed = ", ".join(known) or "none"
        raise SetupError(f"There is no thread {thread_id!r} in {project.directory}.", f"Threads here: {listed}.")
    if thread_id is None and (latest := latest_thread(project)):
        return latest
    if not project.features_file.exists():
        raise SetupError(f"{project.directory} has no features.json.", "Run `harness init` there first.")
    now = datetime.now(UTC)
    name = check_name(thread_id) if thread_id else new_thread_id()
    return ThreadRecord(thread_id=name, stage="build", started=now, updated=now)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SetupError(f"{directory} cannot be made a directory: {exc.strerror}.", "Choose another place.") from exc


def _require_writable(*directories: Path) -> None:
    for directory in directories:
        if not os.access(directory, os.W_OK | os.X_OK):
            raise SetupError(
                f"{directory} cannot be written.", "Make it writable, or work on a clone in another place."
            )


def _require_files(project: Project, only: str) -> None:
    """Read what a run stands on before it begins.

    Raises: ContractError: a file is broken; it is named. UnknownFeature: there is no feature `only`.
    """
    from harness.ledger import require_readable

    features = require_readable(project)
    if only and features:
        features.get(only)


def _require_same(parts: Parts, only: str, at_work: str) -> None:
    if only != at_work:
        raise SetupError(
            f"Thread {parts.thread_id!r} is in the middle of {at_work}, so {only} must wait.",
            f"End it first with `{_again(parts)}`, or build {only} in another thread with --thread.",
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
