"""Whether a locator fits the name it stands for: what code can say about a binding, without any verdict.

A locator fits when it matches one visible element (any number where the name means many), uses no generated name, is
not the whole page, and speaks of the thing it is named after. The answers are words for the binder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.verify.check import Locator
from harness.verify.judge import fold_case

if TYPE_CHECKING:
    from harness.browser.values import Element, Observation

MATCHED_NOTHING = "matched nothing"
SAYS_NOTHING = "which says nothing of"
"""What is told of a locator that finds something other than its name tells: no application mends that."""
AS_ANOTHER = "as does"
"""What is told of a locator whose element another name has too: a question, asked once."""
_GENERATED = re.compile(
    r"\.(?:css|sc|jsx?|emotion|jss|svelte)-[\w-]+"  # what style libraries make
    r"|\.\w+_\w+__[\w-]*[A-Z0-9][\w-]*"  # css modules
    r"|\.[A-Za-z_-]*\d\w*[A-Za-z]\d\w*|\d{6,}"  # hashes, time stamps
    r"|\[data-(?:v-|reactid|emotion)|:r\w*:|#radix-"
)
_WHOLE_PAGE = re.compile(r"<(html|body)\b", re.IGNORECASE)
_LITERAL = re.compile(r"\"([^\"]+)\"|(?<!\w)'([^']+)'(?!\w)|“([^”]+)”")


def locator_problems(locator: Locator) -> list[str]:
    """What makes a locator break at the next build: generated classes and ids, paths of nth children."""
    problems = [
        f"css {part.css!r} uses a generated name; use role and name, label or text."
        for part in _parts(locator)
        if part.css and _GENERATED.search(part.css)
    ]
    if any(part.css and part.css.count(":nth") > 1 for part in _parts(locator)):
        problems.append("a path of nth-children is not a locator; use role and name, label or text.")
    return problems


def is_last_resort(locator: Locator) -> bool:
    """Whether css or a position was needed anywhere."""
    return any(part.css is not None or part.nth is not None for part in _parts(locator))


def _parts(locator: Locator) -> Iterator[Locator]:
    yield locator
    for part in locator.below:
        yield from _parts(part)


def misfit(
    name: str, locator: Locator, observation: Observation, *, many: bool = False, whole_page: bool = False
) -> str:
    """Why a locator cannot stand for a name; empty when it can.

    Args:
        many: the name may mean several elements.
        whole_page: it may mean the page as a whole.
    """
    visible = [element for element in observation.elements if element.visible]
    if problems := locator_problems(locator):
        return problems[0]
    if not visible:
        hidden = f" that a person can see ({_list(observation.elements)})" if observation.elements else ""
        return f"{MATCHED_NOTHING}{hidden}"
    if len(visible) > 1 and not many:
        return f"matched {len(visible)} elements instead of one: {_list(visible)}"
    if not whole_page and any(_WHOLE_PAGE.match(element.html) for element in visible):
        return "matched the whole page; name the thing itself"
    if (literal := _literal(name)) and not _speaks_of(literal, locator, visible):
        return f"matched {_list(visible)}, {SAYS_NOTHING} {literal!r}"
    return ""


def shared(words: Mapping[str, str], observations: Mapping[str, Observation]) -> dict[str, str]:
    """Names whose one element is also that of another name that quotes other words, and why that is doubtful.

    What holds the words of both is often too much: whatever is said of one of them may then be true of the other.

    Args:
        words: name -> what it is, in words.
        observations: name -> what its locator finds now.
    """
    quoted = {name: _literal(name) or _literal(words.get(name, "")) for name in observations}
    single = {
        name: elements[0]
        for name, seen in observations.items()
        if quoted[name] and len(elements := [element for element in seen.elements if element.visible]) == 1
    }
    return {
        name: f"matched {_list([element])}, {AS_ANOTHER} {other!r}. Give what speaks of it alone, or the same again if "
        "both are really this one thing"
        for name, element in single.items()
        for other, its in single.items()
        if (element.html, element.box) == (its.html, its.box) and _are_two(quoted[name], quoted[other], element)
    }


def _are_two(one: str, other: str, element: Element) -> bool:
    one, other, text = fold_case(one), fold_case(other), fold_case(element.text)
    return one not in other and other not in one and one in text and other in text


def _literal(name: str) -> str:
    found = _LITERAL.search(name)
    return next((part for part in found.groups() if part), "") if found else ""


def _speaks_of(literal: str, locator: Locator, visible: Sequence[Element]) -> bool:
    """Whether the locator asks for the text, or what it found shows it."""
    said = [text for part in _parts(locator) for text in _texts(part)]
    said += [text for element in visible for text in (element.text, element.name, element.value or "")]
    return any(fold_case(literal) in fold_case(text) for text in said)


def _texts(part: Locator) -> list[str]:
    pattern = re.sub(r"\\(.)", r"\1", part.pattern or "")
    return [
        part.text or "",
        part.name or "",
        part.label or "",
        part.placeholder or "",
        part.alt or "",
        part.title or "",
        part.css or "",
        pattern,
    ]


def _list(elements: Sequence[Element]) -> str:
    shown = [f"{element.html} {(element.text or element.name)[:60]!r}" for element in elements[:3]]
    return ", ".join(shown) + (", ..." if len(elements) > 3 else "")
