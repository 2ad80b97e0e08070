"""Names, paths and whole files."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import SetupError
from harness.project import Project, check_name, find_git, write_atomic


@pytest.mark.parametrize("name", ["t1", "2026-01-02_a", "A.b", "x" * 63])
def test_a_plain_id_is_taken_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-x", "a/b", "a..b", "a.lock", "a.", "ä", "a b", "a\n", "x" * 64, "../x", ".hidden", "a\0"]
)
def test_an_id_that_is_no_safe_name_is_refused(name: str) -> None:
    with pytest.raises(SetupError, match="thread id"):
        check_name(name)


def test_state_lies_outside_the_project_and_is_private(project_dir: Path, state_dir: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    assert project.state_dir.parent == state_dir / "projects"
    assert project.state_dir.name.startswith("project-")
    assert project.memory_dir == state_dir / "memory"
    assert {stat.S_IMODE(d.stat().st_mode) for d in (state_dir, project.state_dir, project.memory_dir)} == {0o700}


def test_a_state_directory_open_to_others_is_closed(project_dir: Path, state_dir: Path) -> None:
    state_dir.mkdir(mode=0o755)
    Project.find(project_dir).prepare_state()
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700


def test_finding_a_project_makes_nothing(project_dir: Path, state_dir: Path) -> None:
    Project.find(project_dir)
    assert not state_dir.exists()


def test_a_link_to_the_project_finds_the_same_state(project_dir: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project_dir)
    assert Project.find(link) == Project.find(project_dir)


def test_a_linked_worktree_shares_the_state_and_a_subdirectory_has_its_own(project_dir: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "worktree", "add", "-q", "-b", "other", tmp_path / "linked"], cwd=project_dir, check=True)
    (project_dir / "api").mkdir()
    (tmp_path / "linked" / "api").mkdir()
    whole, part = Project.find(project_dir), Project.find(project_dir / "api")
    assert Project.find(tmp_path / "linked").state_dir == whole.state_dir
    assert Project.find(tmp_path / "linked" / "api").state_dir == part.state_dir != whole.state_dir
    assert part.state_dir.name.startswith("api-")


def test_two_projects_of_one_name_have_two_states(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "app").mkdir(parents=True)
    assert Project.find(tmp_path / "a" / "app").state_dir != Project.find(tmp_path / "b" / "app").state_dir


def test_making_the_repository_later_keeps_the_state(tmp_path: Path) -> None:
    before = Project.find(tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert Project.find(tmp_path) == before


def test_git_is_found_as_git_finds_it(project_dir: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "worktree", "add", "-q", "-b", "other", tmp_path / "linked"], cwd=project_dir, check=True)
    for directory in (project_dir, tmp_path / "linked"):
        command = ["git", "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir"]
        said = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.split("\n")
        found = find_git(directory)
        assert found is not None
        assert [str(found.root), str(found.git_dir), str(found.common_dir)] == said[:3]


def test_an_empty_git_directory_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert find_git(tmp_path) is None


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nowhere is not a directory"):
        Project.find(tmp_path / "nowhere")


def test_state_inside_the_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    with pytest.raises(SetupError, match="inside the project"):
        Project.find(tmp_path)


def test_state_where_none_can_be_made_is_a_setup_error(
    tmp_path: Path, project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(SetupError, match="cannot be used for state"):
        Project.find(project_dir).prepare_state()


def test_in_a_worktree_files_differ_and_state_does_not(project_dir: Path, tmp_path: Path) -> None:
    project = Project.find(project_dir)
    inside = project.at(tmp_path)
    assert inside.features_file == tmp_path / "features.json"
    assert inside.lock_file == project.lock_file


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    write_atomic(path, "ä")
    write_atomic(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]


def test_a_rewritten_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "init.sh"
    path.touch(mode=0o755)
    write_atomic(path, "#!/bin/sh\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("untouched")
    link.symlink_to(target)
    write_atomic(link, "new")
    assert target.read_text() == "untouched"
    assert link.read_text() == "new"
    assert not link.is_symlink()


def test_a_file_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    with pytest.raises(SetupError, match="cannot be written"):
        write_atomic(path, "x")
    assert [p.name for p in tmp_path.iterdir()] == ["directory"]


@pytest.mark.needs("bwrap")
def test_a_read_only_file_system_is_a_setup_error_with_a_remedy(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom harness.project import write_atomic\nwrite_atomic(pathlib.Path(sys.argv[1]), 'x')"
    )
    bwrap = [shutil.which("bwrap") or "", "--ro-bind", "/", "/", "--dev", "/dev"]
    command = [*bwrap, sys.executable, "-c", program, str(tmp_path / "f")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert "SetupError" in ended.stderr
    assert "Read-only file system" in ended.stderr
    assert f"{tmp_path} lies on a file system that is read-only" in ended.stderr


WRITER = """
import pathlib, sys
from harness.project import write_atomic
path = pathlib.Path(sys.argv[1])
text = {letter: letter * 400_000 for letter in "ab"}
while True:
    for letter in "ab":
        WRITE
        print(letter, flush=True)
"""


@pytest.mark.parametrize(
    ("write", "whole"),
    [("write_atomic(path, text[letter])", True), ("path.write_text(''); path.open('a').write(text[letter])", False)],
    ids=["atomic", "broken twin"],
)
def test_a_reader_never_sees_half_a_file_and_neither_does_a_kill(tmp_path: Path, write: str, whole: bool) -> None:
    path = tmp_path / "state.json"
    command = [sys.executable, "-c", WRITER.replace("WRITE", write), str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        seen = {len(path.read_bytes()) for _ in range(3000)}
        child.kill()
        child.wait()
    assert (seen == {400_000}) is whole
    if whole:
        assert len(path.read_bytes()) == 400_000


def test_finding_a_project_needs_no_heavy_library(project_dir: Path) -> None:
    program = "import sys\nfrom harness.project import Project\nProject.find(sys.argv[1])\nprint(*sys.modules)"
    command = [sys.executable, "-c", program, str(project_dir)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    modules = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    assert not {"git", "pydantic", "asyncio"} & set(modules)
