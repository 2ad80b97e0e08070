"""Whether the store of checkpoints grows in a straight line: 2,000 turns, its first tenth against its last.

Twice: as a thread is built, in sessions of 80 turns that are forgotten when they end, and as one endless session,
which no default allows. The model answers without a connection and the tool without work, so what is left is the
loop and its store. CPU seconds are compared: other work on the machine stretches the clock from one minute to the next.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import common

if TYPE_CHECKING:
    from harness.model import Reply
    from harness.parts import Parts
    from harness.tools.tool import Tool

TURNS, TENTH = 2000, 200
KB_BOUND, GROWTH_BOUND = 20.0, 1.1
RESULT = "a line of output\n" * 30
ARGUMENTS = {"path": "src/app.js", "content": "const a = 1;\n" * 40}


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

        call = {"id": f"call_{next(self._ids)}", "name": "look", "args": ARGUMENTS, "type": "tool_call"}
        return Reply(AIMessage(content="", tool_calls=[call]), Usage(100, 0, 10, 0.0, 0.0))


def main() -> None:
    """Both, one after the other."""
    show(
        f"a thread of {TURNS} turns in sessions of 80, forgotten when they end", asyncio.run(measure(80)), GROWTH_BOUND
    )
    show(f"one session of {TURNS} turns", asyncio.run(measure(TURNS)), None)


async def measure(session_turns: int) -> list[tuple[float, float, float]]:
    """Play sessions until there were enough turns."""
    from harness.journal import Journal
    from harness.runtime import open_checkpoints
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
