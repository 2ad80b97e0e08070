"""The composition root: what a person asks for, done with the real parts (`opening.py`) by driving a graph.

Whatever ends a run, the project is left so that the next one can go on: parts are closed in the reverse order, the
thread's record says how it ended, and the lock is free.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import AdapterError, HarnessError, SetupError, StopRun
from harness.events import Events, Noticed, RunEnded
from harness.features import FeatureList
from harness.opening import RunOptions, Stop, open_parts, settings_of
from harness.project import Project, check_name, find_git, read_holder
from harness.threads import (
    ThreadRecord,
    given_spec,
    latest_thread,
    load_threads,
    new_thread_id,
    require_begun,
    resume_command,
    save_thread,
)

if TYPE_CHECKING:
    from harness.adopt import Adopted
    from harness.features import Feature
    from harness.gate import Asked, Claim, Gated
    from harness.ledger import Ledger
    from harness.parts import Parts
    from harness.plan_change import PlanChange
    from harness.reviewing import Review
    from harness.verify.drafting import Drafted
    from harness.verify.standalone import Replays

    Decision = Callable[[Parts, Ledger, str], Awaitable[str]]
    """What a person decides about a feature, by its id; returns what was decided."""

Stage = Literal["init", "build"]
_RECURSION = 1_000_000
"""Super-steps of one invocation; LangGraph's default ends a long build."""
_OF_THE_LIST = {"Finished", "FeaturesOpen", "Decided"}
"""Ends whose reason tells how far the list was, which a decision changes."""
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


async def initialise(
    directory: Path,
    spec: str,
    *,
    adopt: bool = False,
    thread_id: str | None,
    wanted: int,
    accept: Callable[[FeatureList], bool] | None,
    review: Callable[[Path], str] | None = None,
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
        review: asked about a specification that was written from a vague wish, as `Initializer` says.

    Raises: HarnessError: what happened and what to do.
    """
    if not adopt:
        _make(directory)
    thread_id = _thread_to_initialise(directory, thread_id, "" if adopt else spec, events)
    adopted = _adopted(Project.find(directory), spec) if adopt else None
    spec = adopted.spec if adopted else spec
    if not spec.strip():
        raise SetupError("The specification is empty.", "Give a file, a text, or - for standard input with --spec.")
    options = RunOptions(record=record, wanted=wanted)
    how = {"create": not adopt, "needs_model": not adopt}
    async with open_parts(directory, thread_id, options, flags, events, stop, **how) as parts:
        from harness.initializer import Initializer

        graph = Initializer(parts, spec, accept, review, adopted).build()
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
    review: Callable[[Path], str] | None = None,
    approval: Review | None = None,
    record: Path | None = None,
    flags: dict[str, Any],
    events: Events,
    stop: Stop,
) -> Ended:
    """Run graph 2 on a thread, from its start or where it was cut; an initialisation that was cut is ended first.

    Args:
        thread_id: None: the latest thread, or a new one.
        must_exist: refuse a thread that has not been started.
        accept, review: as for `initialise`.
        approval: how a person is asked about what is proved; None: nobody is.

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
            review=review,
            flags=flags,
            events=events,
            record=record,
            stop=stop,
        )
        if begun.exit_code:
            return begun
    options = RunOptions(max_sessions, max_turns, record)
    async with open_parts(directory, thread.thread_id, options, flags, events, stop) as parts:
        from harness.agent import describe_agent
        from harness.coding import Coding

        if parts.settings.coder.command:
            events.emit(Noticed(text=describe_agent(parts.settings.coder)))
        coding = Coding(parts, only, approval)
        await coding.ledger.added_by_user()  # a list that cannot be used is told now, not after the feature in work
        graph = coding.build()
        await _require_question(parts, graph, approval)
        fresh = {"session_id": "", "blocked": ""}
        return await _drive(parts, graph, "build", fresh, only, coding.is_current)


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
    settings = settings_of(project.directory, flags, events)
    return await replay_project(project, settings, feature_ids, url, events, headed=headed)


async def check_claims(
    directory: Path, asked: Asked, *, keep: bool = False, flags: dict[str, Any], events: Events
) -> Gated:
    """Look at what is claimed of a project, on its files as they lie.

    Args:
        asked: what is claimed.
        keep: commit the proof of a feature that did not pass in the list, if its code is committed.

    Raises: FeatureFileError: a file is broken. SetupError, AdapterError: there is no verdict.
    """
    from harness import gate

    project = Project.find(directory)
    project.prepare_state()

    async def prove(feature: Feature) -> Claim:
        from harness.claims import prove_claim

        async with _open_for_person(directory, feature.id, flags, events) as parts:
            return await prove_claim(parts, feature, keep=keep)

    return await gate.check_claims(project, settings_of(project.directory, flags, events), asked, events, prove)


async def agreed_contract(directory: Path, feature_id: str, *, flags: dict[str, Any], events: Events) -> str:
    """What the proof of a feature will do and see, in words; written by the author where there is none yet.

    Raises: UnknownFeature: there is no such feature. SetupError: there is no contract, and no model to write one.
    """
    from harness.claims import agree

    async with _open_for_person(directory, feature_id, flags, events) as parts:
        return await agree(parts, FeatureList.load(parts.project.features_file).get(feature_id))


async def decide(directory: Path, feature_id: str, decision: Decision, *, events: Events) -> str:
    """Let a person decide about a feature; returns what was decided.

    Args:
        decision: one of `harness.decisions`, with what the person gave.

    Raises: SetupError, FeatureFileError: it cannot be decided so, and why; nothing was changed.
    """
    from harness.ledger import Ledger

    async with _open_for_person(directory, feature_id, {}, events, needs_tools=False) as parts:
        said = await decision(parts, Ledger(parts), feature_id)
        thread = next(each for each in load_threads(parts.project) if each.thread_id == parts.thread_id)
        if thread.stage == "build" and thread.exit_status in _OF_THE_LIST:
            _record(parts, "build", "Decided", f"A person decided since: {said}")
        return said


