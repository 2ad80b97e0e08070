"""From a numbered specification to a feature list: one validated batch at a time.

Each batch is asked for in a short conversation of its own (the specification, what is planned, what is not covered
yet), so that a list of any length fits any context window and a kill loses one batch at most. The model says what to
build; ids, state and order of the file are given by code, so nothing it returns can make a feature pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.features import Feature, FeatureList
from harness.plan_rules import near_duplicates, plan_problems
from harness.prompts import fence, load_prompt
from harness.settings import Kind
from harness.specification import Specification

if TYPE_CHECKING:
    from harness.model import Model

BATCH = 25
"""Features asked for at once."""
_THERE = "The project exists and works. This is what it holds:"
_ONLY_ASKED = "Write down what they ask for and nothing that it does already; use the words that its pages show."
_NOT_AGAIN = (
    "Plan only what the specification asks for and the project does not do yet. What it does already is planned only "
    "where the specification asks for just that; else such a line is left out with the reason that it is there."
)
_SHORT_LINES, _SHORT_CHARACTERS = 3, 400
_LIKENESS = 0.9


class Answer(BaseModel):
    """What a model submits; words of its own beside what is asked for are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class PlannedFeature(Answer):
    """One thing a user can do and see."""

    category: str = Field(default="functional", description="functional, style or accessibility")
    description: str = Field(min_length=1, description="one sentence")
    steps: list[str] = Field(min_length=1, description="what a user does, and 'Verify that ...' for what they see")
    priority: int = Field(default=100, ge=0, description="smaller is built first")
    depends_on: list[str] = Field(default_factory=list, description="ids of features planned before")
    covers: list[str] = Field(default_factory=list, description="lines of the specification, such as '4' or '7-9'")
    changes: list[str] = Field(
        default_factory=list, description="ids of features planned before whose own steps this one makes untrue; rare"
    )


class LeftOut(Answer):
    """Lines no feature covers."""

    lines: str = Field(description="such as '3' or '10-12'")
    why: str = Field(min_length=1)


class Batch(Answer):
    """Submit the next features, and the lines that need none with the reason."""

    features: list[PlannedFeature] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)


class WrittenSpecification(Answer):
    """Submit a specification a user can read and correct: one requirement a line, most important first."""

    title: str = Field(min_length=1)
    requirements: list[str] = Field(min_length=3)


class Plan(BaseModel):
    """The list so far."""

    features: FeatureList = FeatureList()
    left_out: dict[int, str] = Field(default_factory=dict)
    """Line -> why no feature covers it."""
    given: str = ""
    """The file it was taken from, whole: nothing is asked for; empty: a model plans it."""
    notes: str = ""
    """What those who worked from that file wrote down."""
    notes_from: str = ""
    """The name of the file of notes."""

    def uncovered(self, spec: Specification) -> list[int]:
        """Lines that ask for something and are neither covered nor left out with a reason."""
        covered = spec.covered(c for f in self.features.features for c in f.covers)
        return sorted(spec.demands - covered - self.left_out.keys())

    def with_batch(self, batch: Batch, spec: Specification) -> Plan:
        """This plan and a batch; near-duplicates are merged into the feature that came first.

        Raises: ValidationError: the batch cannot be a part of a list.
        """
        first = len(self.features.features) + 1
        new = [_feature(f"F{first + i:03}", planned) for i, planned in enumerate(batch.features)]
        merged = _merge(FeatureList(features=(*self.features.features, *new)))
        reasons = {line: left.why for left in batch.left_out for line in spec.covered([left.lines])}
        return Plan(features=merged, left_out={**self.left_out, **reasons})


@dataclass(frozen=True)
class Known:
    """What a planner is told beside the wish; an empty text: nothing."""

    survey: str = ""
    """The code that is there."""
    documents: str = ""
    """What documents of the user say about it, quoted."""
    kind: Kind = "web"
    """Of the project: which prompt it is."""


async def write_specification(model: Model, wish: str, conversation: str, known: Known = Known()) -> str:
    """Turn a vague sentence into a numbered specification, as Markdown."""
    question = f"A user wants software built and said only this. Write the specification.\n\n{fence(wish, 'the user')}"
    return await _specified(model, wish, question, conversation, known)


async def revise_specification(
    model: Model, wish: str, written: str, words: str, conversation: str, known: Known = Known()
) -> str:
    """Write a specification anew as the user wants it changed.

    Args:
        wish: the sentence it was written from.
        written: how it stands, with what they edited themselves.
        words: what they want to be otherwise.
    """
    parts = [
        "A user wants software built and said only this.",
        fence(wish, "the user"),
        f"This specification was written from it:\n{fence(written, 'the specification')}",
        "They want it changed as follows. Write it anew: all that they do not speak of stays, word for word.",
        fence(words, "the user"),
    ]
    return await _specified(model, wish, "\n\n".join(parts), conversation, known)


