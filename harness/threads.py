"""The threads of a project: what each is doing or how it ended, one small file a thread in the state directory.

The record lets a person name a thread and lets `run` find the last one. It decides nothing else: what a thread has
done is in git, where it goes on is in its checkpoints.
"""

from __future__ import annotations

import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from harness.errors import ContractError, FeatureFileError, SetupError
from harness.project import Project, check_name, write_atomic
from harness.state_file import file_errors, parse_json, read_text

Stage = Literal["init", "build"]


class ThreadRecord(BaseModel):
    """One thread, as last heard of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thread_id: str
    stage: Stage
    """Which of the two graphs it is in."""
    started: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    updated: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    exit_status: str = ""
    """Why it ended; empty while it runs, and for ever when its process was killed."""
    reason: str = ""


def new_thread_id() -> str:
    """A name that tells the day: `t-20261121-3f9a`."""
    return f"t-{datetime.now(UTC):%Y%m%d}-{os.urandom(2).hex()}"


def save_thread(project: Project, record: ThreadRecord) -> None:
    """Write a thread's record whole.

    Raises: SetupError: the id cannot be a file name, or the state directory cannot be written.
    """
    path = _path(project, record.thread_id)
    if not path.parent.is_dir():
        project.prepare_state()
        _make(path.parent)
    write_atomic(path, record.model_dump_json(indent=1) + "\n")


def load_threads(project: Project) -> list[ThreadRecord]:
    """All threads, the one touched last at the end.

    Raises: ContractError: a record is broken; it is named.
    """
    paths = sorted((project.state_dir / "threads").glob("[!.]*.json"))
    return sorted((_load(path) for path in paths), key=lambda record: (record.updated, record.started))


def latest_thread(project: Project) -> ThreadRecord | None:
    """The thread touched last; None before the first.

    Raises: ContractError: as `load_threads`.
    """
    return next(reversed(load_threads(project)), None)


def given_file(project: Project, thread_id: str) -> Path:
    """What the person gave a thread to begin with, as they gave it."""
    return project.state_dir / "work" / thread_id / "init" / "given.md"


def given_spec(project: Project, thread_id: str) -> str:
    """The specification or wish a thread was begun with; empty before it was kept."""
    given = given_file(project, thread_id)
    kept = next((path for path in (given, given.with_name("spec.md")) if path.exists()), None)
    return read_text(kept) if kept else ""


def require_begun(project: Project) -> None:
    """Refuse a directory that is no project of ours, the same way in every command.

    Raises: SetupError: it has neither a list nor a thread.
    """
    if not project.features_file.exists() and not load_threads(project):
        raise SetupError(
            f"{project.directory} has no features.json: it is no project yet.",
            f"Run `harness init {shlex.quote(str(project.directory))}` first.",
        )


def require_list(project: Project) -> None:
    """Refuse a directory without a list.

    Raises: SetupError: with the command that makes one.
    """
    require_begun(project)
    thread = latest_thread(project)
    if not project.features_file.exists() and thread and thread.stage == "init":
        raise SetupError(
            f"{project.directory} has no features.json yet.", f"`{resume_command(project, thread)}` goes on to it."
        )


def resume_command(project: Project, thread: ThreadRecord) -> str:
    """The command that goes on with a thread."""
    where = shlex.quote(str(project.directory))
    if thread.stage == "init":
        if thread.exit_status == "Finished":
            return f"harness run {where}"
        desk = project.state_dir / "work" / thread.thread_id / "init"
        if _is_adopted(desk / "plan.json"):
            return f"harness init {where} --adopt"
        if not given_spec(project, thread.thread_id):
            return f"harness init {where} --thread {thread.thread_id} --spec ..."
    return f"harness resume {thread.thread_id} {where}"


def _is_adopted(plan: Path) -> bool:
    """Whether the list was taken over. The plan is scratch: one that cannot be read says nothing."""
    try:
        return bool(json.loads(plan.read_text(encoding="utf-8")).get("given"))
    except (OSError, ValueError, AttributeError):
        return False


def _path(project: Project, thread_id: str) -> Path:
    return project.state_dir / "threads" / f"{check_name(thread_id)}.json"


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise SetupError(f"{directory} cannot be made: {exc.strerror}.", f"Make {directory.parent} writable.") from exc


def _load(path: Path) -> ThreadRecord:
    try:
        with file_errors(path, "record of a thread"):
            record = ThreadRecord.model_validate(parse_json(read_text(path)))
            if record.thread_id != path.stem:
                raise ValueError(f"it says it is {record.thread_id!r}")
            return record
    except FeatureFileError as exc:
        # Not a file of the project's: git has no earlier one, and the thread can do without it.
        remedy = f"Move it away; `harness run --thread {path.stem}` goes on with what the thread has in git."
        raise ContractError(exc.what, remedy) from exc
