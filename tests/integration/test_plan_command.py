"""`harness plan` on a project whose features are proved: commits, the queue beside a run, editors, and a model."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apps import proved, todo_app
from scripted import Request, ScriptedModel, call
from terminal import Terminal
from warm import WARM

from harness import decisions
from harness.features import FeatureList
from harness.ledger import Ledger
from harness.lock import ProjectLock
from harness.memory.recall import Memory
from harness.parts import Parts
from harness.plan_change import PlanChange, Wording
from harness.plan_queue import plan_dir, put_in_queue, queued, read_plan, take_in
from harness.project import Project
from harness.settings import MemorySettings
from harness.verify import trail

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]

SORTED = {"description": "Items are sorted", "steps": ["Open the page", "Verify that the items are sorted"]}
OTHER_STEPS = {"steps": ["Open the page", "Type 'milk' and press Enter", "Verify that 'milk' is shown"]}


@pytest.fixture
def project(tmp_path: Path, state_dir: Path) -> Path:
    return asyncio.run(proved.make(tmp_path / "project"))


def harness(project: Path, *words: str, given: Any = "", **env: str) -> subprocess.CompletedProcess[str]:
    argv = WARM.command("plan", *words, "--dir", project)
    text = given if isinstance(given, str) else json.dumps(given)
    environment = {**os.environ, **env}
    return subprocess.run(argv, input=text, env=environment, capture_output=True, text=True, check=False, timeout=120)


def listed(project: Path) -> FeatureList:
    return FeatureList.parse(proved.git(project, "show", "HEAD:features.json"), "features.json")


def test_each_change_is_one_commit_with_its_checks_and_its_lines_in_both_audits(project: Path) -> None:
    added = harness(project, "add", "--file", "-", "--yes", given=[SORTED])
    assert (added.returncode, added.stdout.splitlines()[-1]) == (0, "F001 added."), added.stderr
    assert list((project / "checks").glob("pictures/add/*")), "what its check compares with"
    amended = harness(project, "amend", "add", "--file", "-", "--yes", given=OTHER_STEPS)
    assert "! add passes; its text changes" in amended.stdout, amended.stderr
    removed = harness(project, "remove", "keep", "--why", "nobody reloads", "--yes")
    assert removed.stdout.splitlines()[-1] == "keep removed.", removed.stderr
    again = harness(project, "remove", "F001", "--yes")
    assert again.returncode == 0, again.stderr
    assert "F002 added" in harness(project, "add", "--file", "-", "--yes", given=[SORTED]).stdout, "F001 had its time"

    messages = proved.git(project, "log", "-5", "--format=%B%x00").split("\0")
    assert [m.strip().splitlines()[0] for m in messages[:5]] == [
        "Plan: F002 added", "Plan: F001 removed", "Plan: keep removed", "Plan: add amended", "Plan: F001 added",
    ]  # fmt: skip
    assert all("Harness-Event: amended" in message for message in messages[:5])
    assert "nobody reloads" in messages[2]
    now = listed(project)
    assert [f.id for f in now.features if f.passes] == ["complete", "filter"]
    assert now.get("add").reason == "amended by a person"
    assert not [*(project / "checks").glob("add.json"), *(project / "checks").glob("*/add/*")], "it is written anew"
    found = asyncio.run(trail.follow(Project.find(project)))
    assert not found.problems
    told = subprocess.run(WARM.command("audit", project), capture_output=True, text=True)
    assert "amended by person" in told.stdout, told
    assert "removed by person" in told.stdout
    assert not proved.git(project, "status", "--short")


def test_while_a_run_is_at_work_a_change_waits_and_is_taken_in_once(project: Path) -> None:
    before = proved.git(project, "rev-parse", "HEAD")
    with ProjectLock(Project.find(project), "t-1"):
        waits = harness(project, "add", "--file", "-", "--yes", given=[SORTED])
        assert waits.returncode == 0, waits.stderr
        assert "a run takes it in before its next feature" in waits.stdout
        second = harness(project, "amend", "F001", "--file", "-", "--yes", given={"priority": 7})
        assert second.returncode == 0, "what waits can be changed as if it were there"
        assert harness(project, "show", "F001").stdout.startswith("# 2 changes wait for a run")
        assert '"waiting": 2' in harness(project, "show", "--json").stdout
    assert proved.git(project, "rev-parse", "HEAD") == before
    third = harness(project, "amend", "filter", "--file", "-", "--yes", given={"priority": 3})
    assert third.stdout.splitlines()[-3:] == ["F001 added.", "F001 amended.", "filter amended."], third
    assert listed(project).get("F001").priority == 7
    assert harness(project, "amend", "filter", "--file", "-", given={"priority": 3}).stdout == "Nothing was changed.\n"


def test_what_cannot_be_taken_in_now_is_kept_for_when_it_can(project: Path) -> None:
    branch = proved.git(project, "branch", "--show-current").strip()
    proved.git(project, "checkout", "--quiet", "--detach")
    refused = harness(project, "add", "--file", "-", "--yes", given=[SORTED])
    assert refused.returncode == 3
    assert "HEAD is detached" in refused.stderr
    assert "Your change is kept" in refused.stderr
    proved.git(project, "checkout", "--quiet", branch)
    mended = harness(project, "amend", "F001", "--file", "-", "--yes", given={"priority": 7})
    assert mended.stdout.splitlines()[-2:] == ["F001 added.", "F001 amended."], mended
    theirs = FeatureList.load(project / "features.json")
    extra = theirs.get("F001").model_copy(update={"id": "F002", "description": "Items have a colour"})
    theirs.model_copy(update={"features": (*theirs.features, extra)}).save(project / "features.json")
    proved.git(project, "commit", "--quiet", "--all", "--message", "by hand")
    waits = harness(project, "add", "--file", "-", "--yes", given=[{**SORTED, "description": "Items have a size"}])
    assert "You committed features yourself" in waits.stdout, waits
    assert len(queued(Project.find(project))) == 1


async def parts_with_memory(project: Path) -> Parts:
    parts = proved.parts_of(project)
    memory = Memory.open(parts.project.memory_dir, MemorySettings(), parts.project.state_dir.name, parts.events)
    return replace(parts, memory=memory)


async def test_a_kill_after_the_commit_takes_nothing_in_twice_and_what_no_longer_fits_is_kept_and_told(
    tmp_path: Path, state_dir: Path
) -> None:
    project = await proved.make(tmp_path / "project")
    parts = await parts_with_memory(project)
    ledger, heard = Ledger(parts), list[str]()
    parts.events.listen(lambda event: heard.append(getattr(event, "text", "")))
    put_in_queue(parts.project, PlanChange(added={"F001": Wording.model_validate(SORTED)}, why="sorted please"))
    (path,) = queued(parts.project)
    kept = path.read_text()
    assert await take_in(parts, ledger) == ["F001 added."]
    path.write_text(kept)  # as a kill between the commit and this leaves it
    head = await ledger.head()
    assert await take_in(parts, ledger) == ["The plan has this change already."]
    assert (await ledger.head(), queued(parts.project)) == (head, [])
    path.with_name(f"9{path.name}").write_text(kept)  # the twin: another name is another wish, and a feature more
    assert await take_in(parts, ledger) == ["F002 added."]

    stale = {"keep": Wording.model_validate({**SORTED, "description": "as it was long ago"})}
    put_in_queue(parts.project, PlanChange(removed=("keep",), before=stale))
    (said,) = await take_in(parts, ledger)
    assert "keep was worded otherwise meanwhile" in said
    assert said in heard
    assert [p.suffix for p in plan_dir(parts.project).iterdir()] == [".refused"]
    found = await parts.memory.recall("items are sorted", kinds=["knowledge"])
    assert "feature F002: Items are sorted" in [hit.record.text for hit in found.hits]
    await parts.memory.close()


async def test_a_contract_of_the_person_for_the_old_text_is_given_up(tmp_path: Path, state_dir: Path) -> None:
    project = await proved.make(tmp_path / "project")
    parts = await parts_with_memory(project)
    ledger = Ledger(parts)
    text = todo_app.contract("delete").model_dump_json(by_alias=True)
    await decisions.amend(parts, ledger, "delete", text, "mine")
    assert (await read_plan(parts.project)).by_person == {"delete"}
    assert await ledger.check("delete")
    before = Wording.of((await ledger.features()).get("delete"))
    now = before.model_copy(update={"description": "An item can be thrown away"})
    put_in_queue(parts.project, PlanChange(amended={"delete": now}, before={"delete": before}))
    assert await take_in(parts, ledger) == ["delete amended."]
    assert await ledger.check("delete") is None
    assert (await read_plan(parts.project)).by_person == frozenset()
    await parts.memory.close()


def test_the_editor_opens_what_is_open_and_a_broken_text_is_kept_and_named(project: Path, tmp_path: Path) -> None:
    def editor(code: str) -> str:
        path = tmp_path / "editor.py"
        path.write_text(
            f"import sys\npath = sys.argv[1]\ntext = open(path).read()\n{code}\nopen(path, 'w').write(text)"
        )
        return f"{sys.executable} {path}"

    edited = harness(project, "edit", "--yes", EDITOR=editor("text = text.replace('= 100', '= 4')"))
    assert edited.stdout.splitlines()[-1] == "delete amended.", edited.stderr
    broken = harness(
        project, "edit", "--yes", "--all", EDITOR=editor("text = text.replace('= 100', '= 1'); text += '['")
    )
    assert broken.returncode == 4
    (kept,) = plan_dir(Project.find(project)).glob("edit-*.toml")
    assert f"harness plan edit --file {kept}" in broken.stderr
    assert kept.read_text().endswith("[")
    assert harness(project, "edit", "--yes", EDITOR=editor("")).stdout == "Nothing was changed.\n"
    assert kept.exists()
    kept.write_text(kept.read_text().removesuffix("["))
    mended = harness(project, "edit", "--yes", "--file", str(kept))
    assert mended.stdout.splitlines()[-1] == "add, complete, filter and keep amended.", mended.stderr
    assert [f.priority for f in listed(project).features] == [1, 1, 1, 1, 4]
    assert listed(project).totals.passing == 4, "what passed has the text that was proved"
    argv = [sys.executable, "-m", "harness", "plan", "edit", "--dir", str(project)]
    with Terminal(argv, {**os.environ, "EDITOR": editor("text = text.replace('= 4', '= 5')")}) as terminal:
        terminal.until("Change the plan so?")
        terminal.say("n")
        assert terminal.end() == 0
        assert "Your text is kept" in terminal.said, "who says no may have typed for an hour"
    none = harness(project, "edit", "--yes", EDITOR="/nonexistent/editor")
    assert none.returncode == 3
    assert "EDITOR" in none.stderr


class Planner:
    """Forgets a line and repeats a feature at first, then does as it is told."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Any:
        self.asked.append(request)
        if "/amend" in request.conversation:
            more = ["In place of line 1: a new item is put first."]
            return call("submit", {"description": "Items come first", "requirements": more, **OTHER_STEPS})
        covers = ["+1"] if request.turn else []
        return call("submit", {"requirements": ["Items are sorted."], "features": [{**SORTED, "covers": covers}]})


