"""What pyppeteer 2.0.0, its last release, gets wrong about calls that nobody waits for any more.

A call cancelled by a time limit, or an event handler that raises, ends its receive loop and with it the whole
connection: every later call hangs. `apply` mends that in place, once, before the first connection. The rest of
pyppeteer (sessions, frames, pages, its launcher) is not used.
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

    _mend_connection(connection.Connection)
    _applied = True


def _forget_done(callbacks: dict[int, asyncio.Future[Any]]) -> None:
    for call_id in [i for i, future in callbacks.items() if future.done()]:
        del callbacks[call_id]  # cancelled by a time limit
    for future in callbacks.values():  # nobody may be waiting any more
        future.add_done_callback(lambda f: f.cancelled() or f.exception())


def _mend_connection(connection_class: Any) -> None:
    close, response = connection_class._on_close, connection_class._on_response

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
        told = json.loads(raw)
        try:
            if told.get("id") in self._callbacks:
                self._on_response(told)
            elif session := self._sessions.get(told.get("sessionId")):  # our own (session.py)
                session.tell(told.get("method", ""), told.get("params", {}))
            else:
                self._on_query(told)
        except Exception:  # a handler's error must not end the receive loop
            log.warning("event handler failed", exc_info=True)

    connection_class._on_close = safe_close
    connection_class._on_response, connection_class._on_message = safe_response, safe_message
