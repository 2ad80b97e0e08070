"""Replaying a check: against playwright in the same run, and 200 of them on two cores.

One flow of ten acts on the to-do application, the same acts and the same expectations, the same Chromium, in turn.
Playwright believes an expectation the first time it holds; ours must go on holding for `hold_seconds`. So the budget
compares the same assertions twice: both with hold windows (playwright asserts again after each), both without. Both
empty the page before the flow; the application is not restarted there, it is in the 200.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
from apps import todo_app
from apps.rooms import open_room

from harness.browser.browser import Browser, find_chromium
from harness.events import Events
from harness.settings import AppSettings, VerifySettings
from harness.verify.app import serve
from harness.verify.check import Check, Contract, Locator
from harness.verify.pages import Pages, Site
from harness.verify.player import Player
from harness.verify.regress import regress, worker_count
from harness.verify.replay import Replayer, open_site
from harness.verify.standalone import RunningSite

ROUNDS, CHECKS, BOUND_SECONDS = 9, 200, 60.0
Way = Callable[[], Awaitable[float]]


def _adds(text: str) -> list[dict[str, Any]]:
    return [
        {"step": 1, "act": "fill", "target": "field", "value": text},
        {"step": 1, "act": "press", "target": "field", "value": "Enter"},
    ]


_OPEN = {"step": 1, "act": "navigate", "value": "/"}
_TWO = {"step": 1, "expect": "count", "target": "items", "number": 2}
FLOW: list[dict[str, Any]] = [
    _OPEN,
    {"step": 1, "expect": "count", "target": "items", "number": 0},
    *_adds("Buy milk"),
    {"step": 1, "expect": "visible", "target": "milk"},
    *_adds("Walk the dog"),
    _TWO,
    {"step": 1, "act": "check", "target": "milk box"},
    {"step": 1, "expect": "checked", "target": "milk box"},
    {"step": 1, "expect": "visible", "target": "one left"},
    {"step": 1, "act": "click", "target": "active"},
    {"step": 1, "expect": "visible", "target": "dog"},
    {"step": 1, "expect": "hidden", "target": "milk"},
    {"step": 1, "act": "click", "target": "completed"},
    {"step": 1, "expect": "visible", "target": "milk"},
    {"step": 1, "expect": "hidden", "target": "dog"},
    {"step": 1, "act": "click", "target": "all"},
    _TWO,
    {"step": 1, "act": "reload"},
    {"step": 1, "expect": "checked", "target": "milk box"},
    _TWO,
]
SHORT: list[dict[str, Any]] = [
    _OPEN,
    *_adds("Buy milk"),
    {"step": 1, "expect": "visible", "target": "milk"},
    {"step": 1, "act": "check", "target": "milk box"},
    {"step": 1, "expect": "checked", "target": "milk box"},
    {"step": 1, "act": "click", "target": "completed"},
    {"step": 1, "expect": "visible", "target": "milk"},
]
ELEMENTS = {**todo_app.ELEMENTS, "one left": Locator(text="1 item left")}
TARGETS = {**todo_app.TARGETS, "one left": 'the line "1 item left"'}


def main() -> None:
    """Both tables."""
    python = common.foreign("playwright", ["playwright==1.65.2"], alone=True)
    with tempfile.TemporaryDirectory() as name:
        flows = asyncio.run(measure_flow(Path(name), python))
    show_flow(flows)
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure_many(Path(name)))


def contract(items: list[dict[str, Any]], feature_id: str = "flow") -> Contract:
    """What is played."""
    return Contract.model_validate({"feature_id": feature_id, "targets": TARGETS, "items": items})


# --- one flow ---


async def measure_flow(directory: Path, python: Path) -> dict[str, list[float]]:
    """Seconds by way; the first round warms up and is not counted. No sandbox: playwright needs the host's loopback."""
    async with open_room(directory, todo_app.make(directory / "tree"), "off") as room:
        settings = VerifySettings()
        browser = await Browser.start(room, settings)
        async with serve(directory / "tree", room, AppSettings(), directory / "data") as instance:
            with playwright(python, instance.base_url) as ask:
                ways: dict[str, Way] = {
                    "ours": player(browser, instance.base_url, settings),
                    "ours, no hold": player(browser, instance.base_url, VerifySettings(hold_seconds=0)),
                    "playwright, same page": lambda: ask("same"),
                    "playwright, new context": lambda: ask("fresh"),
                    "playwright, new context, holding": lambda: ask("holding"),
                }
                found: dict[str, list[float]] = {name: [] for name in ways}
                for _ in range(ROUNDS + 1):
                    for name, way in ways.items():
                        found[name].append(await way())
        await browser.close()
    return {name: seconds[1:] for name, seconds in found.items()}


