"""One running application of one tree, on a port of its own with data of its own.

A check never sees data that an earlier one left: `reset` empties it before the next, by the project's own command or
by starting again with an empty directory. Whatever keeps the application from answering is told in words the coder
can act on, because it is their `init.sh` that has to be mended, not the harness.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.verify.prepare_cache import take_away
from harness.verify.prepared import Stamp, restore
from harness.worktree import remove_tree

if TYPE_CHECKING:
    from harness.sandbox.bubblewrap import Network
    from harness.sandbox.policy import Policy
    from harness.sandbox.processes import CommandResult, Process, Room
    from harness.settings import AppSettings, PrepareNetwork
    from harness.verify.prepare_cache import PrepareCache

PORTS = ("PORT", "PORT_1", "PORT_2")
"""Variables that name the ports of an application."""
OUTPUT_CHARACTERS = 3000
NETWORK: dict[PrepareNetwork, Network | None] = {"off": None, "registries": "registries", "on": "host"}
NO_RETRIES = {"npm_config_fetch_retries": "0", "PIP_RETRIES": "0"}
"""Where there is no network: package managers would ask for it again for a minute."""
LISTENING = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null"


class AppNotStarted(Exception):
    """The application does not answer, and why; the coder mends it."""

    def __init__(self, reason: str, output: str = "") -> None:
        shown = _beginning_and_end(output.strip())
        super().__init__(f"{reason}\nOutput:\n{shown}" if shown else f"{reason}\nIt printed nothing.")
        self.reason = reason
        self.output = shown


class Instance:
    """A running application; made by `serve`."""

    def __init__(self, room: Room, policy: Policy, app: AppSettings, ports: Sequence[int], seed: Path) -> None:
        self._room, self._policy, self._app, self._ports = room, policy, app, ports
        self._seed = seed
        self._process: Process | None = None
        self._is_fresh = False
        self._others: set[int] | None = None
        """Ports somebody listened on before it was first started."""

    @property
    def base_url(self) -> str:
        """Where it answers; the same after a restart, so that a browser's storage stays its own."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def also(self) -> tuple[str, ...]:
        """Its further addresses, on $PORT_1 and $PORT_2: pages may ask them, show them in frames, go there."""
        return tuple(f"http://127.0.0.1:{port}" for port in self._ports[1:])

    @property
    def tree(self) -> Path:
        """The directory whose application this is."""
        return self._policy.working_dir

    @property
    def data_dir(self) -> Path:
        """Where it keeps its data, on the host."""
        return self._policy.data_dir

    def touch(self) -> None:
        """Somebody is about to use it, so the next `reset` has to empty it."""
        self._is_fresh = False

    async def restart(self) -> None:
        """Stop it and start it on the data it has.

        Raises: AppNotStarted: it does not answer again.
        """
        await self.stop()
        await self._start()

    async def reset(self) -> None:
        """Empty the data; nothing is done while nobody has used it.

        Raises: AppNotStarted: it does not answer again.
        """
        if self._is_fresh:
            return
        if not (self._app.reset and self._is_running and await self._reset_by_command()):
            await self.stop()
            restore(self.data_dir, self._seed)
            await self._start()
        self._is_fresh = True

    def log_tail(self, characters: int = OUTPUT_CHARACTERS) -> str:
        """The end of what it printed since it was started, and how it ended if it did."""
        if self._process is None:
            return ""
        tail = self._process.output().strip()[-characters:]
        return tail if self._is_running else f"{tail}\n(the application ended with exit code {self._process.exit_code})"

    async def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            await self._process.stop()

    async def ended(self, seconds: float) -> bool:
        """Whether its process is gone within a time; True when it was never started."""
        if self._process is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    @property
    def _is_running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def _env(self) -> dict[str, str]:
        ports = {name: str(port) for name, port in zip(PORTS, self._ports, strict=True)}
        return {**ports, "HARNESS_DATA_DIR": self._policy.inside(self.data_dir)}

    async def _reset_by_command(self) -> bool:
        result = await self._room.run(self._app.reset, env=self._env, policy=self._policy)
        if result.exit_code:
            raise AppNotStarted(f"`{self._app.reset}` {ended(result)}.", result.output)
        return True

    async def _start(self) -> None:
        if self._others is None:
            self._others = await self._listening()
        started = time.monotonic()
        name = f"app-{self._ports[0]}"
        process = await self._room.start(self._app.serve, env=self._env, name=name, policy=self._policy)
        self._process = process
        url = self.base_url + "/" + self._app.ready_path.lstrip("/")
        ready = await self._room.http_ready(url, self._app.start_seconds, process)
        if ready.is_ready:
            return
        reason = await self._why_not(process, ready.reason, time.monotonic() - started)
        await self.stop()
        raise AppNotStarted(reason, process.output())

    async def _why_not(self, process: Process, reason: str, seconds: float) -> str:
        said = f"`{self._app.serve}`"
        if not process.running:
            limit = f" ({process.killed_for})" if process.killed_for else ""
            return (
                f"{said} ended with exit code {process.exit_code}{limit} before the application answered; "
                "it must stay in the foreground."
            )
        waited = f"after {seconds:.0f} s"
        port = self._ports[0]
        others = sorted(await self._listening() - (self._others or set()) - self._room.own_ports)
        if port in others:
            return f"{said} listens on its port ($PORT) but does not answer {self._app.ready_path} {waited}: {reason}."
        if others:
            heard = ", ".join(map(str, others))
            return f"{said} does not listen on $PORT ({port}) but on another port ({heard}); it must use $PORT."
        return f"{said} runs but never listens on 127.0.0.1:$PORT ({port}), {waited}."

    async def _listening(self) -> set[int]:
        """Ports somebody listens on; only the room's own when its network is private."""
        result = await self._room.run(LISTENING, timeout_seconds=10)
        rows = [line.split() for line in result.output.splitlines()]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == "0A"}


