"""What code can hold a contract of exchanges to before any code of the feature exists; `verify.lint` is of pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.features import Feature
from harness.plan_rules import must_be_seen
from harness.verify.echoes import has
from harness.verify.exchanges.files import is_inside
from harness.verify.exchanges.items import (
    OF_COMMANDS,
    OF_REQUESTS,
    Expected,
    Remember,
    Request,
    RestartService,
    Run,
    place_of,
    place_problem,
)
from harness.verify.exchanges.variation import entered, expected_texts, is_word
from harness.verify.judge import fold_case
from harness.verify.variation import is_plain

if TYPE_CHECKING:
    from harness.verify.check import Contract

_RESTARTS = re.compile(r"\brestart(?:s|ed|ing)?\b", re.IGNORECASE)
_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SHELL = {"|", "||", "&&", ";", ">", ">>", "<", "2>", "2>&1", "&"}
_OWN_ENV = re.compile(r"(LD_.*|PATH|HOME|PYTHONPATH|NODE_PATH|HARNESS_.*|BASH_ENV|ENV|IFS)")
"""Variables that decide what runs and where, which are the harness's to set."""
_NUMBER = re.compile(r"(?<![\w.])(?<!\w-)\d+(?:\.\d+)?(?!\w|\.\d|-\d)")
"""None that is part of a name, a version or a date."""
_ANY_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_CALCULATED = ("body", "output", "line", "line_order", "file", "json", "json_some", "json_each", "json_order")
_TEXTS = ("body", "output", "errors", "line", "file", "json", "json_some", "json_each", "json_order", "line_order")


def lint_exchanges(contract: Contract, feature: Feature, text: str) -> list[str]:
    """Everything wrong with a contract; empty when it may be agreed.

    Args:
        contract: as its author wrote it.
        feature: the feature it is for.
        text: all that may be quoted, with blanks and letters folded.
    """
    return [
        *_wrong_order(contract),
        *_wrong_steps(contract, feature),
        *_unwitnessed(contract),
        *_not_quoted(contract, text),
        *_not_remembered(contract),
        *_wrong_values(contract),
        *_words_of_an_interface(contract),
        *_calculated_once(contract),
    ]


def _wrong_order(contract: Contract) -> Iterator[str]:
    if not isinstance(contract.items[0], Request | Run):
        yield "items[0]: the first item asks something (request or run); nothing is answered before it."
    if not isinstance(contract.items[-1], Expected):
        yield "the last item is an act; after the last act there must be an expectation that shows what it did."
    of_requests, is_restarted = False, False
    for index, item in enumerate(contract.items):
        if isinstance(item, Request | Run | RestartService):
            of_requests, is_restarted = isinstance(item, Request), isinstance(item, RestartService)
        if is_restarted and not isinstance(item, RestartService):
            yield f"items[{index}]: nothing was asked since the restart; ask first, then expect."
            continue
        alien = OF_COMMANDS if of_requests else OF_REQUESTS
        if isinstance(item, Expected) and item.expect in alien:
            yield f"items[{index}]: the answer of a {'request' if of_requests else 'command'} has no {item.expect}."


def _wrong_steps(contract: Contract, feature: Feature) -> Iterator[str]:
    last = len(feature.steps)
    for index, item in enumerate(contract.items):
        if item.step > last:
            yield f"items[{index}]: there is no step {item.step}; the feature has {last}."
    expected = {item.step for _, item in contract.expected()}
    restarts = any(isinstance(item, RestartService) for item in contract.items)
    is_served = any(isinstance(item, Request) for item in contract.items)
    for number, step in enumerate(feature.steps, 1):
        if must_be_seen(step) and number not in expected:
            yield f"step {number} says what is seen ({step!r}) but no expectation has step {number}."
        if is_served and _RESTARTS.search(step) and not restarts:
            yield f"step {number} restarts the service ({step!r}) but there is no act restart_service."


