"""The report of a verify for people: one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.project import write_atomic
from harness.verify.html import render
from harness.verify.shown import Shown, show

if TYPE_CHECKING:
    from harness.verify.standalone import Replayed, Replays

PICTURES_BYTES = 60_000_000
"""Of all pictures in a report; failures come first."""


@dataclass(frozen=True)
class Row:
    """A feature as the report shows it."""

    result: Replayed
    shown: Shown


def write_report(directory: Path, name: str, replays: Replays) -> Path:
    """Write `index.html`; returns its path.

    Args:
        directory: made when missing.
        name: of the project.
        replays: what to show.

    Raises: SetupError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "index.html"
    passed = sum(result.passed for result in replays.results)
    write_atomic(path, render("verify.html.j2", name=name, replays=replays, rows=_rows(replays.results), passed=passed))
    return path


def _rows(results: Sequence[Replayed]) -> list[Row]:
    """In the order of the list; room for pictures is given to failures first."""
    left = PICTURES_BYTES
    rows: dict[str, Row] = {}
    for result in sorted(results, key=lambda result: result.passed and not result.flaky):
        shown = show(Path(result.evidence) if result.evidence else None, result.steps, left)
        left -= shown.picture_bytes
        rows[result.feature_id] = Row(result, shown)
    return [rows[result.feature_id] for result in results]
