"""Checks against bugs: no good application may be rejected, every mutant must be; ordinary unit tests for comparison.

    python tests/bench/bench_mutants.py [--good N] [--app NAME]... [--mutant ID]...
    GOOD=20 APPS=board,ledger ./init.sh bench mutants

Each check is replayed N times on the good application. On each mutant the check of the feature it violates is
replayed first, then the others until one fails; that another feature's check had to find it is shown, because it may
have failed for a wrong reason. An application without checks is measured by its unit tests alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import common
from apps.rooms import open_room
from mutant_apps import App, Mutant, apps

from harness.browser.browser import Browser
from harness.events import Events
from harness.sandbox.processes import Room
from harness.settings import AppSettings, VerifySettings
from harness.verify.app import AppNotStarted
from harness.verify.check import Check, Locator
from harness.verify.files import read_checks, read_elements
from harness.verify.pages import Site
from harness.verify.playing import ReplayResult
from harness.verify.replay import Replayer, open_site

GIST_CHARACTERS = 90
T = TypeVar("T")


@dataclass(frozen=True)
class Rejection:
    """Which check failed, and where."""

    feature: str
    step: int
    """0: the application did not start."""
    gist: str


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    rejection: Rejection | None
    unit_tests_fail: bool

    @property
    def elsewhere(self) -> bool:
        """Found by the check of another feature than the one it violates."""
        return self.rejection is not None and self.rejection.feature != self.mutant.feature


@dataclass
class Bench:
    """One application under measurement."""

    app: App
    directory: Path
    room: Room
    browser: Browser
    checks: Mapping[str, Check]
    elements: Mapping[str, Locator]
    replayer: Replayer
    replays: int = 0
    """On the good application."""
    false_rejects: list[Rejection] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    async def measure(self, times: int, mutants: Sequence[Mutant], workers: int) -> None:
        """The good application so many times, then every mutant."""
        started = time.monotonic()
        await _share(self._work_on_good, deque(feature for _ in range(times) for feature in self.checks), workers)
        await _share(self._work_on_mutants, deque(mutants), workers)
        place = {mutant.id: number for number, mutant in enumerate(mutants)}
        self.outcomes.sort(key=lambda outcome: place[outcome.mutant.id])
        self.seconds = time.monotonic() - started

    async def _work_on_good(self, number: int, waiting: deque[str]) -> None:
        tree = await asyncio.to_thread(self._make, f"good-{number}")
        async with self._site(tree) as site:
            while waiting:
                feature = waiting.popleft()
                self.replays += 1
                if rejection := await self._replay(feature, site):
                    self.false_rejects.append(rejection)

    async def _work_on_mutants(self, _: int, waiting: deque[Mutant]) -> None:
        while waiting:
            self.outcomes.append(await self._judge(waiting.popleft()))

    async def _judge(self, mutant: Mutant) -> Outcome:
        tree = await asyncio.to_thread(self._make, mutant.id, mutant)
        try:
            rejection = await self._rejection(tree, mutant) if self.checks else None
            return Outcome(mutant, rejection, await asyncio.to_thread(self.app.unit_tests_fail, tree.parent))
        finally:
            await asyncio.to_thread(shutil.rmtree, tree.parent)

    async def _rejection(self, tree: Path, mutant: Mutant) -> Rejection | None:
        try:
            async with self._site(tree) as site:
                for feature in sorted(self.checks, key=lambda feature: feature != mutant.feature):
                    if rejection := await self._replay(feature, site):
                        return rejection
        except AppNotStarted as exc:
            return Rejection(mutant.feature, 0, f"does not start: {exc.reason}")
        return None

    async def _replay(self, feature: str, site: Site) -> Rejection | None:
        check, steps = self.checks[feature], self.app.steps[feature]
        result = await self.replayer.replay(check, self.elements, site, purpose="verify", steps=steps)
        return None if result.passed else rejection_of(check, result)

    def _make(self, name: str, mutant: Mutant | None = None) -> Path:
        tree = self.app.make(self.directory / name, mutant)
        if self.checks:
            self.app.install(tree)
        return tree

    def _site(self, tree: Path) -> AbstractAsyncContextManager[Site]:
        data_dir = self.directory / "data" / tree.parent.name
        return open_site(tree, self.room, AppSettings(), data_dir, self.browser, stamps_dir=tree.parent)


async def _share(work: Callable[[int, deque[T]], Awaitable[None]], waiting: deque[T], workers: int) -> None:
    """Several workers, one list; the first fault ends all."""
    async with asyncio.TaskGroup() as group:
        for number in range(min(workers, len(waiting))):
            group.create_task(work(number, waiting))


def rejection_of(check: Check, result: ReplayResult) -> Rejection:
    """The first thing that did not hold, in few words."""
    feature = check.contract.feature_id
    if result.failed is None:
        return Rejection(feature, 0, result.reason.splitlines()[0])
    failed = result.failed
    return Rejection(
        feature, check.contract.items[failed.index].step, f"{failed.expected}: {failed.seen or failed.reason}"
    )


# --- the tables ---


def show_good(benches: Sequence[Bench]) -> None:
    """False rejects."""
    common.title("\nchecks on the good applications")
    common.row("application", "checks", "replays", "rejected", "seconds")
    for bench in benches:
        common.row(bench.app.name, len(bench.checks), bench.replays, len(bench.false_rejects), bench.seconds)
    for bench in benches:
        for one in bench.false_rejects:
            print(f"  FALSE REJECT {bench.app.name} {_where(one)}: {_gist(one)}")


def show_mutants(bench: Bench) -> None:
    """One line a mutant: what it violates, what rejected it, what the unit tests say."""
    print(f"\n{bench.app.name}: mutant | violates | rejected by | why | unit tests")
    for outcome in bench.outcomes:
        mutant, rejection = outcome.mutant, outcome.rejection
        by = "-" if not bench.checks else "NOT REJECTED" if rejection is None else _where(rejection)
        flag = " (ANOTHER FEATURE)" if outcome.elsewhere else ""
        unit = "fail" if outcome.unit_tests_fail else "pass"
        said = _gist(rejection) if rejection else ""
        print(f"{mutant.id:<28} | {mutant.feature} {mutant.step} | {by}{flag} | {said} | {unit}")


def show_totals(benches: Sequence[Bench]) -> None:
    """What counts."""
    print()
    common.row("application", "mutants", "by checks", "elsewhere", "by units")
    totals = [_totals(bench.outcomes) for bench in benches]
    for bench, figures in zip(benches, totals, strict=True):
        common.row(bench.app.name, *figures)
    common.row("all", *(sum(column) for column in zip(*totals, strict=True)))
    missed = sum(outcome.rejection is None for bench in benches for outcome in bench.outcomes)
    common.verdict("good applications rejected", sum(len(bench.false_rejects) for bench in benches), 0)
    common.verdict("mutants not rejected", missed, 0)


def _totals(outcomes: Sequence[Outcome]) -> tuple[int, int, int, int]:
    rejected = sum(outcome.rejection is not None for outcome in outcomes)
    elsewhere = sum(outcome.elsewhere for outcome in outcomes)
    return len(outcomes), rejected, elsewhere, sum(outcome.unit_tests_fail for outcome in outcomes)


def _where(rejection: Rejection) -> str:
    return f"{rejection.feature} {rejection.step}"


def _gist(rejection: Rejection) -> str:
    line = " ".join(rejection.gist.split())
    return line if len(line) <= GIST_CHARACTERS else line[:GIST_CHARACTERS] + "…"


# --- from the start ---


async def bench_app(app: App, times: int, wanted: Sequence[str], workers: int) -> Bench:
    """Measure one application in a room of its own."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        directory = Path(name)
        async with open_room(directory, app.make(directory / "room-tree")) as room:
            settings = VerifySettings()
            browser = await Browser.start(room, settings)
            checks = read_checks(app.checks_dir) if app.checks_dir.is_dir() else {}
            elements = read_elements(app.checks_dir).locators()
            bench = Bench(app, directory, room, browser, checks, elements, Replayer(settings, Events()))
            try:
                mutants = [mutant for mutant in app.mutants if not wanted or mutant.id in wanted]
                await bench.measure(times, mutants, workers)
            finally:
                await browser.close()
    return bench


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--good", type=int, default=int(os.environ.get("GOOD", "3")), help="replays of each check")
    parser.add_argument(
        "--app", action="append", default=[name for name in os.environ.get("APPS", "").split(",") if name]
    )
    parser.add_argument("--mutant", action="append", default=[])
    parser.add_argument("--workers", type=int, default=(os.cpu_count() or 1) + 1)
    asked = parser.parse_args()
    benches = []
    for app in apps(asked.app):
        benches.append(asyncio.run(bench_app(app, asked.good, asked.mutant, asked.workers)))
        show_mutants(benches[-1])
    show_good(benches)
    show_totals(benches)


if __name__ == "__main__":
    main()
