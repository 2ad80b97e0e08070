from typing import Any

import pytest

from harness.features import Feature
from harness.verify.author import Draft, Known
from harness.verify.check import Contract, Locator
from harness.verify.fit import is_last_resort, locator_problems
from harness.verify.lint import lint_contract
from tests.apps import todo_app

FEATURE = Feature(
    id="F001",
    description="A to-do can be deleted.",
    steps=("Add the to-do 'Buy milk'", "Delete it", "Verify that 'Buy milk' is gone and '0 items left' shows"),
)
TARGETS = {
    "box": "the text box where a new to-do is typed",
    "item": "the to-do Buy milk",
    "delete": "its delete button",
}
GOOD: list[dict[str, Any]] = [
    {"step": 1, "act": "navigate", "value": "/"},
    {"step": 1, "act": "fill", "target": "box", "value": "Buy milk"},
    {"step": 1, "act": "press", "target": "box", "value": "Enter"},
    {"step": 1, "expect": "visible", "target": "item"},
    {"step": 2, "act": "click", "target": "delete"},
    {"step": 3, "expect": "hidden", "target": "item"},
]


def contract(items: list[dict[str, Any]]) -> Contract:
    return Contract.model_validate(
        {"feature_id": "F001", "targets": TARGETS | {"total": "the number left"}, "items": items}
    )


def lint(items: list[dict[str, Any]], feature: Feature = FEATURE, spec: str = "") -> list[str]:
    return lint_contract(contract(items), feature, spec)


def test_a_good_contract_has_no_problems():
    assert lint(GOOD) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c[1:], "must be a navigate act"),
        (lambda c: [*c, {"step": 1, "as": "bob", "act": "reload"}, c[3]], "first item of 'bob' must be a navigate"),
        (lambda c: [*c, {"step": 4, "expect": "visible", "target": "box"}], "there is no step 4; the feature has 3"),
        (lambda c: [*c[:5], {"step": 2, "expect": "hidden", "target": "item"}], "step 3 says what is seen"),
        (lambda c: [*c[:3], *c[4:]], "'item' is only ever absent"),
        (
            lambda c: [
                *c,
                {"step": 3, "expect": "hidden", "target": "box"},
                {"step": 3, "expect": "visible", "target": "box"},
            ],
            "'box' is expected visible and hidden with no act between",
        ),
        (lambda c: [*c[:5], {"step": 3, "expect": "count", "target": "total", "number": 0}], "only ever absent"),
        (
            lambda c: [*c, {"step": 3, "expect": "text", "target": "total", "value": "Nothing"}],
            "'Nothing' stands neither",
        ),
        (lambda c: [*c, {"step": 3, "expect": "order", "target": "item", "values": ["Eggs"]}], "'Eggs' stands neither"),
        (lambda c: [*c, {"step": 3, "act": "reload"}], "the last item is an act"),
        (lambda c: [*c[:3], {"step": 3, "expect": "console_clean"}], "no expectation is about what the feature does"),
        (lambda c: [c[0], {**c[1], "value": "  "}, *c[2:]], "the value is blank"),
        (lambda c: [*c[:2], {**c[1], "value": "Buy"}, {**c[1], "value": "Buy milk now"}, *c[2:]], "cannot be confused"),
        (lambda c: [*c, {"step": 3, "expect": "unchanged", "target": "box", "value": "n"}], "nothing was remembered"),
        (lambda c: [{**c[0], "value": "http://x.invalid/"}, *c[1:]], "navigate takes a path"),
        (lambda c: [{**c[0], "value": "//x.invalid/"}, *c[1:]], "navigate takes a path"),
        (lambda c: [c[0], {"step": 1, "act": "viewport", "value": "small"}, *c[1:]], "viewport takes WIDTHxHEIGHT"),
        (
            lambda c: [*c, {"step": 3, "expect": "title", "match": "matches", "value": "("}],
            "'(' is not a regular expression",
        ),
        (
            lambda c: [*c, {"step": 3, "expect": "text", "target": "box", "match": "contains", "value": " "}],
            "a blank text is contained",
        ),
        (lambda c: [*c, {"step": 3, "expect": "text", "target": "total", "value": ""}], "text of nothing"),
    ],
)
def test_each_rule_names_the_item_that_breaks_it(change, problem):
    problems = lint(change(GOOD))
    assert any(problem in p for p in problems), problems


