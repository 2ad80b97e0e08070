"""The project's own tests in a look of the gate: beside those of the last commit that the harness made.

Both are run in checkouts of their own, which are gone afterwards; what is known of a content is not run again.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from harness.verify.hall import OWN_FILES, open_hall
from harness.verify.protected import last_made
from harness.verify.suite import Compared, compare, load, worse

if TYPE_CHECKING:
    from harness.events import Events
    from harness.parts import Parts
    from harness.project import Project
    from harness.repo import Repo
    from harness.settings import Settings
    from harness.worktree import Snapshot


async def held_tests(project: Project, settings: Settings, repo: Repo, snapshot: Snapshot) -> Compared | None:
    """What is known of the tests on this very content; None: not enough, or that they got worse."""
    base = (await repo.contents([sha := await _base(repo)], OWN_FILES))[sha]
    before, after = (load(project, content, settings.gate.tests) for content in (base, snapshot.content))
    if before is None or after is None or worse(before, after):
        return None
    return Compared(before, after)


async def compare_tests(
    project: Project, settings: Settings, repo: Repo, snapshot: Snapshot, events: Events
) -> Compared:
    """Run the tests on files as they lie, and on those of the last commit of the harness where that is not known.

    Args:
        snapshot: of the files.

    Raises: AppNotStarted: they cannot be prepared. SetupError, AdapterError: no verdict.
    """
    name = f"gate-{os.getpid()}"  # two gates may look at once
    place, baseline = (project.worktrees_dir / f"{name}.{what}" for what in ("candidate", "baseline"))
    judge = SimpleNamespace(project=project, settings=settings, repo=repo, events=events, thread_id=name)
    try:
        tree = await repo.checkout_at(snapshot.sha, place)
        async with open_hall(project, settings, events, tree.path, tree.prefix, name) as hall:
            return await compare(cast("Parts", judge), hall, tree, snapshot.content, await _base(repo))
    finally:
        await repo.remove_worktree(place)
        await repo.remove_worktree(baseline)


async def _base(repo: Repo) -> str:
    base = await last_made(repo)
    return await repo.head() if base == "HEAD" else base
