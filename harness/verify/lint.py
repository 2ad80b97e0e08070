"""What code can hold a contract to, before any code of the feature exists.

A pure reading of the contract beside the text it was written from. Each problem is a sentence for the author, who is a
model: it names the item and says what to do. Whether an expectation means anything is not decided here but by proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.features import Feature
from harness.plan_rules import must_be_seen
from harness.verify.check import Act, Contract, Expectation, PageItem
from harness.verify.exchanges.lint import lint_exchanges
from harness.verify.judge import fold_case

_TYPES = ("fill", "type", "select", "upload")
_LITERAL = ("text", "value", "title", "dialog", "clipboard", "download")
_ABOUT_PAGE = ("console_clean", "no_failed_requests", "no_overflow", "controls_named")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z?)?|[+-]\d+ (second|minute|hour|day|week)s?")
_BLANK_WORDS = re.compile(r"\b(blank|blanks|empty|emptied|clear|clears|cleared|white ?space|spaces?)\b", re.IGNORECASE)
_RELOADS = re.compile(
    r"(?<!without )(?<!without a )(?<!no )(?<!not )\b(re-?load(?:s|ed|ing)?|refresh(?:es|ed|ing)?)\b", re.IGNORECASE
)


def lint_contract(contract: Contract, feature: Feature, spec_lines: str = "") -> list[str]:
    """Everything wrong with a contract; empty when it may be agreed.

    Args:
        contract: as its author wrote it.
        feature: the feature it is for.
        spec_lines: the lines of the specification the feature covers.
    """
    text = fold_case(" ".join((feature.description, *feature.steps, spec_lines)))
    if not contract.is_about_pages:
        return lint_exchanges(contract, feature, text)
    return [
        *_wrong_start(contract),
        *_wrong_steps(contract, feature),
        *_unwitnessed(contract),
        *_not_replaced(contract),
        *_contradicted(contract),
        *_not_quoted(contract, text),
        *_idle_end(contract),
        *_poor_samples(contract, text),
        *_not_remembered(contract),
        *_wrong_values(contract),
    ]


def _wrong_start(contract: Contract) -> Iterator[str]:
    """Each user's browser is empty until it opens a page."""
    seen: set[str] = set()
    for index, item in enumerate(contract.items):
        if item.user in seen:
            continue
        if isinstance(item, Act) and item.act in ("viewport", "answer_dialog", "restart", "offline", "slow", "clock"):
            continue
        seen.add(item.user)
        if not (isinstance(item, Act) and item.act == "navigate"):
            whose = f" of {item.user!r}" if item.user else ""
            yield f"items[{index}]: the first item{whose} must be a navigate act; the browser is empty before it."


def _wrong_steps(contract: Contract, feature: Feature) -> Iterator[str]:
    last = len(feature.steps)
    for index, item in enumerate(contract.items):
        if item.step > last:
            yield f"items[{index}]: there is no step {item.step}; the feature has {last}."
    expected = {item.step for _, item in contract.expectations()}
    reloaded = {i.step for i in contract.items if isinstance(i, Act) and i.act in ("reload", "navigate", "restart")}
    for number, step in enumerate(feature.steps, 1):
        if must_be_seen(step) and number not in expected:
            yield f"step {number} says what is seen ({step!r}) but no expectation has step {number}."
        if _RELOADS.search(step) and number not in reloaded:
            yield f"step {number} loads the page again ({step!r}) but has no reload act."


def _unwitnessed(contract: Contract) -> Iterator[str]:
    """What is hidden must be there at another moment, else a name that fits nothing would do."""
    there = {name for item in contract.page_items if _shows(item) for name in (item.target,) if name}
    there |= {
        item.to for item in contract.page_items if item.to and (isinstance(item, Act) or item.expect != "in_place_of")
    }
    for index, item in contract.expectations():
        if item.says_absent and item.target not in there:
            yield (
                f"items[{index}]: {item.target!r} is only ever absent. Expect it visible (or act on it) at another "
                "moment of the check, or use the name of a thing that is there at another moment."
            )


def _not_replaced(contract: Contract) -> Iterator[str]:
    """Where a thing stood is known from the moment it was seen."""
    there: set[str | None] = set()
    for index, item in enumerate(contract.page_items):
        if isinstance(item, Expectation) and item.expect == "in_place_of" and item.to not in there:
            yield f"items[{index}]: {item.to!r} was not seen before; expect it visible before what replaces it."
        if _shows(item):
            there.add(item.target)


