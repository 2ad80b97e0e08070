"""What of a session's conversation is sent: all of it, until the model's window is nearly full.

Then, in this order, and each time far enough that the prompt's prefix stays the same for many turns:

    pictures    old ones are named and not shown; also whenever there are many
    condense    old tool results become a line that says what they were
    hand over   old turns become a handover that the model writes: decisions, open problems, files

The role's prompt, the brief with the feature and its contract, the evidence that the attempt works on and a person's
words are always sent. What is kept in the checkpoint never changes; this is only what is shown of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, Field

from harness.errors import ModelError
from harness.events import Noticed
from harness.model.faults import ModelPaused
from harness.model.reply import estimate_tokens
from harness.pictures import KEPT as PICTURES_KEPT
from harness.pictures import SHOWN as PICTURES_SHOWN
from harness.pictures import all_but, count_pictures, shows_pictures, without_pictures
from harness.prompts import fence
from harness.steering import is_word

if TYPE_CHECKING:
    from harness.events import Events
    from harness.model import Model

KEPT_RESULTS = (12, 6, 3)
"""Newest tool results that are not condensed; fewer where they are long."""
KEPT_TURNS = (6, 3, 1)
"""Newest turns that are not handed over; fewer where they are long."""
NEARLY_FULL = 0.8
"""Share of the context window at which the conversation is made shorter."""
ROOMY = 0.5
"""Share that it takes then, so that it can grow for many turns: a prefix that changes costs its cache."""
WORTH = 0.1
"""Share that must be saved where nothing makes it roomy."""
HEAD = 2
"""Messages that open a session: the role's prompt and the brief."""
LONG = 400
"""Characters up to which a tool result is sent whole."""
SHOWN = 120
HANDOVER_CHARACTERS = 6000


class Handover(BaseModel):
    """Submit what whoever goes on from here must know. The feature, its contract and the newest turns are known."""

    done: str = Field(description="what works now, and how that was seen")
    decisions: list[str] = Field(default_factory=list, description="what was chosen, and why")
    problems: list[str] = Field(default_factory=list, description="what is open, what was tried and did not help")
    files: list[str] = Field(default_factory=list, description="paths that matter, each with what is in it")
    next: str = Field(description="what to do next")

    def as_text(self) -> str:
        """For the model that goes on."""
        lists = {"Decisions": self.decisions, "Open problems": self.problems, "Files": self.files}
        listed = [f"{name}:\n" + "\n".join(f"- {line}" for line in lines) for name, lines in lists.items() if lines]
        return "\n".join([f"Done: {self.done}", *listed, f"Next: {self.next}"])


@dataclass(frozen=True)
class Cut:
    """Where what is sent differs from what was said. Indexes are of the whole conversation."""

    condensed: int = 0
    """Tool results before it are one line each."""
    since: int = 0
    """Turns before it are the handover; 0: all are sent."""
    handover: str = ""
    pictures: int = 0
    """Pictures before it are named and not shown."""


@dataclass(frozen=True)
class Context:
    """Keeps one session's conversation within the model's window.

    Args:
        model: writes handovers.
        events: told of them.
        role: asked in this role.
        conversation: the session's; a handover has one of its own below it.
        window_tokens: what the model takes, answer included.
    """

    model: Model
    events: Events
    role: str
    conversation: str
    window_tokens: int

    async def fit(self, messages: Sequence[AnyMessage], cut: Cut, evidence: int, tokens: int) -> Cut:
        """What is sent next: as before, until the window is nearly full.

        Args:
            messages: all that was said.
            cut: what was sent the last time.
            evidence: as for `sent`.
            tokens: what the last call took, by the endpoint's own count.

        Raises: ModelPaused, SetupError: the model cannot be asked for a handover now.
        """
        if count_pictures(messages, cut.pictures) > PICTURES_SHOWN:
            cut = replace(cut, pictures=all_but(messages, cut.pictures, PICTURES_KEPT))
        if tokens < NEARLY_FULL * self.window_tokens:
            return cut
        # What the endpoint counts for a message is not what we guess, so a guess is taken as a share of the last one.
        now = estimate_tokens(sent(messages, cut, evidence))

        def share(shorter: Cut) -> float:
            return estimate_tokens(sent(messages, shorter, evidence)) / now * tokens / self.window_tokens

        bare = replace(cut, pictures=all_but(messages, cut.pictures, 1))
        condensed = [condense(messages, bare, kept) for kept in KEPT_RESULTS]
        for shorter in [*([bare] if bare != cut else []), *condensed]:
            if share(shorter) <= ROOMY:
                return shorter
        for kept in KEPT_TURNS:
            since = _spared(messages, cut, kept)
            if since != cut.since and (kept == KEPT_TURNS[-1] or share(replace(condensed[1], since=since)) <= ROOMY):
                return await self._hand_over(messages, condensed[1], since, evidence)
        return condensed[-1] if share(condensed[-1]) <= NEARLY_FULL - WORTH else cut

    async def _hand_over(self, messages: Sequence[AnyMessage], cut: Cut, since: int, evidence: int) -> Cut:
        """Have the model write down what matters of all turns before an index."""
        asked = [*sent(messages, cut, evidence), HumanMessage(_ASK)]
        try:
            said, _ = await self.model.ask(
                self.role, f"{self.conversation}/handover-{since}", asked, Handover, attempts=2
            )
        except ModelPaused:
            raise
        except ModelError:  # it was too long to ask, or no handover came
            return replace(cut, since=since, handover=handover_by_code(messages, since, cut.handover))
        self.events.emit(Noticed(text=f"The context is nearly full: {since} messages became a handover."))
        return replace(cut, since=since, handover=said.as_text()[:HANDOVER_CHARACTERS])


