"""What the gate says of features that nobody claimed, and of those that an adopted list claims."""

from __future__ import annotations

from harness.features import Feature, FeatureList
from harness.gate import Asked, _notes


def listed(**states: bool) -> FeatureList:
    features = [
        Feature(id=name, description=name, steps=("See it",), claimed=is_claimed) for name, is_claimed in states.items()
    ]
    return FeatureList(features=tuple(features))


def test_what_an_adopted_list_claims_is_told_apart_from_what_nobody_claims() -> None:
    adopted, quiet = _notes(listed(F001=True, F002=False), Asked())
    assert adopted.startswith("Said to pass by the list that was taken over, and not proved: F001.")
    assert quiet.startswith("Not claimed, so not looked at: F002.")


def test_nothing_is_left_out_where_everything_is_asked_for() -> None:
    assert _notes(listed(F001=True, F002=False), Asked(everything=True)) == []


def test_many_names_are_counted() -> None:
    (quiet,) = _notes(listed(**{f"F{number:03}": False for number in range(8)}), Asked())
    assert "F004 and 3 more" in quiet
