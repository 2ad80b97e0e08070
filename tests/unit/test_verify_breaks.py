"""The commit that broke a feature is found with few checkouts, and none is blamed for what it did not do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import pytest

from harness.commits import Commit
from harness.verify.breaks import find_breaks

LINE = [Commit(f"sha{number}", f"commit {number}", datetime(2026, 1, 1, tzinfo=UTC)) for number in range(33)]


class Tree:
    """Holds a feature at every commit before the one that breaks it; `never` holds nowhere."""

    def __init__(self, breaks: dict[str, int], never: Collection[str] = ()) -> None:
        self.breaks, self.never = breaks, never
        self.looks: list[tuple[str, int]] = []

    async def __call__(self, commit: Commit, names: Collection[str]) -> set[str]:
        number = LINE.index(commit)
        self.looks += [(name, number) for name in names]
        return {name for name in names if name not in self.never and number < self.breaks[name]}


@pytest.mark.parametrize("breaker", range(1, 33))
async def test_the_commit_that_broke_it_is_named_in_logarithmic_time(breaker: int) -> None:
    tree = Tree({"F1": breaker})
    found = await find_breaks(LINE, {"F1": 0}, tree)
    assert found == {"F1": LINE[breaker]}
    assert len(tree.looks) <= 6


async def test_features_that_broke_together_share_the_search_and_are_never_played_before_they_were_proved() -> None:
    breaks = {"F1": 7, "F2": 7, "F3": 30, "F4": 21}
    proved = {"F1": 0, "F2": 6, "F3": 12, "F4": 20}
    tree = Tree(breaks)
    found = await find_breaks(LINE, proved, tree)
    assert found == {name: LINE[number] for name, number in breaks.items()}
    assert all(number >= proved[name] for name, number in tree.looks)


async def test_what_fails_where_it_was_proved_too_is_blamed_on_no_commit() -> None:
    tree = Tree({"F1": 9, "F2": 3}, never={"F1"})
    assert await find_breaks(LINE, {"F1": 0, "F2": 2}, tree) == {"F2": LINE[3]}


async def test_without_a_commit_since_the_proof_nobody_is_blamed() -> None:
    assert await find_breaks(LINE[:1], {"F1": 0}, Tree({"F1": 0})) == {}
