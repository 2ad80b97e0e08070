"""`harness replay` and `harness demo`: a recorded conversation against a project, without a key.

The recording is served as an endpoint on this machine's loopback; everything else is real: sandbox, browser, git,
memory, checkpoints. It answers only what was asked when it was recorded: where the machinery now asks something else,
the run stops and the request is named, with what was expected and what came. Conversations are named after the thread
they belonged to, so the build gets the same name.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import AdapterError, SetupError
from harness.events import Noticed

if TYPE_CHECKING:
    from harness.events import Events
    from harness.opening import Stop
    from harness.recording import RecordingServer
    from harness.runtime import Ended


_ELSEWHERE = "A recording fits what it was made of: give its specification and settings, in a new directory."


async def replay(
    recording: Path, directory: Path, spec: str, *, flags: dict[str, Any], events: Events, stop: Stop
) -> Ended:
    """Build what was built, or go on where that was cut.

    Args:
        recording: what `--record` wrote.
        directory: the project, as it was when the recording began; for one that begins a project, a new one.
        spec: the specification, where the project is begun; empty: it is there.
        flags: settings from the command line.
        events: told of everything, also of what does not fit.
        stop: the person's wish to stop.

    Raises: ContractError: it is no recording. SetupError: it begins a project, and there is no specification.
        HarnessError: as a run; what does not fit was told.
    """
    from harness.recording import RecordingServer

    with RecordingServer(recording) as server:
        _require_loopback(server.base_url)
        thread_id = thread_of(server.turns, recording)
        endless: dict[str, Any] = {"roles": {}, "quirks": [], "fallback": {"name": ""}}
        recorded = {"name": "recorded", "base_url": server.base_url, **endless}
        flags = {**flags, "model": recorded, "coder": {"command": []}}
        try:
            ended = await _go_on(directory, thread_id, spec, flags, events, stop)
            again = f"harness replay {shlex.quote(str(recording))} {shlex.quote(str(directory))}"
            return replace(ended, resume=again if ended.exit_code else ended.resume)
        except AdapterError as exc:
            if server.divergences:
                exc.remedy = _ELSEWHERE
            raise
        finally:
            _tell(server, events)


def _require_loopback(url: str) -> None:
    """Raises: SetupError: this machine cannot reach itself, as after `unshare --net`."""
    import socket
    from urllib.parse import urlsplit

    try:
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port or 80), timeout=5).close()
    except OSError as exc:
        remedy = "Bring its loopback up, `ip link set lo up`, and run again; no other network is needed."
        raise SetupError(f"The recorded model answers at {url}, which cannot be reached: {exc}.", remedy) from exc


async def _go_on(
    directory: Path, thread_id: str, spec: str, flags: dict[str, Any], events: Events, stop: Stop
) -> Ended:
    from harness.runtime import build, initialise

    if not _is_begun(directory, thread_id):
        if not spec.strip():
            where = shlex.quote(str(directory))
            raise SetupError(
                f"{directory} is no project yet, and the recording does not hold its specification.",
                f"Give the one it was recorded with: `harness replay FILE {where} --spec SPEC`.",
            )
        begun = await initialise(
            directory, spec, thread_id=thread_id, wanted=0, accept=None, flags=flags, events=events, stop=stop
        )
        if begun.exit_code:
            return begun
    return await build(directory, thread_id=thread_id, must_exist=False, flags=flags, events=events, stop=stop)


def thread_of(turns: Collection[tuple[str, int]], recording: Path) -> str:
    """The thread that was recorded, by the conversation and number of each turn.

    Raises: SetupError: there is none, or more than one.
    """
    names = {name.partition("/")[0] for name, _ in turns}
    if len(names) == 1:
        return names.pop()
    found = ", ".join(sorted(names)) or "none"
    raise SetupError(
        f"{recording} does not hold the conversations of one build (found: {found}).", "Record one build a file."
    )


def _is_begun(directory: Path, thread_id: str) -> bool:
    """Whether there is a list to build from, or the thread itself."""
    from harness.project import Project
    from harness.threads import load_threads

    if not directory.is_dir():
        return False
    project = Project.find(directory)
    threads = {thread.thread_id: thread for thread in load_threads(project)}
    if thread_id in threads:
        return threads[thread_id].stage == "build" or threads[thread_id].exit_status == "Finished"
    return project.features_file.exists()


def _tell(server: RecordingServer, events: Events) -> None:
    """How far it went, and where it did not fit."""
    for divergence in dict.fromkeys(map(str, server.divergences)):
        events.emit(Noticed(text=f"Not as it was recorded: {divergence}", level="warning"))
    served, count = len(server.served), len(server.turns)
    if served and not server.divergences:
        events.emit(Noticed(text=f"{served} of {count} recorded turns were asked for."))
