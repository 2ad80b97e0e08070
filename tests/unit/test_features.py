import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import FeatureFileError
from harness.features import (
    NEEDS_DECISION,
    RESERVED,
    Feature,
    FeatureList,
    PassedAt,
    Proof,
    amending,
    decided,
    diff_lists,
    mark_passed,
    next_feature,
    park,
    refute,
    reopen,
    schema_json,
)
from harness.verify.files import ELEMENTS, FLOWS

CLASSIC = [
    {"category": "functional", "description": "Add a to-do", "steps": ["Type it", "See it"], "passes": False},
    {"id": 7, "category": "style", "description": "Look nice", "steps": ["See it"], "passes": True},
]


def feature(feature_id: str, **fields: object) -> Feature:
    given: dict[str, object] = {"id": feature_id, "description": f"Do {feature_id}", "steps": ["See it"]}
    return Feature.model_validate(given | fields)


def listed(*features: Feature) -> FeatureList:
    return FeatureList(features=features)


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


PASSED = PassedAt(session="s1", time=datetime(2026, 1, 2, tzinfo=UTC), baseline="abc", check="0123")


def test_a_classic_list_loads_and_gets_ids(tmp_path):
    features = FeatureList.load(write(tmp_path / "features.json", CLASSIC))
    assert [(f.id, f.passes) for f in features.features] == [("F001", False), ("F007", True)]


def test_given_ids_are_kept_and_missing_ones_take_free_numbers(tmp_path):
    entries = [{"id": "F002"}, {}, {"id": None}, {"id": "login"}]
    data = [e | {"description": "d", "steps": ["see"]} for e in entries]
    features = FeatureList.load(write(tmp_path / "features.json", data))
    assert [f.id for f in features.features] == ["F002", "F001", "F003", "login"]


@pytest.mark.parametrize("name", ["elements", "flows", "Flows"])
def test_a_feature_is_not_called_as_a_file_that_all_share(tmp_path, name):
    data = [{"id": name, "description": "d", "steps": ["see"]}]
    with pytest.raises(FeatureFileError, match=f"checks/{name}.json is shared by all features"):
        FeatureList.load(write(tmp_path / "features.json", data))
    data[0]["id"] = f"{name}-2"
    assert FeatureList.load(write(tmp_path / "features.json", data)).features[0].id == f"{name}-2"


def test_the_reserved_names_are_those_of_the_files():
    assert {f"checks/{name}.json" for name in RESERVED} == {ELEMENTS, FLOWS}


def test_a_list_is_the_same_after_save_and_load(tmp_path):
    full = listed(
        feature("F001", passes=True, proof=Proof(red=3, perturbed=1), passed_at=PASSED, covers=["2", "3"]),
        feature("F002", depends_on=["F001"], changes=["F001"], status="parked", reason="disputed", priority=3),
    )
    full.save(tmp_path / "features.json")
    assert FeatureList.load(tmp_path / "features.json") == full


