"""Pictures as tools return them: what kind and how large, and bytes that a model can be sent."""

from __future__ import annotations

import json
from dataclasses import dataclass

from harness.errors import ToolFailed
from harness.tools import scaling
from harness.tools.apart import run_apart

SECONDS = 20.0
NONE_TAKEN = "this model takes no pictures"
_STARTS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF"}


@dataclass(frozen=True)
class Picture:
    """One picture."""

    kind: str
    """PNG, JPEG, GIF or WEBP."""
    width: int
    height: int
    data: bytes
    """PNG or JPEG, scaled down and encoded anew."""

    def __str__(self) -> str:
        return f"{self.kind}, {self.width} x {self.height} pixels"


def is_picture(data: bytes) -> bool:
    """Whether a file begins as one of the kinds that can be shown."""
    return data.startswith(tuple(_STARTS)) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


async def read_picture(data: bytes) -> Picture:
    """Read a file that begins as a picture.

    Raises: ToolFailed: it goes on as something else, or is too large.
    """
    try:
        told, _, scaled = (await run_apart(scaling.__file__, data, SECONDS)).partition(b"\n")
    except (ToolFailed, TimeoutError) as exc:
        why = f" {exc}" if isinstance(exc, ToolFailed) else ""
        raise ToolFailed(f"This is a binary file that begins as a picture and cannot be shown.{why}") from exc
    return Picture(**json.loads(told), data=scaled)
