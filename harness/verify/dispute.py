"""When an expectation is disputed: what a second author, who has not seen the first contract, expects at that step.

Two authors choose other names, samples and words for the same thing. What they expect is compared without those: each
expectation by its kind, its numbers and its literals; a text that the check itself entered counts by its place among
the texts entered. The second confirms the first when it expects all that is disputed, whatever else it expects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence

from pydantic import BaseModel, ConfigDict

from harness.verify.check import Act, AnyExpectation, Contract
from harness.verify.exchanges.items import Expected
from harness.verify.exchanges.variation import entered as handed_over
from harness.verify.judge import fold_case
from harness.verify.words import phrase

_ENTERED = ("fill", "type", "select", "upload")
_QUOTED = re.compile(r"\"([^\"]+)\"|(?<!\w)'([^']+)'(?!\w)|“([^”]+)”")


class Opinion(BaseModel):
    """What came of asking a second author."""

    model_config = ConfigDict(frozen=True)

    step: int
    confirmed: bool
    """Both say the same: the first contract stays."""
    first: str
    """What the first contract expects at the step, in words."""
    second: str
    """What the second does."""

    def __str__(self) -> str:
        return f"step {self.step}. One author: {self.first}. Another: {self.second}"


def compare(first: Contract, second: Contract, step: int, failed: AnyExpectation | None = None) -> Opinion:
    """Compare two contracts at one step.

    Args:
        first: the contract that is disputed.
        second: written from the same text by an author who has not seen the first.
        step: what is disputed; one without expectations stands for the whole contract.
        failed: the one expectation that is; None: all of the step.
    """
    said = _meanings(second, _of(second, step))
    disputed = _meanings(first, [failed] if failed else _of(first, step))
    return Opinion(step=step, confirmed=disputed <= said, first=_words(first, step), second=_words(second, step))


def _of(contract: Contract, step: int) -> list[AnyExpectation]:
    every = [item for _, item in contract.expected()]
    return [item for item in every if item.step == step] or every


def _words(contract: Contract, step: int) -> str:
    return "; ".join(phrase(item, contract.targets) for item in _of(contract, step))


def _meanings(contract: Contract, expectations: Sequence[AnyExpectation]) -> set[Hashable]:
    entered = _entered(contract)
    users = list(dict.fromkeys(item.user for item in contract.items))
    return {(users.index(item.user), *_meaning(item, contract, entered)) for item in expectations}


def _meaning(item: AnyExpectation, contract: Contract, entered: list[str]) -> tuple[Hashable, ...]:
    if isinstance(item, Expected):  # its names are the interface's
        value = "" if item.expect == "golden" else json.dumps([item.value, list(item.values)], sort_keys=True)
        return (item.expect, item.match, item.at, item.name, item.number, _literal(value, entered))
    about = _literals(f"{item.target} {contract.targets.get(item.target or '', '')}", entered)
    if item.says_absent:
        return ("absent", about)
    if item.expect in ("unchanged", "changed"):  # the value is a name its author chose
        return (item.expect, item.what, about)
    literals = tuple(_literal(text, entered) for text in (item.value or "", *item.values))
    return (item.expect, item.match, item.number, item.name, literals, about)


def _entered(contract: Contract) -> list[str]:
    """Texts the check enters, in order, each once; folded."""
    if not contract.is_about_pages:
        return [fold_case(text) for text in handed_over(contract)]
    acts = [item for item in contract.items if isinstance(item, Act) and item.act in _ENTERED]
    return list(dict.fromkeys(text for act in acts if (text := fold_case(act.value or ""))))


def _literal(text: str, entered: list[str]) -> str:
    """A text in which what the check entered stands as a number, so that samples do not matter."""
    folded = fold_case(text)
    for sample in sorted(entered, key=len, reverse=True):
        folded = folded.replace(sample, f"\0{entered.index(sample)}\0")
    return folded


def _literals(said: str, entered: list[str]) -> frozenset[str]:
    """What tells a thing from others of its kind: samples and quoted texts in its name and description."""
    quoted = {next(filter(None, found.groups())) for found in _QUOTED.finditer(said)}
    samples = {sample for sample in entered if re.search(rf"(?<!\w){re.escape(sample)}(?!\w)", fold_case(said))}
    return frozenset(_literal(text, entered) for text in quoted | samples)