def test_what_the_text_says_or_the_check_typed_may_be_quoted_and_the_rest_assumed():
    left = {"step": 3, "expect": "text", "target": "total", "value": "0 Items  left"}
    typed = {"step": 1, "expect": "text", "target": "item", "value": "Buy milk", "match": "contains"}
    assumed = {"step": 3, "expect": "text", "target": "total", "value": "Nothing", "source": "assumed"}
    assert lint([*GOOD[:4], typed, *GOOD[4:], left, assumed]) == []
    spec = {"step": 3, "expect": "title", "value": "To-dos"}
    assert lint([*GOOD, spec]) != []
    assert lint([*GOOD, spec], spec="1. The title is 'To-dos'.") == []


def test_blanks_are_typed_where_the_feature_is_about_blanks():
    blank = Feature(id="F002", description="Blank to-dos are refused", steps=("Enter only spaces", "No to-do appears"))
    items = [*GOOD[:4], {"step": 1, "act": "fill", "target": "box", "value": "  "}, {**GOOD[5], "step": 2}]
    assert not any("blank" in p for p in lint(items, blank))


def test_a_step_that_loads_again_needs_a_reload():
    again = Feature(id="F003", description="Persists", steps=("Add 'Buy milk'", "Reload; verify it is still there"))
    items = [*GOOD[:4], {"step": 2, "expect": "visible", "target": "item"}]
    assert lint(items, again) == [
        "step 2 loads the page again ('Reload; verify it is still there') but has no reload act."
    ]
    assert lint([*items[:4], {"step": 2, "act": "reload"}, items[4]], again) == []
    live = Feature(id="F003", description="Live", steps=("Add 'Buy milk'", "Without reloading it is still there"))
    assert lint(items, live) == []


@pytest.mark.parametrize(
    ("css", "sound"),
    [
        (".todo-list > li", True),
        ("#main .destroy", True),
        (".todo-list__item--done", True),
        (".css-1q2w3e", False),
        (".Button_root__x8J2k", False),
        (".sc-bdVaJa", False),
        ("#item-1732148400123", False),
        ("[data-v-7ba5bd90]", False),
        ("div:nth-child(2) > ul:nth-child(1) > li", False),
    ],
)
def test_generated_names_and_paths_are_no_locators(css, sound):
    assert (locator_problems(Locator(role="button", inside=Locator(css=css))) == []) is sound


def test_css_and_positions_are_last_resorts_wherever_they_stand():
    assert is_last_resort(Locator(role="button", inside=Locator(css="li")))
    assert is_last_resort(Locator(role="button", nth=-1))
    assert not is_last_resort(Locator(role="button", name="Add", inside=Locator(role="form")))


def test_a_draft_forgives_nulls_idle_fields_and_spare_names():
    items = [{**GOOD[0], "target": None, "source": "quoted"}, *GOOD[1:5], {**GOOD[5], "number": None, "to": "x"}]
    draft = Draft.model_validate({"targets": TARGETS | {"spare": "x"}, "items": items})
    made = draft.contract("F001", Known({"box": "the known box"}))
    assert made.targets == TARGETS | {"box": "the known box"}
    assert made.items == contract(GOOD).items


def test_a_draft_names_the_item_and_the_kind_that_is_wrong():
    with pytest.raises(ValueError, match=r"items\.2\.expect\.expect\n") as caught:
        Draft.model_validate({"items": [*GOOD[:2], {"step": 1, "expect": "shiny"}]})
    assert "items.2.act" not in str(caught.value)


@pytest.mark.parametrize("feature_id", list(todo_app.STEPS))
def test_contracts_written_by_hand_have_no_problems(feature_id):
    steps = tuple(todo_app.STEPS[feature_id])
    feature = Feature(id=feature_id, description="To-dos", steps=steps)
    assert lint_contract(todo_app.contract(feature_id), feature) == []
