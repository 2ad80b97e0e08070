"""One session: a fresh context, a tool loop, an outcome.

    think (one model call) -> act (its tool calls, one after another) -> think ... until `finish` or a limit

The loop is a small LangGraph graph on a checkpoint thread of its own, so that a killed session goes on at the turn it
was in. The messages only ever grow: evidence of a failed verdict is one more message in the same context. What a turn
did to the world is kept by the `Journal`, so that a turn that runs twice acts once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.channels import DeltaChannel
from langgraph.graph import END, START, StateGraph
from pydantic import Field, ValidationError

from harness.brief import MEND
from harness.circles import going_in_circles
from harness.context import Context, Cut, handover_by_code, sent, shorter_cuts
from harness.errors import Refused, ToolFailed, ToolRetry
from harness.events import Decided, Noticed, Steered, ToolReturned
from harness.journal import Journal, Result
from harness.model.faults import ContextOverflow
from harness.model.strict import unique_ids
from harness.pictures import Pictures, message_of
from harness.settings import Kind
from harness.steering import Word, as_message
from harness.tools.tool import Arguments, Shown, Tool

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.types import StateSnapshot

    from harness.model import Reply
    from harness.parts import Parts

Ended = Literal["", "finished", "turn limit", "time limit", "no tool calls", "context full", "stuck", "agent failed"]

SUMMARY_CHARACTERS = 2000
"""Of what a session leaves to the next ones."""
SILENT_TURNS = 3
"""Turns without a tool call before a session is taken to have ended."""
IDLE_TURNS = 20
"""Turns without a change after which the tree is looked at; when it is as it was the last time, the coder is told."""
NUDGED_TURNS = 20
"""Turns after being told within which the same again ends the attempt."""
_RECURSION = 100_000


class Dispute(Arguments):
    """A step of the contract the coder holds to be wrong."""

    step: int = Field(ge=1, description="number of the step of the feature, not of the line of the check")
    why: str = Field(min_length=1, description="what the feature's text says instead")


class FinishArguments(Arguments):
    """What the coder says at the end; the verdict does not depend on it."""

    summary: str = Field(description="what you did and learned, for the next session")
    next: str = Field(default="", description="what should come next, or what is left")
    dispute: Dispute | None = Field(default=None, description="only if a step of the contract contradicts the text")
    changes: list[str] = Field(default_factory=list, description="ids of features whose behaviour this must change")


def _append(messages: list[AnyMessage], writes: Sequence[list[AnyMessage]]) -> list[AnyMessage]:
    return [*messages, *(message for write in writes for message in write)]


class _State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], DeltaChannel(_append)]
    attempt: int
    turns: int
    silent: int
    context_tokens: int
    condensed: int
    since: int
    handover: str
    pictures: int
    """These four are what is sent shorter than it was said; see `context.Cut`."""
    evidence: int
    """Index of the message the attempt began with."""
    spent: float
    """Seconds of work on this attempt; neither a clock that jumps nor the night after a kill is part of it."""
    changed_at: int
    """Turn at which the tree was last seen to change."""
    tree: str
    """Names the tree's content then; empty: it was not asked yet."""
    nudged_at: int
    """Turn at which the coder was told that it leads nowhere."""
    nudge: str
    """What it was told of; empty: of nothing."""
    ended: Ended
    why: str
    """What led nowhere, when that ended it."""
    finish: dict[str, Any]
    steered: list[str]
    """Ids of the person's words that the conversation holds."""


_NEW: _State = {
    "turns": 0, "context_tokens": 0, "condensed": 0, "since": 0, "handover": "", "pictures": 0, "tree": "",
    "evidence": 1, "nudged_at": 0, "nudge": "", "changed_at": 0, "why": "",
    "spent": 0.0,
}  # fmt: skip
"""A session that has done nothing; also what a checkpoint of an older version lacks."""


@dataclass(frozen=True)
class SessionOutcome:
    """How one attempt of a session ended."""

    ended: Ended
    summary: str
    next: str
    turns: int
    dispute: Dispute | None = None
    changes: tuple[str, ...] = ()