@asynccontextmanager
async def serve(
    tree: Path,
    room: Room,
    app: AppSettings,
    data_dir: Path,
    *,
    stamps_dir: Path | None = None,
    cache: PrepareCache | None = None,
    tracked: Collection[str] | None = None,
    is_prepared: bool = False,
    make: type[Instance] = Instance,
) -> AsyncIterator[Instance]:
    """Prepare a tree when that is due, start its application on empty data, stop it on leaving; as `make_ready`.

    Args:
        make: what stands for it; of a program, something that starts nothing.

    Raises: AppNotStarted: it cannot be prepared or does not answer. ShellError: the sandbox failed.
    """
    policy, stamp = await make_ready(
        tree, room, app, data_dir, stamps_dir=stamps_dir, cache=cache, tracked=tracked, is_prepared=is_prepared
    )
    ports = [await room.free_port() for _ in PORTS]
    instance = make(room, policy, app, ports, stamp.seed)
    try:
        await instance.reset()
        yield instance
    finally:
        await instance.stop()


async def make_ready(
    tree: Path,
    room: Room,
    app: AppSettings,
    data_dir: Path,
    *,
    stamps_dir: Path | None = None,
    cache: PrepareCache | None = None,
    tracked: Collection[str] | None = None,
    is_prepared: bool = False,
) -> tuple[Policy, Stamp]:
    """Prepare a tree when that is due; returns the policy under which its code runs, and its stamp.

    Args:
        tree: the project's directory in some worktree.
        room: where it runs; a tree that is not the room's own shares the loopback.
        app: its commands.
        data_dir: a directory of this instance alone; emptied.
        stamps_dir: where it is kept that a tree is prepared; None: beside the data.
        cache: what was made of the same sources in another tree; None: `prepare` is run on top of what lies there.
        tracked: what git tracks of the tree, see `Stamp`.
        is_prepared: nothing is to be prepared, whatever is kept.

    Raises: AppNotStarted: it cannot be prepared. ShellError: the sandbox failed.
    """
    policy = policy_for(tree, room.policy, data_dir)
    stamp = stamp_of(tree, stamps_dir or data_dir.parent, policy, tracked)
    if app.prepare and not is_prepared and not stamp.is_valid():
        await prepare(room, app, policy, stamp, cache)
    return policy, stamp


async def prepare(
    room: Room, app: AppSettings, policy: Policy, stamp: Stamp, cache: PrepareCache | None = None
) -> None:
    """Run `prepare` on empty data, or take what it made before; its data are what every reset starts from.

    What is kept for other trees is made of the sources alone, not on top of what was made or left there earlier.

    Raises: AppNotStarted: it failed or did not end.
    """
    mode = "project" if policy.mode == "plan" else policy.mode  # what it makes is looked at, too
    with own_home(replace(policy, mode=mode), "prepare") as own:
        sources = stamp.sources()
        key = cache.key(sources, app, room.settings.prepare_network, own) if cache else ""
        if cache and await cache.take(key, room, own, stamp):
            return
        if cache and not await take_away(room, own, stamp):
            cache = None
        stamp.void()
        before = stamp.entries()
        restore(policy.data_dir)
        result = await room.run(
            app.prepare,
            timeout_seconds=app.prepare_seconds,
            network=NETWORK[room.settings.prepare_network],
            env=NO_RETRIES if room.settings.prepare_network == "off" else None,
            policy=own,
        )
        if result.exit_code:
            raise AppNotStarted(f"`{app.prepare}` {ended(result)}.", result.output)
        restore(stamp.seed, policy.data_dir)
        stamp.write(made=stamp.entries() - before)
        if cache:
            await cache.keep(key, room, own, stamp, sources)


@contextmanager
def own_home(policy: Policy, name: str) -> Iterator[Policy]:
    """A policy with an empty home, whose programs come first, and an empty /tmp, which are gone on leaving.

    In those of the room may lie what the application of another tree wrote.

    Args:
        policy: with the data of one instance.
        name: what they are for; one at a time.
    """
    scratch = policy.data_dir.with_name(f"{policy.data_dir.name}.{name}")
    remove_tree(scratch)
    try:
        yield replace(policy, scratch=scratch)
    finally:
        remove_tree(scratch)


def stamp_of(tree: Path, stamps_dir: Path, policy: Policy, tracked: Collection[str] | None) -> Stamp:
    """The stamp of a tree, whose stand-ins do not count."""
    return Stamp(tree, stamps_dir, frozenset(Path(name).name for name in policy.protected), tracked)


def _beginning_and_end(output: str) -> str:
    """Package managers tell first what is wrong, and then at length how they are used; others tell it last."""
    left_out = len(output) - OUTPUT_CHARACTERS
    if left_out <= 0:
        return output
    third = OUTPUT_CHARACTERS // 3
    return f"{output[:third]}\n[{left_out} characters left out]\n{output[third + left_out :]}"


def ended(result: CommandResult) -> str:
    """How a command ended, in words."""
    if result.timed_out:
        return f"did not end within {result.seconds:.0f} s"
    limit = f" ({result.killed_for})" if result.killed_for else ""
    return f"ended with exit code {result.exit_code}{limit}"


def policy_for(tree: Path, policy: Policy, data_dir: Path) -> Policy:
    """The policy of an application in some worktree, with data of its own."""
    worktree = tree
    for _ in Path(policy.subdir).parts:
        worktree = worktree.parent
    return replace(policy, worktree=worktree, data_dir=data_dir)
