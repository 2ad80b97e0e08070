"""What the sandbox costs a command, against plain bash: `python tests/bench/bench_sandbox.py`.

By mode, and through the proxy the cost of a request; interleaved, so that a noisy machine hits all alike.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from common import row, title, verdict

from harness.sandbox.bubblewrap import probe
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxMode, SandboxSettings

ROUNDS = 60
COMMAND = "true"
MODES: tuple[SandboxMode, ...] = ("off", "plan", "project", "project+net")
BUDGET_RATIO = 25.0
ELSEWHERE = "127.0.0.2"
ASK = """import sys, time, urllib.request
for opener in (urllib.request.build_opener(urllib.request.ProxyHandler({})), urllib.request.build_opener()):
    times = []
    for _ in range(60):
        started = time.perf_counter()
        try:
            opener.open(sys.argv[1], timeout=5).read()
            times.append(time.perf_counter() - started)
        except OSError:
            pass
    print(sorted(times)[len(times) // 2] * 1000 if times else 0)
"""


async def bash() -> None:
    """The plain way, started as a room starts its own."""
    process = await asyncio.create_subprocess_exec("bash", "-c", COMMAND)
    await process.wait()


async def measure(home: Path) -> dict[str, list[float]]:
    """Milliseconds of each way, one round after the other."""
    async with AsyncExitStack() as stack:
        ways: dict[str, Callable[[], Awaitable[object]]] = {"plain bash": bash}
        for mode in MODES:
            room = await stack.enter_async_context(room_in(home / mode, mode))
            ways[f"mode {mode}"] = lambda room=room: room.run(COMMAND)  # type: ignore[misc]  # a default is no argument
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                started = time.perf_counter()
                await way()
                found[name].append((time.perf_counter() - started) * 1000)
    return found


def room_in(home: Path, mode: SandboxMode, hosts: tuple[str, ...] = ("api.example.com",)):  # type: ignore[no-untyped-def]
    """A room of its own."""
    (home / "worktree").mkdir(parents=True)
    policy = Policy(worktree=home / "worktree", scratch=home / "scratch", data_dir=home / "data", mode=mode)
    return Room.open(policy, SandboxSettings(mode=mode, hosts=list(hosts)), home / "journal")


async def request(home: Path) -> tuple[float, float]:
    """Milliseconds of a request from outside directly, and from inside through the proxy."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, ELSEWHERE, 0) as server:
        host = f"{ELSEWHERE}:{server.sockets[0].getsockname()[1]}"
        async with room_in(home / "off", "off") as outside, room_in(home / "net", "project+net", (host,)) as inside:
            direct = (await outside.run(["python3", "-c", ASK, f"http://{host}/"])).output.split()[0]
            proxied = (await inside.run(["python3", "-c", ASK, f"http://{host}/"])).output.split()[1]
    return float(direct), float(proxied)


def main() -> None:
    """Print medians, ratios to plain bash, and what a start adds."""
    title("sandbox: milliseconds a command")
    with tempfile.TemporaryDirectory() as home:
        found = asyncio.run(measure(Path(home, "rooms")))
        direct, proxied = asyncio.run(request(Path(home, "request")))
    plain = statistics.median(found["plain bash"])
    row("", "median", "p95", "more", "ratio")
    for name, times in found.items():
        median = statistics.median(times)
        row(name, median, statistics.quantiles(times, n=20)[-1], median - plain, median / plain)
    started = time.perf_counter()
    enforcement = probe()
    row("probe at the start", (time.perf_counter() - started) * 1000)
    row("a request, directly", direct)
    row("a request, by the proxy", proxied)
    print(enforcement.warning or "the sandbox holds")
    verdict("a command in mode project, of plain bash", statistics.median(found["mode project"]) / plain, BUDGET_RATIO)


if __name__ == "__main__":
    main()
