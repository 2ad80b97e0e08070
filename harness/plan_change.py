"""A change of the plan by a person, as data: what is added, worded otherwise or taken out, and lines for the spec.

It is written down before anything else happens, because a run that is at work takes it in later, between two features.
So it says nothing of state: what passes and what is parked is looked at when it is taken in. Features it adds have ids
of its own, and lines it adds are `+1`, `+2`; both get their places then. The same rules hold as for a model's plan.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.features import SKIPPED, Feature, FeatureId, FeatureList, Words
from harness.plan_rules import dependency_cycle, near_duplicates, plan_problems
from harness.specification import Specification

HEADING = "## Added"
"""What the lines stand under that a specification grew by."""
AMENDED = "amended by a person"
"""How the reason begins when a feature that passed or was parked is open with another text."""
_NUMBERED = re.compile(r"^\s*(\d+)[.)]\s")
_NEW_LINE = re.compile(r"\+(\d+)")
_OURS = re.compile(r"F(\d+)")


def _as_texts(given: Any) -> Any:
    """One reference may stand alone, and lines may be numbers."""
    many = given if isinstance(given, list | tuple) else [given]
    return [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in many]


class Wording(BaseModel):
    """What a person can say of a feature; all else of it is the harness's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: Words
    steps: Annotated[tuple[Words, ...], Field(min_length=1)]
    category: str = "functional"
    priority: int = Field(default=100, ge=0)
    depends_on: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = ()
    covers: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = ()
    changes: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = ()

    @classmethod
    def of(cls, feature: Feature) -> Self:
        """How a feature is worded."""
        return cls.model_validate(feature.model_dump(include=set(cls.model_fields)))

    @property
    def text(self) -> tuple[str, ...]:
        """What a check is written from."""
        return (self.description, *self.steps)


class PlanChange(BaseModel):
    """What a person wants of the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = ""
    """Their own words, if they gave any."""
    lines: tuple[str, ...] = ()
    """What the specification grows by."""
    added: dict[FeatureId, Wording] = Field(default_factory=dict)
    amended: dict[str, Wording] = Field(default_factory=dict)
    removed: tuple[str, ...] = ()
    before: dict[str, Wording] = Field(default_factory=dict)
    """How those that are amended or removed were worded when they were looked at."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.added or self.amended or self.removed)


@dataclass(frozen=True)
class Applied:
    """A plan with the change in it."""

    features: FeatureList
    spec: str
    ids: Mapping[str, str]
    """Ids of the change -> those its additions got."""
    lines: tuple[int, ...]
    """Numbers of the lines the specification grew by."""
    reworded: tuple[str, ...]
    """Those whose check is written anew: their own text changed."""


def apply_change(change: PlanChange, features: FeatureList, spec: str, used: Collection[str] = ()) -> Applied:
    """The plan after a change that has no `change_problems`.

    Args:
        used: ids that no new feature gets, beside those in the list.

    Raises: ValidationError: the change cannot be a part of this list.
    """
    grown, lines = _grown(spec, change.lines)
    ids = _free_ids(change.added, {f.id for f in features.features} | set(used))
    kept = [f for f in features.features if f.id not in change.removed]
    amended = [_amended(f, _placed(change.amended[f.id], {}, lines), change) for f in kept if f.id in change.amended]
    new = [Feature(id=ids[name], **_placed(each, ids, lines).model_dump()) for name, each in change.added.items()]
    by_id = {f.id: f for f in amended}
    return Applied(
        features=FeatureList.model_validate({"features": [*(by_id.get(f.id, f) for f in kept), *new]}),
        spec=grown,
        ids=ids,
        lines=tuple(lines),
        reworded=tuple(f.id for f in amended if Wording.of(f).text != Wording.of(features.get(f.id)).text),
    )


def change_problems(change: PlanChange, features: FeatureList, spec: str, used: Collection[str] = ()) -> list[str]:
    """All that is wrong with a change, in words for its author; empty when it can be applied."""
    if change.is_empty:
        return ["nothing is added, amended or removed"]
    if wrong := [*_not_as_seen(change, features), *_still_needed(change, features)]:
        return wrong
    try:
        after = apply_change(change, features, spec, used)
    except ValidationError as exc:
        return [e["msg"].removeprefix("Value error, ") for e in exc.errors(include_url=False)]
    numbered, touched = Specification(after.spec), _touched(change, after)
    wrong = [f"{f.id}: spec.md has no line {line!r}" for f in touched for line in numbered.unknown(f.covers)]
    uncovered = set(after.lines) - numbered.covered(line for f in touched for line in f.covers)
    wrong += [f"no feature here covers the new line +{after.lines.index(line) + 1}" for line in sorted(uncovered)]
    wrong += plan_problems([f for f in touched if Wording.of(f).text != change.before.get(f.id, _NOTHING).text])
    if not wrong and (cycle := dependency_cycle(after.features.features)) and set(cycle) & {f.id for f in touched}:
        wrong.append(f"dependencies go round in a circle: {' -> '.join(cycle)}")
    return wrong


