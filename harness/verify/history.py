"""When the check of each feature was replayed last and how that went: what the next regression plays first.

Small JSON in the state directory, not in git: a clone begins without it, and loses an order, no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.project import write_atomic
from harness.state_file import file_errors, parse_json, read_text

RECENT = 5
"""Replays for which a failure counts as recent."""


class Past(BaseModel):
    """What is known of one feature's check."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    """Last replay."""
    passed: bool
    check: str
    """Digest of the check that was replayed."""
    content: str
    """Names the content it was replayed on."""
    flaky: int = Field(default=0, ge=0)
    """How often it failed among others and passed alone."""
    since_failure: int | None = None
    """Replays since it failed or was flaky; None: it never was."""


@dataclass(frozen=True)
class Played:
    """One replay, to be written down."""

    feature_id: str
    check: str
    """Digest of the check."""
    passed: bool
    flaky: bool = False


class History(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    checks: dict[str, Past] = Field(default_factory=dict)

    @classmethod
    def load(cls, state_dir: Path) -> History:
        """Read it; empty before the first regression.

        Raises: FeatureFileError: it is broken; deleting it loses nothing but an order.
        """
        path = state_dir / NAME
        if not path.exists():
            return cls()
        with file_errors(path, "history of replays"):
            return cls.model_validate(parse_json(read_text(path)))

    def save(self, state_dir: Path) -> None:
        """Write it whole."""
        write_atomic(state_dir / NAME, self.model_dump_json(indent=1, exclude_defaults=True))

    def with_plays(self, plays: Sequence[Played], content: str) -> History:
        """The history after some replays on one content."""
        now = datetime.now(UTC)
        more = {play.feature_id: _after(self.checks.get(play.feature_id), play, content, now) for play in plays}
        return self.model_copy(update={"checks": {**self.checks, **more}})

    def held(self, digests: Mapping[str, str], content: str) -> set[str]:
        """Features whose very check passed on this very content already."""
        known = {name: self.checks[name] for name in digests if name in self.checks}
        return {n for n, past in known.items() if past.passed and (past.check, past.content) == (digests[n], content)}

    def recently_failing(self) -> list[str]:
        """Features that failed or were flaky not long ago, the most recent first."""
        recent = [(past.since_failure, name) for name, past in self.checks.items() if past.since_failure is not None]
        return [name for since, name in sorted(recent) if since < RECENT]

    def last_run(self) -> dict[str, datetime]:
        """When each was replayed last."""
        return {name: past.at for name, past in self.checks.items()}

    def flaky(self) -> dict[str, int]:
        """Features that failed among others and passed alone, and how often."""
        return {name: past.flaky for name, past in sorted(self.checks.items()) if past.flaky}


NAME = "replays.json"


def _after(past: Past | None, play: Played, content: str, now: datetime) -> Past:
    since = None if past is None or past.since_failure is None else past.since_failure + 1
    return Past(
        at=now,
        passed=play.passed,
        check=play.check,
        content=content,
        flaky=(past.flaky if past else 0) + play.flaky,
        since_failure=since if play.passed and not play.flaky else 0,
    )
