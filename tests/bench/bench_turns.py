"""What a turn costs the harness: our session against other loops that keep what they did, in the same run.

Each loop is a process of its own (`turn_loops.py`), and the endpoint, which answers at once, another, so that all CPU
seconds are the loop's. All get the same answers and a tool that does nothing; rounds alternate, so that a busy moment
meets all. Ours does more than the others: it journals each tool call before and after, and writes the trajectory.
Budget: the fastest of those that can go on after a kill. `create_agent` and `deepagents` write checkpoints
behind the loop at their default, "sync" before the next step, as ours does. mini-swe-agent writes its whole trajectory
after each step and has nothing that would go on with it; it is shown for comparison.
Last: how much of each request of our 200 turns the next one begins with.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common
from turn_loops import LOOPS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = {30: 5, 200: 3}
"""Rounds by turns."""
OURS = "ours"
RESUMABLE = [name for name in LOOPS if name != "mini-swe-agent"]
SHARE = 99.0
"""Percent of a request's bytes that the next one must begin with."""
LANGCHAIN = ["langchain==1.4.7"]
DEEPAGENTS = ["deepagents==0.7.32", "langgraph-checkpoint-sqlite==3.1.2", "langchain-openai==1.7.3"]
MINI = ["mini-swe-agent==2.4.6", "mcp==2.3.0"]  # its litellm imports mcp and does not ask for it
Figures = dict[str, float]


def main() -> None:
    """A table for each number of turns, the budgets last."""
    pythons = interpreters()
    with serving() as base_url:
        found = {turns: measure(pythons, base_url, turns, rounds) for turns, rounds in ROUNDS.items()}
    for turns, figures in found.items():
        show(turns, figures)
    print()
    for turns, figures in found.items():
        for key, what in (("cpu", "CPU"), ("wall", "clock")):
            others = min(_median(figures[name], key) for name in RESUMABLE if name != OURS)
            common.verdict(f"{turns} turns, {what}: ours to the next", _median(figures[OURS], key) / others, 1.0)
    share = statistics.median(each["share"] for each in found[200][OURS])
    print(f"bytes of a request that begin the next, 200 turns: {share:.3f} %, goal {SHARE:g} %")


def interpreters() -> dict[str, tuple[str, str]]:
    """By loop: the python that has its packages, and what more it is to find."""
    beside = str(common.foreign("langchain", LANGCHAIN, alone=False))
    found = {name: (sys.executable, beside) for name in LOOPS}
    found["deepagents"] = (str(common.foreign("deepagents", DEEPAGENTS, alone=True)), "")
    found["mini-swe-agent"] = (str(common.foreign("mini", MINI, alone=True)), "")
    return found


def measure(pythons: dict[str, tuple[str, str]], base_url: str, turns: int, rounds: int) -> dict[str, list[Figures]]:
    """Figures by loop; a first, short round fills caches and is not counted."""
    found: dict[str, list[Figures]] = {name: [] for name in LOOPS}
    for number in range(rounds + 1):
        for name, (python, beside) in pythons.items():
            figures = run(name, python, beside, base_url, turns if number else 5)
            if number:
                found[name].append(figures)
    return found


def run(name: str, python: str, beside: str, base_url: str, turns: int) -> Figures:
    """One loop in a process of its own."""
    script = Path(__file__).with_name("turn_loops.py")
    env = {**os.environ, "PYTHONPATH": beside} if beside else dict(os.environ)
    with tempfile.TemporaryDirectory() as directory:
        words = [python, str(script), name, base_url, str(turns), directory, str(time.time())]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
        figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
        return figures | ({"share": _share(Path(directory))} if name == OURS else {})


def _share(directory: Path) -> float:
    """Percent of the bytes of all requests but the last that the next one begins with, as our own events tell."""
    (file,) = (directory / "trajectory").glob("*.jsonl")
    calls = [event for event in map(json.loads, file.read_text().splitlines()) if event["kind"] == "model"]
    before = sum(event["previous_bytes"] for event in calls)
    return 100 * sum(event["repeated_bytes"] for event in calls) / before if before else 0.0


def show(turns: int, found: dict[str, list[Figures]]) -> None:
    """One table."""
    rounds = len(found[OURS])
    common.title(f"\n{turns} turns, median of {rounds} interleaved rounds, zero-latency endpoint")
    common.row("loop", "ms/turn", "CPU ms/turn", "start s", "peak MB", "KB/turn")
    for name, figures in found.items():
        middle = {key: _median(figures, key) for key in figures[0]}
        kept = middle["kept_bytes"] / 1024
        common.row(name, middle["wall"], middle["cpu"], middle["start_seconds"], round(middle["peak_mb"]), kept)


def _median(figures: list[Figures], key: str) -> float:
    return statistics.median(each[key] for each in figures)


# --- the endpoint ---


@contextmanager
def serving() -> Iterator[str]:
    """The endpoint in a process of its own; ends with this one."""
    argv = [sys.executable, __file__, "serve"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve() -> None:
    """Call the tool until the turns of the task are over, then `finish`, then say that it is done."""
    from scripted import Request, ScriptedModel, call, text

    def answer(request: Request) -> dict[str, Any]:
        said = next(str(m["content"]) for m in request.messages if m["role"] == "user")
        found = re.search(r"(\d+) turns\.", said)
        assert found, said
        ends = request.turn == int(found[1]) - 1
        if request.turn >= int(found[1]):
            return text("done")
        if "bash" in request.tool_names:
            return call("bash", command="finish" if ends else f"look {request.turn}")
        return call("finish", summary="done") if ends else call("look", at=request.turn)

    with ScriptedModel(answer) as model:
        print(model.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
