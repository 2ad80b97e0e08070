"""The real parts a run is made of, opened by the composition root and handed to the graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.budget import Budget
from harness.events import Events
from harness.project import Project
from harness.settings import Settings

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    from harness.memory.recall import Memory
    from harness.model import Model
    from harness.repo import Repo
    from harness.steering import Steering
    from harness.thread_audit import ThreadAudit


@dataclass(frozen=True)
class Parts:
    """One run's parts. Nobody below the composition root opens or closes any of them."""

    project: Project
    """The user's own checkout; sessions use `project.at(worktree)`."""
    settings: Settings
    thread_id: str
    repo: Repo
    model: Model
    memory: Memory
    events: Events
    checkpointer: AsyncSqliteSaver
    budget: Budget
    audit: ThreadAudit | None = None
    """Of the thread; its last line is carried by commits."""
    steering: Steering | None = None
    """The person's words for the thread."""

    @property
    def branch(self) -> str:
        """Where proved work of the thread is committed."""
        return self.project.branch(self.thread_id)

    @property
    def worktree_path(self) -> Path:
        """The thread's checkout."""
        return self.project.worktrees_dir / self.thread_id

    def desk_dir(self, feature_id: str) -> Path:
        """Papers of a feature in work: its contract, its last verdict, its tool journals. Made when missing."""
        desk = self.project.state_dir / "work" / self.thread_id / feature_id
        desk.mkdir(parents=True, exist_ok=True)
        return desk
