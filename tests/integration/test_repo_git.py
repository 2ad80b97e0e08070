"""The repository on real git: worktrees, commits that happen once, and the user's branch."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.commits import make_trailers
from harness.errors import RepoError, SetupError
from harness.project import Project, ProjectLock
from harness.repo import Repo
from harness.worktree import Worktree

ONE = make_trailers("t1", "s-1", "F001")
TWO = make_trailers("t1", "s-2", "F002")
ROOT = Path(__file__).parents[2]


def git(directory: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def run_committer(project_dir: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", COMMITTER, str(project_dir)]
    return subprocess.run(command, env=environment, check=False, capture_output=True)


def living_git(directory: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["git", "hash-object", "--stdin"], cwd=directory, stdin=subprocess.PIPE)


async def opened(project_dir: Path, branch: str = "harness/t1") -> tuple[Repo, Worktree]:
    repo = Repo.open(project_dir)
    return repo, await repo.open_worktree(Project.find(project_dir).worktrees_dir / "t1", branch)


async def test_a_directory_without_a_repository_is_refused_and_can_be_made_one(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not in a git repository"):
        Repo.open(tmp_path)
    repo = Repo.create(tmp_path)
    assert await repo.branch() == "main"
    assert not await repo.has_commits()
    assert await repo.log(5) == []
    with pytest.raises(RepoError, match="no commit"):
        await repo.head()


def test_a_file_that_is_no_repository_is_not_read_as_one(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(SetupError, match="not in a git repository"):
        Repo.open(tmp_path)


def test_variables_that_mislead_git_are_refused(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "elsewhere")
    with pytest.raises(SetupError, match="GIT_INDEX_FILE"):
        Repo.open(project_dir)


async def test_without_an_identity_a_commit_is_refused_with_the_commands(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    repo, tree = await opened(project_dir)
    for refused in (repo.require_identity, None):
        with pytest.raises(SetupError) as told:
            refused() if refused else await tree.commit("x", "", ONE)
        assert "git config --global user.email" in told.value.remedy
    assert await tree.head() == await repo.head()


async def test_commits_are_made_in_the_users_name(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    sha = await tree.commit("x", "", ONE)
    assert git(project_dir, "show", "-s", "--format=%an <%ae> %cn", sha) == (
        "Test Person <person@example.invalid> Test Person"
    )


async def test_what_the_user_has_is_told_without_touching_the_index(project_dir: Path) -> None:
    repo = Repo.open(project_dir)
    (project_dir / "README.md").write_text("changed\n")
    (project_dir / "nëw file").touch()
    before = (project_dir / ".git" / "index").read_bytes()
    assert sorted(await repo.dirty()) == ["README.md", "nëw file"]
    assert (project_dir / ".git" / "index").read_bytes() == before


async def test_a_detached_head_has_no_branch(project_dir: Path) -> None:
    git(project_dir, "checkout", "--quiet", "--detach")
    assert await Repo.open(project_dir).branch() is None


async def test_work_stays_in_the_worktree(project_dir: Path) -> None:
    repo, tree = await opened(project_dir)
    (tree.directory / "app.js").write_text("1\n")
    sha = await tree.commit("feat: app", "", ONE)
    assert await repo.head() != sha
    assert not (project_dir / "app.js").exists()
    assert git(project_dir, "status", "--porcelain") == ""


async def test_changes_and_patch_hold_new_binary_deleted_and_oddly_named_files(
    project_dir: Path, tmp_path: Path
) -> None:
    _, tree = await opened(project_dir)
    (tree.directory / ".gitignore").write_text("cache/\n")
    (tree.directory / "cache").mkdir()
    (tree.directory / "cache" / "big").touch()
    (tree.directory / "ünd so\nweiter").write_bytes(bytes(range(256)))
    (tree.directory / os.fsdecode(b"caf\xe9")).write_text("latin\n")
    (tree.directory / "README.md").unlink()
    base = await tree.head()
    expected = [".gitignore", "README.md", os.fsdecode(b"caf\xe9"), "ünd so\nweiter"]
    assert sorted(await tree.changed_files(base)) == sorted(expected)
    patch = await tree.diff(base)
    assert git(tree.path, "diff", "--cached", "--name-only") == ""  # looking staged nothing
    await tree.reset(base)
    (tmp_path / "patch").write_bytes(patch)
    git(tree.path, "apply", str(tmp_path / "patch"))
    assert (tree.directory / "ünd so\nweiter").read_bytes() == bytes(range(256))
    assert not (tree.directory / "README.md").exists()


async def test_a_change_of_equal_length_in_the_instant_of_a_commit_is_seen(project_dir: Path) -> None:
    """Git takes size and time for the content, unless the index is no younger than the file."""
    _, tree = await opened(project_dir)
    git(project_dir, "config", "core.trustCtime", "false")
    work, index = tree.directory / "n", tree.git.git_dir / "index"
    work.write_text("1")
    os.utime(work, (1_000_000_000,) * 2)
    sha = await tree.commit("n", "", ONE)
    work.write_text("2")
    for path in (work, index):
        os.utime(path, (1_000_000_000,) * 2)
    assert await tree.changed_files(sha) == ["n"]


async def test_reset_restores_the_commit_and_keeps_ignored_caches(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    (tree.directory / ".gitignore").write_text("node_modules/\n")
    base = await tree.commit("ignore", "", ONE)
    (tree.directory / "node_modules").mkdir()
    (tree.directory / "node_modules" / "kept").touch()
    (tree.directory / "README.md").write_text("broken")
    (tree.directory / "deep" / "er").mkdir(parents=True)
    (tree.directory / "deep" / "er" / "new").touch()
    await tree.reset(base)
    assert sorted(p.name for p in tree.directory.iterdir()) == [".git", ".gitignore", "README.md", "node_modules"]
    assert (tree.directory / "README.md").read_text() == "# A project\n"
    assert (tree.directory / "node_modules" / "kept").exists()


async def test_a_commit_happens_once_for_its_trailers(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    (tree.directory / "a").touch()
    first = await tree.commit("feat: a", "why", ONE)
    (tree.directory / "b").touch()
    assert await tree.commit("feat: a", "why", ONE) == first
    second = await tree.commit("feat: b", "", TWO)
    assert [c.sha for c in await tree.log(2)] == [second, first]
    assert await tree.find_commit(ONE) == first
    assert await tree.find_commit({**ONE, "Harness-Session": "s-2"}) is None


async def test_a_body_cannot_pose_as_another_commit(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    forged = "done\n\nHarness-Thread: t1\nHarness-Session: s-2\nHarness-Feature: F002"
    await tree.commit("Harness-Feature: F002", forged, ONE)
    (commit, *_) = await tree.log(1)
    assert await tree.find_commit(TWO) is None
    assert commit.trailers == ONE
    assert commit.subject == "Harness-Feature: F002"


async def test_a_message_is_kept_as_it_is(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    await tree.commit("feat:  two\nlines  ", "# not a comment\n\nKey: value\n", ONE)
    (commit, *_) = await tree.log(1)
    assert (commit.subject, commit.body) == ("feat: two lines", "# not a comment\n\nKey: value")
    assert git(project_dir, "log", "-1", "--format=%(trailers:key=Harness-Feature,valueonly)", "harness/t1") == "F001"


async def test_a_trailer_of_two_lines_is_refused(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    with pytest.raises(RepoError, match="cannot be a commit trailer"):
        await tree.commit("x", "", {"Harness-Thread": "t1\nHarness-Feature: F009"})


async def test_only_named_paths_are_committed_when_paths_are_named(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    for name in ("features.json", "other", "staged"):
        (tree.directory / name).touch()
    git(tree.path, "add", "staged")
    (tree.directory / "README.md").unlink()
    await tree.commit("state", "", ONE, paths=["features.json", "README.md", "checks/none.json"])
    assert sorted((await tree.log(1))[0].files) == ["README.md", "features.json"]
    assert (tree.directory / "other").exists()


async def test_state_is_committed_even_where_the_model_ignored_it(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    (tree.directory / "checks").mkdir()
    (tree.directory / "checks" / "F001.json").touch()
    (tree.directory / ".gitignore").write_text("checks\n*.json\n")
    await tree.commit("feat", "", ONE, always=["checks/F001.json"])
    assert sorted((await tree.log(1))[0].files) == [".gitignore", "checks/F001.json"]


async def test_a_path_that_leads_out_is_refused(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    with pytest.raises(RepoError, match="outside the repository"):
        await tree.commit("x", "", ONE, paths=["../secret"])


async def test_an_existing_worktree_is_adopted_with_its_work(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    (tree.directory / "half done").touch()
    _, again = await opened(project_dir)
    assert again.path == tree.path
    assert again.repairs == ()
    assert (again.directory / "half done").exists()


def delete_directory(tree: Worktree) -> None:
    subprocess.run(["rm", "-rf", tree.path], check=True)


def lock_worktree(tree: Worktree) -> None:
    (tree.git.git_dir / "locked").write_text("initializing")


def lose_index(tree: Worktree) -> None:
    (tree.git.git_dir / "index").unlink()
    lock_worktree(tree)


def lose_pointer(tree: Worktree) -> None:
    (tree.path / ".git").unlink()


def forget_worktree(tree: Worktree) -> None:
    subprocess.run(["rm", "-rf", tree.git.git_dir], check=True)


def leave_branch(tree: Worktree) -> None:
    git(tree.path, "checkout", "--quiet", "--detach")


@pytest.mark.parametrize(
    "damage", [delete_directory, lock_worktree, lose_index, lose_pointer, forget_worktree, leave_branch]
)
async def test_a_damaged_worktree_is_opened_again(project_dir: Path, damage: Callable[[Worktree], None]) -> None:
    _, tree = await opened(project_dir)
    sha = await tree.commit("work", "", ONE)
    damage(tree)
    _, again = await opened(project_dir)
    await again.reset(sha)
    assert await again.find_commit(ONE) == sha
    assert (again.directory / "README.md").exists()
    assert git(again.path, "status", "--porcelain") == ""
    assert bool(again.repairs) is (damage is not leave_branch)
    assert await again.commit("more", "", TWO) != sha


async def test_an_unknown_directory_in_the_way_is_kept_aside(project_dir: Path) -> None:
    place = Project.find(project_dir).worktrees_dir / "t1"
    place.mkdir(parents=True)
    (place / "work").write_text("precious")
    _, tree = await opened(project_dir)
    assert (place.parent / "t1.aside-1" / "work").read_text() == "precious"
    assert "t1.aside-1" in tree.repairs[0]


async def test_a_branch_the_user_has_checked_out_is_refused(project_dir: Path) -> None:
    git(project_dir, "checkout", "--quiet", "-b", "harness/t1")
    with pytest.raises(SetupError, match="checked out in"):
        await opened(project_dir)


@pytest.mark.parametrize("where", [".", "..", "sub", ".git/x"])
async def test_nothing_of_the_users_becomes_a_worktree(project_dir: Path, where: str) -> None:
    repo = Repo.open(project_dir)
    for wanted in (repo.open_worktree(project_dir / where, "harness/t1"), repo.remove_worktree(project_dir / where)):
        with pytest.raises(RepoError, match="not outside"):
            await wanted
    assert (project_dir / "README.md").exists()


@pytest.mark.parametrize("branch", ["-f", "a..b", "a b", "", "x.lock"])
async def test_a_branch_name_git_would_misread_is_refused(project_dir: Path, branch: str) -> None:
    with pytest.raises(RepoError, match="branch name"):
        await opened(project_dir, branch)


async def test_a_revision_cannot_pose_as_an_option(project_dir: Path) -> None:
    repo, tree = await opened(project_dir)
    for wanted in (tree.reset("--soft"), repo.fast_forward("main", "--all"), tree.merge("--abort")):
        with pytest.raises(RepoError, match="no commit"):
            await wanted


async def test_a_baseline_shows_a_commit_and_takes_no_commits(project_dir: Path, tmp_path: Path) -> None:
    repo, tree = await opened(project_dir)
    first = await tree.head()
    (tree.directory / "later").touch()
    second = await tree.commit("later", "", ONE)
    for sha, there in ((first, False), (second, True), (first, False)):
        base = await repo.checkout_at(sha, tmp_path / "base")
        (base.directory / "junk").touch()
        assert await base.head() == sha
        assert (base.directory / "later").exists() is there
    with pytest.raises(RepoError, match="to look at"):
        await base.commit("x", "", TWO)
    await repo.remove_worktree(base.path)
    await repo.remove_worktree(base.path)
    assert not base.path.exists()
    assert str(base.path) not in git(project_dir, "worktree", "list")


async def test_a_worktree_with_read_only_directories_can_be_removed(project_dir: Path) -> None:
    repo, tree = await opened(project_dir)
    (tree.directory / "d" / "e").mkdir(parents=True)
    (tree.directory / "d").chmod(stat.S_IRUSR | stat.S_IXUSR)
    await repo.remove_worktree(tree.path)
    assert not tree.path.exists()


async def test_what_the_user_committed_is_merged(project_dir: Path) -> None:
    repo, tree = await opened(project_dir)
    (tree.directory / "ours").touch()
    await tree.commit("ours", "", ONE)
    (project_dir / "theirs").touch()
    git(project_dir, "add", ".")
    git(project_dir, "commit", "-qm", "theirs")
    result = await tree.merge("main")
    assert result.merged
    assert result.sha == await tree.head()
    assert (tree.directory / "theirs").exists()
    assert (await tree.merge("main")).sha == result.sha
    assert (await repo.fast_forward("main", result.sha)).moved


async def test_a_conflict_names_the_files_and_leaves_nothing_behind(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    (tree.directory / "README.md").write_text("ours\n")
    before = await tree.commit("ours", "", ONE)
    (project_dir / "README.md").write_text("theirs\n")
    git(project_dir, "commit", "-qam", "theirs")
    result = await tree.merge("main")
    assert (result.merged, result.conflicts, result.sha) == (False, ("README.md",), before)
    assert git(tree.path, "status", "--porcelain") == ""
    assert (tree.directory / "README.md").read_text() == "ours\n"
    assert not (tree.git.git_dir / "MERGE_HEAD").exists()


async def test_a_project_without_commits_begins_with_an_empty_one(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "spec.md").write_text("the spec\n")
    repo = Repo.create(project)
    tree = await repo.open_worktree(tmp_path / "tree", "harness/t1")
    (tree.directory / "spec.md").write_text("the spec\n")
    (tree.directory / "app").touch()
    sha = await tree.commit("baseline", "", ONE)
    assert await repo.dirty() == ["spec.md"]
    assert (await repo.fast_forward("main", sha)).moved
    assert await repo.head() == sha
    assert await repo.dirty() == []


async def test_without_commits_a_different_file_of_the_users_is_not_overwritten(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".gitignore").write_text(".env\n")
    (project / ".env").write_text("secret")
    repo = Repo.create(project)
    tree = await repo.open_worktree(tmp_path / "tree", "harness/t1")
    (tree.directory / ".env").write_text("example")
    sha = await tree.commit("baseline", "", ONE)
    result = await repo.fast_forward("main", sha)
    assert (result.moved, ".env" in result.reason) == (False, True)
    assert (project / ".env").read_text() == "secret"
    assert not await repo.has_commits()


@pytest.mark.parametrize("name", ["api", "Bücher & mehr", "-dash"])
async def test_a_project_in_a_subdirectory_sees_its_own_paths(project_dir: Path, name: str) -> None:
    directory = project_dir / name
    directory.mkdir()
    repo, tree = await opened(directory)
    assert (repo.prefix, tree.directory) == (name, tree.path / name)
    (tree.directory / "app.py").touch()
    (tree.path / "shared.py").touch()
    assert await tree.changed_files("HEAD") == ["app.py"]
    sha = await tree.commit("feat", "", ONE)
    assert (await tree.log(1))[0].files == ("app.py",)
    assert (await repo.fast_forward("main", sha)).moved
    assert (directory / "app.py").exists()
    assert not (project_dir / "shared.py").exists()


async def test_a_project_in_a_linked_worktree_of_the_users_works(project_dir: Path, tmp_path: Path) -> None:
    git(project_dir, "worktree", "add", "-q", "-b", "topic", str(tmp_path / "topic"))
    repo, tree = await opened(tmp_path / "topic")
    (tree.directory / "a").touch()
    sha = await tree.commit("a", "", ONE)
    assert (await repo.fast_forward("topic", sha)).moved
    assert (tmp_path / "topic" / "a").exists()
    assert not (project_dir / "a").exists()
    assert (await repo.fast_forward("main", sha)).moved  # checked out in the main worktree
    assert (project_dir / "a").exists()


KILLER = """#!/bin/sh
# Stands for git: at the nth command it kills the harness, before, in the middle or after its work.
count=$(($(cat "$COUNTER") + 1)); echo "$count" > "$COUNTER"
if [ "$count" = "$KILL_AT" ]; then
    [ "$WHEN" = locked ] && touch "$ADMIN/index.lock"
    [ "$WHEN" = after ] && "$REAL_GIT" "$@"
    kill -9 $PPID
    exit 1
