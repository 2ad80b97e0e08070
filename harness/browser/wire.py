"""The worker process from outside: requests with a deadline, answers by id, and its end."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Protocol

from harness.browser.failed import ActFailed
from harness.errors import BrowserError

PACKAGE = Path(__file__).resolve().parents[1]
SYSTEM = ("/usr", "/opt", "/bin")
"""Directories the sandbox shows anyway."""
STOP_SECONDS = 5.0


class Room(Protocol):
    """Where the worker runs: the session's sandbox, or none."""

    own_ports: set[int]
    """Takes the port that Chromium is spoken to at: no application's."""

    async def spawn(
        self,
        argv: list[str],
        *,
        stdin: int = ...,
        stdout: int = ...,
        allow_userns: bool = ...,
        read_only: list[Path] = ...,
    ) -> asyncio.subprocess.Process:
        """Start a program in this room; it ends with the room."""
        ...


def place_of(executable: str) -> tuple[str, list[Path]]:
    """The program to start, and what must be shown of the machine for it.

    The sandbox has /usr and /opt. A Chromium from elsewhere needs its own directory; where that holds a person's home,
    only the file is shown.
    """
    real = Path(executable).resolve()
    if any(path.is_relative_to(system) for path in (Path(executable), real) for system in SYSTEM):
        return executable, []
    is_homely = real.parent in (Path.home(), *Path.home().parents)
    return str(real), [real if is_homely else real.parent]


class Wire:
    """One worker process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._profile: Path | None = None
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, room: Room, executable: str) -> tuple[Wire, str]:
        """Start the worker and Chromium in it; returns Chromium's version too.

        Raises: BrowserError: one of them did not come up; nothing is left running.
        """
        executable, places = place_of(executable)
        process = await room.spawn(
            [sys.executable, "-I", "-m", "harness.browser.worker"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            allow_userns=True,
            read_only=[Path(sys.prefix), Path(sys.base_prefix), PACKAGE, *places],
        )
        wire = cls(process)
        try:
            started = await wire.ask(0, "start", {"executable": executable}, 60.0)
        except ActFailed as exc:
            await wire.close()
            raise BrowserError(
                f"Chromium ({executable}) does not start: {exc.reason}", "Run `harness doctor`."
            ) from exc
        except BaseException:
            await wire.close()
            raise
        wire._profile = Path(started["profile"])
        room.own_ports.add(started["port"])
        return wire, started["version"]

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.returncode is None and not self._reader.done()

    async def ask(self, page: int, call: str, args: dict[str, Any], limit_seconds: float) -> Any:
        """Send one request and wait for its answer.

        Raises:
            ActFailed: the page could not do it.
            BrowserError: the browser is gone, or did not answer in time and was ended.
        """
        if not self.is_alive:
            raise BrowserError("The browser has ended.", "It is started again with the next page.")
        self._last_id += 1
        request_id = self._last_id
        answer = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        try:
            self._send({"id": request_id, "page": page, "call": call, "args": args})
            return _result(await asyncio.wait_for(answer, limit_seconds), call)
        except TimeoutError as exc:
            await self.close()
            raise BrowserError(f"The browser did not answer {call} within {limit_seconds:g} s and was ended.") from exc
        finally:
            self._waiting.pop(request_id, None)

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        while chunk := await self._process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                waiting = self._waiting.get(message["id"])
                if waiting and not waiting.done():
                    waiting.set_result(message)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result({"error": "the browser ended unexpectedly"})

    async def close(self) -> None:
        """End the worker and Chromium: asked first, killed after a few seconds. Safe to call twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.wait_for(asyncio.gather(self._reader, return_exceptions=True), STOP_SECONDS)
        self._remove_profile()

    def _remove_profile(self) -> None:
        """A killed worker leaves its profile where it runs without a sandbox."""
        if self._profile and self._profile.name.startswith("harness-browser-"):
            shutil.rmtree(self._profile, ignore_errors=True)


def _result(answer: dict[str, Any], call: str) -> Any:
    if "failed" in answer:
        raise ActFailed(answer["failed"])
    if "error" in answer:
        raise BrowserError(f"The browser failed at {call}: {answer['error']}.")
    return answer["ok"]
