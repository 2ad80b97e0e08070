"""Where checks are replayed: a room of its own with one browser and as many running applications as are asked for.

Never the room of a session, so nothing a coder left running can answer in the application's place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import RepoError
from harness.sandbox.policy import Policy, protected_in
from harness.sandbox.processes import Room
from harness.verify.app import make_ready
from harness.verify.evidence import keep_within
from harness.verify.kept import kept_outputs, kept_pictures
from harness.verify.prepare_cache import PrepareCache, stamps_dir
from harness.verify.prepared import restore
from harness.verify.replay import Replayer, Site, open_site
from harness.worktree import Worktree, remove_tree

OWN_FILES = ("features.json", "progress.json", "checks", "spec.md")
"""What the harness itself changes in a commit."""
INSTALLED = ("node_modules", ".venv")
"""Directories that `prepare` makes and nobody writes; one that was committed before may grow."""

if TYPE_CHECKING:
    from harness.browser.browser import Browser
    from harness.events import Events
    from harness.parts import Parts
    from harness.project import Project
    from harness.settings import Settings
    from harness.worktree import Snapshot


@dataclass(frozen=True)
class Hall:
    """An open hall."""

    room: Room
    browser: Browser | None
    """None: the project has no pages."""
    replayer: Replayer
    settings: Settings
    scratch: Path
    stamps_dir: Path
    cache: PrepareCache | None
    """What `prepare` made of sources before; None: it is run for each tree."""
    _served: Counter[Path] = field(default_factory=Counter)
    """Trees whose application runs, and how many times."""

    @asynccontextmanager
    async def site(self, tree: Worktree | Path, name: str, *, anew: bool = False) -> AsyncIterator[Site]:
        """The application of a tree, running on data of its own, and pages to look at it.

        A tree that is served already is not prepared again, whatever its application wrote there meanwhile.

        Args:
            tree: a checkout, or the project's directory in a copy that git does not know, for which nothing is kept.
            name: names its data; unique among the sites that are open.
            anew: run `prepare` although the tree is prepared.

        Raises: AppNotStarted: it does not answer; the coder mends it.
        """
        data_dir = self.scratch / "sites" / name
        stamps = data_dir.with_suffix(".stamps") if anew else self.stamps_dir
        directory, tracked = (tree, None) if isinstance(tree, Path) else (tree.directory, await tree.files())
        how: dict[str, Any] = {
            "stamps_dir": stamps,
            "cache": None if anew or tracked is None else self.cache,
            "tracked": tracked,
            "is_prepared": bool(self._served[directory]),
        }
        async with open_site(directory, self.room, self.settings.app, data_dir, self.browser, **how) as site:
            self._served[directory] += 1
            try:
                yield site
            finally:
                self._served[directory] -= 1

    async def prepared(self, tree: Worktree, name: str) -> Policy:
        """Prepare a tree as `site` does, without its application; returns the policy under which its code runs.

        Raises: AppNotStarted: it cannot be prepared.
        """
        data_dir = self.scratch / "sites" / name
        policy, stamp = await make_ready(
            tree.directory, self.room, self.settings.app, data_dir,
            stamps_dir=self.stamps_dir, cache=self.cache, tracked=await tree.files(),
            is_prepared=bool(self._served[tree.directory]),
        )  # fmt: skip
        restore(data_dir, stamp.seed)
        return policy


async def candidate_of(parts: Parts, tree: Worktree) -> tuple[Worktree, Snapshot]:
    """A checkout of just what a commit of a tree would hold.

    What is judged is what is committed: a file that `.gitignore` names is not there, and what the application or a gate
    writes while it is judged reaches no commit.

    Raises: RepoError: git cannot take the tree as it is, or what was installed would be committed; the text is fit for
        the model.
    """
    snapshot = await tree.snapshot(OWN_FILES)
    if installed := await tree.added_below(snapshot.sha, INSTALLED):
        raise RepoError(
            f"What was installed would be committed: {', '.join(installed[:5])}.",
            "Name it in .gitignore; `init.sh prepare` installs it wherever the application is to run.",
        )
    place = parts.project.worktrees_dir / f"{parts.thread_id}.candidate"
    return await parts.repo.checkout_at(snapshot.sha, place), snapshot


@asynccontextmanager
async def open_hall(
    project: Project,
    settings: Settings,
    events: Events,
    worktree: Path,
    prefix: str,
    name: str,
    *,
    headed: bool = False,
) -> AsyncIterator[Hall]:
    """Open a hall around a checkout; on leaving nothing of it runs any more and its data is gone.

    Args:
        project: whose state directory holds scratch and evidence.
        settings: of the sandbox, the application and the replays.
        events: told of each replay.
        worktree: the checkout's top directory.
        prefix: the project's directory inside it.
        name: names scratch and journal; one hall of a name at a time.
        headed: the browser has a window on the person's display.

    Raises: SetupError, ShellError, BrowserError: a fault of ours, no verdict.
    """
    scratch = project.state_dir / "scratch" / f"hall-{name}"
    policy = Policy(
        worktree=worktree,
        scratch=scratch,
        data_dir=scratch / "data",
        mode=settings.sandbox.mode,
        subdir=prefix,
        protected=protected_in(prefix),
    )
    project.rooms_dir.mkdir(parents=True, exist_ok=True)
    remove_tree(scratch)  # a killed harness leaves it, with what judged code put into the home
    try:
        journal = project.rooms_dir / f"hall-{name}.jsonl"
        async with AsyncExitStack() as stack:
            stack.callback(keep_within, project.evidence_dir)
            room = await stack.enter_async_context(Room.open(policy, settings.sandbox, journal, events.emit))
            browser = await stack.enter_async_context(_browser(room, settings, headed=headed))
            kept = worktree / prefix / "checks"
            pictures, goldens = kept_pictures(kept), kept_outputs(kept)
            replayer = Replayer(settings.verify, events, project.evidence_dir, pictures=pictures, goldens=goldens)
            cache = PrepareCache.of(project, settings)
            yield Hall(room, browser, replayer, settings, scratch, stamps_dir(project), cache)
    finally:
        with contextlib.suppress(OSError):  # what is left now goes when a hall of this name is opened again
            remove_tree(scratch)


@asynccontextmanager
async def _browser(room: Room, settings: Settings, *, headed: bool) -> AsyncIterator[Browser | None]:
    """The browser, which starts while the application does; None: there are no pages to look at."""
    if settings.app.kind != "web":
        yield None
        return
    from harness.browser.browser import Browser, find_chromium
    from harness.browser.display import find_display

    browser = Browser(room, find_chromium(settings.verify.chromium), find_display() if headed else None)
    starting = asyncio.create_task(browser.running())
    try:
        yield browser
    finally:
        await asyncio.gather(starting, return_exceptions=True)  # what went wrong, the first page has told
        await browser.close()
