"""One tab of Chromium, as calls that always end: with an answer, or because the page crashed or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.browser.failed import ActFailed

if TYPE_CHECKING:
    from harness.browser.chromium import Chromium
    from harness.browser.session import Session

DEAD_PROXY = "127.0.0.1:9"  # the discard port: nothing listens, so what goes there fails at once
CLIPBOARD = ["clipboardReadWrite", "clipboardSanitizedWrite"]


class Target:
    """A tab in a browser context of its own."""

    def __init__(self, chromium: Chromium, context_id: str, target_id: str, session: Session) -> None:
        self._connection = chromium.connection
        self.context_id = context_id
        self.target_id = target_id
        self._session = session
        self._crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        session.on_end(self._end)
        self.on("Inspector.targetCrashed", lambda _: self._end())
        self.on("Inspector.detached", lambda _: self._end())

    @classmethod
    async def open(cls, chromium: Chromium, width: int, height: int, host: str = "") -> Target:
        """Open a tab in a fresh context that reaches loopback and `host` only, whatever asks: page, worker, socket."""
        send = chromium.connection.send
        context = {"proxyServer": DEAD_PROXY, "proxyBypassList": host, "disposeOnDetach": True}
        context_id = (await send("Target.createBrowserContext", context))["browserContextId"]
        page = {"url": "about:blank", "browserContextId": context_id, "width": width, "height": height}
        target_id = (await send("Target.createTarget", page))["targetId"]
        await chromium.connection.send(
            "Browser.grantPermissions", {"permissions": CLIPBOARD, "browserContextId": context_id}
        )
        return cls(chromium, context_id, target_id, await chromium.session_of(target_id))

    @property
    def is_crashed(self) -> bool:
        """Whether its renderer ended."""
        return self._crashed.done()

    @property
    def is_gone(self) -> bool:
        """Whether it was closed, by whomever."""
        return self._session.is_over

    def on(self, event: str, handler: Callable[[dict[str, Any]], Any]) -> None:
        """Call the handler for each such event of the protocol."""
        self._session.on(event, handler)

    async def send(self, method: str, params: dict[str, Any] | None = None, *, limit: float = 5.0) -> Any:
        """One call of the protocol.

        Raises:
            ActFailed: the page crashed, or did not answer within `limit` seconds.
            pyppeteer.errors.NetworkError: the call was refused.
        """
        if self.is_crashed:
            raise ActFailed("page crashed")
        call = asyncio.ensure_future(self._session.send(method, params or {}))
        done, _ = await asyncio.wait({call, self._crashed}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if call in done:
            return call.result()
        call.cancel()
        raise ActFailed("page crashed" if self.is_crashed else f"the page does not respond ({method}, {limit:g} s)")

    def post(self, method: str, params: dict[str, Any]) -> None:
        """One call nobody waits for; a refusal (the page went on meanwhile) is nobody's concern."""
        from pyppeteer.errors import NetworkError

        try:
            self._session.send(method, params).add_done_callback(_ignored)
        except NetworkError:
            return

    async def browser(self, method: str, params: dict[str, Any], limit: float = 5.0) -> Any:
        """One call to the browser about this context."""
        async with asyncio.timeout(limit):
            return await self._connection.send(method, {**params, "browserContextId": self.context_id})

    def end_soon(self) -> None:
        """Close this tab alone; nobody waits for it."""
        self.post("Runtime.runIfWaitingForDebugger", {})
        closing = self._connection.send("Target.closeTarget", {"targetId": self.target_id})
        closing.add_done_callback(_ignored)
        self._end()

    async def close(self) -> None:
        """Close the context with everything in it."""
        from pyppeteer.errors import NetworkError

        self._end()
        try:
            await self.browser("Target.disposeBrowserContext", {})
        except (NetworkError, ConnectionError, TimeoutError):
            return  # gone already, or ends with the browser

    def _end(self) -> None:
        if not self._crashed.done():
            self._crashed.set_result(None)


def _ignored(answer: asyncio.Future[Any]) -> None:
    """A refusal is nobody's concern, but has to be taken."""
    if not answer.cancelled():
        answer.exception()
