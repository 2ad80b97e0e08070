"""Making a picture one that a model can be sent: a program of its own, with little memory and time.

Whoever made the picture may have made it to harm who decodes it. What comes out is encoded anew by us: without what
else lay in the file, its first frame, upright, no larger than models look at, as PNG, or as JPEG where that would be
too big.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = ("PNG", "JPEG", "GIF", "WEBP")
LONGEST_SIDE = 1568
"""Pixels; more is scaled down by most endpoints. Source: vision guides of OpenAI and Anthropic."""
MOST_BYTES = 256 << 10
"""Of the picture that is sent; base64 makes it a third larger."""
MOST_PIXELS = 40_000_000
CPU_SECONDS = 10
QUALITIES = (85, 60)


def scaled(data: bytes) -> tuple[dict[str, object], bytes]:
    """What the picture is (kind, width, height in pixels), and the one to send.

    Raises: ValueError, OSError: it is no picture, or too large a one.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=KINDS) as found:
        width, height = found.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width} x {height} pixels are too many")
        found.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a large JPEG is decoded smaller
        picture = ImageOps.exif_transpose(found)
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return {"kind": found.format, "width": width, "height": height}, _encoded(picture)


def _encoded(picture: Image) -> bytes:
    """As good as it can be in so many bytes."""
    encoded = _as(picture, "PNG")
    flat = picture if picture.mode == "RGB" else _on_white(picture)
    for quality in QUALITIES:
        if len(encoded) > MOST_BYTES:
            encoded = _as(flat, "JPEG", quality=quality)
    while len(encoded) > MOST_BYTES:
        flat = flat.reduce(2)
        encoded = _as(flat, "JPEG", quality=QUALITIES[-1])
    return encoded


def _on_white(picture: Image) -> Image:
    from PIL import Image

    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _as(picture: Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def main() -> None:
    """Read a picture from standard input; write a line of JSON about it, then the picture to send."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    told, picture = scaled(sys.stdin.buffer.read())
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + picture)


if __name__ == "__main__":
    main()