async def _specified(model: Model, wish: str, question: str, conversation: str, known: Known) -> str:
    from langchain_core.messages import HumanMessage, SystemMessage

    if known.documents:
        question += f"\n\n{known.documents}"
    if known.survey:
        question += f"\n\n{_THERE}\n\n{known.survey}\n\n{_ONLY_ASKED}"
    messages = [SystemMessage(load_prompt("initializer", known.kind)), HumanMessage(question)]
    answer, _ = await model.ask("initializer", conversation, messages, WrittenSpecification)
    lines = "\n".join(f"{n}. {' '.join(r.split())}" for n, r in enumerate(answer.requirements, 1))
    return f"# {' '.join(answer.title.split())}\n\nThe user's own words: {' '.join(wish.split())}\n\n{lines}\n"


def is_vague(text: str) -> bool:
    """Whether a text is too short to plan from."""
    return len(Specification(text).demands) < _SHORT_LINES and len(text) < _SHORT_CHARACTERS


async def next_batch(
    model: Model,
    spec: Specification,
    plan: Plan,
    wanted: int,
    files: Sequence[str],
    conversation: str,
    known: Known = Known(),
) -> Plan:
    """Ask for one batch and add it.

    Args:
        wanted: features in all; 0: as many as the specification needs.
        files: what is in the project already.
        kind: of the project.

    Raises: ModelError: no acceptable batch.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    def problems(batch: Batch) -> list[str]:
        unknown = spec.unknown(c for f in batch.features for c in f.covers)
        wrong = [f"the specification has no line {reference!r}" for reference in unknown]
        if not batch.features and not batch.left_out:
            wrong.append("the batch is empty: plan features, or give a reason for each line that needs none")
        if not wanted and len(batch.features) > 2 * BATCH:
            wrong.append(f"at most {2 * BATCH} features at once")
        try:
            return wrong + plan_problems(plan.with_batch(batch, spec).features.features)
        except ValidationError as exc:
            return wrong + [e["msg"] for e in exc.errors(include_url=False)]

    question = _question(spec, plan, wanted, files, known)
    messages = [SystemMessage(load_prompt("initializer", known.kind)), HumanMessage(question)]
    batch, _ = await model.ask("initializer", conversation, messages, Batch, attempts=4, check=problems)
    return plan.with_batch(batch, spec)


def _question(spec: Specification, plan: Plan, wanted: int, files: Sequence[str], known: Known) -> str:
    planned = plan.features.features
    parts = [f"Plan the features.\n\n{fence(spec.numbered(), 'the specification, with line numbers')}"]
    if known.survey:
        parts.append(f"{_THERE}\n\n{known.survey}\n\n{_NOT_AGAIN}")
    elif files:
        parts.append(f"Files that exist:\n{fence(chr(10).join(files[:100]), 'git ls-files')}")
    if known.documents:
        parts.append(f"Plan what the specification asks for, as the user's documents name it:\n{known.documents}")
    if planned:
        listed = "\n".join(f"{f.id}: {f.description}" for f in planned)
        parts.append(f"Planned so far; do not repeat them:\n{fence(listed, 'the plan')}")
    if uncovered := plan.uncovered(spec):
        parts.append(f"Lines not covered yet: {', '.join(map(str, uncovered))}.")
    ask = f"Ids are given in order: your first feature here is F{len(planned) + 1:03}."
    left = wanted - len(planned)
    count = f" Submit {min(left, BATCH)} features now." if wanted else f" Submit at most {BATCH} features now."
    return "\n\n".join([*parts, ask + count])


def _feature(feature_id: str, planned: PlannedFeature) -> Feature:
    return Feature(
        id=feature_id,
        category=planned.category,
        description=planned.description,
        steps=tuple(planned.steps),
        priority=planned.priority,
        depends_on=tuple(planned.depends_on),
        covers=tuple(planned.covers),
        changes=tuple(planned.changes),
    )


def _merge(features: FeatureList) -> FeatureList:
    """Drop what says the same as an earlier feature; who depended on it depends on that one."""
    same: dict[str, str] = {}
    for twin in near_duplicates(features.features, _LIKENESS):
        same.setdefault(twin.second, same.get(twin.first, twin.first))
    extra: dict[str, list[str]] = {}
    for dropped, kept in same.items():
        extra.setdefault(kept, []).extend(features.get(dropped).covers)
    kept_ids = [f.id for f in features.features if f.id not in same]
    renumbered = {old: f"F{n:03}" for n, old in enumerate(kept_ids, 1)}
    return FeatureList(
        features=tuple(
            f.model_copy(
                update={
                    "id": renumbered[f.id],
                    "depends_on": tuple(dict.fromkeys(renumbered[same.get(d, d)] for d in f.depends_on)),
                    "changes": tuple(dict.fromkeys(renumbered[same.get(c, c)] for c in f.changes)),
                    "covers": tuple(dict.fromkeys([*f.covers, *extra.get(f.id, [])])),
                }
            )
            for f in features.features
            if f.id not in same
        )
    )
