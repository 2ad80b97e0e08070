"""Checks and their failures in words.

A person reads what a check does before they trust it; the coder reads what failed before it mends it. Neither sees
the data they come from. Pure: no page, no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.prompts import fence
from harness.verify.check import Act, Contract, Expectation, Flow, Item, Locator, PageItem
from harness.verify.exchanges import words as exchanges
from harness.verify.exchanges.items import ITEMS, Expected
from harness.verify.judge import LEAST_RATIO, quote

PAGE_CHARACTERS = 1500
LOG_CHARACTERS = 1500
LINES_SHOWN = 5

_DULL = re.compile(r"\"[A-Z]+ \S+ HTTP/[\d.]+\" [23]\d\d\b|/favicon\.ico\b")
_MISSING = re.compile(r"code 404, message")
"""What Python's own server says before its line about the request."""
_MATCH = {"is": "to be", "exact": "to be exactly", "contains": "to contain", "matches": "to match"}
_SIDES = {"right_of": "to the right of", "left_of": "to the left of", "below": "below", "above": "above"}
_KEPT = {"text": "text", "count": "number", "value": "value"}


def show(contract: Contract, steps: Sequence[str] = (), notes: Mapping[int, str] | None = None) -> str:
    """A whole contract, as a list a person can follow.

    Args:
        contract: what to show.
        steps: the feature's own lines, shown above what belongs to them.
        notes: what is said of an item, by its index.
    """
    lines: list[str] = []
    step = 0
    for number, item in enumerate(contract.items, 1):
        if item.step != step and 0 < item.step <= len(steps):
            lines.append(f"Step {item.step} {quote(steps[item.step - 1], folded=False)}")
        step = item.step
        assumed = " (assumed)" if isinstance(item, Expectation | Expected) and item.source == "assumed" else ""
        note = (notes or {}).get(number - 1, "")
        lines.append(f"  {number}. {phrase(item, contract.targets)}{assumed}{f' [{note}]' if note else ''}")
    return "\n".join(lines)


def flow(name: str, flow: Flow) -> str:
    """A flow with what it does: its name and description, then its acts."""
    acts = (f"  {phrase(act, flow.targets)}" for act in flow.items)
    return "\n".join([f"{name}: {flow.description}", *acts])


def phrase(item: Item, targets: Mapping[str, str]) -> str:
    """One item as a sentence without a full stop."""
    if isinstance(item, ITEMS):
        return exchanges.phrase(item)
    words = _act(item, targets) if isinstance(item, Act) else f"expect {expected(item, targets)}"
    return f"{item.user}: {words}" if item.user else words[0].upper() + words[1:]


def expected(item: Expectation, targets: Mapping[str, str]) -> str:
    """What an expectation expects: `the item "Buy milk" to be visible`."""
    what = _named(item.target, targets)
    value = quote(item.value or "", folded=item.match != "exact")
    compared = f"{_MATCH[item.match]} {value}"
    kept = f"the {_KEPT[item.what]} of {what}"
    holding = f", its content {compared}" if item.value is not None else ""
    phrases = {
        "visible": f"{what} to be visible",
        "hidden": f"{what} not to be visible",
        "text": f"the text of {what} {compared}",
        "value": f"the value of {what} {compared}",
        "checked": f"{what} to be checked",
        "unchecked": f"{what} not to be checked",
        "enabled": f"{what} to be enabled",
        "disabled": f"{what} to be disabled",
        "focused": f"{what} to have the focus",
        "count": f"{item.number} of {what} to be visible",
        "order": f"{what} in this order: {', '.join(quote(text) for text in item.values)}",
        "url": f"the address {compared}",
        "title": f"the page's title {compared}",
        "attribute": f"the attribute {item.name} of {what} {compared}",
        "style": f"the style {item.name} of {what} {compared}",
        "struck_through": f"{what} to be struck through",
        "not_struck_through": f"{what} not to be struck through",
        "unchanged": f"{kept} to be as remembered ({value})",
        "changed": f"{kept} to differ from what was remembered ({value})",
        "in_viewport": f"{what} to be in view without scrolling",
        "no_overflow": f"{what if item.target else 'the page'} not to overflow",
        "dialog": f"a dialog whose message is {value}" if item.match == "is" else f"a dialog's message {compared}",
        "console_clean": "no errors in the console",
        "no_failed_requests": "no failed requests",
        "download": f"a file {quote(item.name or '')} to be downloaded{holding}",
        "clipboard": f"the clipboard {compared}",
        "request": f"a request {item.name}{_told_of_request(item, compared)}",
        "not_covered": f"nothing to cover any part of {what}",
        "contrast": f"the words of {what} to have a contrast of at least {item.ratio or LEAST_RATIO:g}",
        "looks_like": f"{what} to look like the picture {value}{_but(item, targets)}",
        "each": f"each of {what} {_inner(item, targets)}",
        "none": f"none of {what} {_inner(item, targets)}",
        **{side: f"{what} to be {where} {_named(item.to, targets)}" for side, where in _SIDES.items()},
        "in_place_of": f"{what} to be where {_named(item.to, targets)} was",
        "highlighted": f"{what} to stand out among its siblings",
        "selected": f"{what} to be selected",
        "not_selected": f"{what} not to be selected",
        "controls_named": "every control to have a name",
    }
    return phrases[item.expect]


def _told_of_request(item: Expectation, compared: str) -> str:
    body = f", its body {compared}" if item.value is not None else ""
    return body + (f", answered with {item.number}" if item.number is not None else "")


