"""Replays the checks of features that passed, so that what breaks one is not committed.

Replays wait more than they work, so a few more workers than cores share the list, each with an application instance
of its own. What fails is played once more, alone: passing then, it is flaky, which is counted and shown but blocks
nothing; failing again, it is broken.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.verify.app import AppNotStarted
from harness.verify.check import Check, Locator
from harness.verify.pages import Site
from harness.verify.replay import Purpose, Replayer, ReplayResult

WORKER_MB = 500
"""Memory one worker may need: a page of Chromium and an application."""

OpenSite = Callable[[int], AbstractAsyncContextManager[Site]]
"""Opens the site of one worker, given its number."""


@dataclass(frozen=True)
class RegressResult:
    """What became of one passed feature."""

    feature_id: str
    passed: bool
    flaky: bool = False
    """It failed among the others and passed alone."""
    reason: str = ""
    evidence: str = ""
    seconds: float = 0.0


def order(
    feature_ids: Iterable[str],
    *,
    affected: Collection[str] = (),
    recently_failing: Sequence[str] = (),
    last_run: Mapping[str, datetime] | None = None,
) -> list[str]:
    """Which checks to replay first, when perhaps not all can be.

    Args:
        feature_ids: all that passed, in the order of the list.
        affected: features whose files the change touches.
        recently_failing: most recent first.
        last_run: when each was replayed last; one that never was comes before all others.
    """
    recent = {feature_id: rank for rank, feature_id in enumerate(recently_failing)}
    never = datetime.min.replace(tzinfo=UTC)

    def rank(feature_id: str) -> tuple[bool, int, datetime]:
        ran = (last_run or {}).get(feature_id, never)
        return feature_id not in affected, recent.get(feature_id, len(recent)), ran

    return sorted(feature_ids, key=rank)


async def regress(
    replayer: Replayer,
    checks: Mapping[str, Check],
    elements: Mapping[str, Locator],
    open_site: OpenSite,
    *,
    steps: Mapping[str, Sequence[str]] | None = None,
    seconds: float | None = None,
    purpose: Purpose = "regress",
) -> list[RegressResult]:
    """Replay checks until all are played or the time is over.

    Args:
        replayer: what all replays share.
        checks: by feature, in the order to play them; see `order`.
        elements: the project's names.
        open_site: opens one more instance with its pages.
        steps: the features' own lines, for the words of a failure.
        seconds: None: the setting; 0: no limit. What has begun is played to its end.
        purpose: what it is for; evidence of what passes is kept unless it is "regress".

    Returns: results of those played, in the order of `checks`.
    Raises: BrowserError, ShellError: a fault of ours.
    """
    limit = replayer.settings.regress_seconds if seconds is None else seconds
    run = _Run(replayer, checks, elements, steps or {}, time.monotonic() + limit if limit else None, purpose)
    return await run.all(open_site, worker_count(replayer.settings.workers, len(checks)))


def worker_count(wanted: int, checks: int, free_mb: int | None = None) -> int:
    """Pages replaying at once, each with an application of its own and two checks at least.

    A further instance and page take about as long to open as a check to play.

    Args:
        wanted: as set; 0: one more than cores, as far as memory reaches.
        checks: to be played.
        free_mb: memory that may be used; None: what the machine has.
    """
    free = _free_mb() if free_mb is None else free_mb
    fitting = min((os.cpu_count() or 1) + 1, free // WORKER_MB)
    return max(1, min(wanted or fitting, checks // 2))


def _free_mb() -> int:
    """Memory that can be used without swapping, by the kernel's own estimate."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))


async def _together(*workers: Coroutine[Any, Any, None]) -> None:
    """Run all; the first fault ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
    except ExceptionGroup as several:
        raise several.exceptions[0] from None


class _Run:
    def __init__(
        self,
        replayer: Replayer,
        checks: Mapping[str, Check],
        elements: Mapping[str, Locator],
        steps: Mapping[str, Sequence[str]],
        deadline: float | None,
        purpose: Purpose,
    ) -> None:
        self._replayer, self._checks, self._elements, self._steps = replayer, checks, elements, steps
        self._deadline, self._purpose = deadline, purpose
        self._waiting = deque(checks)
        self._played: dict[str, ReplayResult] = {}

    async def all(self, open_site: OpenSite, workers: int) -> list[RegressResult]:
        if not self._checks:
            return []
        async with AsyncExitStack() as stack:
            try:
                first = await stack.enter_async_context(open_site(0))
            except AppNotStarted as exc:
                return [RegressResult(f, False, reason=f"The application did not start: {exc}") for f in self._checks]
            await _together(self._work(first), *(self._work_at(open_site, number) for number in range(1, workers)))
            return [await self._settle(first, feature_id) for feature_id in self._checks if feature_id in self._played]

    async def _work_at(self, open_site: OpenSite, number: int) -> None:
        """A further worker; an application that cannot be started twice is served by the first alone."""
        if not self._waiting:
            return
        try:
            async with open_site(number) as site:
                await self._work(site)
        except AppNotStarted:
            return

    async def _work(self, site: Site) -> None:
        while self._waiting and (self._deadline is None or time.monotonic() < self._deadline):
            feature_id = self._waiting.popleft()
            self._played[feature_id] = await self._replay(site, feature_id)

    async def _replay(self, site: Site, feature_id: str) -> ReplayResult:
        steps = self._steps.get(feature_id, ())
        return await self._replayer.replay(
            self._checks[feature_id],
            self._elements,
            site,
            purpose=self._purpose,
            steps=steps,
            pictures=self._purpose != "regress",
        )

    async def _settle(self, site: Site, feature_id: str) -> RegressResult:
        """Play what failed once more, now that nobody else is at work."""
        result = self._played[feature_id]
        if result.passed:
            return RegressResult(feature_id, True, evidence=result.evidence, seconds=result.seconds)
        again = await self._replay(site, feature_id)
        if again.passed:
            return RegressResult(feature_id, True, True, result.reason, result.evidence, again.seconds)
        return RegressResult(feature_id, False, False, again.reason, again.evidence, again.seconds)
