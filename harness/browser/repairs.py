"""What pyppeteer 2.0.0, its last release, gets wrong about calls that nobody waits for any more.

A call cancelled by a time limit, or an event handler that raises, ends its receive loop and with it the whole
connection: every later call hangs. `apply` mends that in place, once, before the first connection. The rest of
pyppeteer (frames, pages, its launcher) is not used.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

log = logging.getLogger("harness.browser.cdp")
_applied = False


def apply() -> None:
    """Mend pyppeteer's connection classes; a second call does nothing."""
    global _applied
    if _applied:
        return
    import pyppeteer.connection as connection

    _mend_session(connection.CDPSession)
    _mend_connection(connection.Connection)
    _applied = True


def _forget_done(callbacks: dict[int, asyncio.Future[Any]]) -> None:
    for call_id in [i for i, future in callbacks.items() if future.done()]:
        del callbacks[call_id]  # cancelled by a time limit
    for future in callbacks.values():  # nobody may be waiting any more
        future.add_done_callback(lambda f: f.cancelled() or f.exception())


def _mend_session(session_class: Any) -> None:
    closed, message = session_class._on_closed, session_class._on_message

    def safe_closed(self: Any) -> None:
        _forget_done(self._callbacks)
        closed(self)

    def safe_message(self: Any, raw: str) -> None:
        call_id = json.loads(raw).get("id")
        if call_id in self._callbacks and self._callbacks[call_id].done():
            del self._callbacks[call_id]
        else:
            message(self, raw)

    session_class._on_closed, session_class._on_message = safe_closed, safe_message


def _mend_connection(connection_class: Any) -> None:
    close, response, message = (
        connection_class._on_close,
        connection_class._on_response,
        connection_class._on_message,
    )

    async def safe_close(self: Any) -> None:
        tell, self._closeCallback = self._closeCallback, None
        if tell:
            tell()  # may cancel waiting calls, so before _forget_done
        _forget_done(self._callbacks)
        await close(self)

    def safe_response(self: Any, msg: dict[str, Any]) -> None:
        if self._callbacks[msg["id"]].done():
            del self._callbacks[msg["id"]]
        else:
            response(self, msg)

    async def safe_message(self: Any, raw: str) -> None:
        try:
            await message(self, raw)
        except Exception:  # a handler's error must not end the receive loop
            log.warning("event handler failed", exc_info=True)

    connection_class._on_close = safe_close
    connection_class._on_response, connection_class._on_message = safe_response, safe_message
