"""Rooms for tests: a tree, its scratch and data below one directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxMode, SandboxSettings


@asynccontextmanager
async def open_room(directory: Path, tree: Path, mode: SandboxMode = "project") -> AsyncIterator[Room]:
    """A room whose project is `tree`."""
    state = directory / "room"
    state.mkdir(exist_ok=True)
    policy = Policy(worktree=tree, scratch=state / "scratch", data_dir=state / "data", mode=mode)
    async with Room.open(policy, SandboxSettings(), state / "journal") as room:
        yield room
