"""The feature list: what is to be built and what is proved, as `features.json` holds it.

Only the harness writes the file; this module reads and writes it and answers questions about the list. A list is a
value: `mark_passed`, `park`, `reopen` and `refute` return a new one. A file that cannot be read as a feature list is
an error that names the file and the place, and is left as it is: a broken list is never an empty one.

How a list is planned (duplicates, cycles, steps nobody could see) is `harness.plan_rules`.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from harness.errors import FeatureFileError
from harness.project import write_atomic
from harness.state_file import file_errors, parse_json, read_text

RESERVED = frozenset({"elements", "flows"})
"""Names of files in `checks/` that all features share."""


def _is_free(feature_id: str) -> str:
    if feature_id.casefold() in RESERVED:
        raise ValueError(f"checks/{feature_id}.json is shared by all features; give this one another id")
    return feature_id


FeatureId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"), AfterValidator(_is_free)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UnknownFeature(FeatureFileError):
    """Somebody asked for an id that the list does not have; the list itself is whole."""

    exit_code = 2


class Proof(_Value):
    """Expectations of a feature's check by how each was shown to be able to fail."""

    red: int = Field(default=0, ge=0)
    """Failed on the baseline."""
    perturbed: int = Field(default=0, ge=0)
    """Failed under a disturbance aimed at it."""
    person: int = Field(default=0, ge=0)
    """Accepted by a person."""


class PassedAt(_Value):
    """When and on what a feature was proved. The commit it lies in is found by trailers, never stored here."""

    session: str
    time: datetime
    baseline: str
    """Commit the session started from."""
    check: str
    """Digest of the check."""


class Feature(_Value):
    """One entry of the list."""

    id: FeatureId
    """Also the name of its file in `checks/`."""
    category: str = "functional"
    description: Words
    steps: tuple[Words, ...] = Field(min_length=1)
    """What a person does and sees, in order."""
    passes: bool = False
    priority: int = Field(default=100, ge=0)
    """Smaller comes first."""
    depends_on: tuple[FeatureId, ...] = ()
    """Ids that must pass before."""
    covers: tuple[str, ...] = ()
    """Lines of the specification."""
    changes: tuple[FeatureId, ...] = ()
    """Ids whose checks this feature is allowed to amend."""
    status: Literal["open", "parked"] = "open"
    claimed: bool = False
    """The list it was taken from says that it passes; nothing has shown it, and nothing has shown otherwise."""
    reason: str = ""
    """Why it is parked, why it was reopened, or why what was claimed of it did not hold."""
    proof: Proof | None = None
    passed_at: PassedAt | None = None

    @model_validator(mode="after")
    def _state_is_possible(self) -> Self:
        if self.passes and self.status == "parked":
            raise ValueError("a feature that passes cannot be parked")
        if self.passes and self.claimed:
            raise ValueError("a feature that passes is not claimed any more")
        return self

    @property
    def state(self) -> Literal["passed", "parked", "claimed", "open"]:
        """Where it stands, in one word; `claimed` is open too."""
        if self.passes:
            return "passed"
        return "claimed" if self.claimed and self.status == "open" else self.status

    @property
    def is_refuted(self) -> bool:
        """Whether it was claimed, and found not to be so."""
        return not self.passes and self.status == "open" and self.reason.startswith(REFUTED)

    @property
    def is_reopened(self) -> bool:
        """Whether it goes first because it was open, passed or parked before, and is open again."""
        return not self.passes and self.status == "open" and bool(self.reason) and not self.is_refuted


