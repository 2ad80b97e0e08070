"""Graph 1: from a specification to a list, a skeleton that starts, and a baseline commit.

    survey -> plan (a batch a super-step) -> scaffold -> prove -> baseline
                                                 ^         |
                                                 `- output-'

Nothing reaches the user's branch before `baseline`; until then everything lies on the desk and in the worktree.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Command

from harness.coder import coder_session
from harness.commits import make_trailers
from harness.errors import Interrupted, SetupError
from harness.events import Committed, Noticed, Progressed, SessionStarted, StageStarted
from harness.features import FeatureList
from harness.ledger import SPEC, Ledger
from harness.memory.ingest import HistoryEntry, history_records, plan_records, spec_records
from harness.planning import Plan, is_vague, next_batch, write_specification
from harness.progress import SessionEntry
from harness.project import write_atomic
from harness.prompts import fence, load_prompt
from harness.session import forget
from harness.specification import Specification
from harness.verify.verdict import prove_start

if TYPE_CHECKING:
    from pathlib import Path

    from harness.parts import Parts

Node = Literal["survey", "plan", "scaffold", "prove", "baseline", "__end__"]
MAX_BATCHES = 60
STARTS = 3
"""Times the model is shown why the application does not start."""
HISTORY = 200
SESSION = "s000-init"
DESK = "init"


class InitState(TypedDict, total=False):
    """What must be remembered between nodes."""

    wanted: int
    """Features asked for; 0: as many as the specification needs."""
    batches: int
    idle: int
    """Batches in a row that covered nothing new."""
    attempt: int
    reason: str
    """Why the application did not start."""
    summary: str
    """What was prepared, for the first session."""
    turns: int


class Initializer:
    """The nodes, over one run's parts.

    Args:
        spec: the text the person gave.
        accept: shows the list and returns whether to go on; None: nobody is asked.
    """

    def __init__(self, parts: Parts, spec: str, accept: Callable[[FeatureList], bool] | None = None) -> None:
        self.parts, self.spec, self.accept = parts, spec, accept
        self.ledger = Ledger(parts)

    def build(self) -> Any:
        """Compile the graph over the run's checkpointer."""
        graph = StateGraph(InitState)
        for node in (self.survey, self.plan, self.scaffold, self.prove, self.baseline):
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "survey")
        return graph.compile(checkpointer=self.parts.checkpointer)

    async def survey(self, state: InitState) -> Command[Node]:
        """Read the wish; a vague one becomes a specification. Replay: what is on the desk is kept."""
        self._stage("survey")
        if not self._spec_file.exists():
            text = self.spec
            if is_vague(text):
                self._notice("The wish is short; a specification is written first.")
                text = await write_specification(self.parts.model, text, f"{self.parts.thread_id}/specification")
            write_atomic(self._spec_file, text if text.endswith("\n") else text + "\n")
        return Command(goto="plan")

    async def plan(self, state: InitState) -> Command[Node]:
        """Ask for one batch. Replay: a batch that was kept is not asked for again, because the state counts them."""
        self.parts.budget.check()
        spec, plan, batches = self._specification(), self._plan(), state.get("batches", 0)
        if self._is_planned(state, spec, plan):
            await self._accepted(plan)
            has_script = "init.sh" in await self.ledger.files()
            return Command(goto="prove" if has_script else "scaffold")
        self._stage("plan", f"batch {batches + 1}")
        before = (len(plan.features.features), len(plan.uncovered(spec)))
        files, conversation = await self.ledger.files(), f"{self.parts.thread_id}/plan/{batches}"
        grown = await next_batch(self.parts.model, spec, plan, state.get("wanted", 0), files, conversation)
        write_atomic(self._plan_file, grown.model_dump_json(indent=1))
        uncovered = len(grown.uncovered(spec))
        count = len(grown.features.features)
        detail = f"{count} features, {uncovered} lines not covered"
        self.parts.events.emit(Progressed(stage="plan", done=count, total=state.get("wanted", 0), detail=detail))
        idle = state.get("idle", 0) + 1 if (count, uncovered) == before else 0
        return Command(goto="plan", update={"batches": batches + 1, "idle": idle})

    async def scaffold(self, state: InitState) -> Command[Node]:
        """Make init.sh and a skeleton, with the coding tools. Replay: goes on at the turn it was in."""
        attempt = state.get("attempt", 0)
        self._stage("scaffold", state.get("reason", "").split("\n")[0])
        tree = await self.ledger.tree()
        message = self._not_started(state) if attempt else self._scaffold_brief()
        async with coder_session(self.parts, tree, SESSION, DESK, "initializer", await tree.head()) as session:
            self.parts.events.emit(SessionStarted(session_id=SESSION, feature_id=DESK, attempt=attempt, brief=message))
            outcome = await session.run(load_prompt("scaffold"), message, attempt)
        return Command(goto="prove", update={"summary": outcome.summary, "turns": outcome.turns})

    async def prove(self, state: InitState) -> Command[Node]:
        """Run init.sh twice and see the application answer. Replay: runs it again.

        Raises: SetupError: it did not start after several tries.
        """
        self._stage("prove")
        reason = await prove_start(self.parts, await self.ledger.tree())
        if not reason:
            return Command(goto="baseline")
        attempt = state.get("attempt", 0) + 1
        if attempt > STARTS:
            raise SetupError(
                f"init.sh does not start the application after {STARTS} tries:\n{reason}",
                f"Look at {self.parts.worktree_path}, or write init.sh yourself and run `harness init` again.",
            )
        return Command(goto="scaffold", update={"attempt": attempt, "reason": reason})

    async def baseline(self, state: InitState) -> Command[Node]:
        """One commit, and memory of spec, plan and history. Replay: found by its trailers; records have keys."""
        self._stage("baseline")
        plan = self._plan()
        await self.ledger.put(SPEC, self._spec_file.read_text(encoding="utf-8"))
        trailers = make_trailers(self.parts.thread_id, event="baseline")
        count = len(plan.features.features)
        subject, body = f"Baseline: {count} features planned", _left_out(plan)
        sha = await self.ledger.commit(subject, body, trailers, plan.features, self._entries(state))
        self.parts.events.emit(Committed(feature_id="", commit_sha=sha, subject=subject))
        await self._remember(plan)
        await forget(self.parts, SESSION)
        return Command(goto="__end__")

    def _entries(self, state: InitState) -> list[SessionEntry]:
        """What the scaffold session tells the next; none where init.sh was there already."""
        if "summary" not in state:
            return []
        used = self.parts.budget.meter.take()
        return [
            SessionEntry(
                session=SESSION,
                feature=DESK,
                outcome="passed",
                summary=state["summary"],
                turns=state["turns"],
                tokens=used.tokens,
                cost_usd=round(used.cost_usd, 6),
                repeated_share=used.repeated_share and round(used.repeated_share, 5),
                ended_at=datetime.now(UTC),
            )
        ]

    async def _remember(self, plan: Plan) -> None:
        name, thread = self.ledger.name, self.parts.thread_id
        tree = await self.ledger.tree()
        history = [HistoryEntry(c.sha, c.subject, c.files, c.date) for c in await tree.log(HISTORY)]
        features = [(f.id, f.description) for f in plan.features.features]
        await self.parts.memory.remember(
            [
                *spec_records(name, self._spec_file.read_text(encoding="utf-8"), thread),
                *plan_records(name, features, thread),
                *history_records(name, history),
            ]
        )

    async def _accepted(self, plan: Plan) -> None:
        """Show the list where somebody looks.

        Raises: Interrupted: they do not want it.
        """
        if self.accept and not self.accept(plan.features):
            self._plan_file.unlink(missing_ok=True)
            raise Interrupted("You did not accept the list; nothing was committed. Change the specification and go on.")

    def _is_planned(self, state: InitState, spec: Specification, plan: Plan) -> bool:
        count, wanted = len(plan.features.features), state.get("wanted", 0)
        if state.get("batches", 0) >= MAX_BATCHES or state.get("idle", 0) >= 2:
            self._notice(f"Lines of the specification that no feature covers: {plan.uncovered(spec) or 'none'}.")
            return bool(count)
        return bool(count) and (count >= wanted if wanted else not plan.uncovered(spec))

    def _scaffold_brief(self) -> str:
        spec = self._spec_file.read_text(encoding="utf-8")
        return f"Prepare the project for this specification.\n\n{fence(spec, 'the specification')}"

    @staticmethod
    def _not_started(state: InitState) -> str:
        said = fence(state["reason"], "the harness running init.sh")
        return f"The harness ran init.sh, and the application does not start.\n\n{said}\n\nMend it and call finish."

    def _specification(self) -> Specification:
        return Specification(self._spec_file.read_text(encoding="utf-8"))

    def _plan(self) -> Plan:
        path = self._plan_file
        return Plan.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else Plan()

    @property
    def _spec_file(self) -> Path:
        return self.parts.desk_dir(DESK) / SPEC

    @property
    def _plan_file(self) -> Path:
        return self.parts.desk_dir(DESK) / "plan.json"

    def _stage(self, stage: str, detail: str = "") -> None:
        self.parts.events.emit(StageStarted(stage=stage, detail=detail))

    def _notice(self, text: str) -> None:
        self.parts.events.emit(Noticed(text=text))


def _left_out(plan: Plan) -> str:
    return "\n".join(f"Line {line} of {SPEC} has no feature: {why}" for line, why in sorted(plan.left_out.items()))
