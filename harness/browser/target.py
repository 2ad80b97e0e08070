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
CRASHED = "page crashed"
AGAIN_SECONDS = 1.0
"""How long a tab is waited for that did not answer the last time."""
CLIPBOARD = ["clipboardReadWrite", "clipboardSanitizedWrite"]


class Target:
    """A tab in a browser context of its own."""

    def __init__(self, chromium: Chromium, context_id: str, target_id: str, session: Session) -> None:
        self._connection = chromium.connection
        self.context_id = context_id
        self.target_id = target_id
        self._session = session
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._is_hung = False
        session.on_end(lambda: self.give_up(CRASHED))
        self.on("Inspector.targetCrashed", lambda _: self.give_up(CRASHED))
        self.on("Inspector.detached", lambda _: self.give_up(CRASHED))

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
    def is_over(self) -> bool:
        """Whether it crashed, was closed or given up."""
        return self._ended.done()

    @property
    def is_lost(self) -> bool:
        """Whether it is over, or did not answer in time the last time it was asked."""
        return self.is_over or self._is_hung

    def give_up(self, reason: str) -> None:
        """Ask nothing of it any more: what is under way and all that follows fails with this reason."""
        if not self._ended.done():
            self._ended.set_result(reason)

    def check(self) -> None:
        """Raises: ActFailed: it is over; why."""
        if self._ended.done():
            raise ActFailed(self._ended.result())

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
        self.check()
        call = asyncio.ensure_future(self._session.send(method, params or {}))
        limit = min(limit, AGAIN_SECONDS) if self._is_hung else limit
        done, _ = await asyncio.wait({call, self._ended}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        self._is_hung = not done
        if call in done:
            return call.result()
        call.cancel()
        self.check()
        raise ActFailed(f"the page does not respond ({method}, {limit:g} s)")

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
        self.give_up(CRASHED)

    async def close(self) -> None:
        """Close the context with everything in it."""
        from pyppeteer.errors import NetworkError

        if self.is_lost:
            self.post("Page.crash", {})  # ends a script in a loop, which would keep a core busy
        self.give_up(CRASHED)
        try:
            await self.browser("Target.disposeBrowserContext", {})
        except (NetworkError, ConnectionError, TimeoutError):
            return  # gone already, or ends with the browser


def _ignored(answer: asyncio.Future[Any]) -> None:
    """A refusal is nobody's concern, but has to be taken."""
    if not answer.cancelled():
        answer.exception()