def _contradicted(contract: Contract) -> Iterator[str]:
    """Expectations between two acts must hold together."""
    for group in contract.groups():
        there = {item.target for _, item in group if isinstance(item, Expectation) and item.expect == "visible"}
        for index, item in group:
            if isinstance(item, Expectation) and item.expect == "hidden" and item.target in there:
                yield (
                    f"items[{index}]: {item.target!r} is expected visible and hidden with no act between, but what is "
                    "expected between two acts must hold at one moment. Put an act between them; of what is shown "
                    'only while the server is awaited: slow "on" before, slow "off" between.'
                )


def _shows(item: PageItem) -> bool:
    return isinstance(item, Act) or not item.says_absent


def _not_quoted(contract: Contract, text: str) -> Iterator[str]:
    typed = " ".join(fold_case(i.value or "") for i in contract.items if isinstance(i, Act) and i.act in _TYPES)
    for index, item in contract.expectations():
        for literal in _literals(item):
            folded = fold_case(literal)
            if item.source == "quoted" and folded not in text and folded not in typed:
                yield (
                    f"items[{index}]: {literal!r} stands neither in the feature's text nor in what the check typed. "
                    'Quote the text exactly, or set source to "assumed".'
                )


def _literals(item: Expectation) -> Iterable[str]:
    if item.match == "matches":
        return ()
    if item.expect == "order":
        return item.values
    return (item.value or "",) * (item.expect in _LITERAL or item.that == "text")


def _idle_end(contract: Contract) -> Iterator[str]:
    if isinstance(contract.items[-1], Act):
        yield "the last item is an act; after the last act there must be an expectation that shows what it did."
    if all(item.expect in _ABOUT_PAGE for _, item in contract.expectations()):
        yield "no expectation is about what the feature does; expect what a person sees."


def _poor_samples(contract: Contract, text: str) -> Iterator[str]:
    samples = [(n, i.value) for n, i in enumerate(contract.items) if isinstance(i, Act) and i.act in _TYPES]
    for index, sample in samples:
        if not (sample or "").strip() and not _BLANK_WORDS.search(text):
            yield f"items[{index}]: the value is blank; enter a distinctive text."
    words = sorted({fold_case(s) for _, s in samples if s and len(s.strip()) > 1}, key=len)
    for place, short in enumerate(words):
        for long in words[place + 1 :]:
            if short in long and not (short in text and long in text):
                yield f"the sample {short!r} is part of the sample {long!r}; choose texts that cannot be confused."


def _not_remembered(contract: Contract) -> Iterator[str]:
    kept: set[str | None] = set()
    for index, item in enumerate(contract.items):
        if isinstance(item, Act) and item.act == "remember":
            kept.add(item.value)
        if isinstance(item, Expectation) and item.expect in ("unchanged", "changed") and item.value not in kept:
            yield f"items[{index}]: nothing was remembered as {item.value!r} before; add a remember act."


def _wrong_values(contract: Contract) -> Iterator[str]:
    for index, item in enumerate(contract.page_items):
        if why := (_wrong_act(item) if isinstance(item, Act) else _wrong_expectation(item)):
            yield f"items[{index}]: {why}"


def _wrong_act(item: Act) -> str:
    value = item.value or ""
    if item.act == "navigate" and not re.match(r"/(?!/)", value):
        return f"navigate takes a path that begins with a single '/', not {value!r}."
    if item.act == "viewport" and not re.fullmatch(r"[1-9]\d{2,3}x[1-9]\d{2,3}", value):
        return f"viewport takes WIDTHxHEIGHT such as 390x844, not {value!r}."
    if item.act == "press" and not value.strip():
        return "press takes the name of a key, such as Enter or Control+z."
    if item.act in ("offline", "slow") and value not in ("on", "off"):
        return f"{item.act} takes on or off, not {value!r}."
    if item.act == "clock" and not _MOMENT.fullmatch(value):
        return f"clock takes 2024-05-31, 2024-05-31T10:00 or a step such as +1 day, not {value!r}."
    if item.act == "switch_tab" and not value.strip():
        return "switch_tab takes new, main or part of a title."
    return ""


def _wrong_expectation(item: Expectation) -> str:
    value = item.value
    if item.match == "matches" and value is not None:
        try:
            re.compile(value)
        except re.error as exc:
            return f"{value!r} is not a regular expression: {exc}."
    if item.match not in ("is", "exact") and value is not None and not value.strip():
        return "a blank text is contained in every text; expect the text itself."
    if item.expect == "request" and not re.match(r"[A-Z*]+ (/|\*)", item.name or ""):
        return f"request takes a method and a path in name, such as 'POST /notes', not {item.name!r}."
    says = item.expect in ("text", "title", "dialog", "clipboard") or item.that == "text"
    if says and value is not None and not value.strip():
        return f"{item.expect} of nothing cannot be seen; expect the thing hidden instead."
    return ""
