"""Graph 2: one feature after another, each proved before it is committed.

    orient -> regress -> select -> contract -> session -> verify -> commit -> record -> orient ...
                           |                     ^          |
                           `-> end               `- failed -+-> park -> record

Where a person wants to see what is proved, `review` asks them, before the commit or after it.

A feature that is claimed to be there is verified before anything is coded: its session has no turn, the tree is judged
as it is, and where the claim does not hold it is taken away (`refute`) and the feature built later like any other.

The state holds ids, counters, a commit and a verdict's path; the list, the messages and the evidence stay in files.
Any node may run twice after a kill: each says under `Replay` why that is safe. A run that must stop raises `StopRun`
out of the graph at a safe point; the checkpoint before that node is where the next run goes on.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Command

from harness.agent import agent_session
from harness.coder import clear_scratch, coder_session
from harness.commits import begun_unasked, make_trailers
from harness.desk import Desk
from harness.diffs import read_diff
from harness.errors import AwaitsReview, FeaturesOpen, Finished, RepoError, SetupError
from harness.events import Committed, ContractWritten, Decided, Noticed, SessionStarted, StageStarted, StateChanged
from harness.features import (
    NEEDS_DECISION,
    SKIPPED,
    Feature,
    FeatureList,
    decided,
    next_feature,
    park,
    refute,
    reopen,
    reopened_because,
)
from harness.ledger import Ledger
from harness.lessons import Lessons
from harness.plan_queue import queued, take_in
from harness.progress import Outcome, SessionEntry
from harness.project import write_atomic
from harness.prompts import load_prompt
from harness.protocol import asked_by
from harness.reviewing import Proposal
from harness.session import forget
from harness.verify import audit
from harness.verify.author import contract_words
from harness.verify.hall import OWN_FILES
from harness.verify.regression import Earlier, regress_tree
from harness.verify.verdict import Verdict, verify_feature

if TYPE_CHECKING:
    from harness.parts import Parts
    from harness.reviewing import Review
    from harness.session import SessionOutcome
    from harness.verify.check import Check

Node = Literal[
    "orient", "regress", "select", "contract", "session", "verify", "review", "commit", "refute", "park", "record"
]

FOR_A_PERSON = ("disputed:", "needs ", SKIPPED)
"""How the reasons begin for which another try is no help."""
FOR_ACCEPTANCE = ("disputed:", "needs a person:")
"""Those for which the contract as it stands is kept, so that a person can accept it."""
CLAIMED = "It was claimed to be there already, and nothing was changed for it."
"""What is told of a session that only looked."""
WHY_CHARACTERS = 300
"""Of what a coder says against a step."""
FULL_REGRESS_EVERY = 10
"""Commits after which all passed checks are replayed, whatever the time allowed."""


class CodingState(TypedDict, total=False):
    """What a thread must remember between nodes; the rest is in files."""

    feature_id: str
    wording: str
    """Of the current feature, when it was chosen."""
    sessions: int
    """Sessions of the thread so far; numbers their ids."""
    session_id: str
    tries: int
    """Fresh sessions on the current feature."""
    claimed: bool
    """The current feature is claimed: it is verified on the tree as it is."""
    failed: list[dict[str, Any]]
    """Progress entries of those that failed, for the next commit; three at most."""
    attempt: int
    """Failed verdicts in the current session."""
    base_sha: str
    given_up: str
    """A session that failed, whose work is to be set aside before the next begins."""
    outcome: Outcome
    summary: str
    next: str
    asked: str
    """What a person must decide, should the verdict be a failure."""
    disputed: int
    """The step that the coder says contradicts the text; 0: none."""
    why: str
    """The coder's reason for that."""
    failed_items: list[str]
    """Expectations of the current feature's contract that failed so far."""
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
    reviewing: Literal["", "before", "after"]
    """Whether a person is asked about the feature, before its commit or after it."""
    blocked: str
    """Why nothing that is claimed could be proved now, whatever it is; of this run."""


