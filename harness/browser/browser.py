"""The browser as the rest of the harness uses it: pages to act on, look at and disturb.

Chromium and its driver run in a child process (`worker.py`) inside the session's sandbox; here are only values. A
page that crashes or hangs answers in time with `ActFailed`; a browser that ends raises `BrowserError` from the calls
under way and is started again by the next `new_page`.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.browser.display import Display, find_display
from harness.browser.failed import ActFailed
from harness.browser.values import Asked, Disturbance, Frozen, Observation, PageFacts, Watched
from harness.browser.visitor import USUAL, Visitor
from harness.browser.wire import Room, Wire
from harness.errors import BrowserError, SetupError

if TYPE_CHECKING:
    from harness.settings import VerifySettings
    from harness.verify.check import ActName, Locator

__all__ = ["ActFailed", "Browser", "Page", "find_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
OLDEST_CHROMIUM = 120
"""Major version below which what the pages are asked is not understood; 156 is the one all was measured with."""
CALL_SECONDS = 30.0
"""Longer than any limit inside the worker: when this one strikes, the worker itself hangs."""


def find_chromium(configured: str = "") -> str:
    """The executable that is configured or found on PATH.

    Raises: SetupError: there is none that can be used; the person installs it.
    """
    if configured:
        if found := shutil.which(configured):
            return found
        raise SetupError(f"{configured!r} (verify.chromium) is not a program.", "Mend or remove that setting.")
    there = [found for name in NAMES if (found := shutil.which(name))]
    if usable := [each for each in there if not _is_snap(Path(each))]:
        return usable[0]
    if there:
        raise SetupError(
            f"{there[0]} is a snap, which shuts itself in and cannot start inside the sandbox.",
            "Install Google Chrome's .deb, or another Chromium that is no snap; where it is not on PATH, set "
            "verify.chromium in your config.toml.",
        )
    raise SetupError("No Chromium was found.", "Run `./init.sh setup`, or install the package `chromium`.")


def _is_snap(executable: Path) -> bool:
    """Whether it is started by snap, or is what Ubuntu puts in its place: a script that asks for the snap."""
    if executable.resolve().name == "snap" or executable.is_relative_to("/snap"):
        return True
    try:
        with executable.open("rb") as file:
            return b"/snap/bin/" in file.read(4096)
    except OSError:
        return False


def check_version(product: str, executable: str) -> None:
    """Refuse a browser that would be asked what it does not understand.

    Args:
        product: as the browser names itself: "HeadlessChrome/156.0.8078.79".
        executable: for the message.

    Raises: SetupError: it is too old, or none we know; the person installs another.
    """
    known = re.fullmatch(r"(?:Headless)?Chrom(?:e|ium)/(\d+)\..*", product)
    if known and int(known[1]) >= OLDEST_CHROMIUM:
        return
    raise SetupError(
        f"{executable} is {product[:60]!r}; Chromium {OLDEST_CHROMIUM} or newer is needed.",
        "Install a newer `chromium`, or set verify.chromium to another one.",
    )


class Browser:
    """One Chromium in one room."""

    def __init__(self, room: Room, executable: str, display: Display | None = None) -> None:
        self._room = room
        self._executable = executable
        self._display = display
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._last_page = 0
        self.clipboard = asyncio.Lock()
        """Held while a check uses the clipboard, of which there is one for all pages."""
        self.version = ""

    @classmethod
    async def start(cls, room: Room, settings: VerifySettings, *, headed: bool = False) -> Self:
        """Start Chromium in the room.

        Args:
            settings: name the executable.
            headed: with a window on the person's display.

        Raises:
            SetupError: there is no Chromium, one too old to be used, or no display.
            BrowserError: it does not start.
        """
        browser = cls(room, find_chromium(settings.chromium), find_display() if headed else None)
        await browser.running()
        return browser

    async def new_page(self, *, width: int = 1280, height: int = 800) -> Page:
        """Open a page in a fresh browser context, in a fresh browser when the old one has ended."""
        wire = await self.running()
        try:
            return await self._opened(wire, width, height)
        except BrowserError:  # it has ended, which nobody had noticed yet
            await wire.close()
            return await self._opened(await self.running(), width, height)

    async def _opened(self, wire: Wire, width: int, height: int) -> Page:
        self._last_page += 1
        page = Page(wire, self._last_page)
        await page.ask("new_page", width=width, height=height)
        return page

    async def close(self) -> None:
        """End Chromium and its worker."""
        if self._wire:
            await self._wire.close()
            self._wire = None

    async def running(self) -> Wire:
        """Its connection; it is started when it does not run. Raises: as `start`."""
        async with self._opening:
            if self._wire and self._wire.is_alive:
                return self._wire
            await self.close()
            self._wire, self.version = await Wire.open(self._room, self._executable, self._display)
            try:
                check_version(self.version, self._executable)
            except SetupError:
                await self.close()
                raise
            return self._wire


class Page:
    """A page in a context of its own. Calls raise ActFailed for the page's failures, BrowserError for the browser's."""

    def __init__(self, wire: Wire, page_id: int) -> None:
        self._wire = wire
        self._page_id = page_id

    async def ask(self, call: str, /, wait: float = 0.0, **args: Any) -> Any:
        """One request to the worker about this page."""
        return await self._wire.ask(self._page_id, call, args, wait + CALL_SECONDS)

    async def reset(
        self, base_url: str, also: Sequence[str] = (), visitor: Visitor = USUAL, *, clipboard: bool = False
    ) -> None:
        """Make it like a new page for the application at `base_url`.

        All storage of every origin, the history, the facts and the window size are taken back, and the page is shown
        `visitor`; a page that crashed or hangs is replaced. From here on other hosts and ports than those of `base_url`
        and `also` (further addresses of the application) are blocked. `clipboard` empties it, which all pages of a
        browser share.
        """
        await self.ask("reset", base_url=base_url, also=list(also), visitor=asdict(visitor), clipboard=clipboard)

    async def act(
        self,
        name: ActName,
        locator: Locator | str | None = None,
        *,
        value: str | None = None,
        to: Locator | None = None,
        file_name: str | None = None,
        wait_seconds: float = 5.0,
    ) -> None:
        """Do what a person does, with real input events; the next call waits until the page is ready again.

        The target is waited for until it is found, unique, visible, enabled, standing still and not covered. Dialogs
        are accepted unless `answer_dialog` said otherwise before.

        Args:
            name: the act; `remember` and `restart` are none of the browser's.
            locator: the target, or a ref of the last snapshot.
            value: as told in `Act`; for `navigate` an address or a path of the application.
            to: where `drag` ends.
            file_name: of `upload`, whose content is `value`.
            wait_seconds: how long the target is waited for.

        Raises: ActFailed: it cannot be done; says which condition failed.
        """
        await self.ask(
            "act",
            wait=2 * wait_seconds,
            name=name,
            target=_plain(locator),
            value=value,
            to=_plain(to),
            file_name=file_name,
            wait_seconds=wait_seconds,
        )

    async def observe(
        self,
        locators: Sequence[Locator],
        *,
        attributes: Sequence[str] = (),
        styles: Sequence[str] = (),
        asked: Mapping[int, Asked] | None = None,
    ) -> list[Observation]:
        """What each locator matches now, visible or not; one round trip, no waiting. Arguments as of `watch`."""
        watched = await self.watch(locators, 0, attributes=attributes, styles=styles, asked=asked)
        return list(watched.moments[-1].observations)

    async def watch(
        self,
        locators: Sequence[Locator],
        seconds: float,
        *,
        attributes: Sequence[str] = (),
        styles: Sequence[str] = (),
        asked: Mapping[int, Asked] | None = None,
    ) -> Watched:
        """What each locator matches now, and whatever it matches in the next seconds; one round trip.

        Args:
            locators: what to look for.
            seconds: how long; 0: now only.
            attributes: names of attributes that are told of every match.
            styles: names of computed styles that are told of every match.
            asked: place in `locators` -> what else is told of its visible matches.
        """
        plain = [_plain(locator) for locator in locators]
        more = {place: each.model_dump() for place, each in (asked or {}).items()}
        watched = await self.ask(
            "watch",
            wait=2 * seconds,
            seconds=seconds,
            locators=plain,
            attributes=list(attributes),
            styles=list(styles),
            asked=[more.get(place) for place in range(len(plain))],
        )
        return Watched.model_validate(watched)

    async def facts(self, *, clipboard: bool = False, controls: bool = False) -> PageFacts:
        """Address and title of the tab that is looked at, and what happened in all of them since the last reset.

        Args:
            clipboard: also what was copied.
            controls: also which visible controls have no name.
        """
        return PageFacts.model_validate(await self.ask("facts", clipboard=clipboard, controls=controls))

    async def picture(self, locator: Locator, masks: Sequence[Locator] = ()) -> bytes:
        """The part of the one visible match that the window shows, as PNG, what `masks` match painted over.

        Empty: there is none, or the window shows none of it.
        """
        plain = [_plain(mask) for mask in masks]
        return base64.b64decode(await self.ask("picture", locator=_plain(locator), masks=plain))

    async def snapshot(self, max_bytes: int = 20_000) -> str:
        """What can be seen, as indented lines with roles, names, values, states and refs."""
        return str(await self.ask("snapshot", max_bytes=max_bytes))

    async def screenshot(self) -> bytes:
        """The viewport as PNG."""
        return base64.b64decode(await self.ask("screenshot"))

    async def disturb(
        self, kind: Disturbance, locator: Locator | None, text: str = "", *, to: Locator | None = None
    ) -> bool:
        """Make the page lie about what the locator matches now, beside what `to` matches; False when it cannot."""
        return bool(await self.ask("disturb", kind=kind, locator=_plain(locator), text=text, to=_plain(to)))

    async def undo(self) -> None:
        """Take the last disturbance back."""
        await self.ask("undo")

    async def keep_ghost(self, key: str, locator: Locator) -> bool:
        """Keep a copy of the visible match for `disturb("ghost", None, key)`; False when nothing is visible."""
        return bool(await self.ask("keep_ghost", key=key, locator=_plain(locator)))

    async def freeze(self, mode: Frozen | None) -> None:
        """From now on event handlers do not run, DOM changes are reverted, or what is stored is lost at a reload.

        `handlers` and `storage` hold in the documents that follow too; `dom` for this one. None ends it.
        """
        await self.ask("freeze", mode=mode)

    async def close(self) -> None:
        """Close the page and its context."""
        if self._wire.is_alive:
            await self.ask("close")


def _plain(locator: Locator | str | None) -> Any:
    if locator is None or isinstance(locator, str):
        return locator
    return locator.model_dump(mode="json", exclude_none=True)
