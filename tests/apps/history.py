"""Commits as the harness makes them, by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.commits import make_message, make_trailers


def git(directory: Path, *words: str, stdin: str = "") -> str:
    command = ["git", "-C", str(directory), *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout


def commit(directory: Path, subject: str, trailers: Mapping[str, str] | None = None, body: str = "") -> str:
    """Everything there is, with trailers; returns the sha."""
    message = make_message(subject, body, trailers or {})
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "--file", "-", stdin=message)
    return git(directory, "rev-parse", "HEAD").strip()


def proved(directory: Path, feature: str, event: str = "", body: str = "") -> str:
    """A pass commit, or a state commit of a feature."""
    return commit(
        directory, f"{feature}: {event or 'done'}", make_trailers("t-1", f"s001-{feature}", feature, event), body
    )
