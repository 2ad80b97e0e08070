"""What the sandbox costs a command, against plain bash: `python tests/bench/bench_sandbox.py`.

Interleaved, so that a noisy machine hits both alike.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxSettings

ROUNDS = 60
COMMAND = "true"


async def measure(home: Path) -> dict[str, list[float]]:
    """Milliseconds of each way, one round after the other."""
    (home / "worktree").mkdir()
    policy = Policy(worktree=home / "worktree", scratch=home / "scratch", data_dir=home / "data")
    found: dict[str, list[float]] = {"plain bash": [], "sandboxed run": []}
    async with Room.open(policy, SandboxSettings(), home / "journal") as room:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            subprocess.run(["bash", "-c", COMMAND], check=True)  # noqa: ASYNC221 - that is what is measured
            between = time.perf_counter()
            await room.run(COMMAND)
            found["plain bash"].append((between - started) * 1000)
            found["sandboxed run"].append((time.perf_counter() - between) * 1000)
    return found


def main() -> None:
    """Print medians and their ratio."""
    with tempfile.TemporaryDirectory() as home:
        found = asyncio.run(measure(Path(home)))
    medians = {name: statistics.median(times) for name, times in found.items()}
    for name, times in found.items():
        print(f"{name}: median {medians[name]:.1f} ms, p95 {statistics.quantiles(times, n=20)[-1]:.1f} ms")
    extra = medians["sandboxed run"] - medians["plain bash"]
    ratio = medians["sandboxed run"] / medians["plain bash"]
    print(
        f"ratio {ratio:.1f}, {extra:.1f} ms more a command ({platform.machine()}, {os.cpu_count()} cores, n={ROUNDS})"
    )


if __name__ == "__main__":
    main()
