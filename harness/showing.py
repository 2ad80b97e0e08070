"""`harness open`: the last proved commit, served for its person while work goes on.

It changes nothing of the project and takes none of its locks. When a newer commit is proved, that one is prepared and
has to answer on a copy of the data while the old one goes on serving; then the old one is stopped, the new one is
started on the data themselves, and connections that come meanwhile wait. What does not answer is told and not shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shlex
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import AdapterError, HarnessError, SetupError
from harness.green import Proved, last_proved
from harness.lock import ProjectLock, read_holder
from harness.opening import settings_of
from harness.project import Project
from harness.threads import load_threads, require_begun
from harness.verify.app import PORTS, AppNotStarted

if TYPE_CHECKING:
    from harness.events import Events
    from harness.repo import Repo
    from harness.settings import Settings
    from harness.verify.served import Served

PORT = 8000
"""Where it is served unless somebody says otherwise or somebody else is there."""
APART = 10
"""Between the ports that are tried then."""
DRAIN_SECONDS = 2.0
"""How long connections of the old one are waited for."""
ENDING_SECONDS = 2.0
"""How long one that refuses a connection may take to end."""
LOOK_SECONDS = 0.5
"""Between two looks at the branches' files; git is asked only when one changed."""

Say = Callable[[str], object]


@dataclass
class _Stand:
    """What is served now, and whoever waits while that changes."""

    served: Served | None = None
    held: AsyncExitStack = field(default_factory=AsyncExitStack)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is started, stopped or connected to."""
    carrying: set[asyncio.Task[Any]] = field(default_factory=set)
    """Connections that are open."""

    async def dial(self, place: int) -> socket.socket:
        """A connection to the application, once there is one; one that ended is started again first."""
        while True:
            await self.is_open.wait()
            async with self.changing:
                if self.served is None or not self.is_open.is_set():
                    continue
                made = await self._connected(self.served, place)
                if task := asyncio.current_task():  # the one that carries it until it is over
                    self.carrying.add(task)
                    task.add_done_callback(self.carrying.discard)
                return made

    async def drained(self) -> None:
        """Wait for what is being answered; a connection that is kept open is not waited for long."""
        if self.carrying:
            await asyncio.wait(set(self.carrying), timeout=DRAIN_SECONDS)

    async def _connected(self, served: Served, place: int) -> socket.socket:
        """A connection; one that refuses may just be ending, so it is looked at again before that is believed."""
        try:
            return await served.connect(place)
        except OSError:
            if not await served.ended(ENDING_SECONDS):
                raise
        try:
            await served.start()
        except (AppNotStarted, HarnessError) as exc:
            raise ConnectionRefusedError(str(exc)) from exc
        return await served.connect(place)


@dataclass(frozen=True)
class _Place:
    """Where what is served lies in the project's state."""

    project: Project
    home: Path

    @classmethod
    def of(cls, project: Project) -> _Place:
        return cls(project, project.state_dir / "open")

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @contextmanager
    def held(self) -> Iterator[None]:
        """One at a time: two would use the same data. Raises: SetupError: another one is at it."""
        own = replace(self.project, state_dir=self.home)
        try:
            with ProjectLock(own):
                yield
        except SetupError as exc:
            if holder := read_holder(own):
                raise SetupError(f"It is being served by {holder} already.", "Use that one, or stop it.") from exc
            raise


async def show_project(
    directory: Path,
    *,
    port: int | None,
    fresh: bool,
    flags: dict[str, Any],
    events: Events,
    say: Say,
    stop: asyncio.Event,
) -> None:
    """Serve until asked to stop.

    Args:
        directory: the project's.
        port: of this machine; None: `PORT`, or another that is free.
        fresh: begin with empty data.
        flags: settings from the command line.
        events: told of what the sandbox refuses.
        say: shows a line.
        stop: ends it.

    Raises: SetupError: nothing is proved yet, the port is taken, or it is served already. AdapterError: what is proved
        does not answer.
    """
    from harness.repo import Repo
    from harness.sandbox.processes import reap
    from harness.worktree import remove_tree

    project = Project.find(directory)
    require_begun(project)
    repo = await asyncio.to_thread(Repo.open, project.directory)
    settings = settings_of(project.directory, flags, events)
    if settings.app.kind == "program":
        raise SetupError("A program is run, so there is nothing to serve.", "`harness verify` shows that it works.")
    _require_sandbox(settings)
    place = _Place.of(project)
    project.prepare_state()
    with place.held():
        for journal in (place.home / "rooms").glob("*.jsonl"):
            reap(journal)
        for left in ("trees", "scratch", "trials", "stamps", *(["data"] if fresh else [])):
            remove_tree(place.home / left)
        proved = await _find(repo, project)
        if proved is None:
            raise SetupError(
                "Nothing is proved yet, so there is nothing to show.",
                f"`harness run {shlex.quote(str(project.directory))}` builds and proves.",
            )
        stand = _Stand()
        async with _doors(stand, port) as ports:
            try:
                show = _Showing(repo, project, settings, place, ports, events, say, stand)
                await _unless(stop, show.keep_showing(proved))
            finally:
                await stand.held.aclose()