class Totals(_Value):
    """How far a list is."""

    total: int
    passing: int
    open: int
    parked: int
    claimed: int = 0
    """Of the open ones: somebody else's list says that they pass."""

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for passes; an empty list asked for nothing and is not complete."""
        return self.total > 0 and self.passing == self.total

    def __str__(self) -> str:
        if not self.total:
            return "no features"
        claimed = f", {self.claimed} claimed" if self.claimed else ""
        parked = f", {self.parked} parked" if self.parked else ""
        return f"{self.passing} of {self.total} features pass{claimed}{parked}"


class FeatureList(_Value):
    """All features, in the order of the file."""

    version: Literal[1] = 1
    features: tuple[Feature, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _take_classic(cls, data: Any) -> Any:
        """A bare array is the classic file; ids may be missing or numbers."""
        data = {"features": data} if isinstance(data, list) else data
        if isinstance(data, dict) and isinstance(data.get("features"), list):
            return {**data, "features": _with_ids(data["features"])}
        return data

    @model_validator(mode="after")
    def _ids_are_sound(self) -> Self:
        seen: dict[str, int] = {}
        for place, feature in enumerate(self.features):
            first = seen.setdefault(feature.id.casefold(), place)
            if first != place:
                raise ValueError(f"features[{first}] and features[{place}] have the same id {feature.id!r}")
        known = {feature.id for feature in self.features}
        for place, feature in enumerate(self.features):
            if unknown := [i for i in (*feature.depends_on, *feature.changes) if i not in known]:
                raise ValueError(f"features[{place}] ({feature.id}) names {unknown[0]!r}, which is not in the list")
        return self

    @classmethod
    def load(cls, path: Path) -> FeatureList:
        """Read a list.

        Raises: FeatureFileError: the file is missing, empty, broken, or of a version this harness does not know.
        """
        with file_errors(path, "feature list", is_committed=True):
            return cls.model_validate(parse_json(read_text(path)))

    @classmethod
    def parse(cls, text: str, name: str) -> FeatureList:
        """Read a list from the text of a file of that name.

        Raises: FeatureFileError: as `load`.
        """
        with file_errors(Path(name), "feature list"):
            return cls.model_validate(parse_json(text))

    def save(self, path: Path) -> None:
        """Write the list whole: the old file or the new one, never a part."""
        write_atomic(path, self.to_json())

    def to_json(self) -> str:
        """The text of the file; fields that say nothing are left out, so that a diff shows what changed."""
        features = [_lean(feature) for feature in self.features]
        return json.dumps({"version": self.version, "features": features}, indent=2, ensure_ascii=False) + "\n"

    def get(self, feature_id: str) -> Feature:
        """One feature.

        Raises: UnknownFeature: there is none of that id.
        """
        for feature in self.features:
            if feature.id == feature_id:
                return feature
        raise UnknownFeature(f"There is no feature {feature_id!r}.", "`harness status` lists the ids.")

    def replace(self, feature_id: str, **fields: Any) -> FeatureList:
        """The list with some fields of one feature changed."""
        changed = Feature.model_validate(self.get(feature_id).model_dump() | fields)
        features = tuple(changed if f.id == feature_id else f for f in self.features)
        return self.model_copy(update={"features": features})

    @property
    def totals(self) -> Totals:
        """Counts by state."""
        passing = sum(f.passes for f in self.features)
        parked = sum(f.status == "parked" for f in self.features)
        total = len(self.features)
        claimed = sum(f.state == "claimed" for f in self.features)
        return Totals(total=total, passing=passing, parked=parked, open=total - passing - parked, claimed=claimed)


_ALWAYS = ("id", "category", "description", "steps", "passes")


def _lean(feature: Feature) -> dict[str, Any]:
    rest = feature.model_dump(mode="json", exclude_defaults=True)
    full = feature.model_dump(mode="json", include=set(_ALWAYS))
    return {name: full[name] for name in _ALWAYS} | {k: v for k, v in rest.items() if k not in full}


def _with_ids(features: list[Any]) -> list[Any]:
    """Give F001, F002... to features without an id, and the like to numbers."""
    entries = [_named(f) if isinstance(f, dict) else f for f in features]
    taken = {str(f.get("id")) for f in entries if isinstance(f, dict) and f.get("id") is not None}
    numbers = (f"F{n:03}" for n in range(1, len(entries) + len(taken) + 1))
    free = (i for i in numbers if i not in taken)
    return [f | {"id": next(free)} if isinstance(f, dict) and f.get("id") is None else f for f in entries]


def _named(feature: dict[str, Any]) -> dict[str, Any]:
    number = feature.get("id")
    if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
        feature = feature | {"id": f"F{number:03}"}
    return _renumber(feature, "depends_on") if "depends_on" in feature else feature


def _renumber(feature: dict[str, Any], field: str) -> dict[str, Any]:
    ids = feature[field]
    if not isinstance(ids, list):
        return feature
    return feature | {field: [f"F{i:03}" if isinstance(i, int) and not isinstance(i, bool) else i for i in ids]}


def next_feature(features: FeatureList) -> Feature | None:
    """What to prove or build now.

    Claimed first: nothing is built on what only somebody says. Then reopened, then by priority, then file order. What
    depends on open work waits, but for claims: what is there already needs nobody's work.
    """
    passed = {f.id for f in features.features if f.passes}
    ready = (f for f in features.features if _is_ready(f, passed))
    return min(ready, key=lambda f: (not f.claimed, not f.is_reopened, f.priority), default=None)


def _is_ready(feature: Feature, passed: set[str]) -> bool:
    is_open = not feature.passes and feature.status == "open"
    return is_open and (feature.claimed or all(i in passed for i in feature.depends_on))


def mark_passed(features: FeatureList, feature_id: str, proof: Proof, passed_at: PassedAt) -> FeatureList:
    """The list after a verdict of the harness."""
    proved = {"proof": proof, "passed_at": passed_at}
    return features.replace(feature_id, passes=True, status="open", claimed=False, reason="", **proved)


def park(features: FeatureList, feature_id: str, reason: str) -> FeatureList:
    """The list with one feature set aside; one that is claimed stays so, for when a person has decided."""
    return features.replace(feature_id, passes=False, status="parked", reason=reason, proof=None, passed_at=None)


def reopen(features: FeatureList, feature_id: str, reason: str) -> FeatureList:
    """The list with one feature to be done again, before the others."""
    return features.replace(feature_id, passes=False, status="open", reason=reason, proof=None, passed_at=None)


REFUTED = "claimed, and not so:"
"""How the reason begins when a claim was looked at and did not hold; the feature goes by its priority then."""


def refute(features: FeatureList, feature_id: str, reason: str) -> FeatureList:
    """The list with a claim taken away: the feature is built like others that are open."""
    return features.replace(feature_id, claimed=False, reason=f"{REFUTED} {reason}")


SKIPPED = "skipped by a person"
"""How the reason begins when nobody but a person may take it up again."""
REOPENED_BY_PERSON = "reopened by a person"
"""How the reason begins when a person wants it done again; nothing was found to be broken."""


def reopened_because(word: str) -> str:
    """The reason of what a person wants done again."""
    said = " ".join(word.split())
    return f"{REOPENED_BY_PERSON}: {said}" if said else REOPENED_BY_PERSON


NEEDS_DECISION = "needs decision:"
"""How the reason begins when only a person can say whether an earlier feature may change."""


def amending(features: FeatureList, feature_id: str) -> tuple[Feature, ...]:
    """Features that pass and were declared to change a feature, in the order of the list."""
    return tuple(f for f in features.features if f.passes and feature_id in f.changes)


def decided(features: FeatureList) -> tuple[Feature, ...]:
    """Features parked for a decision that is made: all that their reason names is declared in `changes` now."""
    waiting = [f for f in features.features if f.status == "parked" and f.reason.startswith(NEEDS_DECISION)]
    known = {f.id for f in features.features}
    named = {f.id: (set(re.findall(r"[A-Za-z0-9_-]+", f.reason)) & known) - {f.id} for f in waiting}
    return tuple(f for f in waiting if named[f.id] and named[f.id] <= set(f.changes))


class ListChange(_Value):
    """What somebody else did to the list."""

    added: tuple[str, ...] = ()
    """Ids of new open features: these may be taken in."""
    declared: tuple[str, ...] = ()
    """Ids of features that do not pass and may change more than before: a person's decision, taken in too."""
    changed: tuple[str, ...] = ()
    """`F003: passes, steps`: what differs, and additions that claim to pass."""
    removed: tuple[str, ...] = ()
    reordered: bool = False

    @property
    def is_acceptable(self) -> bool:
        """Whether the new list may be used as it is: nothing but additions and declarations."""
        return not (self.changed or self.removed or self.reordered)

    def __str__(self) -> str:
        parts = [f"removed {i}" for i in self.removed] + [f"changed {c}" for c in self.changed]
        parts += ["reordered"] * self.reordered + [f"added {i}" for i in self.added]
        parts += [f"declared {i}" for i in self.declared]
        return "; ".join(parts) or "no change"


