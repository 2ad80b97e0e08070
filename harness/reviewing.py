"""A person looks at each proved feature before the run goes on: after its commit, or before it.

What they say is one of three: it is right, it is to be done again (with a word that the coder is told), or stop here.
A run that stopped, or was killed, while it asked waits for that answer: the next run asks again, or is given it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.diffs import Diff

Mode = Literal["", "features", "commits"]
"""When a person is asked: never again, after each feature's commit, before each commit."""


@dataclass(frozen=True)
class Proposal:
    """What a person is asked about."""

    feature_id: str
    description: str
    summary: str
    """The coder's words."""
    proof: str
    """How it was proved, in words."""
    evidence: str
    """Directory."""
    commit_sha: str
    """Empty: nothing is committed yet."""
    diff: Diff | None


@dataclass(frozen=True)
class Answer:
    """What a person said."""

    decision: Literal["accept", "reopen", "stop"]
    word: str = ""
    """Why it is to be done again."""


@dataclass(frozen=True)
class Review:
    """How a run asks."""

    mode: Mode
    ask: Callable[[Proposal], Answer]


def given(answer: Answer) -> Review:
    """The answer to the one question that is open; nothing is asked after it."""
    return Review("", lambda proposal: answer)
