"""The application of one commit, running for a person: in a room of its own, on data that stay.

The commit's files are written out of git into a directory of their own, so nothing that is checked out is touched and
no worktree is registered. It first has to answer on a copy of the data; only then does it get the data themselves,
which no two commits use at the same time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.sandbox.policy import Policy, protected_in
from harness.sandbox.processes import Room
from harness.verify.app import PORTS, Instance, policy_for, prepare, stamp_of
from harness.verify.prepare_cache import PrepareCache
from harness.verify.prepared import restore
from harness.worktree import remove_tree

if TYPE_CHECKING:
    import socket

    from harness.events import Events
    from harness.green import Proved
    from harness.project import Project
    from harness.repo import Repo
    from harness.settings import Settings


class Served:
    """The application of a proved commit; made by `serve_commit`, which shows that it answers."""

    def __init__(self, proved: Proved, room: Room, instance: Instance, ports: Sequence[int]) -> None:
        self.proved = proved
        self._room, self._instance, self._ports = room, instance, ports

    async def start(self) -> None:
        """Start it on the data that stay, or again when it ended.

        Raises: AppNotStarted: it does not answer.
        """
        await self._instance.restart()

    async def stop(self) -> None:
        """End it; what it has open is closed."""
        await self._instance.stop()

    async def ended(self, seconds: float) -> bool:
        """Whether its process ends within a time."""
        return await self._instance.ended(seconds)

    async def connect(self, place: int) -> socket.socket:
        """A connection to one of its ports: 0 is $PORT, 1 is $PORT_1.

        Raises: OSError: nothing answers.
        """
        return await self._room.connect(self._ports[place])


@asynccontextmanager
async def serve_commit(
    proved: Proved,
    repo: Repo,
    project: Project,
    settings: Settings,
    home: Path,
    data_dir: Path,
    ports: Sequence[int],
    events: Events,
) -> AsyncIterator[Served]:
    """Write a commit out, prepare it, see it answer on a copy of the data, and leave it stopped.

    Args:
        proved: the commit.
        repo: that holds it.
        project: whose kept installations are used.
        settings: of the application and the sandbox.
        home: a directory for trees, scratch and journals of what is served.
        data_dir: what stays; made from what `prepare` left when it is not there.
        ports: it is told to listen on; outside a sandbox others are taken, because two may run at once.
        events: told of the network.

    Raises: AppNotStarted: it cannot be prepared or does not answer. SetupError, ShellError: the sandbox.
    """
    name = proved.sha[:12]
    worktree, scratch, trial = home / "trees" / name, home / "scratch" / name, home / "trials" / name
    for place in (worktree, scratch, trial):
        remove_tree(place)
    try:
        await repo.export(proved.sha, worktree)
        policy = Policy(
            worktree=worktree,
            scratch=scratch,
            data_dir=trial,
            mode=settings.sandbox.mode,
            subdir=repo.prefix,
            protected=protected_in(repo.prefix),
        )
        journal = home / "rooms" / f"{name}.jsonl"
        journal.parent.mkdir(parents=True, exist_ok=True)
        async with Room.open(policy, settings.sandbox, journal, events.emit) as room:
            if not policy.is_sandboxed:
                ports = [await room.free_port() for _ in PORTS]
            tree = worktree / repo.prefix
            own = policy_for(tree, policy, trial)
            stamp = stamp_of(tree, home / "stamps" / name, own, await repo.files_of(proved.sha))
            if settings.app.prepare:
                await prepare(room, settings.app, own, stamp, PrepareCache.of(project, settings))
            if not data_dir.exists():
                restore(data_dir, stamp.seed)
            restore(trial, data_dir)
            tried = Instance(room, own, settings.app, ports, stamp.seed)
            try:
                await tried.restart()
            finally:
                await tried.stop()
            instance = Instance(room, replace(own, data_dir=data_dir), settings.app, ports, stamp.seed)
            try:
                yield Served(proved, room, instance, ports)
            finally:
                await instance.stop()
    finally:
        for place in (worktree, scratch, trial, home / "stamps" / name):
            remove_tree(place)
