"""Processes as /proc shows them: for tests that ask whether any is left."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path


def descendants(pid: int) -> set[int]:
    """Every process below this one, itself included."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


async def gone(pids: set[int], seconds: float = 10.0) -> set[int]:
    """What still runs after at most this long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while _running(pids):  # noqa: ASYNC110 (the kernel sends no event for processes that are not ours)
                await asyncio.sleep(0.05)
    return _running(pids)


def chromium_of(worker: int) -> int:
    """The main process of the Chromium that a driver holds."""
    for pid in descendants(worker):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if any(b"--user-data-dir=" in word for word in command) and not any(b"--type=" in word for word in command):
            return pid
    raise AssertionError("no Chromium")


def _running(pids: set[int]) -> set[int]:
    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return {pid for pid in pids if runs(pid)}
