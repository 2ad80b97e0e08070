"""When a run must stop: what it may use, and what the person asked.

Asked at safe points only (before a model call, between sessions), so that stopping loses nothing. A limit is not a
fault: `StopRun` names it, and `resume` goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import CostLimit, Interrupted, TimeLimit, TurnLimit
from harness.events import ModelCalled
from harness.settings import LimitSettings


@dataclass(frozen=True)
class Spent:
    """What was used."""

    turns: int = 0
    """Of the coder and the initializer; a verifier's call is no turn."""
    tokens: int = 0
    cost_usd: float = 0.0
    previous_bytes: int = 0
    """Of requests that another one followed in the same conversation."""
    repeated_bytes: int = 0
    """Of these, what the next request began with."""

    def plus(self, other: Spent) -> Spent:
        """The sum."""
        return Spent(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def repeated_share(self) -> float | None:
        """How much of a request the next one begins with, 0 to 1; None: nothing followed anything."""
        return self.repeated_bytes / self.previous_bytes if self.previous_bytes else None


class Meter:
    """A listener that counts what model calls use.

    Args:
        file: where it is kept after every call, so that what a killed run used is not forgotten; None: nowhere.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.total = Spent()
        """In this run."""
        self.earlier: Spent | None = None
        """In earlier runs of the thread; None: nothing was kept of them."""
        self._since = Spent()
        self._file = file
        if file and file.exists():
            self._read(file)

    def __call__(self, event: Any) -> None:
        """Count one event."""
        if isinstance(event, ModelCalled):
            tokens = event.input_tokens + event.output_tokens
            repeat = (event.previous_bytes, event.repeated_bytes)
            used = Spent(int(event.role != "verifier"), tokens, event.cost_usd, *repeat)
            self.total, self._since = self.total.plus(used), self._since.plus(used)
            self._keep()

    def take(self) -> Spent:
        """What was used since this was last asked, in earlier runs too."""
        taken, self._since = self._since, Spent()
        self._keep()
        return taken

    def _read(self, file: Path) -> None:
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            self.earlier, self._since = Spent(*kept["total"]), Spent(*kept["since"])
        except (ValueError, KeyError, TypeError):  # cut by a loss of power: the progress file tells most of it
            self.earlier, self._since = None, Spent()

    def _keep(self) -> None:
        if self._file is None:
            return
        total = (self.earlier or Spent()).plus(self.total)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"total": astuple(total), "since": astuple(self._since)}), encoding="utf-8")
        new.replace(self._file)


@dataclass
class Budget:
    """Limits of one run of a thread."""

    limits: LimitSettings
    meter: Meter
    max_turns: int = 0
    """Turns of this run; 0: no limit."""
    max_sessions: int = 0
    """Sessions of this run; 0: no limit."""
    is_stopping: Callable[[], bool] = lambda: False
    """Whether the person asked to stop."""
    before: Spent = field(default_factory=Spent)
    """What earlier runs of the thread used."""
    sessions: int = 0
    """Sessions started in this run."""
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Go on, or end the run.

        Raises: Interrupted, TurnLimit, CostLimit, TimeLimit.
        """
        used = self.meter.total
        if self.is_stopping():
            raise Interrupted("You asked to stop.")
        if self.max_turns and used.turns >= self.max_turns:
            raise TurnLimit(f"{used.turns} turns are used up (--max-turns).")
        if self.limits.thread_tokens and used.tokens + self.before.tokens >= self.limits.thread_tokens:
            raise CostLimit(f"{self.limits.thread_tokens} tokens are used up (limits.thread_tokens).")
        if self.limits.thread_usd and used.cost_usd + self.before.cost_usd >= self.limits.thread_usd:
            raise CostLimit(f"{self.limits.thread_usd} USD are used up (limits.thread_usd).")
        minutes = (time.monotonic() - self.started) / 60
        if self.limits.thread_minutes and minutes >= self.limits.thread_minutes:
            raise TimeLimit(f"{self.limits.thread_minutes} minutes are used up (limits.thread_minutes).")

    def start_session(self) -> None:
        """Count one more session.

        Raises: TurnLimit: no more are allowed in this run.
        """
        if self.max_sessions and self.sessions >= self.max_sessions:
            raise TurnLimit(f"{self.sessions} sessions are used up (--max-sessions).")
        self.sessions += 1
