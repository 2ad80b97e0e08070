"""One table: what a person sees, and whether each expectation holds then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.browser.values import Dialog, Element, Observation, PageFacts
from harness.verify.check import Expectation
from harness.verify.judge import ABOUT_PAGE, Before, Judgement, Kept, Likeness, Scene, compare, judge, keep

BASE = "http://127.0.0.1:8000"


def element(text: str = "Buy milk", **known: object) -> Element:
    fields = {"visible": True, "text": text, "role": "listitem", "html": "<li>", **known}
    return Element.model_validate(fields)


def hidden(why: str = "transparent") -> Element:
    return element(visible=False, why_not=why)


def scene(*elements: Element, **facts: object) -> Scene:
    page = PageFacts.model_validate({"url": f"{BASE}/", "title": "To-do", **facts})
    memory = {"before": Kept("Buy milk", "", 2)}
    return Scene(Observation(elements=elements, total=len(elements)), page, memory, BASE)


def likened(share: float, why_not: str = "") -> Scene:
    return replace(scene(element()), likeness=Likeness(share, why_not))


def beside(here: tuple[float, ...], there: tuple[float, ...]) -> Scene:
    return replace(scene(element(box=here)), other=scene(element(box=there)).observation)


def replaced(here: tuple[float, ...], place: tuple[float, float, float, float]) -> Scene:
    return replace(scene(element(box=here)), other=Observation(), place=place)


def judged(expect: str, at: Scene, **fields: object) -> Judgement:
    target = None if expect in ABOUT_PAGE else "it"
    data = {"step": 1, "expect": expect, "target": target, **fields}
    return judge(Expectation.model_validate(data), at)


ONE = scene(element())
TWO = scene(element("Buy milk"), element("Walk the dog"))
NONE = scene()

CSV = {"name": "notes-1.csv", "text": "id,title\n1,Rent\n"}
POST = {"method": "POST", "url": f"{BASE}/notes?x=1", "body": '{"title": "Rent"}', "status": 201}

HOLDS = [
    ("visible", ONE, {}),
    ("visible", scene(hidden(), element()), {}),
    ("hidden", NONE, {}),
    ("hidden", scene(hidden()), {}),
    ("text", ONE, {"value": " Buy  milk "}),
    ("text", ONE, {"value": "milk", "match": "contains"}),
    ("text", ONE, {"value": "^Buy", "match": "matches"}),
    ("value", scene(element(value="")), {"value": ""}),
    ("checked", scene(element(checked=True)), {}),
    ("unchecked", scene(element(checked=False)), {}),
    ("enabled", ONE, {}),
    ("disabled", scene(element(enabled=False)), {}),
    ("focused", scene(element(focused=True)), {}),
    ("count", scene(element(), hidden()), {"number": 1}),
    ("count", NONE, {"number": 0}),
    ("order", TWO, {"values": ["milk", "dog"]}),
    ("order", scene(element("10"), element("1"), element("2")), {"values": ["1", "2"]}),
    ("attribute", scene(element(attributes={"href": "/x"})), {"name": "href", "value": "/x"}),
    ("style", scene(element(styles={"color": "rgb(255, 0, 0)"})), {"name": "color", "value": "red"}),
    ("style", scene(element(styles={"color": "rgb(255, 0, 0)"})), {"name": "color", "value": "#F00"}),
    ("struck_through", scene(element(struck_through=True)), {}),
    ("not_struck_through", ONE, {}),
    ("in_viewport", scene(element(in_viewport=True)), {}),
    ("unchanged", ONE, {"value": "before"}),
    ("unchanged", TWO, {"value": "before", "what": "count"}),
    ("changed", scene(element("Other")), {"value": "before"}),
    ("url", scene(url=f"{BASE}/a?b=1#c"), {"value": "/a?b=1#c"}),
    ("url", scene(url=f"{BASE}"), {"value": "/"}),
    ("title", ONE, {"value": "To-do"}),
    ("dialog", scene(dialogs=[Dialog(type="alert", message="Sure?", answer="accept")]), {"value": "Sure?"}),
    ("download", scene(downloads=[CSV]), {"name": "notes-*.csv"}),
    ("download", scene(downloads=[CSV]), {"name": "notes-1.csv", "value": "Rent", "match": "contains"}),
    ("clipboard", scene(clipboard="Rent"), {"value": "Rent"}),
    ("request", scene(requests=[POST]), {"name": "POST /notes?x=1"}),
    ("request", scene(requests=[POST]), {"name": "POST /*", "value": "Rent", "match": "contains", "number": 201}),
    ("console_clean", scene(console=["404 http://127.0.0.1:8000/favicon.ico"]), {}),
    ("no_failed_requests", ONE, {}),
    ("no_overflow", ONE, {}),
    ("text", scene(element("a b", raw="a  b")), {"value": "a  b", "match": "exact"}),
    ("not_covered", scene(element(covered_by="")), {}),
    ("contrast", scene(element(contrast=4.5)), {}),
    ("contrast", scene(element(contrast=3.1)), {"ratio": 3}),
    ("looks_like", likened(0.005), {"value": "chart"}),
    ("looks_like", likened(0.04), {"value": "chart", "tolerance": 0.05}),
    ("each", TWO, {"that": "text", "match": "matches", "value": "milk|dog"}),
    ("each", scene(element(parts=1), element(parts=2)), {"that": "part", "part": "button"}),
    ("none", TWO, {"that": "struck_through"}),
    ("none", TWO, {"that": "text", "match": "contains", "value": "cat"}),
    ("right_of", beside((100, 0, 20, 20), (0, 5, 50, 20)), {"to": "other"}),
    ("left_of", beside((0, 5, 50, 20), (100, 0, 20, 20)), {"to": "other"}),
    ("below", beside((0, 60, 50, 20), (300, 0, 50, 50)), {"to": "other"}),
    ("above", beside((0, 0, 50, 20), (0, 20, 50, 20)), {"to": "other"}),
    ("in_place_of", replaced((0, 0, 100, 20), (5, 2, 90, 18)), {"to": "other"}),
    ("highlighted", scene(element(standing=["font-weight 700 instead of 400"])), {}),
    ("selected", scene(element(selected=True)), {}),
    ("not_selected", scene(element(selected=False)), {}),
    ("not_selected", ONE, {}),
    ("controls_named", scene(unnamed_controls=()), {}),
]
FAILS = [
    ("visible", NONE, {}, "no element matches"),
    ("visible", scene(hidden("covered by <div#x>")), {}, "no visible element matches (1 match, covered by <div#x>)"),
    ("visible", TWO, {}, '2 visible elements match: listitem "Buy milk", listitem "Walk the dog"'),
    ("hidden", ONE, {}, 'visible: listitem "Buy milk"'),
    ("text", ONE, {"value": "buy milk"}, '"Buy milk"'),
    ("text", TWO, {"value": "Buy milk"}, "2 visible elements match"),
    ("text", scene(element("", value="x")), {"value": "x"}, 'no text, but the value "x"'),
    ("text", ONE, {"value": "(", "match": "matches"}, '"Buy milk"'),
    ("value", ONE, {"value": "x"}, "it has no value"),
    ("checked", scene(element(checked=False)), {}, "not checked"),
    ("checked", ONE, {}, "it cannot be checked"),
    ("unchecked", ONE, {}, "it cannot be checked"),
    ("unchecked", scene(element(checked=True)), {}, "checked"),
    ("disabled", ONE, {}, "enabled"),
    ("enabled", scene(hidden()), {}, "no visible element matches"),
    ("focused", ONE, {}, "it does not have the focus"),
    ("count", TWO, {"number": 1}, '2 visible: listitem "Buy milk"'),
    ("order", TWO, {"values": ["dog", "milk"]}, '"Buy milk", "Walk the dog"'),
    ("order", TWO, {"values": ["milk", "dog", "cat"]}, '"Buy milk"'),
    ("order", scene(element("a"), element("b"), element("a")), {"values": ["a", "b"]}, '"a", "b", "a"'),
    ("order", NONE, {"values": ["a"]}, "no visible element matches"),
    ("attribute", ONE, {"name": "href", "value": "/x"}, "no attribute href"),
    ("style", scene(element(styles={"color": "blue"})), {"name": "color", "value": "red"}, '"blue"'),
    ("struck_through", ONE, {}, "not struck through"),
    ("not_struck_through", scene(element(struck_through=True)), {}, "struck through"),
    ("in_viewport", ONE, {}, "outside the viewport"),
    ("unchanged", scene(element("Other")), {"value": "before"}, '"Other", before it was "Buy milk"'),
    ("unchanged", NONE, {"value": "before"}, "no element matches"),
    ("unchanged", ONE, {"value": "never"}, "nothing was remembered"),
    ("changed", ONE, {"value": "before"}, '"Buy milk", before it was "Buy milk"'),
    ("changed", NONE, {"value": "before"}, "no element matches"),
    ("changed", ONE, {"value": "never"}, "nothing was remembered"),
    ("url", scene(url="http://elsewhere.example/"), {"value": "/"}, '"http://elsewhere.example/"'),
    ("title", ONE, {"value": "Notes"}, '"To-do"'),
    ("dialog", ONE, {"value": "Sure?"}, "no dialog"),
    ("console_clean", scene(console=["TypeError: x"]), {}, '"TypeError: x"'),
    ("download", ONE, {"name": "notes.csv"}, "no file was downloaded"),
    ("download", scene(downloads=[CSV]), {"name": "notes-1.cs"}, '"notes-1.csv" with "id,title\\n1,Rent'),
    ("download", scene(downloads=[CSV]), {"name": "*", "value": "Taxes"}, '"notes-1.csv"'),
    ("clipboard", scene(clipboard="Rent"), {"value": "Taxes"}, 'the clipboard holds "Rent"'),
    ("request", ONE, {"name": "POST /notes"}, "nothing was requested"),
    ("request", scene(requests=[POST]), {"name": "POST /notes"}, 'POST /notes?x=1 201 "{"title": "Rent"}"'),
    ("request", scene(requests=[POST]), {"name": "GET /notes?x=1"}, "POST /notes?x=1"),
    ("request", scene(requests=[POST]), {"name": "POST *", "number": 200}, "POST /notes?x=1 201"),
    ("request", scene(requests=[POST]), {"name": "POST *", "value": "Rent"}, "POST /notes?x=1 201"),
    ("no_failed_requests", scene(failed_requests=["GET /a 500"]), {}, '"GET /a 500"'),
    ("no_overflow", scene(overflow_x=True), {}, "the page scrolls sideways"),
    ("text", scene(element("a b", raw="a  b")), {"value": "a b", "match": "exact"}, '"a  b"'),
    ("not_covered", scene(element(covered_by="<div.bar>")), {}, "covered by <div.bar>"),
    ("not_covered", scene(hidden()), {}, "no visible element matches"),
    ("contrast", scene(element(contrast=4.49)), {}, "a contrast of 4.49"),
    ("contrast", ONE, {}, "it has no words"),
    ("looks_like", likened(0.02), {"value": "chart"}, "2.0 % of its pixels differ"),
    ("looks_like", likened(1.0, "there is no picture"), {"value": "chart"}, "there is no picture"),
    ("looks_like", NONE, {"value": "chart"}, "no element matches"),
    ("each", scene(element("Buy milk"), element("Nap")), {"that": "text", "value": "Nap"}, 'listitem "Buy milk": "Buy'),
    ("each", NONE, {"that": "checked"}, "no element matches"),
    ("each", scene(element(parts=0)), {"that": "part", "part": "button"}, 'listitem "Buy milk": it does not show it'),
    ("none", NONE, {"that": "checked"}, "no element matches"),
    ("none", scene(element(struck_through=True)), {"that": "struck_through"}, 'listitem "Buy milk": struck through'),
    ("right_of", beside((40, 0, 20, 20), (0, 5, 50, 20)), {"to": "other"}, "it is at 40,0 (20x20), the other at 0,5"),
    ("right_of", beside((100, 90, 20, 20), (0, 5, 50, 20)), {"to": "other"}, "it is at 100,90"),
    ("left_of", ONE, {"to": "other"}, "no element matches"),
    ("below", beside((0, 10, 50, 20), (0, 0, 50, 50)), {"to": "other"}, "it is at 0,10"),
    ("above", beside((0, 10, 50, 20), (0, 20, 50, 50)), {"to": "other"}, "it is at 0,10"),
    (
        "in_place_of",
        replaced((0, 0, 100, 20), (300, 2, 90, 18)),
        {"to": "other"},
        "it is at 0,0 (100x20), the other was",
    ),
    ("in_place_of", beside((0, 0, 9, 9), (0, 0, 9, 9)), {"to": "other"}, "the other was not seen before"),
    ("highlighted", scene(element(standing=[])), {}, "it looks like its siblings"),
    ("highlighted", ONE, {}, "it has no visible siblings"),
    ("selected", ONE, {}, "nothing tells whether it is selected"),
    ("not_selected", scene(element(selected=True)), {}, "selected"),
    ("controls_named", scene(unnamed_controls=["<button>"]), {}, "without a name: <button>"),
]


@pytest.mark.parametrize(("expect", "at", "fields"), HOLDS)
def test_what_a_person_would_agree_with_holds(expect: str, at: Scene, fields: dict[str, object]) -> None:
    assert judged(expect, at, **fields).holds


@pytest.mark.parametrize(("expect", "at", "fields", "seen"), FAILS)
def test_what_a_person_would_not_see_fails_and_says_what_is_there(
    expect: str, at: Scene, fields: dict[str, object], seen: str
) -> None:
    judgement = judged(expect, at, **fields)
    assert not judgement.holds
    assert judgement.seen.startswith(seen)


def test_every_expectation_is_in_both_tables() -> None:
    everything = set(Expectation.model_fields["expect"].annotation.__args__)  # type: ignore[union-attr]
    assert {row[0] for row in HOLDS} == everything
    assert {row[0] for row in FAILS} == everything


def test_a_missing_picture_says_nothing_of_the_application() -> None:
    assert not judged("looks_like", likened(1.0, "there is no picture"), value="chart").judged
    assert judged("looks_like", likened(1.0), value="chart").judged


def test_a_dialog_seen_before_the_last_acts_does_not_count() -> None:
    old = scene(dialogs=[Dialog(type="alert", message="Sure?", answer="accept")])
    later = Scene(old.observation, old.facts, {}, BASE, Before(dialogs=1))
    assert not judged("dialog", later, value="Sure?").holds


def test_what_is_remembered_is_of_visible_elements_only() -> None:
    assert keep(Observation(elements=(element(), hidden()), total=2)) == Kept("Buy milk", "", 1)


@given(st.text(), st.text())
def test_a_text_contained_is_never_missed_for_its_blanks(before: str, inner: str) -> None:
    assert compare("contains", f"{before} {inner}  \n", inner)
