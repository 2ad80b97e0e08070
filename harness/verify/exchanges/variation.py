"""Plays a check of exchanges once more with other texts, as `variation` does for pages, from another client.

What the check sends or hands over and expects back is replaced in both, letter by letter, so that lengths, capitals,
order and parts stay what they were. A text is left alone when its author said so (`given`) of it or of a part, when it
is a single word (which may be a word of the interface), no plain words at all, or when something expected seems to be
made of it, as a count under a name is made of lines of names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from pydantic import JsonValue

from harness.verify.echoes import GROWN, LEAST, begins, has, rest_of, seems_made_of, within
from harness.verify.exchanges.items import ExchangeItem, Expected, Request, Run, mapped
from harness.verify.judge import fold
from harness.verify.program import Program
from harness.verify.variation import Variation, choose, is_plain, said

if TYPE_CHECKING:
    from harness.verify.check import Check, Contract
    from harness.verify.pages import Site
    from harness.verify.playing import ReplayResult
    from harness.verify.replay import Replayer

_QUOTED = re.compile(r"\"([^\"\n]+)\"|'([^'\n]+)'")
_LETTER = re.compile(r"[^\W\d_]")
_NAMES = ("unchanged", "changed", "golden", "json_type", "status", "content_type")
"""Expectations whose value is no text of the project's."""


async def exchanges_fail_with_other_texts(
    replayer: Replayer, check: Check, site: Site, seed: str, steps: Sequence[str]
) -> ReplayResult | None:
    """Play a check that passes with other texts; returns what failed twice, or None. Only that leaves evidence.

    Args:
        replayer: what all replays share.
        check: passes on the site.
        site: where.
        seed: the same for the same tree, unknown to whoever writes it.
        steps: the feature's own lines, for the words of a failure.

    Raises: ShellError: a fault of ours.
    """
    quiet = replace(replayer, evidence_dir=None)  # what passes here must not take the place of the proof's evidence
    texts, given = sampled(check.contract), frozenset(entered(check.contract))
    own = {
        value for value in map(fold, expected_texts(check.contract)) if value not in given and _is_within(value, texts)
    }
    for keep in [set[str](), *([own] if own else [])]:  # then what may be the project's own word is left alone
        other = Others(choose(texts, seed, keep), given)
        result = await _played(quiet, check, other, site, steps)
        if result.passed:
            return None
    result = await _played(replayer, check, other, site, steps)
    if result.passed:
        return None
    if not result.items:  # it did not start: that has nothing to do with the texts
        return result
    first, _, rest = result.reason.partition("\n")
    place = "in another directory" if isinstance(site.instance, Program) else "from another client"
    told = said(other.variation, place)
    return replace(result, reason=f"With other texts: {first}\n{told}\n{rest}")


async def _played(replayer: Replayer, check: Check, other: Others, site: Site, steps: Sequence[str]) -> ReplayResult:
    varied = check.model_copy(update={"contract": other.contract(check.contract)})
    with _as_another(site):
        return await replayer.replay(varied, {}, site, purpose="vary", steps=steps, pictures=False)


def _is_within(value: str, texts: Collection[str]) -> bool:
    """Whether it is a part of a text, by whole words, and not the text itself."""
    return any(within(value, text) and value != text for text in texts)


@contextmanager
def _as_another(site: Site) -> Iterator[None]:
    """Another client, another working directory."""
    asked = [each for each in (site.client, site.instance) if each is site.client or isinstance(each, Program)]
    known: list[Any] = [each for each in asked if each is not None]
    for each in known:
        each.is_other = True
    try:
        yield
    finally:
        for each in known:
            each.is_other = False


