"""What a person may change in the plan, what is refused, and what is named because a change touches it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.errors import FeatureFileError
from harness.features import Feature, FeatureList, PassedAt, Proof
from harness.plan_change import PlanChange, Wording, apply_change, change_problems, consequences
from harness.plan_text import as_toml, is_fields, read_added, read_edited, read_fields

SPEC = "# Lending\n\n1. A book can be added.\n2. A book can be lent.\n\n"
PASSED = {
    "passes": True, "proof": Proof(red=1),
    "passed_at": PassedAt(session="s1", time=datetime(2026, 1, 1, tzinfo=UTC), baseline="b", check="c"),
}  # fmt: skip


def feature(feature_id: str, description: str, *steps: str, **more: Any) -> Feature:
    return Feature(id=feature_id, description=description, steps=steps or ("Open", "Verify that it is there"), **more)


LIST = FeatureList(
    features=(
        feature("F001", "A book is added", covers=("3",), **PASSED),
        feature("F002", "A book is lent", covers=("4",), depends_on=("F001",), **PASSED),
        feature("F003", "A book comes back", status="parked", reason="three sessions failed"),
        feature("F004", "A shelf is coloured", status="parked", reason="skipped by a person"),
        feature("F005", "A book is found", changes=("F002",)),
    )
)

LISTED = [f.id for f in LIST.features]


def worded(description: str, *steps: str, **more: Any) -> Wording:
    return Wording(description=description, steps=steps or ("Open the page", "Verify that it is shown"), **more)


def amended(feature_id: str, **fields: Any) -> PlanChange:
    before = Wording.of(LIST.get(feature_id))
    now = Wording.model_validate(before.model_dump() | fields)
    return PlanChange(why="my words", amended={feature_id: now}, before={feature_id: before})


def test_additions_get_their_place_when_they_are_taken_in_and_no_line_of_the_specification_moves() -> None:
    change = PlanChange(
        lines=("A book can be\nlost.", "A lost book is red."),
        added={"F006": worded("Lost", covers=("+1", "3")), "F007": worded("Red", covers=("+2",), depends_on=("F006",))},
    )
    after = apply_change(change, LIST, SPEC)
    assert after.spec == f"{SPEC.strip()}\n\n## Added\n\n3. A book can be lost.\n4. A lost book is red.\n"
    assert after.features.get("F006").covers == ("8", "3")
    again = apply_change(change, after.features, after.spec, used={"F010"})
    assert again.spec.splitlines()[:9] == after.spec.splitlines()
    assert again.spec.endswith("4. A lost book is red.\n5. A book can be lost.\n6. A lost book is red.\n")
    assert again.ids == {"F006": "F011", "F007": "F012"}, "no id is given twice, not even one that was taken out"
    assert again.features.get("F012").depends_on == ("F011",)
    assert again.features.get("F012").covers == ("11",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (PlanChange(), "nothing is added"),
        (PlanChange(removed=("F009",)), "no feature 'F009'"),
        (PlanChange(removed=("F001",)), "F002 depends on F001"),
        (PlanChange(removed=("F002",)), "F005 changes F002"),
        (PlanChange(removed=("F003",), before={"F003": worded("Other")}), "worded otherwise meanwhile"),
        (PlanChange(added={"F006": worded("New", covers=("99",))}), "no line '99'"),
        (PlanChange(added={"F006": worded("New")}, lines=("more",)), r"covers the new line \+1"),
        (PlanChange(added={"F006": worded("New", depends_on=("F099",))}), "names 'F099'"),
        (PlanChange(added={"F006": worded("New", "Open the page and go to it")}), "no step says what a person sees"),
        (amended("F001", depends_on=("F002",)), "circle"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_words(change: PlanChange, why: str) -> None:
    assert re.search(why, "; ".join(change_problems(change, LIST, SPEC)))


def test_another_text_opens_what_passed_or_was_parked_and_only_a_person_what_they_skipped() -> None:
    steps = ("Open the page", "Verify that two books are shown")
    now = {name: apply_change(amended(name, steps=steps), LIST, SPEC).features.get(name) for name in LISTED[:4]}
    assert (now["F001"].passes, now["F001"].proof, now["F001"].reason) == (False, None, "amended by a person: my words")
    assert (now["F003"].status, now["F003"].is_reopened) == ("open", True)
    assert (now["F004"].status, now["F004"].reason) == ("parked", "skipped by a person")
    kept = apply_change(amended("F001", priority=1), LIST, SPEC)
    assert kept.features.get("F001").passes, "its text is what was proved"
    assert kept.reworded == ()


def test_the_checks_that_a_change_touches_are_named() -> None:
    change = amended("F002", description="A book is lent to a friend")
    said = "\n".join(consequences(change, LIST, apply_change(change, LIST, SPEC), SPEC, by_person={"F002"}))
    assert "F002 passes; its text changes" in said
    assert "The contract of F002 was decided by you" in said
    assert "F005 changes F002" in said
    assert "also written from spec.md, which stays as it is: line 4" in said
    said = "\n".join(consequences(c := amended("F001", description="Added"), LIST, apply_change(c, LIST, SPEC), SPEC))
    assert "F002 depends on F001: its check stays" in said
    assert "F005" not in said
    new = PlanChange(added={"F006": worded("A book comes back", "Open", "Verify that it is there")})
    assert "F006 seems to say what F003 says" in "\n".join(consequences(new, LIST, apply_change(new, LIST, SPEC), SPEC))
    gone = PlanChange(removed=("F005",))
    assert not consequences(gone, LIST, apply_change(gone, LIST, SPEC), SPEC)
    unlent = amended("F002", covers=())
    assert "these lines of spec.md any more: 4" in "\n".join(
        consequences(unlent, LIST, apply_change(unlent, LIST, SPEC), SPEC)
    )


def test_what_is_printed_is_read_again_as_no_change_whatever_it_holds() -> None:
    odd = feature("F006", 'Quotes " and \\ and \x7f and é', "Verify 'a'\tb", "# is seen", covers=("3-4",))
    listed = FeatureList(features=(*LIST.features, odd))
    assert read_edited(as_toml(listed.features), "text", listed).is_empty
    change = read_edited(as_toml(listed.features).replace("A book is found", "A book is sought"), "text", listed)
    assert list(change.amended) == ["F005"]
    assert change.before["F005"].description == "A book is found"
    assert read_edited(listed.to_json(), "text", listed).is_empty, "the list's own file is such a text too"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[F001", "at the end of a table declaration"),
        ("[F009]\npriority = 1", "no feature 'F009'"),
        ("[F001]\nsteps = []", "steps"),
        ("[F001]\nname = 'x'", "name: Extra inputs"),
        ("[F001]\npriority = -1", "priority"),
        ("F001 = 3", "no table of fields"),
        ('{"F001": {"steps": ["a"],}}', "is not JSON"),
        ("[F001]\npriority = 1\npriority = 2", "Cannot overwrite"),
    ],
)
def test_a_broken_text_is_told_with_its_place(text: str, why: str) -> None:
    with pytest.raises(FeatureFileError, match=why) as told:
        read_edited(text, "edit.toml", LIST)
    assert str(told.value).startswith("edit.toml")


def test_fields_of_one_feature_and_lists_of_new_ones_come_in_either_form() -> None:
    for text in ("priority = 3\ncovers = 4", '{"priority": 3, "covers": [4]}', "[F001]\npriority = 3\ncovers = ['4']"):
        assert is_fields(text)
        now = read_fields(text, "given", LIST.get("F001")).amended["F001"]
        assert (now.priority, now.covers, now.description) == (3, ("4",), "A book is added")
    assert not is_fields("The list is = sorted [by name]")
    assert not is_fields("also by Enter")
    first = '{"description": "a", "steps": ["see a"], "passes": true}'
    listed = f'[{first}, {{"id": "X-1", "description": "b", "steps": ["see b"]}}]'
    assert list(read_added(listed, "given", ["F007"]).added) == ["F008", "X-1"]
    assert list(read_added("[F020]\ndescription = 'a'\nsteps = ['see a']", "given", []).added) == ["F020"]
    with pytest.raises(FeatureFileError, match="description: Field required"):
        read_added('[{"steps": ["a"]}]', "given", [])
