"""Killing the program where it leaves a trace: in the middle of a call, a replay, a commit, in each node of a graph.

The killer only looks at what the program leaves on disk: its trajectory, line by line, and git's own lock file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = dict[str, Any]


@dataclass
class Strike:
    """Where to kill."""

    name: str
    when: Callable[[Event], bool] | None = None
    """Told each new line of the trajectories; None: a commit is under way."""
    number: int = signal.SIGKILL
    by_meaning: bool = False
    """Whether memory is whole in the run that is struck; in the others it goes by words, which starts sooner."""


def stage(name: str) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "stage" and e["stage"] == name


def replay(purpose: str) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "replay" and e["purpose"] == purpose


def turn(part: str, number: int) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "model" and part in e["conversation"] and e["turn"] == number


def tool(name: str) -> Callable[[Event], bool]:
    """After one tool call of a batch: the next ones have not been carried out."""
    return lambda e: e["kind"] == "tool" and e["name"] == name


def committed(feature_id: str) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "commit" and e["feature_id"] == feature_id


class Killer:
    """Starts the program, watches it, and kills it at the next strike; its thread is called demo.

    Args:
        words: of the command, before the directory.
        directory: the project.
        state: where the program keeps its state.
        env: all variables; None: those of the test.
    """

    def __init__(
        self, words: Sequence[str], directory: Path, state: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.words, self.directory, self.state, self.env = words, directory, state, env

    def run(self, strike: Strike | None) -> int:
        """The exit code; negative for a signal."""
        told = _Told(self.state)
        told.news()
        is_in_commit = False
        output = (self.directory.parent / "output.txt").open("a")
        whole = strike is None or strike.by_meaning
        env = {**(self.env or os.environ)}
        if whole:
            env.pop("EMBEDDING_MODEL", None)
        argv = [sys.executable, "-m", "harness", *self.words, str(self.directory)]
        process = subprocess.Popen(argv, env=env, stdout=output, stderr=output, start_new_session=True)
        try:
            while process.poll() is None:
                news = told.news()
                is_in_commit |= any(map(stage("commit"), news))
                if strike and self._is_time(strike, news, is_in_commit=is_in_commit):
                    process.send_signal(strike.number)
                    return process.wait(30)
                time.sleep(0.004)  # nobody tells us of a line; to look more often takes a part of a core
            return process.returncode
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            output.close()

    def _is_time(self, strike: Strike, news: list[Event], *, is_in_commit: bool) -> bool:
        if strike.when is None:
            return is_in_commit and any((self.directory / ".git" / "worktrees").glob("demo/index.lock"))
        return any(map(strike.when, news))


class _Told:
    """The trajectories below a state directory, read on from where they were read to."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._read: dict[Path, int] = {}

    def news(self) -> list[Event]:
        """The whole lines that came since the last time."""
        events: list[Event] = []
        for path in sorted(self._state.glob("projects/*/trajectories/*/*.jsonl")):
            at = self._read.get(path, 0)
            if path.stat().st_size > at:
                with path.open("rb") as file:
                    file.seek(at)
                    whole = file.read().rpartition(b"\n")[0]
                self._read[path] = at + len(whole) + bool(whole)
                for line in whole.splitlines():
                    with contextlib.suppress(ValueError):
                        events.append(json.loads(line))
        return events