def test_the_file_always_shows_the_classic_fields_and_no_empty_ones(tmp_path):
    listed(feature("F001")).save(tmp_path / "features.json")
    [entry] = json.loads((tmp_path / "features.json").read_text())["features"]
    assert list(entry) == ["id", "category", "description", "steps", "passes"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "it is empty"),
        ("[{]", "features.json:1:3 is not JSON"),
        ('{"version": 1, "features": []', "features.json:1:30 is not JSON"),
        ("null", "valid dictionary"),
        ({"version": 9, "features": []}, "version"),
        ({"version": 1, "features": [], "epics": []}, "epics"),
        ([{"description": "d", "steps": ["s"], "stage": 3}], "features[0].stage"),
        ([{"description": "d", "steps": []}], "features[0].steps"),
        ([{"description": " ", "steps": ["s"]}], "features[0].description"),
        ([{"description": "d", "steps": ["s"], "passes": "maybe"}], "features[0].passes"),
        ([{"id": "../x", "description": "d", "steps": ["s"]}], "features[0].id"),
        ([{"id": "A", "description": "d", "steps": ["s"]}, {"id": "a", "description": "d", "steps": ["s"]}], "same id"),
        ([{"description": "d", "steps": ["s"], "depends_on": ["F9"]}], "'F9', which is not in the list"),
        ([{"description": "d", "steps": ["s"], "passes": True, "status": "parked"}], "cannot be parked"),
        ('[{"description": "d", "description": "e", "steps": ["s"]}]', "'description' is given twice"),
        ('[{"description": "d", "steps": ["s"], "priority": NaN}]', "NaN is not a JSON value"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_the_place_and_left_as_it_is(tmp_path, content, place):
    path = write(tmp_path / "features.json", content)
    before = path.read_bytes()
    with pytest.raises(FeatureFileError) as caught:
        FeatureList.load(path)
    assert "features.json" in caught.value.what
    assert place in caught.value.what
    assert caught.value.remedy
    assert path.read_bytes() == before


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "features.json").write_bytes(b"\xff\xfe[]")
    with pytest.raises(FeatureFileError, match=r"features\.json cannot be read"):
        FeatureList.load(tmp_path / "features.json")


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(FeatureFileError, match="harness init"):
        FeatureList.load(tmp_path / "features.json")


def test_an_empty_list_is_defined_and_never_complete(tmp_path):
    """FJ-3: zero features."""
    features = FeatureList.load(write(tmp_path / "features.json", []))
    assert next_feature(features) is None
    assert not features.totals.is_complete
    assert str(features.totals) == "no features"


def test_a_hundred_thousand_features_load_and_are_chosen_from(tmp_path):
    """FJ-3: a hundred thousand."""
    data = [{"description": f"Feature {n}", "steps": ["See it"], "passes": n < 99_999} for n in range(100_000)]
    path = write(tmp_path / "features.json", data)
    started = time.monotonic()
    features = FeatureList.load(path)
    features.save(path)
    chosen = next_feature(features)
    assert chosen is not None
    assert chosen.id == "F100000"
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([feature("A"), feature("B")], "A"),
        ([feature("A"), feature("B", priority=1)], "B"),
        ([feature("A", priority=1), feature("B", reason="broken by C")], "B"),
        ([feature("A", depends_on=["B"], priority=1), feature("B")], "B"),
        ([feature("A", depends_on=["B"]), feature("B", passes=True)], "A"),
        ([feature("A", status="parked", reason="r"), feature("B")], "B"),
        ([feature("A", status="parked"), feature("B", depends_on=["A"])], None),
        ([feature("A", passes=True)], None),
        ([feature("A", reason="broken by C"), feature("B", claimed=True)], "B"),
        ([feature("A"), feature("B", claimed=True, depends_on=["A"])], "B"),
        ([feature("A", status="parked", claimed=True), feature("B")], "B"),
        ([feature("A", reason="claimed, and not so: no"), feature("B", priority=1)], "B"),
    ],
)
def test_the_next_feature_is_reopened_first_then_by_priority_dependencies_and_order(features, expected):
    chosen = next_feature(listed(*features))
    assert (chosen.id if chosen else None) == expected


def test_a_feature_goes_through_its_states_without_touching_the_list_it_came_from():
    before = listed(feature("A"), feature("B"))
    passed = mark_passed(before, "A", Proof(red=2), PASSED)
    parked = park(passed, "B", "three sessions failed")
    broken = reopen(parked, "A", "broken by B")
    assert not before.get("A").passes
    assert str(parked.totals) == "1 of 2 features pass, 1 parked"
    assert broken.get("A").is_reopened
    assert broken.get("A").proof is None
    assert mark_passed(broken, "A", Proof(red=1), PASSED).get("A").reason == ""


