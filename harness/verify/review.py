"""A kept check for a person: in words with its proofs and locators, and what is wrong or weak in it.

Pure: reads what the files hold, asks no model and opens no browser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.features import Feature
from harness.verify import words
from harness.verify.check import Check, Locator, ProofOfMeaning
from harness.verify.fit import is_last_resort, locator_problems
from harness.verify.lint import lint_contract

_KINDS = {"red": "failed before the feature was built", "person": "accepted by a person"}


@dataclass(frozen=True)
class Remark:
    """Something about a check that a person should know."""

    feature_id: str
    level: Literal["fail", "warn"]
    """fail: it cannot be relied on; warn: it is weaker than it could be."""
    text: str


def in_words(check: Check, feature: Feature, elements: Mapping[str, Locator]) -> str:
    """A check as a user can follow it: steps, acts, expectations, how each was proved, how each thing is found."""
    contract = check.contract
    head = [f"{feature.id}: {feature.description}", _state(check, feature), ""]
    names = [f"  {_named(name, what, check.locator(name, elements))}" for name, what in contract.targets.items()]
    shown = words.show(contract, feature.steps, notes=proofs(check))
    found = ["", "How things are found:", *names] if names else []
    return "\n".join([*head, shown, *found, *_others(check)])


def as_facts(check: Check, feature: Feature, elements: Mapping[str, Locator]) -> dict[str, object]:
    """The same for a program."""
    contract = check.contract
    others = {name: _items(other) for name, other in (check.amended or {}).items()}
    found = {name: check.locator(name, elements) for name in contract.targets}
    names = {
        name: {
            "is": contract.targets[name],
            "locator": locator.model_dump(exclude_defaults=True) if locator else None,
            "last_resort": bool(locator and is_last_resort(locator)),
        }
        for name, locator in found.items()
    }
    known = {"feature": feature.id, "passes": feature.passes, "by": contract.by, "digest": check.digest()}
    told = {"steps": list(feature.steps), "items": _items(check), "names": names}
    return {**known, **told, **({"changes": others} if others else {})}


def _items(check: Check) -> list[dict[str, object]]:
    contract, proved = check.contract, proofs(check)
    return [
        {
            "item": index + 1,
            "step": item.step,
            "words": words.phrase(item, contract.targets),
            "proof": proved.get(index),
        }
        for index, item in enumerate(contract.items)
    ]


def review(check: Check, feature: Feature, elements: Mapping[str, Locator], spec_lines: str) -> Iterator[Remark]:
    """Everything a check lacks. What binding and proof add is missed only where the feature passes."""
    for problem in lint_contract(check.contract, feature, spec_lines):
        yield Remark(feature.id, "fail", problem)
    yield from _about_names(check, feature, elements)
    proved = {proof.item for proof in check.proof}
    for index, item in check.contract.expected() if feature.passes else ():
        if index not in proved:
            said = words.phrase(item, check.contract.targets)
            yield Remark(feature.id, "fail", f"items[{index}]: nothing was seen to make it fail: {said}.")


def _about_names(check: Check, feature: Feature, elements: Mapping[str, Locator]) -> Iterator[Remark]:
    for name in check.contract.targets:
        locator = check.locator(name, elements)
        if locator is None:
            level: Literal["fail", "warn"] = "fail" if feature.passes else "warn"
            yield Remark(feature.id, level, f"{name!r} is not bound, neither here nor in checks/elements.json.")
            continue
        for problem in locator_problems(locator):
            yield Remark(feature.id, "fail", f"{name!r}: {problem}")
        if is_last_resort(locator):
            said = words.locator_words(locator)
            yield Remark(feature.id, "warn", f"{name!r} is found as a last resort only: {said}.")


def _state(check: Check, feature: Feature) -> str:
    state = "passes" if feature.passes else feature.state
    by = "; its contract is a person's" if check.contract.by == "person" else ""
    why = f"; {feature.reason}" if feature.reason and not feature.passes else ""
    return f"It {state}{by}{why}." if feature.passes else f"It is {state}{by}{why}."


def _others(check: Check) -> Iterator[str]:
    """The features it changes, as a person is asked about them."""
    for name, other in (check.amended or {}).items():
        yield f"\nIt changes {name}, which would be verified so:"
        yield words.show(other.contract, notes=proofs(other))


def proofs(check: Check) -> dict[int, str]:
    """How each expectation was shown to be able to fail, by the item's index."""
    return {proof.item: _proof(proof) for proof in check.proof}


def _proof(proof: ProofOfMeaning) -> str:
    return _KINDS.get(proof.kind, f"fails under: {proof.by.replace('_', ' ') or 'a disturbance'}")


def _named(name: str, what: str, locator: Locator | None) -> str:
    last = " (last resort)" if locator and is_last_resort(locator) else ""
    return f"{name} ({what}): {words.locator_words(locator)}{last}"
