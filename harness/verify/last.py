"""What the last `harness verify` found, kept where `harness status` sees it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.project import write_atomic

if TYPE_CHECKING:
    from harness.project import Project

_NAMES_SHOWN = 10


class LastVerify(BaseModel):
    """How it ended."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    total: int
    """Checks replayed."""
    failed: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    """Passed when played once more, alone."""
    url: str = ""
    """The running application it looked at; empty: the project's own files."""

    def __str__(self) -> str:
        passed = f"{self.at:%Y-%m-%d %H:%M} UTC, {self.total - len(self.failed)} of {self.total} checks passed"
        where = f" at {self.url}" if self.url else ""
        return passed + where + _named("failed", self.failed) + _named("flaky", self.flaky)


def save_last(project: Project, last: LastVerify) -> None:
    """Keep it.

    Raises: SetupError: the state directory cannot be written.
    """
    write_atomic(project.last_verify_file, last.model_dump_json())


def load_last(project: Project) -> LastVerify | None:
    """Read it; None when there is none. It is scratch: one that cannot be read is none."""
    try:
        return LastVerify.model_validate_json(project.last_verify_file.read_bytes())
    except (OSError, ValidationError):
        return None


def _named(word: str, names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"; {word}: {', '.join(names[:_NAMES_SHOWN])}{more}" if names else ""
