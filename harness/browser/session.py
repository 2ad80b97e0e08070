"""One tab's part of the connection to Chromium: calls and events that carry its session.

Tabs are attached to before they run (`Chromium.on_popup`), so that a popup's first request is judged and its first
dialog answered like those of any page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

Handler = Callable[[dict[str, Any]], Any]


class Session:
    """Speaks to one tab."""

    def __init__(self, connection: Any, session_id: str) -> None:
        self._connection = connection
        self.session_id = session_id
        self._handlers: dict[str, list[Handler]] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._ended: list[Callable[[], None]] = []
        self.is_over = False
        connection._sessions[session_id] = self

    def on(self, event: str, handler: Handler) -> None:
        """Call the handler for each such event."""
        self._handlers.setdefault(event, []).append(handler)

    def on_end(self, told: Callable[[], None]) -> None:
        """Call it once when the tab is gone."""
        self._ended.append(told)

    def send(self, method: str, params: dict[str, Any]) -> asyncio.Future[Any]:
        """One call of the protocol.

        Raises: pyppeteer.errors.NetworkError: the tab is gone, or (from the future) the call is refused.
        """
        from pyppeteer.errors import NetworkError

        connection = self._connection
        if self.is_over or not connection._connected:
            raise NetworkError(f"Protocol error ({method}): Target closed.")
        connection._lastId += 1
        call_id = connection._lastId
        call = asyncio.get_running_loop().create_future()
        call.error, call.method = NetworkError(), method  # type: ignore[attr-defined]  # what pyppeteer reads of it
        call.add_done_callback(lambda _: self._calls.pop(call_id, None))
        self._calls[call_id] = connection._callbacks[call_id] = call
        raw = json.dumps({"id": call_id, "method": method, "params": params, "sessionId": self.session_id})
        connection._loop.create_task(connection._async_send(raw, call_id))
        return call

    def tell(self, event: str, params: dict[str, Any]) -> None:
        """Let the handlers know; said by the connection."""
        for handler in tuple(self._handlers.get(event, ())):
            handler(params)

    def _on_closed(self) -> None:
        """The tab is gone; said by the connection."""
        from pyppeteer.errors import NetworkError

        self.is_over = True
        for call_id, call in list(self._calls.items()):
            self._connection._callbacks.pop(call_id, None)
            if not call.done():
                call.set_exception(NetworkError("Protocol error: Target closed."))
                call.exception()  # nobody may be waiting any more
        for told in self._ended:
            told()