class Coding:
    """The nodes, over one run's parts.

    Args:
        only: build this feature alone; empty: all. A wish of this run, so it is not in the state.
        review: a person wants to see what is proved; None: nobody is asked.
    """

    def __init__(self, parts: Parts, only: str = "", review: Review | None = None) -> None:
        self.parts, self.only, self._review = parts, only, review
        self.ledger = Ledger(parts)
        self._is_done_alone = False

    def build(self) -> Any:
        """Compile the graph over the run's checkpointer."""
        graph = StateGraph(CodingState)
        nodes = (
            self.orient, self.regress, self.select, self.contract, self.session, self.verify, self.review, self.commit,
            self.refute, self.park, self.record,
        )  # fmt: skip
        for node in nodes:
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "orient")
        return graph.compile(checkpointer=self.parts.checkpointer)

    async def is_current(self, state: CodingState) -> bool:
        """Whether the feature in work is still in the list, worded as when it was chosen."""
        listed = {feature.id: audit.wording(feature) for feature in (await self.ledger.features()).features}
        now = listed.get(state["feature_id"])
        return now is not None and state.get("wording", now) == now

    async def orient(self, state: CodingState) -> Command[Node]:
        """Take in what the user committed, and how they changed the plan. Replay: what was taken in is not again.

        Raises: SetupError: what is claimed cannot be proved before a person has mended something, or settings of the
            build, such as its gate, have not reached the checkout they are read from.
        """
        self._stage("orient")
        if blocked := state.get("blocked"):
            raise SetupError(
                f"What is claimed cannot be proved on the project as it is. {blocked}",
                "No claim was taken away. Mend that in your checkout and commit it; then run again.",
            )
        self.parts.budget.check()
        await self._set_aside(f"before-{(await self.ledger.head())[:12]}", await self.ledger.head())
        added = await self.ledger.take_in_user_commits()
        await self.ledger.require_settings()
        if added:
            self._notice(f"Features added to the list: {', '.join(added)}.")
        await take_in(self.parts, self.ledger)
        for feature in decided(await self.ledger.features()):
            await self._change(
                feature.id, "reopened", f"It was decided that it may change {', '.join(feature.changes)}."
            )
        return Command(goto="regress")

    async def regress(self, state: CodingState) -> Command[Node]:
        """Replay passed checks when the code changed since all of them held. Replay: changes nothing but the list."""
        if await self._is_green(state):
            return Command(goto="select")
        return Command(goto="select", update=await self._replay_passed(state, limit=True))

    async def select(self, state: CodingState) -> Command[Node]:
        """Choose what to build, or end the thread. Replay: a pure choice from the list."""
        features = await self.ledger.features()
        if self._is_done_alone:
            return await self._end_alone(state, features)
        feature = _only(features, self.only) if self.only else next_feature(features)
        if feature is None and queued(self.parts.project):
            return Command(goto="orient")
        if feature is None:
            return await self._nothing_open(state, features)
        self._stage("select", feature.description, feature.id)
        fresh = {
            "feature_id": feature.id,
            "wording": audit.wording(feature),
            "claimed": feature.claimed,
            "tries": 0,
            "attempt": 0,
            "session_id": "",
            "seconds": {},
            "failed": [],
            "rewritten": False,
            "failed_items": [],
        }
        return Command(goto="contract", update=fresh)

    async def contract(self, state: CodingState) -> Command[Node]:
        """Agree the proof before the code. Replay: a contract that is on the desk is kept."""
        desk, started = await self._desk(state), time.monotonic()
        self._stage("contract", desk.feature.description, desk.feature.id)
        contract = await desk.contract()
        await desk.amendments()
        acts = len(contract.items) - len(list(contract.expected()))
        self.parts.events.emit(
            ContractWritten(
                feature_id=desk.feature.id,
                acts=acts,
                expectations=len(contract.items) - acts,
                words=contract_words(contract),
            )
        )
        return Command(goto="session", update={"seconds": _add(state, "contract", started)})

    async def session(self, state: CodingState) -> Command[Node]:
        """One attempt of a session. Replay: goes on at the turn it was in; a new session begins on a reset tree."""
        desk, started = await self._desk(state), time.monotonic()
        if not state.get("session_id"):
            return await self._open_session(state, desk.feature)
        if state.get("claimed"):
            return self._only_look(state)
        session_id, attempt = state["session_id"], state["attempt"]
        self._stage("session", session_id, desk.feature.id)
        tree = await self.ledger.tree()
        open_session = agent_session if self.parts.settings.coder.command else coder_session
        async with open_session(self.parts, tree, session_id, desk.feature.id, "coder", state["base_sha"]) as session:
            left = self.parts.settings.limits.repairs - attempt
            failed = [SessionEntry.model_validate(each) for each in state["failed"]]
            disputed = state.get("disputed", 0)
            message = await desk.evidence(left, disputed, session.mend) if attempt else await desk.brief(failed)
            self.parts.events.emit(
                SessionStarted(session_id=session_id, feature_id=desk.feature.id, attempt=attempt, brief=message)
            )
            settings, prompt = self.parts.settings, load_prompt(session.prompt, self.parts.settings.app.kind)
            prompt += asked_by(settings, can_prepare=session.can_prepare)
            outcome = await session.run(prompt, message, attempt)
        return Command(
            goto="verify", update=_told(outcome, desk.feature) | {"seconds": _add(state, "session", started)}
        )

    async def verify(self, state: CodingState) -> Command[Node]:
        """Let code decide. Replay: the verdict is computed again from the same tree."""
        desk, started = await self._desk(state), time.monotonic()
        self._stage("verify", desk.feature.description, desk.feature.id)
        everything = state.get("commits", 0) % FULL_REGRESS_EVERY == FULL_REGRESS_EVERY - 1
        opinion = desk.opinion()
        again = f"{'-rewritten' if state['rewritten'] else ''}{'-second' if opinion and not opinion.confirmed else ''}"
        round_name = f"{state['attempt']}{again}"
        case = await desk.case(state["session_id"], round_name, state["base_sha"], everything=everything)
        verdict = await verify_feature(case)
        desk.keep_verdict(verdict, state["session_id"])
        update: CodingState = {"seconds": _add(state, "verify", started)}
        if verdict.passed:
            update |= {"outcome": "passed", "regressed_all": verdict.regressed_all}
            if self._review and self._review.mode == "commits":
                return Command(goto="review", update={**update, "reviewing": "before"})
            return Command(goto="commit", update=update)
        if verdict.meaningless and not state.get("rewritten") and (await desk.contract()).by == "author":
            self._notice(f"{desk.feature.id}: the contract is written again, because part of it can never fail.")
            await desk.rewrite(verdict)
            return Command(goto="verify", update={**update, "rewritten": True})
        update["failed_items"] = [*state.get("failed_items", []), *_named(verdict)]
        if not state.get("claimed") and (disputed := await self._disputed(state, desk, verdict)):
            node, settled = disputed
            return Command(goto=node, update={**update, **settled})
        if state.get("claimed"):
            if verdict.of_tree:  # not the claim is at fault, and the next ones would fail as it did
                return Command(goto="orient", update={**update, "session_id": "", "blocked": verdict.gist})
            return Command(goto="park" if verdict.park_now else "refute", update=update)
        lesson = self._lessons(state, desk.feature).failed(state["attempt"], verdict.gist)
        await self.parts.memory.remember([lesson])
        return await self._after_failure(state, desk.feature, verdict, update)

    async def commit(self, state: CodingState) -> Command[Node]:
        """One commit: code, state, check, progress. Replay: found by its trailers, it is not made again."""
        desk = await self._desk(state)
        feature, verdict = desk.feature, desk.verdict()
        self._stage("commit", feature.description, feature.id)
        trailers = make_trailers(self.parts.thread_id, state["session_id"], feature.id)
        if not await self.ledger.may_commit(trailers, verdict.content):
            self._notice(f"{feature.id}: the tree is not the one that was judged; it is judged again.")
            return Command(goto="verify")
        subject = f"{feature.id}: {feature.description}"
        sha = await desk.commit_proved(
            self.ledger, trailers, state["base_sha"], state["summary"], self._entries(state, "passed")
        )
        self.parts.events.emit(
            Committed(feature_id=feature.id, commit_sha=sha, subject=subject, regressed=verdict.regressed)
        )
        if begun := begun_unasked(await (await self.ledger.tree()).changed_files(state["base_sha"])):
            names = ", ".join(begun)
            self._notice(f"{feature.id} changes files that other programs of yours act on unasked: {names}.", "warning")
        done: CodingState = {"commits": state.get("commits", 0) + 1}
        done |= {"green_sha": sha} if state["regressed_all"] else {}
        if self._review and self._review.mode == "features":
            return Command(goto="review", update={**done, "reviewing": "after"})
        return Command(goto="record", update=done)

    async def review(self, state: CodingState) -> Command[Node]:
        """Ask the person. Replay: asked again; what they said is committed once.

        Raises: AwaitsReview: they stopped, or nobody is there to be asked.
        """
        desk, is_committed = await self._desk(state), state["reviewing"] == "after"
        name = desk.feature.id
        self._stage("review", desk.feature.description, name)
        where = shlex.quote(str(self.parts.project.directory))
        waits = f"waits for your word: `harness resume {self.parts.thread_id} {where} --accept`, or --reopen TEXT."
        if self._review is None:
            raise AwaitsReview(f"{name} {waits}")
        answer = self._review.ask(await self._proposal(desk, state, is_committed=is_committed))
        if answer.decision == "stop":
            raise AwaitsReview(f"{name} is proved{' and committed' * is_committed}; it {waits}")
        settled: CodingState = {"reviewing": ""}
        if answer.decision == "accept":
            return Command(goto="record" if is_committed else "commit", update=settled)
        reason = reopened_because(answer.word)
        if is_committed:
            await self._change(name, "reopened", reason, by="person")
            return Command(goto="record", update=settled)
        await self._set_aside(state["session_id"], await self.ledger.head())
        await self._change(name, "reopened", reason, self._entries(state, "failed"), by="person")
        return Command(goto="record", update={**settled, "outcome": "failed"})

    async def refute(self, state: CodingState) -> Command[Node]:
        """Take a claim away that did not hold. Replay: as commit; the verdict is the one on the desk."""
        desk = await self._desk(state)
        gist = desk.verdict().gist
        self._notice(f"{desk.feature.id} was said to pass, and it does not; it is built in its turn.")
        await self._change(desk.feature.id, "refuted", gist, self._entries(state, "failed"))
        return Command(goto="record", update={"outcome": "failed"})

    async def park(self, state: CodingState) -> Command[Node]:
        """Set the feature aside in a state commit, the work kept as a patch. Replay: as commit."""
        desk = await self._desk(state)
        verdict = desk.verdict()
        reason = _why_parked(state.get("asked", ""), verdict)
        await self._set_aside(state["session_id"], await self.ledger.head())
        check = None
        if reason.startswith(FOR_ACCEPTANCE):
            check, name = await desk.check(), desk.feature.id
            where = f"--dir {shlex.quote(str(self.parts.project.directory))}"
            self._notice(
                f"{name} waits for you: `harness check show {name} {where}`, "
                f"then `harness check accept|amend {name} {where}`."
            )
        await self._change(desk.feature.id, "parked", reason, self._entries(state, "parked"), check)
        return Command(goto="record", update={"outcome": "parked"})

    async def record(self, state: CodingState) -> Command[Node]:
        """Put the outcome into memory and forget the session's context. Replay: records have keys."""
        desk, session_id = await self._desk(state), state["session_id"]
        lessons = self._lessons(state, desk.feature)
        if state["outcome"] == "passed":
            records = lessons.passed(state["summary"], after_failures=bool(state["attempt"] or state["failed"]))
        elif state["outcome"] == "parked":
            records = lessons.parked(desk.feature.reason)
        else:
            records = lessons.refuted(desk.feature.reason)
        await self.parts.memory.remember(records)
        await self._close(session_id)
        self._is_done_alone = bool(self.only) and state["outcome"] in ("passed", "parked")
        return Command(goto="orient", update={"session_id": ""})

    async def _proposal(self, desk: Desk, state: CodingState, *, is_committed: bool) -> Proposal:
        """What the person is shown."""
        verdict, tree = desk.verdict(), await self.ledger.tree()
        sha = await self.ledger.head() if is_committed else (await tree.snapshot(OWN_FILES)).sha
        return Proposal(
            feature_id=desk.feature.id,
            description=desk.feature.description,
            summary=state.get("summary", ""),
            proof=". ".join(filter(None, (verdict.proof_words, verdict.regressed))),
            evidence=verdict.evidence,
            commit_sha=sha if is_committed else "",
            diff=await read_diff(self.parts.repo, sha, OWN_FILES),
        )

    async def _open_session(self, state: CodingState, feature: Feature) -> Command[Node]:
        """Number a new session; a super-step of its own, so that a kill later finds the number."""
        self.parts.budget.check()
        if given_up := state.get("given_up"):
            self._notice(f"{feature.id}: a fresh session starts; the work of {given_up} is kept as a patch.")
            await self._set_aside(given_up, await self.ledger.head())  # a person may have amended a check meanwhile
            await self._close(given_up)
        self.parts.budget.start_session()
        known = (await self.ledger.progress()).last_number  # where checkpoints were lost, no id is used twice
        number = max(state.get("sessions", 0), known) + 1
        head = await self.ledger.head()
        named = {"sessions": number, "session_id": f"s{number:03}-{feature.id}", "attempt": 0, "base_sha": head}
        named |= {"given_up": ""}
        return Command(goto="session", update=named | {"tries": state["tries"] + 1})

    def _only_look(self, state: CodingState) -> Command[Node]:
        """A session that changes nothing: what is claimed is judged as it stands."""
        session_id, feature_id = state["session_id"], state["feature_id"]
        self._stage("session", session_id, feature_id)
        self.parts.events.emit(SessionStarted(session_id=session_id, feature_id=feature_id, attempt=0, brief=CLAIMED))
        told: CodingState = {"summary": CLAIMED, "next": "", "turns": 0, "asked": "", "disputed": 0, "why": ""}
        return Command(goto="verify", update=told)

    async def _disputed(self, state: CodingState, desk: Desk, verdict: Verdict) -> tuple[Node, CodingState] | None:
        """Have a disputed step written by a second author, once a contract; what is disputed after that is a person's.

        Returns: where to go on; None: the contract stands, and the failure is the coder's.
        """
        step = _disputed_step(state, verdict)
        contract = await desk.contract()
        if not step or step > len(desk.feature.steps) or contract.by == "person" or verdict.park_now:
            return None
        if opinion := desk.opinion():
            if opinion.confirmed and not state.get("disputed"):
                return None
            why = f" The coder: {' '.join(state['why'].split())[:WHY_CHARACTERS]}" if state.get("disputed") else ""
            self._settled(desk.feature, step, "for a person", "harness", str(opinion))
            return "park", {"asked": f"disputed: {opinion}.{why}"}
        failed = None if state.get("disputed") else verdict.expectation
        opinion = await desk.second_opinion(step, failed)
        self._settled(desk.feature, step, "upheld" if opinion.confirmed else "rewritten", "second author", str(opinion))
        if opinion.confirmed:
            self._notice(f"{desk.feature.id}: a second author expects the same at step {step}; the contract stays.")
            return None
        self._notice(f"{desk.feature.id}: a second author reads step {step} otherwise; its contract counts from now.")
        return "verify", {"disputed": 0, "failed_items": []}

    async def _after_failure(
        self, state: CodingState, feature: Feature, verdict: Verdict, update: CodingState
    ) -> Command[Node]:
        """Back with evidence, a fresh session, or set aside."""
        limits = self.parts.settings.limits
        out_of_turns = limits.session_turns and state["turns"] >= limits.session_turns
        if verdict.park_now or state.get("asked"):
            return Command(goto="park", update=update)
        if state["attempt"] < limits.repairs and not out_of_turns:
            return Command(goto="session", update={**update, "attempt": state["attempt"] + 1})
        if state["tries"] >= limits.sessions:
            return Command(goto="park", update=update)
        failed = [*state["failed"], self._entry(state, "failed").model_dump(mode="json")]
        again = {"session_id": "", "attempt": 0, "failed": failed, "given_up": state["session_id"]}
        return Command(goto="session", update={**update, **again})

    async def _nothing_open(self, state: CodingState, features: FeatureList) -> Command[Node]:
        parked = [f for f in features.features if f.status == "parked" and not f.reason.startswith(FOR_A_PERSON)]
        if parked and not state.get("reopened"):
            for feature in parked:
                await self._change(feature.id, "reopened", f"second chance; parked before: {feature.reason}")
            return Command(goto="select", update={"reopened": True})
        if not await self._is_green(state) and not await self._replay_passed(state, limit=False):
            return Command(goto="select")
        return _end(features)

    async def _end_alone(self, state: CodingState, features: FeatureList) -> Command[Node]:
        """End after the one feature asked for; a thread that is complete by it has everything replayed too."""
        if features.totals.is_complete and not await self._is_green(state):
            await self._replay_passed(state, limit=False)
        return _end(await self.ledger.features())

    async def _is_green(self, state: CodingState) -> bool:
        """Whether nothing passed yet, or all that passed held on this code."""
        if not any(f.passes for f in (await self.ledger.features()).features):
            return True
        return await self.ledger.same_tree(await self.ledger.head(), state.get("green_sha", ""))

    async def _replay_passed(self, state: CodingState, *, limit: bool) -> CodingState:
        """Replay what passed; reopen what does not hold. Returns what is known to be green."""
        ledger = self.ledger
        earlier = Earlier(await ledger.features(), await ledger.checks(), await ledger.elements())
        self._stage("regress", f"{len(earlier.checks)} checks")
        tree, head = await ledger.tree(), await ledger.head()
        since = state.get("green_sha", "")
        broken, complete = await regress_tree(self.parts, tree, earlier, since, limit=limit)
        for feature_id, reason in broken.items():
            await self._change(feature_id, "reopened", reason)
        return {"green_sha": head} if complete and not broken else {}

    async def _set_aside(self, name: str, base_sha: str) -> None:
        """Keep what differs from a commit as a patch, and take it out of the tree.

        Replay: a tree that was cleaned already leaves no patch, and the one that is there stays.
        """
        tree, directory = await self.ledger.tree(), self.parts.project.patches_dir
        try:
            patch = await tree.diff(base_sha)
        except RepoError as exc:
            patch = b""
            self._notice(f"The work of {name} could not be kept as a patch: {exc}")
        if patch:
            directory.mkdir(parents=True, exist_ok=True)
            write_atomic(directory / f"{self.parts.thread_id}-{name}.patch", patch)
        await tree.reset(base_sha)

    async def _close(self, session_id: str) -> None:
        """Forget a session's context and what ran in its room."""
        await forget(self.parts, session_id)
        clear_scratch(self.parts, session_id)

    async def _change(
        self,
        feature_id: str,
        change: Literal["parked", "reopened", "refuted"],
        reason: str,
        entries: Sequence[SessionEntry] = (),
        check: Check | None = None,
        by: Literal["harness", "person"] = "harness",
    ) -> None:
        """A state commit: the list changes, the code does not. A check is kept for a person to decide on."""
        features = await self.ledger.features()
        changed = _CHANGES[change](features, feature_id, reason)
        await self.ledger.commit_state(feature_id, change, reason, changed, entries, check=check)
        Desk(self.parts, self.ledger, changed.get(feature_id)).drop_contract()
        self.parts.events.emit(StateChanged(feature_id=feature_id, change=change, reason=reason, by=by))

    def _entries(self, state: CodingState, outcome: Outcome) -> list[SessionEntry]:
        """What the sessions on the feature did, the last one last."""
        return [*map(SessionEntry.model_validate, state["failed"]), self._entry(state, outcome)]

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
            repeated_share=used.repeated_share and round(used.repeated_share, 5),
            seconds={stage: round(seconds, 1) for stage, seconds in state.get("seconds", {}).items()},
            ended_at=datetime.now(UTC),
        )

    async def _desk(self, state: CodingState) -> Desk:
        feature = (await self.ledger.features()).get(state["feature_id"])
        return Desk(self.parts, self.ledger, feature)

    def _lessons(self, state: CodingState, feature: Feature) -> Lessons:
        return Lessons(self.ledger.name, self.parts.thread_id, state["session_id"], feature)

    def _stage(self, stage: str, detail: str = "", feature_id: str = "") -> None:
        self.parts.events.emit(StageStarted(stage=stage, detail=detail, feature_id=feature_id))

    def _settled(self, feature: Feature, step: int, decision: str, by: str, reason: str) -> None:
        what = f"{feature.id} step {step}"
        self.parts.events.emit(Decided(topic="dispute", what=what, decision=decision, by=by, reason=reason))

    def _notice(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        self.parts.events.emit(Noticed(text=text, level=level))


_CHANGES = {"parked": park, "reopened": reopen, "refuted": refute}


def _end(features: FeatureList) -> NoReturn:
    """Raises: Finished, FeaturesOpen: the end of the thread, or of what was asked for."""
    totals = features.totals
    raise (Finished if totals.is_complete else FeaturesOpen)(f"{totals}.")


def _only(features: FeatureList, feature_id: str) -> Feature | None:
    feature = features.get(feature_id)
    return None if feature.passes else feature


def _told(outcome: SessionOutcome, feature: Feature) -> CodingState:
    asked = ""
    if undeclared := [name for name in outcome.changes if name not in feature.changes]:
        asked = f"{NEEDS_DECISION} it cannot be built without changing {', '.join(undeclared)}"
    dispute = outcome.dispute
    told: CodingState = {"disputed": dispute.step if dispute else 0, "why": dispute.why if dispute else ""}
    return {"summary": outcome.summary, "next": outcome.next, "turns": outcome.turns, "asked": asked, **told}


def _named(verdict: Verdict) -> list[str]:
    """The expectation that failed, by contract and place."""
    contract = verdict.check.contract.digest() if verdict.check else ""
    return [f"{contract}:{verdict.failed}"] if verdict.expectation else []


def _disputed_step(state: CodingState, verdict: Verdict) -> int:
    """What the coder disputes, if its check fails; else the step of an expectation that failed before; 0: none."""
    if verdict.failed is None:
        return 0
    failed_before = bool(set(_named(verdict)) & set(state.get("failed_items", [])))
    step = verdict.expectation.step if verdict.expectation and failed_before else 0
    return max(state.get("disputed", 0), 0) or step


def _why_parked(asked: str, verdict: Verdict) -> str:
    """What a person has to decide, as the coder asked it and as the verdict found it; else the last failure."""
    found = verdict.park_reason.removeprefix(NEEDS_DECISION).strip() if asked else verdict.park_reason
    return "; ".join(filter(None, (asked, found))) or verdict.gist


def _add(state: CodingState, stage: str, started: float) -> dict[str, float]:
    seconds = dict(state.get("seconds", {}))
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - started
    return seconds
