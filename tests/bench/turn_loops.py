"""One agent loop in a process of its own, for `bench_turns.py`: `turn_loops.py LOOP URL TURNS DIRECTORY STARTED`.

Run by the interpreter whose packages the loop needs, so nothing is imported here before it is known which. Each loop
gets the same answers over the same protocol, a tool that returns the same text at once, and keeps what it needs to go
on after a kill in the directory: that is what is weighed. Times are taken at the tool: the first call is the end of the
start-up, from there to the last are the turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

RESULT = "a line of output\n" * 30
SYSTEM = "You build."


def task(turns: int) -> str:
    """The first message; the endpoint reads the number of turns from it."""
    return f"{turns} turns."


@dataclass
class Clock:
    """Looks at the time when the tool is called."""

    started: float
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    first: float = 0.0

    def look(self) -> str:
        """The tool."""
        self.first = self.first or time.time()
        self.walls.append(time.perf_counter())
        self.cpus.append(time.process_time())
        return RESULT

    def report(self, directory: Path, turns: int) -> dict[str, float]:
        """Of this process: seconds to the first tool call, milliseconds a turn, MB at most, bytes kept a turn."""
        assert len(self.walls) == turns - 1, f"{len(self.walls)} looks of {turns - 1}"
        between = turns - 2
        kept = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        return {
            "start_seconds": self.first - self.started,
            "wall": (self.walls[-1] - self.walls[0]) * 1000 / between,
            "cpu": (self.cpus[-1] - self.cpus[0]) * 1000 / between,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "kept_bytes": kept / turns,
        }


async def ours(clock: Clock, base_url: str, turns: int, directory: Path) -> None:
    """Our session, with everything a real run listens to."""
    from harness.journal import Journal
    from harness.opening import open_checkpoints
    from harness.session import Session
    from harness.tools.tool import Arguments, Tool

    class Where(Arguments):
        """Another place each time: who repeats a call is stopped."""

        at: int

    async def look(_: Where) -> str:
        return clock.look()

    async with open_checkpoints(directory / "checkpoints.db") as checkpointer:
        parts = _parts(directory, base_url, checkpointer)
        tool = Tool("look", "Looks at the tree.", Where, look)
        session = Session(parts, "s001", "coder", [tool], Journal(directory / "calls.jsonl", directory))
        outcome = await session.run(SYSTEM, task(turns), 0)
        assert outcome.turns == turns, outcome
        await parts.model.aclose()


def _parts(directory: Path, base_url: str, checkpointer: Any) -> Any:
    from harness.budget import Budget, Meter
    from harness.events import Events
    from harness.model import Model
    from harness.parts import Parts
    from harness.settings import Settings
    from harness.trajectory import Trajectory

    settings = Settings.model_validate(
        {"model": {"name": "scripted", "base_url": base_url}, "limits": {"session_turns": 0}}
    )
    events, meter = Events(), Meter(directory / "spent.json")
    events.listen(Trajectory(directory / "trajectory"))
    events.listen(meter)
    unused = cast("Any", None)
    model, budget = Model(settings.model, events), Budget(settings.limits, meter)
    return Parts(unused, settings, "bench", unused, model, unused, events, checkpointer, budget)


def _lang(make: str, durability: str | None) -> Callable[..., Any]:
    """An agent of LangChain's family over the same client and the same store."""

    async def run(clock: Clock, base_url: str, turns: int, directory: Path) -> None:
        from langchain_core.tools import tool
        from langchain_openai import ChatOpenAI
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
        from pydantic import SecretStr

        if make == "deepagents":
            from deepagents import create_deep_agent as create  # type: ignore[import-not-found, unused-ignore]
        else:
            from langchain.agents import create_agent as create  # type: ignore[import-not-found, unused-ignore]

        @tool
        async def look(at: int) -> str:
            """Looks at the tree."""
            return clock.look()

        @tool
        async def finish(summary: str) -> str:
            """Ends the attempt."""
            return summary

        chat = ChatOpenAI(model="scripted", base_url=base_url, api_key=SecretStr("none"), use_responses_api=False)
        async with AsyncSqliteSaver.from_conn_string(str(directory / "agent.db")) as saver:
            agent = create(model=chat, tools=[look, finish], system_prompt=SYSTEM, checkpointer=saver)
            config: Any = {"configurable": {"thread_id": "bench"}, "recursion_limit": 100_000}
            first: Any = {"messages": [("user", task(turns))]}
            await agent.ainvoke(first, config, **({"durability": durability} if durability else {}))

    return run


async def mini(clock: Clock, base_url: str, turns: int, directory: Path) -> None:
    """mini-swe-agent's loop with an environment that runs nothing; after every step it writes its whole trajectory."""
    os.environ |= {"MSWEA_SILENT_STARTUP": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    from minisweagent.agents.default import DefaultAgent  # type: ignore[import-not-found, unused-ignore]
    from minisweagent.environments.local import LocalEnvironment  # type: ignore[import-not-found, unused-ignore]
    from minisweagent.exceptions import Submitted  # type: ignore[import-not-found, unused-ignore]
    from minisweagent.models.litellm_model import LitellmModel  # type: ignore[import-not-found, unused-ignore]

    class Environment(LocalEnvironment):  # type: ignore[misc, unused-ignore]
        """The tool."""

        def execute(self, action: dict[str, Any], cwd: str = "", *, timeout: int | None = None) -> dict[str, Any]:
            """Look, or end."""
            if action["command"] == "finish":
                raise Submitted({"role": "exit", "content": "", "extra": {"exit_status": "Submitted"}})
            return {"output": clock.look(), "returncode": 0, "exception_info": ""}

    model = LitellmModel(
        model_name="openai/scripted", model_kwargs={"api_base": base_url, "api_key": "none"},
        cost_tracking="ignore_errors",
    )  # fmt: skip
    agent = DefaultAgent(
        model, Environment(), system_template=SYSTEM, instance_template="{{task}}", cost_limit=0,
        output_path=directory / "trajectory.json",
    )  # fmt: skip
    agent.run(task(turns))


LOOPS: dict[str, Callable[..., Any]] = {
    "ours": ours,
    "create_agent sync": _lang("langchain", "sync"),
    "create_agent": _lang("langchain", None),
    "deepagents": _lang("deepagents", None),
    "mini-swe-agent": mini,
}


def main() -> None:
    """Run one loop and print what it cost."""
    name, base_url, turns, directory, started = sys.argv[1:]
    clock = Clock(float(started))
    asyncio.run(LOOPS[name](clock, base_url, int(turns), Path(directory)))
    print(json.dumps(clock.report(Path(directory), int(turns))))


if __name__ == "__main__":
    main()
