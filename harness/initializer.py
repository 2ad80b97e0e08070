"""Graph 1: from a specification to a list, a skeleton that starts, and a baseline commit.

    survey -> plan (a batch a super-step) -> scaffold -> prove -> baseline
                                                 ^         |
                                                 `- output-'

A list that somebody else began is adopted: the plan is given instead of asked for, and `scaffold` only adapts how the
application that is there starts. Code that is there already is surveyed: its start and its tests are proposed
(`existing.py`), its history is remembered, and the plan is of what the specification asks for beyond it.

Nothing reaches the user's branch before `baseline`; until then everything lies on the desk and in the worktree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Command

from harness.adopt import HELP_PROTOCOL, PROTOCOL, why_not_ours
from harness.coder import coder_session
from harness.commits import make_trailers
from harness.errors import Interrupted, SetupError
from harness.events import Committed, Noticed, Progressed, SessionStarted, StageStarted
from harness.existing import Existing
from harness.features import FeatureList
from harness.history import COMMITS, LATEST, remember_history, understand_history
from harness.kinds import proposed_kind, with_kind
from harness.ledger import SETTINGS, SPEC, Ledger
from harness.memory.ingest import plan_records, progress_records, spec_records
from harness.planning import Known, Plan, is_vague, next_batch, revise_specification, write_specification
from harness.progress import SessionEntry
from harness.project import write_atomic
from harness.prompts import fence, load_prompt
from harness.protocol import asked_by
from harness.session import forget
from harness.settings import Kind
from harness.specification import Specification
from harness.survey import Survey, is_code, survey
from harness.threads import given_file
from harness.tools.memory import quote_documents
from harness.verify.hall import OWN_FILES
from harness.verify.verdict import prove_start

if TYPE_CHECKING:
    from pathlib import Path

    from harness.adopt import Adopted
    from harness.parts import Parts

Node = Literal["survey", "plan", "scaffold", "prove", "baseline", "__end__"]
_PROPOSED: dict[Kind, str] = {
    "service": "It is built as a service without pages: by requests, and nothing is looked at in a browser.",
    "program": "It is built as a program or library: by running it, without a server or a browser.",
}
MAX_BATCHES = 60
STARTS = 3
"""Times the model is shown why the application does not start."""
SESSION = "s000-init"
DESK = "init"
PLANNING_RECORDS, PLANNING_TOKENS = 12, 2500
"""Of documents of the user, for one batch."""


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
    kind: Kind
    """Of the project, as `survey` found or proposed it."""


class Initializer:
    """The nodes, over one run's parts.

    Args:
        spec: the text the person gave.
        accept: shows the list and returns whether to go on; None: nobody is asked.
        review: shows a specification that a model wrote, lets the person edit the file, and returns what they want
            changed in words, or nothing when they accept it; None: nobody is asked.
        adopted: a list taken over; None: it is planned, or what was adopted before lies on the desk.
    """

    def __init__(
        self,
        parts: Parts,
        spec: str,
        accept: Callable[[FeatureList], bool] | None = None,
        review: Callable[[Path], str] | None = None,
        adopted: Adopted | None = None,
    ) -> None:
        self.parts, self.spec, self.accept, self.review, self.adopted = parts, spec, accept, review, adopted
        self.ledger = Ledger(parts)
        app = parts.settings.app
        self.said_kind = app.kind if "kind" in app.model_fields_set else None

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
        if self.adopted:
            await self._refuse_to_overwrite(self.adopted.spec)
            await self._tell(self.adopted.notices)
            self._keep(self.adopted)
            return Command(goto="plan")
        await self._look_around()
        kind = self._build_as(self._kind_of(self.spec))
        if not self._spec_file.exists():
            write_atomic(given_file(self.parts.project, self.parts.thread_id), self.spec)
            text = await self._agreed(self.spec) if is_vague(self.spec) else self.spec
            write_atomic(self._spec_file, text if text.endswith("\n") else text + "\n")
        return Command(goto="plan", update={"kind": kind})

    async def _agreed(self, wish: str) -> str:
        """A specification written from a vague wish, as the person accepts it.

        What is written, edited or written anew lies on the desk before it is shown, and is shown again after a stop or
        a kill; a model is asked once for each wording.

        Raises: Interrupted: they want to think about it.
        """
        draft, conversation = self.parts.desk_dir(DESK) / "drafted.md", f"{self.parts.thread_id}/specification"
        known = await self._known(wish)
        if not draft.exists():
            self._notice("The wish is short; a specification is written first.")
            write_atomic(draft, await write_specification(self.parts.model, wish, conversation, known))
        while self.review and (words := self.review(draft)):
            written = draft.read_text(encoding="utf-8")
            again = f"{conversation}/{hashlib.sha256((written + words).encode()).hexdigest()[:12]}"
            write_atomic(draft, await revise_specification(self.parts.model, wish, written, words, again, known))
        return draft.read_text(encoding="utf-8")

    async def _known(self, about: str) -> Known:
        there = self._existing()
        said = await quote_documents(self.parts.memory, about, PLANNING_RECORDS, PLANNING_TOKENS, is_patient=True)
        return Known(there.survey.words() if there else "", said, self.parts.settings.app.kind)

    async def plan(self, state: InitState) -> Command[Node]:
        """Ask for one batch. Replay: a batch that was kept is not asked for again, because the state counts them."""
        self._build_as(state.get("kind", "web"))
        self.parts.budget.check()
        if self.adopted:
            self._keep(self.adopted)
        spec, plan, batches = self._specification(), self._plan(), state.get("batches", 0)
        there = self._existing()
        if self._is_planned(state, spec, plan):
            for text in there.told() if there else ():
                self._notice(text)
            await self._accepted(plan)
            tree = await self.ledger.tree()
            is_there = plan.given or await (there.write_start(tree) if there else self._has_start())
            return Command(goto="prove" if is_there else "scaffold")
        self._stage("plan", f"batch {batches + 1}")
        before = (len(plan.features.features), len(plan.uncovered(spec)))
        files, conversation = await self.ledger.files(), f"{self.parts.thread_id}/plan/{batches}"
        known = await self._known(spec.numbered(plan.uncovered(spec)))
        grown = await next_batch(self.parts.model, spec, plan, state.get("wanted", 0), files, conversation, known)
        write_atomic(self._plan_file, grown.model_dump_json(indent=1))
        uncovered = len(grown.uncovered(spec))
        count = len(grown.features.features)
        detail = f"{count} features, {uncovered} lines not covered"
        self.parts.events.emit(Progressed(stage="plan", done=count, total=state.get("wanted", 0), detail=detail))
        idle = state.get("idle", 0) + 1 if (count, uncovered) == before else 0
        return Command(goto="plan", update={"batches": batches + 1, "idle": idle})

    async def scaffold(self, state: InitState) -> Command[Node]:
        """Make init.sh and a skeleton, with the coding tools. Replay: goes on at the turn it was in."""
        attempt, kind = state.get("attempt", 0), self._build_as(state.get("kind", "web"))
        self._stage("scaffold", state.get("reason", "").split("\n")[0])
        tree, there = await self.ledger.tree(), self._existing()
        message = self._not_started(state) if attempt else self._scaffold_brief()
        if there:
            message = there.message(state.get("reason", ""), attempt)
        async with coder_session(self.parts, tree, SESSION, DESK, "initializer", await tree.head()) as session:
            self.parts.events.emit(SessionStarted(session_id=SESSION, feature_id=DESK, attempt=attempt, brief=message))
            prompt = load_prompt("adapt" if self._plan().given or there else "scaffold", kind)
            outcome = await session.run(prompt + asked_by(self.parts.settings), message, attempt)
        if there:
            await there.leave_theirs(tree)
        return Command(goto="prove", update={"summary": outcome.summary, "turns": outcome.turns})

    async def prove(self, state: InitState) -> Command[Node]:
        """Run init.sh twice and see the application answer. Replay: runs it again.

        Raises: SetupError: it did not start after several tries, or what is adopted does not start and there is no
            model that could adapt it.
        """
        self._stage("prove")
        kind = self._build_as(state.get("kind", "web"))
        protocol = HELP_PROTOCOL if kind == "program" else PROTOCOL
        given, there, attempt = self._plan().given, self._existing(), state.get("attempt", 0)
        reason = await self._why_not_adopted(state) if given or (there and there.keeps_init) else ""
        parts = there.parts(attempt) if there else self.parts
        reason = reason or await prove_start(parts, await self.ledger.tree())
        if not reason:
            return Command(goto="baseline")
        if there:
            there.refuse(reason, attempt, protocol)
        if given and (missing := self.parts.model.missing):
            raise SetupError(
                f"init.sh does not start the application as Harness does: {reason}",
                f"It has to do this: {protocol}\nCommit that and run the same command again. Or name a model, and a "
                f"session adapts it ({missing.what})",
            )
        attempt += 1
        if attempt > STARTS:
            raise SetupError(
                f"init.sh does not start the application after {STARTS} tries:\n{reason}",
                f"Look at {self.parts.worktree_path}, or write init.sh yourself and run `harness init` again.",
            )
        return Command(goto="scaffold", update={"attempt": attempt, "reason": reason})

    async def baseline(self, state: InitState) -> Command[Node]:
        """One commit, and memory of spec, plan and history. Replay: found by its trailers; records have keys."""
        self._stage("baseline")
        kind = self._build_as(state.get("kind", "web"))
        plan, there, attempt = self._plan(), self._existing(), state.get("attempt", 0)
        if there:
            await there.try_tests(await self.ledger.tree(), attempt)
        if not await self._is_kept():
            await self.ledger.put(SPEC, self._spec_text())
        await self._write_settings(there.settings_text(attempt) if there else "", kind)
        trailers = make_trailers(self.parts.thread_id, event="baseline")
        count = len(plan.features.features)
        from_list = f"adopted from {plan.given}, {plan.features.totals.claimed} of them claimed to pass"
        subject, body = f"Baseline: {count} features {from_list if plan.given else 'planned'}", _left_out(plan)
        sha = await self.ledger.commit(subject, body, trailers, plan.features, self._entries(state))
        self.parts.events.emit(Committed(feature_id="", commit_sha=sha, subject=subject))
        await self._remember(plan)
        if there:
            await understand_history(self.parts, await self.ledger.tree())
        await forget(self.parts, SESSION)
        return Command(goto="__end__")

    def _kind_of(self, text: str) -> Kind:
        """What somebody set, else what the text seems to ask for; what has pages is no service without them."""
        if self.said_kind:
            return self.said_kind
        kind, there = proposed_kind(text), self._existing()
        if kind == "service" and there and there.survey.has_pages:
            self._notice(
                "It has pages, so it is looked at in a browser; `harness init --kind service` asks it instead."
            )
            return "web"
        if kind != "web":
            self._notice(
                f"{_PROPOSED[kind]} If that is wrong, stop and run `harness init --kind web` (or another kind)."
            )
        return kind

    def _build_as(self, kind: Kind) -> Kind:
        """Take a kind for settled in what is done from now on; what a person says now counts more."""
        settings, kind = self.parts.settings, self.said_kind or kind
        app = settings.app.model_copy(update={"kind": kind})
        self.parts = replace(self.parts, settings=settings.model_copy(update={"app": app}))
        return kind

    async def _write_settings(self, proposed: str, kind: Kind) -> None:
        """Say how it starts and its kind where the person finds it, and every later run."""
        theirs = await (await self.ledger.tree()).read(SETTINGS) or ""
        said = with_kind(proposed or theirs, kind)
        if theirs and said != theirs and self._existing():
            self._notice(
                f'{SETTINGS} is yours, so it is not written: add `kind = "{kind}"` below [app], and commit that.'
            )
        elif said != theirs:
            await self.ledger.put(SETTINGS, said)

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
        name, thread, memory = self.ledger.name, self.parts.thread_id, self.parts.memory
        features = [(f.id, f.description) for f in plan.features.features]
        await memory.remember(spec_records(name, self._spec_text(), thread) + plan_records(name, features, thread))
        await remember_history(self.parts, await self.ledger.tree(), name, LATEST if self._existing() else COMMITS)
        await memory.remember(progress_records(name, plan.notes, plan.notes_from, thread))

    async def _accepted(self, plan: Plan) -> None:
        """Show the list where somebody looks.

        Raises: Interrupted: they do not want it.
        """
        if self.accept and not self.accept(plan.features):
            if plan.given:
                raise Interrupted("You did not accept the list; nothing was committed. Mend it and adopt it again.")
            self._plan_file.unlink(missing_ok=True)
            raise Interrupted("You did not accept the list; nothing was committed. Change the specification and go on.")

    async def _look_around(self) -> None:
        """Read what is there already, and remember how it came to be. Replay: read again, what is remembered has keys.

        Raises: SetupError: there is code that is not committed, or a file of theirs has the name of one of ours.
        """
        repo, tree = self.parts.repo, await self.ledger.tree()
        if await repo.has_commits():
            await self.ledger.take_in_user_commits()
        found = await survey(tree, self.spec, await repo.dirty())
        if found is None:
            if code := sorted(filter(is_code, await repo.own_files())):
                raise SetupError(
                    f"There is code here that is in no commit ({', '.join(code[:3])}), and only commits are seen.",
                    "Commit it first: `git add --all && git commit -m begin`. Or begin in an empty directory.",
                )
            return
        if not self._spec_file.exists():
            await self._refuse_to_overwrite(self.spec)
            await self._tell((found.gist,))
        write_atomic(self._survey_file, found.model_dump_json(indent=1))
        await remember_history(self.parts, tree, self.ledger.name)

    def _existing(self) -> Existing | None:
        """What is proposed for the code that was there; None: there was none."""
        path = self._survey_file
        if self.adopted or not path.exists():
            return None
        return Existing(self.parts, Survey.model_validate_json(path.read_text(encoding="utf-8")))

    async def _has_start(self) -> bool:
        return "init.sh" in await self.ledger.files()

    async def _refuse_to_overwrite(self, spec: str) -> None:
        """Raises: SetupError: nothing is committed yet, or a file of theirs has the name of one of ours."""
        if not await self.parts.repo.has_commits():
            raise SetupError(
                "Nothing is committed here, and what is adopted is what is committed.",
                "Commit it first: `git add --all && git commit -m begin`.",
            )
        await self.ledger.take_in_user_commits()
        there = {name.partition("/")[0] for name in [*await self.ledger.files(), *await self.parts.repo.dirty()]}
        same = await (await self.ledger.tree()).read(SPEC) or ""
        taken = sorted(there & set(OWN_FILES))
        if Specification(same).lines == Specification(spec).lines:
            taken = [name for name in taken if name != SPEC]
        if taken:
            raise SetupError(
                f"Harness would write {', '.join(taken)}, and the project has that already.",
                "Give yours another name and commit that (a specification can be named with --spec); then run again.",
            )

    async def _tell(self, notices: Sequence[str]) -> None:
        for text in notices:
            self._notice(text)
        if dirty := await self.parts.repo.dirty():
            more = f" and {len(dirty) - 5} more" if len(dirty) > 5 else ""
            text = f"Not committed, so the application is looked at without it: {', '.join(dirty[:5])}{more}."
            self.parts.events.emit(Noticed(text=text, level="warning"))

    def _keep(self, adopted: Adopted) -> None:
        """Lay it on the desk; the specification last, because a thread that has one can be gone on with."""
        write_atomic(self._plan_file, adopted.plan.model_dump_json(indent=1))
        write_atomic(self._spec_file, adopted.spec)

    async def _why_not_adopted(self, state: InitState) -> str:
        """Take in what the person committed since, and see from its text whether init.sh is worth running.

        Once a session has worked in the tree, the tree counts.
        """
        if state.get("attempt"):
            return ""
        await self.ledger.take_in_user_commits()
        app = self.parts.settings.app
        if "init.sh" not in app.prepare + app.serve:
            return ""
        return why_not_ours(await (await self.ledger.tree()).read("init.sh"))

    async def _is_kept(self) -> bool:
        """Whether the project has this very specification under our name already."""
        theirs = await (await self.ledger.tree()).read(SPEC)
        return theirs is not None and Specification(theirs).lines == self._specification().lines

    def _is_planned(self, state: InitState, spec: Specification, plan: Plan) -> bool:
        if plan.given:
            return True
        count, wanted = len(plan.features.features), state.get("wanted", 0)
        if state.get("batches", 0) >= MAX_BATCHES or state.get("idle", 0) >= 2:
            self._notice(f"Lines of the specification that no feature covers: {plan.uncovered(spec) or 'none'}.")
            return bool(count)
        return bool(count) and (count >= wanted if wanted else not plan.uncovered(spec))

    def _scaffold_brief(self) -> str:
        spec = self._spec_text()
        return f"Prepare the project for this specification.\n\n{fence(spec, 'the specification')}"

    @staticmethod
    def _not_started(state: InitState) -> str:
        said = fence(state["reason"], "the harness running init.sh")
        return f"The harness ran init.sh, and the application does not start.\n\n{said}\n\nMend it and call finish."

    def _specification(self) -> Specification:
        return Specification(self._spec_text())

    def _spec_text(self) -> str:
        return self.adopted.spec if self.adopted else self._spec_file.read_text(encoding="utf-8")

    def _plan(self) -> Plan:
        """What is on the desk; of a list that the person asks to adopt again, as it is now."""
        if self.adopted:
            return self.adopted.plan
        path = self._plan_file
        return Plan.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else Plan()

    @property
    def _spec_file(self) -> Path:
        return self.parts.desk_dir(DESK) / SPEC

    @property
    def _survey_file(self) -> Path:
        return self.parts.desk_dir(DESK) / "survey.json"

    @property
    def _plan_file(self) -> Path:
        return self.parts.desk_dir(DESK) / "plan.json"

    def _stage(self, stage: str, detail: str = "") -> None:
        self.parts.events.emit(StageStarted(stage=stage, detail=detail))

    def _notice(self, text: str) -> None:
        self.parts.events.emit(Noticed(text=text))


def _left_out(plan: Plan) -> str:
    return "\n".join(f"Line {line} of {SPEC} has no feature: {why}" for line, why in sorted(plan.left_out.items()))
