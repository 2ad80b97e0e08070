"""The demo, killed again and again at every stage, ends like one that was not: every turn as it was recorded.

It strikes in the middle of a model call, of a tool call, of a replay, of a commit, and in each node of both graphs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from pathlib import Path

import pytest
from killing import Killer, Strike, committed, replay, stage, tool, turn

from harness.cli.audit import read_audit

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(1200)]

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


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


def test_a_build_killed_at_every_stage_ends_like_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, state = tmp_path / "tasks", tmp_path / "state"
    monkeypatch.setenv("HARNESS_STATE_DIR", str(state))
    struck: list[str] = []
    killer = Killer(["demo"], directory, state)
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
