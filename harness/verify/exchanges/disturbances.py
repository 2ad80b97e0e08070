"""Answers that could make an expectation fail, so that one that nothing moves is found out.

Each is the answer as it came but for what the expectation is about: a value is swapped, not taken away, where that
would move an expectation that any value fulfils. Pure: a disturbed answer is another answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import JsonValue

from harness.verify.disturbances import ODD
from harness.verify.exchanges.answer import Answer, NoJson
from harness.verify.exchanges.items import Expected
from harness.verify.exchanges.judge import Scene, type_of
from harness.verify.exchanges.places import Location, Place, with_value, without

ODD_NUMBER = 4711

Disturbed = tuple[str, Answer]
"""What was done, and the answer that came of it."""


def disturbed(expected: Expected, scene: Scene) -> Iterator[Disturbed]:
    """Answers in the place of the one that came, the most telling first.

    What must be absent is put back by `proof`, as it was at another moment of the check.
    """
    answer = scene.answer
    if answer is None:
        return
    if expected.at is not None:
        try:
            yield from _of_json(expected, answer, scene)
        except (NoJson, RecursionError, ValueError):  # a number can be too long to be written
            return
    elif make := _OTHERS.get(expected.expect):
        yield from make(expected, answer)
    elif expected.expect in ("unchanged", "golden"):
        yield from _whole(expected, answer)
    elif expected.expect == "changed" and isinstance(kept := scene.kept.get(expected.text), str):
        yield "change back", _with_whole(expected, answer, kept)


# --- JSON ---


def _of_json(expected: Expected, answer: Answer, scene: Scene) -> Iterator[Disturbed]:
    data, name = answer.data, expected.expect
    found = Place(expected.at or "$").find(data)
    if name == "json_count":
        yield from _other_counts(data, found, answer)
    elif name == "json_order":
        yield "reverse order", _json(answer, _all_at(data, [at for at, _ in found], [v for _, v in reversed(found)]))
    elif name in ("json_exists", "json_type") and found:
        swapped = [_of_other_type(value) for _, value in found]
        yield "remove value", _json(answer, _without_all(data, [at for at, _ in found]))
        if name == "json_type":
            yield "swap type", _json(answer, _all_at(data, [at for at, _ in found], swapped))
    elif name == "changed":
        kept = scene.kept.get(expected.text)
        yield "change back", _json(answer, _all_at(data, [at for at, _ in found], [kept for _ in found]))
    elif name in ("json", "json_some", "json_each", "unchanged"):
        yield "swap value", _json(answer, _all_at(data, [at for at, _ in found], [_odd(value) for _, value in found]))


def _other_counts(data: Any, found: Sequence[tuple[Location, Any]], answer: Answer) -> Iterator[Disturbed]:
    if found:
        yield "remove one", _json(answer, without(data, found[-1][0]))


def _all_at(data: Any, places: Sequence[Location], values: Sequence[Any]) -> JsonValue:
    for at, value in zip(places, values, strict=True):
        data = with_value(data, at, value)
    changed: JsonValue = data
    return changed


def _without_all(data: Any, places: Sequence[Location]) -> JsonValue:
    """From the last on, so that the places of those before stay what they are."""
    for at in sorted(places, key=str, reverse=True):
        data = without(data, at)
    changed: JsonValue = data
    return changed


def _odd(value: Any) -> JsonValue:
    """Another value of the same type, which no contract expects."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + ODD_NUMBER
    if isinstance(value, list):
        return [ODD]
    return {ODD: ODD} if isinstance(value, dict) else ODD


def _of_other_type(value: Any) -> JsonValue:
    return ODD_NUMBER if type_of(value) == "string" else ODD


def _json(answer: Answer, data: Any) -> Answer:
    return replace(answer, text=json.dumps(data, ensure_ascii=False))


# --- everything else ---


def _status(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    """The neighbour of an exact status; of a class, another class."""
    status = answer.status or 0
    other = status + 100 if status < 500 else status - 100
    yield "swap status", replace(answer, status=status + 1 if expected.text.isdecimal() else other)


def _header(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    name = (expected.name or "content-type").lower()
    rest = tuple((each, value) for each, value in answer.headers if each.lower() != name)
    if expected.value is None:
        yield "drop header", replace(answer, headers=rest)
    else:
        yield "swap header", replace(answer, headers=(*rest, (name, ODD)))


def _text(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    yield "swap text", replace(answer, errors=ODD) if expected.expect == "errors" else replace(answer, text=ODD)


def _streamed(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    yield (
        "send all at once",
        replace(answer, parts=tuple(replace(part, at_seconds=answer.end_seconds) for part in answer.parts)),
    )


def _exit_code(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    yield "swap exit code", replace(answer, exit_code=(answer.exit_code or 0) + 1)


def _line(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    """Each line swapped: to take all away would move an expectation that any line fulfils."""
    yield "swap lines", replace(answer, text="\n".join(ODD for _ in answer.lines))


def _lines(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    yield "add a line", replace(answer, text=f"{answer.text}\n{ODD}\n")


def _line_order(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    yield "reverse order", replace(answer, text="\n".join(reversed(answer.lines)))
    yield "swap lines", replace(answer, text="\n".join(ODD for _ in answer.lines))


def _file(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    name = expected.name or ""
    if expected.value is None:
        yield "remove file", replace(answer, files={n: text for n, text in answer.files.items() if n != name})
    else:
        yield "change file", replace(answer, files={**answer.files, name: ODD})


def _whole(expected: Expected, answer: Answer) -> Iterator[Disturbed]:
    yield "swap text", _with_whole(expected, answer, ODD)


def _with_whole(expected: Expected, answer: Answer, text: str) -> Answer:
    if expected.name:
        return replace(answer, files={**answer.files, expected.name: text})
    return replace(answer, text=text)


_OTHERS: dict[str, Callable[[Expected, Answer], Iterator[Disturbed]]] = {
    "status": _status,
    "header": _header,
    "content_type": _header,
    "body": _text,
    "output": _text,
    "errors": _text,
    "streamed": _streamed,
    "exit_code": _exit_code,
    "line": _line,
    "lines": _lines,
    "line_order": _line_order,
    "file": _file,
}
