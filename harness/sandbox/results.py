"""What a room hands out: the result of a command, and a server that runs on."""

from __future__ import annotations

from dataclasses import dataclass

from harness.sandbox.children import Child
from harness.sandbox.listening import listening_ports
from harness.sandbox.output import Output


@dataclass(frozen=True)
class CommandResult:
    """What a command did."""

    exit_code: int
    """124 when out of time, 128 and the signal's number when killed."""
    output: str
    """Standard output and errors as they came, the middle dropped when long."""
    timed_out: bool
    killed_for: str
    """The limit that ended it, in words; empty when none did."""
    seconds: float
    dropped_bytes: int
    errors: str = ""
    """Standard errors, where they were asked for apart."""


class Process:
    """A server of the room: it runs until it is stopped or the room is closed."""

    def __init__(self, name: str, child: Child, output: Output) -> None:
        self.name = name
        self._child, self._output = child, output

    @property
    def pid(self) -> int:
        """The process on the host that stands for the tree."""
        return self._child.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.is_running

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self.running else self._child.exit_code

    @property
    def killed_for(self) -> str:
        """The limit or wish that ended it."""
        return self._child.killed_for

    @property
    def output_bytes(self) -> int:
        """How much it has printed so far; hand it to `output` later to get only what is new."""
        return self._output.total_bytes

    def ports(self) -> list[int]:
        """Ports it or something it started listens on now."""
        return listening_ports(self._child.pids())

    def output(self, since: int | None = None) -> str:
        """What it printed, beginning and end; or all from byte `since` on that is still kept."""
        return self._output.text(since)

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until it ended; False when the time is over first."""
        return await self._child.wait(seconds)

    async def stop(self) -> None:
        """TERM, a second of grace, KILL; returns when nothing of it is left."""
        await self._child.end("stopped")
