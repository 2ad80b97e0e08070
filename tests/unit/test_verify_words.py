from __future__ import annotations

import pytest
from apps import todo_app
from inline_snapshot import snapshot

from harness.verify.check import Act, ActName, Expectation, ExpectName, Locator
from harness.verify.words import failure, locator_words, phrase, show, telling


def test_a_contract_reads_as_a_list_a_person_can_follow() -> None:
    assert show(todo_app.contract("delete"), todo_app.STEPS["delete"]) == snapshot("""\
Step 1 "Add "Buy milk""
  1. Open "/"
  2. Fill the text box "New to-do" with "Buy milk"
  3. Press Enter in the text box "New to-do"
  4. Expect the item "Buy milk" to be visible
Step 2 "Click its Delete button"
  5. Click the delete button of "Buy milk"
Step 3 "It is gone and the line says "0 items left""
  6. Expect the item "Buy milk" not to be visible
  7. Expect the text of the number of items left to be "0 items left"\
""")


def test_a_failed_expectation_names_step_expected_seen_locator_and_page() -> None:
    contract = todo_app.contract("keep")
    told = failure(
        contract.items[6],
        contract.targets,
        seen="no visible element matches (1 match, transparent)",
        steps=todo_app.STEPS["keep"],
        locator=todo_app.ELEMENTS["milk"],
        page='- heading "To-do"',
        console=["TypeError: x is null"],
        log="GET / 200",
    )
    assert told == snapshot("""\
Step 3 ""Buy milk" is still there, still checked": expected the item "Buy milk" to be visible; seen: no visible element matches (1 match, transparent).
Locator: role=listitem has(text="Buy milk")
<<data 8872d73e257f from "the page and the server">>
| Console errors:
|   TypeError: x is null
| Page shows:
| - heading "To-do"
| Server log (end):
| GET / 200
<<end of data 8872d73e257f>>\
""")  # noqa: E501 - as the coder sees it


def test_a_failed_act_says_what_could_not_be_done() -> None:
    contract = todo_app.contract("delete")
    told = failure(contract.items[4], contract.targets, seen="covered by <div#x>")
    assert told.startswith('Step 2: could not click the delete button of "Buy milk": covered by <div#x>.')


def test_long_pages_logs_and_consoles_are_cut() -> None:
    contract = todo_app.contract("delete")
    errors = [f"error {n}" for n in range(500)]
    log = "old\n" * 10_000 + "the end"
    told = failure(contract.items[3], contract.targets, seen="x", page="p" * 10_000, console=errors, log=log)
    assert len(told) < 5000
    assert "the end" in told
    assert "and 495 more" in told


FIELDS = {"target": "it", "value": "x", "to": "there", "name": "n", "number": 2, "values": ("a", "b")}


@pytest.mark.parametrize("name", ActName.__args__)  # type: ignore[attr-defined]
def test_every_act_has_words(name: ActName) -> None:
    fields = {key: value for key, value in FIELDS.items() if key not in ("number", "values")}
    item = Act.model_validate({"step": 1, "act": name, **fields})
    assert phrase(item, {"it": "the thing", "there": "the place"})[0].isupper()


@pytest.mark.parametrize("name", ExpectName.__args__)  # type: ignore[attr-defined]
def test_every_expectation_has_words(name: ExpectName) -> None:
    fields = {**FIELDS, "that": "part", "part": "it"}
    item = Expectation.model_validate({"step": 1, "expect": name, **fields})
    assert phrase(item, {"it": "the thing"}).startswith("Expect ")


def test_the_user_of_an_item_is_named() -> None:
    item = Act.model_validate({"step": 1, "act": "reload", "as": "alice"})
    assert phrase(item, {}) == "alice: reload the page"


def test_blanks_that_are_entered_are_shown_and_those_that_do_not_count_are_folded() -> None:
    act = Act.model_validate({"step": 1, "act": "fill", "target": "it", "value": "  EMMA \n"})
    assert phrase(act, {"it": "the box"}) == 'Fill the box with "  EMMA \\n"'
    seen = {"step": 1, "expect": "value", "target": "it", "value": " EMMA "}
    assert '"EMMA"' in phrase(Expectation.model_validate(seen), {})
    assert '" EMMA "' in phrase(Expectation.model_validate({**seen, "match": "exact"}), {})


def test_a_locator_reads_on_one_line() -> None:
    locator = Locator(role="button", name="Delete", inside=Locator(role="listitem", has=Locator(text="Buy milk")))
    assert locator_words(locator) == snapshot('role=button name="Delete" inside(role=listitem has(text="Buy milk"))')


def test_a_log_keeps_what_tells_something() -> None:
    log = "\n".join(
        [
            '127.0.0.1 - - [x] "GET / HTTP/1.1" 200 -',
            "127.0.0.1 - - [x] code 404, message File not found",
            '127.0.0.1 - - [x] "GET /favicon.ico HTTP/1.1" 404 -',
            "127.0.0.1 - - [x] code 404, message File not found",
            '127.0.0.1 - - [x] "GET /app.js HTTP/1.1" 404 -',
            "KeyError: 'title'",
        ]
    )
    assert telling(log).splitlines() == [*log.splitlines()[3:]]
