"""The child process that holds Chromium: JSON lines in on standard input, out on standard output.

Request: `{"id", "page", "call", "args"}`. Answer: `{"id", "ok"}`, or `{"id", "failed"}` with a reason that the page
gave, or `{"id", "error"}` for a fault of the browser's. Calls of different pages run side by side. It ends, with
Chromium, when its input ends; it ends too when Chromium does, which fails what is waited for outside.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from harness.browser.chromium import HEADED, HEADLESS, Chromium, StartFailed, adopt_orphans
from harness.browser.failed import ActFailed
from harness.browser.session import Session
from harness.browser.target import Target
from harness.browser.window import Window

TAB_CALLS = {"watch", "facts", "snapshot", "screenshot", "picture", "disturb", "undo", "keep_ghost"}
WINDOW_CALLS = {"act", "freeze", "reset"}
LINE_BYTES = 64 * 1024 * 1024


class Worker:
    """Answers requests until there are none."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._windows: dict[int, Window] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._chromium: Chromium | None = None

    async def serve(self, requests: asyncio.StreamReader) -> None:
        """Read requests until the input or Chromium ends."""
        try:
            while line := await self._next(requests):
                task = asyncio.create_task(self._answer(json.loads(line)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            if self._chromium:
                await self._chromium.stop()

    async def _next(self, requests: asyncio.StreamReader) -> bytes:
        reading = asyncio.create_task(requests.readline())
        ended = asyncio.create_task(self._chromium.process.wait()) if self._chromium else None
        done, _ = await asyncio.wait({reading, *([ended] if ended else [])}, return_when=asyncio.FIRST_COMPLETED)
        if ended and ended not in done:
            ended.cancel()
        if reading in done:
            return reading.result()
        reading.cancel()
        return b""

    async def _answer(self, request: dict[str, Any]) -> None:
        try:
            answer = {"ok": await self._call(request["page"], request["call"], request["args"])}
        except ActFailed as exc:
            answer = {"failed": exc.reason}
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # whatever it is, somebody waits for an answer
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        self._write({"id": request["id"], **answer})

    async def _call(self, page_id: int, call: str, args: dict[str, Any]) -> Any:
        if call == "start":
            return await self._start(**args)
        if call == "new_page":
            return await self._new_page(page_id, **args)
        if page_id not in self._windows:
            raise ActFailed("the page is closed")
        if call == "close":
            return await self._windows.pop(page_id).close()
        if call in WINDOW_CALLS:
            return await getattr(self._windows[page_id], call)(**args)
        if call not in TAB_CALLS:
            raise ValueError(f"no such call {call!r}")
        return await self._windows[page_id].ask(call, **args)

    async def _start(self, executable: str, headed: bool = False) -> dict[str, Any]:
        try:
            self._chromium = await Chromium.start(executable, HEADED if headed else HEADLESS)
        except (StartFailed, OSError) as exc:
            raise ActFailed(str(exc)) from exc
        self._chromium.on_popup = self._opened
        self._chromium.connection.on("Browser.downloadWillBegin", self._download_begins)
        self._chromium.connection.on("Browser.downloadProgress", self._download_goes_on)
        return {"version": self._chromium.version, "profile": str(self._chromium.profile),
                "port": self._chromium.port}  # fmt: skip

    async def _new_page(self, page_id: int, width: int, height: int) -> None:
        assert self._chromium is not None
        window = Window(self._chromium, width, height)
        await window.open()
        self._windows[page_id] = window

    def _opened(self, info: dict[str, Any], session: Session) -> None:
        """A page opened a tab: it is its user's."""
        assert self._chromium is not None
        context = info["browserContextId"]
        for window in self._windows.values():
            if window.main.target.context_id == context:
                return window.adopt(info, session)
        return Target(self._chromium, context, info["targetId"], session).end_soon()

    def _download_begins(self, event: dict[str, Any]) -> None:
        for window in self._windows.values():
            if window.holds(event["frameId"]):
                window.downloads.begin(event)

    def _download_goes_on(self, event: dict[str, Any]) -> None:
        for window in self._windows.values():
            window.downloads.progress(event)

    def _write(self, answer: dict[str, Any]) -> None:
        data = memoryview(json.dumps(answer).encode() + b"\n")
        while data:
            data = data[os.write(self._out, data) :]


async def _main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # a stray print must not end up among the answers
    adopt_orphans()
    requests = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    await Worker(out).serve(requests)


if __name__ == "__main__":
    asyncio.run(_main())
