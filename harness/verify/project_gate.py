"""The project's own lint and tests, which must pass too: `[gate] commands`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.sandbox.processes import Room
    from harness.settings import GateSettings

OUTPUT_CHARACTERS = 4000
"""Of what a command printed last."""


@dataclass(frozen=True)
class CommandFailed:
    """A command of the gate that did not end with 0."""

    command: str
    exit_code: int
    output: str
    """Its end; foreign text."""


async def run_gate(room: Room, gate: GateSettings) -> CommandFailed | None:
    """Run the commands in order, where the tree is prepared; returns the first that fails.

    Raises: ShellError: the sandbox failed, not a command.
    """
    for command in gate.commands:
        result = await room.run(command, timeout_seconds=gate.seconds)
        if result.exit_code:
            return CommandFailed(command, result.exit_code, result.output[-OUTPUT_CHARACTERS:])
    return None
