"""Repositories that want to run programs: no marker file appears, and plain git makes it appear.

Each payload writes a marker. The harness does all it ever does with the repository; then the broken twin, plain git
on the same repository, proves that the payload was live.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.commits import make_trailers
from harness.errors import RepoError
from harness.repo import Repo
from harness.worktree import Worktree

ONE = make_trailers("t1", "s-1", "F001")


def git(directory: Path, *arguments: str) -> str:
    """Plain git, which may fail: a payload's exit code is its own."""
    return subprocess.run(
        ["git", *arguments], cwd=directory, check=False, capture_output=True, text=True
    ).stdout.strip()


@dataclass(frozen=True)
class Trap:
    """A program, the file that tells it ran, and the file it lies in."""

    program: Path
    marker: Path

    @property
    def sprung(self) -> bool:
        return self.marker.exists()


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    program, marker = tmp_path / "payload", tmp_path / "marker"
    program.write_text(f"#!/bin/sh\ntouch '{marker}'\ncat 2>/dev/null\n")
    program.chmod(0o755)
    return Trap(program, marker)


def configure(key: str, value: str = "") -> Callable[[Path, Trap], None]:
    def arrange(project: Path, trap: Trap) -> None:
        git(project, "config", key, value or str(trap.program))

    return arrange


def plant_hooks(project: Path, trap: Trap) -> None:
    listed = (
        "pre-commit prepare-commit-msg commit-msg post-commit pre-merge-commit post-merge post-checkout post-rewrite"
    )
    for (
        name
    ) in f"{listed} reference-transaction post-index-change pre-auto-gc applypatch-msg fsmonitor-watchman".split():
        (project / ".git" / "hooks").mkdir(exist_ok=True)
        (project / ".git" / "hooks" / name).symlink_to(trap.program)


def move_hooks(project: Path, trap: Trap) -> None:
    plant_hooks(project, trap)
    (project / ".git" / "hooks").rename(project / ".git" / "moved")
    git(project, "config", "core.hooksPath", str(project / ".git" / "moved"))


def include_filter(project: Path, trap: Trap) -> None:
    (project / ".git" / "more").write_text(f'[filter "evil"]\n\tclean = {trap.program}\n')
    git(project, "config", "include.path", "more")


def sign(project: Path, trap: Trap) -> None:
    git(project, "config", "commit.gpgSign", "true")
    git(project, "config", "gpg.program", str(trap.program))


def attribute_in_git_dir(project: Path, trap: Trap) -> None:
    (project / ".git" / "info").mkdir(exist_ok=True)
    (project / ".git" / "info" / "attributes").write_text("* filter=hidden\n")
    git(project, "config", "filter.hidden.clean", str(trap.program))


PAYLOADS: dict[str, tuple[Callable[[Path, Trap], None], list[list[str]]]] = {
    "core.fsmonitor": (configure("core.fsmonitor"), [["status"]]),
    "hooks": (plant_hooks, [["commit", "--allow-empty", "-m", "x"]]),
    "core.hooksPath": (move_hooks, [["commit", "--allow-empty", "-m", "x"]]),
    "filter clean": (configure("filter.evil.clean"), [["add", "."]]),
    "filter smudge": (configure("filter.evil.smudge"), [["checkout", "HEAD", "--", "code"]]),
    "filter process": (configure("filter.evil.process"), [["add", "."]]),
    "filter with = in its name": (configure("filter.a=b.clean"), [["add", "."]]),
    "filter from an included file": (include_filter, [["add", "."]]),
    "filter named in the git directory": (attribute_in_git_dir, [["add", "."]]),
    "diff.external": (configure("diff.external"), [["diff"]]),
    "diff command": (configure("diff.evil.command"), [["diff"]]),
    "diff textconv": (configure("diff.evil.textconv"), [["diff"]]),
    "merge driver": (configure("merge.evil.driver"), [["commit", "-qam", "x"], ["merge", "harness/side"]]),
    "trailer command": (
        configure("trailer.harness-feature.command"),
        [["commit", "--allow-empty", "-m", "x", "--trailer", "harness-feature=F1"]],
    ),
    "signing": (sign, [["commit", "--allow-empty", "-m", "x"]]),
    "the editor": (configure("core.editor"), [["commit", "--allow-empty"]]),
}
ATTRIBUTES = "code filter=evil diff=evil merge=evil\nodd filter=a=b\n"