class Session:
    """The loop of one session.

    Args:
        parts: model, events, budget, checkpointer.
        session_id: names the checkpoint thread together with the thread's id.
        role: coder or initializer.
        tools: what can be called; `finish` is added.
        journal: what the session already did.
        tree_state: names the tree's content now, to tell whether anything changed in many turns.
        pictures: where those that tools return are kept; None: no tool returns any.
    """

    mend = MEND
    can_prepare = True
    """Whether `prepare` has its network when the session gives it to a tool."""

    def __init__(
        self,
        parts: Parts,
        session_id: str,
        role: str,
        tools: Sequence[Tool],
        journal: Journal,
        tree_state: Callable[[], Awaitable[str]] | None = None,
        pictures: Pictures | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._clock, self._looked_at = clock, clock()
        self._tree_state = tree_state
        self._pictures = pictures
        self._role = role
        self._journal = journal
        self._tools = {tool.name: tool for tool in (*tools, _finish_tool(parts.settings.app.kind))}
        self._schemas = [tool.schema() for tool in self._tools.values()]
        self.conversation = conversation_of(parts, session_id)
        self._context = Context(parts.model, parts.events, role, self.conversation, parts.settings.model.context_tokens)
        self._restored: asyncio.Task[None]
        """Ends when what a kill took away is there again."""
        self._restart_told = ""
        self._graph = self._build()
        self._config: RunnableConfig = {
            "configurable": {"thread_id": self.conversation, "checkpoint_ns": ""},
            "recursion_limit": _RECURSION,
        }

    @property
    def prompt(self) -> str:
        """The name of the role's prompt."""
        return self._role

    async def run(self, system: str, message: str, attempt: int) -> SessionOutcome:
        """Work until the attempt ends.

        Args:
            system: the role's prompt; used when the session is new.
            message: the brief of a new session, or the evidence that the last attempt failed.
            attempt: 0 for the brief, then 1, 2...

        Raises: StopRun: a limit of the run; the session goes on when it is run again.
        Replay: an attempt that began is continued at the turn it was in, one that ended is only reported.
        """
        self._looked_at = self._clock()
        state = await self._graph.aget_state(self._config)
        begun = state.created_at is not None and state.values.get("attempt") == attempt
        if not begun or nodes_left(state):
            given = None if begun else self._input(state.values, system, message, attempt)
            async with self._restoring(state.values.get("messages", []), page=begun):
                await self._graph.ainvoke(given, self._config, durability="sync")
        return _outcome((await self._graph.aget_state(self._config)).values)

    @asynccontextmanager
    async def _restoring(self, messages: Sequence[BaseMessage], *, page: bool) -> AsyncIterator[None]:
        """Restore while the model thinks; only tools wait for it."""
        self._restored = asyncio.create_task(self._restore(messages, page=page))
        try:
            yield
        finally:
            self._restored.cancel()
            await asyncio.wait({self._restored})

    def _build(self) -> Any:
        graph = StateGraph(_State)
        graph.add_node("think", self._think)
        graph.add_node("act", self._act)
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", lambda state: END if state["ended"] else "act")
        graph.add_conditional_edges("act", lambda state: END if state["ended"] else "think")
        return graph.compile(checkpointer=self._parts.checkpointer)

    @staticmethod
    def _input(old: dict[str, Any], system: str, message: str, attempt: int) -> _State:
        first: list[AnyMessage] = [] if old.get("messages") else [SystemMessage(system)]
        fresh: _State = {"attempt": attempt, "ended": "", "why": "", "finish": {}, "silent": 0, "spent": 0.0}
        fresh |= {"evidence": len(old.get("messages", first)), "nudge": "", "changed_at": old.get("turns", 0)}
        return {**(_NEW if first else {}), **fresh, "messages": [*first, HumanMessage(message)]}

    async def _think(self, state: _State) -> _State:
        """One model call. Replay: nothing happened yet but the call itself."""
        state = {**_NEW, **state}
        self._parts.budget.check()
        before_now, self._looked_at = self._looked_at, self._clock()
        spent = state["spent"] + self._looked_at - before_now
        if limit := self._limit(state, spent):
            return {"ended": limit}
        steering = self._parts.steering
        heard = steering.hear(state.get("steered", []), self._told) if steering else []
        words = [HumanMessage(as_message(word.text)) for word in heard]
        messages, evidence = [*state["messages"], *words], state["evidence"]
        before = Cut(state["condensed"], state["since"], state["handover"], state["pictures"])
        fitting = await self._context.fit(messages, before, evidence, state["context_tokens"])
        for cut in shorter_cuts(messages, fitting):
            try:
                reply = await self._ask(sent(messages, cut, evidence), cut.since)
            except ContextOverflow:
                continue
            unique_ids(reply.message, list(messages))  # also among those that were not sent
            return {
                "messages": [*words, reply.message],
                **self._heard(state, heard),
                "turns": state["turns"] + 1,
                "context_tokens": reply.usage.input_tokens + reply.usage.output_tokens,
                "condensed": cut.condensed,
                "since": cut.since,
                "handover": cut.handover,
                "pictures": cut.pictures,
                "spent": spent,
                "ended": "",
            }
        return {"ended": "context full", "why": handover_by_code(messages, len(messages), before.handover)}

    def _told(self, word: Word) -> None:
        self._parts.events.emit(Steered(text=word.text, word_id=word.word_id))

    @staticmethod
    def _heard(state: _State, words: Sequence[Word]) -> _State:
        """The ids go into the checkpoint that holds the words."""
        return {"steered": [*state.get("steered", []), *(word.word_id for word in words)]} if words else {}

    async def _ask(self, messages: list[BaseMessage], since: int) -> Reply:
        """After a handover turns are counted anew, so the conversation has another name."""
        name = f"{self.conversation}/from-{since}" if since else self.conversation
        whole = self._pictures.put_in(messages) if self._pictures else messages
        return await self._parts.model.call(self._role, name, whole, self._schemas)

    async def _act(self, state: _State) -> _State:
        """Carry out the calls of the last message. Replay: calls that have a result in the journal are not repeated."""
        state = {**_NEW, **state}
        message = state["messages"][-1]
        assert isinstance(message, AIMessage)
        answers: list[AnyMessage] = [
            ToolMessage(f"not carried out: {call['error']}", tool_call_id=str(call["id"]))
            for call in message.invalid_tool_calls
        ]
        if self._parts.steering:
            self._parts.steering.settle(state.get("steered", []))
        finish: dict[str, Any] = {}
        seen: list[tuple[str, str, str]] = []
        await self._restored
        for call in message.tool_calls:
            carry_out = partial(self._call, again=self._journal.was_cut(str(call["id"])))
            result = await self._journal.once(str(call["id"]), call["name"], call["args"], carry_out)
            answers.append(ToolMessage(self._restart_told + result.text, tool_call_id=str(call["id"])))
            self._restart_told = ""
            if result.picture:
                seen.append((call["name"], str(call["id"]), result.picture))
            if call["name"] == _FINISH.name and result.text == _FINISHED:
                finish = call["args"]
        answers += [message_of(seen)] if seen else []
        if finish:
            return {"messages": answers, "finish": finish, "ended": "finished"}
        if answers:
            return {"silent": 0, **await self._led(state, message, answers)}
        silent = state["silent"] + 1
        return {
            "messages": [HumanMessage(_SILENT)],
            "silent": silent,
            "ended": "no tool calls" if silent >= SILENT_TURNS else "",
        }

    async def _led(self, state: _State, message: AIMessage, answers: list[AnyMessage]) -> _State:
        """The answers, and what the coder is told when its last turns lead nowhere; the next time the attempt ends."""
        changed = await self._changed(state, message)
        idle, circle = changed.pop("why", ""), going_in_circles([*state["messages"], *answers])
        why, kind = (circle, "circle") if circle else (idle, "idle")
        if not why:
            return {"messages": answers, **changed}
        self._parts.events.emit(Noticed(text=why, level="warning"))
        if state["nudge"] == kind and state["turns"] - state["nudged_at"] <= NUDGED_TURNS:
            return {"messages": answers, "ended": "stuck", "why": why, **changed}
        told = HumanMessage(_NUDGE.format(why=why))
        return {"messages": [*answers, told], "nudged_at": state["turns"], "nudge": kind, **changed}

    async def _changed(self, state: _State, message: AIMessage) -> _State:
        """When the tree changed last, as far as that is known; looked up only when no edit told for a long time."""
        if any(call["name"] in ("write_file", "edit_file") for call in message.tool_calls):
            return {"changed_at": state["turns"]}
        if self._tree_state is None or state["turns"] - state["changed_at"] < IDLE_TURNS:
            return {}
        now, before = await self._tree_state(), state["tree"]
        why = f"Nothing in the project changed in the last {IDLE_TURNS} turns" if now and now == before else ""
        return {"changed_at": state["turns"], "tree": now, "why": why}

    async def _call(self, name: str, args: dict[str, Any], *, again: bool) -> Result:
        """Run one tool; whatever is wrong with the call is text for the model."""
        started = time.monotonic()
        outcome: Literal["ok", "retry", "failed", "refused"] = "ok"
        try:
            tool = self._tools.get(name)
            if tool is None:
                raise ToolRetry(f"There is no tool {name!r}. There are: {', '.join(self._tools)}.")
            result = self._kept(await tool.call(_validate(tool, args)))
        except ToolRetry as exc:
            result, outcome = Result(f"error: {exc}"), "retry"
        except ToolFailed as exc:
            result, outcome = Result(f"error: {exc}"), "refused" if isinstance(exc, Refused) else "failed"
        except (OSError, ValueError, RecursionError) as exc:  # what no tool foresaw is still the model's call
            result, outcome = Result(f"error: {type(exc).__name__}: {exc}"), "failed"
        told = ToolReturned(
            name=name,
            args=args,
            result=result.text,
            picture=result.picture,
            outcome=outcome,
            seconds=time.monotonic() - started,
            role=self._role,
            again=again,
        )
        self._parts.events.emit(told)
        return result

    def _kept(self, answer: str | Shown) -> Result:
        """A picture is on disk before anything names it."""
        if isinstance(answer, str):
            return Result(answer)
        return Result(answer.text, self._pictures.keep(answer.picture) if self._pictures else "")

    def _limit(self, state: _State, spent_seconds: float) -> Ended:
        limits = self._parts.settings.limits
        if limits.session_turns and state["turns"] >= limits.session_turns:
            return "turn limit"
        if limits.session_minutes and spent_seconds > limits.session_minutes * 60:
            return "time limit"
        return ""

    async def _restore(self, messages: Sequence[BaseMessage], *, page: bool) -> None:
        """Start again what lived in the room: servers, and after a kill the page with what was done on it.

        Acts done again may do twice what a server keeps, so the model is told.
        """
        calls = [c for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
        living = _living([c for c in calls if self._journal.has(str(c["id"]))], page=page)
        for call in living:
            tool = self._tools[call["name"]]
            if command := call["args"].get("command"):
                why = "a kill or the end of an attempt had ended it"
                self._parts.events.emit(
                    Decided(topic="command", what=command, decision="started again", by="harness", reason=why)
                )
            try:
                await tool.call(_validate(tool, call["args"]))
            except (ToolRetry, ToolFailed, OSError, ValueError):
                continue  # the model finds out when it looks
        self._restart_told = _RESTARTED if any(c["name"] == "browser_act" for c in living) else ""


def nodes_left(state: StateSnapshot) -> set[str]:
    """Nodes of a graph at which it goes on; empty when it is over.

    `state.next` leaves a node out whose writes were kept when a kill came before the checkpoint after it.
    """
    return {task.name for task in state.tasks}


def conversation_of(parts: Parts, session_id: str) -> str:
    """The name of a session's checkpoint thread and of its conversation with the model."""
    return f"{parts.thread_id}/{session_id}"


async def has_begun(parts: Parts, session_id: str) -> bool:
    """Whether a session has a checkpoint, from this process or one before it."""
    where: RunnableConfig = {"configurable": {"thread_id": conversation_of(parts, session_id), "checkpoint_ns": ""}}
    return await parts.checkpointer.aget_tuple(where) is not None


async def forget(parts: Parts, session_id: str) -> None:
    """Delete a session's checkpoint thread; its trajectory is on disk."""
    await parts.checkpointer.adelete_thread(conversation_of(parts, session_id))


def _living(calls: Sequence[Any], *, page: bool) -> list[Any]:
    """Calls whose effect died with the process: background servers, and the page since it was last opened."""
    opened = max((i for i, c in enumerate(calls) if page and c["name"] == "browser_open"), default=len(calls))
    return [
        call
        for i, call in enumerate(calls)
        if (call["name"] == "run_command" and call["args"].get("background"))
        or call["name"] == "stop_process"
        or (i >= opened and call["name"] in ("browser_open", "browser_act"))
    ]


def _validate(tool: Tool, args: dict[str, Any]) -> Arguments:
    try:
        return tool.arguments.model_validate(args)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in exc.errors()[:5])
        raise ToolRetry(f"{wrong}. {tool.name} takes {tool.schema()['function']['parameters']}") from exc


def _outcome(values: dict[str, Any]) -> SessionOutcome:
    said = FinishArguments.model_validate(values["finish"]) if values.get("finish") else None
    told = [f"The session ended by itself: {values['ended']}.", values.get("why"), values.get("handover")]
    return SessionOutcome(
        ended=values["ended"],
        summary=(said.summary if said else "\n".join(filter(None, told)))[:SUMMARY_CHARACTERS],
        next=said.next if said else "",
        turns=values["turns"],
        dispute=said.dispute if said else None,
        changes=tuple(said.changes) if said else (),
    )


_RESTARTED = (
    "<restored>The harness was restarted. Servers run again, the page was opened again and what you did on it was done "
    "again, so what a server keeps may have changed twice.</restored>\n"
)
_FINISHED = "The session ends here; the harness verifies."
_NUDGE = (
    "{why}. That leads nowhere. Look at the evidence: what did you expect, what do you see, what is different? "
    "Try another way, or call finish with what you know. If this goes on, the attempt ends."
)
_SILENT = "You made no tool call. Call a tool, or call finish when the feature works."


async def _finish(_: FinishArguments) -> str:
    return _FINISHED


_VERIFIES: dict[Kind, str] = {"web": "in a browser", "service": "by requests", "program": "by running it"}


def _finish_tool(kind: Kind) -> Tool:
    said = "Ends the attempt: call it when you have seen the feature work. The harness then verifies it"
    return Tool("finish", f"{said} {_VERIFIES[kind]}.", FinishArguments, _finish)


_FINISH = _finish_tool("web")
