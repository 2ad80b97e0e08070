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

from harness.browser.acts import Acts
from harness.browser.chromium import Chromium, StartFailed, adopt_orphans
from harness.browser.failed import ActFailed
from harness.browser.page import TabPage

PAGE_CALLS = {"observe", "facts", "snapshot", "screenshot", "disturb", "undo", "keep_ghost", "freeze", "reset"}
LINE_BYTES = 64 * 1024 * 1024


class Worker:
    """Answers requests until there are none."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._pages: dict[int, tuple[TabPage, Acts]] = {}
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
        if page_id not in self._pages:
            raise ActFailed("the page is closed")
        page, acts = self._pages[page_id]
        if call == "close":
            del self._pages[page_id]
            return await page.target.close()
        if call == "act":
            return await acts.act(args.pop("name"), args)
        if call not in PAGE_CALLS:
            raise ValueError(f"no such call {call!r}")
        return await getattr(page, call)(**args)

    async def _start(self, executable: str) -> dict[str, Any]:
        try:
            self._chromium = await Chromium.start(executable)
        except (StartFailed, OSError) as exc:
            raise ActFailed(str(exc)) from exc
        connection = self._chromium.connection
        connection.on("Target.targetCreated", self._close_popup)
        await connection.send("Target.setDiscoverTargets", {"discover": True})
        return {"version": self._chromium.version, "profile": str(self._chromium.profile),
                "port": self._chromium.port}  # fmt: skip

    async def _new_page(self, page_id: int, width: int, height: int) -> None:
        assert self._chromium is not None
        page = TabPage(self._chromium, width, height)
        await page.open()
        self._pages[page_id] = (page, Acts(page))

    def _close_popup(self, event: dict[str, Any]) -> None:
        info = event["targetInfo"]
        if info["type"] == "page" and info.get("openerId") and self._chromium:
            closing = self._chromium.connection.send("Target.closeTarget", {"targetId": info["targetId"]})
            closing.add_done_callback(lambda f: f.cancelled() or f.exception())

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