fi
exec "$REAL_GIT" "$@"
"""

COMMITTER = """
import asyncio, sys
from pathlib import Path
from harness.commits import make_trailers
from harness.project import Project, ProjectLock
from harness.repo import Repo

async def main():
    project = Project.find(sys.argv[1])
    with ProjectLock(project) as lock:
        repo = Repo.open(project.directory)
        await repo.clear_stale_locks(lock)
        tree = await repo.open_worktree(project.worktrees_dir / "t1", "harness/t1")
        (tree.directory / "work").write_text("done")
        sha = await tree.commit("feat: work", "", make_trailers("t1", "s-1", "F001"))
        print((await repo.fast_forward("main", sha)).moved)

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["before", "locked", "after"])
async def test_killed_at_any_git_command_and_run_again_there_is_one_commit(
    project_dir: Path, tmp_path: Path, when: str
) -> None:
    _, tree = await opened(project_dir)
    killer, counter = tmp_path / "git", tmp_path / "counter"
    killer.write_text(KILLER)
    killer.chmod(0o755)
    fixed = {
        "PYTHONPATH": str(ROOT),
        "REAL_GIT": str(shutil.which("git")),
        "ADMIN": str(tree.git.git_dir),
        "COUNTER": str(counter),
    }
    environment = {**os.environ, **fixed, "WHEN": when, "GIT_PYTHON_GIT_EXECUTABLE": str(killer)}
    start = git(project_dir, "rev-parse", "main")
    codes = []
    for kill_at in range(2, 60, 4):  # the first is GitPython's own question for the version
        counter.write_text("0")
        git(project_dir, "update-ref", "refs/heads/harness/t1", start)
        git(project_dir, "reset", "--quiet", "--hard", start)
        hit = run_committer(project_dir, {**environment, "KILL_AT": str(kill_at)})
        again = run_committer(project_dir, {**environment, "KILL_AT": "0"})
        assert again.stdout == b"True\n", again.stderr.decode()
        assert git(project_dir, "log", "--format=%s", f"{start}..main") == "feat: work"
        assert git(project_dir, "status", "--porcelain") == git(tree.path, "status", "--porcelain") == ""
        codes.append(hit.returncode)
        if hit.returncode == 0:
            break
    assert codes[-1] == 0  # every command was reached
    assert codes.count(-9) == len(codes) - 1 >= 4


