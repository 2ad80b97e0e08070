"""Asks a running service and hands back answers as values.

The service listens on a loopback of its own that the harness cannot reach, so a child in the same sandbox asks
(`asker`). What it tells comes from the service and is only data here.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.browser.failed import ActFailed
from harness.errors import ShellError
from harness.verify.exchanges import asker
from harness.verify.exchanges.answer import Answer, Part

if TYPE_CHECKING:
    from harness.sandbox.processes import Room

GRACE_SECONDS = 10.0
"""Beyond the time a request has: then the child itself hangs."""
AGENTS = {False: "curl/8.5.0", True: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
"""How it names itself: usually, and as another visitor."""


class Client:
    """The cookies and the way of one play at a time. The child is started when something is first asked."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._child: asyncio.subprocess.Process | None = None
        self._base_url = ""
        self.is_other = False
        """Whether it is to look like another visitor."""

    async def forget(self) -> None:
        """No cookies any more."""
        if self._child:
            await self._say({"forget": True}, GRACE_SECONDS)

    async def ask(
        self,
        base_url: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        *,
        user: str,
        seconds: float,
        parts: int | None,
    ) -> Answer:
        """Ask once.

        Raises: ActFailed: no answer, and why. ShellError: the child failed; a fault of ours.
        """
        named = {name.lower() for name in headers}
        headers = headers if "user-agent" in named else {"User-Agent": AGENTS[self.is_other], **headers}
        await self._start(base_url)
        told = await self._say(
            {
                "method": method,
                "path": path,
                "headers": headers,
                "body": None if body is None else base64.b64encode(body).decode(),
                "user": user,
                "seconds": seconds,
                "parts": parts,
            },
            seconds + GRACE_SECONDS,
        )
        if why := told.get("why"):
            raise ActFailed(str(why))
        return _answer(told)

    async def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child and child.stdin:
            child.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await child.wait()
                    return
            child.kill()

    async def _start(self, base_url: str) -> None:
        if self._child and self._base_url == base_url:
            return
        await self.close()
        program = Path(asker.__file__).read_text(encoding="utf-8")
        argv = [sys.executable, "-I", "-S", "-c", program, base_url]
        self._child, self._base_url = await self._room.spawn(argv, name="asker"), base_url

    async def _say(self, asked: dict[str, Any], seconds: float) -> dict[str, Any]:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            async with asyncio.timeout(seconds):
                line = await child.stdout.readline()
            told: dict[str, Any] = json.loads(line)
        except (OSError, ValueError, TimeoutError) as exc:
            await self.close()
            remedy = f"Look at {self._room.log_path('asker')}."
            raise ShellError(f"The child that asks the service failed: {type(exc).__name__}.", remedy) from exc
        return told


def _answer(told: dict[str, Any]) -> Answer:
    pieces = [(float(at), base64.b64decode(data)) for at, data in told["pieces"]]
    whole = b"".join(data for _, data in pieces).decode("utf-8", errors="replace")
    headers = tuple((str(name), str(value)) for name, value in told["headers"])
    events = any(name.lower() == "content-type" and "event-stream" in value for name, value in headers)
    return Answer(
        text=whole,
        status=int(told["status"]),
        headers=headers,
        parts=_parts(pieces, "\n\n" if events else "\n"),
        ended=bool(told["ended"]),
        end_seconds=float(told["over"]),
    )


def _parts(pieces: list[tuple[float, bytes]], separator: str) -> tuple[Part, ...]:
    """Events or lines, each with the time at which its end came; what has no end came with the last piece."""
    found: list[Part] = []
    rest, decoder = "", codecs.getincrementaldecoder("utf-8")(errors="replace")
    for at, data in pieces:
        rest = (rest + decoder.decode(data)).replace("\r\n", "\n")
        *whole, rest = rest.split(separator)
        found += [Part(at, text) for text in whole if text.strip()]
    if rest.strip():
        found.append(Part(pieces[-1][0], rest))
    return tuple(found)
