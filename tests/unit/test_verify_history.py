"""What was replayed when is kept outside git, and says what to replay first."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import FeatureFileError
from harness.verify.history import NAME, RECENT, History, Played


def play(name: str, *, passed: bool = True, flaky: bool = False, check: str = "d1") -> Played:
    return Played(name, check, passed, flaky)


def test_it_survives_and_a_broken_file_is_named(tmp_path: Path) -> None:
    assert History.load(tmp_path).checks == {}
    written = History().with_plays([play("F1"), play("F2", passed=False)], "tree1")
    written.save(tmp_path)
    assert History.load(tmp_path) == written
    (tmp_path / NAME).write_text("{")
    with pytest.raises(FeatureFileError, match=NAME):
        History.load(tmp_path)


def test_a_check_held_only_if_it_is_the_same_check_on_the_same_content() -> None:
    history = History().with_plays([play("F1"), play("F2", passed=False), play("F3", flaky=True)], "tree1")
    digests = {"F1": "d1", "F2": "d1", "F3": "d1", "F4": "d1"}
    assert history.held(digests, "tree1") == {"F1", "F3"}
    assert history.held(digests, "tree2") == set()
    assert history.held({**digests, "F1": "amended"}, "tree1") == {"F3"}


def test_failures_come_first_for_a_while_and_flaky_ones_are_counted() -> None:
    history = History().with_plays([play("F1", passed=False)], "a").with_plays([play("F2", flaky=True)], "b")
    history = history.with_plays([play("F1"), play("F3")], "c")
    assert history.recently_failing() == ["F2", "F1"]
    assert history.flaky() == {"F2": 1}
    for _ in range(RECENT):
        history = history.with_plays([play("F1"), play("F2", flaky=True)], "d")
    assert history.recently_failing() == ["F2"]
    assert history.flaky() == {"F2": 1 + RECENT}
    assert set(history.last_run()) == {"F1", "F2", "F3"}