def test_a_wish_becomes_features_that_cover_new_lines_and_is_shown_again_after_a_kill(project: Path) -> None:
    planner = Planner()
    with ScriptedModel(planner) as model:
        env = {"OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": model.base_url}
        argv = [sys.executable, "-m", "harness", "plan", "add", "sort the items", "--dir", str(project)]
        with Terminal(argv, {**os.environ, **env}) as terminal:
            shown = terminal.until("Change the plan so?")
            terminal.kill()
        assert "F001 new  Items are sorted" in shown
        assert "spec.md 3  1. Items are sorted." in shown
        assert len(planner.asked) == 2
        assert "no feature here covers the new line +1" in planner.asked[1].last
        assert "| sort the items" in planner.asked[0].last
        with Terminal(argv, {**os.environ, **env}) as terminal:
            terminal.until("Change the plan so?")
            terminal.interrupt()
            assert terminal.end() == 130
            assert "The same command shows it again" in terminal.said
        with Terminal(argv, {**os.environ, **env}) as terminal:
            terminal.until("Change the plan so?")
            terminal.say("y")
            assert terminal.end() == 0, terminal.said
        assert len(planner.asked) == 2, "the proposal was there"
        assert proved.git(project, "show", "HEAD:spec.md").endswith("## Added\n\n1. Items are sorted.\n")
        assert listed(project).get("F001").covers == ("3",)
        unseen = harness(project, "amend", "add", "new ones first", **env)
        assert (unseen.returncode, len(planner.asked)) == (2, 2), "nobody would see what was paid for"
        amended = harness(project, "amend", "add", "new ones first", "--yes", **env)
    assert amended.returncode == 0, amended.stderr
    assert listed(project).get("add").reason == "amended by a person: new ones first"
    assert listed(project).get("add").covers == ("4",)
    assert "\n2. In place of line 1" in proved.git(project, "show", "HEAD:spec.md")
