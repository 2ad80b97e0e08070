from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.verify.check import Expectation, ExpectName
from harness.verify.disturbances import moves
from harness.verify.judge import Kept
from harness.verify.prepared import Stamp, restore
from harness.verify.regress import order, worker_count


def test_affected_come_first_then_recently_failing_then_longest_not_run() -> None:
    def day(number: int) -> datetime:
        return datetime(2026, 1, number, tzinfo=UTC)

    ordered = order(
        ["a", "b", "c", "d", "e", "f"],
        affected={"f"},
        recently_failing=["e", "c"],
        last_run={"a": day(3), "b": day(2), "c": day(9), "e": day(9), "f": day(9)},
    )
    assert ordered == ["f", "e", "c", "d", "b", "a"]


def test_without_history_the_order_of_the_list_stays() -> None:
    assert order(["b", "a", "c"]) == ["b", "a", "c"]


@pytest.mark.parametrize(("wanted", "checks", "workers"), [(4, 9, 4), (4, 5, 2), (4, 3, 1), (1, 9, 1), (3, 0, 1)])
def test_each_worker_has_two_checks_at_least(wanted: int, checks: int, workers: int) -> None:
    assert worker_count(wanted, checks) == workers


@pytest.mark.parametrize(("free_mb", "workers"), [(100, 1), (500, 1), (1100, 2)])
def test_there_are_no_more_workers_than_fit_into_memory(free_mb: int, workers: int) -> None:
    assert worker_count(0, 99, free_mb) == workers
    assert worker_count(5, 99, free_mb) == 5, "a setting is a decision"


FREEZE_ONLY = {"dialog"}
"""Only an act can bring it about, so nothing but a freeze of that act moves it."""


@pytest.mark.parametrize("name", ExpectName.__args__)  # type: ignore[attr-defined]
def test_every_expectation_has_a_disturbance_aimed_at_it(name: ExpectName) -> None:
    fields = {
        "target": "it",
        "value": "x",
        "name": "n",
        "number": 2,
        "values": ("a",),
        "to": "other",
        "that": "checked",
    }
    expectation = Expectation.model_validate({"step": 1, "expect": name, **fields})
    assert bool(moves(expectation, {"x": Kept("old", "old", 1)})) is (name not in FREEZE_ONLY)


def test_a_text_is_not_disturbed_by_hiding_it() -> None:
    expectation = Expectation(step=1, expect="text", target="it", value=".*", match="matches")
    assert [move.kind for move in moves(expectation, {})] == ["swap_text"]


def test_a_tree_is_prepared_until_what_it_depends_on_or_made_changes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "node_modules").mkdir(parents=True)
    stamp = Stamp(tree, tmp_path / "stamps")
    assert not stamp.is_valid()
    stamp.write(made={"node_modules"})
    assert stamp.is_valid()
    (tree / "node_modules" / "cache").write_text("warm")
    assert stamp.is_valid(), "what was installed is not a source"
    (tree / "source.py").write_text("x = 1")
    assert not stamp.is_valid(), "prepare may build what this is the source of"
    stamp.write(made=set())
    assert stamp.is_valid()
    (tree / "node_modules" / "cache").unlink()
    (tree / "node_modules").rmdir()
    assert not stamp.is_valid(), "what was made earlier still counts"


def test_a_broken_stamp_is_no_stamp(tmp_path: Path) -> None:
    stamp = Stamp(tmp_path, tmp_path / "stamps")
    stamp.write(made=set())
    next((tmp_path / "stamps").iterdir()).write_text("[1")
    assert not stamp.is_valid()


def test_data_are_what_the_seed_holds_and_nothing_else(tmp_path: Path) -> None:
    data, seed, outside = tmp_path / "data", tmp_path / "seed", tmp_path / "outside"
    for directory in (data / "old", seed / "tables", outside):
        directory.mkdir(parents=True)
    (outside / "precious").touch()
    (data / "link").symlink_to(outside)
    restore(data, seed)
    assert [path.name for path in data.iterdir()] == ["tables"]
    assert (outside / "precious").exists(), "a link is removed, not followed"