async def test_without_the_search_by_trailers_a_repeated_commit_would_be_doubled(project_dir: Path) -> None:
    """The broken twin: git itself commits the same message twice."""
    _, tree = await opened(project_dir)
    await tree.commit("feat", "", ONE)
    git(tree.path, "commit", "--quiet", "--allow-empty", "--reuse-message=HEAD")
    assert len([c for c in await tree.log(9) if c.trailers == ONE]) == 2


async def test_a_stale_index_lock_is_removed_by_the_owner_and_told(project_dir: Path) -> None:
    """GI-9; the twins are the lock of a living git, and the commit that fails before."""
    repo, tree = await opened(project_dir)
    project = Project.find(project_dir)
    stale = tree.git.git_dir / "index.lock"
    stale.touch()
    with pytest.raises(RepoError, match=r"index\.lock"):
        await tree.commit("x", "", ONE)
    with ProjectLock(project) as lock:
        (told,) = await repo.clear_stale_locks(lock)
    assert str(stale) in told
    await tree.commit("x", "", ONE)


async def test_without_the_projects_lock_no_lock_of_git_is_removed(project_dir: Path) -> None:
    repo, tree = await opened(project_dir)
    stale = tree.git.git_dir / "index.lock"
    stale.touch()
    with pytest.raises(RepoError, match="holds the project"):
        await repo.clear_stale_locks(ProjectLock(Project.find(project_dir)))
    assert stale.exists()


