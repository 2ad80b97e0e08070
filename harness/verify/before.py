"""The application before the feature, looked at while the new one is replayed: both mostly wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from harness.verify.proof import Red, find_red

if TYPE_CHECKING:
    from harness.verify.check import Check, Locator
    from harness.verify.pages import Site
    from harness.verify.replay import Replayer

OpenBefore = Callable[[], AbstractAsyncContextManager["Site | None"]]


class Before:
    """Begins to start the application when it is opened; what a check sees there is asked for later."""

    def __init__(self, replayer: Replayer, elements: Mapping[str, Locator], open_site: OpenBefore) -> None:
        self._replayer, self._elements = replayer, elements
        self._stack = AsyncExitStack()
        self._site = asyncio.create_task(self._stack.enter_async_context(open_site()))
        self._red: asyncio.Task[Red] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, replayer: Replayer, elements: Mapping[str, Locator], open_site: OpenBefore
    ) -> AsyncIterator[Before]:
        """Start it; on leaving nothing of it runs any more.

        Args:
            replayer: what all replays share.
            elements: the project's names.
            open_site: the old tree's application; yields None when it does not start.
        """
        before = cls(replayer, elements, open_site)
        try:
            yield before
        finally:
            tasks = [task for task in (before._site, before._red) if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await before._stack.aclose()

    def look(self, check: Check) -> None:
        """Begin to play a check there; only the last one counts."""
        self._red = asyncio.create_task(self._play(check, self._red))

    async def red(self) -> Red:
        """What the check saw there. Raises: BrowserError, ShellError: a fault of ours."""
        assert self._red is not None  # `look` comes first
        return await self._red

    async def _play(self, check: Check, earlier: asyncio.Task[Red] | None) -> Red:
        if earlier:
            await earlier  # one check at a time
        return await find_red(self._replayer, check, self._elements, await self._site)
