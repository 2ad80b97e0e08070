"""A person changes the plan while a run is at work, and while one is stopped in the middle of a feature."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bad_input_support import Person, git, no_mistakes
from scripted import Request, ScriptedModel
from test_bad_input_stop import Gate, running

from harness.features import FeatureList

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]

SORTED = [{"description": "Notes are sorted", "steps": ["Open the page", "Verify that the notes are sorted"]}]
STEPS = {"steps": ["Open the page", "Type 'Tea' and press Enter", "Verify that 'Tea' appears in the list"]}


def change(person: Person, project: Path, *words: str, given: Any) -> str:
    done = subprocess.run(
        person.command("plan", *words, "--file", "-", "--yes", "--dir", project), env=person.environment(),
        input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout


def listed(project: Path) -> FeatureList:
    return FeatureList.parse(git(project, "show", "HEAD:features.json"), "features.json")


def test_a_run_takes_a_change_in_between_two_features(project: Path) -> None:
    gate = Gate("s001-F001")
    with running(project, gate) as (process, person):
        said = change(person, project, "add", given=SORTED)
        assert "takes it in before its next feature" in said
        assert f"process {process.pid}" in said
        assert [f.id for f in listed(project).features] == ["F001", "F002"]
        gate.open.set()
        process.stdout.readline()
        assert any("added F003" in line for line in process.stdout), "the run says so"
        assert any("contract" in line for line in process.stdout)
        process.kill()
    subjects = git(project, "log", "-3", "--format=%s").splitlines()
    assert subjects[0] == "Plan: F003 added"
    assert subjects[1].startswith("F001: ")


def test_a_feature_in_work_that_is_worded_otherwise_is_begun_anew(project: Path) -> None:
    with running(project, Gate("s001-F001")) as (process, person):
        process.kill()
        process.wait()
        assert change(person, project, "amend", "F001", given={"description": "A note is put at the end."}).endswith(
            "F001 amended.\n"
        )
    briefs: list[Request] = []

    def answer(request: Request) -> Any:
        if "/s00" in request.conversation:
            briefs.append(request)
        return no_mistakes(request)

    (project.parent / "style.md").write_text("# Style\n\nThe end of the list is its bottom.\n")
    with ScriptedModel(answer) as model:
        person = Person(base_url=model.base_url)
        assert person.run("memory", "add", project.parent / "style.md", "--dir", project).code == 0
        person.run("run", project, "--thread", "mine", "--max-turns", "2")
    assert briefs[0].conversation.endswith("/s002-F001"), "the session that knew the old text is over"
    brief = str(briefs[0].messages[1]["content"])
    assert "A note is put at the end." in brief
    assert "The end of the list is its bottom." in brief.partition("# From the user's documents")[2]


def test_without_a_change_it_goes_on_in_the_same_session(project: Path) -> None:
    """The twin: what makes the session above a new one is the other text."""
    with running(project, Gate("s001-F001")) as (process, person):
        process.kill()
        process.wait()
        change(person, project, "amend", "F002", given=STEPS)
    asked: list[str] = []

    def answer(request: Request) -> Any:
        asked.append(request.conversation)
        return no_mistakes(request)

    with ScriptedModel(answer) as model:
        Person(base_url=model.base_url).run("run", project, "--thread", "mine", "--max-turns", "2")
    assert asked[0].endswith("/s001-F001")