@dataclass(frozen=True)
class _Showing:
    repo: Repo
    project: Project
    settings: Settings
    place: _Place
    ports: list[int]
    events: Events
    say: Say
    stand: _Stand

    async def keep_showing(self, proved: Proved) -> None:
        """Serve a commit, then each that is proved after it.

        Raises: AdapterError: the first one does not answer.
        """
        stamp = self._stamp()
        self.say(f"Starting {_named(proved)} ...")
        try:
            await self._move_to(proved)
        except AppNotStarted as exc:
            raise AdapterError(
                f"{_named(proved)} does not answer on the data in {self.place.data_dir}: {exc}",
                "`--fresh` begins with empty data.",
            ) from exc
        self.say(f"Serving {_named(proved)} at http://127.0.0.1:{self.ports[0]}/")
        self.say(f"Its data stay in {self.place.data_dir}. Ctrl-C ends it; work goes on meanwhile.")
        while True:
            stamp = await self._changed(stamp)
            newer = await _find(self.repo, self.project)
            if newer is None or newer.sha == proved.sha:
                continue
            proved = newer
            try:
                await self._move_to(proved)
            except (AppNotStarted, HarnessError) as exc:
                shown = self.stand.served.proved if self.stand.served else None
                rest = f"; {_named(shown)} goes on" if shown else ""
                self.say(f"{_named(proved)} is not shown: {str(exc).splitlines()[0].rstrip('.')}{rest}.")
                continue
            self.say(f"Now serving {_named(proved)}.")

    async def _move_to(self, proved: Proved) -> None:
        """Prepare a commit beside what is served; once it has answered, let it take over.

        Raises: AppNotStarted: it does not answer; what was served is served still.
        """
        from harness.verify.served import serve_commit

        stand = self.stand
        async with AsyncExitStack() as held:
            served = await held.enter_async_context(
                serve_commit(
                    proved,
                    self.repo,
                    self.project,
                    self.settings,
                    self.place.home,
                    self.place.data_dir,
                    self.ports,
                    self.events,
                )
            )
            stand.is_open.clear()
            before, old = stand.served, stand.held
            try:
                async with stand.changing:
                    await stand.drained()
                    if before:
                        await before.stop()
                    await served.start()
            except (AppNotStarted, HarnessError):
                if before:
                    await before.start()
                raise
            else:
                stand.served, stand.held = served, held.pop_all()
            finally:
                if stand.served:
                    stand.is_open.set()
            await old.aclose()

    def _stamp(self) -> list[tuple[str, int, int]]:
        """The files in which git keeps where branches are."""
        common = self.repo.git.common_dir
        paths = [
            self.repo.git.git_dir / "HEAD",
            common / "packed-refs",
            *sorted((common / "refs" / "heads").rglob("*")),
        ]
        found = []
        for path in paths:
            with contextlib.suppress(OSError):
                info = path.stat()
                found.append((str(path), info.st_mtime_ns, info.st_ino))
        return found

    async def _changed(self, before: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
        """Wait until a branch moved."""
        while (now := self._stamp()) == before:  # noqa: ASYNC110 - files of git, which tells nobody
            await asyncio.sleep(LOOK_SECONDS)
        return now


@asynccontextmanager
async def _doors(stand: _Stand, port: int | None) -> AsyncIterator[list[int]]:
    """A door to each port of the application, the same numbers outside as inside, so that its addresses hold.

    Raises: SetupError: the port that was asked for is taken.
    """
    from harness.sandbox.relay import door

    async with AsyncExitStack() as stack:
        for first in [port] if port is not None else range(PORT, PORT + 20 * APART, APART):
            try:
                ports = [await stack.enter_async_context(door(first, lambda: stand.dial(0)))]
                break
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise SetupError(
                        f"Port {first} cannot be used: {exc.strerror}.", "Name another: --port N."
                    ) from exc
        else:
            named = f"Port {port} is" if port is not None else f"Ports from {PORT} on are"
            raise SetupError(f"{named} taken.", "Name another: --port N; 0 takes any that is free.")
        for number in range(1, len(PORTS)):
            ports.append(await _further(stack, stand, ports[0] + number, number))
        yield ports


async def _further(stack: AsyncExitStack, stand: _Stand, port: int, number: int) -> int:
    """A door to $PORT_1 or $PORT_2; where its number is taken, it is not reached from outside."""
    from harness.sandbox.relay import door

    with contextlib.suppress(OSError, OverflowError):
        await stack.enter_async_context(door(port, lambda: stand.dial(number)))
    return port


async def _find(repo: Repo, project: Project) -> Proved | None:
    """The last proved commit of the newest thread, or of what is checked out: as in a clone."""
    threads = [f"harness/{record.thread_id}" for record in load_threads(project)]
    return await last_proved(repo, ["HEAD", *threads[-1:]])


def _named(proved: Proved) -> str:
    return f"{proved.feature_id} ({proved.sha[:10]})"


def _require_sandbox(settings: Settings) -> None:
    from harness.sandbox.bubblewrap import probe
    from harness.sandbox.processes import allowed_hosts

    if settings.sandbox.mode == "off":
        return
    if settings.sandbox.mode == "project+net":
        allowed_hosts(settings.sandbox)
    enforcement = probe()
    if not enforcement.is_enforced:
        raise SetupError(enforcement.reason, enforcement.remedy)


async def _unless(stop: asyncio.Event, work: Any) -> None:
    """Do it until asked to stop."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.wait({task, stopping})
