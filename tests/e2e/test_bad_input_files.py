"""A broken file of ours stops a run at once: it is named, the exit code is 4, and it is left as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bad_input_support import Person, commit, git, unchanged

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]


def twice(project: Path) -> str:
    """The list with its first feature in it again."""
    data = json.loads((project / "features.json").read_text())
    return json.dumps({**data, "features": [*data["features"], data["features"][0]]})


BROKEN_LISTS = {
    "truncated": lambda project: (project / "features.json").read_text()[:80],
    "empty": lambda _: "",
    "wrong type": lambda _: '"features"',
    "passes is a word": lambda project: (project / "features.json").read_text().replace("false", '"soon"', 1),
    "an id twice": twice,
    "a version of the future": lambda project: (project / "features.json").read_text().replace("1", "9", 1),
}


@pytest.mark.parametrize("kind", BROKEN_LISTS)
@pytest.mark.parametrize("command", ["run", "status", "verify"])
def test_a_broken_feature_list_is_named_and_left_alone(person: Person, project: Path, kind: str, command: str) -> None:
    (project / "features.json").write_text(BROKEN_LISTS[kind](project))
    unchanged(project, lambda: person.run(command, project)).is_clear(4, r"features\.json", "left as it is")


def test_a_broken_list_that_was_committed_stops_the_run_until_it_is_reverted(person: Person, project: Path) -> None:
    started(person, project)
    (project / "features.json").write_text("{")
    commit(project, "break the list")
    (project / "features.json").write_text(git(project, "show", "HEAD^:features.json"))
    unchanged(project, lambda: person.run("run", project)).is_clear(4, r"features\.json.*is not JSON")
    git(project, "checkout", "--quiet", "features.json")
    git(project, "revert", "--no-edit", "HEAD")
    person.run("run", project).is_clear(5, "could not be reached")


@pytest.mark.parametrize("text", ["", '{"version": 1, "sessions": [', '{"version": 1, "sessions": {}}', "[]"])
def test_a_broken_progress_file_is_named_and_left_alone(person: Person, project: Path, text: str) -> None:
    (project / "progress.json").write_text(text)
    unchanged(project, lambda: person.run("run", project)).is_clear(4, r"progress\.json", "left as it is")


@pytest.mark.parametrize("name", ["F001.json", "elements.json"])
@pytest.mark.parametrize("text", ["", '{"contract": ', '{"version": 1, "colour": "red"}'])
def test_a_broken_check_is_named_and_left_alone(person: Person, project: Path, name: str, text: str) -> None:
    (project / "checks").mkdir()
    (project / "checks" / name).write_text(text)
    unchanged(project, lambda: person.run("run", project)).is_clear(4, f"checks/{name}", "left as it is")


def test_a_feature_that_passes_without_a_check_is_named(person: Person, project: Path) -> None:
    """FJ-1."""
    text = (project / "features.json").read_text()
    (project / "features.json").write_text(text.replace('"passes": false', '"passes": true', 1))
    commit(project, "claim")
    unchanged(project, lambda: person.run("run", project)).is_clear(4, r"F001 passes, and checks/F001\.json is missing")
    unchanged(project, lambda: person.run("verify", project)).is_clear(4, r"F001 has no check")


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
def test_broken_checkpoints_are_named_and_the_build_goes_on_without_them(
    person: Person, project: Path, damage: str
) -> None:
    started(person, project)
    path = state_file(project, "checkpoints.sqlite")
    whole = path.read_bytes()
    path.write_bytes({"garbage": os.urandom(8192), "truncated": whole[: len(whole) // 2], "empty": b""}[damage])
    if damage != "empty":  # SQLite takes an empty file for a new one, and so can we: git has what counts
        broken = path.read_bytes()
        unchanged(project, lambda: person.run("run", project)).is_clear(4, r"checkpoints\.sqlite", "Move the file away")
        assert path.read_bytes() == broken
        path.rename(path.with_suffix(".broken"))
    person.run("run", project).is_clear(5, "could not be reached")


def test_a_broken_record_of_a_thread_is_named(person: Person, project: Path) -> None:
    started(person, project)
    record = next(state_file(project, "threads").glob("*.json"))
    record.write_text("{")
    unchanged(project, lambda: person.run("run", project)).is_clear(4, record.name, "Move it away")
    unchanged(project, lambda: person.run("threads", project)).is_clear(4, record.name)


def test_broken_records_of_memory_are_named(person: Person, project: Path) -> None:
    started(person, project)
    records = next(Path(os.environ["HARNESS_STATE_DIR"], "memory").glob("records.db"))
    garbage = os.urandom(8192)
    records.write_bytes(garbage)
    ran = unchanged(project, lambda: person.run("run", project))
    assert ran.code in (4, 5)
    ran.is_clear(ran.code, records.name)
    assert records.read_bytes() == garbage


def started(person: Person, project: Path) -> None:
    """Begin a thread; the endpoint is dead, so it stops at the first contract."""
    person.run("run", project, "--thread", "mine").is_clear(5, "could not be reached")


def state_file(project: Path, name: str) -> Path:
    """A file of the project's state."""
    root = Path(os.environ["HARNESS_STATE_DIR"]) / "projects"
    return next(root.glob(f"{project.name}-*")) / name
