"""What a person wants of the plan, in words: a model makes features of it, or words a feature otherwise.

One call each, held to the rules of `plan_change`. What comes of it is a proposal: the person accepts it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from harness.plan_change import PlanChange, Wording, change_problems, next_number
from harness.planning import Answer, PlannedFeature
from harness.prompts import fence, load_prompt
from harness.specification import Specification

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.features import Feature
    from harness.model import Model
    from harness.plan_queue import PlanNow

T = TypeVar("T", bound=Answer)
_LINES = (
    "Submit first what the specification grows by: requirements, one a line, as a user would read and correct them, in "
    "the user's own words where they gave any, and nothing they did not ask for. They stand in the specification as "
    "the new lines +1, +2 and so on."
)
_CONTRADICTS = "A requirement that contradicts a line that is there begins with 'In place of line N: '."


class Wished(Answer):
    """Submit the new requirements, and the features that fulfil them."""

    requirements: list[str] = Field(min_length=1, description="new lines of the specification: +1, +2, ...")
    features: list[PlannedFeature] = Field(min_length=1, description="`covers` names new lines as '+1'")


class Reworded(Answer):
    """Submit the feature as it should read from now on."""

    requirements: list[str] = Field(default_factory=list, description="new lines of the specification: +1, +2, ...")
    description: str = Field(min_length=1, description="one sentence")
    steps: list[str] = Field(min_length=1, description="what a user does, and 'Verify that ...' for what they see")


async def plan_wish(model: Model, wish: str, now: PlanNow, documents: str = "") -> PlanChange:
    """One or more features of a wish.

    Args:
        documents: what documents of the user say about it, quoted.

    Raises: ModelError: no acceptable ones.
    """
    first = next_number({f.id for f in now.features.features} | now.used)

    def change(answer: Wished) -> PlanChange:
        worded = [Wording.model_validate(planned.model_dump()) for planned in answer.features]
        added = {f"F{first + place:03}": wording for place, wording in enumerate(worded)}
        return PlanChange(why=wish, lines=tuple(answer.requirements), added=added)

    parts = [
        "A person who has this software built asks for more. Plan it.",
        fence(wish, "the user"),
        *_known(now),
        *([documents] if documents else []),
        f"{_LINES} {_CONTRADICTS}",
        f"Then submit the features: as few as fulfil it, each new line covered. Ids are given in order: your first is "
        f"F{first:03}. Declare in `changes` the features whose own steps become untrue by it.",
    ]
    return await _ask(model, "add", "\n\n".join(parts), Wished, change, now)


async def reword(model: Model, feature: Feature, words: str, now: PlanNow) -> PlanChange:
    """A feature as a person wants it from now on.

    Raises: ModelError: no acceptable text.
    """
    known = Wording.of(feature)

    def change(answer: Reworded) -> PlanChange:
        covers = (*known.covers, *(f"+{number}" for number, _ in enumerate(answer.requirements, 1)))
        said = {"description": answer.description, "steps": tuple(answer.steps), "covers": covers}
        wording = Wording.model_validate(known.model_dump() | said)
        lines = tuple(answer.requirements)
        return PlanChange(why=words, lines=lines, amended={feature.id: wording}, before={feature.id: known})

    steps = [f"{number}. {step}" for number, step in enumerate(feature.steps, 1)]
    text = "\n".join([feature.description, *steps])
    parts = [
        "A person wants one feature of this software to be otherwise. Word it anew.",
        fence(words, "the user"),
        f"The feature {feature.id}:\n{fence(text, 'the plan')}",
        *_known(now),
        f"{_LINES} {_CONTRADICTS} None are needed where no line says otherwise.",
        "Then submit the feature's description and steps. What they do not speak of stays, word for word.",
    ]
    return await _ask(model, f"amend-{feature.id}", "\n\n".join(parts), Reworded, change, now)


def _known(now: PlanNow) -> list[str]:
    listed = "\n".join(f"{f.id} ({f.state}): {f.description}" for f in now.features.features)
    spec = fence(Specification(now.spec).numbered(), "the specification, with line numbers")
    return [
        f"The specification so far:\n{spec}",
        f"Planned so far; do not repeat them:\n{fence(listed, 'the plan')}",
    ]


async def _ask(
    model: Model, what: str, question: str, answer: type[T], change: Callable[[T], PlanChange], now: PlanNow
) -> PlanChange:
    from langchain_core.messages import HumanMessage, SystemMessage

    def problems(given: T) -> list[str]:
        return change_problems(change(given), now.features, now.spec, now.used)

    messages = [SystemMessage(load_prompt("initializer")), HumanMessage(question)]
    conversation = f"plan/{what}/{hashlib.sha256(question.encode()).hexdigest()[:12]}"
    given, _ = await model.ask("initializer", conversation, messages, answer, attempts=4, check=problems)
    return change(given)