def _unwitnessed(contract: Contract) -> Iterator[str]:
    """What is absent must be there at another moment, else a misspelt name would do."""
    there = [item for item in contract.items if isinstance(item, Expected) and not item.says_absent]
    kept = {item.at for item in contract.items if isinstance(item, Remember)}
    named = {(item.expect, item.name) for item in there}
    places = {item.at for item in there} | kept
    values = list(_all_texts(there))
    for index, item in contract.expected():
        if not isinstance(item, Expected) or not item.says_absent:
            continue
        is_there = {
            "no_header": ("header", item.name) in named,
            "no_file": ("file", item.name) in named,
            "json_absent": item.at in places,
            "json_count": any(place and _is_in(item.at or "", place) for place in places),
            "lines": any(each.expect in ("line", "lines", "output", "line_order") for each in there),
        }.get(item.expect, any(has(value, item.text) for value in values) or not isinstance(item.value, str))
        if not is_there:
            what = item.at or item.name or item.text
            yield (
                f"items[{index}]: {what!r} is only ever absent. Expect it to be there at another moment of the check, "
                "or name a thing that is there at another moment."
            )


def _is_in(members: str, place: str) -> bool:
    """Whether a place is the counted members of a list, one of them, or in one."""
    return place == members or place.startswith(f"{members.removesuffix('[*]')}[")


def _all_texts(items: list[Expected]) -> Iterator[str]:
    for item in items:
        yield from (each for each in (item.value, *item.values) if isinstance(each, str))


def _not_quoted(contract: Contract, text: str) -> Iterator[str]:
    handed = [fold_case(text) for text in sorted(entered(contract), key=len, reverse=True)]
    asked = " ".join(handed)
    for index, item in contract.expected():
        if not isinstance(item, Expected) or item.source == "assumed" or item.match == "matches":
            continue
        for literal in _literals(item):
            folded = fold_case(_NAME.sub("", literal)).strip()
            if folded and folded not in text and folded not in asked and not _is_made_of(folded, handed):
                yield (
                    f"items[{index}]: {literal!r} stands neither in the feature's text nor in what the check asked. "
                    'Quote the text exactly, or set source to "assumed".'
                )


def _is_made_of(literal: str, handed: list[str]) -> bool:
    """Whether it is what was handed over, with numbers and marks: `ripe pears: 2`."""
    rest = literal
    for text in handed:
        rest = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "", rest)
    return rest != literal and not any(letter.isalpha() for letter in rest)


def _literals(item: Expected) -> Iterator[str]:
    if item.expect == "status":
        yield item.text.rstrip("x") if item.text.isdecimal() else ""
    if item.expect in _TEXTS:
        yield from _all_texts([item])


def _not_remembered(contract: Contract) -> Iterator[str]:
    kept = {"project"}
    for index, item in enumerate(contract.items):
        if isinstance(item, Remember):
            kept.add(item.name)
        if isinstance(item, Request) and (unknown := set(_NAME.findall(item.path)) - kept):
            yield f"items[{index}]: nothing was remembered as {sorted(unknown)[0]!r} before; add a remember act."
        if isinstance(item, Expected) and item.expect in ("unchanged", "changed") and item.text not in kept:
            yield f"items[{index}]: nothing was remembered as {item.text!r} before; add a remember act."


def _wrong_values(contract: Contract) -> Iterator[str]:
    for index, item in enumerate(contract.items):
        checks: list[Any] = [(Request, _wrong_request), (Run, _wrong_run), (Expected, _wrong_expectation)]
        for kind, why in checks:
            if isinstance(item, kind):
                yield from (f"items[{index}]: {each}" for each in why(item))
        if isinstance(item, Expected | Remember) and (problem := place_problem(item)):
            yield f"items[{index}]: {problem}."


def _wrong_request(item: Request) -> Iterator[str]:
    if not re.match(r"/(?!/)", item.path) and not _NAME.fullmatch(item.path):
        yield f"path begins with a single '/', or is one remembered address such as '{{next}}', not {item.path!r}."
    if item.until and item.method not in ("GET", "HEAD"):
        yield "until asks again and again; only a GET may be asked so."
    if any(not re.fullmatch(r"[A-Za-z0-9-]+", name) or "\n" in value for name, value in item.headers.items()):
        yield "a header has a name of letters, digits and -, and a value of one line."


