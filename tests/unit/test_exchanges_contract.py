"""Contracts of services and programs: what authors may write, how they are read back, told and varied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from harness.features import Feature
from harness.verify.author import Known, contract_words, draft_for, draft_problems
from harness.verify.check import Check, Contract
from harness.verify.dispute import compare
from harness.verify.exchanges.drafts import ProgramDraft, ServiceDraft
from harness.verify.exchanges.interface import Interface, fixed_by
from harness.verify.exchanges.openapi import Document, parse
from harness.verify.exchanges.variation import Others, entered, sampled
from harness.verify.files import to_json
from harness.verify.variation import choose

FEATURE = Feature(
    id="F001",
    description="A note can be added with `POST /notes`, answered by 201.",
    steps=("Add 'Buy oat milk'.", "Verify that it is listed.", "Delete it.", "Verify that it is gone."),
)
POST = {
    "step": 1,
    "act": "request",
    "method": "POST",
    "path": "/notes",
    "json": {"title": "Buy oat milk", "tags": [None]},
}
GET = {"step": 2, "act": "request", "method": "GET", "path": "/notes"}
LISTED = {"step": 2, "expect": "json_some", "at": "$[*].title", "value": "Buy oat milk"}
GONE = {"step": 4, "expect": "json_none", "at": "$[*].title", "value": "Buy oat milk"}
RESTART = {"step": 2, "act": "restart_service"}
COUNT = {"step": 2, "expect": "json_count", "at": "$[*]", "number": 1}
RUN = {"step": 1, "act": "run", "command": ["notes", "add", "Buy oat milk"]}
LINE = {"step": 2, "expect": "line", "match": "contains", "value": "Buy oat milk"}
NO_LINE = {"step": 4, "expect": "no_line", "match": "contains", "value": "Buy oat milk"}
TOTAL = {"step": 2, "expect": "output", "match": "contains", "value": "15 notes", "source": "assumed"}
SUM = {"step": 2, "act": "run", "command": ["notes", "sum"]}
SOUND: dict[str, list[dict[str, Any]]] = {
    "service": [POST, GET, LISTED, GET, GONE],
    "program": [RUN, LINE, RUN, NO_LINE],
}


def problems(kind: Any, *items: dict[str, Any], document: Document | None = None) -> str:
    known = Known(kind=kind, interface=Interface(document=document or Document()))
    draft = draft_for({"items": items}, kind).model_validate({"items": items})
    return " ".join(draft_problems(draft, FEATURE, "", known))


@pytest.mark.parametrize(
    "items",
    [
        [RUN, LINE, SUM, TOTAL, RUN, SUM, {**TOTAL, "value": "16 notes"}, NO_LINE],
        [RUN, LINE, SUM, TOTAL, RUN, SUM, TOTAL, NO_LINE],
        [{**RUN, "stdin": "15"}, LINE, SUM, TOTAL, NO_LINE],
        [{**RUN, "stdin": "7"}, LINE, SUM, {**TOTAL, "value": "7 notes"}, SUM, TOTAL, NO_LINE],
        [{**RUN, "env": {"LIMIT": "15"}}, LINE, SUM, TOTAL, NO_LINE],
        [{**RUN, "command": ["notes", "add", "Buy oat milk", "--sum=15.0"]}, LINE, SUM, TOTAL, NO_LINE],
        [{"step": 1, "act": "run", "command": ["notes", "--version"]}, {**TOTAL, "step": 4}],
        [{"step": 1, "act": "run", "command": ["notes", "--version"]}, TOTAL, RUN, LINE, RUN, NO_LINE],
        [RUN, LINE, SUM, {**TOTAL, "value": "notes 1.2.0 of 2026-11-21 in UTF-8"}, RUN, NO_LINE],
    ],
    ids=[
        "other-answers",
        "after-a-change",
        "handed-over",
        "other-answers-one-handed-over",
        "by-variable",
        "by-option",
        "nothing-to-calculate-from",
        "nothing-yet",
        "names-and-dates",
    ],
)
def test_what_is_calculated_may_be_asked_for_twice_or_be_no_calculation(items: list[dict[str, Any]]) -> None:
    assert "handed over nowhere" not in problems("program", *items)


def test_what_was_handed_over_is_quoted_with_numbers_and_marks_around_it() -> None:
    counted = {**LINE, "match": "is", "value": "Buy oat milk: 1"}
    more = {**counted, "value": "Buy oat milk: 2"}
    assert problems("program", RUN, LINE, counted, RUN, more, NO_LINE) == ""
    assert "stands neither" in problems("program", RUN, LINE, {**counted, "value": "Buy oat milk once"}, RUN, NO_LINE)


def test_an_empty_list_is_witnessed_by_any_member_at_another_moment() -> None:
    empty = {"step": 4, "expect": "json_count", "at": "$[*]", "number": 0}
    assert problems("service", POST, GET, LISTED, GET, GONE, empty) == ""


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_contract_has_no_problem(kind: str) -> None:
    assert problems(kind, *SOUND[kind]) == ""


@pytest.mark.parametrize(
    ("kind", "items", "said"),
    [
        ("service", [LISTED, POST, *SOUND["service"][1:]], "the first item asks something"),
        ("service", [*SOUND["service"], GET], "the last item is an act"),
        ("service", [POST, GET, RESTART, LISTED, GET, GONE], "nothing was asked since the restart"),
        ("service", [POST, GET, LISTED, GET, {**GONE, "value": "Pay rent"}], "only ever absent"),
        ("service", [POST, GET, LISTED, {**GET, "path": "/notes/{id}"}, GONE], "nothing was remembered as 'id'"),
        ("service", [POST, GET, LISTED, {**GET, "path": "//other.example/x"}, GONE], "begins with a single '/'"),
        ("service", [POST, GET, {**LISTED, "at": "$..a..b"}, GET, GONE], "descends more than once"),
        ("service", [POST, GET, {**LISTED, "value": "Walk the dog"}, GET, GONE], "stands neither"),
        ("service", [{**POST, "until": True}, GET, LISTED, GET, GONE], "only a GET"),
        ("service", [POST, GET, {**COUNT, "at": "$"}, GET, GONE], "end it with [*]"),
        ("service", [POST, {"step": 1, "expect": "status", "value": "2x"}, GET, LISTED, GET, GONE], "such as 4xx"),
        ("service", [{**POST, "json": {"title": "milk"}}, GET, {**LISTED, "value": "milk"}, GET,
                     {**GONE, "value": "milk"}], "may be a word of the interface"),
        ("service", [POST, GET, LISTED, GET, GONE, {**COUNT, "number": 0, "at": "$.other[*]"}], "only ever absent"),
        ("service", [POST, GET, LISTED, GET, GONE, {**COUNT, "number": 0, "at": "$.title[*]"}], "only ever absent"),
        ("service", [POST, {"step": 1, "expect": "status", "value": "299"}, GET, LISTED, GET, GONE], "stands neither"),
        ("program", [RUN, {**TOTAL, "value": "4711", "source": "quoted"}, LINE, RUN, NO_LINE], "stands neither"),
        ("program", [RUN, TOTAL, LINE, RUN, NO_LINE], "15 is handed over nowhere"),
        ("program", [RUN, LINE, RUN, TOTAL, TOTAL, NO_LINE], "15 is handed over nowhere"),
        ("program", [RUN, LINE, SUM, TOTAL, SUM, TOTAL, NO_LINE], "15 is handed over nowhere"),
        ("program", [RUN, LINE, {**RUN, "command": ["notes", "list", "|", "wc"]}, NO_LINE], "no shell reads"),
        ("program", [RUN, LINE, {**RUN, "command": ["A=1", "notes"]}, NO_LINE], "the first word is the program's name"),
        ("program", [RUN, LINE, {**RUN, "env": {"LD_PRELOAD": "x.so"}}, NO_LINE], "env cannot set 'LD_PRELOAD'"),
        ("program", [RUN, LINE, {**RUN, "files": {"../x": ""}}, NO_LINE], "files lie in the working directory"),
        ("program", [RUN, LINE, RUN, NO_LINE, {"step": 4, "expect": "file", "name": "/etc/passwd"}], "does not"),
    ],
)  # fmt: skip
def test_what_proves_nothing_goes_back_to_its_author(kind: str, items: list[dict[str, Any]], said: str) -> None:
    assert said in problems(kind, *items)


@pytest.mark.parametrize(
    ("draft", "item"),
    [
        (ServiceDraft, RUN),
        (ServiceDraft, LINE),
        (ProgramDraft, POST),
        (ProgramDraft, {"step": 1, "act": "restart_service"}),
        (ProgramDraft, {"step": 1, "expect": "status", "value": "200"}),
    ],
)
def test_each_kind_has_its_own_words_alone(draft: type[ServiceDraft | ProgramDraft], item: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        draft.model_validate({"items": [*SOUND["service" if draft is ServiceDraft else "program"], item]})


@pytest.mark.parametrize("kind", SOUND)
def test_a_check_is_read_back_from_its_file_as_it_was(kind: str) -> None:
    check = Check(contract=Contract.model_validate({"feature_id": "F001", "items": SOUND[kind]}))
    again = Check.model_validate_json(to_json(check))
    assert again == check
    assert again.digest() == check.digest()


def test_pages_and_exchanges_are_not_mixed() -> None:
    with pytest.raises(ValidationError, match="not about both"):
        Contract.model_validate(
            {"feature_id": "F001", "items": [{"step": 1, "act": "navigate", "value": "/"}, POST, LISTED]}
        )


def test_a_contract_in_words_says_what_is_asked_and_expected() -> None:
    contract = Contract.model_validate(
        {"feature_id": "F001", "items": [*SOUND["service"], {**GONE, "source": "assumed"}]}
    )
    told = contract_words(contract, FEATURE.steps)
    assert 'Request POST /notes {"title": "Buy oat milk", "tags": [null]}' in told
    assert 'Expect one of $[*].title to be "Buy oat milk"' in told
    assert "(assumed)" in told


def test_a_text_that_comes_back_is_replaced_and_words_of_the_interface_are_not() -> None:
    items = [
        {**POST, "json": {"title": "Buy oat milk", "priority": "High"}, "given": ["High"]},
        {**GET, "path": "/notes?search=Oat&sort=title"},
        LISTED,
        {"step": 2, "expect": "json", "at": "$[0].priority", "value": "High"},
    ]
    contract = Contract.model_validate({"feature_id": "F001", "items": items})
    assert sampled(contract) == {"Buy oat milk"}
    variation = choose(sampled(contract), "seed")
    post, get, listed, priority = Others(variation, frozenset(entered(contract))).contract(contract).items
    other = variation.of("Buy oat milk")
    assert other != "Buy oat milk"
    assert post.body == {"title": other, "priority": "High"}
    assert listed.value == other
    assert priority.value == "High"
    word = other.split()[1].capitalize()
    assert get.path == f"/notes?search={word}&sort=title"


def test_a_text_that_is_taken_apart_or_partly_given_stays_as_it_is() -> None:
    def texts(seen: str, given: tuple[str, ...] = ()) -> set[str]:
        items = [
            {"step": 1, "act": "run", "command": ["tally", "add", "apples", "5"]},
            {"step": 2, "act": "run", "command": ["tally", "import"], "stdin": "apples 3\n", "given": given},
            {"step": 2, "expect": "line", "value": seen},
            {"step": 3, "expect": "errors", "match": "contains", "value": "3"},
        ]
        return sampled(Contract.model_validate({"feature_id": "F001", "items": items}))

    assert texts("apples,8") == set(), "a count is made of several lines"
    assert texts("apples 3") == {"apples 3"}
    assert texts("apples 3", given=("apples",)) == set()


def test_second_authors_are_compared_without_their_samples() -> None:
    def contract(text: str, wanted: str) -> Contract:
        items = [{**POST, "json": {"title": text}}, GET, {**LISTED, "value": wanted}]
        return Contract.model_validate({"feature_id": "F001", "items": items})

    first = contract("Buy oat milk", "Buy oat milk")
    assert compare(first, contract("Walk the dog", "Walk the dog"), 2).confirmed
    assert not compare(first, contract("Walk the dog", "WALK"), 2).confirmed


def test_what_earlier_checks_fixed_is_told_without_samples() -> None:
    contracts = [Contract.model_validate({"feature_id": "F", "items": SOUND[kind]}) for kind in SOUND]
    told = "\n".join(fixed_by([*contracts, *contracts]))
    assert told.count('POST /notes {"title": "text", "tags": [null]}') == 1
    assert told.count("notes add ...") == 1
    assert told.count("a line of the output to contain") == 1, "each expectation of what is asked in one way once"


OPENAPI = {
    "servers": [{"url": "http://localhost/api"}],
    "paths": {
        "/notes": {"post": {"summary": "Add a note", "requestBody": {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Note"}}}}, "responses": {"201": {"description": "added"}}}},
        "/notes/{id}": {"get": {"responses": {"200": {"description": "one"}}}},
    },
    "components": {"schemas": {"Note": {"required": ["title"], "properties": {
        "title": {"type": "string"}, "parent": {"$ref": "#/components/schemas/Note"}}}}},
}  # fmt: skip


def test_an_openapi_document_is_told_in_words_and_its_circles_end() -> None:
    told = parse(json.dumps(OPENAPI), "openapi.json").in_words("notes")
    assert "POST /api/notes: Add a note" in told
    assert "{title string, parent? {title string" in told
    assert len(told) < 2000


def test_a_path_the_document_does_not_have_is_refused_unless_its_absence_is_expected() -> None:
    document = parse(json.dumps(OPENAPI), "openapi.json")
    items = [{**POST, "path": "/api/notes"}, {**GET, "path": "/api/note"}, LISTED, GET, GONE]
    assert "has no GET /api/note;" in problems("service", *items, document=document)
    missing = [{**GET, "path": "/api/none"}, {"step": 2, "expect": "status", "value": "404", "source": "assumed"}]
    told = problems("service", {**POST, "path": "/api/notes"}, *missing, document=document)
    assert "the OpenAPI document" not in told
    assert document.has("GET", "/api/notes/{id}")
    assert document.has("GET", "/api/notes/7?full=1")
    assert not document.has("DELETE", "/api/notes/7")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[", "openapi.json"),
        ("[]", "openapi.json"),
        ("a: [", "openapi.yaml"),
        ("{}", "openapi.yaml"),
        ("[" * 9000, "openapi.json"),
    ],
)
def test_a_document_that_is_none_is_named(text: str, name: str) -> None:
    from harness.errors import FeatureFileError

    with pytest.raises(FeatureFileError, match=name):
        parse(text, name)


def test_a_document_that_unfolds_without_end_costs_nothing() -> None:
    bomb = "a: &a {x: 1}\n" + "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)
    )
    schema = "paths: {/x: {get: {responses: {'200': {content: {application/json: {schema: *j}}}}}}}"
    assert parse(f"{bomb}\n{schema}", "openapi.yaml").has("GET", "/x")


def _document(schema: str, before: str = "") -> str:
    answer = f"responses: {{'200': {{content: {{a/b: {{schema: {schema}}}}}}}}}"
    return f"openapi: 3.1.0\n{before}paths:\n  /a:\n    get: {{{answer}}}\n"


BOMB = "x:\n  - &a0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_document("{enum: &a [*a, b]}"), '/b one of …, "b"'),
        (_document("{enum: [*a9]}", BOMB), "/b one of …"),
        (_document("{type: *a9}", BOMB), "/b anything"),
        (_document("{type: [string, 'null']}"), "/b ['string', 'null']"),
    ],
)
def test_what_is_told_of_a_document_does_not_unfold(text: str, words: str) -> None:
    (operation,) = parse(text, "openapi.yaml").operations
    assert operation.words.endswith(words)


def test_of_a_long_list_of_values_the_beginning_is_told() -> None:
    (operation,) = parse(_document(f"{{enum: [short, {'long' * 10_000}]}}"), "openapi.yaml").operations
    assert 'one of "short"' in operation.words
    assert len(operation.words) < 1_200