async def test_a_lock_of_a_living_git_is_left_alone(project_dir: Path) -> None:
    repo, tree = await opened(project_dir)
    stale = tree.git.git_dir / "index.lock"
    with living_git(tree.path) as living:
        stale.touch()
        with ProjectLock(Project.find(project_dir)) as lock:
            assert await repo.clear_stale_locks(lock) == []
            assert living.stdin is not None
            living.stdin.close()
            living.wait()
            assert len(await repo.clear_stale_locks(lock)) == 1


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_a_lock_in_the_users_checkout_must_also_be_old(project_dir: Path, seconds: int) -> None:
    """Or of the future, as after a clock went back; one of this moment, which is the twin, is left alone."""
    repo = Repo.open(project_dir)
    stale = project_dir / ".git" / "index.lock"
    stale.touch()
    with ProjectLock(Project.find(project_dir)) as lock:
        assert await repo.clear_stale_locks(lock) == []
        os.utime(stale, (time.time() + seconds,) * 2)
        assert len(await repo.clear_stale_locks(lock)) == 1


async def test_gits_own_words_reach_the_person(project_dir: Path) -> None:
    _, tree = await opened(project_dir)
    (tree.git.git_dir / "HEAD").write_text("nonsense")
    with pytest.raises(RepoError, match=r"git rev-parse failed in .*not a git repository"):
        await tree.head()


