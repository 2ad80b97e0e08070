"""`harness report`: the page is written whole, and its place told."""

from __future__ import annotations

import os
from pathlib import Path

from harness.cli.memory import read_age
from harness.errors import SetupError
from harness.project import write_atomic
from harness.report import Report, as_html, read_report

NAME = "report.html"


async def gather(directory: Path, since: str) -> Report:
    """What is told.

    Args:
        directory: the project's.
        since: `12h` and the like; empty: since the last run began.

    Raises: typer.BadParameter: `since` is no age. HarnessError: what happened and what to do.
    """
    return await read_report(directory, read_age(since))


def write(report: Report, out: Path | None) -> Path:
    """Write the page.

    Args:
        report: what it tells.
        out: the file; None: in the project's state directory, where nothing of the project is touched.

    Raises: SetupError: it cannot be written.
    """
    if out is None:
        report.status.project.prepare_state()
        out = report.status.project.state_dir / NAME
    path = Path(os.path.realpath(out))
    if path.is_dir():
        raise SetupError(f"{path} is a directory.", "Name a file: --out report.html.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SetupError(f"{path.parent} cannot be made: {exc.strerror}.", "Choose another place with --out.") from exc
    write_atomic(path, as_html(report))
    return path
