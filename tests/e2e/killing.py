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
        before = self._sizes()
        output = (self.directory.parent / "output.txt").open("a")
        whole = strike is None or strike.by_meaning
        env = {**(self.env or os.environ)}
        if whole:
            env.pop("EMBEDDING_MODEL", None)
        argv = [sys.executable, "-m", "harness", *self.words, str(self.directory)]
        process = subprocess.Popen(argv, env=env, stdout=output, stderr=output, start_new_session=True)
        try:
            while process.poll() is None:
                if strike and self._is_time(strike, before):
                    process.send_signal(strike.number)
                    return process.wait(30)
                time.sleep(0.002)  # the condition is looked at as often as one can
            return process.returncode
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            output.close()

    def _is_time(self, strike: Strike, before: dict[Path, int]) -> bool:
        if strike.when is None:
            return any((self.directory / ".git" / "worktrees").glob("demo/index.lock")) and self._in_commit(before)
        return any(map(strike.when, self._new(before)))

    def _in_commit(self, before: dict[Path, int]) -> bool:
        return any(stage("commit")(event) for event in self._new(before))

    def _files(self) -> list[Path]:
        return sorted(self.state.glob("projects/*/trajectories/*/*.jsonl"))

    def _sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self._files()}

    def _new(self, before: dict[Path, int]) -> list[Event]:
        events = []
        for path in self._files():
            for line in path.read_bytes()[before.get(path, 0) :].splitlines():
                with contextlib.suppress(ValueError):
                    events.append(json.loads(line))
        return events
