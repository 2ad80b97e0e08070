"""When a failure is a locator's and not the application's: it says the same where a thing must be gone and be there."""

from __future__ import annotations

import pytest

from harness.verify.check import Contract
from harness.verify.playing import ItemResult, ReplayResult
from harness.verify.trial import doubts_of

CONTRACT = Contract.model_validate(
    {
        "feature_id": "F001",
        "targets": {"box": "the box", "note": "the note"},
        "items": [
            {"step": 1, "act": "navigate", "value": "/"},
            {"step": 1, "expect": "hidden", "target": "note"},
            {"step": 1, "act": "click", "target": "box"},
            {"step": 2, "expect": "visible", "target": "note"},
            {"step": 3, "act": "reload"},
            {"step": 3, "expect": "visible", "target": "note"},
            {"step": 3, "expect": "visible", "target": "box"},
        ],
    }
)


@pytest.mark.parametrize(
    ("matches", "doubted"),
    [
        ({1: 1}, "it matched something where"),  # at the `hidden`
        ({1: 0, 3: 0}, "it matched nothing at any moment"),  # at neither
        ({1: 0, 3: 1, 5: 0}, ""),  # it was found before: the application lost it
        ({1: 0, 3: None}, ""),  # not bound at all: there is no locator to doubt
        ({1: 0, 3: 2}, ""),  # several: told as it is
        ({1: 0, 3: 1, 5: 1, 6: 0}, ""),  # nothing says it must ever be absent
    ],
)
def test_only_a_locator_that_says_the_same_at_both_is_doubted(matches: dict[int, int | None], doubted: str):
    last = max(matches)
    items = tuple(ItemResult(index, held=index != last, matches=matches.get(index)) for index in range(last + 1))
    found = doubts_of(CONTRACT, ReplayResult(items, passed=False))
    assert found.get("note", "").startswith(doubted) if doubted else found == {}


def test_an_act_that_could_not_be_done_is_no_matter_of_witnesses():
    items = (ItemResult(0, True), ItemResult(1, True, matches=0), ItemResult(2, False, reason="covered"))
    assert doubts_of(CONTRACT, ReplayResult(items, passed=False)) == {}
