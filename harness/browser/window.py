"""What one user has open: the tab of the check and those that it opened. All of them belong to one record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.browser.acts import POLL_SECONDS, Acts
from harness.browser.clock import moved_to
from harness.browser.downloads import Downloads
from harness.browser.failed import ActFailed
from harness.browser.page import TabPage
from harness.browser.target import Target
from harness.browser.visitor import USUAL, Visitor

if TYPE_CHECKING:
    from harness.browser.chromium import Chromium
    from harness.browser.session import Session

MOST_TABS = 5
"""Open at once; what is opened beyond is closed unseen."""
MOST_POPUPS = 20
"""Followed since the last reset, whatever became of them."""


class Window:
    """The tabs of one user, of which the user looks at one."""

    def __init__(self, chromium: Chromium, width: int, height: int) -> None:
        self._chromium = chromium
        self.main = TabPage(chromium, replace(USUAL, width=width, height=height))
        self.current = self.main
        self._acts = {self.main: Acts(self.main)}
        self._popups: list[TabPage] = []
        self._looked_at: set[TabPage] = set()
        self._adopting: set[asyncio.Task[None]] = set()
        self._network = ""
        self._clock_ms = 0.0
        self.downloads = Downloads(chromium, self.main.record)

    async def open(self) -> None:
        """Open the first tab."""
        await self.main.open()
        await self.downloads.allow(self.main.target)

    @property
    def tabs(self) -> list[TabPage]:
        """Those that are open now."""
        return [self.main, *(tab for tab in self._popups if not tab.target.is_over)]

    def holds(self, frame_id: str) -> bool:
        """Whether a frame is, or was, in one of its tabs."""
        return any(tab.frames.has(frame_id) for tab in (self.main, *self._popups))

    # --- tabs that pages open ---

    def adopt(self, info: dict[str, Any], session: Session) -> None:
        """Take a tab that one of these opened; one too many is closed."""
        target = Target(self._chromium, info["browserContextId"], info["targetId"], session)
        if len(self.tabs) >= MOST_TABS or len(self._popups) >= MOST_POPUPS:
            target.end_soon()
            return
        tab = TabPage(self._chromium, self.main.visitor, self.main.record)
        tab.base_url = self.main.base_url
        self._popups.append(tab)
        self._acts[tab] = Acts(tab)
        task = asyncio.ensure_future(self._take(tab, target))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def _take(self, tab: TabPage, target: Target) -> None:
        from pyppeteer.errors import NetworkError

        try:
            await tab.take(target, network=self._network, clock_ms=self._clock_ms)
            await self.current.target.send("Page.bringToFront")
        except (ActFailed, NetworkError):
            return  # it closed itself meanwhile

    def _settle_current(self) -> TabPage:
        if self.current not in self.tabs:
            self.current = self.main  # it was closed by the page itself
        return self.current

    # --- what is asked of it ---

    async def act(self, name: str, **arguments: Any) -> None:
        """Do one act in the tab that is looked at, or to the tabs themselves."""
        own: dict[str, Callable[[str, float], Any]] = {
            "switch_tab": self._switch_tab, "close_tab": self._close_tab,
            "offline": partial(self._switch, "offline"), "slow": partial(self._switch, "slow"),
            "clock": self._clock,
        }  # fmt: skip
        if name in own:
            await own[name](arguments["value"] or "", arguments["wait_seconds"])
            return
        tab = await self._ready(to_act=True)
        try:
            await self._acts[tab].act(name, arguments)
        except ActFailed:
            if tab is self.main or not tab.target.is_gone:
                raise
            self.main.acted()  # the act closed its own tab
        if self._adopting:
            await asyncio.wait(self._adopting, timeout=2.0)

    async def ask(self, call: str, **arguments: Any) -> Any:
        """One question about the tab that is looked at."""
        is_watching = call == "watch" and self._settle_current() is self.main  # which gets ready meanwhile
        tab = self.main if is_watching else await self._ready()
        return await getattr(tab, call)(**arguments)

    async def _ready(self, *, to_act: bool = False) -> TabPage:
        """The tab that is looked at, when it is ready; the first one where that closed itself."""
        tab = self._settle_current()
        try:
            await tab.ready(to_act=to_act)
        except ActFailed:
            if tab is self.main or not tab.target.is_gone:
                raise
        return self._settle_current()

    async def freeze(self, mode: Any) -> None:
        """Freeze all tabs."""
        for tab in self.tabs:
            await tab.ready()
            await tab.freeze(mode)

    async def reset(self, base_url: str, also: list[str], visitor: dict[str, Any], clipboard: bool = False) -> None:
        """Close what was opened and take the first tab back to the state of a new one."""
        for tab in self.tabs[1:]:
            tab.target.end_soon()
        self._forget_files()
        self._acts = {self.main: self._acts[self.main]}
        self._popups.clear()
        self._looked_at.clear()
        self.current = self.main
        with suppress(ActFailed):  # of a page that crashed: it is replaced below
            await self._set_network("")
        self._clock_ms = 0.0
        was = self.main.target
        await self.main.reset(base_url, also, Visitor(**visitor), clipboard=clipboard)
        self.downloads.clear()
        if self.main.target is not was:
            await self.downloads.allow(self.main.target)

    async def close(self) -> None:
        """Close everything."""
        self._forget_files()
        self.downloads.close()
        await self.main.target.close()

    def _forget_files(self) -> None:
        for acts in self._acts.values():
            acts.forget_files()

    # --- acts on tabs ---

    async def _switch_tab(self, which: str, wait_seconds: float) -> None:
        end = asyncio.get_running_loop().time() + wait_seconds
        while len(found := await self._found(which)) != 1:
            if asyncio.get_running_loop().time() > end:
                titles = ", ".join([repr(await tab.title()) for tab in self.tabs])
                raise ActFailed(f"{len(found) or 'no'} tabs are {which!r}; open: {titles}")
            await asyncio.sleep(POLL_SECONDS)
        self.current = found[0]
        self._looked_at.add(self.current)
        await self.current.target.send("Page.bringToFront")
        self.current.acted()

    async def _found(self, which: str) -> list[TabPage]:
        if which == "main":
            return [self.main]
        if which == "new":
            return [tab for tab in self.tabs[1:] if tab.is_taken and tab not in self._looked_at][-1:]
        taken = [tab for tab in self.tabs if tab is self.main or tab.is_taken]
        return [tab for tab in taken if which.casefold() in (await tab.title()).casefold()]

    async def _close_tab(self, _: str, wait_seconds: float) -> None:
        tab = self._settle_current()
        if tab is self.main:
            raise ActFailed("the first tab cannot be closed; switch_tab to another before")
        tab.target.end_soon()
        self.current = self.main
        await self.current.target.send("Page.bringToFront")
        self.current.acted()

    async def _switch(self, network: str, value: str, _: float) -> None:
        if value not in ("on", "off"):
            raise ActFailed(f"{network} is on or off, not {value!r}")
        await self._set_network(network if value == "on" else "")

    async def _set_network(self, network: str) -> None:
        if self._network == network:
            return
        self._network = network
        for tab in self.tabs:
            await tab.set_network(network)

    async def _clock(self, value: str, _: float) -> None:
        now = datetime.now(UTC).timestamp() * 1000
        offset = moved_to(value, now + self._clock_ms) - now
        for tab in self.tabs:
            await tab.move_clock(offset - self._clock_ms, offset)
        self._clock_ms = offset
        self.current.acted()
