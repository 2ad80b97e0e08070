"""What the sessions did, as `progress.json` holds it: read by the next session's brief and by `harness status`.

One entry a session, appended by the harness in the commit that the session made or in a state commit. It holds no
commit sha: commits are found by their trailers.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.project import write_atomic
from harness.state_file import file_errors, parse_json, read_text

Outcome = Literal["passed", "failed", "parked", "limit", "interrupted"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionEntry(_Value):
    """One session, told to the next."""

    session: str
    feature: str
    """Feature id."""
    outcome: Outcome
    summary: str = ""
    """What was done, in a few sentences."""
    next: str = ""
    """What to do next; on a failure, what to try instead."""
    turns: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    cost_usd: float = Field(default=0.0, ge=0)
    seconds: dict[str, float] = Field(default_factory=dict)
    """By stage: session, verify, ..."""
    repeated_share: float | None = Field(default=None, ge=0, le=1)
    """How much of a request the next one of its conversation began with, by bytes: what prompt caches live on."""
    ended_at: datetime | None = None


class ProgressTotals(_Value):
    """Sums over all sessions, and how far the list is."""

    features: int = 0
    passing: int = 0
    parked: int = 0
    sessions: int = 0
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0


class Progress(_Value):
    """The whole file."""

    version: Literal[1] = 1
    thread: str = ""
    totals: ProgressTotals = Field(default_factory=ProgressTotals)
    sessions: tuple[SessionEntry, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Progress:
        """Read the file.

        Raises: FeatureFileError: it is missing, empty, broken, or of a version this harness does not know.
        """
        with file_errors(path, "progress file", is_committed=True):
            return cls.model_validate(parse_json(read_text(path)))

    @classmethod
    def parse(cls, text: str, name: str) -> Progress:
        """Read the text of a file of that name.

        Raises: FeatureFileError: as `load`.
        """
        with file_errors(Path(name), "progress file"):
            return cls.model_validate(parse_json(text))

    def save(self, path: Path) -> None:
        """Write the file whole."""
        write_atomic(path, self.to_json())

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False) + "\n"

    def append(self, entry: SessionEntry) -> Progress:
        """The file with one more session.

        Replay: a session already told is replaced, so that recording it again after a crash counts it once.
        """
        sessions = (*(e for e in self.sessions if e.session != entry.session), entry)
        return self.model_copy(update={"sessions": sessions, "totals": _sum(self.totals, sessions)})

    def with_list(self, total: int, passing: int, parked: int) -> Progress:
        """The file with the totals of the feature list."""
        counts = {"features": total, "passing": passing, "parked": parked}
        return self.model_copy(update={"totals": self.totals.model_copy(update=counts)})

    @property
    def last_number(self) -> int:
        """The highest number in a session's id (`s012-F003`); 0 before the first."""
        numbers = (re.match(r"s(\d+)-", entry.session) for entry in self.sessions)
        return max((int(number[1]) for number in numbers if number), default=0)

    def tail(self, count: int) -> tuple[SessionEntry, ...]:
        """The last sessions, oldest first."""
        return self.sessions[-count:] if count > 0 else ()


def _sum(totals: ProgressTotals, sessions: tuple[SessionEntry, ...]) -> ProgressTotals:
    return totals.model_copy(
        update={
            "sessions": len(sessions),
            "turns": sum(e.turns for e in sessions),
            "tokens": sum(e.tokens for e in sessions),
            "cost_usd": round(sum(e.cost_usd for e in sessions), 6),
        }
    )