def _wrong_run(item: Run) -> Iterator[str]:
    if "=" in item.command[0] or not item.command[0].strip():
        yield f"the first word is the program's name, not {item.command[0]!r}; variables go into env."
    if shell := _SHELL & set(item.command):
        yield f"no shell reads the command, so {sorted(shell)[0]!r} means nothing; use stdin, files or another run."
    for path in item.files:
        if not is_inside(path):
            yield f"files lie in the working directory; {path!r} does not."
    for name in item.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or _OWN_ENV.fullmatch(name):
            yield f"env cannot set {name!r}."


def _wrong_expectation(item: Expected) -> Iterator[str]:
    if item.match == "matches":
        try:
            re.compile(item.text)
        except re.error as exc:
            yield f"{item.text!r} is not a regular expression: {exc}."
    if item.match == "contains" and isinstance(item.value, str) and not item.value.strip():
        yield "a blank text is contained in every text; expect the text itself."
    if item.expect == "status" and not re.fullmatch(r"[1-5](\d\d|xx)", item.text):
        yield f"status takes 201 or a class such as 4xx, not {item.text!r}."
    if item.expect == "json_type" and item.text not in _TYPES:
        yield f"json_type takes one of {', '.join(_TYPES)}, not {item.text!r}."
    if item.expect in ("json_count", "json_each", "json_order") and not place_problem(item):
        place = place_of(item)
        if place and place.is_one:
            yield f"{item.at!r} leads to one value; end it with [*] to mean each of a list."
    if item.expect == "file" and not is_inside(item.name or ""):
        yield f"files lie in the working directory; {item.name!r} does not."


_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")


def _words_of_an_interface(contract: Contract) -> Iterator[str]:
    """A single word may be a text or a word of the interface; which it is, only the author knows."""
    given = {text for item in contract.items if isinstance(item, Request | Run) for text in item.given}
    values = list(expected_texts(contract))
    for text in entered(contract):
        if text not in given and is_word(text) and is_plain(text) and any(has(value, text) for value in values):
            yield (
                f"{text!r} is asked and expected back, and may be a word of the interface. If any other text would do, "
                "take one of two words; if only this works, name it in `given` of each act."
            )


def _calculated_once(contract: Contract) -> Iterator[str]:
    """A number that is nowhere handed over is calculated; to one question one fixed answer would do."""
    acts = [item for item in contract.items if isinstance(item, Request | Run)]
    handed = {float(number) for act in acts for number in _ANY_NUMBER.findall(act.model_dump_json(exclude={"step"}))}
    answers: dict[str, set[tuple[float, ...]]] = {}
    asked: dict[tuple[str, int], tuple[int, float, str]] = {}
    question, shape, given = "", "", 0
    for index, item in enumerate(contract.items):
        if isinstance(item, Request | Run):
            question, shape, given = item.model_dump_json(exclude={"step"}), _shape(item), given + _hands_over(item)
        elif given and isinstance(item, Expected) and (numbers := _numbers(item)):
            answers.setdefault(shape, set()).add(tuple(numbers))
            if calculated := [number for number in numbers if number not in handed]:
                asked.setdefault((question, given), (index, calculated[0], shape))
    if len(asked) != 1:
        return
    [(index, number, shape)] = asked.values()
    if len(answers[shape]) == 1:
        yield (
            f"items[{index}]: {number:g} is handed over nowhere, so it is calculated, and is asked for once: what "
            "always answers so would pass. Ask a second time, with other inputs or after one more change, and expect "
            "that number too."
        )


def _numbers(item: Expected) -> list[float]:
    if item.expect not in _CALCULATED or item.says_absent or item.match == "matches":
        return []
    texts = [each if isinstance(each, str) else str(each) for each in (item.value, *item.values)]
    return [float(number) for text in texts for number in _NUMBER.findall(text)]


def _shape(item: Request | Run) -> str:
    """What is asked, without what is handed over."""
    return " ".join(item.command[:2]) if isinstance(item, Run) else f"{item.method} {item.path.partition('?')[0]}"


def _hands_over(item: Request | Run) -> bool:
    """Whether it gives anything that an answer could be calculated from, or that changes what is there."""
    if isinstance(item, Run):
        return bool(item.stdin or item.files or len(item.command) > 2)
    return item.body is not None or bool(item.form or item.text or "?" in item.path)
