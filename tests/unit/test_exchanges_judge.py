"""What is expected of answers: judged right, and each kind of expectation is moved by something."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonpath_rfc9535 import JSONPathEnvironment

from harness.verify.exchanges.answer import Answer, Part
from harness.verify.exchanges.disturbances import disturbed
from harness.verify.exchanges.items import EXPECTATIONS, Expected
from harness.verify.exchanges.judge import Scene, judge
from harness.verify.exchanges.places import Place, PlaceError

NOTES = [{"id": 1, "title": "Buy oat milk", "done": False}, {"id": 2, "title": "Walk the dog", "done": True}]
OF_HTTP = Answer(
    text=json.dumps(NOTES),
    status=201,
    headers=(("Content-Type", "application/json; charset=utf-8"), ("X-Total", "2")),
    parts=(Part(0.0, "a"), Part(0.2, "b")),
    end_seconds=0.2,
)
OF_RUN = Answer(
    text="1. Buy oat milk\n2. Walk the dog\n", exit_code=2, errors="oh no\n", files={"out.txt": "Buy oat milk"}
)
KEPT = {"one": "Buy oat milk", "other": "Pay rent"}

HOLD: list[tuple[Answer, dict[str, Any]]] = [
    (OF_HTTP, {"expect": "status", "value": "201"}),
    (OF_HTTP, {"expect": "status", "value": "2xx"}),
    (OF_HTTP, {"expect": "header", "name": "x-total", "value": "2"}),
    (OF_HTTP, {"expect": "header", "name": "x-total"}),
    (OF_HTTP, {"expect": "no_header", "name": "location"}),
    (OF_HTTP, {"expect": "content_type", "value": "application/json"}),
    (OF_HTTP, {"expect": "body", "match": "contains", "value": "oat milk"}),
    (OF_HTTP, {"expect": "streamed", "number": 2}),
    (OF_HTTP, {"expect": "json", "at": "$[0].title", "value": "Buy oat milk"}),
    (OF_HTTP, {"expect": "json", "at": "$[0].done", "value": False}),
    (OF_HTTP, {"expect": "json", "at": "$[?@.id == 2].title", "match": "contains", "value": "dog"}),
    (OF_HTTP, {"expect": "json_some", "at": "$[*].title", "value": "Walk the dog"}),
    (OF_HTTP, {"expect": "json_each", "at": "$[*].title", "match": "matches", "value": "^[BW]"}),
    (OF_HTTP, {"expect": "json_none", "at": "$[*].title", "value": "Pay rent"}),
    (OF_HTTP, {"expect": "json_exists", "at": "$[1].id"}),
    (OF_HTTP, {"expect": "json_absent", "at": "$[2]"}),
    (OF_HTTP, {"expect": "json_type", "at": "$[0].id", "value": "integer"}),
    (OF_HTTP, {"expect": "json_count", "at": "$[*]", "number": 2}),
    (OF_HTTP, {"expect": "json_order", "at": "$[*].title", "values": ["Buy oat milk", "Walk the dog"]}),
    (OF_HTTP, {"expect": "unchanged", "at": "$[0].title", "value": "one"}),
    (OF_HTTP, {"expect": "changed", "at": "$[0].title", "value": "other"}),
    (OF_RUN, {"expect": "exit_code", "number": 2}),
    (OF_RUN, {"expect": "output", "match": "contains", "value": "oat milk"}),
    (OF_RUN, {"expect": "errors", "value": "oh no"}),
    (OF_RUN, {"expect": "line", "value": "2. Walk the dog"}),
    (OF_RUN, {"expect": "no_line", "match": "contains", "value": "Pay rent"}),
    (OF_RUN, {"expect": "lines", "number": 2}),
    (OF_RUN, {"expect": "line_order", "values": ["milk", "dog"]}),
    (OF_RUN, {"expect": "file", "name": "out.txt", "value": "Buy oat milk"}),
    (OF_RUN, {"expect": "file", "name": "out.txt"}),
    (OF_RUN, {"expect": "no_file", "name": "other.txt"}),
    (OF_RUN, {"expect": "golden", "value": "two-notes"}),
    (OF_RUN, {"expect": "changed", "value": "other"}),
]  # fmt: skip
ABSENT = {"no_header", "json_none", "json_absent", "no_line", "no_file"}


def expected(**item: Any) -> Expected:
    return Expected.model_validate({"step": 1, **item})


def scene(answer: Answer) -> Scene:
    return Scene(answer, KEPT, OF_RUN.text)


@pytest.mark.parametrize(
    ("answer", "item"), HOLD, ids=lambda each: json.dumps(each)[:60] if isinstance(each, dict) else ""
)
def test_what_is_so_holds_and_fails_once_it_is_disturbed(answer: Answer, item: dict[str, Any]) -> None:
    wanted = expected(**item)
    assert judge(wanted, scene(answer)).holds, judge(wanted, scene(answer)).seen
    moved = [how for how, other in disturbed(wanted, scene(answer)) if not judge(wanted, scene(other)).holds]
    assert bool(moved) is (wanted.expect not in ABSENT), "what is absent is put back by a witness alone"


def test_every_expectation_is_in_the_table() -> None:
    assert {item["expect"] for _, item in HOLD} == set(EXPECTATIONS)


@pytest.mark.parametrize(
    "item",
    [
        {"expect": "body", "match": "matches", "value": ".*"},
        {"expect": "json", "at": "$[0].title", "match": "matches", "value": ""},
        {"expect": "json_type", "at": "$[0].id", "value": "integer"},
    ],
)
def test_only_what_means_something_is_moved(item: dict[str, Any]) -> None:
    wanted = expected(**item)
    moved = [how for how, other in disturbed(wanted, scene(OF_HTTP)) if not judge(wanted, scene(other)).holds]
    assert bool(moved) is (item["expect"] == "json_type")


@pytest.mark.parametrize(
    ("answer", "item"),
    [
        (OF_HTTP, {"expect": "json", "at": "$[0].done", "value": 0}),
        (OF_HTTP, {"expect": "json", "at": "$[0].id", "value": "1"}),
        (OF_HTTP, {"expect": "json_each", "at": "$[*].missing", "value": 1}),
        (OF_HTTP, {"expect": "json", "at": "$[*].id", "value": 1}),
        (replace(OF_HTTP, parts=(Part(0.2, "a"), Part(0.2, "b"))), {"expect": "streamed", "number": 2}),
        (OF_RUN, {"expect": "golden", "name": "out.txt", "value": "two-notes"}),
    ],
)
def test_what_is_not_quite_so_fails(answer: Answer, item: dict[str, Any]) -> None:
    assert not judge(expected(**item), scene(answer)).holds


def test_an_answer_that_is_no_json_says_nothing_of_what_must_be_absent_from_it() -> None:
    page = replace(OF_HTTP, text="<h1>Not found</h1>")
    absent = judge(expected(expect="json_none", at="$[*].title", value="Pay rent"), scene(page))
    assert (absent.holds, absent.judged) == (False, False)
    there = judge(expected(expect="json_exists", at="$[0]"), scene(page))
    assert (there.holds, there.judged) == (False, True)


def test_half_a_character_in_json_is_replaced_so_that_it_can_be_written() -> None:
    answer = replace(OF_HTTP, text=r'{"a\ud800": ["\udfff", {"b": "\ud83d\ude00"}]}')
    assert answer.data == {"a\ufffd": ["\ufffd", {"b": "\U0001f600"}]}
    with pytest.raises(UnicodeEncodeError):
        json.dumps(json.loads(answer.text), ensure_ascii=False).encode()


def test_a_number_of_any_length_is_judged_and_disturbed() -> None:
    whole, part = expected(expect="json_type", at="$.n", value="integer"), expected(expect="json", at="$.n", value=1)
    for number, is_whole in (("9" * 400, True), ("9" * 4300, True), ("2.0", True), ("1e999", False), ("NaN", False)):
        seen = scene(replace(OF_HTTP, text=f'{{"n": {number}}}'))
        assert judge(whole, seen).holds is is_whole
        assert not judge(part, seen).holds
        assert len(list(disturbed(part, seen))) == (len(number) < 4300)
    with pytest.raises(OverflowError):
        float(int("9" * 400))


def test_json_that_is_nested_without_end_is_looked_at_by_nobody() -> None:
    for text in ("[" * 100_000, "[" * 200 + "]" * 200):
        found = judge(expected(expect="json_exists", at="$..a"), scene(replace(OF_HTTP, text=text)))
        assert "the body is" in found.seen


@pytest.mark.parametrize(
    "path",
    ["a.b", "$..a..b", "$[0,0]", "$[?match(@.a, '(a+)+$')]", "$[?@..a]", "$[?length(@.a) > 1]", "$" + "[0]" * 70],
)
def test_a_path_that_could_be_made_expensive_is_refused(path: str) -> None:
    with pytest.raises(PlaceError):
        Place(path)


def test_without_that_refusal_a_short_path_finds_without_end() -> None:
    value: Any = 1
    for _ in range(14):
        value = [value]
    assert len(JSONPathEnvironment().compile("$" + "[0,0]" * 14).find(value)) == 2**14
    assert len(Place("$" + "[0]" * 14).find(value)) == 1
