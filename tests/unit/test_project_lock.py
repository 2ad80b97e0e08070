"""One process owns a project: the lock, its twin without the kernel, and who holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import SetupError
from harness.project import Project, ProjectLock, read_holder

HOLDER = """
import sys
from harness.project import Project, ProjectLock
with ProjectLock(Project.find(sys.argv[1]), "night-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(project_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", HOLDER, str(project_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_second_process_is_told_who_holds_the_project(project_dir: Path) -> None:
    """ST-4; the twin is the lock that looks at content alone, below."""
    project = Project.find(project_dir)
    with another_process(project_dir) as child:
        with pytest.raises(SetupError) as refused:
            ProjectLock(project, "t2").acquire()
        assert f"process {child.pid}" in refused.value.what
        assert "'night-1'" in refused.value.what
        assert f"kill -INT {child.pid}" in refused.value.remedy


def test_the_holder_can_be_read_without_taking_the_lock(project_dir: Path) -> None:
    project = Project.find(project_dir)
    assert read_holder(project) is None
    with another_process(project_dir) as child:
        holder = read_holder(project)
        assert holder is not None
        assert (holder.pid, holder.thread) == (child.pid, "night-1")
    assert read_holder(project) is None


def test_a_killed_holder_frees_the_project_at_once(project_dir: Path) -> None:
    with another_process(project_dir) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        with ProjectLock(Project.find(project_dir), "t2") as lock:
            assert lock.held


def test_a_lock_that_looks_at_content_alone_would_stay_taken_after_a_kill(project_dir: Path) -> None:
    """The broken twin of the test above: what the dead process signed is still there."""
    with another_process(project_dir) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert "night-1" in Project.find(project_dir).lock_file.read_text()


def test_a_lock_is_given_back_at_the_end(project_dir: Path) -> None:
    project = Project.find(project_dir)
    with ProjectLock(project) as first:
        assert first.held
    assert not first.held
    with ProjectLock(project) as second:
        assert second.held


def test_a_lock_whose_file_was_deleted_is_no_longer_held(project_dir: Path) -> None:
    project = Project.find(project_dir)
    with ProjectLock(project) as lock:
        project.lock_file.unlink()
        assert not lock.held


def test_programs_started_under_the_lock_do_not_keep_it(project_dir: Path) -> None:
    project = Project.find(project_dir)
    lock = ProjectLock(project)
    lock.acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        assert read_holder(project) is None
        child.kill()


def test_an_unreadable_signature_still_refuses(project_dir: Path) -> None:
    project = Project.find(project_dir)
    with another_process(project_dir):
        project.lock_file.write_text("{half")
        with pytest.raises(SetupError, match="in use"):
            ProjectLock(project).acquire()
