"""Plays a check that passed once more with other texts, for another visitor.

Whoever knows a check can show what it expects: the words themselves, or a page kept for the browser that looks. So
the texts that the check enters and then sees are replaced, in its acts, its expectations and its locators alike, and
the visitor has another browser and another window. Only letters change, each into another of the same alphabet and
the order, so that lengths, capitals, prefixes, sorting and initials stay what they were: what works with one text
works with the other, and an application that shows "Buy milk" to somebody who entered "Dyz oimn" does not work.

Which letters depends on the tree, so that nobody can know them while writing it, and the verdict on one tree is
always the same. A text that only works as it stands is left alone: its author said so (`given`), it belongs to an
account (it is entered beside a password), a word of the calendar or a unit, it is no plain words at all (an address,
a path, a formula), or the application showed it before it was entered.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from harness.browser.failed import ActFailed
from harness.browser.visitor import OTHER
from harness.verify.app import AppNotStarted
from harness.verify.check import Act, Check, Contract, Expectation, Item, Locator
from harness.verify.judge import COLOURS, fold, quote, visible_of
from harness.verify.replay import EndsBrowser, resolver, twice_at_most

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.browser.values import Observation
    from harness.verify.player import Group, ItemResult, ReplayResult
    from harness.verify.replay import Replayer, Site

ENTERING = ("fill", "type", "upload", "answer_dialog")
ANSWERS = ("accept", "dismiss")
MEANT = frozenset(
    (
        *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
        *("november", "december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("today", "tomorrow", "yesterday", "true", "false", "yes", "no", "on", "off"),
    )
) | frozenset(COLOURS)
"""Words that an application may understand."""
DRAWS = 50
"""Alphabets tried until every text changes."""
ROUNDS = 3
"""Of plays that each leave alone what the one before showed to be the application's own; one is usual."""

