"""How alike two pictures are that a check compares."""

from __future__ import annotations

import io

from harness.verify.judge import Likeness

LEAST_STEP = 24
"""Of 255 in one colour: less comes from smoothing of edges."""


def likeness(now: bytes, kept: bytes) -> Likeness:
    """The share of pixels in which two pictures (PNG) differ; pictures of other sizes differ in all."""
    from PIL import Image, ImageChops

    one, other = (Image.open(io.BytesIO(data)).convert("RGB") for data in (now, kept))
    if one.size != other.size:
        return Likeness(1.0)
    bands = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    return Likeness(sum(most.histogram()[LEAST_STEP:]) / max(1, one.width * one.height))
