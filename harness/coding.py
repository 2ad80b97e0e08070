"""Graph 2: one feature after another, each proved before it is committed.

    orient -> regress -> select -> contract -> session -> verify -> commit -> record -> orient ...
                           |                     ^          |
                           `-> end               `- failed -+-> park -> record

The state holds ids, counters, a commit and a verdict's path; the list, the messages and the evidence stay in files.
Any node may run twice after a kill: each says under `Replay` why that is safe. A run that must stop raises `StopRun`
out of the graph at a safe point; the checkpoint before that node is where the next run goes on.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Command

from harness.brief import render_brief, render_evidence
from harness.coder import clear_scratch, coder_session
from harness.commits import make_trailers
from harness.errors import FeaturesOpen, Finished, RepoError
from harness.events import Committed, ContractWritten, Noticed, SessionStarted, StageStarted, StateChanged
from harness.features import Feature, FeatureList, PassedAt, mark_passed, next_feature, park, reopen
from harness.ledger import Ledger
from harness.memory.record import make_record
from harness.progress import Outcome, SessionEntry
from harness.project import write_atomic
from harness.prompts import load_prompt
from harness.session import forget
from harness.tools.memory import quote
from harness.verify.author import contract_words, revise_contract, write_contract
from harness.verify.check import Contract
from harness.verify.verdict import Case, Verdict, regress_tree, verify_feature

if TYPE_CHECKING:
    from harness.parts import Parts
    from harness.session import SessionOutcome

Node = Literal["orient", "regress", "select", "contract", "session", "verify", "commit", "park", "record"]

LESSONS = ("failure", "decision", "note", "progress")
"""Kinds recalled for a brief; what the specification, the plan and the log say stands in it anyway."""
FOR_A_PERSON = ("disputed:", "needs ")
"""How the reasons begin for which another try is no help."""
FULL_REGRESS_EVERY = 10
"""Commits after which all passed checks are replayed, whatever the time allowed."""


class CodingState(TypedDict, total=False):
    """What a thread must remember between nodes; the rest is in files."""

    feature_id: str
    sessions: int
    """Sessions of the thread so far; numbers their ids."""
    session_id: str
    tries: int
    """Fresh sessions on the current feature."""
    attempt: int
    """Failed verdicts in the current session."""
    base_sha: str
    outcome: Outcome
    summary: str
    next: str
    asked: str
    """What the coder wants a person to decide, should the verdict be a failure."""
    turns: int
    seconds: dict[str, float]
    green_sha: str
    """The commit at which all passed checks last held."""
    commits: int
    rewritten: bool
    """The current feature's contract was written a second time."""
    regressed_all: bool
    reopened: bool
    """Parked features were given their second chance."""


