"""What code of a session puts in the place of `init.sh` moves nothing outside the worktree: real git, real links."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.events import Events, Noticed
from harness.existing import Existing
from harness.project import Project
from harness.repo import Repo
from harness.settings import AppSettings
from harness.survey import Survey
from harness.worktree import Worktree

pytestmark = pytest.mark.needs("git")

THEIRS = "#!/bin/sh\necho theirs\n"
MINE = "# the person's own\n"


def link(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside)


def missing(path: Path, outside: Path) -> None:
    path.unlink()


def fifo(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path, outside: Path) -> None:
    path.unlink()
    (path / "more").mkdir(parents=True)


def not_executable(path: Path, outside: Path) -> None:
    path.chmod(0o644)


def link_on_the_way(path: Path, outside: Path) -> None:
    """What the project's own directory is called leads elsewhere."""
    shutil.rmtree(path.parent)
    path.parent.symlink_to(outside.parent)


REPLACED = [link, missing, fifo, directory, not_executable, link_on_the_way]
Replace = Callable[[Path, Path], None]


async def begun(tmp_path: Path, project_dir: Path) -> tuple[Worktree, Path]:
    """A project in a directory of its repository, whose `init.sh` is committed, and a file outside of it."""
    place = project_dir / "app"
    place.mkdir()
    project = Project.find(place)
    project.prepare_state()
    tree = await Repo.open(place).open_worktree(project.worktrees_dir / "t", "harness/t")
    script = tree.directory / "init.sh"
    script.write_text(THEIRS)
    script.chmod(0o755)
    await tree.commit("before", "", {"Harness-Thread": "t"})
    outside = tmp_path / "home" / "init.sh"
    outside.parent.mkdir()
    outside.write_text(MINE)
    return tree, outside


def existing(taken: tuple[str, ...], told: list[str], start: Any = None) -> Existing:
    events = Events()
    events.listen(lambda event: told.append(event.text) if isinstance(event, Noticed) else None)
    settings = SimpleNamespace(app=AppSettings())
    survey = SimpleNamespace(taken=taken, start=start)
    return Existing(cast("Any", SimpleNamespace(events=events, settings=settings)), cast("Survey", survey))


async def by_following(tree: Worktree) -> None:
    """The twin: what lies at the name is read and written as a plain file."""
    if (tree.directory / "init.sh").read_text() != THEIRS:
        (tree.directory / "init.sh").write_text(THEIRS)


@pytest.mark.parametrize("replace", REPLACED)
async def test_their_init_sh_is_back_whatever_lies_in_its_place(
    tmp_path: Path, project_dir: Path, replace: Replace
) -> None:
    tree, outside = await begun(tmp_path, project_dir)
    told: list[str] = []
    there = existing(("init.sh",), told)
    await there.leave_theirs(tree)
    assert told == []
    replace(tree.directory / "init.sh", outside)
    await there.leave_theirs(tree)
    assert outside.read_text() == MINE
    back = tree.directory / "init.sh"
    assert (stat.S_IFMT(back.lstat().st_mode), back.lstat().st_mode & 0o777) == (stat.S_IFREG, 0o755)
    assert back.read_text() == THEIRS
    assert not tree.directory.is_symlink()
    assert told == ["A session changed init.sh, which is yours; it is as it was."]


@pytest.mark.parametrize("replace", [link, link_on_the_way])
async def test_who_follows_the_link_writes_outside(tmp_path: Path, project_dir: Path, replace: Replace) -> None:
    tree, outside = await begun(tmp_path, project_dir)
    replace(tree.directory / "init.sh", outside)
    await by_following(tree)
    assert outside.read_text() == THEIRS


@pytest.mark.parametrize("replace", [link, missing, fifo, directory])
async def test_a_proposed_start_is_written_in_the_place_of_what_lies_there(
    tmp_path: Path, project_dir: Path, replace: Replace
) -> None:
    tree, outside = await begun(tmp_path, project_dir)
    replace(tree.directory / "init.sh", outside)
    assert await existing((), [], SimpleNamespace(script=lambda: "#!/bin/bash\n")).write_start(tree)
    assert outside.read_text() == MINE
    written = tree.directory / "init.sh"
    assert not written.is_symlink()
    assert (written.read_text(), written.stat().st_mode & 0o777) == ("#!/bin/bash\n", 0o755)
