"""The demo, killed again and again at every stage, ends like one that was not: every turn as it was recorded.

The killer only looks at what the program leaves on disk: its trajectory, line by line, and git's own lock file. So it
strikes in the middle of a model call, of a tool call, of a replay, of a commit, and in each node of both graphs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.cli_audit import read_audit

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(1200)]

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


STRIKES = [
    Strike("survey", stage("survey")),
    Strike("plan", stage("plan")),
    Strike("after a model call, before its tools", turn("s000-init", 0)),
    Strike("prove", stage("prove")),
    Strike("baseline", stage("baseline"), by_meaning=True),
    Strike("contract", stage("contract")),
    Strike("between two tool calls of a turn", tool("write_file")),
    Strike("a browser tool", tool("browser_act")),
    Strike("verify", stage("verify")),
    Strike("binding", turn("bind-0", 0)),
    Strike("replay", replay("prove")),
    Strike("red", replay("red")),
    Strike("the middle of a commit", None),
    Strike("after the commit, before its record", committed("F002"), by_meaning=True),
    Strike("a verdict that says no", lambda e: e["kind"] == "verdict" and not e["passed"]),
    Strike("regress", replay("regress")),
]


class Killer:
    """Starts the program, watches it, and kills it at the next strike."""

    def __init__(self, directory: Path, state: Path) -> None:
        self.directory, self.state = directory, state

    def run(self, strike: Strike | None) -> int:
        """The exit code; negative for a signal."""
        words = ["demo", str(self.directory)]
        before = self._sizes()
        output = (self.directory.parent / "output.txt").open("a")
        whole = strike is None or strike.by_meaning
        env = {**os.environ, **({} if whole else {"EMBEDDING_MODEL": "/nonexistent"})}
        argv = [sys.executable, "-m", "harness", *words]
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


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


def test_a_build_killed_at_every_stage_ends_like_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, state = tmp_path / "tasks", tmp_path / "state"
    monkeypatch.setenv("HARNESS_STATE_DIR", str(state))
    struck: list[str] = []
    killer = Killer(directory, state)
    for strike in STRIKES:
        code = killer.run(strike)
        if code == -signal.SIGKILL:
            struck.append(strike.name)
        else:
            assert code == 0, (strike.name, code, (tmp_path / "output.txt").read_text()[-3000:])
    assert killer.run(None) == 0, (tmp_path / "output.txt").read_text()[-3000:]
    assert len(struck) >= 10, struck
    features = json.loads((directory / "features.json").read_text())["features"]
    assert [f["id"] for f in features if f["passes"]] == [f"F{n:03}" for n in range(1, 7)]
    for feature in features:
        made = git(directory, "log", "--format=%H", "-F", f"--grep=Harness-Feature: {feature['id']}").split()
        assert len(made) == 1, feature["id"]
    assert len(git(directory, "log", "--format=%H", "-F", "--grep=Harness-Event: baseline").split()) == 1
    assert git(directory, "status", "--porcelain") == ""
    assert git(directory, "fsck", "--no-dangling") == ""
    assert _survivors(state) == []
    audit = asyncio.run(read_audit(directory, "demo"))
    assert (audit.broken, audit.commits) == (None, 6)
    done = [line.what.split()[1].rstrip(":") for line in audit.lines if line.kind == "commit"]
    assert set(done) <= {"Baseline", *(f"F{n:03}" for n in range(1, 7))}


def _survivors(state: Path) -> list[str]:
    """Command lines of processes that still name the state directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(state) in words:
                found.append(words)
    return found
