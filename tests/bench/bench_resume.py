"""From `harness resume` to its first request, after kill -9 in the middle of a session.

A real project is initialised and run with the scripted model of the end-to-end tests; the program is killed while it
waits for an answer, resumed, and killed again at its first request, round after round. Beside it, in turn, a process
that only imports the two libraries a session cannot do without: what no order of things could avoid.
"""

from __future__ import annotations

import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common

if TYPE_CHECKING:
    from scripted import Request

ROUNDS, BOUND_SECONDS = 5, 3.0
PATIENCE = 120.0
"""Seconds in which anything waited for must have happened."""
IMPORTS = "import langgraph.graph, langgraph.checkpoint.sqlite.aio, langchain_openai"


@dataclass
class Script:
    """Answers like the end-to-end script until the turn to be killed in; that one never gets an answer."""

    last_turn: int
    seen: queue.Queue[tuple[float, str]] = field(default_factory=queue.Queue)

    def __call__(self, request: Request) -> Any:
        """Answer, or tell that the time has come."""
        import notes_script
        from scripted import hang

        if not request.conversation.endswith("s001-F001") or request.turn < self.last_turn:
            return notes_script.answer(request)
        self.seen.put((time.perf_counter(), request.conversation))
        return hang()


def main() -> None:
    """One table: killed while it writes files, and later with a server and a page open."""
    sys.path.append(str(common.TESTS / "e2e"))
    common.title(f"resume after kill -9, median and worst of {ROUNDS} rounds")
    common.row("killed", "median s", "worst s")
    worst = 0.0
    for turn, words in ((2, "after files were written"), (4, "with a server and a page open")):
        taken, imports = measure(turn)
        common.row(words, statistics.median(taken), max(taken))
        common.row("  imports alone, in turn", statistics.median(imports), max(imports))
        worst = max(worst, statistics.median(taken))
    common.verdict("to the first request", worst, BOUND_SECONDS, " s")


def measure(turn: int) -> tuple[list[float], list[float]]:
    """Seconds to the first request, and of the imports alone."""
    from scripted import ScriptedModel

    script = Script(turn)
    with tempfile.TemporaryDirectory() as name, ScriptedModel(script) as model:
        project = Project(Path(name), model.base_url)
        project.initialise()
        project.until_killed(["run"], script)
        taken, imports = [], []
        for _ in range(ROUNDS):
            imports.append(_seconds(lambda: subprocess.run([sys.executable, "-c", IMPORTS], check=True)))
            taken.append(project.until_killed(["resume", "bench"], script))
        return taken, imports


class Project:
    """A project of the notes script, and the program run on it."""

    def __init__(self, home: Path, base_url: str) -> None:
        self.directory, self.output = home / "notes", home / "output.txt"
        settings = {"HARNESS_STATE_DIR": str(home / "state"), "OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": base_url}
        identity = {
            f"GIT_{who}_{what}": "bench@example.invalid"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        self._env = {**os.environ, **settings, **identity, "HF_HUB_OFFLINE": "1"}

    def initialise(self) -> None:
        """`harness init`."""
        import notes_script

        self.directory.mkdir()
        words = ["init", str(self.directory), "--spec", notes_script.SPEC, "--yes", "--thread", "bench"]
        subprocess.run(_argv(words), env=self._env, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)

    def until_killed(self, words: list[str], script: Script) -> float:
        """Start the program, kill it at the request that is never answered; seconds from start to that request."""
        started = time.perf_counter()
        with self.output.open("a") as output:
            process = subprocess.Popen(
                _argv([*words, str(self.directory)]), env=self._env, stdout=output, stderr=output
            )
        try:
            arrived, _ = script.seen.get(timeout=PATIENCE)
        except queue.Empty:
            raise RuntimeError(self.output.read_text()[-3000:]) from None
        finally:
            process.kill()
            process.wait()
        return arrived - started


def _argv(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "harness", *words]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
