"""A project in a directory of a larger repository: what lies beside it is neither its business nor in its way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.features import Feature, FeatureList
from harness.lock import ProjectLock
from harness.project import Project, thread_branch
from harness.repo import Repo
from harness.verify.hall import OWN_FILES
from harness.worktree import Worktree

NAMED = {"Harness-Thread": "demo", "Harness-Event": "baseline"}


def git(directory: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(directory: Path, subject: str, **files: str) -> str:
    for name, text in files.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "-m", subject)
    return git(directory, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two packages, each with a commit of its own."""
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "--quiet")
    commit(root, "a shop", packages__shop__shop="shop", README="both")
    commit(root, "a bank", packages__bank__bank="bank")
    return root


async def opened(directory: Path, thread: str = "demo") -> tuple[Repo, Worktree]:
    project, repo = Project.find(directory), Repo.open(directory)
    project.prepare_state()
    return repo, await repo.open_worktree(project.worktrees_dir / thread, project.branch(thread))


async def test_history_is_of_the_directory_alone(repository: Path) -> None:
    repo, tree = await opened(repository / "packages" / "shop")
    assert [(c.subject, c.files) for c in await repo.log(9)] == [("a shop", ("shop",))]
    shas = await tree.history(9)
    assert [(c.subject, c.files) for c in await tree.commits(shas)] == [("a shop", ("shop",))]
    whole, tree = await opened(repository)
    assert [c.subject for c in await tree.commits(await tree.history(9))] == ["a bank", "a shop"]
    assert len(await whole.log(9)) == 2


async def test_what_is_not_committed_in_other_directories_is_not_seen(repository: Path) -> None:
    (repository / "packages" / "bank" / "bank").write_text("changed")
    (repository / "packages" / "bank" / "new").write_text("new")
    shop, _ = await opened(repository / "packages" / "shop")
    bank, _ = await opened(repository / "packages" / "bank")
    assert await shop.dirty() == []
    assert sorted(await bank.dirty()) == ["bank", "new"]


async def test_work_and_commits_are_of_the_directory_alone(repository: Path) -> None:
    repo, tree = await opened(repository / "packages" / "shop")
    before = await tree.head()
    (tree.directory / "new").write_text("new")
    (tree.path / "README").write_text("written by a session")
    (tree.path / "packages" / "bank" / "left").write_text("left by a session")
    assert await tree.changed_files(before) == ["new"]
    assert b"README" not in await tree.diff(before)
    snapshot = await tree.snapshot(OWN_FILES)
    assert git(repository, "show", "--name-only", "--format=", snapshot.sha) == "packages/shop/new"
    sha = await tree.commit("more", "", NAMED)
    assert git(repository, "show", "--name-only", "--format=", sha) == "packages/shop/new"
    assert (await repo.contents([sha], OWN_FILES))[sha] == snapshot.content
    assert snapshot.content == git(repository, "rev-parse", f"{sha}:packages/shop")


async def test_commits_elsewhere_do_not_change_what_was_judged(repository: Path) -> None:
    repo, tree = await opened(repository / "packages" / "shop")
    here = git(repository, "rev-parse", "HEAD")
    there = commit(repository, "elsewhere", packages__bank__more="more")
    assert await tree.same_code(here, there, OWN_FILES)
    contents = await repo.contents([here, there], OWN_FILES)
    assert contents[here] == contents[there]
    whole, tree = await opened(repository)
    assert not await tree.same_code(here, there, OWN_FILES)
    contents = await whole.contents([here, there], OWN_FILES)
    assert contents[here] != contents[there]


async def test_a_directory_that_holds_nothing_yet_can_be_worked_in(repository: Path) -> None:
    place = repository / "packages" / "new"
    place.mkdir()
    repo, tree = await opened(place)
    empty = (await tree.snapshot(OWN_FILES)).content
    assert (await repo.contents([await tree.head()], OWN_FILES))[await tree.head()] == empty
    assert await tree.diff(await tree.head()) == b""
    assert await tree.history(5) == []
    (tree.directory / "first").write_text("1")
    sha = await tree.commit("first", "", NAMED)
    assert git(repository, "show", "--name-only", "--format=", sha) == "packages/new/first"


async def test_two_projects_of_one_repository_have_state_locks_and_threads_of_their_own(repository: Path) -> None:
    names = [repository, repository / "packages" / "shop", repository / "packages" / "bank"]
    projects = [Project.find(name) for name in names]
    assert len({project.state_dir for project in projects}) == 3
    assert len({project.branch("demo") for project in projects}) == 3
    assert projects[0].branch("demo") == "harness/demo"
    assert len({thread_branch("demo", inside) for inside in ("", "a/shop", "b/shop", "a/..shop", "a/shop.lock")}) == 5
    for project in projects:
        project.prepare_state()
    with ProjectLock(projects[1], "demo"), ProjectLock(projects[2], "demo"):
        trees = [(await opened(name))[1] for name in names]
        for tree, text in zip(trees, "abc", strict=True):
            (tree.directory / "made").write_text(text)
            made = await tree.commit(f"made {text}", "", NAMED)
            assert await tree.find_commit(NAMED) == made
    assert len({tree.branch for tree in trees}) == 3


async def test_a_commit_of_the_other_project_is_not_taken_for_its_own(repository: Path) -> None:
    shop_repo, shop = await opened(repository / "packages" / "shop")
    (shop.directory / "made").write_text("1")
    made = await shop.commit("baseline of the shop", "", NAMED)
    assert (await shop_repo.fast_forward("main", made)).moved
    bank_repo, bank = await opened(repository / "packages" / "bank")
    assert await bank.find_commit(NAMED) is None
    assert await bank_repo.find_commit(NAMED, "main") is None
    assert await shop_repo.find_commit(NAMED, "main") == made
    whole, _ = await opened(repository)
    assert await whole.find_commit(NAMED, "main") == made, "without the directory it would be"


async def test_the_branch_follows_although_the_person_committed_elsewhere(repository: Path) -> None:
    from types import SimpleNamespace
    from typing import Any, cast

    from harness.events import Events
    from harness.ledger import Ledger

    place = repository / "packages" / "shop"
    repo, project = Repo.open(place), Project.find(place)
    parts = SimpleNamespace(
        repo=repo, project=project, thread_id="demo", branch=project.branch("demo"), events=Events(), audit=None,
        worktree_path=project.worktrees_dir / "demo",
    )  # fmt: skip
    ledger = Ledger(cast("Any", parts))
    listed = FeatureList(features=(Feature(id="F001", category="a", description="b", steps=("c",)),))
    await ledger.tree()
    commit(repository, "elsewhere", packages__bank__more="more")
    (repository / "packages" / "bank" / "bank").write_text("not committed")
    await ledger.commit("listed", "", NAMED, listed)
    assert git(repository, "log", "--format=%s", "-3", "main").splitlines()[0].startswith("Merge")
    assert (place / "features.json").is_file()
    assert git(repository, "status", "--porcelain") == "M packages/bank/bank"

    commit(repository, "here", packages__shop__mine="mine")  # takes the other change in, and touches the project
    before = git(repository, "rev-parse", "main")
    await ledger.commit("again", "", {**NAMED, "Harness-Event": "amended"}, listed)
    assert git(repository, "rev-parse", "main") == before, "what touches the project is taken in when the next begins"