def player(browser: Browser, url: str, settings: VerifySettings) -> Way:
    """Play the flow on a page of our own."""
    site = Site(RunningSite(url), Pages(browser))  # type: ignore[arg-type]  # by shape, not by class
    flow = contract(FLOW)

    async def play() -> float:
        started = time.perf_counter()
        result = await Player(site, settings).play(flow, ELEMENTS.get)
        assert result.passed, result.reason
        return time.perf_counter() - started

    return play


@contextmanager
def playwright(python: Path, url: str) -> Iterator[Callable[[str], Awaitable[float]]]:
    """The other side, in a process of its own that plays on demand."""
    argv = [str(python), str(Path(__file__).with_name("playwright_flow.py")), find_chromium(), url]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin
        assert stdout

        async def ask(way: str) -> float:
            stdin.write(f"{way}\n")
            stdin.flush()
            return float(await asyncio.to_thread(stdout.readline))

        yield ask
        stdin.close()


def show_flow(found: dict[str, list[float]]) -> None:
    """Medians and the ratio."""
    common.title(f"a flow of 10 acts and 13 expectations, median of {ROUNDS} interleaved rounds")
    common.row("way", "ms", "best ms")
    for name, seconds in found.items():
        common.row(name, statistics.median(seconds) * 1000, min(seconds) * 1000)
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    fresh, same = "playwright, new context", "playwright, same page"
    common.verdict("with hold windows, to playwright holding", medians["ours"] / medians[f"{fresh}, holding"], 1)
    common.verdict("without, to playwright in a new context", medians["ours, no hold"] / medians[fresh], 1)
    print(f"ours with hold windows to playwright without: {medians['ours'] / medians[fresh]:.2f}", end=", ")
    print(f"in the same page {medians['ours'] / medians[same]:.2f}")


# --- many checks ---


async def measure_many(directory: Path) -> None:
    """Replay 200 checks as a regression does, in the sandbox, each on an application with empty data."""
    settings = VerifySettings()
    checks = {f"F{n:03}": Check(contract=contract(SHORT, f"F{n:03}")) for n in range(CHECKS)}
    async with open_room(directory, todo_app.make(directory / "tree")) as room:
        browser = await Browser.start(room, settings)
        for reset in ("", "true"):
            app = AppSettings(reset=reset)
            replayer = Replayer(settings, Events(), directory / "evidence")
            started = time.perf_counter()
            results = await regress(
                replayer,
                checks,
                ELEMENTS,
                lambda n, app=app: open_site(directory / "tree", room, app, directory / f"data{n}", browser),  # type: ignore[misc]
                seconds=0,
            )
            show_many(reset, time.perf_counter() - started, [r.passed and not r.flaky for r in results])
        await browser.close()


def show_many(reset: str, seconds: float, passed: list[bool]) -> None:
    """One line."""
    how = "a reset command" if reset else "a restart of the application between"
    workers = worker_count(0, CHECKS)
    common.title(f"\n{len(passed)} checks of 5 acts, {workers} workers, {how}, {sum(passed)} passed at first")
    common.verdict("seconds", seconds, BOUND_SECONDS, " s")


if __name__ == "__main__":
    main()
