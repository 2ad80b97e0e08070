"""Plays a check that passed once more with other texts, for another visitor.

Whoever knows a check can show what it expects: the words themselves, or a page kept for the browser that looks. So
the texts that the check enters and then sees are replaced, in its acts, its expectations and its locators alike, and
the visitor has another browser and another window. Only letters change, each into another of the same alphabet and
the order, so that lengths, capitals, prefixes, sorting and initials stay what they were: what works with one text
works with the other, and an application that shows "Buy milk" to somebody who entered "Dyz oimn" does not work.

Which letters depends on the tree, so that nobody can know them while writing it, and the verdict on one tree is
always the same. A text that only works as it stands is left alone: its author said so (`given`), it belongs to an
account (it is entered beside a password), a word of the calendar or a unit, it is no plain words at all (an address,
a path, a formula), the application showed it before it was entered, or something is expected that seems to be made of
it (`echoes`).
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
from harness.verify.check import Act, Check, Contract, Expectation, Locator, PageItem
from harness.verify.echoes import (
    SHOWN,
    TEXTS,
    begins,
    has,
    holds,
    is_part,
    kin,
    part_of_another,
    pattern,
    rest_of,
    seems_made_of,
    texts_of,
    within,
)
from harness.verify.judge import COLOURS, fold, quote, visible_of
from harness.verify.replay import EndsBrowser, resolver, twice_at_most

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.browser.values import Observation
    from harness.verify.playing import Group, ItemResult, ReplayResult
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


@dataclass(frozen=True)
class Variation:
    """Other texts for a check."""

    letters: Mapping[str, str]
    texts: tuple[str, ...]
    """What is replaced, the longest first."""
    keep: frozenset[str] = frozenset()
    """Words of the application that happen to be part of a text."""
    parts: frozenset[str] = frozenset()
    """What is entered to find a text by some of its letters."""

    def of(self, text: str) -> str:
        """A text with all that is replaced in it."""
        if text in self.keep:
            return text
        if any(within(text, entered) for entered in self.texts):
            return self._mapped(text)
        found = "|".join(map(pattern, self.texts))
        return re.sub(found, lambda m: self._mapped(m[0]), text, flags=re.IGNORECASE) if found else text

    def _mapped(self, text: str) -> str:
        return _WORD.sub(lambda m: m[0] if m[0].lower() in MEANT else self._moved(m[0]), text)

    def _moved(self, word: str) -> str:
        moved = (self.letters.get(c.lower(), c) for c in word)
        return "".join(new.upper() if c.isupper() else new for c, new in zip(word, moved, strict=True))

    def item(self, item: PageItem) -> PageItem:
        """An item with the texts replaced; names, keys, window sizes stay.

        A picture was taken of the texts as they were, in another window: what has to look like it has to be there.
        """
        if isinstance(item, Expectation) and item.expect == "looks_like":
            return item.model_copy(update={"expect": "visible", "value": None, "masks": ()})
        change: dict[str, Any] = {}
        if isinstance(item, Act) and _may_be_part(item) and fold(item.value or "") in self.parts:
            change["value"] = self._part(fold(item.value or ""))
        elif item.value and not _names_something(item):
            change["value"] = self.of(item.value)
        if isinstance(item, Expectation):
            change["values"] = tuple(map(self.of, item.values))
            if item.name and item.expect in ("download", "request"):
                change["name"] = self.of(item.name)
        return item.model_copy(update=change)

    def _part(self, part: str) -> str:
        text = next(each for each in self.texts if is_part(part, each))
        return part_of_another(part, text, self.of(text))

    def locator(self, locator: Locator) -> Locator:
        """A locator with the texts replaced, also in those it is made of."""
        change: dict[str, Any] = {f: self.of(value) for f in TEXTS if (value := getattr(locator, f))}
        change |= {f: self.locator(value) for f in ("inside", "has", "beside") if (value := getattr(locator, f))}
        return locator.model_copy(update=change | {"around": tuple(map(self.locator, locator.around))})

    def check(self, check: Check) -> Check:
        """The whole check, its words for people too."""
        contract = check.contract
        targets = {name: self.of(words) for name, words in contract.targets.items()}
        items = tuple(map(self.item, contract.page_items))
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
    free, parts = _free(check, elements, keep)
    return choose(free, seed, keep, parts)


def choose(free: Collection[str], seed: str, keep: Collection[str] = (), parts: Collection[str] = ()) -> Variation:
    """Draw other letters for texts; none where no letters are left that would change them all.

    Args:
        free: the texts that are replaced.
        seed: as for `vary`.
        keep: as for `vary`.
        parts: what is entered to find one of the texts by some of its letters.
    """
    texts = sorted(free, key=lambda t: (-len(t), t))
    used = sorted({c for text in texts for c in text.lower() if c in ascii_lowercase})
    draw = random.Random(seed)
    for _ in range(DRAWS):
        letters = dict(zip(used, sorted(draw.sample(ascii_lowercase, len(used))), strict=True))
        variation = Variation(letters, tuple(texts), frozenset(keep), frozenset(parts))
        if all(variation.of(text) != text for text in texts):
            return variation
    return Variation({}, ())  # nothing to replace, or all letters are in use


def _free(check: Check, elements: Mapping[str, Locator], keep: Collection[str]) -> tuple[set[str], set[str]]:
    """The texts that can be replaced, and the parts of them that are entered: they go together or stay together."""
    texts = {text for _, text in _entered(check, elements)}
    parts = {part for part in _possible_parts(check.contract) - texts if any(is_part(part, text) for text in texts)}
    stay = texts & set(keep) | _given_away(check, elements, texts) | _found_elsewhere(check, elements, texts, parts)
    while more := set(kin((texts | parts) - stay, stay)):
        stay |= more
    return texts - stay, parts - stay


def _given_away(check: Check, elements: Mapping[str, Locator], texts: Collection[str]) -> set[str]:
    """Texts of which the application makes something that is expected, such as initials."""
    contract = check.contract
    values = {rest_of(value, texts) for value in _expected(contract)}
    found = [each for name in contract.targets if (each := check.locator(name, elements))]
    shown = {rest_of(text, texts) for each in found for text in texts_of(each, SHOWN)}
    return {
        text
        for text in texts
        if any(begins(rest, text) for rest in values) or any(seems_made_of(rest, text) for rest in values | shown)
    }


def _found_elsewhere(
    check: Check, elements: Mapping[str, Locator], texts: Collection[str], parts: Collection[str]
) -> set[str]:
    """Parts by which the application finds something of its own too; a letter is everywhere."""
    found = [
        locator
        for _, expectation in check.contract.expectations()
        for name in expectation.names_seen
        if (locator := check.locator(name, elements))
    ]
    rests = [rest_of(text, texts) for each in found for text in texts_of(each, SHOWN)]
    return {part for part in parts if len(part) > 1 and any(is_part(part, rest) for rest in rests)}


def _possible_parts(contract: Contract) -> set[str]:
    """Whatever is entered that may be a part of another text."""
    acts = [(index, item) for index, item in enumerate(contract.items) if isinstance(item, Act)]
    values = {fold(act.value or "") for i, act in acts if _may_be_part(act) and not _beside_a_password(contract, i)}
    return {value for value in values if re.search("[A-Za-z]", value)}


def _may_be_part(act: Act) -> bool:
    return act.act in ENTERING and act.act != "upload" and not act.given and act.value not in ANSWERS


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
    first, _, rest = again.reason.partition("\n")
    return replace(again, reason=f"With other texts: {first}\n{said(variation)}\n{rest}")


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

    def read(item: PageItem) -> PageItem:
        found = check.locator(item.target, elements) if item.target else None
        if not isinstance(item, Expectation) or item.expect != "visible" or found is None:
            return item
        named = [text for text in samples if has(item.target or "", text) and not holds(found, text)]
        return item.model_copy(update={"expect": "text", "match": "contains", "value": named[0]}) if named else item

    return check.model_copy(
        update={"contract": contract.model_copy(update={"items": tuple(map(read, contract.page_items))})}
    )


def said(variation: Variation, place: str = "in another browser with a slightly larger window") -> str:
    """What was different, for the one who has to mend the application."""
    pairs = ", ".join(f"{quote(variation.of(text))} for {quote(text)}" for text in variation.texts)
    texts = f"The check entered other texts ({pairs}) and expected those, and was" if pairs else "The check was"
    return (
        "It passes as the contract says, but not for another person. "
        f"{texts} played {place}. The application must work with any text and show nothing that is made for the check."
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
            found = [each for n in check.contract.targets if (each := resolve(n)) and holds(each, text)]
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
        if any(holds(each, text) for each in seen) and not _sorted_among_others(contract, text):
            yield index, text


def _expected(contract: Contract) -> Iterator[str]:
    for _, item in contract.expectations():
        if item.value and not _names_something(item):
            yield item.value
        yield from item.values


def _shared(locator: Locator, text: str) -> set[str]:
    """What makes a locator depend on a text: the text, or those words of the locator that are part of it."""
    return {text if has(each, text) else each for each in texts_of(locator) if holds(each, text)}


def _is_sample(act: Act) -> bool:
    """Whether an act enters a text for which any other would do."""
    if act.act not in ENTERING or act.given or act.value in ANSWERS:
        return False
    is_table = act.act == "upload" and re.search(r"[\n,;:]", act.value or "")
    return not is_table and is_plain(fold(act.value or ""))


def _sorted_among_others(contract: Contract, text: str) -> bool:
    """Whether an order is expected in which the text has a place among texts that nobody enters."""
    entered = [fold(i.value) for i in contract.items if isinstance(i, Act) and i.act in ENTERING and i.value]
    orders = [e.values for _, e in contract.expectations() if any(holds(value, text) for value in e.values)]
    return any(not any(holds(value, each) for each in entered) for values in orders for value in values)


def is_plain(text: str) -> bool:
    """Words that mean nothing to a program: letters that can change, nothing that looks like an address."""
    words = [word for word in _WORD.findall(text) if word.lower() not in MEANT]
    is_unit = re.fullmatch(r"[\d.,: ]+[A-Za-z]{1,5}", text)
    return bool(words) and not is_unit and _PLAIN.fullmatch(text) is not None and not re.search(r"\w[.:]\w", text)


def _names_something(item: PageItem) -> bool:
    """Whether `value` is no text of a page: a key, a size, a remembered name, a picture's."""
    if isinstance(item, Act):
        return item.act in ("press", "viewport", "remember", "flow", "offline", "slow", "clock")
    return item.expect in ("unchanged", "changed", "style", "looks_like")


def _beside_a_password(contract: Contract, index: int) -> bool:
    """Whether the same run of filled fields holds a password: then an account is meant, which may be there already."""
    before, after = contract.page_items[:index][::-1], contract.page_items[index:]
    run = [*takewhile(_is_typing, before), *takewhile(_is_typing, after)]
    names = [f"{item.target} {contract.targets[item.target]}" for item in run if item.target]
    return any("password" in name.casefold() for name in names)


def _is_typing(item: PageItem) -> bool:
    return isinstance(item, Act) and item.act in ("fill", "type", "press")
