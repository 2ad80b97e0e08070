"""One process of a room with everything below it: started, read, ended, and known to be gone.

With bubblewrap the child is a process namespace: when its command ends, or when we do, the kernel ends the rest, and
the namespace's first process can be collected only when all of it is gone. That is what `wait` waits for. With the
sandbox off the mark in the environment stands in for the namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ShellError
from harness.sandbox import tree
from harness.sandbox.output import Output

GRACE_SECONDS = 1.0
"""Between asking a tree to end and ending it, when it is a command."""
SERVER_GRACE_SECONDS = 5.0
"""When it is a server, whose data somebody may want to find whole; a database writes them down at its end."""
ASK_AGAIN_SECONDS = 0.1
DRAIN_SECONDS = 1.0
"""How long output is read after the tree ended; only somebody who left the tree could hold the pipe."""


@dataclass
class Launch:
    """What to start."""

    argv: Callable[[int | None], list[str]]
    """The command line, given the descriptor for bubblewrap's status; None when there is no sandbox."""
    env: dict[str, str]
    cwd: str
    mark: str
    sandboxed: bool
    grace_seconds: float = GRACE_SECONDS
    output: Output | None = None
    """Takes standard output and errors, or errors alone when `streams` has standard output."""
    errors: Output | None = None
    """Takes errors, where they are kept apart from standard output."""
    streams: dict[str, Any] = field(default_factory=dict)


class Child:
    """A started tree. `wait` and `end` may be called by several at once."""

    def __init__(
        self, launch: Launch, process: asyncio.subprocess.Process, status: int, output: int, errors: int | None
    ) -> None:
        self.process = process
        self.outputs = [each for each in (launch.output, launch.errors) if each]
        self.mark = launch.mark
        self.killed_for = ""
        """The limit or wish that ended it; empty when it ended by itself."""
        self.fault = ""
        """Why the sandbox itself failed; empty when the command was run."""
        self._sandboxed, self._grace_seconds = launch.sandboxed, launch.grace_seconds
        self._found: set[int] = set()
        """Marked processes seen so far: one that was killed loses its mark before it can be collected."""
        self._status = status
        self._pumps = [asyncio.create_task(_pump(output, launch.output, self))]
        if errors is not None:
            self._pumps.append(asyncio.create_task(_pump(errors, launch.errors, self)))
        self._gone = asyncio.create_task(self._see_out())

    @property
    def is_running(self) -> bool:
        """Something of the tree is still there."""
        return not self._gone.done()

    @property
    def exit_code(self) -> int | None:
        """As a shell tells it: 128 and the signal's number for a killed one."""
        code = self.process.returncode
        return code if code is None or code >= 0 else 128 - code

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until the whole tree is gone; False when the time is over first."""
        done, _ = await asyncio.wait({self._gone}, timeout=seconds)
        return bool(done)

    async def end(self, reason: str) -> None:
        """Ask the tree to end, then end it."""
        if self.process.returncode is None:
            self.killed_for = self.killed_for or reason
            await self._ask()
            self.kill(reason)
        await self.wait()

    def kill(self, reason: str) -> None:
        """End the tree at once."""
        self.killed_for = self.killed_for or reason
        if self.process.returncode is None:
            tree.end_group(self.process.pid, signal.SIGKILL)
        if not self._sandboxed:
            tree.end(self._marked(), signal.SIGKILL)

    def pids(self) -> set[int]:
        """All of the tree, as far as it can be found."""
        if self.process.returncode is not None:
            return set()
        below = set(tree.descendants([self.process.pid])[self.process.pid])
        return below if self._sandboxed else below | set(self._marked())

    def _marked(self) -> list[int]:
        found = tree.marked(self.mark)
        self._found.update(found)
        return found

    async def _ask(self) -> None:
        """TERM to each process once, also to those that come up meanwhile; returns when all are gone or time is up."""
        # bubblewrap's own outer process must live on: it would take the tree with it before anyone could tidy up
        asked = {self.process.pid} if self._sandboxed else set()
        end = time.monotonic() + self._grace_seconds
        while time.monotonic() < end:
            fresh = self.pids() - asked
            tree.end(fresh, signal.SIGTERM)
            asked |= fresh
            if await self.wait(ASK_AGAIN_SECONDS):
                return

    async def _see_out(self) -> None:
        await self.process.wait()
        await (self._see_namespace_out() if self._sandboxed else self._see_marked_out())
        await self._drain()

    async def _see_namespace_out(self) -> None:
        told = _read_status(self._status)
        if "exit-code" not in told and not self.killed_for and (self.process.returncode or 0) >= 0:
            self.fault = "the sandbox did not run the command"
        if first := told.get("child-pid"):
            with contextlib.suppress(ChildProcessError):  # collected by init where adoption is not possible
                await asyncio.to_thread(os.waitpid, first, 0)

    async def _see_marked_out(self) -> None:
        while left := self._marked():  # again: one may have been forking
            tree.end(left, signal.SIGKILL)
            await asyncio.to_thread(_collect, left)
        await asyncio.to_thread(_collect, self._found)

    async def _drain(self) -> None:
        await asyncio.wait(self._pumps, timeout=DRAIN_SECONDS)
        for pump in self._pumps:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
        for output in self.outputs:
            output.close()


async def start(launch: Launch) -> Child:
    """Start a tree and begin to read it.

    Raises: ShellError: a program of ours could not be started.
    """
    status_read, status_write = os.pipe() if launch.sandboxed else (-1, -1)
    output_read, output_write = os.pipe()
    errors_read, errors_write = os.pipe() if launch.errors else (-1, output_write)
    try:
        process = await asyncio.create_subprocess_exec(
            *launch.argv(status_write if launch.sandboxed else None),
            env={**launch.env, tree.MARK: launch.mark},
            cwd=launch.cwd,
            pass_fds=(status_write,) if launch.sandboxed else (),
            start_new_session=True,
            **{"stdin": asyncio.subprocess.DEVNULL, "stdout": output_write, "stderr": errors_write, **launch.streams},
        )
    except OSError as exc:
        for descriptor in {status_read, output_read, errors_read} - {-1}:
            os.close(descriptor)
        raise ShellError(f"A process could not be started: {exc}", "Run `harness doctor`.") from exc
    finally:
        for descriptor in {status_write, output_write, errors_write} - {-1}:
            os.close(descriptor)
    return Child(launch, process, status_read, output_read, None if errors_read < 0 else errors_read)


async def _pump(descriptor: int, output: Output | None, child: Child) -> None:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", 0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while data := await reader.read(1 << 16):
            if output and not output.is_full:
                output.feed(data)
                if output.is_full:
                    child.kill(f"output limit {output.stored_bytes // 1_000_000} MB")
    finally:
        transport.close()


def _read_status(descriptor: int) -> dict[str, int]:
    """Bubblewrap's lines: the namespace's first process, and the command's exit code once it ended."""
    os.set_blocking(descriptor, False)
    try:
        lines = os.read(descriptor, 1 << 16).splitlines()
    except BlockingIOError:
        lines = []
    finally:
        os.close(descriptor)
    told: dict[str, int] = {}
    for line in lines:
        told.update(json.loads(line))
    return told


def _collect(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
