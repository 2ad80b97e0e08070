"""State files that a disk, a kill or a person broke (ST-1): noticed, and never taken for empty ones.

For every file that holds what was decided: cut after each byte, each byte changed, a directory in its place, taken
away, of a later version. Either it is refused with its name and what to do, or nothing that counts is another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ContractError
from harness.features import Feature, FeatureList, PassedAt, Proof
from harness.progress import Progress, SessionEntry
from harness.project import Project
from harness.sandbox.output import Output
from harness.threads import ThreadRecord, load_threads, save_thread

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PASSED = PassedAt(session="s001-F001", time=NOW, baseline="abc", check="0123")


def features(directory: Path) -> tuple[Path, Callable[[], Any]]:
    done = {"passes": True, "passed_at": PASSED, "proof": Proof(red=1)}
    first = Feature.model_validate({"id": "F001", "description": "One", "steps": ["See"], **done})
    second = Feature.model_validate({"id": "F002", "description": "Two", "steps": ["See"]})
    path = directory / "features.json"
    FeatureList(features=(first, second)).save(path)
    return path, lambda: [(each.passes, len(each.steps)) for each in FeatureList.load(path).features]


def progress(directory: Path) -> tuple[Path, Callable[[], Any]]:
    entry = SessionEntry(session="s001-F001", feature="F001", outcome="passed", summary="done", turns=3, ended_at=NOW)
    path = directory / "progress.json"
    Progress(thread="t-1", sessions=(entry,)).save(path)
    return path, lambda: [len(each.session) > 0 for each in Progress.load(path).sessions]


def thread(directory: Path) -> tuple[Path, Callable[[], Any]]:
    project = Project.find(directory)
    project.prepare_state()
    save_thread(project, ThreadRecord(thread_id="t-1", stage="build", started=NOW, updated=NOW))
    path = project.state_dir / "threads" / "t-1.json"
    return path, lambda: [(each.thread_id, each.stage) for each in load_threads(project)]


FILES = {"features": features, "progress": progress, "thread": thread}
Made = tuple[Path, Callable[[], Any]]


@pytest.fixture(params=FILES)
def made(request: pytest.FixtureRequest, project_dir: Path) -> Made:
    return FILES[request.param](project_dir)


def is_refused(path: Path, load: Callable[[], Any], what: object) -> bool:
    """Whether it is refused, by name, with a remedy, and left as it is."""
    before = path.read_bytes() if path.is_file() else None
    refusal: ContractError | None = None
    try:
        load()
    except ContractError as exc:
        refusal = exc
    if refusal is None:
        return False
    assert str(path) in refusal.what, what
    assert refusal.remedy, what
    assert before is None or path.read_bytes() == before, what
    return True


def test_a_file_that_was_cut_anywhere_is_refused(made: Made) -> None:
    """ST-1; the whole file, which is the twin, loads."""
    path, load = made
    whole = path.read_bytes()
    assert load()
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        assert is_refused(path, load, length), f"the first {length} bytes are taken for a whole file"


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_changed_byte_is_refused_or_changes_nothing_that_counts(made: Made, mask: int) -> None:
    """ST-1; texts are sealed elsewhere: `harness doctor` compares the list with its seals."""
    path, load = made
    whole, right = path.read_bytes(), load()
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
        if is_refused(path, load, place):
            refused += 1
        else:
            assert load() == right, f"byte {place} changed what is read"
    assert refused, "nothing was ever noticed"


@pytest.mark.parametrize("damage", ["directory", "later version", "another type", "empty", "blanks", "nul"])
def test_what_is_something_else_is_refused(made: Made, damage: str) -> None:
    """ST-1."""
    path, load = made
    known = json.loads(path.read_text())
    texts = {"later version": json.dumps({**known, "version": 99}), "another type": "7", "empty": "", "blanks": " \n"}
    path.unlink()
    if damage == "directory":
        path.mkdir()
    else:
        path.write_text(texts.get(damage, "\0" * 100))
    assert is_refused(path, load, damage)


def test_output_goes_on_when_its_file_has_no_room(tmp_path: Path) -> None:
    """A full disk must not stop a command from being read, or it would wait for ever to be."""
    output = Output(1000, tmp_path / "out", 1_000_000)
    output.feed(b"before ")
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    output._file = os.open(full, os.O_WRONLY)
    output.feed(b"while ")
    output.feed(b"after")
    assert output.text() == "before while after"
