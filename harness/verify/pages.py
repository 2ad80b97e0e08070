"""The pages that look at one running application: one for each user of a check.

Opening a browser context costs more than a whole check, so pages are kept from check to check; `begin` marks them
all used, and each is emptied of everything when the next check first asks for it. A browser that ended between two
checks costs a new page; one that ends during a check is a fault.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.browser.failed import ActFailed
from harness.browser.visitor import USUAL, Visitor
from harness.errors import BrowserError

if TYPE_CHECKING:
    from harness.browser.browser import Browser, Page
    from harness.verify.app import Instance
    from harness.verify.exchanges.client import Client


class Pages:
    """One page a user, made when first needed."""

    def __init__(self, browser: Browser | None) -> None:
        """Open none yet.

        Args:
            browser: None: the project has no pages, and none can be opened.
        """
        self._found = browser
        self._pages: dict[str, Page] = {}
        self._in_use: set[str] = set()
        self._base_url = ""
        self._also: tuple[str, ...] = ()
        self._clipboard = False
        self._visitor = USUAL
        self._making = asyncio.Lock()

    @property
    def _browser(self) -> Browser:
        if self._found is None:
            raise BrowserError(
                "This project has no pages, and a check looks at one.", 'Set `kind = "web"` below [app].'
            )
        return self._found

    async def prepare(self) -> None:
        """Open the first page ahead of its need; why none comes up is told when it is needed."""
        async with self._making:
            with contextlib.suppress(BrowserError, ActFailed):
                self._pages[""] = await self._browser.new_page()

    def begin(self, base_url: str, also: tuple[str, ...] = ()) -> None:
        """A new check of the application at these addresses starts: pages are emptied before they are used again."""
        self._base_url, self._also = base_url, also
        self._in_use.clear()

    @asynccontextmanager
    async def alone(self, uses_clipboard: bool) -> AsyncIterator[None]:
        """A check that uses the clipboard, of which a browser has one, finds it empty and has it for itself."""
        if not uses_clipboard:
            yield
            return
        async with self._browser.clipboard:
            self._clipboard = True
            try:
                yield
            finally:
                self._clipboard = False

    @contextmanager
    def seen_as(self, visitor: Visitor) -> Iterator[None]:
        """Checks that begin meanwhile look as another visitor."""
        self._visitor = visitor
        try:
            yield
        finally:
            self._visitor = USUAL

    async def of(self, user: str) -> Page:
        """The page of a user of this check."""
        if user not in self._in_use:
            await self._empty(user)
            self._in_use.add(user)
        return self._pages[user]

    def in_use(self) -> dict[str, Page]:
        """Pages this check has looked at so far."""
        return {user: page for user, page in self._pages.items() if user in self._in_use}

    async def forget(self) -> None:
        """Forget all pages: their browser has ended. A new one that does not start either is a BrowserError."""
        self._in_use.clear()
        self._pages.clear()
        self._pages[""] = await self._browser.new_page()

    async def close(self) -> None:
        """Close them all."""
        self._in_use.clear()
        while self._pages:
            _, page = self._pages.popitem()
            await page.close()

    async def _empty(self, user: str) -> None:
        """Give a user an empty page; a new one when the old went down with its browser."""
        async with self._making:
            if page := self._pages.get(user):
                try:
                    await page.reset(self._base_url, self._also, visitor=self._visitor, clipboard=self._clipboard)
                    return
                except BrowserError:
                    await self.close()
            page = self._pages[user] = await self._browser.new_page()
            await page.reset(self._base_url, self._also, visitor=self._visitor, clipboard=self._clipboard)


@dataclass(frozen=True)
class Site:
    """One running application, the pages that look at it and who asks it. One check at a time."""

    instance: Instance
    pages: Pages
    client: Client | None = None
    """Asks a service; None: nobody can."""
