"""`harness steer`: put a word down, and say when it is heard."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from harness.errors import SetupError
from harness.project import Project, read_holder
from harness.steering import Steering
from harness.threads import load_threads, require_begun


def say(directory: Path, thread_id: str, text: str) -> str:
    """Put a word down for a thread; what becomes of it.

    Raises: SetupError: there is no such thread, or nothing was said.
    """
    project = Project.find(directory)
    require_begun(project)
    known = [record.thread_id for record in load_threads(project)]
    if thread_id not in known:
        listed = ", ".join(known) or "none yet"
        raise SetupError(f"There is no thread {thread_id!r} in {project.directory}.", f"Threads here: {listed}.")
    Steering(project, thread_id).say(sys.stdin.read() if text == "-" else text)
    holder = read_holder(project)
    if holder and holder.thread == thread_id:
        return f"The session of {thread_id} hears it at its next turn."
    where = shlex.quote(str(project.directory))
    return f"Nobody is at work on {thread_id}: its next session hears it first. `harness resume {thread_id} {where}`"
