"""A room: one policy, one private loopback, and everything that runs there until the room is closed.

What the project brings runs here and nowhere else: commands of the model, `init.sh`, the application, the browser.
Closing the room ends it all and waits until it is gone; a killed harness takes the sandboxed ones with it, and `reap`
puts the rest away at the next start. A failing command of the model's is a result; a failing sandbox is a ShellError.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from harness.errors import SetupError, ShellError
from harness.sandbox import egress, loopback, tree
from harness.sandbox.bubblewrap import Network, wrap
from harness.sandbox.children import GRACE_SECONDS, SERVER_GRACE_SECONDS, Child, Launch, start
from harness.sandbox.furnish import furnish, put_away
from harness.sandbox.hosts import AllowedHost, parse_hosts
from harness.sandbox.journal import Journal, reap
from harness.sandbox.limits import Bounds, named_limit, with_limits
from harness.sandbox.output import Output
from harness.sandbox.policy import Policy
from harness.sandbox.readiness import Readiness, asking_for
from harness.sandbox.registries import find_registries, npm_registry
from harness.sandbox.results import CommandResult, Process
from harness.settings import SandboxSettings

__all__ = ["CommandResult", "Process", "Readiness", "Room", "bash", "reap"]

FIRST_PORT = 18000
WATCH_SECONDS = 0.25
LINE_BYTES = 64 << 20
"""Longest line a worker may send: a screenshot in JSON."""
REACHED_BY = {"off": frozenset[str](), "registries": {"registries"}, "on": {"registries", "host"}}
"""Networks that `prepare` may ask for, by setting."""
TIMED_OUT = 124
"""Exit code of a command that ran out of time, as `timeout` has it."""


ATTENDED = """
trap asked=1 TERM
exec 3>&2 2>/dev/null
"$@" 2>&3 3>&-
code=$?
others() { set -- /proc/[0-9]*; [ $# -gt 2 ]; }
while [ "${asked-}" ] && others; do sleep 0.02; done
exit $code
"""
"""What a server runs below. With the first process of a namespace the kernel ends the rest, and the shell of an
`init.sh` ends at once when it is asked to: a database that it started could not write down what it holds."""


class Room:
    """Opened with `async with Room.open(...)`, from the main thread."""

    def __init__(self, policy: Policy, settings: SandboxSettings, journal: Path, note: egress.Note) -> None:
        self.policy = policy
        self.settings = settings
        self._note = note
        self._held = AsyncExitStack()
        self.own_ports: set[int] = set()
        """Ports on which something of the harness itself listens in here."""
        self._journal = Journal(journal)
        self._logs = journal.parent / f"{journal.name}.logs"
        self._holder: loopback.Holder | None = None
        self._dialer: loopback.Dialer | None = None
        self._reaching = asyncio.Lock()
        self._children: set[Child] = set()
        self._stand_ins: list[Path] = []
        self._ports = itertools.count(FIRST_PORT)
        self._marks = (f"{uuid.uuid4().hex}-{number}" for number in itertools.count(1))

    @classmethod
    @asynccontextmanager
    async def open(
        cls, policy: Policy, settings: SandboxSettings, journal: Path, note: egress.Note = lambda asked: None
    ) -> AsyncIterator[Room]:
        """Make the loopback and watch over memory; on leaving end everything.

        Args:
            policy: what may be seen and written.
            settings: time, memory and output.
            journal: file that names what a killed harness leaves; give it to `reap` at the next start.
            note: told which hosts were asked for, where there is a way out.

        Raises: SetupError, ShellError: a protected path is a link, no host is named, there are no namespaces. The
            person mends it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ShellError("A room was opened from a worker thread; its processes would die with that thread.")
        room = cls(policy, settings, journal, note)
        tree.adopt_orphans()
        try:
            await room._move_in()
            watcher = asyncio.create_task(room._watch_memory())
            try:
                yield room
            finally:
                watcher.cancel()
        finally:
            await room._close()

    async def run(
        self,
        command: str | Sequence[str],
        *,
        timeout_seconds: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        network: Network | None = None,
        output_file: Path | None = None,
        policy: Policy | None = None,
        stdin: bytes = b"",
        apart: bool = False,
        project_writable: bool = True,
    ) -> CommandResult:
        """Run to the end; a text is run by bash with pipefail. What it left in the background ends with it.

        Args:
            command: a text for bash, or a list of words.
            timeout_seconds: None: the setting.
            env: added to the policy's environment.
            cwd: path inside, or relative to the project.
            network: None: the session's loopback; "registries" and "host" only for `prepare`, and when the settings
                allow it.
            output_file: where the whole output goes, up to 50 MB.
            policy: another one that shares this loopback, say for the baseline's tree.
            stdin: what it can read.
            apart: whether errors are kept apart from standard output.
            project_writable: whether it may write into the project's tree.

        Raises: ShellError: the sandbox failed, not the command.
        """
        seconds = timeout_seconds or self.settings.command_seconds
        output = Output(self.settings.output_bytes, output_file, self.policy.limits.stored_bytes)
        errors = Output(self.settings.output_bytes, None, self.policy.limits.stored_bytes) if apart else None
        started = time.monotonic()
        async with self._way_out(network) as (holder, more), _input(stdin) as streams:
            child = await self._start(
                _shell(command),
                output,
                errors=errors,
                streams=streams,
                project_writable=project_writable,
                bounds=Bounds.COMMAND,
                cpu=seconds,
                env={**more, **(env or {})},
                cwd=cwd,
                network=network,
                policy=policy,
                holder=holder,
            )
            try:
                timed_out = not await child.wait(seconds) and child.process.returncode is None
            finally:
                await child.end(f"time limit {seconds:g} s")
                self._children.discard(child)
        if child.fault:
            raise ShellError(f"{child.fault}: {output.text()[-2000:].strip()}", "Run `harness doctor`.")
        code = child.exit_code or 0
        limit = child.killed_for or named_limit(code, self.policy.limits)
        exit_code = TIMED_OUT if timed_out else code
        return CommandResult(
            exit_code,
            output.text(),
            timed_out,
            limit,
            time.monotonic() - started,
            output.dropped_bytes,
            errors.text() if errors else "",
        )

    async def start(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        name: str = "server",
        policy: Policy | None = None,
    ) -> Process:
        """Start a server on the session's loopback."""
        output = self._log(name)
        argv = _shell(command)
        argv = bash(ATTENDED, *argv) if (policy or self.policy).is_sandboxed else argv
        child = await self._start(argv, output, env=env, cwd=cwd, policy=policy, bounds=Bounds.SERVER)
        return Process(name, child, output)

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        stdin: int | None = asyncio.subprocess.PIPE,
        stdout: int | None = asyncio.subprocess.PIPE,
        allow_userns: bool = True,
        read_only: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        name: str = "worker",
    ) -> asyncio.subprocess.Process:
        """A child with pipes, for the browser's worker; the project is read-only to it. Errors go to `log_path`."""
        child = await self._start(
            argv,
            self._log(name),
            env=env,
            bounds=Bounds.WORKER,
            streams={"stdin": stdin, "stdout": stdout, "limit": LINE_BYTES},
            allow_userns=allow_userns,
            read_only=read_only,
            project_writable=False,
        )
        return child.process

    def log_path(self, name: str) -> Path:
        """Where the output of a server, or the errors of a worker, are kept on the host; shown inside as /outputs."""
        return (self.policy.outputs_dir or self._logs) / f"{name}.log"

    async def free_port(self) -> int:
        """A port nobody else uses; the same sequence in every room, so that recorded conversations fit."""
        if self.policy.is_sandboxed:
            return next(self._ports)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    async def http_ready(self, url: str, timeout_seconds: float, process: Process | None = None) -> Readiness:
        """Wait until the address answers with any status below 500, the process ends, or the time is over."""
        argv = asking_for(url, timeout_seconds)
        asking = asyncio.create_task(self.run(argv, timeout_seconds=timeout_seconds + 10))
        ending = asyncio.create_task(process.wait() if process else asyncio.Event().wait())
        try:
            await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
            if process and ending.done():
                return Readiness(False, f"it ended with exit code {process.exit_code}")
            result = asking.result()
            return Readiness(result.exit_code == 0, result.output.strip())
        finally:
            asking.cancel()
            ending.cancel()
            await asyncio.wait({asking, ending})

    async def connect(self, port: int) -> socket.socket:
        """A connection from outside to what listens on a port of this room's loopback.

        Raises: OSError: nothing answers there. ShellError: the loopback cannot be joined.
        """
        if self._holder is None:
            return await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port), 5)
        async with self._reaching:
            if self._dialer is None:
                self._dialer = await loopback.dialer(self._holder.pid)
                self._held.push_async_callback(self._dialer.close)
        return await self._dialer.connect(port)

    async def _move_in(self) -> None:
        if self.policy.mode == "project+net":
            self._holder = await self._held.enter_async_context(self._open_to(allowed_hosts(self.settings)))
            self.own_ports.add(egress.PORT)
        elif self.policy.is_sandboxed:
            self._holder = await self._held.enter_async_context(self._open_to(()))
        self._furnish(self.policy)

    @asynccontextmanager
    async def _open_to(self, hosts: Sequence[AllowedHost]) -> AsyncIterator[loopback.Holder]:
        """A private loopback, with a proxy on it when there is a host to be reached."""
        holder = await loopback.hold(egress.PORT if hosts else None)
        self._journal.process(holder.pid, "")
        async with AsyncExitStack() as stack:
            stack.push_async_callback(loopback.release, holder)
            if holder.listener:
                await stack.enter_async_context(egress.proxy(holder.listener, hosts, self._note))
            yield holder

    @asynccontextmanager
    async def _way_out(self, network: Network | None) -> AsyncIterator[tuple[loopback.Holder | None, dict[str, str]]]:
        """The loopback of one command, and what it is told of it; nobody else of the room joins one with registries."""
        if network != "registries" or self._holder is None:
            yield self._holder, {}
            return
        registry = await npm_registry()
        hosts = await find_registries()
        told = egress.environment(hosts) | ({"npm_config_registry": registry} if registry else {})
        async with self._open_to(hosts) as holder:
            yield holder, told

    def _furnish(self, policy: Policy) -> None:
        self._stand_ins += furnish(policy, self._journal)

    async def _start(
        self,
        argv: Sequence[str],
        output: Output,
        *,
        bounds: Bounds,
        errors: Output | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        network: Network | None = None,
        policy: Policy | None = None,
        cpu: float = 0,
        streams: Mapping[str, Any] | None = None,
        holder: loopback.Holder | None = None,
        **options: Any,
    ) -> Child:
        if any("\0" in word for word in argv):
            raise ValueError("a command holds no NUL")
        if network in {"registries", "host"} and network not in REACHED_BY[self.settings.prepare_network]:
            raise ShellError("Network was asked for and is not allowed.", "Set `sandbox.prepare_network`.")
        if policy:
            self._furnish(policy)
        policy = policy or self.policy
        sandboxed = policy.is_sandboxed
        limited = with_limits(argv, policy.limits, bounds, cpu_seconds=math.ceil(cpu), sandboxed=sandboxed)
        options |= {"network": network or "session", "cwd": _inside(policy, cwd), "policy": policy}
        holder = holder or self._holder
        pid = holder.pid if holder else None
        has_proxy = policy.mode == "project+net" and options["network"] == "session" and bounds is not Bounds.WORKER
        told = egress.environment(allowed_hosts(self.settings)) if has_proxy else {}
        launch = Launch(
            argv=lambda status: wrap(argv=limited, holder_pid=pid, status_fd=status, **options),
            env=policy.environment({**told, **(env or {})}, network=network in {"registries", "host"}),
            cwd="/" if sandboxed else _inside(policy, cwd),
            mark=next(self._marks),
            sandboxed=sandboxed,
            grace_seconds=SERVER_GRACE_SECONDS if bounds is Bounds.SERVER else GRACE_SECONDS,
            output=output,
            errors=errors,
            streams=dict(streams or {}),
        )
        child = await start(launch)
        self._children.add(child)
        self._journal.process(child.process.pid, child.mark)
        return child

    def _log(self, name: str) -> Output:
        return Output(self.settings.output_bytes, self.log_path(name), self.policy.limits.stored_bytes, ring=True)

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._children = {child for child in self._children if child.is_running}
            used = {child: tree.memory_bytes(child.pids()) for child in self._children}
            if sum(used.values()) > self.settings.memory_mb << 20:
                max(used, key=lambda child: used[child]).kill(f"memory limit {self.settings.memory_mb} MB")

    async def _close(self) -> None:
        await asyncio.gather(*(child.end("the session ended") for child in self._children))
        await self._held.aclose()
        put_away(self._stand_ins)
        self._journal.clear()


