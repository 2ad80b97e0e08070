"""What a person decides at the command line: about a check, or whether a feature is built."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.console import watch
from harness.events import Events

if TYPE_CHECKING:
    from harness.runtime import Decision


async def accept(directory: Path, feature_id: str) -> str:
    """Take a contract as it stands; what was decided."""
    from harness import decisions

    return await _decide(directory, feature_id, decisions.accept)


async def amend(directory: Path, feature_id: str, text: str, name: str) -> str:
    """Give another contract: a text, and what to call it; what was decided."""
    from harness import decisions

    return await _decide(directory, feature_id, partial(decisions.amend, text=text, name=name))


async def skip(directory: Path, feature_id: str, why: str) -> str:
    """Set a feature aside; what was decided."""
    from harness import decisions

    return await _decide(directory, feature_id, partial(decisions.skip, why=why))


async def reopen(directory: Path, feature_id: str, why: str) -> str:
    """Have a feature done again; what was decided."""
    from harness import decisions

    return await _decide(directory, feature_id, partial(decisions.redo, why=why))


async def _decide(directory: Path, feature_id: str, decision: Decision) -> str:
    from harness.runtime import decide

    events = Events()
    with watch(events, sys.stderr):
        return await decide(directory, feature_id, decision, events=events)


def read_given(file: str) -> tuple[str, str]:
    """A contract or words from a file or standard input, and what to call it.

    Raises: typer.BadParameter: it is empty or cannot be read.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise typer.BadParameter(f"{file} cannot be read: {exc}.", param_hint="--file") from exc
    name = "standard input" if file == "-" else file
    if not text.strip():
        raise typer.BadParameter(f"{name} is empty; give a contract or words.", param_hint="--file")
    return text, name
