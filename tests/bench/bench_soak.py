"""Many replays one after another in one browser: what grows. A restart of the application lies between any two.

Counted over this process and everything below it (the driver, Chromium, the sandbox, the application); the first
replays fill caches and are not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

import common
from apps import todo_app
from apps.rooms import open_room
from bench_replay import ELEMENTS, SHORT, contract
from processes import descendants

from harness.browser.browser import Browser
from harness.events import Events
from harness.settings import AppSettings, VerifySettings
from harness.verify.check import Check
from harness.verify.replay import Replayer, open_site

REPLAYS, FIRST, EVERY = 300, 50, 50
GROWTH_MB = 50.0
"""Budget for what the counted replays add: a page kept by mistake is 10 MB and more, each time."""

HELPERS = {"processes": 5, "open files": 120, "files on disk": 50}
"""What helpers that Chromium starts by itself, once, may add; a leak of one a replay would be 250."""


def main() -> None:
    """One row for so many replays, and what was added from the first to the last."""
    with tempfile.TemporaryDirectory() as name:
        rows = asyncio.run(soak(Path(name)))
    common.title(f"{REPLAYS} replays of 5 acts in one browser")
    common.row("replays", *rows[FIRST])
    for number, held in rows.items():
        common.row(number, *held.values())
    first, last = rows[FIRST], rows[REPLAYS]
    common.verdict(f"added by the last {REPLAYS - FIRST}", last["MB"] - first["MB"], GROWTH_MB, " MB")
    for what, budget in HELPERS.items():
        common.verdict(f"{what} added", last[what] - first[what], budget)


async def soak(directory: Path) -> dict[int, dict[str, float]]:
    """What is held after so many replays."""
    check, held = Check(contract=contract(SHORT)), {}
    settings = VerifySettings()
    async with open_room(directory, todo_app.make(directory / "tree")) as room:
        browser = await Browser.start(room, settings)
        replayer = Replayer(settings, Events(), directory / "evidence")
        async with open_site(directory / "tree", room, AppSettings(), directory / "data", browser) as site:
            for number in range(1, REPLAYS + 1):
                result = await replayer.replay(check, ELEMENTS, site, purpose="regress")
                assert result.passed, result.reason
                if number % EVERY == 0:
                    held[number] = _held(directory)
        await browser.close()
    return held


def _held(directory: Path) -> dict[str, float]:
    pids = descendants(os.getpid())
    return {
        "MB": sum(map(_megabytes, pids)),
        "processes": len(pids),
        "open files": sum(map(_open_files, pids)),
        "files on disk": sum(len(files) for _, _, files in os.walk(directory)),
    }


def _megabytes(pid: int) -> float:
    """Memory of a process, what it shares divided by who shares it; 0 for one that has just ended."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
    return 0


def _open_files(pid: int) -> int:
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


if __name__ == "__main__":
    main()
