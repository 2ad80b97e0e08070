"""What checks compare with is taken once, and once more when a feature is declared to do something else."""

from __future__ import annotations

from pathlib import Path

from harness.verify.kept import Kept, kept_outputs


def test_what_a_tree_keeps_counts_before_what_was_taken_until_the_feature_changes(tmp_path: Path) -> None:
    home = tmp_path / "golden" / "F001"
    home.mkdir(parents=True)
    (home / "total.txt").write_text("old")
    kept = kept_outputs(tmp_path)
    kept.take("F001", {"total": b"new"})
    assert kept.get("F001", "total") == b"old"
    kept.anew("F001")
    assert kept.get("F001", "total") == b"new"
    assert kept.get("F001", "other") is None
    assert kept.taken() == {"F001/total": b"new"}


def test_of_a_changed_feature_nothing_is_there_before_it_is_taken_and_others_keep_theirs(tmp_path: Path) -> None:
    for name in ("F001", "F002"):
        (tmp_path / "golden" / name).mkdir(parents=True)
        (tmp_path / "golden" / name / "total.txt").write_text(name)
    kept = kept_outputs(tmp_path)
    kept.anew("F001")
    assert kept.get("F001", "total") is None
    assert kept.get("F002", "total") == b"F002"


def test_without_a_tree_only_what_was_taken_is_there() -> None:
    kept = Kept()
    assert kept.get("F001", "total") is None
    kept.take("F001", {"total": b"new"})
    assert kept.get("F001", "total") == b"new"
