"""The applications of the mutants benchmark fit together; whether checks reject the mutants is measured there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from mutant_apps import App, Edit, Mutant, apply, apps

ALL = apps()
MUTANTS = [pytest.param(app, mutant, id=f"{app.name}-{mutant.id}") for app in ALL for mutant in app.mutants]


def test_there_are_four_applications_with_fifteen_mutants_at_least():
    assert {app.name for app in ALL} == {"board", "ledger", "guestbook", "sharebox"}
    assert all(len(app.mutants) >= 15 for app in ALL)


@pytest.mark.parametrize("app", ALL, ids=lambda app: app.name)
def test_no_two_mutants_of_an_application_have_one_name_or_one_edit(app: App):
    assert len({mutant.id for mutant in app.mutants}) == len(app.mutants)
    assert len({mutant.edits for mutant in app.mutants}) == len(app.mutants)


@pytest.mark.parametrize(("app", "mutant"), MUTANTS)
def test_a_mutant_changes_its_application_and_names_the_step_it_violates(app: App, mutant: Mutant, tmp_path: Path):
    good, broken = app.make(tmp_path / "good"), app.make(tmp_path / "broken", mutant)
    changed = {edit.file for edit in mutant.edits}
    assert all((good / name).read_bytes() != (broken / name).read_bytes() for name in changed)
    assert 1 <= mutant.step <= len(app.steps[mutant.feature])


@pytest.mark.parametrize("text", ["nothing of it", "old old"])
def test_an_edit_that_does_not_fit_just_once_is_an_error(tmp_path: Path, text: str):
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match="times"):
        apply(Edit(file="file", old="old", new="new"), tmp_path)
