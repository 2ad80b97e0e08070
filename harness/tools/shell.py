"""The coder's shell tools: run a command, start a server, read what it prints, stop it.

The texts hold no times and no process numbers, so that a recorded conversation fits again; of what a program printed
and of ports, which come when they come, nothing stands in the first line. What is too long for the model is cut in the
middle; all of it is kept in a file the model can read, which code of the project cannot change.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from harness.errors import ToolFailed, ToolRetry
from harness.sandbox.bubblewrap import Network
from harness.sandbox.processes import CommandResult, Process, Room
from harness.sandbox.shell import SHELL_FILE, Shell
from harness.tools.printed import clean, shown
from harness.tools.tool import Arguments, Tool

COMMAND_BYTES = 120_000
"""The kernel takes no longer argument."""
LONGEST_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05
SERVERS = 8
LISTENING_SECONDS = 1.0
"""How long a server that was started is watched for what it does first: listen, or end."""


class RunCommand(Arguments):
    """Arguments of `run_command`."""

    command: str = Field(min_length=1, max_length=100_000, description="Run by bash.")
    timeout_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS)
    background: bool = Field(default=False, description="True for servers: it runs on until stop_process.")


class ProcessOutput(Arguments):
    """Arguments of `process_output`."""

    name: str = Field(description="As run_command told it, such as process-1.")
    wait_for: str = Field(default="", description="Wait until this text was printed or the process ended.")
    wait_seconds: float = Field(default=10.0, ge=0, le=LONGEST_WAIT_SECONDS)


class StopProcess(Arguments):
    """Arguments of `stop_process`."""

    name: str = Field(description="As run_command told it, such as process-1.")


@dataclass(frozen=True)
class Preparation:
    """The one command that runs as the harness runs it: where the project lies, with the network it may have."""

    command: str
    network: Network
    seconds: float


def shell_tools(
    room: Room, outputs_dir: Path, env: Mapping[str, str] | None = None, preparation: Preparation | None = None
) -> list[Tool]:
    """The three tools of one session.

    Args:
        room: where everything runs.
        outputs_dir: where whole outputs are kept; the policy's `outputs_dir`, so that /outputs shows it.
        env: more variables for every command, such as PORT.
        preparation: what has more network than other commands; None: nothing has.
    """
    bench = _Bench(room, outputs_dir, env or {}, preparation)
    reach = "without network"
    if room.policy.mode == "project+net":
        reach = f"with no network but to {', '.join(room.settings.hosts)} through the proxy that HTTPS_PROXY names"
    if preparation:
        reach += f" (but `{preparation.command}`, given alone and just so, reaches the package registries)"
    return [
        Tool(
            "run_command",
            f"Run a bash command, {reach} and without anybody who answers questions. Directory and exported "
            "variables hold for the next one. Returns the exit code and what it printed; what it leaves in the "
            "background is ended, so start servers with background=true.",
            RunCommand,
            bench.run,
        ),
        Tool(
            "process_output",
            "Show what a background process printed, if wanted after waiting for a text.",
            ProcessOutput,
            bench.output,
        ),
        Tool("stop_process", "Stop a background process and all it started.", StopProcess, bench.stop),
    ]


class _Bench:
    """The tools' functions, and the background processes they share."""

    def __init__(self, room: Room, outputs_dir: Path, env: Mapping[str, str], preparation: Preparation | None) -> None:
        self._room, self._outputs_dir, self._env, self._preparation = room, outputs_dir, env, preparation
        self._shell = Shell(room, room.policy.scratch / SHELL_FILE, env)
        self._own_port = env.get("PORT", "")
        self._port_names = {port: name for name, port in env.items() if name.startswith("PORT")}
        self._processes: dict[str, Process] = {}
        self._told: dict[str, str] = {}
        """What was said last of each background process."""
        self._started = 0

    async def run(self, asked: RunCommand) -> str:
        if "\0" in asked.command:
            raise ToolRetry("The command holds a NUL character; write it without.")
        if len(asked.command.encode()) > COMMAND_BYTES:
            raise ToolRetry(f"The command is longer than {COMMAND_BYTES} bytes; write it into a file and run that.")
        return await (self._start(asked) if asked.background else self._finish(asked))

    async def output(self, asked: ProcessOutput) -> str:
        process = self._named(asked.name)
        await self._wait(process, asked.wait_seconds, lambda: asked.wait_for in clean(process.output()))
        self._told[process.name] = self._news_of(process)
        printed, _ = shown(process.output(), self._path(self._room.log_path(process.name)))
        return "\n".join([_state(process), *self._listening(process), printed])

    async def stop(self, asked: StopProcess) -> str:
        process = self._named(asked.name)
        was_running = process.running
        await process.stop()
        self._told[process.name] = self._news_of(process)
        return f"{asked.name} is stopped." if was_running else _state(process)

    async def _finish(self, asked: RunCommand) -> str:
        kept = self._next_file()
        growing = kept.with_name(f".{kept.name}")  # hidden, or a search of all outputs would find itself
        result = await self._result(asked, growing)
        printed, is_cut = shown(result.output, self._path(kept), result.dropped_bytes)
        if is_cut:
            growing.replace(kept)
        else:
            growing.unlink(missing_ok=True)
        return "\n".join([_outcome(result) + _now_in(self._shell.directory), printed, *self._news()])

    async def _result(self, asked: RunCommand, output_file: Path) -> CommandResult:
        """What came of a command; of the preparation nothing is kept, because its variables name a way out."""
        seconds, how = asked.timeout_seconds, self._preparation
        if how is None or asked.command.strip() != how.command:
            return await self._shell.run(asked.command, timeout_seconds=seconds, output_file=output_file)
        seconds = seconds or how.seconds
        return await self._room.run(
            how.command, timeout_seconds=seconds, env=self._env, network=how.network, output_file=output_file
        )

    async def _start(self, asked: RunCommand) -> str:
        running = [name for name, process in self._processes.items() if process.running]
        if len(running) >= SERVERS:
            raise ToolFailed(f"{SERVERS} background processes are running; stop one first: {', '.join(running)}.")
        self._started += 1
        name = f"process-{self._started}"
        process = self._processes[name] = await self._shell.start(asked.command, name)
        await self._wait(process, LISTENING_SECONDS, lambda: bool(process.ports()))
        return "\n".join([f"{name} is started. process_output shows what it prints.", *self._news()])

    async def _wait(self, process: Process, seconds: float, is_reached: Callable[[], bool]) -> None:
        """Until something is so, the process ended or the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while process.running and not is_reached() and loop.time() < end:
            await process.wait(POLL_SECONDS)

    def _news(self) -> list[str]:
        """What became of background processes since that was told last."""
        now = {name: self._news_of(process) for name, process in self._processes.items()}
        fresh = [f"[{text}]" for name, text in now.items() if text and text != self._told.get(name)]
        self._told |= now
        return fresh

    def _news_of(self, process: Process) -> str:
        return " ".join(self._listening(process)) if process.running else _state(process)

    def _listening(self, process: Process) -> list[str]:
        """On which ports, and whether the one the browser opens is among them."""
        if not (ports := process.ports()):
            return []
        names = {port: self._port_names.get(str(port)) for port in ports}
        named = ", ".join(f"{port} (${name})" if name else str(port) for port, name in names.items())
        elsewhere = "" if self._own_port in map(str, ports) or not self._own_port else f"; $PORT is {self._own_port}"
        return [f"{process.name} listens on port {named}{elsewhere}."]

    def _named(self, name: str) -> Process:
        if name not in self._processes:
            known = ", ".join(self._processes) or "none was started"
            raise ToolRetry(f"There is no process {name!r}; known: {known}.")
        return self._processes[name]

    def _next_file(self) -> Path:
        self._outputs_dir.mkdir(parents=True, exist_ok=True)
        taken = [int(path.stem.rpartition("-")[2]) for path in self._outputs_dir.glob("command-*.txt")]
        return self._outputs_dir / f"command-{max(taken, default=0) + 1}.txt"

    def _path(self, host: Path) -> str:
        return self._room.policy.inside(host)


def _outcome(result: CommandResult) -> str:
    killed = f"; ended by the harness: {result.killed_for}" if result.killed_for else ""
    return f"{_code(result.exit_code)}{killed}"


def _code(exit_code: int | None) -> str:
    """An exit code, with the signal it stands for."""
    name = next((number.name for number in signal.Signals if number == (exit_code or 0) - 128), "")
    return f"exit code {exit_code}" + (f" ({name})" if name else "")


def _now_in(directory: str) -> str:
    """Where the next command begins, when that is not where the project lies; the name may hold anything."""
    return f"; now in {directory if directory.isprintable() else ascii(directory)}" if directory else ""


def _state(process: Process) -> str:
    if process.running:
        return f"{process.name} is running."
    killed = f" ({process.killed_for})" if process.killed_for else ""
    return f"{process.name} ended with {_code(process.exit_code)}{killed}."