def consequences(
    change: PlanChange, before: FeatureList, after: Applied, spec: str, by_person: Collection[str] = ()
) -> list[str]:
    """What a change touches beside itself, a sentence each: checks, features that stand on it, likenesses.

    Args:
        by_person: ids of features whose contract a person decided on.
    """
    said = [line for name in after.reworded for line in _of_reworded(name, before, name in by_person)]
    if not change.lines:
        said += [
            f"The check of {name} is also written from spec.md, which stays as it is: line {', '.join(covers)}."
            for name in after.reworded
            if (covers := after.features.get(name).covers)
        ]
    said += [f"{name} passes; its check goes with it." for name in change.removed if before.get(name).passes]
    new = {*after.ids.values(), *after.reworded}
    said += [
        f"{twin.second} seems to say what {twin.first} says ({twin.likeness:.2f} of 1)."
        for twin in near_duplicates(after.features.features)
        if new & {twin.first, twin.second}
    ]
    said += [
        f"{f.id} changes {name}, which passes: the check of {name} is written anew with it."
        for f in _touched(change, after)
        for name in f.changes
        if name not in change.before.get(f.id, _NOTHING).changes and after.features.get(name).passes
    ]
    lost = _uncovered(after.features, Specification(after.spec)) - _uncovered(before, Specification(spec))
    if lost:
        said.append(f"No feature covers these lines of spec.md any more: {', '.join(map(str, sorted(lost)))}.")
    return said


def _of_reworded(name: str, before: FeatureList, by_person: bool) -> Iterator[str]:
    feature = before.get(name)
    if feature.passes:
        yield f"{name} passes; its text changes, so it is open again and its check is written anew."
    elif feature.reason.startswith(SKIPPED):
        yield f"{name} stays skipped until `harness reopen {name}`."
    if by_person:
        yield f"The contract of {name} was decided by you; it was for the old text and is given up."
    for other in before.features:
        if name in other.changes:
            how = "passed, and its words" if other.passes else "does not pass yet; its words will"
            yield f"{other.id} changes {name}: it {how} count where they contradict the new text."
        elif name in other.depends_on and other.passes:
            yield f"{other.id} depends on {name}: its check stays, and is replayed before {name} is committed."


def _not_as_seen(change: PlanChange, features: FeatureList) -> Iterator[str]:
    known = {f.id: f for f in features.features}
    for name in (*change.amended, *change.removed):
        if name not in known:
            yield f"there is no feature {name!r}"
        elif (seen := change.before.get(name)) and seen != Wording.of(known[name]):
            yield f"{name} was worded otherwise meanwhile; look at it again"


def _still_needed(change: PlanChange, features: FeatureList) -> Iterator[str]:
    for feature in features.features:
        now = change.amended.get(feature.id) or Wording.of(feature)
        if feature.id not in change.removed:
            for name in change.removed:
                if name in now.depends_on:
                    yield f"{feature.id} depends on {name}; take that out first (`harness plan edit {feature.id}`)"
                elif name in now.changes:
                    yield f"{feature.id} changes {name}; take that out first (`harness plan edit {feature.id}`)"


def _amended(feature: Feature, wording: Wording, change: PlanChange) -> Feature:
    worded = feature.model_dump() | wording.model_dump()
    if Wording.of(feature).text == wording.text:
        return Feature.model_validate(worded)
    stood = feature.passes or feature.status == "parked"
    reason = f"{AMENDED}: {' '.join(change.why.split())}" if change.why.strip() else AMENDED
    fresh = {"passes": False, "claimed": False, "proof": None, "passed_at": None}
    if feature.reason.startswith(SKIPPED):
        return Feature.model_validate(worded | fresh)
    return Feature.model_validate(worded | fresh | {"status": "open", "reason": reason if stood else feature.reason})


def _placed(wording: Wording, ids: Mapping[str, str], lines: Sequence[int]) -> Wording:
    """With the ids and line numbers that what is new got."""

    def line(reference: str) -> str:
        reference = reference.strip()
        found = _NEW_LINE.fullmatch(reference)
        return str(lines[int(found[1]) - 1]) if found and 1 <= int(found[1]) <= len(lines) else reference

    return wording.model_copy(
        update={
            "covers": tuple(dict.fromkeys(line(part) for each in wording.covers for part in each.split(","))),
            "depends_on": tuple(dict.fromkeys(ids.get(name, name) for name in wording.depends_on)),
            "changes": tuple(dict.fromkeys(ids.get(name, name) for name in wording.changes)),
        }
    )


def next_number(taken: Collection[str]) -> int:
    """The number of the next feature: one more than any has had."""
    return 1 + max((int(found[1]) for name in taken if (found := _OURS.fullmatch(name))), default=0)


def _free_ids(added: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """An addition keeps its id where it is free; the others are numbered on."""
    folded = {name.casefold() for name in taken}
    number, ids = next_number({*taken, *added}), {}
    for name in added:
        if name.casefold() in folded:
            ids[name], number = f"F{number:03}", number + 1
        else:
            ids[name] = name
    return ids


def _grown(spec: str, lines: Sequence[str]) -> tuple[str, list[int]]:
    """The specification with numbered lines at its end, and where they stand; no earlier line moves."""
    if not lines:
        return spec, []
    known = Specification(spec).lines
    last = max((int(found[1]) for line in known if (found := _NUMBERED.match(line))), default=0)
    headings = [line.strip() for line in known if line.startswith("#")]
    begin = "\n\n" if spec.strip() else ""
    heading = "" if headings[-1:] == [HEADING] else f"{begin}{HEADING}\n"
    new = [f"{last + n}. {' '.join(line.split())}" for n, line in enumerate(lines, 1)]
    text = "\n".join([spec.rstrip() + heading, *new]) + "\n"
    count = len(Specification(text).lines)
    return text, list(range(count - len(lines) + 1, count + 1))


def _touched(change: PlanChange, after: Applied) -> list[Feature]:
    return [after.features.get(name) for name in (*after.ids.values(), *change.amended)]


def _uncovered(features: FeatureList, spec: Specification) -> frozenset[int]:
    return spec.demands - spec.covered(line for f in features.features for line in f.covers)


_NOTHING = Wording(description="-", steps=("-",))
