"""`harness demo`: a small application built before the reader's eyes, with a recorded model and no key.

Everything but the model's words is real: sandbox, browser, git, memory, checkpoints. The words were answered by
somebody who saw the requests alone; where the machinery now asks something else than it did then, the run stops and
names the difference instead of going on by guess.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SetupError
from harness.events import Noticed
from harness.replaying import replay

if TYPE_CHECKING:
    from harness.events import Events
    from harness.opening import Stop
    from harness.runtime import Ended

HERE = Path(__file__).parent
SPEC = HERE / "spec.md"
RECORDING = HERE / "recording.jsonl"
THREAD = "demo"
"""The recording's conversations are named after the thread."""
DIRECTORY = "harness-demo"
IDENTITY = ("Harness demo", "demo@localhost")


async def run_demo(directory: Path | None, events: Events, stop: Stop) -> Ended:
    """Build the demo, or go on where it was.

    Args:
        directory: None: `harness-demo` below the current directory.
        events: told of everything.
        stop: the person's wish to stop.

    Raises: SetupError: the recording is missing, or the directory holds something else.
    """
    place = await asyncio.to_thread(_prepare, directory or Path.cwd() / DIRECTORY)
    flags = _sandbox(events)
    events.emit(Noticed(text=f"The demo is built in {place}, by a recorded model; all else is real."))
    text = SPEC.read_text(encoding="utf-8")
    return await replay(RECORDING, place, text, flags=flags, events=events, stop=stop)


def _prepare(directory: Path) -> Path:
    """A repository whose commits have an author, on a machine where git may not know one."""
    from harness.project import find_git
    from harness.repo import Repo

    if not RECORDING.exists():
        raise SetupError(f"The demo's recording {RECORDING} is missing.", "Restore it: `git restore harness/demo`.")
    directory.mkdir(parents=True, exist_ok=True)
    place = directory.resolve()
    if not {path.name for path in place.iterdir()} <= {".git"} and not _is_ours(place):
        raise SetupError(f"{place} is not empty.", "Name another directory: `harness demo DIR`.")
    if find_git(place) is None or not (place / ".git").exists():
        Repo.create(place, identity=IDENTITY)
    return place


def _is_ours(place: Path) -> bool:
    from harness.project import Project
    from harness.threads import load_threads

    return any(thread.thread_id == THREAD for thread in load_threads(Project.find(place)))


def _sandbox(events: Events) -> dict[str, Any]:
    """The commands are our own recording, so the demo goes on without a sandbox, and says so."""
    from harness.sandbox.bubblewrap import probe

    found = probe()
    if found.is_enforced:
        return {}
    events.emit(Noticed(text=f"No sandbox here ({found.reason}); the recorded commands run without.", level="warning"))
    return {"sandbox": {"mode": "off"}}
