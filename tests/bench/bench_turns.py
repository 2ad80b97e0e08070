"""What a turn costs the harness: our session against LangGraph's own agent loop, both checkpointed, in the same run.

The endpoint answers at once from a process of its own, so that all CPU seconds here are the loop's. Both loops get the
same answers, the same tool and the same store; rounds alternate, so that a busy moment meets all. Ours does more: it
journals each tool call before and after, and writes the trajectory.
Budget: at most the time of `create_agent`, which at its default writes checkpoints behind the loop; ours never does.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import common

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.parts import Parts

ROUNDS = {30: 7, 200: 3}
"""Rounds by turns."""
RESULT = "a line of output\n" * 30
Loop = Callable[[Path, int, str], Awaitable[None]]


@dataclass(frozen=True)
class Cost:
    """Milliseconds a turn."""

    wall: float
    cpu: float


def main() -> None:
    """Print a table for each number of turns."""
    sys.path.append(str(common.foreign("langchain", ["langchain==1.4.7"], alone=False)))
    with serving() as base_url:
        asyncio.run(measure_all(base_url))


async def measure_all(base_url: str) -> None:
    """One table after the other."""
    for turns, rounds in ROUNDS.items():
        show(turns, await measure(base_url, turns, rounds))


async def measure(base_url: str, turns: int, rounds: int) -> dict[str, list[Cost]]:
    """Costs by loop; the first round warms up and is not counted."""
    agent = make_agent(base_url)
    loops: dict[str, Loop] = {
        "our session": make_session(base_url),
        "create_agent, sync": lambda path, count, _: agent(path, count, "sync"),
        "create_agent, default": lambda path, count, _: agent(path, count, None),
    }
    found: dict[str, list[Cost]] = {name: [] for name in loops}
    for number in range(rounds + 1):
        for name, loop in loops.items():
            with tempfile.TemporaryDirectory() as directory:
                cost = await _cost(loop(Path(directory), turns if number else 3, name), turns)
            if number:
                found[name].append(cost)
    return found


async def _cost(work: Awaitable[None], turns: int) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return Cost((time.perf_counter() - wall) * 1000 / turns, (time.process_time() - cpu) * 1000 / turns)


def show(turns: int, found: dict[str, list[Cost]]) -> None:
    """One table."""
    common.title(f"\n{turns} turns, median of {len(found['our session'])} interleaved rounds, zero-latency endpoint")
    common.row("loop", "ms/turn", "CPU ms/turn")
    medians = {
        name: Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))
        for name, costs in found.items()
    }
    for name, cost in medians.items():
        common.row(name, cost.wall, cost.cpu)
    ours, theirs = medians["our session"], medians["create_agent, default"]
    common.verdict("our session to create_agent, CPU", ours.cpu / theirs.cpu, 1)
    common.verdict("our session to create_agent, time", ours.wall / theirs.wall, 1)


# --- the loops ---


def make_session(base_url: str) -> Loop:
    """Our loop, with everything a real run listens to."""

    async def run(directory: Path, turns: int, name: str) -> None:
        from harness.journal import Journal
        from harness.runtime import open_checkpoints
        from harness.session import Session
        from harness.tools.tool import Arguments, Tool

        class Nothing(Arguments):
            """No arguments."""

        async def look(_: Nothing) -> str:
            return RESULT

        async with open_checkpoints(directory / "checkpoints.db") as checkpointer:
            parts = _parts(directory, base_url, checkpointer)
            tool = Tool("look", "Looks at the tree.", Nothing, look)
            session = Session(parts, "s001", "coder", [tool], Journal(directory / "calls.jsonl", directory))
            outcome = await session.run(f"{turns} turns.", "Go.", 0)
            assert outcome.turns == turns, outcome
            await parts.model.aclose()

    return run


def _parts(directory: Path, base_url: str, checkpointer: Any) -> Parts:
    from harness.budget import Budget, Meter
    from harness.events import Events
    from harness.model import Model
    from harness.parts import Parts
    from harness.settings import Settings
    from harness.trajectory import Trajectory

    settings = Settings.model_validate(
        {"model": {"name": "scripted", "base_url": base_url}, "limits": {"session_turns": 0}}
    )
    events, meter = Events(), Meter()
    events.listen(Trajectory(directory / "trajectory"))
    events.listen(meter)
    unused = cast("Any", None)
    model, budget = Model(settings.model, events), Budget(settings.limits, meter)
    return Parts(unused, settings, "bench", unused, model, unused, events, checkpointer, budget)


def make_agent(base_url: str) -> Callable[[Path, int, Any], Awaitable[None]]:
    """LangGraph's loop over the same client."""
    from langchain.agents import create_agent  # type: ignore[import-not-found, unused-ignore]  # not among our packages
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from pydantic import SecretStr

    @tool
    async def look() -> str:
        """Looks at the tree."""
        return RESULT

    @tool
    async def finish(summary: str) -> str:
        """Ends the attempt."""
        return summary

    async def run(directory: Path, turns: int, durability: Any) -> None:
        chat = ChatOpenAI(model="scripted", base_url=base_url, api_key=SecretStr("none"), use_responses_api=False)
        async with AsyncSqliteSaver.from_conn_string(str(directory / "agent.db")) as saver:
            agent = create_agent(chat, [look, finish], system_prompt=f"{turns} turns.", checkpointer=saver)
            config: Any = {"configurable": {"thread_id": "bench"}, "recursion_limit": 100_000}
            first: Any = {"messages": [("user", "Go.")]}
            state = await agent.ainvoke(first, config, **({"durability": durability} if durability else {}))
            assert sum(m.type == "ai" for m in state["messages"]) == turns + 1

    return run


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
    """Call `look` until the turns of the system prompt are over, then `finish`, then say that it is done."""
    from scripted import Request, ScriptedModel, call, text

    def answer(request: Request) -> dict[str, Any]:
        turns = int(request.system.split()[0])
        if request.turn >= turns:
            return text("done")
        return call("finish", summary="done") if request.turn == turns - 1 else call("look")

    with ScriptedModel(answer) as model:
        print(model.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