@dataclass(frozen=True)
class Others:
    """A contract with other texts."""

    variation: Variation
    entered: frozenset[str]
    """All texts the check enters."""

    def contract(self, contract: Contract) -> Contract:
        """The whole contract."""
        items = tuple(
            self._item(item) if isinstance(item, Request | Run | Expected) else item for item in contract.items
        )
        return contract.model_copy(update={"items": items})

    def of(self, text: str) -> str:
        """A text, line by line; one that is part of a replaced text, by its letters, goes with it."""
        return "".join(self._line(line) for line in text.splitlines(keepends=True))

    def _line(self, line: str) -> str:
        text = fold(line)
        if text in self.entered and any(_begins_a_word(text, each) for each in self.variation.texts):
            return replace(self.variation, texts=(text, *self.variation.texts)).of(line)
        return self.variation.of(line)

    def _item(self, item: ExchangeItem) -> ExchangeItem:
        if isinstance(item, Request):
            form = None if item.form is None else {name: self._entered(item, text) for name, text in item.form.items()}
            body = mapped(item.body, lambda text: self._entered(item, text))
            text = None if item.text is None else self._entered(item, item.text)
            return item.model_copy(update={"path": self._path(item.path), "body": body, "form": form, "text": text})
        if isinstance(item, Run):
            head, rest = item.command[:2], item.command[2:]
            first = tuple(word if is_word(word) else self._entered(item, word) for word in head)
            command = (*first, *(self._entered(item, word) for word in rest))
            files = {name: self._entered(item, text) for name, text in item.files.items()}
            return item.model_copy(
                update={"command": command, "files": files, "stdin": self._entered(item, item.stdin)}
            )
        if isinstance(item, Expected) and item.expect == "golden":  # kept with the texts as they were
            there = {"expect": "file"} if item.name else {"expect": "output", "match": "matches"}
            return item.model_copy(update={**there, "value": None if item.name else r"\S"})
        if not isinstance(item, Expected) or item.expect in _NAMES:
            return item
        values = tuple(mapped(each, self.of) for each in item.values)
        return item.model_copy(update={"value": mapped(item.value, self.of), "values": values})

    def _entered(self, item: Request | Run, text: str) -> str:
        return text if text in item.given else self.of(text)

    def _path(self, path: str) -> str:
        """Its parts and what is asked for behind them, each read, replaced and escaped again."""
        place, mark, query = path.partition("?")
        parts = [self._escaped(part) for part in place.split("/")]
        asked = [(name, self.of(value)) for name, value in parse_qsl(query, keep_blank_values=True)]
        changed = asked != parse_qsl(query, keep_blank_values=True)
        return "/".join(parts) + mark + (urlencode(asked, safe="{}", quote_via=quote) if changed else query)

    def _escaped(self, part: str) -> str:
        text = unquote(part)
        return part if self.of(text) == text else quote(self.of(text), safe="{}")


def sampled(contract: Contract) -> set[str]:
    """Texts the check enters and expects back, for which any other would do."""
    given = {fold(text) for item in contract.items if isinstance(item, Request | Run) for text in item.given}
    values = list(expected_texts(contract))
    texts = {
        text
        for text in entered(contract)
        if text not in given
        and is_plain(text)
        and not is_word(text)
        and not any(within(part, text) for part in given)
        and any(has(v, text) or (within(v, text) and _LETTER.search(v)) for v in values)
        and not any(_takes_apart(v, text) for v in values)
    }
    rests = {rest_of(value, texts) for value in values}
    texts = {t for t in texts if not any(begins(rest, t) or seems_made_of(rest, t) for rest in rests)}
    return texts - _sorted_among_others(contract, texts)


def _takes_apart(value: str, text: str) -> bool:
    """Whether a word of a text is expected with other words than its own: "apples,8" of "apples 3"."""
    if has(value, text) or within(value, text):
        return False
    return any(has(value, word) for word in text.split() if len(word) >= GROWN and _LETTER.search(word))


def _sorted_among_others(contract: Contract, texts: set[str]) -> set[str]:
    """Texts whose place in an order is expected among texts that stay as they are."""
    orders = [
        [fold(v) for v in e.values if isinstance(v, str)] for _, e in contract.expected() if isinstance(e, Expected)
    ]
    mixed = [order for order in orders if any(not any(has(v, t) for t in texts) for v in order)]
    return {text for text in texts if any(has(value, text) for order in mixed for value in order)}


def entered(contract: Contract) -> list[str]:
    """Every line of every text that requests and commands hand over, in order, each once."""
    found = [text for item in contract.items if isinstance(item, Request | Run) for text in _handed(item)]
    return list(dict.fromkeys(line for text in found for each in text.splitlines() if (line := fold(each))))


def _handed(item: Request | Run) -> Iterator[str]:
    if isinstance(item, Run):
        words = [word for word in item.command[1:] if not word.startswith("-")]
        yield from (*words, item.stdin, *item.files.values())
        for text in (*words, *item.files.values()):  # a small program that uses a library has its texts in quotes
            yield from (found[0] or found[1] for found in _QUOTED.findall(text))
        return
    yield from _texts(item.body)
    yield from (item.form or {}).values()
    yield item.text or ""
    place, _, query = item.path.partition("?")
    yield from (unquote(part) for part in place.split("/"))
    yield from (value for _, value in parse_qsl(query))


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _texts(each)


def expected_texts(contract: Contract) -> Iterator[str]:
    """What is expected of answers, as texts."""
    for _, item in contract.expected():
        if isinstance(item, Expected) and item.expect not in _NAMES:
            yield from _texts(item.value)
            for value in item.values:
                yield from _texts(value)


def is_word(text: str) -> bool:
    """A single word, as the words of an interface are."""
    return " " not in text.strip()


def _begins_a_word(part: str, text: str) -> bool:
    """Whether it may be what somebody enters to find a text: the beginning of one of its words, or more."""
    return len(part) >= LEAST and re.search(rf"(?<![^\W_]){re.escape(part)}", text, re.IGNORECASE) is not None
