"""Where a session works: the worktree in its room, with everything the role can call.

The room (sandbox, private loopback) lives as long as one attempt; servers started in it end with it. The browser is
opened when a browser tool is first used.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import RepoError
from harness.events import FileChanged
from harness.journal import Journal
from harness.pictures import Pictures
from harness.sandbox.policy import Policy, protected_in
from harness.sandbox.processes import Room
from harness.sandbox.shell import SHELL_FILE
from harness.session import Session, has_begun
from harness.tools.browser import browser_tools
from harness.tools.files import file_tools
from harness.tools.memory import memory_tools
from harness.tools.shell import Preparation, shell_tools
from harness.verify.app import NETWORK, PORTS, stamp_of
from harness.verify.prepare_cache import PrepareCache, stamps_dir
from harness.verify.prepared import restore

if TYPE_CHECKING:
    from harness.browser.browser import Browser, Page
    from harness.parts import Parts
    from harness.settings import Settings, VerifySettings
    from harness.worktree import Worktree


@asynccontextmanager
async def coder_session(
    parts: Parts, tree: Worktree, session_id: str, feature_id: str, role: str, base_sha: str
) -> AsyncIterator[Session]:
    """Open a session's room and hand out the session; on leaving, everything that ran in it has ended.

    A session that has not begun begins on the tree of `base_sha`; one that has finds the tree as it left it.

    Raises: SetupError, ShellError: the sandbox cannot be had.
    """
    calls_file = parts.desk_dir(feature_id) / f"{session_id}.calls.jsonl"
    scratch = scratch_dir(parts, session_id)
    shell_file = scratch / SHELL_FILE
    policy = room_policy(parts, tree, scratch)
    journal = parts.project.rooms_dir / f"{session_id}.jsonl"
    if not await has_begun(parts, session_id):
        await tree.reset(base_sha)  # before the room opens: its stand-ins lie in the tree
        if await bring_what_was_made(parts, tree, policy, journal):
            await tree.reset(base_sha)  # what git does not ignore would be taken for the coder's work
        for left in (calls_file, shell_file):
            left.unlink(missing_ok=True)  # of a session of this name whose checkpoints were lost
    async with Room.open(policy, parts.settings.sandbox, journal, parts.events.emit) as room:
        ports = {name: str(await room.free_port()) for name in PORTS}
        window = Window(room, parts.settings.verify)
        images, has_pages = parts.settings.model.images, parts.settings.app.kind == "web"

        def url() -> str:
            return f"http://127.0.0.1:{ports['PORT']}"

        try:
            tools = [
                *file_tools(
                    tree.directory,
                    outputs_dir=scratch / "outputs",
                    top=tree.path,
                    images=images,
                    written=lambda path, sha256: parts.events.emit(FileChanged(path=path, sha256=sha256, role=role)),
                ),
                *shell_tools(room, scratch / "outputs", ports, preparation(parts.settings)),
                *(browser_tools(window.page, url, scratch / "outputs", images=images) if has_pages else ()),
                *memory_tools(
                    parts.memory,
                    project=parts.project.state_dir.name,
                    thread_id=parts.thread_id,
                    session_id=session_id,
                    feature_id=feature_id,
                ),
            ]

            async def tree_state() -> str:
                try:
                    return (await tree.snapshot()).content
                except RepoError:  # git cannot take it now: the verdict will say so
                    return ""

            pictures = Pictures(parts.project.trajectories_dir / parts.thread_id / "pictures")
            calls = Journal(calls_file, tree.directory, shell_file)
            yield Session(parts, session_id, role, tools, calls, tree_state, pictures)
        finally:
            await window.close()


async def bring_what_was_made(parts: Parts, tree: Worktree, policy: Policy, journal: Path) -> bool:
    """Bring in what `prepare` made of this commit when it was judged: the session itself may have no network.

    Replay: a tree that has it is left alone.
    """
    settings, cache = parts.settings, PrepareCache.of(parts.project, parts.settings)
    stamp = stamp_of(tree.directory, stamps_dir(parts.project), policy, await tree.files())
    if not settings.app.prepare:
        return False
    if stamp.is_valid():
        restore(policy.data_dir, stamp.seed)
        return False
    key = cache.key(stamp.sources(), settings.app, settings.sandbox.prepare_network, policy)
    if not cache.has(key):
        return False
    async with Room.open(policy, settings.sandbox, journal) as room:
        taken = await cache.take(key, room, policy, stamp)
    restore(policy.data_dir, stamp.seed if taken else None)
    return True


def preparation(settings: Settings) -> Preparation | None:
    """How a session may prepare the tree itself; None: as any other command."""
    network = NETWORK[settings.sandbox.prepare_network]
    if not (network and settings.app.prepare):
        return None
    return Preparation(settings.app.prepare, network, settings.app.prepare_seconds)


def scratch_dir(parts: Parts, name: str) -> Path:
    """Home, temporary files, data and outputs of one room; they last as long as the session."""
    return parts.project.state_dir / "scratch" / parts.thread_id / name


def clear_scratch(parts: Parts, name: str) -> None:
    """Forget them."""
    shutil.rmtree(scratch_dir(parts, name), ignore_errors=True)


def room_policy(parts: Parts, tree: Worktree, scratch: Path) -> Policy:
    """The boundary around a tree, fixed from outside of it."""
    return Policy(
        worktree=tree.path,
        scratch=scratch,
        data_dir=scratch / "data",
        mode=parts.settings.sandbox.mode,
        outputs_dir=scratch / "outputs",
        git_dir=parts.repo.git.common_dir,
        subdir=tree.prefix,
        protected=protected_in(tree.prefix),
    )


class Window:
    """The session's own browser page, opened when it is first looked through."""

    def __init__(self, room: Room, settings: VerifySettings) -> None:
        self._room, self._settings = room, settings
        self._browser: Browser | None = None
        self._page: Page | None = None

    async def page(self) -> Page:
        """The page.

        Raises: BrowserError, SetupError: Chromium cannot be had.
        """
        if self._page is None:
            from harness.browser.browser import Browser

            self._browser = await Browser.start(self._room, self._settings)
            self._page = await self._browser.new_page()
        return self._page

    async def close(self) -> None:
        """Close the browser, if it was opened."""
        if self._browser:
            await self._browser.close()
