"""Outputs that checks compare with: `checks/golden/<feature id>/<name>.txt`.

One is taken when the check is proved, by the first play that passes, and stays: later plays only compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Goldens:
    """The outputs a tree keeps, and those taken since."""

    def __init__(self, directory: Path | None = None) -> None:
        """Open them.

        Args:
            directory: `checks/golden` of a checkout; None or missing: none is kept.
        """
        self._directory = directory
        self._taken: dict[tuple[str, str], str] = {}

    def get(self, feature_id: str, name: str) -> str | None:
        """One output; None: it was never taken."""
        path = self._directory / feature_id / f"{name}.txt" if self._directory else None
        if path and path.is_file():
            return path.read_bytes().decode("utf-8", errors="replace")
        return self._taken.get((feature_id, name))

    def take(self, feature_id: str, outputs: Mapping[str, str]) -> None:
        """Keep the outputs of a play that passed."""
        self._taken |= {(feature_id, name): text for name, text in outputs.items()}

    def taken(self) -> dict[str, str]:
        """`<feature id>/<name>` -> what was taken and is in no checkout yet."""
        return {f"{feature_id}/{name}": text for (feature_id, name), text in self._taken.items()}
