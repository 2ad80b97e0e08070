"""Whether an expectation holds, decided in one place from what was observed.

Everything here is pure: a page is looked at elsewhere, once, and the same observation always gives the same verdict.
"Seen" is written for the one who has to mend the application: what a person would see instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import regex

from harness.verify.check import Expectation

if TYPE_CHECKING:
    from harness.browser.values import Element, Observation, PageFacts

SHOWN = 3
"""Elements listed in words before "and n more"."""
TEXT_SHOWN = 160
"""Characters of one text quoted in words."""
LEAST_RATIO = 4.5
"""What WCAG 2 asks of text of ordinary size (AA)."""
COLOURS = {
    "black": "#000000", "white": "#ffffff", "red": "#ff0000", "green": "#008000", "blue": "#0000ff",
    "yellow": "#ffff00", "orange": "#ffa500", "purple": "#800080", "gray": "#808080", "grey": "#808080",
    "lime": "#00ff00", "navy": "#000080", "teal": "#008080", "maroon": "#800000", "silver": "#c0c0c0",
    "pink": "#ffc0cb", "brown": "#a52a2a", "cyan": "#00ffff", "magenta": "#ff00ff",
}  # fmt: skip


Box = tuple[float, float, float, float]
"""x, y, width, height in the window."""


@dataclass(frozen=True)
class Likeness:
    """A picture against the one that is kept."""

    share: float
    """Of pixels that differ, 0 to 1."""
    why_not: str = ""
    """Why they cannot be compared; empty when they were."""


@dataclass(frozen=True)
class Kept:
    """What `remember` keeps of a target."""

    text: str
    value: str
    count: int

    def of(self, what: str) -> str:
        """The remembered thing as text, so that all three compare alike."""
        return str(getattr(self, what))


@dataclass(frozen=True)
class Before:
    """How much had happened when the acts began that an expectation follows: what is older is not about them."""

    dialogs: int = 0
    downloads: int = 0
    requests: int = 0


@dataclass(frozen=True)
class Scene:
    """All that one expectation is judged by."""

    observation: Observation | None = None
    """What its target matches; None: it has no target."""
    facts: PageFacts | None = None
    """None: it is not about the page as a whole."""
    memory: Mapping[str, Kept] = field(default_factory=dict)
    base_url: str = ""
    before: Before = Before()
    other: Observation | None = None
    """What `to` matches."""
    place: Box | None = None
    """Where `to` was when it was last seen."""
    likeness: Likeness | None = None
    """How the one visible match compares with the picture that is kept."""


@dataclass(frozen=True)
class Judgement:
    """A verdict on one expectation at one moment."""

    holds: bool
    seen: str
    judged: bool = True
    """False: what it is judged by is missing; that says nothing of the application."""


def judge(expectation: Expectation, scene: Scene) -> Judgement:
    """Decide one expectation."""
    decide = _ON_TARGET.get(expectation.expect)
    if decide:
        return decide(expectation, scene)
    alone = _ON_ONE.get(expectation.expect)
    if alone is None:
        return _ON_PAGE[expectation.expect](expectation, scene)
    visible = visible_of(scene.observation)
    if len(visible) != 1:
        return Judgement(False, describe_matches(scene.observation))
    return alone(expectation, visible[0])


def visible_of(observation: Observation | None) -> list[Element]:
    """The matches a person can see."""
    return [element for element in observation.elements if element.visible] if observation else []


def keep(observation: Observation) -> Kept:
    """What is remembered of the visible matches."""
    seen = visible_of(observation)
    return Kept(" | ".join(e.text for e in seen), " | ".join(e.value or "" for e in seen), len(seen))


def fold(text: str) -> str:
    """Blanks folded."""
    return " ".join(text.split())


def fold_case(text: str) -> str:
    """Blanks and letters folded: equal where a person reads the same words."""
    return fold(text).casefold()


PATTERN_SECONDS = 2.0
"""For a pattern of a contract in one text; what takes longer does not hold."""


def compare(match: str, seen: str, expected: str) -> bool:
    """How a literal compares; `is` and `contains` fold blanks."""
    if match == "matches":
        try:  # a model wrote the pattern and another the text: together they could search for ever
            return regex.search(expected, seen, timeout=PATTERN_SECONDS) is not None
        except (regex.error, TimeoutError):
            return False
    if match == "exact":
        return seen == expected
    folded, wanted = fold(seen), fold(expected)
    return folded == wanted if match == "is" else wanted in folded


def quote(text: str, *, folded: bool = True) -> str:
    """A text in quotation marks, cut; with its blanks folded, or as it stands, on one line."""
    shown = (fold(text) if folded else text.replace("\n", "\\n")) or text  # nothing but blanks is shown as it is
    return f'"{shown[:TEXT_SHOWN]}…"' if len(shown) > TEXT_SHOWN else f'"{shown}"'


def describe_matches(observation: Observation | None) -> str:
    """Why a locator did not give exactly one visible element."""
    if observation is None or not observation.elements:
        return "no element matches"
    visible = visible_of(observation)
    if len(visible) > 1:
        return f"{len(visible)} visible elements match: {_listed([_named(e) for e in visible])}"
    if visible:
        return f"visible: {_named(visible[0])}"
    reasons = _listed(list(dict.fromkeys(element.why_not or "not visible" for element in observation.elements)))
    matches = observation.total
    return f"no visible element matches ({matches} {'match' if matches == 1 else 'matches'}, {reasons})"


def _named(element: Element) -> str:
    words = element.name or element.text
    return f"{element.role or element.html.split('>')[0] + '>'} {quote(words)}" if words else element.html


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


# --- expectations about all matches ---------------------------------------------------------------------------------


def _visible(expectation: Expectation, scene: Scene) -> Judgement:
    return Judgement(len(visible_of(scene.observation)) == 1, describe_matches(scene.observation))


def _hidden(expectation: Expectation, scene: Scene) -> Judgement:
    return Judgement(not visible_of(scene.observation), describe_matches(scene.observation))


def _count(expectation: Expectation, scene: Scene) -> Judgement:
    visible = visible_of(scene.observation)
    shown = f": {_listed([_named(e) for e in visible])}" if visible else ""
    return Judgement(len(visible) == expectation.number, f"{len(visible)} visible{shown}")


def _order(expectation: Expectation, scene: Scene) -> Judgement:
    """The elements that hold one of the values are as many as the values, and pair up with them in order."""
    texts = [fold(element.text or element.value or "") for element in visible_of(scene.observation)]
    values = [fold(value) for value in expectation.values]
    concerned = [text for text in texts if any(text in _holders(value, texts) for value in values)]
    paired = [value in text for value, text in zip(values, concerned, strict=False)]
    seen = ", ".join(quote(text) for text in texts) or "no visible element matches"
    return Judgement(len(concerned) == len(values) and all(paired), seen)


def _holders(value: str, texts: Sequence[str]) -> list[str]:
    """Texts equal to the value, or else those that contain it: "1" is not looked for in "10" when there is a "1"."""
    return [text for text in texts if text == value] or [text for text in texts if value in text]


def _unchanged(expectation: Expectation, scene: Scene) -> Judgement:
    before, now = _then_and_now(expectation, scene)
    return Judgement(before is not None and before == now, _change(expectation, before, now, scene))


def _changed(expectation: Expectation, scene: Scene) -> Judgement:
    before, now = _then_and_now(expectation, scene)
    return Judgement(None not in (before, now) and before != now, _change(expectation, before, now, scene))


def _then_and_now(expectation: Expectation, scene: Scene) -> tuple[str | None, str | None]:
    """Remembered and present; None where there is nothing to compare."""
    kept = scene.memory.get(expectation.value or "")
    before = kept.of(expectation.what) if kept else None
    comparable = expectation.what == "count" or len(visible_of(scene.observation)) == 1
    now = keep(scene.observation).of(expectation.what) if scene.observation and comparable else None
    return before, now


def _change(expectation: Expectation, before: str | None, now: str | None, scene: Scene) -> str:
    if before is None:
        return f"nothing was remembered as {quote(expectation.value or '')}"
    if now is None:
        return describe_matches(scene.observation)
    return f"{quote(now)}, before it was {quote(before)}"


# --- expectations about the one visible match -----------------------------------------------------------------------


def _text(expectation: Expectation, element: Element) -> Judgement:
    if expectation.match == "exact":
        raw = element.text if element.raw is None else element.raw
        return Judgement(raw == expectation.value, json.dumps(raw[:TEXT_SHOWN], ensure_ascii=False))
    seen = quote(element.text)
    if not element.text and element.value:
        seen = f"no text, but the value {quote(element.value)}"
    return Judgement(compare(expectation.match, element.text, expectation.value or ""), seen)


def _value(expectation: Expectation, element: Element) -> Judgement:
    if element.value is None:
        return Judgement(False, f"it has no value: {_named(element)}")
    return Judgement(compare(expectation.match, element.value, expectation.value or ""), quote(element.value))


def _checked(expectation: Expectation, element: Element) -> Judgement:
    if element.checked is None:
        return Judgement(False, f"it cannot be checked: {_named(element)}")
    return Judgement(
        element.checked is (expectation.expect == "checked"), "checked" if element.checked else "not checked"
    )


def _enabled(expectation: Expectation, element: Element) -> Judgement:
    return Judgement(element.enabled is (expectation.expect == "enabled"), "enabled" if element.enabled else "disabled")


def _focused(expectation: Expectation, element: Element) -> Judgement:
    return Judgement(element.focused, "it has the focus" if element.focused else "it does not have the focus")


def _struck_through(expectation: Expectation, element: Element) -> Judgement:
    return Judgement(element.struck_through, "struck through" if element.struck_through else "not struck through")


def _in_viewport(expectation: Expectation, element: Element) -> Judgement:
    return Judgement(element.in_viewport, "in the viewport" if element.in_viewport else "outside the viewport")


def _attribute(expectation: Expectation, element: Element) -> Judgement:
    seen = element.attributes.get(expectation.name or "")
    if seen is None:
        return Judgement(False, f"no attribute {expectation.name}")
    return Judgement(compare(expectation.match, seen, expectation.value or ""), quote(seen))


def _not_struck_through(expectation: Expectation, element: Element) -> Judgement:
    return Judgement(not element.struck_through, _struck_through(expectation, element).seen)


def _style(expectation: Expectation, element: Element) -> Judgement:
    seen = element.styles.get(expectation.name or "", "")
    if expectation.match == "is":
        return Judgement(_colour(seen) == _colour(expectation.value or ""), quote(seen))
    return Judgement(compare(expectation.match, seen, expectation.value or ""), quote(seen))


def _colour(text: str) -> str:
    """One spelling for the common ways to write a colour; other styles only lose case and blanks."""
    word = fold(text).lower()
    word = COLOURS.get(word, word)
    if re.fullmatch(r"#[0-9a-f]{3}", word):
        word = "#" + "".join(digit * 2 for digit in word[1:])
    if re.fullmatch(r"#[0-9a-f]{6}", word):
        word = f"rgb({', '.join(str(int(word[i : i + 2], 16)) for i in (1, 3, 5))})"
    return word.replace(" ", "")


def _not_covered(expectation: Expectation, element: Element) -> Judgement:
    return Judgement(element.covered_by == "", f"covered by {element.covered_by}" if element.covered_by else "all free")


def _contrast(expectation: Expectation, element: Element) -> Judgement:
    if element.contrast is None:
        return Judgement(False, f"it has no words whose contrast could be told: {_named(element)}")
    return Judgement(element.contrast >= (expectation.ratio or LEAST_RATIO), f"a contrast of {element.contrast:g}")


def _highlighted(expectation: Expectation, element: Element) -> Judgement:
    if element.standing is None:
        return Judgement(False, "it has no visible siblings to stand out among")
    return Judgement(bool(element.standing), "; ".join(element.standing) or "it looks like its siblings")


def _selected(expectation: Expectation, element: Element) -> Judgement:
    words = {None: "nothing tells whether it is selected", True: "selected", False: "not selected"}
    wanted = expectation.expect == "selected"
    return Judgement((element.selected is True) is wanted, words[element.selected])


# --- expectations about every one of a collection -------------------------------------------------------------------


def _each(expectation: Expectation, scene: Scene) -> Judgement:
    """An empty collection fulfils nothing: what must be gone is expected hidden, or counted."""
    visible = visible_of(scene.observation)
    if not visible:
        return Judgement(False, describe_matches(scene.observation))
    told = [(element, _is_so(expectation, element)) for element in visible]
    wrong = [f"{_named(e)}: {now.seen}" for e, now in told if now.holds is not (expectation.expect == "each")]
    return Judgement(not wrong, _listed(wrong) or f"so it is with all {len(visible)}")


def _is_so(expectation: Expectation, element: Element) -> Judgement:
    """The inner condition of one element."""
    if expectation.that == "part":
        return Judgement(bool(element.parts), "it shows it" if element.parts else "it does not show it")
    inner = expectation.that or "text"
    return _ON_ONE[inner](expectation.model_copy(update={"expect": inner}), element)


# --- expectations about two things ----------------------------------------------------------------------------------


def _placed(expectation: Expectation, scene: Scene) -> Judgement:
    """Beside: in the same row of the page; above and below: anywhere in its height."""
    for observation in (scene.observation, scene.other):
        if len(visible_of(observation)) != 1:
            return Judgement(False, describe_matches(observation))
    here, there = visible_of(scene.observation)[0].box, visible_of(scene.other)[0].box
    beside = min(here[1] + here[3], there[1] + there[3]) - max(here[1], there[1]) > 0
    holds = {
        "right_of": beside and here[0] >= there[0] + there[2] - 1,
        "left_of": beside and here[0] + here[2] <= there[0] + 1,
        "below": here[1] >= there[1] + there[3] - 1,
        "above": here[1] + here[3] <= there[1] + 1,
    }
    return Judgement(holds[expectation.expect], f"it is at {_at(here)}, the other at {_at(there)}")


def _in_place_of(expectation: Expectation, scene: Scene) -> Judgement:
    """It covers half of the smaller of the two places, and the other is not seen any more."""
    visible = visible_of(scene.observation)
    if len(visible) != 1:
        return Judgement(False, describe_matches(scene.observation))
    if scene.place is None:
        return Judgement(False, "the other was not seen before")
    if others := visible_of(scene.other):
        return Judgement(False, f"the other is still there: {_named(others[0])}")
    here, there = visible[0].box, scene.place
    wide = min(here[0] + here[2], there[0] + there[2]) - max(here[0], there[0])
    high = min(here[1] + here[3], there[1] + there[3]) - max(here[1], there[1])
    shared = max(0.0, wide) * max(0.0, high) / max(1.0, min(here[2] * here[3], there[2] * there[3]))
    return Judgement(shared >= 0.5, f"it is at {_at(here)}, the other was at {_at(there)}")


def _at(box: Box) -> str:
    x, y, width, height = (round(edge) for edge in box)
    return f"{x},{y} ({width}x{height})"


def _looks_like(expectation: Expectation, scene: Scene) -> Judgement:
    if len(visible_of(scene.observation)) != 1:
        return Judgement(False, describe_matches(scene.observation))
    likeness = scene.likeness or Likeness(1.0, "no picture was taken")
    if likeness.why_not:
        return Judgement(False, likeness.why_not, judged=False)
    return Judgement(likeness.share <= expectation.tolerance, f"{100 * likeness.share:.1f} % of its pixels differ")


# --- expectations about the page ------------------------------------------------------------------------------------


def _url(expectation: Expectation, scene: Scene) -> Judgement:
    seen = relative_url(scene.facts.url if scene.facts else "", scene.base_url)
    expected = expectation.value or ""
    if expectation.match == "is":
        expected = relative_url(expected, scene.base_url)
    return Judgement(compare(expectation.match, seen, expected), quote(seen))


def relative_url(url: str, base_url: str) -> str:
    """Path, query and fragment of an address of the application; another address as it is."""
    parts = urlsplit(url)
    if parts.netloc and parts.netloc != urlsplit(base_url).netloc:
        return url
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return (parts.path or "/") + query + fragment


def _title(expectation: Expectation, scene: Scene) -> Judgement:
    seen = scene.facts.title if scene.facts else ""
    return Judgement(compare(expectation.match, seen, expectation.value or ""), quote(seen))


def _dialog(expectation: Expectation, scene: Scene) -> Judgement:
    dialogs = scene.facts.dialogs[scene.before.dialogs :] if scene.facts else ()
    holds = any(compare(expectation.match, dialog.message, expectation.value or "") for dialog in dialogs)
    return Judgement(holds, _listed([f"{d.type} {quote(d.message)}" for d in dialogs]) or "no dialog")


def _download(expectation: Expectation, scene: Scene) -> Judgement:
    files = scene.facts.downloads[scene.before.downloads :] if scene.facts else ()
    named = [file for file in files if _stands_for(expectation.name or "", file.name)]
    holds = any(_says(expectation, file.text) for file in named)
    seen = [f"{quote(file.name)} with {quote(file.text, folded=False)}" for file in files]
    return Judgement(holds, _listed(seen) or "no file was downloaded")


def _request(expectation: Expectation, scene: Scene) -> Judgement:
    """One request that has the method and path, and the body and the status where those are expected."""
    asked = [
        (f"{each.method} {relative_url(each.url, scene.base_url)}", each)
        for each in (scene.facts.requests[scene.before.requests :] if scene.facts else ())
    ]
    named = [each for line, each in asked if _stands_for(expectation.name or "", line)]
    holds = any(_says(expectation, each.body) and expectation.number in (None, each.status) for each in named)
    seen = [f"{line} {each.status or 'not answered'} {quote(each.body) if each.body else ''}" for line, each in asked]
    return Judgement(holds, _listed([fold(line) for line in seen]) or "nothing was requested")


def _says(expectation: Expectation, text: str) -> bool:
    return expectation.value is None or compare(expectation.match, text, expectation.value)


def _stands_for(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern whose `*` stands for anything."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name, re.DOTALL) is not None


def _clipboard(expectation: Expectation, scene: Scene) -> Judgement:
    seen = (scene.facts.clipboard if scene.facts else None) or ""
    return Judgement(compare(expectation.match, seen, expectation.value or ""), f"the clipboard holds {quote(seen)}")


def _console_clean(expectation: Expectation, scene: Scene) -> Judgement:
    errors = _but_favicon(scene.facts.console if scene.facts else ())
    return Judgement(not errors, _listed([quote(line) for line in errors]) or "no errors")


def _no_failed_requests(expectation: Expectation, scene: Scene) -> Judgement:
    failed = _but_favicon(scene.facts.failed_requests if scene.facts else ())
    return Judgement(not failed, _listed([quote(line) for line in failed]) or "no failed requests")


def _but_favicon(lines: Sequence[str]) -> list[str]:
    """Browsers ask for the icon on their own; no person misses it."""
    return [line for line in lines if "/favicon.ico" not in line]


def _controls_named(expectation: Expectation, scene: Scene) -> Judgement:
    unnamed = (scene.facts.unnamed_controls if scene.facts else None) or ()
    return Judgement(not unnamed, f"without a name: {_listed(unnamed)}" if unnamed else "every control has a name")


def _no_overflow(expectation: Expectation, scene: Scene) -> Judgement:
    if expectation.target:
        wide = [element for element in visible_of(scene.observation) if element.overflow]
        return Judgement(not wide, _listed([f"{_named(e)} overflows" for e in wide]) or "nothing overflows")
    overflows = scene.facts is not None and scene.facts.overflow_x
    return Judgement(not overflows, "the page scrolls sideways" if overflows else "the page does not scroll sideways")


_ON_TARGET: dict[str, Callable[[Expectation, Scene], Judgement]] = {
    "visible": _visible, "hidden": _hidden, "count": _count, "order": _order,
    "unchanged": _unchanged, "changed": _changed, "each": _each, "none": _each, "right_of": _placed,
    "left_of": _placed, "below": _placed, "above": _placed, "in_place_of": _in_place_of, "looks_like": _looks_like,
}  # fmt: skip
_ON_ONE: dict[str, Callable[[Expectation, Element], Judgement]] = {
    "text": _text, "value": _value, "checked": _checked, "unchecked": _checked, "enabled": _enabled,
    "disabled": _enabled, "focused": _focused, "attribute": _attribute, "style": _style,
    "struck_through": _struck_through, "not_struck_through": _not_struck_through, "in_viewport": _in_viewport,
    "not_covered": _not_covered, "contrast": _contrast, "highlighted": _highlighted, "selected": _selected,
    "not_selected": _selected,
}  # fmt: skip
_ON_PAGE: dict[str, Callable[[Expectation, Scene], Judgement]] = {
    "url": _url, "title": _title, "dialog": _dialog, "console_clean": _console_clean,
    "no_failed_requests": _no_failed_requests, "no_overflow": _no_overflow,
    "download": _download, "clipboard": _clipboard, "request": _request,
    "controls_named": _controls_named,
}  # fmt: skip
ABOUT_PAGE = frozenset(_ON_PAGE)
"""Expectations that need the page's facts."""