async def test_the_sources_of_the_last_commit_are_read_at_once(project_dir: Path) -> None:
    (project_dir / "app").mkdir()
    (project_dir / "app" / "a.py").write_text("x = 'caf\u00e9'\n", encoding="utf-8")
    (project_dir / "app" / "b \u00fc\n.js").write_text("")
    (project_dir / "app" / "big.py").write_text("#" * 3000)
    (project_dir / "app" / "text.md").write_text("# Words\n")
    (project_dir / "app" / "link.py").symlink_to("/etc/passwd")
    git(project_dir, "add", "--all")
    git(project_dir, "commit", "--quiet", "-m", "sources")
    _, tree = await opened(project_dir)
    (tree.path / "app" / "a.py").unlink()
    (tree.path / "app" / "a.py").symlink_to("/etc/passwd")  # what lies in the tree now is not what is read
    wanted = {"app/a.py": "x = 'caf\u00e9'\n".encode(), "app/b \u00fc\n.js": b""}
    assert await tree.read_all((".py", ".js"), 1000, 10_000) == wanted
    assert set(await tree.read_all((".py", ".js"), 10_000, 3010)) == {*wanted}, "the big one is more than all may be"
    assert set(await tree.read_all((".py",), 10_000, 10_000)) == {"app/a.py", "app/big.py"}
    assert await tree.read_all((".rs",), 1000, 1000) == {}
    _, inner = await opened(project_dir / "app", "harness/t2")
    assert set(await inner.read_all((".py", ".js"), 1000, 10_000)) == {"a.py", "b \u00fc\n.js"}
