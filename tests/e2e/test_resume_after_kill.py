"""A build that is killed again and again, at every stage, ends like one that was not.

The killer only looks at what the program leaves on disk: its trajectory, line by line, and git's own lock file. So it
strikes in the middle of a model call, of a tool call, of a replay, of a commit, and in each node of both graphs.
"""

from __future__ import annotations

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

import notes_script
import pytest
from scripted import Request, ScriptedModel

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(1200)]

Event = dict[str, Any]
SLOW = "sleep 1.5; echo slept"


@dataclass
class Strike:
    """Where to kill."""

    name: str
    command: str
    """init or run."""
    when: Callable[[Event], bool] | None = None
    """Told each new line of the trajectories; None: a commit is under way."""
    number: int = signal.SIGKILL


def stage(name: str) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "stage" and e["stage"] == name


def replay(purpose: str) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "replay" and e["purpose"] == purpose


def turn(part: str, number: int) -> Callable[[Event], bool]:
    return lambda e: e["kind"] == "model" and part in e["conversation"] and e["turn"] == number


STRIKES = [
    Strike("survey", "init", stage("survey")),
    Strike("plan", "init", stage("plan")),
    Strike("between model call and tools", "init", turn("s000-init", 0)),
    Strike("prove", "init", stage("prove")),
    Strike("baseline", "init", stage("baseline")),
    Strike("contract", "run", stage("contract")),
    Strike("a turn that wrote files", "run", turn("s001-F001", 1)),
    Strike("a tool call", "run", lambda e: turn("s001-F001", 5)(e)),
    Strike("verify", "run", stage("verify")),
    Strike("binding", "run", turn("bind-0", 0)),
    Strike("replay", "run", replay("prove")),
    Strike("the middle of a commit", "run", None),
    Strike("red", "run", replay("red")),
    Strike("verdict", "run", lambda e: e["kind"] == "verdict" and e["passed"]),
    Strike("after the commit", "run", lambda e: e["kind"] == "commit" and e["feature_id"] == "F002"),
]


def answer(request: Request) -> Any:
    """The same script, with a slow command to be killed in."""
    reply = notes_script.answer(request)
    if request.conversation == "demo/s001-F001" and request.turn == 5:
        call = reply["choices"][0]["message"]["tool_calls"][0]["function"]
        assert call["name"] == "edit_file"
    return reply


class Killer:
    """Starts the program, watches it, and kills it at the next strike."""

    def __init__(self, directory: Path, state: Path, base_url: str) -> None:
        self.directory, self.state, self.base_url = directory, state, base_url
        self.spec = directory.parent / "spec.md"

    def run(self, command: str, strike: Strike | None) -> int:
        """The exit code; negative for a signal."""
        words = [command, str(self.directory)]
        if command == "init":
            words += ["--spec", str(self.spec), "--yes", "--thread", "demo"]
        env = {**os.environ, "OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": self.base_url}
        before = self._sizes()
        output = (self.directory.parent / "output.txt").open("a")
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *words], env=env, stdout=output, stderr=output, start_new_session=True
        )
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
    directory, state = tmp_path / "notes", tmp_path / "state"
    monkeypatch.setenv("HARNESS_STATE_DIR", str(state))
    directory.mkdir()
    (tmp_path / "spec.md").write_text(notes_script.SPEC)
    struck: list[str] = []
    with ScriptedModel(answer) as model:
        killer = Killer(directory, state, model.base_url)
        for strike in STRIKES:
            code = killer.run(strike.command, strike)
            if code == -signal.SIGKILL:
                struck.append(strike.name)
            else:
                assert code == 0, (strike.name, code, (tmp_path / "output.txt").read_text()[-3000:])
        assert killer.run("run", None) in (0,), (tmp_path / "output.txt").read_text()[-3000:]
    assert len(struck) >= 10, struck
    features = json.loads((directory / "features.json").read_text())["features"]
    assert [(f["id"], f["passes"]) for f in features] == [("F001", True), ("F002", True)]
    for feature in ("F001", "F002"):
        assert len(git(directory, "log", "--format=%H", "-F", f"--grep=Harness-Feature: {feature}").split()) == 1
    assert len(git(directory, "log", "--format=%H", "-F", "--grep=Harness-Event: baseline").split()) == 1
    assert git(directory, "status", "--porcelain") == ""
    assert git(directory, "fsck", "--no-dangling") == ""
    assert _survivors(state) == []


def _survivors(state: Path) -> list[str]:
    """Command lines of processes that still name the state directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(state) in words:
                found.append(words)
    return found
