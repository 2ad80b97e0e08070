"""The user's branch moves only where nothing of theirs is touched: a table of what may lie in the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.commits import make_trailers
from harness.repo import Repo

WORK = {"README.md": "new\n", "added": "added\n", ".env": "example\n", "data": "a file\n"}


def git(directory: Path, *arguments: str, check: bool = True) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=directory, check=check, capture_output=True, text=True
    ).stdout.strip()


def snapshot(directory: Path) -> dict[str, bytes]:
    """Every file of the user's, what is staged, and where HEAD is."""
    files = {str(p): p.read_bytes() for p in directory.rglob("*") if p.is_file() and ".git" not in p.parts}
    return files | {
        "index": git(directory, "ls-files", "-s").encode(),
        "head": git(directory, "rev-parse", "HEAD").encode(),
    }


@pytest.fixture
async def proved(project_dir: Path, tmp_path: Path) -> tuple[Repo, str]:
    """A repository with two more tracked files, and a commit ahead of main that touches what the table needs."""
    (project_dir / ".gitignore").write_text(".env\ndata/\n")
    (project_dir / "other").write_text("other\n")
    git(project_dir, "add", ".")
    git(project_dir, "commit", "-qm", "more")
    repo = Repo.open(project_dir)
    tree = await repo.open_worktree(tmp_path / "tree", "harness/t1")
    for name, text in WORK.items():
        (tree.directory / name).write_text(text)
    return repo, await tree.commit("work", "", make_trailers("t1"), always=list(WORK))


def edit(name: str, text: str = "mine\n") -> Callable[[Path], None]:
    def change(project: Path) -> None:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)

    return change


def stage(name: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        (project / name).write_text("mine\n")
        git(project, "add", name)

    return change


def hide(flag: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        git(project, "update-index", flag, "README.md")
        (project / "README.md").write_text("mine\n")

    return change


def diverge(project: Path) -> None:
    git(project, "commit", "--quiet", "--allow-empty", "-m", "mine")


def begin_merge(project: Path) -> None:
    git(project, "checkout", "--quiet", "-b", "side")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "side")
    git(project, "checkout", "--quiet", "main")
    git(project, "merge", "--quiet", "--no-ff", "--no-commit", "side")


def lock_index(project: Path) -> None:
    (project / ".git" / "index.lock").touch()


REFUSED = {
    "a changed file": (edit("README.md"), "README.md"),
    "a staged file": (stage("README.md"), "README.md"),
    "a file marked as unchanged": (hide("--assume-unchanged"), "README.md"),
    "a file marked as not to be checked out": (hide("--skip-worktree"), "README.md"),
    "an untracked file": (edit("added"), "added"),
    "an ignored file": (edit(".env", "SECRET=1\n"), ".env"),
    "an ignored directory": (edit("data/table"), "data"),
    "commits of the user's": (diverge, "commits of its own"),
    "a merge under way": (begin_merge, "a merge is under way"),
    "a lock": (lock_index, "index.lock"),
}


@pytest.mark.parametrize("obstacle", REFUSED)
async def test_what_is_in_the_way_is_named_and_nothing_is_touched(
    project_dir: Path, proved: tuple[Repo, str], obstacle: str
) -> None:
    repo, sha = proved
    arrange, named = REFUSED[obstacle]
    arrange(project_dir)
    before = snapshot(project_dir)
    result = await repo.fast_forward("main", sha)
    assert not result.moved
    assert named in result.reason
    assert snapshot(project_dir) == before


async def test_a_plain_fast_forward_would_overwrite_the_ignored_file(
    project_dir: Path, proved: tuple[Repo, str]
) -> None:
    """The broken twin: git without our flags."""
    edit(".env", "SECRET=1\n")(project_dir)
    git(project_dir, "merge", "--ff-only", proved[1])
    assert (project_dir / ".env").read_text() == WORK[".env"]


async def test_a_configured_squash_does_not_fool_it(project_dir: Path, proved: tuple[Repo, str]) -> None:
    repo, sha = proved
    git(project_dir, "config", "branch.main.mergeOptions", "--squash")
    assert (await repo.fast_forward("main", sha)).moved
    assert await repo.head() == sha


async def test_a_configured_squash_fools_a_plain_merge(project_dir: Path, proved: tuple[Repo, str]) -> None:
    """The broken twin of the test above."""
    git(project_dir, "config", "branch.main.mergeOptions", "--squash")
    git(project_dir, "merge", "--ff-only", proved[1])
    assert git(project_dir, "rev-parse", "HEAD") != proved[1]


async def test_what_is_not_in_the_way_survives(project_dir: Path, proved: tuple[Repo, str]) -> None:
    repo, sha = proved
    edit("other")(project_dir)
    stage("staged")(project_dir)
    edit("notes")(project_dir)
    assert (await repo.fast_forward("main", sha)).moved
    assert await repo.head() == sha
    assert [(project_dir / n).read_text() for n in ("other", "staged", "notes")] == ["mine\n"] * 3
    assert (project_dir / "README.md").read_text() == "new\n"
    assert git(project_dir, "status", "--porcelain").split("\n") == ["M other", "A  staged", "?? notes"]


async def test_files_that_already_are_as_proved_are_no_obstacle(project_dir: Path, proved: tuple[Repo, str]) -> None:
    """As a fast-forward leaves them that was killed after the files and before the branch."""
    repo, sha = proved
    for name in ("README.md", "added", ".env"):
        (project_dir / name).write_text(WORK[name])
    assert (await repo.fast_forward("main", sha)).moved
    assert git(project_dir, "status", "--porcelain") == ""


async def test_equal_files_beside_a_real_obstacle_leave_the_index_as_it_was(
    project_dir: Path, proved: tuple[Repo, str]
) -> None:
    repo, sha = proved
    (project_dir / "added").write_text(WORK["added"])
    edit("README.md")(project_dir)
    before = snapshot(project_dir)
    result = await repo.fast_forward("main", sha)
    assert (result.moved, "README.md" in result.reason) == (False, True)
    assert snapshot(project_dir) == before
    assert not list((project_dir / ".git").glob("index.*"))


async def test_a_branch_checked_out_nowhere_moves_by_name(project_dir: Path, proved: tuple[Repo, str]) -> None:
    repo, sha = proved
    git(project_dir, "checkout", "--quiet", "-b", "elsewhere")
    edit("README.md")(project_dir)
    before = snapshot(project_dir)
    assert (await repo.fast_forward("main", sha)).moved
    assert git(project_dir, "rev-parse", "main") == sha
    assert snapshot(project_dir) == before


async def test_a_branch_being_rebased_is_left_alone(project_dir: Path, proved: tuple[Repo, str]) -> None:
    repo, sha = proved
    git(project_dir, "checkout", "--quiet", "-b", "clash", "HEAD~1")
    edit("other", "clash\n")(project_dir)
    git(project_dir, "add", ".")
    git(project_dir, "commit", "-qm", "clash")
    git(project_dir, "checkout", "--quiet", "main")
    git(project_dir, "rebase", "clash", check=False)
    result = await repo.fast_forward("main", sha)
    assert (result.moved, result.reason) == (False, "a rebase of it is under way")


async def test_a_missing_branch_and_one_that_is_there_already_are_told(
    project_dir: Path, proved: tuple[Repo, str]
) -> None:
    repo, sha = proved
    assert not (await repo.fast_forward("nowhere", sha)).moved
    assert (await repo.fast_forward("harness/t1", sha)).reason == "already there"
