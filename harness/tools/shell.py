"""The coder's shell tools: run a command, start a server, read what it prints, stop it.

The texts hold no times and no process numbers, so that a recorded conversation fits again. What is too long for the
model is cut in the middle; all of it is kept in a file the model can read, which code of the project cannot change.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from harness.errors import ToolFailed, ToolRetry
from harness.sandbox.processes import CommandResult, Process, Room
from harness.tools.tool import Arguments, Tool

SHOWN_CHARACTERS = 16_000
LONGEST_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05
SERVERS = 8

ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # titles, clipboard
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]",
    re.MULTILINE,
)


class RunCommand(Arguments):
    """Arguments of `run_command`."""

    command: str = Field(min_length=1, max_length=100_000, description="Run by bash in the project's directory.")
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


def shell_tools(room: Room, outputs_dir: Path, env: Mapping[str, str] | None = None) -> list[Tool]:
    """The three tools of one session.

    Args:
        room: where everything runs.
        outputs_dir: where whole outputs are kept; the policy's `outputs_dir`, so that /outputs shows it.
        env: more variables for every command, such as PORT.
    """
    bench = _Bench(room, outputs_dir, env)
    reach = "without network"
    if room.policy.mode == "project+net":
        reach = f"with no network but to {', '.join(room.settings.hosts)} through the proxy that HTTPS_PROXY names"
    return [
        Tool(
            "run_command",
            f"Run a bash command in the project, {reach}. Returns the exit code and what it printed; "
            "what it leaves in the background is ended, so start servers with background=true.",
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

    def __init__(self, room: Room, outputs_dir: Path, env: Mapping[str, str] | None) -> None:
        self._room, self._outputs_dir, self._env = room, outputs_dir, env
        self._processes: dict[str, Process] = {}
        self._started = 0

    async def run(self, asked: RunCommand) -> str:
        if "\0" in asked.command:
            raise ToolRetry("The command holds a NUL character; write it without.")
        return await (self._start(asked) if asked.background else self._finish(asked))

    async def output(self, asked: ProcessOutput) -> str:
        process = self._named(asked.name)
        await self._wait(process, asked)
        return "\n".join([_state(process), shown(process.output(), self._path(self._room.log_path(process.name)))])

    async def stop(self, asked: StopProcess) -> str:
        process = self._named(asked.name)
        was_running = process.running
        await process.stop()
        return f"{asked.name} is stopped." if was_running else _state(process)

    async def _finish(self, asked: RunCommand) -> str:
        kept = self._next_file()
        growing = kept.with_name(f".{kept.name}")  # hidden, or a search of all outputs would find itself
        result = await self._room.run(
            asked.command, timeout_seconds=asked.timeout_seconds, env=self._env, output_file=growing
        )
        text = "\n".join([_outcome(result), shown(result.output, self._path(kept), result.dropped_bytes)])
        if LEFT_OUT in text:
            growing.replace(kept)
        else:
            growing.unlink(missing_ok=True)
        return text

    async def _start(self, asked: RunCommand) -> str:
        running = [name for name, process in self._processes.items() if process.running]
        if len(running) >= SERVERS:
            raise ToolFailed(f"{SERVERS} background processes are running; stop one first: {', '.join(running)}.")
        self._started += 1
        name = f"process-{self._started}"
        self._processes[name] = await self._room.start(asked.command, env=self._env, name=name)
        return f"{name} is started. process_output shows what it prints."

    async def _wait(self, process: Process, asked: ProcessOutput) -> None:
        if not asked.wait_for:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + asked.wait_seconds
        while process.running and asked.wait_for not in clean(process.output()) and loop.time() < end:
            await process.wait(POLL_SECONDS)

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


LEFT_OUT = "characters left out"


def clean(text: str) -> str:
    """Text without terminal codes; of a line drawn over itself only the last state."""
    lines = ESCAPES.sub("", text).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def shown(output: str, path: str, dropped_bytes: int = 0) -> str:
    """Output as the model sees it: cleaned, the middle left out when long."""
    text = clean(output).strip("\n")
    if len(text) <= SHOWN_CHARACTERS and not dropped_bytes:
        return text or "(no output)"
    half = SHOWN_CHARACTERS // 2
    left_out = max(len(text) - 2 * half, 0) + dropped_bytes
    return f"{text[:half]}\n[{left_out} {LEFT_OUT}; read_file {path} has all of it]\n{text[-half:]}"


def _outcome(result: CommandResult) -> str:
    killed = f"; ended by the harness: {result.killed_for}" if result.killed_for else ""
    return f"exit code {result.exit_code}{killed}"


def _state(process: Process) -> str:
    if process.running:
        return f"{process.name} is running."
    killed = f" ({process.killed_for})" if process.killed_for else ""
    return f"{process.name} ended with exit code {process.exit_code}{killed}."
