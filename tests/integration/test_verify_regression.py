"""What passed before is replayed on a project's last commit, and what broke it is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from apps import todo_app

from harness.commits import make_trailers
from harness.events import CheckReplayed, Events
from harness.features import Feature, FeatureList
from harness.parts import Parts
from harness.project import Project
from harness.repo import Repo
from harness.settings import AppSettings, Settings, VerifySettings
from harness.status import as_text, read_status
from harness.verify.app import AppNotStarted
from harness.verify.check import Element, Elements
from harness.verify.hall import open_hall
from harness.verify.history import History, Played
from harness.verify.regression import Earlier, holding_at, regress_tree
from harness.worktree import Worktree

pytestmark = pytest.mark.needs("bwrap", "chromium", "git")

NAMES = ("keep", "delete")


@dataclass
class House:
    """A project in git whose features were committed one by one."""

    parts: Parts
    tree: Worktree
    told: list[CheckReplayed]

    async def commit(self, subject: str, edits: Mapping[str, str], feature: str = "") -> str:
        """Write files and commit them as the work on a feature, or as somebody's own."""
        for name, text in edits.items():
            (self.tree.directory / name).write_text(text)
        trailers = make_trailers("t", f"s-{subject}", feature)
        return await self.tree.commit(subject, "", trailers)

    async def regress(self) -> tuple[dict[str, str], bool]:
        self.told.clear()
        return await regress_tree(self.parts, self.tree, self.earlier(), "", limit=False)

    def earlier(self) -> Earlier:
        """Both features, as if they had passed."""
        features = FeatureList(
            features=tuple(Feature(id=n, description=n, steps=todo_app.STEPS[n], passes=True) for n in NAMES)
        )
        elements = {n: Element(description=n, locator=locator) for n, locator in todo_app.ELEMENTS.items()}
        checks = {name: todo_app.CHECKS[name] for name in NAMES}
        return Earlier(features, checks, Elements(elements=elements))


@pytest.fixture
async def house(tmp_path: Path, state_dir: Path) -> House:
    directory = tmp_path / "project"
    directory.mkdir()
    repo = Repo.create(directory)
    project = Project.find(directory)
    project.prepare_state()
    events, told = Events(), []
    events.listen(lambda event: told.append(event) if isinstance(event, CheckReplayed) else None)
    settings = Settings(verify=VerifySettings(wait_seconds=2.0))
    nothing = cast(Any, None)
    parts = Parts(project, settings, "t", repo, nothing, nothing, events, nothing, nothing)
    tree = await repo.open_worktree(parts.worktree_path, parts.branch)
    return House(parts, tree, told)


async def test_a_break_found_late_names_its_commit_and_what_held_is_not_played_again(house: House) -> None:
    todo_app.make(house.tree.directory)
    for name in NAMES:
        await house.commit(f"{name} is built", {f"{name}.txt": name}, name)
    broken, complete = await house.regress()
    assert (broken, complete) == ({}, True)
    assert len(house.told) == 2

    assert await house.regress() == ({}, True)
    assert house.told == [], "all of them held on this very content"

    await house.commit("a note for readers", {"README.md": "read"})
    edit = todo_app.VARIANTS["not persisted"]
    source = (house.tree.directory / edit.file).read_text()
    culprit = await house.commit("colours are built", {edit.file: source.replace(edit.old, edit.new)}, "colours")
    await house.commit("more notes", {"README.md": "read more"})
    broken, complete = await house.regress()
    assert set(broken) == {"keep"}
    assert complete
    assert broken["keep"].startswith(f'colours broke it, in commit {culprit[:10]} "colours are built".\nStep 3')
    assert History.load(house.parts.project.state_dir).recently_failing() == ["keep"]


async def test_what_fails_at_a_commit_is_played_twice_and_one_that_does_not_start_says_nothing(house: House) -> None:
    todo_app.make(house.tree.directory)
    good = await house.commit("keep is built", {"keep.txt": "keep"}, "keep")
    edit = todo_app.VARIANTS["not persisted"]
    source = (house.tree.directory / edit.file).read_text()
    bad = await house.commit("it forgets", {edit.file: source.replace(edit.old, edit.new)})
    dead = await house.commit("it dies", {"init.sh": "#!/bin/sh\nexit 1\n"})
    parts, tree = house.parts, house.tree
    async with open_hall(parts.project, parts.settings, parts.events, tree.path, tree.prefix, "held") as hall:
        assert await holding_at(parts, hall, good, house.earlier(), ["keep"]) == {"keep"}
        assert await holding_at(parts, hall, bad, house.earlier(), ["keep"]) == set()
        assert [event.passed for event in house.told] == [True, False, False]
        with pytest.raises(AppNotStarted):
            await holding_at(parts, hall, dead, house.earlier(), ["keep"])


async def test_a_tree_is_not_prepared_under_the_application_that_it_serves(house: House) -> None:
    todo_app.make(house.tree.directory)
    parts, tree, made = house.parts, house.tree, house.tree.directory / "made.txt"
    source = tree.directory / "target" / "source.txt"  # git tracks it, whatever is mostly kept there
    source.parent.mkdir()
    await house.commit("the application", {"target/source.txt": "committed"})
    settings = parts.settings.model_copy(update={"app": AppSettings(prepare="cp target/source.txt made.txt")})
    async with open_hall(parts.project, settings, parts.events, tree.path, tree.prefix, "served") as hall:
        async with hall.site(tree, "first"):
            source.write_text("written by the application")
            async with hall.site(tree, "second"):
                assert made.read_text() == "committed"
        async with hall.site(tree, "third"):
            assert made.read_text() == "written by the application", "it changed, and nobody serves it"


async def test_a_hall_opens_without_what_a_killed_one_left(house: House) -> None:
    parts, tree = house.parts, house.tree
    program = parts.project.state_dir / "scratch" / "hall-again" / "home" / ".local" / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.parent.chmod(0o555)
    async with open_hall(parts.project, parts.settings, parts.events, tree.path, tree.prefix, "again") as hall:
        assert (hall.scratch / "home").is_dir()
        assert not program.exists()
    assert not hall.scratch.exists()


def test_status_counts_what_is_flaky(tmp_path: Path, state_dir: Path) -> None:
    (tmp_path / "features.json").write_text(json.dumps([{"id": "F1", "description": "d", "steps": ["s"]}]))
    project = Project.find(tmp_path)
    project.prepare_state()
    assert "flaky" not in as_text(read_status(tmp_path))
    History().with_plays([Played("F1", "d", passed=True, flaky=True)], "tree").save(project.state_dir)
    assert "flaky         F1 (1 times)" in as_text(read_status(tmp_path))
