"""What proving costs: calls of the verifier for a feature that passes at first try, and what each role uses a feature.

    python tests/bench/bench_verifier.py [STATE_DIR]

Read from the trajectories of a build: of the state directory that is named, else of the demo's recording, else of the
small scripted build of the end-to-end tests, whose calls count and whose tokens do not (they are made up).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common

CALLS_BOUND = 8


@dataclass
class Used:
    """What one role used."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def add(self, event: dict[str, Any]) -> None:
        """Count one call."""
        self.calls += 1
        self.input_tokens += event["input_tokens"]
        self.cached_tokens += event["cached_tokens"]
        self.output_tokens += event["output_tokens"]
        self.cost_usd += event["cost_usd"]


@dataclass
class Build:
    """What the trajectories tell."""

    roles: dict[str, Used] = field(default_factory=lambda: defaultdict(Used))
    verifier_calls: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By feature: the conversations of the calls."""
    verdicts: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    committed: set[str] = field(default_factory=set)

    def read(self, event: dict[str, Any]) -> None:
        """Take in one line."""
        if event["kind"] == "model":
            self.roles[event["role"]].add(event)
            if event["role"] == "verifier" and (found := re.search(r"\bF\d+\b", event["conversation"])):
                self.verifier_calls[found[0]].append(event["conversation"])
        elif event["kind"] == "verdict":
            self.verdicts[event["feature_id"]].append(event["passed"])
        elif event["kind"] == "commit":
            self.committed.add(event["feature_id"])

    @property
    def at_first_try(self) -> dict[str, int]:
        """Calls by feature whose first verdict was good."""
        return {f: len(calls) for f, calls in sorted(self.verifier_calls.items()) if self.verdicts[f][:1] == [True]}


def main() -> None:
    """Print both tables."""
    if len(sys.argv) > 1:
        show(f"the build in {sys.argv[1]}", read(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as name:
        what = build(Path(name))
        show(what, read(Path(name, "state")))


def read(state: Path) -> Build:
    """All trajectories below a state directory."""
    found = Build()
    for path in sorted(state.rglob("trajectories/*/*.jsonl")):
        for event in _events(path):
            found.read(event)
    return found


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # the torn last line of a killed process


def build(home: Path) -> str:
    """Build something with the program as a user runs it; returns what it was."""
    from harness.demo import RECORDING

    os.environ["HARNESS_STATE_DIR"] = str(home / "state")
    if RECORDING.exists():
        _harness("demo", str(home / "demo"))
        return "the demo's recorded build"
    _build_notes(home / "notes")
    return "a scripted build of two features (tokens are made up)"


def _build_notes(directory: Path) -> None:
    sys.path.append(str(common.TESTS / "e2e"))
    import notes_script
    from scripted import ScriptedModel

    directory.mkdir()
    with ScriptedModel(notes_script.answer) as model:
        env = {"OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": model.base_url}
        _harness("init", str(directory), "--spec", notes_script.SPEC, "--yes", "--thread", "demo", **env)
        _harness("run", str(directory), **env)


def _harness(*words: str, **env: str) -> None:
    argv = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def show(what: str, found: Build) -> None:
    """By role, then by feature."""
    passed = max(1, len(found.committed & set(found.verdicts)))
    common.title(f"{what}: {passed} features passed, {len(found.at_first_try)} of them at first try")
    common.row("role, for each passed feature", "calls", "input", "cached", "output", "USD")
    for role, used in sorted(found.roles.items()):
        figures = (used.calls, used.input_tokens, used.cached_tokens, used.output_tokens, used.cost_usd)
        common.row(role, *(figure / passed for figure in figures))
    common.row("\nverifier, by feature", "calls", "contract", "binding", "verdicts")
    for feature, calls in sorted(found.verifier_calls.items()):
        contract = sum("/contract/" in call for call in calls)
        common.row(feature, len(calls), contract, len(calls) - contract, len(found.verdicts[feature]))
    if counts := found.at_first_try.values():
        common.verdict("most verifier calls for a feature passed at first try", max(counts), CALLS_BOUND)
    else:
        print("no feature passed at first try")


if __name__ == "__main__":
    main()