def _inner(item: Expectation, targets: Mapping[str, str]) -> str:
    """What is expected of each match."""
    if item.that == "text":
        return f"{_MATCH[item.match].replace('to be', 'to say')} {quote(item.value or '')}"
    if item.that == "part":
        return f"to show {_named(item.part, targets)}"
    words = (item.that or "").replace("_", " ")
    return f"not to be {words[4:]}" if words.startswith("not ") else f"to be {words}"


def _but(item: Expectation, targets: Mapping[str, str]) -> str:
    return f", except {', '.join(_named(name, targets) for name in item.masks)}" if item.masks else ""


def _act(item: Act, targets: Mapping[str, str]) -> str:
    what = _named(item.target, targets)
    value = quote(item.value or "", folded=False)  # blanks may be what it is about
    there = f" in {what}" if item.target else ""
    phrases = {
        "navigate": f"open {value}",
        "reload": "reload the page",
        "back": "go back",
        "forward": "go forward",
        "click": f"click {what}",
        "double_click": f"double-click {what}",
        "right_click": f"right-click {what}",
        "hover": f"move the mouse over {what}",
        "fill": f"fill {what} with {value}",
        "type": f"type {value}{there}",
        "press": f"press {item.value}{there}",
        "check": f"check {what}",
        "uncheck": f"uncheck {what}",
        "select": f"select {value}{there}",
        "upload": f"upload the file {quote(item.name or 'file')}{there}",
        "drag": f"drag {what} onto {_named(item.to, targets)}",
        "answer_dialog": f"answer the next dialog with {value}",
        "viewport": f"make the window {item.value}",
        "remember": f"remember the {_KEPT[item.what]} of {what} as {value}",
        "restart": "restart the application",
        "switch_tab": {"new": "go to the new tab", "main": "go to the first tab"}.get(
            item.value or "", f"go to the tab {value}"
        ),
        "close_tab": "close the tab",
        "offline": "take the network away" if item.value == "on" else "give the network back",
        "slow": "make the network slow" if item.value == "on" else "make the network fast again",
        "clock": f"set the clock of the pages to {value}",
        "flow": f"do as always: {item.value}",
    }
    return phrases[item.act]


def _named(target: str | None, targets: Mapping[str, str]) -> str:
    return targets.get(target, target) if target else "the page"


def locator_words(locator: Locator | None) -> str:
    """A locator on one line: `role=listitem text="Buy milk" inside(role=list)`."""
    if locator is None:
        return "not bound"
    words = []
    for key, value in locator.model_dump(exclude_defaults=True, exclude={"inside", "has", "around", "beside"}).items():
        words.append(f"{key}={quote(value) if isinstance(value, str) and key != 'role' else value}")
    nested = {"inside": locator.inside, "has": locator.has, "beside": locator.beside}
    words += [f"{key}({locator_words(inner)})" for key, inner in nested.items() if inner]
    if locator.around:
        words.append(f"around({'; '.join(locator_words(inner) for inner in locator.around)})")
    return " ".join(words)


def failure(
    item: PageItem,
    targets: Mapping[str, str],
    *,
    seen: str,
    steps: Sequence[str] = (),
    locator: Locator | None = None,
    page: str = "",
    console: Sequence[str] = (),
    failed_requests: Sequence[str] = (),
    log: str = "",
) -> str:
    """One failure in words the coder can act on, what it was told first.

    Args:
        item: what failed.
        targets: names and what they are.
        seen: what was there instead, or why the act could not be done.
        steps: the feature's own lines.
        locator: how the target was looked for.
        page: what the page shows, cut here.
        console: errors of the page.
        failed_requests: requests that failed.
        log: the application's output, its end is kept.
    """
    where = exchanges.step_words(item.step, steps)
    if isinstance(item, Act):
        head = f"{where}: could not {_act(item, targets)}: {seen}."
    else:
        head = f"{where}: expected {expected(item, targets)}; seen: {seen}."
    who = f"User: {item.user}" if item.user else ""
    found_by = f"Locator: {locator_words(locator)}" if locator else ""
    said = [_block("Console errors", console), _block("Failed requests", failed_requests)]
    said += [_cut("Page shows", page, PAGE_CHARACTERS), _tail("Server log", telling(log), LOG_CHARACTERS)]
    foreign = "\n".join(part for part in said if part)
    parts = [head, who, found_by, fence(foreign, "the page and the server") if foreign else ""]
    return "\n".join(part for part in parts if part)


def telling(log: str) -> str:
    """A server's log without the lines that say a request was answered well, or that a favicon is missing."""
    kept: list[str] = []
    for line in log.splitlines():
        if not _DULL.search(line):
            kept.append(line)
        elif kept and _MISSING.search(kept[-1]) and "favicon" in line:
            kept.pop()  # it told of the same request
    return "\n".join(kept)


def _block(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = [f"  … and {len(lines) - LINES_SHOWN} more"] if len(lines) > LINES_SHOWN else []
    return "\n".join([f"{title}:", *(f"  {line[:300]}" for line in lines[:LINES_SHOWN]), *more])


def _cut(title: str, text: str, limit: int) -> str:
    shown = text.strip()
    return f"{title}:\n{shown[:limit]}{'…' if len(shown) > limit else ''}" if shown else ""


def _tail(title: str, text: str, limit: int) -> str:
    shown = text.strip()
    return f"{title} (end):\n{'…' if len(shown) > limit else ''}{shown[-limit:]}" if shown else ""