@asynccontextmanager
async def _input(data: bytes) -> AsyncIterator[dict[str, Any]]:
    """What a command reads, as a file in memory: it cannot wait for us, nor we for it."""
    if not data:
        yield {}
        return
    with os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC), "w+b") as file:
        file.write(data)
        file.seek(0)
        yield {"stdin": file.fileno()}


def allowed_hosts(settings: SandboxSettings) -> tuple[AllowedHost, ...]:
    """What mode `project+net` lets through.

    Raises: SetupError: nothing, or a line that is no host; the person names one.
    """
    if settings.hosts:
        return parse_hosts(settings.hosts)
    raise SetupError(
        "The sandbox is to have a network (mode project+net), and no host is named.",
        "Name one with --allow-host HOST[:PORT] or `hosts` below [sandbox] in your own config.toml, "
        "or leave the mode out.",
    )


def bash(script: str, *arguments: str) -> list[str]:
    """The command line of a bash without start-up files that runs a text; arguments are its `$1`, `$2`..."""
    program = shutil.which("bash") or "bash"
    return [program, "--noprofile", "--norc", "-o", "pipefail", "-c", script, *(("bash", *arguments) * bool(arguments))]


def _shell(command: str | Sequence[str]) -> list[str]:
    return bash(command) if isinstance(command, str) else list(command)


def _inside(policy: Policy, cwd: str | None) -> str:
    """The directory to start in; a wish outside the boundary meets nothing there."""
    return str(Path(policy.inside(policy.working_dir), cwd or ""))
