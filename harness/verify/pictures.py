"""Pictures that checks compare with: `checks/pictures/<feature id>/<name>.png`.

A picture is taken when the check is authored, by the first play that passes, and stays: later plays only compare. What
is painted over (`masks`) is so in both.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from harness.verify.judge import Likeness

LEAST_STEP = 24
"""Of 255 in one colour: less comes from smoothing of edges."""


class Pictures:
    """The pictures a tree keeps, and those taken since."""

    def __init__(self, directory: Path | None = None) -> None:
        """Open them.

        Args:
            directory: `checks/pictures` of a checkout; None or missing: none is kept.
        """
        self._directory = directory
        self._taken: dict[tuple[str, str], bytes] = {}

    def get(self, feature_id: str, name: str) -> bytes | None:
        """One picture as PNG; None: it was never taken."""
        path = self._directory / feature_id / f"{name}.png" if self._directory else None
        if path and path.is_file():
            return path.read_bytes()
        return self._taken.get((feature_id, name))

    def take(self, feature_id: str, pictures: Mapping[str, bytes]) -> None:
        """Keep the pictures of a play that passed."""
        self._taken |= {(feature_id, name): png for name, png in pictures.items()}

    def taken(self) -> dict[str, bytes]:
        """`<feature id>/<name>` -> PNG of what was taken and is in no checkout yet."""
        return {f"{feature_id}/{name}": png for (feature_id, name), png in self._taken.items()}


def likeness(now: bytes, kept: bytes) -> Likeness:
    """The share of pixels in which two pictures (PNG) differ; pictures of other sizes differ in all."""
    from PIL import Image, ImageChops

    one, other = (Image.open(io.BytesIO(data)).convert("RGB") for data in (now, kept))
    if one.size != other.size:
        return Likeness(1.0)
    bands = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    return Likeness(sum(most.histogram()[LEAST_STEP:]) / max(1, one.width * one.height))
