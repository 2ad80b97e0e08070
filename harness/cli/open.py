"""`harness open`: serve, tell what is served, end on Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from harness.cli.verify import stop_signals
from harness.console_text import one_line
from harness.events import Events, Noticed


async def show(directory: Path, port: int | None, fresh: bool, flags: dict[str, Any]) -> None:
    """Serve until Ctrl-C.

    Raises: HarnessError: what happened and what to do.
    """
    from harness.showing import show_project

    events = Events()
    events.listen(lambda e: typer.echo(one_line(e.text), err=True) if isinstance(e, Noticed) else None)
    async with stop_signals() as stop:
        await show_project(
            directory,
            port=port,
            fresh=fresh,
            flags=flags,
            events=events,
            say=lambda text: typer.echo(one_line(text)),
            stop=stop,
        )