class Coding:
    """The nodes, over one run's parts.

    Args:
        only: build this feature alone; empty: all. A wish of this run, so it is not in the state.
    """

    def __init__(self, parts: Parts, only: str = "") -> None:
        self.parts, self.only = parts, only
        self.ledger = Ledger(parts)
        self._is_done_alone = False

    def build(self) -> Any:
        """Compile the graph over the run's checkpointer."""
        graph = StateGraph(CodingState)
        nodes = (
            self.orient, self.regress, self.select, self.contract, self.session, self.verify, self.commit, self.park,
            self.record,
        )  # fmt: skip
        for node in nodes:
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "orient")
        return graph.compile(checkpointer=self.parts.checkpointer)

    async def orient(self, state: CodingState) -> Command[Node]:
        """Take in what the user committed since. Replay: a merge that was made is not made again."""
        self._stage("orient")
        self.parts.budget.check()
        added = await self.ledger.take_in_user_commits()
        if added:
            self._notice(f"Features added to the list: {', '.join(added)}.")
        return Command(goto="regress")

    async def regress(self, state: CodingState) -> Command[Node]:
        """Replay passed checks when the code changed since all of them held. Replay: changes nothing but the list."""
        if await self._is_green(state):
            return Command(goto="select")
        return Command(goto="select", update=await self._replay_passed(limit=True))

    async def select(self, state: CodingState) -> Command[Node]:
        """Choose what to build, or end the thread. Replay: a pure choice from the list."""
        features = await self.ledger.features()
        if self._is_done_alone:
            _end(features)
        feature = _only(features, self.only) if self.only else next_feature(features)
        if feature is None:
            return await self._nothing_open(state, features)
        self._stage("select", feature.description, feature.id)
        fresh = {
            "feature_id": feature.id,
            "tries": 0,
            "attempt": 0,
            "session_id": "",
            "seconds": {},
            "rewritten": False,
        }
        return Command(goto="contract", update=fresh)

    async def contract(self, state: CodingState) -> Command[Node]:
        """Agree the proof before the code. Replay: a contract that is on the desk is kept."""
        feature = await self._feature(state)
        self._stage("contract", feature.description, feature.id)
        started = time.monotonic()
        contract = await self._agreed(feature)
        acts = len(contract.items) - len(list(contract.expectations()))
        self.parts.events.emit(
            ContractWritten(
                feature_id=feature.id,
                acts=acts,
                expectations=len(contract.items) - acts,
                words=contract_words(contract),
            )
        )
        return Command(goto="session", update={"seconds": _add(state, "contract", started)})

    async def session(self, state: CodingState) -> Command[Node]:
        """One attempt of a session. Replay: goes on at the turn it was in; a new session begins on a reset tree."""
        feature, started = await self._feature(state), time.monotonic()
        if not state.get("session_id"):
            return await self._open_session(state, feature)
        session_id = state["session_id"]
        self._stage("session", session_id, feature.id)
        tree = await self.ledger.tree()
        async with coder_session(self.parts, tree, session_id, feature.id, "coder", state["base_sha"]) as session:
            message = await self._message(state, feature)
            self.parts.events.emit(
                SessionStarted(session_id=session_id, feature_id=feature.id, attempt=state["attempt"], brief=message)
            )
            outcome = await session.run(load_prompt("coder"), message, state["attempt"])
        return Command(goto="verify", update=_told(outcome) | {"seconds": _add(state, "session", started)})

    async def verify(self, state: CodingState) -> Command[Node]:
        """Let code decide. Replay: the verdict is computed again from the same tree."""
        feature, started = await self._feature(state), time.monotonic()
        self._stage("verify", feature.description, feature.id)
        verdict = await verify_feature(await self._case(state, feature))
        write_atomic(self._verdict_file(feature.id), verdict.model_dump_json(indent=1))
        update: CodingState = {"seconds": _add(state, "verify", started)}
        if verdict.passed:
            green = {"outcome": "passed", "regressed_all": verdict.regressed_all}
            return Command(goto="commit", update={**update, **green})
        if verdict.meaningless and not state.get("rewritten"):
            self._notice(f"{feature.id}: the contract is written again, because part of it can never fail.")
            await self._rewrite(feature, verdict)
            return Command(goto="verify", update={**update, "rewritten": True})
        await self._remember_failure(state, feature, verdict)
        return await self._after_failure(state, feature, verdict, update)

    async def commit(self, state: CodingState) -> Command[Node]:
        """One commit: code, state, check, progress. Replay: found by its trailers, it is not made again."""
        feature = await self._feature(state)
        self._stage("commit", feature.description, feature.id)
        verdict = self._verdict(feature.id)
        assert verdict.check is not None
        passed_at = PassedAt(
            session=state["session_id"],
            time=datetime.now(UTC),
            baseline=state["base_sha"],
            check=verdict.check.digest(),
        )
        features = mark_passed(await self.ledger.features(), feature.id, verdict.proof, passed_at)
        trailers = make_trailers(self.parts.thread_id, state["session_id"], feature.id)
        subject = f"{feature.id}: {feature.description}"
        sha = await self.ledger.commit(
            subject,
            f"{state['summary']}\n\nProof: {verdict.proof_words}. {verdict.regressed}",
            trailers,
            features,
            self._entry(state, "passed"),
            check=verdict.check,
            elements=verdict.elements,
        )
        self.parts.events.emit(
            Committed(feature_id=feature.id, commit_sha=sha, subject=subject, regressed=verdict.regressed)
        )
        green = {"green_sha": sha} if state["regressed_all"] else {}
        return Command(goto="record", update={**green, "commits": state.get("commits", 0) + 1})

    async def park(self, state: CodingState) -> Command[Node]:
        """Set the feature aside in a state commit, the work kept as a patch. Replay: as commit."""
        feature = await self._feature(state)
        verdict = self._verdict(feature.id)
        reason = state.get("asked") or verdict.park_reason or verdict.gist
        await self._save_patch(state)
        await self._change(feature.id, "parked", reason, self._entry(state, "parked"))
        return Command(goto="record", update={"outcome": "parked"})

    async def record(self, state: CodingState) -> Command[Node]:
        """Put the outcome into memory and forget the session's context. Replay: records have keys."""
        feature_id, session_id = state["feature_id"], state["session_id"]
        features = await self.ledger.features()
        feature = features.get(feature_id)
        verdict = self._verdict(feature_id)
        passed = state["outcome"] == "passed"
        text = f"{feature.description} - {state['summary']}" if passed else f"{feature.description} - {verdict.reason}"
        about: dict[str, Any] = {
            "source": f"session {session_id}",
            "thread": self.parts.thread_id,
            "session": session_id,
            "feature": feature_id,
            "outcome": state["outcome"],
        }
        records = [make_record(self.ledger.name, "progress" if passed else "failure", text, **about)]
        if passed and state["attempt"] and state["summary"]:
            mended = {**about, "outcome": "mended"}
            records.append(make_record(self.ledger.name, "failure", f"What mended it: {state['summary']}", **mended))
        await self.parts.memory.remember(records)
        await forget(self.parts, session_id)
        clear_scratch(self.parts, session_id)
        self._is_done_alone = bool(self.only)
        return Command(goto="orient", update={"session_id": ""})

    async def _open_session(self, state: CodingState, feature: Feature) -> Command[Node]:
        """Number a new session; a super-step of its own, so that a kill later finds the number."""
        self.parts.budget.check()
        self.parts.budget.start_session()
        number = state.get("sessions", 0) + 1
        head = await self.ledger.head()
        named = {"sessions": number, "session_id": f"s{number:03}-{feature.id}", "attempt": 0, "base_sha": head}
        return Command(goto="session", update=named | {"tries": state["tries"] + 1})

    async def _after_failure(
        self, state: CodingState, feature: Feature, verdict: Verdict, update: CodingState
    ) -> Command[Node]:
        """Back with evidence, a fresh session, or set aside."""
        limits = self.parts.settings.limits
        out_of_turns = limits.session_turns and state["turns"] >= limits.session_turns
        if (
            verdict.park_now
            or state.get("asked")
            or (state["tries"] >= limits.sessions and state["attempt"] >= limits.repairs)
        ):
            return Command(goto="park", update=update)
        if state["attempt"] < limits.repairs and not out_of_turns:
            return Command(goto="session", update={**update, "attempt": state["attempt"] + 1})
        if state["tries"] >= limits.sessions:
            return Command(goto="park", update=update)
        await self._save_patch(state)
        self._notice(f"{feature.id}: a fresh session starts; the work of {state['session_id']} is kept as a patch.")
        return Command(goto="session", update={**update, "session_id": "", "attempt": 0})

    async def _nothing_open(self, state: CodingState, features: FeatureList) -> Command[Node]:
        parked = [f for f in features.features if f.status == "parked" and not f.reason.startswith(FOR_A_PERSON)]
        if parked and not state.get("reopened"):
            for feature in parked:
                await self._change(feature.id, "reopened", f"second chance; parked before: {feature.reason}")
            return Command(goto="select", update={"reopened": True})
        if not await self._is_green(state):
            green = await self._replay_passed(limit=False)
            if not green:
                return Command(goto="select")
        return _end(features)

    async def _is_green(self, state: CodingState) -> bool:
        """Whether nothing passed yet, or all that passed held on this code."""
        if not any(f.passes for f in (await self.ledger.features()).features):
            return True
        return await self.ledger.same_tree(await self.ledger.head(), state.get("green_sha", ""))

    async def _replay_passed(self, *, limit: bool) -> CodingState:
        """Replay what passed; reopen what does not hold. Returns what is known to be green."""
        features, checks = await self.ledger.features(), await self.ledger.checks()
        self._stage("regress", f"{len(checks)} checks")
        tree, head = await self.ledger.tree(), await self.ledger.head()
        elements = await self.ledger.elements()
        broken, complete = await regress_tree(self.parts, tree, features, checks, elements, limit=limit)
        for feature_id, reason in broken.items():
            await self._change(feature_id, "reopened", reason)
        return {"green_sha": head} if complete and not broken else {}

    async def _agreed(self, feature: Feature) -> Contract:
        """The contract on the desk, written first where there is none."""
        path = self._contract_file(feature.id)
        if path.exists():
            return Contract.model_validate_json(path.read_text(encoding="utf-8"))
        contract = await write_contract(
            self.parts.model,
            feature,
            await self.ledger.spec_lines(feature),
            await self.ledger.element_words(),
            f"{self.parts.thread_id}/contract/{feature.id}",
        )
        write_atomic(path, contract.model_dump_json(by_alias=True, indent=1))
        return contract

    async def _rewrite(self, feature: Feature, verdict: Verdict) -> None:
        """Have the author write anew what proved nothing; the application is not touched."""
        contract = await revise_contract(
            self.parts.model,
            feature,
            await self.ledger.spec_lines(feature),
            await self.ledger.element_words(),
            f"{self.parts.thread_id}/contract/{feature.id}/again",
            await self._agreed(feature),
            [f"nothing on the page makes this fail: {words}" for words in verdict.meaningless],
        )
        write_atomic(self._contract_file(feature.id), contract.model_dump_json(by_alias=True, indent=1))

    async def _message(self, state: CodingState, feature: Feature) -> str:
        if state["attempt"]:
            left = self.parts.settings.limits.repairs - state["attempt"]
            return render_evidence(self._verdict(feature.id).reason, left)
        contract = await self._agreed(feature)
        query = f"{feature.description} {' '.join(feature.steps)}"
        recalled = await self.parts.memory.recall(query, kinds=LESSONS)
        return render_brief(
            feature,
            await self.ledger.spec_lines(feature),
            contract_words(contract),
            (await self.ledger.features()).totals,
            (await self.ledger.progress()).tail(3),
            await self.ledger.subjects(5),
            await self.ledger.files(),
            quote(recalled),
        )

    async def _remember_failure(self, state: CodingState, feature: Feature, verdict: Verdict) -> None:
        await self.parts.memory.remember(
            [
                make_record(
                    self.ledger.name,
                    "failure",
                    f"{feature.description}: {verdict.gist}",
                    source=f"session {state['session_id']} attempt {state['attempt']}",
                    thread=self.parts.thread_id,
                    session=state["session_id"],
                    feature=feature.id,
                    outcome="failed",
                )
            ]
        )

    async def _save_patch(self, state: CodingState) -> None:
        """Keep a failed attempt's work. A nested repository in it is named instead of read."""
        tree, directory = await self.ledger.tree(), self.parts.project.patches_dir
        directory.mkdir(parents=True, exist_ok=True)
        try:
            write_atomic(
                directory / f"{self.parts.thread_id}-{state['session_id']}.patch", await tree.diff(state["base_sha"])
            )
        except RepoError as exc:
            self._notice(f"The work of {state['session_id']} could not be kept as a patch: {exc}")
        await tree.reset(state["base_sha"])

    async def _change(
        self, feature_id: str, change: Literal["parked", "reopened"], reason: str, entry: SessionEntry | None = None
    ) -> None:
        """A state commit: the list changes, the code does not."""
        features = await self.ledger.features()
        changed = park(features, feature_id, reason) if change == "parked" else reopen(features, feature_id, reason)
        await self.ledger.commit_state(feature_id, change, reason, changed, entry)
        self._contract_file(feature_id).unlink(missing_ok=True)
        self.parts.events.emit(StateChanged(feature_id=feature_id, change=change, reason=reason))

    def _entry(self, state: CodingState, outcome: Outcome) -> SessionEntry:
        used = self.parts.budget.meter.take()
        return SessionEntry(
            session=state["session_id"],
            feature=state["feature_id"],
            outcome=outcome,
            summary=state.get("summary", ""),
            next=state.get("next", ""),
            turns=state.get("turns", 0),
            tokens=used.tokens,
            cost_usd=round(used.cost_usd, 6),
            seconds={stage: round(seconds, 1) for stage, seconds in state.get("seconds", {}).items()},
            ended_at=datetime.now(UTC),
        )

    async def _case(self, state: CodingState, feature: Feature) -> Case:
        """All that a verdict is asked about; names bound in an earlier attempt are kept."""
        path = self._verdict_file(feature.id)
        earlier = self._verdict(feature.id).check if path.exists() else None
        contract = await self._agreed(feature)
        return Case(
            self.parts,
            feature,
            contract,
            await self.ledger.tree(),
            state["base_sha"],
            await self.ledger.features(),
            await self.ledger.checks(),
            await self.ledger.elements(),
            conversation=f"{self.parts.thread_id}/{state['session_id']}/bind-{state['attempt']}",
            everything=state.get("commits", 0) % FULL_REGRESS_EVERY == FULL_REGRESS_EVERY - 1,
            known=earlier.bindings if earlier and earlier.contract == contract else {},
            spec_lines=await self.ledger.spec_lines(feature),
        )

    async def _feature(self, state: CodingState) -> Feature:
        return (await self.ledger.features()).get(state["feature_id"])

    def _contract_file(self, feature_id: str) -> Path:
        return self.parts.desk(feature_id) / "contract.json"

    def _verdict_file(self, feature_id: str) -> Path:
        return self.parts.desk(feature_id) / "verdict.json"

    def _verdict(self, feature_id: str) -> Verdict:
        return Verdict.model_validate_json(self._verdict_file(feature_id).read_text(encoding="utf-8"))

    def _stage(self, stage: str, detail: str = "", feature_id: str = "") -> None:
        self.parts.events.emit(StageStarted(stage=stage, detail=detail, feature_id=feature_id))

    def _notice(self, text: str) -> None:
        self.parts.events.emit(Noticed(text=text))


def _end(features: FeatureList) -> NoReturn:
    """Raises: Finished, FeaturesOpen: the end of the thread, or of what was asked for."""
    totals = features.totals
    raise (Finished if totals.is_complete else FeaturesOpen)(f"{totals}.")


def _only(features: FeatureList, feature_id: str) -> Feature | None:
    feature = features.get(feature_id)
    return None if feature.passes else feature


def _told(outcome: SessionOutcome) -> CodingState:
    asked = ""
    if outcome.changes:
        asked = f"needs decision: it cannot be built without changing {', '.join(outcome.changes)}"
    if outcome.dispute:
        asked = f"disputed: step {outcome.dispute.step} of the check: {outcome.dispute.why}"
    return {"summary": outcome.summary, "next": outcome.next, "turns": outcome.turns, "asked": asked}


def _add(state: CodingState, stage: str, started: float) -> dict[str, float]:
    seconds = dict(state.get("seconds", {}))
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - started
    return seconds
