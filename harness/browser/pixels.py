"""What only pixels tell: whether something is painted at all, and how its words stand out from what is behind them.

Two pictures of the page, one with and one without the text in question; what is the same in both was not to be seen.
Style answers nearly always; pictures are taken where an image, a filter, a mask or a layer makes it unsure.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from harness.browser.world import WorldGone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from harness.browser.frames import Place
    from harness.browser.target import Target

    Picture = NDArray[np.int16]
    """Shape: (height, width, 3)."""

NOT_PAINTED = "not to be told from what is behind it"
CHANGING = "the page changed while it was looked at"
LEAST_STEP = 20
"""Of 255 in one colour: less is not noticed."""
LEAST_PIXELS = 5
"""A full stop has more."""


async def settle(target: Target, place: Place, observations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer what style left open in observations, in place, and take the questions out."""
    answers: list[Any] = await _answers(target, place) if are_open(observations) else []
    for element in _elements(observations):
        _decide(element, element.pop("doubt"), answers)
        if "contrast" in element:
            element["contrast"] = _least(element["contrast"], answers)
    return observations


def are_open(observations: list[dict[str, Any]]) -> bool:
    """Whether style left anything open in them."""
    found = _elements(observations)
    return any((e["doubt"] or {}).get("probe") is not None or (e.get("contrast") or {}).get("unsure") for e in found)


def _elements(observations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [element for each in observations for element in each["elements"]]


def _decide(element: dict[str, Any], doubt: dict[str, Any] | None, answers: Sequence[Any]) -> None:
    if doubt is None:
        return
    seen = doubt["seen"] if "seen" in doubt else (answers[doubt["probe"]] if answers else None)
    if not seen:
        element.update(visible=False, in_viewport=False, why_not=CHANGING if seen is None else NOT_PAINTED)


def _least(contrast: dict[str, Any], answers: Sequence[Any]) -> float | None:
    found = [contrast["least"], *(answers[probe] if answers else None for probe in contrast["unsure"])]
    known = [float(ratio) for ratio in found if ratio is not None]
    return round(min(known), 2) if known else None


async def _answers(target: Target, place: Place) -> list[Any]:
    """True or false of each question; a number where it was about contrast. Empty: the document went away meanwhile."""
    try:
        questions = await place.questions()
        shown = await _picture(target)
        try:
            await place.call("veil")
            veiled = await _picture(target)
        finally:
            await place.call("unveil")
        answers = [_answer(question, shown, veiled) for question in questions]
        await place.call("keepAnswers", [answer if isinstance(answer, bool) else None for answer in answers])
    except WorldGone:
        return []
    return answers


def cut_out(screenshot: str, box: Sequence[float], masks: Sequence[Sequence[float]]) -> str:
    """A part of a screenshot, with others painted over.

    Args:
        screenshot: PNG, base64.
        box: x, y, width, height of the part in the window.
        masks: boxes of what is painted over.

    Returns: PNG, base64; "" when the window shows nothing of the part.
    """
    from PIL import Image, ImageDraw

    picture = Image.open(io.BytesIO(base64.b64decode(screenshot))).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for x, y, width, height in masks:
        pen.rectangle((x, y, x + width, y + height), fill="black")
    x, y, width, height = box
    edges = (
        max(0, round(x)),
        max(0, round(y)),
        min(picture.width, round(x + width)),
        min(picture.height, round(y + height)),
    )
    if edges[2] <= edges[0] or edges[3] <= edges[1]:
        return ""
    kept = io.BytesIO()
    picture.crop(edges).save(kept, "PNG")
    return base64.b64encode(kept.getvalue()).decode()


async def _picture(target: Target) -> Picture:
    import numpy as np
    from PIL import Image

    asked = {"format": "png", "optimizeForSpeed": True}
    data = base64.b64decode((await target.send("Page.captureScreenshot", asked, limit=15.0))["data"])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int16)


def _answer(question: dict[str, Any], shown: Picture, veiled: Picture) -> bool | float:
    import numpy as np

    pairs = [(_cut(shown, box), _cut(veiled, box)) for box in question["boxes"]]
    here = np.concatenate([one.reshape(-1, 3) for one, _ in pairs])
    gone = np.concatenate([other.reshape(-1, 3) for _, other in pairs])
    differs = np.abs(here - gone).max(axis=1, initial=0) >= LEAST_STEP
    if question["kind"] == "seen":
        return bool(differs.sum() >= LEAST_PIXELS)
    if not differs.any():
        return 1.0
    return contrast(here[differs], gone[differs], question["colour"])


def _cut(picture: Picture, box: Sequence[float]) -> Picture:
    left, top, right, bottom = (max(0, round(edge)) for edge in box)
    return picture[top:bottom, left:right]


def contrast(words: Picture, behind: Picture, colour: Sequence[int] | None) -> float:
    """WCAG 2 contrast of words whose pixels changed when they were taken away.

    Args:
        words: their pixels, smoothed at the edges. Shape: (n, 3).
        behind: the same places without them. Shape: (n, 3).
        colour: what the words are painted with; None: the strongest of their own pixels tell.

    Source: WCAG 2.2, contrast ratio and relative luminance.
    """
    import numpy as np

    if colour is None:
        return float(np.percentile(_ratio(_luminance(words), _luminance(behind)), 90))
    return float(np.percentile(_ratio(_luminance(np.asarray([colour], dtype=np.int16)), _luminance(behind)), 10))


def _luminance(pixels: Picture) -> NDArray[np.float64]:
    import numpy as np

    parts = pixels / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    shares: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return shares


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    light, dark = np.maximum(one, other), np.minimum(one, other)
    ratio: NDArray[np.float64] = (light + 0.05) / (dark + 0.05)
    return ratio
