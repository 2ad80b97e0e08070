"""Where a text that a check enters comes back: whole, by some of its words, in part, or in a form made of it.

Only the first three can be written with other letters; a form made of a text (initials, a shortened or reversed text)
is the application's own work, so such a text stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.verify.check import Locator
from harness.verify.judge import fold, fold_case

SHOWN = ("name", "label", "text", "pattern", "placeholder", "alt", "title")
"""Fields of a locator that hold what people see or hear."""
TEXTS = (*SHOWN, "test_id", "css")
"""Fields of a locator that hold texts of the page."""
LEAST = 3
"""Letters of a beginning; fewer happen to be alike."""
GROWN = 4
"""Letters of a word that is part of a longer one, say of its plural."""

_BETWEEN = r"(?:\s|[-_+.]|%20|\\s[+*]?)+"
"""What may stand between the words of a text where it is shown: in an address, in a pattern."""
_START, _END = r"(?:(?<![^\W_])|(?<=\\[bBsSwWdDnrtfv]))", r"(?![^\W_])"
"""A letter may stand before a word when it belongs to an escape of a pattern: `\\nRent`."""
_CUT = re.compile(r"(.*?)\s*(?:…|\.{3})")


def pattern(text: str) -> str:
    """A regular expression for a text as whole words, as it may be written somewhere."""
    return _START + _BETWEEN.join(re.escape(word) for word in text.split()) + _END


def has(whole: str, text: str) -> bool:
    """Whether a text stands somewhere, as whole words."""
    return re.search(pattern(text), whole, re.IGNORECASE) is not None


def within(part: str, text: str) -> bool:
    """Whether a text is a part of an entered one, by whole words: "oat milk" of "Buy oat milk"."""
    return bool(part.strip()) and has(text, part)


def is_part(part: str, text: str) -> bool:
    """Whether a text is in another, by letters: "gro" of "Groceries"."""
    return bool(part.strip()) and fold_case(part) in fold_case(text)


def holds(seen: str | Locator, text: str) -> bool:
    """Whether a text or a locator would change with it."""
    words = texts_of(seen) if isinstance(seen, Locator) else [seen]
    return any(has(each, text) or within(each, text) for each in words)


def texts_of(locator: Locator, fields: Iterable[str] = TEXTS) -> list[str]:
    """All texts a locator looks for."""
    own = [text for field in fields if (text := getattr(locator, field))]
    return own + [text for each in locator.below for text in texts_of(each, fields)]


def rest_of(seen: str, texts: Iterable[str]) -> str:
    """What is left of something seen when all that is replaced in it is taken out."""
    texts = sorted(texts, key=len, reverse=True)
    if any(within(seen, text) for text in texts):
        return ""
    found = "|".join(map(pattern, texts))
    return re.sub(found, " ", seen, flags=re.IGNORECASE) if found else seen


def seems_made_of(rest: str, text: str) -> bool:
    """Whether what whole words do not explain seems to be made of a text."""
    return any((_is_initials(rest, text), _is_cut(rest, text), _is_shuffled(rest, text), _is_grown(rest, text)))


def begins(rest: str, text: str) -> bool:
    """Whether it is the beginning of a text, not by whole words."""
    return len(rest.strip()) >= LEAST and fold_case(text).startswith(fold_case(rest))


def _is_initials(rest: str, text: str) -> bool:
    initials, whole = "".join(word[0] for word in _words(text)), "".join(_words(rest))
    if len(initials) < 2:
        return bool(initials) and whole == initials.upper()
    return whole.lower() == initials.lower() or initials.upper() in _words(rest.replace(".", ""))


def _is_cut(rest: str, text: str) -> bool:
    heads = (fold_case(match[1]) for match in _CUT.finditer(rest))
    return any(begins(head[start:], text) for head in heads for start in range(len(head)))


def _is_shuffled(rest: str, text: str) -> bool:
    letters = sorted("".join(_words(text)).lower())
    return len(letters) >= LEAST and sorted("".join(_words(rest)).lower()) == letters


def _is_grown(rest: str, text: str) -> bool:
    joined = "".join(_words(text)).lower()
    return len(joined) >= GROWN and any(word.lower().startswith(joined) for word in _words(rest.replace("_", "")))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def like(model: str, letters: str) -> str:
    """Letters with the capitals of a model of the same length."""
    return "".join(new.upper() if old.isupper() else new.lower() for old, new in zip(model, letters, strict=True))


def part_of_another(part: str, text: str, other: str) -> str:
    """What stands in the other text where a part stands in the text."""
    start = fold_case(text).index(fold_case(part))
    return like(fold(part), other[start : start + len(fold(part))])


def kin(texts: Iterable[str], of: Iterable[str]) -> Iterator[str]:
    """Those that are in one of the others, or the other way round."""
    others = list(of)
    return (text for text in texts if any(is_part(text, each) or is_part(each, text) for each in others))
