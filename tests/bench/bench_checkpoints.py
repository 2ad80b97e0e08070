"""Whether the store of checkpoints grows in a straight line: 2,000 turns, its first tenth against its last.

Three times: sessions of 80 turns that are forgotten when they end; one endless session, which no default allows; and a
thread of 300 features, where the graph around the sessions keeps its own state too, with the harness's own state and
edges, and nodes that say what real ones say without their work. The model answers without a connection and the tool
without work, so what is left is the loop and its store. CPU seconds are compared: other work on the machine stretches
the clock from one minute to the next.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import common

if TYPE_CHECKING:
    from harness.coding import Coding
    from harness.model import Reply
    from harness.parts import Parts
    from harness.tools.tool import Tool

TURNS, TENTH = 2000, 200
KB_BOUND, GROWTH_BOUND = 20.0, 1.1
FEATURES, FEATURE_TURNS = 300, 7
SUMMARY = "What was done and learned, for the next session. " * 20
RESULT = "a line of output\n" * 30
CONTENT = "const a = 1;\n" * 40


@dataclass
class Gauge:
    """What the turns cost so far, one entry a tenth."""

    store: Path
    turns: int = 0
    forgotten: int = 0
    """Bytes of sessions that are no longer in the store."""
    marks: list[tuple[float, float, int]] = field(default_factory=list)

    def mark(self) -> None:
        """Note clock, CPU and bytes at the end of a tenth."""
        if self.turns % TENTH == 0:
            self.marks.append((time.perf_counter(), time.process_time(), self.forgotten + bytes_in(self.store)))

    def per_turn(self) -> list[tuple[float, float, float]]:
        """Milliseconds, CPU milliseconds and KB a turn, by tenth."""
        return [
            ((b[0] - a[0]) * 1000 / TENTH, (b[1] - a[1]) * 1000 / TENTH, (b[2] - a[2]) / 1024 / TENTH)
            for a, b in itertools.pairwise(self.marks)
        ]


class InstantModel:
    """Calls the tool in every turn; a limit ends the session."""

    def __init__(self) -> None:
        self._ids = itertools.count()

    async def call(self, role: str, conversation: str, messages: list[Any], tools: Any) -> Reply:
        """The next message."""
        from langchain_core.messages import AIMessage

        from harness.model import Reply, Usage

        number = next(self._ids)  # another path each time: who repeats a call is stopped
        args = {"path": f"src/part-{number:05}.js", "content": CONTENT}
        call = {"id": f"call_{number}", "name": "look", "args": args, "type": "tool_call"}
        return Reply(AIMessage(content="", tool_calls=[call]), Usage(100, 0, 10, 0.0, 0.0))


def main() -> None:
    """Both, one after the other."""
    show(
        f"a thread of {TURNS} turns in sessions of 80, forgotten when they end", asyncio.run(measure(80)), GROWTH_BOUND
    )
    show(f"one session of {TURNS} turns", asyncio.run(measure(TURNS)), None)
    show_features(asyncio.run(measure_thread()))


async def measure_thread() -> list[float]:
    """KB in the store after each tenth of the features of one thread."""
    from harness.opening import open_checkpoints

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        store = directory / "checkpoints.db"
        async with open_checkpoints(store) as checkpointer:
            parts = make_parts(checkpointer, FEATURE_TURNS)
            marks: list[float] = []

            def mark(done: int) -> None:
                if done % (FEATURES // 10) == 0:
                    marks.append(bytes_in(store) / 1024)

            config: Any = {"configurable": {"thread_id": "bench:build"}, "recursion_limit": 100_000}
            await make_thread(parts, directory, mark).build().ainvoke({}, config, durability="sync")
        return marks


def make_thread(parts: Parts, directory: Path, mark: Callable[[int], None]) -> Coding:
    """The coding graph with nodes that only say what real ones say; its sessions are real."""
    from langgraph.graph import END
    from langgraph.types import Command

    from harness.coding import Coding, CodingState
    from harness.journal import Journal
    from harness.session import Session, forget

    class Quick(Coding):
        """Super-steps and updates of a feature that passes at the first try."""

        async def orient(self, state: CodingState) -> Any:
            return Command(goto="regress")

        async def regress(self, state: CodingState) -> Any:
            return Command(goto="select")

        async def select(self, state: CodingState) -> Any:
            done = state.get("commits", 0)
            mark(done)
            fresh = {"feature_id": f"F{done:03}", "tries": 0, "attempt": 0, "session_id": "", "seconds": {}}
            fresh |= {"failed": [], "rewritten": False, "failed_items": []}
            return Command(goto=END if done == FEATURES else "contract", update=fresh)

        async def contract(self, state: CodingState) -> Any:
            return Command(goto="session", update={"seconds": {"contract": 4.2}})

        async def session(self, state: CodingState) -> Any:
            if not state["session_id"]:
                number = state.get("sessions", 0) + 1
                named = {"sessions": number, "session_id": f"s{number:03}", "base_sha": "0" * 40, "tries": 1}
                return Command(goto="session", update=named)
            name = state["session_id"]
            journal = Journal(directory / f"{name}.jsonl", directory)
            tool = make_tool(Gauge(directory / "none"))
            await Session(parts, name, "coder", [tool], journal).run("System.", "Go.", 0)
            told = {
                "summary": SUMMARY,
                "next": "",
                "turns": FEATURE_TURNS,
                "seconds": {**state["seconds"], "session": 60.1},
            }
            return Command(goto="verify", update=told)

        async def verify(self, state: CodingState) -> Any:
            update = {"outcome": "passed", "regressed_all": False, "seconds": {**state["seconds"], "verify": 9.3}}
            return Command(goto="commit", update=update)

        async def commit(self, state: CodingState) -> Any:
            return Command(goto="record", update={"commits": state.get("commits", 0) + 1, "green_sha": "0" * 40})

        async def park(self, state: CodingState) -> Any:
            raise AssertionError("every feature passes")

        async def record(self, state: CodingState) -> Any:
            await forget(parts, state["session_id"])
            return Command(goto="orient", update={"session_id": ""})

    return Quick(parts)


def show_features(marks: list[float]) -> None:
    """What each tenth of the features left in the store, sessions forgotten."""
    each = [(after - before) * 10 / FEATURES for before, after in itertools.pairwise(marks)]
    common.title(f"\none thread of {FEATURES} features, {FEATURE_TURNS} turns each")
    common.row("tenth", "KB/feature", "MB in all")
    for number, (kilobytes, after) in enumerate(zip(each, marks[1:], strict=True), 1):
        common.row(f"features to {number * FEATURES // 10}", kilobytes, after / 1024)
    common.verdict("last tenth to first, KB a feature", each[-1] / each[0], GROWTH_BOUND)


async def measure(session_turns: int) -> list[tuple[float, float, float]]:
    """Play sessions until there were enough turns."""
    from harness.journal import Journal
    from harness.opening import open_checkpoints
    from harness.session import Session, forget

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        gauge = Gauge(directory / "checkpoints.db")
        async with open_checkpoints(gauge.store) as checkpointer:
            parts = make_parts(checkpointer, session_turns)
            await warm_up(make_parts(checkpointer, 20), directory)
            gauge.mark()
            for number in range(TURNS // session_turns):
                journal = Journal(directory / f"{number}.jsonl", directory)
                await Session(parts, f"s{number}", "coder", [make_tool(gauge)], journal).run("System.", "Go.", 0)
                before = bytes_in(gauge.store)
                await forget(parts, f"s{number}")
                gauge.forgotten += before - bytes_in(gauge.store)
        return gauge.per_turn()


async def warm_up(parts: Parts, directory: Path) -> None:
    """What the first session of a process pays for all."""
    from harness.journal import Journal
    from harness.session import Session, forget

    idle = make_tool(Gauge(directory / "none"))
    await Session(parts, "warm", "coder", [idle], Journal(directory / "warm.jsonl", directory)).run("System.", "Go.", 0)
    await forget(parts, "warm")


def make_tool(gauge: Gauge) -> Tool:
    """A tool that only counts."""
    from harness.tools.tool import Arguments, Tool

    class Look(Arguments):
        """What the model sends."""

        path: str
        content: str

    async def look(_: Look) -> str:
        gauge.turns += 1
        if gauge.store.exists():
            gauge.mark()
        return RESULT

    return Tool("look", "Looks at the tree.", Look, look)


def make_parts(checkpointer: Any, session_turns: int) -> Parts:
    """Parts of a run with a model that needs no endpoint."""
    from harness.budget import Budget, Meter
    from harness.events import Events
    from harness.parts import Parts
    from harness.settings import Settings

    settings = Settings.model_validate({"limits": {"session_turns": session_turns}})
    unused, events = cast("Any", None), Events()
    model = cast("Any", InstantModel())
    budget = Budget(settings.limits, Meter())
    return Parts(unused, settings, "bench", unused, model, unused, events, checkpointer, budget)


def bytes_in(store: Path) -> int:
    """Bytes in use, whatever lies in the write-ahead log."""
    connection = sqlite3.connect(store)
    try:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    finally:
        connection.close()
    return int((pages - free) * size)


def show(what: str, tenths: list[tuple[float, float, float]], growth_bound: float | None) -> None:
    """Every tenth, and the last against the first."""
    common.title(f"\n{what}")
    common.row("tenth", "ms/turn", "CPU ms/turn", "KB/turn")
    for number, (wall, cpu, kilobytes) in enumerate(tenths, 1):
        common.row(f"turns to {number * TENTH}", wall, cpu, kilobytes)
    first, last = tenths[0], tenths[-1]
    if growth_bound is None:
        print(f"last tenth to first: CPU {last[1] / first[1]:.2f}, KB {last[2] / first[2]:.2f}")
        return
    common.verdict("last tenth to first, CPU", last[1] / first[1], growth_bound)
    common.verdict("last tenth to first, KB", last[2] / first[2], growth_bound)
    common.verdict("most KB a turn", max(kilobytes for _, _, kilobytes in tenths), KB_BOUND)


if __name__ == "__main__":
    main()