_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]+(?:['\u2019-][A-Za-z]+)*")
_PLAIN = re.compile(r"[\s.,!?;:'\u2019\"()A-Za-z0-9À-ɏ&-]+")
_TEXTS = ("name", "label", "text", "pattern", "placeholder", "alt", "title", "test_id", "css")
"""Fields of a locator that hold texts of the page."""
_BETWEEN = r"(?:\s|[-_+.]|%20|\\s[+*]?)+"
"""What may stand between the words of a text where it is shown: in an address, in a pattern."""
_START, _END = r"(?:(?<![^\W_])|(?<=\\[bBsSwWdD]))", r"(?![^\W_])"


@dataclass(frozen=True)
class Variation:
    """Other texts for a check."""

    letters: Mapping[str, str]
    texts: tuple[str, ...]
    """What is replaced, the longest first."""
    keep: frozenset[str] = frozenset()
    """Words of the application that happen to be part of a text."""

    def of(self, text: str) -> str:
        """A text with all that is replaced in it."""
        if text in self.keep:
            return text
        if any(_within(text, entered) for entered in self.texts):
            return self._mapped(text)
        pattern = "|".join(_pattern(entered) for entered in self.texts)
        return re.sub(pattern, lambda m: self._mapped(m[0]), text, flags=re.IGNORECASE) if pattern else text

    def _mapped(self, text: str) -> str:
        return _WORD.sub(lambda m: m[0] if m[0].lower() in MEANT else self._moved(m[0]), text)

    def _moved(self, word: str) -> str:
        moved = (self.letters.get(c.lower(), c) for c in word)
        return "".join(new.upper() if c.isupper() else new for c, new in zip(word, moved, strict=True))

    def item(self, item: Item) -> Item:
        """An item with the texts replaced; names, keys, window sizes stay.

        A picture was taken of the texts as they were, in another window: what has to look like it has to be there.
        """
        if isinstance(item, Expectation) and item.expect == "looks_like":
            return item.model_copy(update={"expect": "visible", "value": None, "masks": ()})
        change: dict[str, Any] = {}
        if item.value and not _names_something(item):
            change["value"] = self.of(item.value)
        if isinstance(item, Expectation):
            change["values"] = tuple(map(self.of, item.values))
            if item.name and item.expect in ("download", "request"):
                change["name"] = self.of(item.name)
        return item.model_copy(update=change)

    def locator(self, locator: Locator) -> Locator:
        """A locator with the texts replaced, also in those it is made of."""
        change: dict[str, Any] = {f: self.of(value) for f in _TEXTS if (value := getattr(locator, f))}
        change |= {f: self.locator(value) for f in ("inside", "has") if (value := getattr(locator, f))}
        return locator.model_copy(update=change | {"around": tuple(map(self.locator, locator.around))})

    def check(self, check: Check) -> Check:
        """The whole check, its words for people too."""
        contract = check.contract
        targets = {name: self.of(words) for name, words in contract.targets.items()}
        items = tuple(map(self.item, contract.items))
        varied = contract.model_copy(update={"targets": targets, "items": items})
        bindings = {name: self.locator(found) for name, found in check.bindings.items()}
        return check.model_copy(update={"contract": varied, "bindings": bindings})


def vary(check: Check, elements: Mapping[str, Locator], seed: str, keep: Collection[str] = ()) -> Variation:
    """Choose other texts for a check.

    Args:
        check: what is played.
        elements: the project's names.
        seed: the same for the same tree, unknown to whoever writes it.
        keep: texts that are left alone.
    """
    texts = sorted({text for _, text in _entered(check, elements)} - set(keep), key=lambda t: (-len(t), t))
    used = sorted({c for text in texts for c in text.lower() if c in ascii_lowercase})
    draw = random.Random(seed)
    for _ in range(DRAWS):
        letters = dict(zip(used, sorted(draw.sample(ascii_lowercase, len(used))), strict=True))
        variation = Variation(letters, tuple(texts), frozenset(keep))
        if all(variation.of(text) != text for text in texts):
            return variation
    return Variation({}, ())  # nothing to replace, or all letters are in use


async def failure_with_other_texts(
    replayer: Replayer, check: Check, elements: Mapping[str, Locator], site: Site, seed: str, steps: Sequence[str]
) -> ReplayResult | None:
    """Play a check that passes with other texts; returns what failed twice, or None. Only that leaves evidence.

    Args:
        replayer: what all replays share.
        check: bound to what runs on `site`.
        elements: the project's names.
        site: where.
        seed: as for `vary`.
        steps: the feature's own lines, for the words of a failure.

    Raises: BrowserError, ShellError: a fault of ours.
    """
    quiet = replace(replayer, evidence_dir=None)  # what passes here must not take the place of the proof's evidence
    check = await _played_firm(quiet, check, elements, site)
    keep: set[str] = set()
    for _ in range(ROUNDS):
        variation = vary(check, elements, seed, keep)
        result = await _played_varied(quiet, check, elements, site, variation, steps)
        if result.passed:
            return None
        own = await _shown_before(replayer, check, elements, site, variation) - keep if result.items else set()
        if not own:
            break
        keep |= own
    again = await _played_varied(replayer, check, elements, site, variation, steps)
    if again.passed:
        return None
    if not again.items:  # it did not start: that has nothing to do with the texts
        return again
    return replace(again, reason=f"{_said(variation)}\n{again.reason}")


async def _played_firm(replayer: Replayer, check: Check, elements: Mapping[str, Locator], site: Site) -> Check:
    """The check made firm, where it passes like that; else as it is."""
    firm = _firm(check, elements)
    if firm != check and (await replayer.replay(firm, elements, site, purpose="vary", pictures=False)).passed:
        return firm
    return check


async def _played_varied(
    replayer: Replayer,
    check: Check,
    elements: Mapping[str, Locator],
    site: Site,
    variation: Variation,
    steps: Sequence[str],
) -> ReplayResult:
    varied = {name: variation.locator(found) for name, found in elements.items()}
    with site.pages.seen_as(OTHER):
        return await replayer.replay(variation.check(check), varied, site, purpose="vary", steps=steps, pictures=False)


def _firm(check: Check, elements: Mapping[str, Locator]) -> Check:
    """The check, which also reads a text off what is named after it but found otherwise, say by its position."""
    contract = check.contract
    samples = {fold(i.value or "") for i in contract.items if isinstance(i, Act) and _is_sample(i)}

    def read(item: Item) -> Item:
        found = check.locator(item.target, elements) if item.target else None
        if not isinstance(item, Expectation) or item.expect != "visible" or found is None:
            return item
        named = [text for text in samples if _has(item.target or "", text) and not _holds(found, text)]
        return item.model_copy(update={"expect": "text", "match": "contains", "value": named[0]}) if named else item

    return check.model_copy(
        update={"contract": contract.model_copy(update={"items": tuple(map(read, contract.items))})}
    )


def _said(variation: Variation) -> str:
    """What was different, for the one who has to mend the application."""
    pairs = ", ".join(f"{quote(variation.of(text))} for {quote(text)}" for text in variation.texts)
    texts = f"The check entered other texts ({pairs}) and expected those, and was" if pairs else "The check was"
    return (
        "It passes as the contract says, but not for another person. "
        f"{texts} played in another browser with a slightly larger window. The application must work with any text "
        "and show nothing that is made for the check."
    )


async def _shown_before(
    replayer: Replayer, check: Check, elements: Mapping[str, Locator], site: Site, variation: Variation
) -> set[str]:
    """Texts, or parts of them, that belong to the application: it showed what is found by them before they came."""
    first: dict[int, list[str]] = {}
    for index, text in _entered(check, elements):
        if text in variation.texts and all(text not in texts for texts in first.values()):
            first.setdefault(index, []).append(text)
    resolve = resolver(check, elements)
    own: set[str] = set()

    async def look(group: Group, _: Sequence[ItemResult]) -> None:
        index = group[-1][0] + 1
        page = site.pages.in_use().get(check.contract.items[index].user) if index in first else None
        for text in first.get(index, ()) if page else ():
            found = [each for n in check.contract.targets if (each := resolve(n)) and _holds(each, text)]
            seen = await _seen(page, found) if page and found else []
            own.update(*(_shared(each, text) for each, s in zip(found, seen, strict=False) if visible_of(s)))

    player = replayer.player(site)
    with contextlib.suppress(AppNotStarted, EndsBrowser):
        await twice_at_most(site, lambda: player.play(check.contract, resolve, go_on=True, on_group=look))
    return own


async def _seen(page: Page, locators: Sequence[Locator]) -> Sequence[Observation]:
    """What is found now; nothing on a page that cannot be looked at."""
    try:
        return await page.observe(locators)
    except ActFailed:
        return []


def _entered(check: Check, elements: Mapping[str, Locator]) -> Iterator[tuple[int, str]]:
    """Texts that the check enters and sees again, with the act that enters each."""
    contract = check.contract
    seen: list[str | Locator] = [
        *_expected(contract),
        *(found for n in contract.targets if (found := check.locator(n, elements))),
    ]
    for index, item in enumerate(contract.items):
        if not isinstance(item, Act) or not _is_sample(item) or _beside_a_password(contract, index):
            continue
        text = fold(item.value or "")
        if any(_holds(each, text) for each in seen) and not _sorted_among_others(contract, text):
            yield index, text


def _expected(contract: Contract) -> Iterator[str]:
    for _, item in contract.expectations():
        if item.value and not _names_something(item):
            yield item.value
        yield from item.values


def _shared(locator: Locator, text: str) -> set[str]:
    """What makes a locator depend on a text: the text, or those words of the locator that are part of it."""
    return {text if _has(each, text) else each for each in _texts_of(locator) if _holds(each, text)}


def _holds(seen: str | Locator, text: str) -> bool:
    """Whether a text or a locator would change with it."""
    words = _texts_of(seen) if isinstance(seen, Locator) else [seen]
    return any(_has(each, text) or _within(each, text) for each in words)


def _has(whole: str, text: str) -> bool:
    return re.search(_pattern(text), whole, re.IGNORECASE) is not None


def _texts_of(locator: Locator) -> list[str]:
    """All texts a locator looks for."""
    below = [each for each in (locator.inside, locator.has, *locator.around) if each]
    own = [text for field in _TEXTS if (text := getattr(locator, field))]
    return own + [text for each in below for text in _texts_of(each)]


def _pattern(text: str) -> str:
    return _START + _BETWEEN.join(re.escape(word) for word in text.split()) + _END


def _within(part: str, text: str) -> bool:
    """Whether a text is a part of an entered one, by whole words: "oat milk" of "Buy oat milk"."""
    return bool(part.strip()) and _has(text, part)


def _is_sample(act: Act) -> bool:
    """Whether an act enters a text for which any other would do."""
    if act.act not in ENTERING or act.given or act.value in ANSWERS:
        return False
    is_table = act.act == "upload" and re.search(r"[\n,;:]", act.value or "")
    return not is_table and _is_plain(fold(act.value or ""))


def _sorted_among_others(contract: Contract, text: str) -> bool:
    """Whether an order is expected in which the text has a place among texts that nobody enters."""
    entered = [fold(i.value) for i in contract.items if isinstance(i, Act) and i.act in ENTERING and i.value]
    orders = [e.values for _, e in contract.expectations() if any(_holds(value, text) for value in e.values)]
    return any(not any(_holds(value, each) for each in entered) for values in orders for value in values)


def _is_plain(text: str) -> bool:
    """Words that mean nothing to a program: letters that can change, nothing that looks like an address."""
    words = [word for word in _WORD.findall(text) if word.lower() not in MEANT]
    is_unit = re.fullmatch(r"[\d.,: ]+[A-Za-z]{1,5}", text)
    return bool(words) and not is_unit and _PLAIN.fullmatch(text) is not None and not re.search(r"\w[.:]\w", text)


def _names_something(item: Item) -> bool:
    """Whether `value` is no text of a page: a key, a size, a remembered name, a picture's."""
    if isinstance(item, Act):
        return item.act in ("press", "viewport", "remember", "flow", "offline", "slow", "clock")
    return item.expect in ("unchanged", "changed", "style", "looks_like")


def _beside_a_password(contract: Contract, index: int) -> bool:
    """Whether the same run of filled fields holds a password: then an account is meant, which may be there already."""
    before, after = contract.items[:index][::-1], contract.items[index:]
    run = [*takewhile(_is_typing, before), *takewhile(_is_typing, after)]
    names = [f"{item.target} {contract.targets[item.target]}" for item in run if item.target]
    return any("password" in name.casefold() for name in names)


def _is_typing(item: Item) -> bool:
    return isinstance(item, Act) and item.act in ("fill", "type", "press")
