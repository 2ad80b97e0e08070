"""Records of threads: found again, in order, and a broken one is named."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import ContractError, SetupError
from harness.project import Project
from harness.threads import ThreadRecord, latest_thread, load_threads, new_thread_id, save_thread

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def make_record(thread_id: str, minutes: int = 0, **fields: str) -> ThreadRecord:
    return ThreadRecord.model_validate(
        {"thread_id": thread_id, "stage": "build", "started": NOON, "updated": NOON + timedelta(minutes=minutes)}
        | fields
    )


def test_a_project_without_threads_has_no_latest_one_and_makes_no_state(project_dir: Path) -> None:
    project = Project.find(project_dir)
    assert latest_thread(project) is None
    assert load_threads(project) == []
    assert not project.state_dir.exists()


def test_a_saved_thread_is_found_by_name_and_as_the_latest(project_dir: Path) -> None:
    project = Project.find(project_dir)
    record = make_record("t-1", exit_status="TurnLimit", reason="12 turns used")
    save_thread(project, record)
    assert load_threads(project) == [record]
    assert latest_thread(project) == record


def test_threads_come_in_the_order_they_were_touched(project_dir: Path) -> None:
    project = Project.find(project_dir)
    for name, minutes in (("b", 5), ("a", 9), ("c", 1)):
        save_thread(project, make_record(name, minutes))
    save_thread(project, make_record("c", 12))
    assert [record.thread_id for record in load_threads(project)] == ["b", "a", "c"]


def test_records_are_readable_by_their_owner_alone(project_dir: Path) -> None:
    project = Project.find(project_dir)
    save_thread(project, make_record("t-1"))
    path = project.state_dir / "threads" / "t-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ('{"thread_id": "t-1"', "is not JSON"),
        ('{"thread_id": "t-1", "stage": "dreaming"}', "stage"),
        ('{"thread_id": "other", "stage": "build"}', "it says it is 'other'"),
    ],
)
def test_a_broken_record_is_named_and_left_as_it_is(project_dir: Path, text: str, words: str) -> None:
    project = Project.find(project_dir)
    save_thread(project, make_record("t-1"))
    path = project.state_dir / "threads" / "t-1.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=re.escape(str(path))) as caught:
        load_threads(project)
    assert words in caught.value.what
    assert "harness run --thread t-1" in caught.value.remedy
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x.lock"])
def test_a_name_that_would_leave_the_directory_is_refused(project_dir: Path, name: str) -> None:
    with pytest.raises(SetupError, match="cannot be a thread id"):
        save_thread(Project.find(project_dir), make_record(name))


def test_new_names_tell_the_day_and_differ() -> None:
    names = {new_thread_id() for _ in range(8)}
    assert all(re.fullmatch(r"t-\d{8}-[0-9a-f]{4}", name) for name in names)
    assert len(names) > 1