def shorter_cuts(messages: Sequence[AnyMessage], cut: Cut) -> list[Cut]:
    """What is tried in turn while the endpoint says that it is too long, the given one first."""
    unseen = replace(cut, pictures=all_but(messages, cut.pictures, 0))
    bare = condense(messages, unseen, kept=0)
    since = _spared(messages, bare, KEPT_TURNS[0])
    told = bare.handover if since == bare.since else handover_by_code(messages, since, bare.handover)
    return list(dict.fromkeys((cut, unseen, bare, replace(bare, since=since, handover=told))))


def sent(messages: Sequence[AnyMessage], cut: Cut, evidence: int = 0) -> list[BaseMessage]:
    """The conversation as the model gets it.

    Args:
        messages: all that was said.
        cut: what is shorter.
        evidence: index of the message that the attempt works on; it is sent whatever was handed over.
    """
    start = max(cut.since, HEAD)
    head: list[BaseMessage] = list(messages[:HEAD])
    if cut.since:
        if HEAD <= evidence < start:
            head.append(messages[evidence])
        head += [message for message in messages[HEAD:start] if is_word(message.text)]
        head.append(HumanMessage(_HANDED_OVER + fence(cut.handover, "handover")))
    return [*head, *_condensed(messages, start, cut)]


def condense(messages: Sequence[AnyMessage], cut: Cut, kept: int) -> Cut:
    """Cut all tool results but the newest."""
    results = [i for i, message in enumerate(messages) if isinstance(message, ToolMessage)]
    newest = (results[-kept] if kept else len(messages)) if len(results) > kept else 0
    return replace(cut, condensed=max(cut.condensed, newest))


def _spared(messages: Sequence[AnyMessage], cut: Cut, kept: int) -> int:
    """Where the turns begin that are still sent after a handover; where the cut is already, when none can be spared."""
    turns = [i for i, message in enumerate(messages) if isinstance(message, AIMessage)]
    start = turns[-kept] if len(turns) > kept else 0
    return start if start > max(cut.since, HEAD) else cut.since


def handover_by_code(messages: Sequence[AnyMessage], since: int, earlier: str = "") -> str:
    """What can be told without the model, which was asked with too much already: what was changed and run.

    Args:
        messages: all that was said.
        since: what is told ends there.
        earlier: the handover there was; it stays.
    """
    calls = [call for message in messages[:since] if isinstance(message, AIMessage) for call in message.tool_calls]
    files = dict.fromkeys(str(c["args"].get("path")) for c in calls if c["name"] in ("write_file", "edit_file"))
    notes = [str(c["args"].get("text"))[:300] for c in calls if c["name"] == "note"]
    commands = [str(c["args"].get("command"))[:200] for c in calls if c["name"] == "run_command"][-8:]
    parts = {"Files you changed": list(files), "Notes you left": notes, "Commands you ran last": commands}
    told = [f"{name}:\n" + "\n".join(f"- {line}" for line in lines) for name, lines in parts.items() if lines]
    return "\n".join([*([earlier[:HANDOVER_CHARACTERS]] if earlier else []), *told])[: 2 * HANDOVER_CHARACTERS]


def _condensed(messages: Sequence[AnyMessage], start: int, cut: Cut) -> Iterator[BaseMessage]:
    calls: dict[str, Any] = {}
    for index, message in enumerate(messages[start:], start):
        if isinstance(message, AIMessage):
            calls |= {str(call["id"]): call for call in message.tool_calls}
        if index < cut.condensed and _is_long(message):
            yield _line(message, calls.get(message.tool_call_id))
        elif index < cut.pictures and shows_pictures(message):
            yield without_pictures(message)
        else:
            yield message


def _is_long(message: BaseMessage) -> TypeGuard[ToolMessage]:
    return isinstance(message, ToolMessage) and len(message.text) > LONG


def _line(message: ToolMessage, call: Any) -> ToolMessage:
    args = json.dumps(call["args"], ensure_ascii=False)[:SHOWN] if call else ""
    text = message.text
    name = call["name"] if call else "a tool"
    told = f"[condensed: {name} {args} gave {len(text)} characters; call it again to see all]"
    return ToolMessage(f"{told}\n{text[:SHOWN]} ... {text[-SHOWN:]}", tool_call_id=message.tool_call_id)


_HANDED_OVER = "Earlier turns of this session are left out here. You wrote this about them:\n\n"
_ASK = (
    "Your context is nearly full. All turns but the last few will be left out from here on, and you go on with what "
    "you submit now. The feature, its contract and this session's rules stay."
)
