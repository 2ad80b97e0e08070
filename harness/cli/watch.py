"""`harness status --watch`: shown again whenever something it tells has changed.

The files it is read from are looked at, which costs less than a thousandth of the time; only when one changed, or the
project's lock was taken or given back, is the status read again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from harness.errors import HarnessError, Interrupted
from harness.lock import read_holder
from harness.project import Project
from harness.status import as_facts, as_text, read_status, worktree_of
from harness.threads import latest_thread

LOOK_SECONDS = 0.5
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"
_COLOURS = {"passed": "32", "parked": "33", "claimed": "36"}
_STATE = re.compile(r"^(passed|parked|claimed)(?= )", re.MULTILINE)


def watch_status(directory: Path, stream: IO[str], *, as_json: bool, wait: Callable[[], object] | None = None) -> None:
    """Show it, and again after each change, until Ctrl-C or until nobody reads.

    Args:
        directory: the project's.
        stream: where; a terminal is redrawn, anything else gets one after another.
        as_json: a line of facts a change.
        wait: until it is time to look again; raises Interrupted to end.

    Raises: HarnessError: it cannot be read at the start; later the reason is shown, and the next change may mend it.
    """
    project = Project.find(directory)
    shown, seen = "", None
    read_status(directory)
    try:
        while True:
            stamp = list(_stamp(project))
            if stamp != seen:
                seen = stamp
                text = _text(directory, stream, as_json=as_json)
                if text != shown:
                    shown = text
                    _show(text, stream, as_json=as_json)
            (wait or _sleep)()
    except Interrupted:
        return
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is left in its buffer has no reader either


def _sleep() -> None:
    time.sleep(LOOK_SECONDS)


def _text(directory: Path, stream: IO[str], *, as_json: bool) -> str:
    try:
        status = read_status(directory)
    except HarnessError as exc:
        return json.dumps({"error": str(exc)}) if as_json else str(exc)
    if as_json:
        return json.dumps(as_facts(status), ensure_ascii=False)
    if not stream.isatty():
        return as_text(status)
    width, height = shutil.get_terminal_size()
    text = _fitting(as_text(status, width), height - 1)
    return text if os.environ.get("NO_COLOR") else _STATE.sub(_coloured, text)


def _fitting(text: str, height: int) -> str:
    """What is done already is left out first where the window is too low; what comes next stays."""
    lines = text.split("\n")
    too_many = len(lines) - height
    if too_many <= 0:
        return text
    done = [n for n, line in enumerate(lines) if line.startswith("passed ")]
    hidden = set(done[: too_many + 1])
    kept = [line for n, line in enumerate(lines) if n not in hidden]
    if hidden:
        kept.insert(done[0], f"... {len(hidden)} more that passed")
    last = max((n for n, line in enumerate(kept) if line.startswith("next ")), default=len(kept))
    return "\n".join([*kept[: max(height - len(kept[last:]), 0)][:last], *kept[last:]][:height])


def _coloured(found: re.Match[str]) -> str:
    return f"\x1b[{_COLOURS[found[1]]}m{found[1]}\x1b[0m"


def _show(text: str, stream: IO[str], *, as_json: bool) -> None:
    clear, end = (_CLEAR, "\n") if stream.isatty() and not as_json else ("", "\n" if as_json else "\n\n")
    stream.write(f"{clear}{text}{end}")
    stream.flush()


def _stamp(project: Project) -> Iterator[Any]:
    """What changes when something that is told changes."""
    yield read_holder(project)
    thread = None
    try:
        thread = latest_thread(project)
    except HarnessError:
        yield "broken"
    yield thread
    place = worktree_of(project, thread.thread_id) if thread else None
    paths = [project.features_file, project.progress_file, project.last_verify_file, project.state_dir / "replays.json"]
    paths += [place.features_file, place.progress_file] if place else []
    if thread:
        paths += sorted((project.trajectories_dir / thread.thread_id).glob("*.jsonl"))
        paths += sorted((project.state_dir / "work" / thread.thread_id).glob("*/verdict.json"))
        paths += sorted((project.state_dir / "steering" / thread.thread_id).glob("*"))
    for path in paths:
        try:
            info = path.stat()
        except OSError:
            continue
        yield str(path), info.st_mtime_ns, info.st_size