async def change_plan(directory: Path, change: PlanChange, *, events: Events) -> str:
    """Keep a person's change of the plan, and take it in if nobody is at work; returns what came of it.

    Raises: HarnessError: it could not be taken in now; it is kept, and the next run takes it in.
    """
    from harness.ledger import Ledger
    from harness.plan_queue import put_in_queue, take_in

    project = Project.find(directory)
    put_in_queue(project, change)
    try:
        if read_holder(project) is None:
            async with _open_for_person(directory, "", {}, events, needs_tools=False) as parts:
                ledger = Ledger(parts)
                if await ledger.added_by_user():
                    return "Kept. You committed features yourself: the next run takes them in, and then this."
                return "\n".join(await take_in(parts, ledger))
    except HarnessError as exc:  # another one may have been quicker with the lock
        if read_holder(project) is None:
            exc.remedy = f"{exc.remedy}\nYour change is kept; the next `harness run` takes it in.".strip()
            raise
    return f"Kept. The project is in use by {read_holder(project)}; a run takes it in before its next feature."


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
    directory: Path, feature_id: str, flags: dict[str, Any], events: Events, *, needs_tools: bool = True
) -> AsyncIterator[Parts]:
    """The parts of a run that makes no session: on the latest thread, or on a new one."""
    project = Project.find(directory)
    thread = _thread_to_build(project, None, False)
    _require_files(project, feature_id)
    needs = {"needs_model": False, "needs_tools": needs_tools}
    async with open_parts(directory, thread.thread_id, RunOptions(), flags, events, Stop(), **needs) as parts:
        if not any(known.thread_id == thread.thread_id for known in load_threads(project)):
            _record(parts, "build", "Decided", f"A person decided about {feature_id or 'the plan'}.")
        yield parts


async def _require_question(parts: Parts, graph: Any, approval: Review | None) -> None:
    """Raises: SetupError: an answer was given, and nothing was asked."""
    from harness.session import nodes_left

    if approval is None or approval.mode:
        return
    where = {"configurable": {"thread_id": f"{parts.thread_id}:build", "checkpoint_ns": ""}}
    if "review" not in nodes_left(await graph.aget_state(where)):
        raise SetupError(
            f"Nothing of thread {parts.thread_id!r} waits for your word.",
            f"Go on without --accept and --reopen: {_again(parts)}",
        )


async def _drive(
    parts: Parts,
    graph: Any,
    stage: Stage,
    fresh: dict[str, Any],
    only: str = "",
    is_current: Callable[[Any], Awaitable[bool]] | None = None,
) -> Ended:
    """Run a graph from its last checkpoint to its end or a reason to stop, and keep a record of that.

    Args:
        fresh: what the state is given where nothing is in work.
        is_current: whether what is in work is still wanted as it was; None: it is.
    """
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
        is_in_work = bool(nodes_left(state) - _BETWEEN) and (is_current is None or await is_current(state.values))
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
    record = next(each for each in load_threads(parts.project) if each.thread_id == parts.thread_id)
    return resume_command(parts.project, record)


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


def _thread_to_initialise(directory: Path, thread_id: str | None, spec: str, events: Events) -> str:
    """The thread to begin or continue; one that was begun with another specification is not continued with this.

    Raises: SetupError: the project is initialised already, or the thread that is named has another specification.
    """
    project = Project.find(directory)
    unfinished = [t for t in load_threads(project) if t.stage == "init" and t.exit_status != "Finished"]
    others = {t.thread_id for t in unfinished if _is_other(given_spec(project, t.thread_id), spec)}
    if thread_id in others:
        raise SetupError(
            f"Thread {thread_id!r} was begun with another specification.",
            f"`harness resume {thread_id}` goes on with that; name this build otherwise with --thread.",
        )
    if thread_id is None and (same := [t for t in unfinished if t.thread_id not in others]):
        return same[-1].thread_id
    if thread_id is None and others and not project.features_file.exists():
        names = ", ".join(sorted(others))
        events.emit(Noticed(text=f"A new thread begins: {names} has another specification; `harness resume` goes on."))
    if project.features_file.exists() and not any(t.thread_id == thread_id for t in unfinished):
        raise SetupError(
            f"{project.features_file} exists: the project is initialised already.",
            f"Run `harness run {shlex.quote(str(project.directory))}`, or choose another directory.",
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
    if given := given_spec(project, thread_id):
        return given
    raise SetupError(
        f"Thread {thread_id!r} was stopped before its specification was kept.", "Run `harness init` again."
    )


def _is_other(before: str, now: str) -> bool:
    return bool(before and now) and before.split() != now.split()


def _thread_to_build(project: Project, thread_id: str | None, must_exist: bool) -> ThreadRecord:
    known = {record.thread_id: record for record in load_threads(project)}
    if thread_id in known:
        return known[thread_id]
    if must_exist:
        listed = ", ".join(known) or "none"
        raise SetupError(f"There is no thread {thread_id!r} in {project.directory}.", f"Threads here: {listed}.")
    if thread_id is None and (latest := latest_thread(project)):
        return latest
    require_begun(project)
    now = datetime.now(UTC)
    name = check_name(thread_id) if thread_id else new_thread_id()
    return ThreadRecord(thread_id=name, stage="build", started=now, updated=now)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SetupError(f"{directory} cannot be made a directory: {exc.strerror}.", "Choose another place.") from exc


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