async def do_everything(project_dir: Path, place: Path) -> Worktree:
    """All that the harness ever does with a repository."""
    repo = Repo.open(project_dir)
    await repo.dirty()
    tree = await repo.open_worktree(place / "tree", "harness/t1")
    for name in ("code", "odd"):
        (tree.directory / name).write_text("ours\n")
    await tree.changed_files("HEAD")
    await tree.diff("HEAD")
    sha = await tree.commit("work", "body", ONE)
    await tree.log(5)
    await tree.find_commit(ONE)
    assert (await tree.merge("harness/side")).conflicts == ("code",)
    (tree.directory / "code").write_text("broken\n")
    await tree.reset(sha)
    assert (await repo.fast_forward("main", sha)).moved
    await repo.checkout_at("HEAD~1", place / "base")
    await repo.remove_worktree(place / "base")
    return tree


@pytest.fixture
def bait(project_dir: Path) -> Path:
    """A repository whose attributes ask for drivers, with a side branch that conflicts."""
    for name in ("code", "odd"):
        (project_dir / name).write_text("start\n")
    (project_dir / ".gitattributes").write_text(ATTRIBUTES)
    git(project_dir, "add", ".")
    git(project_dir, "commit", "-qm", "attributes")
    git(project_dir, "checkout", "-qb", "harness/side")
    (project_dir / "code").write_text("side\n")
    git(project_dir, "commit", "-qam", "side")
    git(project_dir, "checkout", "-q", "main")
    return project_dir


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_no_program_of_the_repository_runs(bait: Path, tmp_path: Path, trap: Trap, payload: str) -> None:
    """GI-1 to GI-4."""
    arrange, twin = PAYLOADS[payload]
    arrange(bait, trap)
    trap.marker.unlink(missing_ok=True)  # arranging uses plain git, which may spring it
    await do_everything(bait, tmp_path)
    assert not trap.sprung
    for name in ("code", "odd"):
        (bait / name).write_text("twin\n")
    for command in twin:
        git(bait, *command)
    assert trap.sprung, "the payload was not live, so the test above proved nothing"


async def test_configuration_written_after_opening_is_disarmed_too(bait: Path, tmp_path: Path, trap: Trap) -> None:
    tree = await do_everything(bait, tmp_path)
    git(bait, "config", "filter.evil.clean", str(trap.program))
    (tree.directory / "code").write_text("later\n")
    await tree.commit("later", "", make_trailers("t1", "s-2"))
    assert not trap.sprung


def armed_repository(directory: Path, trap: Trap) -> Path:
    directory.mkdir(parents=True)
    git(directory, "init", "-q")
    git(directory, "commit", "-q", "--allow-empty", "-m", "x")
    git(directory, "config", "core.fsmonitor", str(trap.program))
    return directory


async def test_a_pointer_to_another_git_directory_is_not_followed(bait: Path, tmp_path: Path, trap: Trap) -> None:
    """GI-5."""
    tree = await do_everything(bait, tmp_path)
    evil = armed_repository(tmp_path / "evil", trap) / ".git"
    trap.marker.unlink(missing_ok=True)
    (tree.path / ".git").write_text(f"gitdir: {evil}\n")
    (tree.directory / "new").touch()
    await tree.changed_files("HEAD")
    sha = await tree.commit("new", "", make_trailers("t1", "s-2"))
    assert git(bait, "rev-parse", "harness/t1") == sha
    assert not trap.sprung
    git(tree.path, "status")
    assert trap.sprung
    again = await Repo.open(bait).open_worktree(tree.path, "harness/t1")
    assert git(again.path, "rev-parse", "HEAD") == sha
    assert again.repairs


@pytest.mark.parametrize("as_directory", [True, False], ids=["replaced", "removed"])
async def test_losing_the_git_file_loses_no_work(bait: Path, tmp_path: Path, trap: Trap, as_directory: bool) -> None:
    tree = await do_everything(bait, tmp_path)
    (tree.path / ".git").unlink()
    if as_directory:
        armed_repository(tmp_path / "evil", trap).joinpath(".git").rename(tree.path / ".git")
        trap.marker.unlink(missing_ok=True)
    (tree.directory / "precious").touch()
    again = await Repo.open(bait).open_worktree(tree.path, "harness/t1")
    assert await again.changed_files("HEAD") == ["precious"]
    assert (again.path / ".git").is_file()
    assert not trap.sprung


async def test_an_embedded_bare_repository_is_not_used(bait: Path, tmp_path: Path, trap: Trap) -> None:
    """GI-6."""
    inner = bait / "inner"
    armed_repository(tmp_path / "evil", trap).joinpath(".git").rename(inner)
    git(bait, "config", "-f", str(inner / "config"), "core.bare", "false")
    git(bait, "config", "-f", str(inner / "config"), "core.worktree", str(bait))
    trap.marker.unlink(missing_ok=True)
    repo = Repo.open(inner)
    assert repo.prefix == "inner"
    await repo.dirty()
    assert not trap.sprung
    git(inner, "status")
    assert trap.sprung