def test_a_claim_ends_with_a_proof_or_with_the_reason_why_it_does_not_hold():
    before = listed(feature("A", claimed=True), feature("B", claimed=True, priority=7), feature("C"))
    assert [f.state for f in before.features] == ["claimed", "claimed", "open"]
    assert str(before.totals) == "0 of 3 features pass, 2 claimed"
    assert not before.totals.is_complete
    proved = mark_passed(before, "A", Proof(red=1), PASSED)
    assert proved.get("A").state == "passed"
    refuted = refute(proved, "B", "Step 2: nothing is shown").get("B")
    assert (refuted.state, refuted.is_refuted, refuted.is_reopened) == ("open", True, False)
    assert (refuted.reason, refuted.priority) == ("claimed, and not so: Step 2: nothing is shown", 7)
    assert reopen(proved, "A", "broken by C").get("A").state == "open"


def test_a_claim_that_a_person_must_decide_on_is_looked_at_again_and_not_built():
    parked = park(listed(feature("A", claimed=True)), "A", "needs a person: nothing makes it fail")
    assert parked.get("A").state == "parked"
    assert reopen(parked, "A", "accepted by a person").get("A").state == "claimed"


def test_what_passes_cannot_be_only_claimed():
    with pytest.raises(ValueError, match="not claimed any more"):
        feature("A", passes=True, claimed=True)


def test_an_unknown_id_is_named():
    with pytest.raises(FeatureFileError, match="'Z'"):
        park(listed(feature("A")), "Z", "why")


def test_additions_by_somebody_else_are_acceptable_and_everything_else_is_named():
    ours = listed(feature("A"), feature("B"))
    added = diff_lists(ours, listed(feature("A"), feature("N"), feature("B")))
    assert added.is_acceptable
    assert added.added == ("N",)

    cheated = diff_lists(ours, listed(feature("B", passes=True), feature("A"), feature("N", passes=True)))
    assert not cheated.is_acceptable
    assert str(cheated) == "changed B: passes; changed N: added as passing; reordered"

    removed = diff_lists(ours, listed(feature("B")))
    assert str(removed) == "removed A"
    assert str(diff_lists(ours, ours)) == "no change"


def test_the_schema_file_is_what_the_models_say():
    root = Path(__file__).parents[2]
    assert (root / "features.schema.json").read_text() == schema_json(), (
        "run: python -m harness.features > features.schema.json"
    )


def test_only_more_declared_changes_of_what_does_not_pass_are_a_decision():
    ours = listed(feature("F001", passes=True), feature("F002"), feature("F003"))
    theirs = ours.replace("F003", changes=("F001",))
    assert diff_lists(ours, theirs).is_acceptable
    assert diff_lists(ours, theirs).declared == ("F003",)
    assert not diff_lists(theirs, ours).is_acceptable, "nothing is taken back"
    assert not diff_lists(ours, theirs.replace("F003", priority=0)).is_acceptable
    assert not diff_lists(ours, ours.replace("F001", changes=("F002",))).is_acceptable, "it passes already"


@pytest.mark.parametrize(
    ("reason", "changes", "is_decided"),
    [
        (f"{NEEDS_DECISION} it passes, but breaks F001, F002", ("F001",), False),
        (f"{NEEDS_DECISION} it passes, but breaks F001, F002", ("F001", "F002"), True),
        (f"{NEEDS_DECISION} F003 cannot be built without changing F001", ("F001",), True),
        (f"{NEEDS_DECISION} it cannot be built without changing everything", ("F001",), False),
        ("the list lacks F001", ("F001",), False),
    ],
)
def test_a_feature_waits_until_all_that_it_breaks_is_declared(reason, changes, is_decided):
    waiting = feature("F003", status="parked", reason=reason, changes=changes)
    found = decided(listed(feature("F001", passes=True), feature("F002", passes=True), waiting))
    assert [f.id for f in found] == ["F003"] * is_decided


def test_what_amends_a_feature_is_what_passes_and_names_it():
    later = [feature("F002", passes=True, changes=["F001"]), feature("F003", changes=["F001"])]
    assert [f.id for f in amending(listed(feature("F001", passes=True), *later), "F001")] == ["F002"]
