"""What two authors expect, compared in code: kinds, numbers and literals, not names and samples."""

from __future__ import annotations

from typing import Any

import pytest

from harness.verify.check import Contract, Expectation
from harness.verify.dispute import compare


def contract(sample: str, *expected: dict[str, Any], names: str = "") -> Contract:
    """A contract that adds a note and expects something; `names` makes every name another."""
    targets = {"box": "where a note is typed", "note": f"the note {sample}", "total": "the number left"}
    items: list[dict[str, Any]] = [
        {"step": 1, "act": "navigate", "value": "/"},
        {"step": 1, "act": "fill", "target": "box", "value": sample},
        {"step": 1, "act": "press", "target": "box", "value": "Enter"},
        *({"step": 2, **item} for item in expected),
    ]
    renamed = [{**i, "target": names + i["target"]} if "target" in i else i for i in items]
    described = {names + name: what for name, what in targets.items()}
    return Contract.model_validate({"feature_id": "F001", "targets": described, "items": renamed})


NOTE = {"expect": "visible", "target": "note"}
GONE = {"expect": "hidden", "target": "note"}
ONE = {"expect": "text", "target": "total", "value": "1 note left"}
TWO = {"expect": "text", "target": "total", "value": "2 notes left"}


@pytest.mark.parametrize(
    ("first", "second", "confirmed"),
    [
        ([NOTE], [NOTE], True),
        ([NOTE], [NOTE, ONE], True),  # more is no contradiction
        ([NOTE, ONE], [NOTE], False),
        ([ONE], [TWO], False),
        ([ONE], [{**ONE, "match": "contains"}], False),
        ([ONE], [{**ONE, "value": "1 NOTE  left"}], True),
        ([NOTE], [GONE], False),
        ([NOTE], [{"expect": "visible", "target": "total"}], False),
        ([GONE], [{"expect": "count", "target": "note", "number": 0}], True),
        ([{"expect": "value", "target": "box", "value": "Rent"}], [{**NOTE, "expect": "value", "value": "Tax"}], False),
    ],
)
def test_a_second_author_confirms_what_it_expects_too(first, second, confirmed):
    opinion = compare(contract("Rent", *first), contract("Taxes due", *second, names="my "), 2)
    assert opinion.confirmed is confirmed, str(opinion)


def test_a_sample_that_is_another_text_is_the_same_expectation():
    first = contract("Rent", {"expect": "text", "target": "note", "value": "Rent", "match": "contains"})
    second = contract(
        "Walk the dog", {"expect": "text", "target": "note", "value": "walk the dog", "match": "contains"}
    )
    assert compare(first, second, 2).confirmed


def test_only_the_expectation_that_failed_is_compared():
    first, second = contract("Rent", NOTE, ONE), contract("Rent", NOTE, TWO)
    shown, counted = (item for _, item in first.expectations())
    assert isinstance(shown, Expectation)
    assert compare(first, second, 2, shown).confirmed
    assert not compare(first, second, 2, counted).confirmed
    assert not compare(first, second, 2).confirmed


def test_a_step_of_acts_stands_for_the_whole_contract_and_both_versions_are_told():
    opinion = compare(contract("Rent", ONE), contract("Rent", TWO), 1)
    assert not opinion.confirmed
    assert "1 note left" in opinion.first
    assert "2 notes left" in opinion.second
    assert "One author" in str(opinion)