def diff_lists(ours: FeatureList, theirs: FeatureList) -> ListChange:
    """Compare the list the harness knows with the one somebody left."""
    old = {f.id: f for f in ours.features}
    new = {f.id: f for f in theirs.features}
    added = [f for f in theirs.features if f.id not in old]
    differing = {i: f for i, f in old.items() if i in new and new[i] != f}
    declared = tuple(i for i, f in differing.items() if _only_declares(f, new[i]))
    changed = [f"{i}: {_differences(f, new[i])}" for i, f in differing.items() if i not in declared]
    changed += [f"{f.id}: added as passing" for f in added if f.passes]
    return ListChange(
        added=tuple(f.id for f in added if not f.passes),
        declared=declared,
        changed=tuple(changed),
        removed=tuple(i for i in old if i not in new),
        reordered=[i for i in old if i in new] != [i for i in new if i in old],
    )


def _only_declares(old: Feature, new: Feature) -> bool:
    is_more = set(old.changes) < set(new.changes)
    return is_more and not old.passes and old.model_copy(update={"changes": new.changes}) == new


def _differences(old: Feature, new: Feature) -> str:
    return ", ".join(name for name in Feature.model_fields if getattr(old, name) != getattr(new, name))


def schema_json() -> str:
    """The text of `features.schema.json`."""
    schema = FeatureList.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    print(schema_json(), end="")
