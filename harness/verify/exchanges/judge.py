"""Whether an expectation holds of an answer. Pure: the same answer always gives the same verdict.

"Seen" is written for the one who has to mend the application: what was answered instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from harness.verify.exchanges.answer import Answer, NoJson, as_text
from harness.verify.exchanges.items import OF_COMMANDS, OF_REQUESTS, Expected, place_of
from harness.verify.exchanges.places import Place
from harness.verify.judge import Judgement, compare, quote

GAP_SECONDS = 0.05
"""What is sent at once arrives within less; what is streamed begins so much before it ends."""
SHOWN = 3


@dataclass(frozen=True)
class Scene:
    """All that an expectation is judged by."""

    answer: Answer | None
    """None: nothing was asked yet."""
    kept: Mapping[str, JsonValue] = field(default_factory=dict)
    """What was remembered."""
    golden: str | None = None
    """What is kept under the name of a golden output; None: nothing."""


def judge(expected: Expected, scene: Scene) -> Judgement:
    """Decide one expectation."""
    answer = scene.answer
    if answer is None:
        return Judgement(False, "nothing was answered yet", judged=False)
    alien = OF_COMMANDS if answer.is_of_request else OF_REQUESTS
    if expected.expect in alien:
        return Judgement(False, f"a {'request' if answer.is_of_request else 'command'} has none", judged=False)
    try:
        return _DECIDE[expected.expect](expected, scene, answer)
    except NoJson as exc:  # what must be absent from JSON is not shown to be by an answer that is none
        return Judgement(False, f"{exc} ({brief(answer)})", judged=not expected.says_absent)


def brief(answer: Answer) -> str:
    """An answer on one line, cut."""
    text = quote(answer.text) if answer.text.strip() else "nothing"
    if answer.is_of_request:
        return f"{answer.status} with {text}"
    errors = f", errors {quote(answer.errors)}" if answer.errors.strip() else ""
    return f"exit code {answer.exit_code} and {text}{errors}"


def equal(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return type_of(one) == type_of(other) and one == other


def type_of(value: Any) -> str:
    """The type of a value of JSON; a whole number is a number here."""
    kinds: dict[type, str] = {str: "string", bool: "boolean", int: "number", float: "number", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")


def _fits(match: str, seen: Any, wanted: JsonValue) -> bool:
    """Whether a value of JSON is as expected."""
    if match in ("is", "exact"):
        return equal(seen, wanted)
    if match == "contains" and isinstance(seen, list):
        return any(equal(each, wanted) for each in seen)
    return isinstance(seen, str | int | float) and compare(match, as_text(seen), as_text(wanted))


def _status(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    pattern = expected.text.lower().replace("x", r"\d")
    holds = re.fullmatch(pattern, str(answer.status)) is not None
    return Judgement(holds, f"the status {answer.status}" + ("" if holds else f" with {quote(answer.text)}"))


def _header(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    seen = answer.header(expected.name or "")
    if seen is None:
        return Judgement(False, f"no header {expected.name}")
    return Judgement(expected.value is None or compare(expected.match, seen, expected.text), quote(seen))


def _no_header(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    seen = answer.header(expected.name or "")
    return Judgement(seen is None, f"no header {expected.name}" if seen is None else quote(seen))


def _content_type(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    seen = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    return Judgement(compare(expected.match, seen, expected.text.lower()), quote(seen) if seen else "no content type")


def _text(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    seen = answer.errors if expected.expect == "errors" else answer.text
    if expected.match == "exact":
        seen = seen.removesuffix("\n") if not expected.text.endswith("\n") else seen
    other = f" ({brief(answer)})" if not seen.strip() else ""
    return Judgement(compare(expected.match, seen, expected.text), (quote(seen) if seen.strip() else "nothing") + other)


def _streamed(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    parts, gap = answer.parts, answer.end_seconds - (answer.parts[0].at_seconds if answer.parts else 0)
    enough = len(parts) >= (expected.number or 0)
    seen = f"{len(parts)} parts" + ("" if gap >= GAP_SECONDS else ", all at once")
    return Judgement(enough and gap >= GAP_SECONDS, seen)


# --- JSON ---


def _found(expected: Expected, answer: Answer) -> list[Any]:
    place = place_of(expected)
    assert place is not None  # the language does not allow them without a path
    return [value for _, value in place.find(answer.data)]


def _json(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    if len(found) != 1:
        return Judgement(False, _nothing(expected, answer) if not found else f"{len(found)} values: {_listed(found)}")
    return Judgement(_fits(expected.match, found[0], expected.value), _listed(found))


def _some(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    holds = any(_fits(expected.match, each, expected.value) for each in found)
    return Judgement(holds, _listed(found) or _nothing(expected, answer))


def _none(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    holds = not any(_fits(expected.match, each, expected.value) for each in found)
    return Judgement(holds, _listed(found) or "nothing is there")


def _each(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    """An empty list fulfils nothing: what must be gone is expected absent, or counted."""
    found = _found(expected, answer)
    wrong = [each for each in found if not _fits(expected.match, each, expected.value)]
    return Judgement(bool(found) and not wrong, _listed(wrong or found) or _nothing(expected, answer))


def _exists(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    return Judgement(bool(found), _listed(found) or _nothing(expected, answer))


def _absent(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    return Judgement(not found, _listed(found) or "nothing is there")


def _type(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    if len(found) != 1:
        return Judgement(False, _nothing(expected, answer) if not found else f"{len(found)} values: {_listed(found)}")
    kind = type_of(found[0])
    is_whole = kind == "number" and (isinstance(found[0], int) or found[0].is_integer())
    holds = kind == expected.value or (expected.value == "integer" and is_whole)
    return Judgement(holds, f"{kind} {_listed(found)}")


def _count(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    return Judgement(len(found) == expected.number, f"{len(found)}{': ' if found else ''}{_listed(found)}")


def _order(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    found = _found(expected, answer)
    return Judgement(_in_order(found, expected.values, equal), _listed(found) or _nothing(expected, answer))


def _in_order(found: Sequence[Any], values: Sequence[Any], same: Callable[[Any, Any], bool]) -> bool:
    rest = iter(found)
    return all(any(same(each, value) for each in rest) for value in values)


def _nothing(expected: Expected, answer: Answer) -> str:
    return f"nothing at {expected.at} of {brief(answer)}"


def _listed(values: Sequence[Any]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(quote(as_text(each)) if isinstance(each, str) else _cut(each) for each in values[:SHOWN]) + more


def _cut(value: Any) -> str:
    said = as_text(value)
    return said if len(said) <= 160 else f"{said[:160]}…"


# --- what was remembered ---


def seen_of(answer: Answer, at: str | None, header: str | None = None, file: str | None = None) -> JsonValue:
    """What is remembered of an answer. Raises: NoJson, LookupError: it is not there."""
    if at is not None:
        found = Place(at).find(answer.data)
        if len(found) != 1:
            raise LookupError(f"{len(found)} values are at {at} of {brief(answer)}")
        value: JsonValue = found[0][1]
        return value
    if header is not None:
        if (seen := answer.header(header)) is None:
            raise LookupError(f"there is no header {header}; {brief(answer)}")
        return seen
    if file is not None:
        if file not in answer.files:
            raise LookupError(f"there is no file {file}")
        return answer.files[file]
    return answer.text


def _unchanged(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    name = expected.text
    if name not in scene.kept:
        return Judgement(False, f"nothing was remembered as {name!r}", judged=False)
    try:
        now = seen_of(answer, expected.at, None, expected.name)
    except LookupError as exc:
        return Judgement(False, str(exc))
    holds = equal(now, scene.kept[name]) is (expected.expect == "unchanged")
    return Judgement(holds, f"{_listed([now])}, remembered was {_listed([scene.kept[name]])}")


# --- commands ---


def _exit_code(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    ended = f" ({answer.why_ended})" if answer.why_ended else ""
    return Judgement(answer.exit_code == expected.number, f"{brief(answer)}{ended}")


def _line(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    holds = any(compare(expected.match, line, expected.text) for line in answer.lines)
    return Judgement(holds is (expected.expect == "line"), _listed(answer.lines) or brief(answer))


def _lines(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    count = len(answer.lines)
    return Judgement(count == expected.number, f"{count} lines{': ' if count else ''}{_listed(answer.lines)}")


def _line_order(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    holds = _in_order(answer.lines, expected.values, lambda line, value: compare("contains", line, as_text(value)))
    return Judgement(holds, _listed(answer.lines) or brief(answer))


def _file(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    seen = answer.files.get(expected.name or "")
    if seen is None:
        return Judgement(False, f"no such file; there are: {', '.join(sorted(answer.files)[:SHOWN]) or 'none'}")
    return Judgement(expected.value is None or compare(expected.match, seen, expected.text), quote(seen))


def _no_file(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    seen = answer.files.get(expected.name or "")
    return Judgement(seen is None, "no such file" if seen is None else quote(seen))


def _golden(expected: Expected, scene: Scene, answer: Answer) -> Judgement:
    if scene.golden is None:
        return Judgement(False, f"nothing is kept under {expected.text!r}", judged=False)
    seen = answer.files.get(expected.name) if expected.name else answer.text
    return Judgement(seen == scene.golden, _difference(scene.golden, seen))


def _difference(golden: str, seen: str | None) -> str:
    if seen is None:
        return "no such file"
    pairs = enumerate(zip(golden.splitlines(), seen.splitlines(), strict=False), 1)
    for number, (was, now) in pairs:
        if was != now:
            return f"line {number} is {quote(now, folded=False)}, was {quote(was, folded=False)}"
    return f"{len(seen.splitlines())} lines, were {len(golden.splitlines())}"


_DECIDE: dict[str, Callable[[Expected, Scene, Answer], Judgement]] = {
    "status": _status, "header": _header, "no_header": _no_header, "content_type": _content_type, "body": _text,
    "streamed": _streamed, "json": _json, "json_some": _some, "json_each": _each, "json_none": _none,
    "json_exists": _exists, "json_absent": _absent, "json_type": _type, "json_count": _count, "json_order": _order,
    "unchanged": _unchanged, "changed": _unchanged, "exit_code": _exit_code, "output": _text, "errors": _text,
    "line": _line, "no_line": _line, "lines": _lines, "line_order": _line_order, "file": _file, "no_file": _no_file,
    "golden": _golden,
}  # fmt: skip
