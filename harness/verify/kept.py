"""What checks compare with: `checks/pictures/<feature id>/<name>.png`, `checks/golden/<feature id>/<name>.txt`.

A picture or an output is taken when the check is proved, by the first play that passes, and stays: later plays only
compare. What is painted over in a picture (`masks`) is so in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Kept:
    """The files of one kind that a tree keeps, and those taken since."""

    def __init__(self, directory: Path | None = None, ending: str = "") -> None:
        """Open them.

        Args:
            directory: `checks/pictures` or `checks/golden` of a checkout; None or missing: none is kept.
            ending: of their names.
        """
        self._directory, self._ending = directory, ending
        self._taken: dict[tuple[str, str], bytes] = {}
        self._anew: set[str] = set()

    def anew(self, feature_id: str) -> None:
        """What the tree keeps of a feature counts no more: it does something else from now on."""
        self._anew.add(feature_id)

    def get(self, feature_id: str, name: str) -> bytes | None:
        """One of them; None: it was never taken."""
        if self._directory and feature_id not in self._anew:
            path = self._directory / feature_id / f"{name}{self._ending}"
            if path.is_file():
                return path.read_bytes()
        return self._taken.get((feature_id, name))

    def take(self, feature_id: str, files: Mapping[str, bytes]) -> None:
        """Keep those of a play that passed."""
        self._taken |= {(feature_id, name): content for name, content in files.items()}

    def taken(self) -> dict[str, bytes]:
        """`<feature id>/<name>` -> what was taken and is in no checkout yet."""
        return {f"{feature_id}/{name}": content for (feature_id, name), content in self._taken.items()}


def kept_pictures(checks_dir: Path) -> Kept:
    """Those of a checkout's `checks`."""
    return Kept(checks_dir / "pictures", ".png")


def kept_outputs(checks_dir: Path) -> Kept:
    """Those of a checkout's `checks`."""
    return Kept(checks_dir / "golden", ".txt")