@pytest.mark.parametrize("where", ["sub", "tracked", "sub/deep/er"])
async def test_a_repository_inside_the_project_is_refused(bait: Path, tmp_path: Path, trap: Trap, where: str) -> None:
    (bait / "tracked").mkdir()
    (bait / "tracked" / "file").touch()
    git(bait, "add", ".")
    git(bait, "commit", "-qm", "tracked")
    tree = await do_everything(bait, tmp_path)
    armed_repository(tmp_path / "evil", trap)
    (tree.directory / where).mkdir(parents=True, exist_ok=True)
    (tmp_path / "evil" / ".git").rename(tree.directory / where / ".git")
    (tree.directory / where / "inside").touch()
    trap.marker.unlink(missing_ok=True)
    with pytest.raises(RepoError) as refused:
        await tree.commit("x", "", make_trailers("t1", "s-2"))
    assert f"{where}/.git" in refused.value.what
    assert "rm -rf" in refused.value.remedy
    await tree.diff("HEAD")
    await tree.reset("HEAD")
    assert not (tree.directory / where / ".git").exists()
    assert not trap.sprung


async def test_plain_git_runs_the_program_of_a_repository_inside(bait: Path, trap: Trap) -> None:
    """The broken twin of the test above."""
    armed_repository(bait / "sub", trap)
    git(bait, "add", "--all")
    trap.marker.unlink(missing_ok=True)
    git(bait, "status")
    assert trap.sprung


async def test_a_repository_inside_an_ignored_directory_is_left_alone(bait: Path, tmp_path: Path, trap: Trap) -> None:
    tree = await do_everything(bait, tmp_path)
    (tree.directory / ".gitignore").write_text("node_modules\n")
    armed_repository(tree.directory / "node_modules" / "package", trap)
    trap.marker.unlink(missing_ok=True)
    sha = await tree.commit("ignored", "", make_trailers("t1", "s-2"))
    await tree.reset(sha)
    assert (tree.directory / "node_modules" / "package" / ".git").is_dir()
    assert not trap.sprung


async def test_links_out_of_the_worktree_are_kept_as_links(bait: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    tree = await do_everything(bait, tmp_path)
    (tree.directory / "link").symlink_to(outside)
    sha = await tree.commit("link", "", make_trailers("t1", "s-2"))
    await tree.reset(f"{sha}~1")
    await Repo.open(bait).remove_worktree(tree.path)
    assert (outside / "file").read_text() == "untouched"


async def test_a_missing_object_is_not_fetched_by_a_program(bait: Path, tmp_path: Path, trap: Trap) -> None:
    tree = await do_everything(bait, tmp_path)
    trap.program.write_text(f"#!/bin/sh\ntouch '{trap.marker}'\n")  # one that reads would wait for git for ever
    for key, value in {
        "extensions.partialClone": "evil",
        "remote.evil.promisor": "true",
        "remote.evil.url": f"ext::{trap.program} %S",
        "protocol.ext.allow": "always",
        "core.repositoryFormatVersion": "1",
    }.items():
        git(bait, "config", key, value)
    missing = "1" * 40
    with pytest.raises(RepoError):
        await tree.git.run("cat-file", "-p", missing)
    assert not trap.sprung
    git(bait, "cat-file", "-p", missing)
    assert trap.sprung


LOCKED = """
import sys
from pathlib import Path
from harness.worktree import remove_tree

top, outside = Path(sys.argv[1], "tree"), Path(sys.argv[1], "outside")
for name, mode in (("unreadable/inner", 0o000), ("unwritable/inner", 0o555)):
    (top / name).mkdir(parents=True)
    (top / name / "file").touch()
    (top / name).chmod(mode)
    (top / name).parent.chmod(mode)
(top / "link").symlink_to(outside)
outside.mkdir(mode=0o500)
remove_tree(top)
assert not top.exists() and outside.stat().st_mode & 0o777 == 0o500
"""
AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_a_tree_is_removed_whatever_its_modes(tmp_path: Path) -> None:
    """Root may do all, so it is tried without that."""
    command = [*(AS_OTHERS if os.geteuid() == 0 else ()), sys.executable, "-c", LOCKED, str(tmp_path)]
    tried = subprocess.run(command, check=False, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr
