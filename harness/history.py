"""The history of a project that others wrote, as memory: one record a commit, newest first, as old as the commit.

Records have keys, so whoever is killed here begins again and nothing is remembered twice. They are on disk within
seconds; what they mean is computed beside the planning, the newest first, and what is left of that is waited for at the
end, but not for long: until then a recall finds them by their words. What a commit says is anybody's text: it is quoted
wherever it is shown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.events import Noticed, Progressed
from harness.memory.ingest import HistoryEntry, history_records

if TYPE_CHECKING:
    from harness.commits import Commit
    from harness.parts import Parts
    from harness.worktree import Worktree

COMMITS = 10_000
"""The newest so many are remembered."""
PAGE = 500
"""Read and remembered at once."""
LATEST = 200
"""Those that are new since the rest was remembered are among so many."""
LONG, WAIT_SECONDS = 500, 60.0
"""Commits of a history whose meaning is waited for, and how long; the rest is computed beside the first session."""


async def remember_history(parts: Parts, tree: Worktree, project: str, most: int = COMMITS) -> None:
    """Remember the newest commits that touch a project. Replay: by key.

    Args:
        tree: a checkout, whose history it is.
        project: its name in memory.
        most: commits.
    """
    shas = await tree.history(most)
    for first in range(0, len(shas), PAGE):
        commits = await tree.commits(shas[first : first + PAGE])
        await parts.memory.remember(history_records(project, map(_entry, commits)))
        done = min(first + PAGE, len(shas))
        if len(shas) > PAGE:
            parts.events.emit(Progressed(stage="history", done=done, total=len(shas), detail="commits remembered"))


def _entry(commit: Commit) -> HistoryEntry:
    """What a commit of ours says beyond its subject is remembered as progress."""
    body = "" if "Harness-Thread" in commit.trailers else commit.body
    return HistoryEntry(commit.sha, commit.subject, commit.files, commit.date, body)


async def understand_history(parts: Parts, tree: Worktree) -> None:
    """Wait until what a long history means is computed. Replay: goes on with what is left; the next run would, too."""
    if len(await tree.history(LONG)) < LONG:
        return

    def tell(done: int, total: int) -> None:
        parts.events.emit(Progressed(stage="history", done=done, total=total, detail="records embedded"))

    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await parts.memory.complete(tell)
    except TimeoutError:
        parts.events.emit(Noticed(text="What older commits mean is computed beside the next run; words find them now."))
