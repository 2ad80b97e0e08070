"""What the shell offers while somebody types: ids of features and threads, from small files alone.

Nothing here may fail or be slow: what cannot be read offers nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

WORDS = 60
"""Characters of a description."""


def feature_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Features of the project that is named, each with what it is."""
    found = _list(Path(_directory(context), "features.json"))
    return [(name, about) for name, about in found if name.startswith(incomplete)]


def thread_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Threads of the project that is named, the one touched last first."""
    from harness.errors import HarnessError
    from harness.project import Project

    try:
        home = Project.find(_directory(context)).state_dir / "threads"
        paths = sorted(home.glob("[!.]*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    except (HarnessError, OSError):
        return []
    return [(path.stem, "") for path in paths if path.stem.startswith(incomplete)]


def _directory(context: typer.Context) -> Path:
    """The one on the line so far, else here."""
    given = context.params.get("directory")
    return Path(given) if given else Path()


def _list(path: Path) -> Iterator[tuple[str, str]]:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return
    features = data.get("features") if isinstance(data, dict) else data
    for feature in features if isinstance(features, list) else ():
        if isinstance(feature, dict) and isinstance(feature.get("id"), str):
            about = " ".join(str(feature.get("description", "")).split())
            yield feature["id"], "".join(c if c.isprintable() else " " for c in about[:WORDS])
