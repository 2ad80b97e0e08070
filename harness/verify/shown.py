"""What a report shows of one replay, read from its evidence: a film strip, what held and broke, what surrounded it.

Evidence is put away in time and may be gone in part: what is left is shown, the verdict stands without it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

_PICTURE = re.compile(r"(\d+)-step-(\d+)\.png")
Mark = Literal["held", "broke", "open", ""]
"""open: it never came to that; empty: nothing is known of a replay."""


@dataclass(frozen=True)
class Picture:
    """One frame of a film strip."""

    step: int
    mark: Mark
    words: str
    data: str
    """The PNG in base64."""


@dataclass(frozen=True)
class Item:
    """One line of a check."""

    words: str
    mark: Mark
    expected: str = ""
    seen: str = ""
    locator: str = ""
    proof: str = ""
    """How it was shown to be able to fail."""
    index: int = -1
    """Its place in the contract."""
    answered: str = ""
    """What a request or command was answered."""


@dataclass(frozen=True)
class Step:
    """A line of the feature and what the check does for it."""

    number: int
    words: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Shown:
    """One replay as a report shows it; empty when its evidence is gone."""

    steps: tuple[Step, ...] = ()
    broke: Item | None = None
    where: str = ""
    """The step that broke, in words."""
    pictures: tuple[Picture, ...] = ()
    left_out: int = 0
    """Pictures there was no room for."""
    surroundings: dict[str, str] = field(default_factory=dict)
    """What page and server said, by title."""
    picture_bytes: int = 0


def show(evidence: Path | None, lines: Sequence[str], room: int) -> Shown:
    """Read the evidence of one replay.

    Args:
        evidence: its directory; None: there is none.
        lines: the feature's own steps.
        room: bytes of pictures there is room for.
    """
    data = _read(evidence / "result.json") if evidence else {}
    if evidence is None or not data:
        return Shown()
    rows = data["items"]
    broken = _broken(rows)
    pictures, used, left_out = [], 0, 0
    for path in sorted(evidence.glob("*.png")):
        raw = _bytes_of(path)
        if not raw or used + len(raw) > room:
            left_out += 1
            continue
        used += len(raw)
        pictures.append(_picture(path, raw, rows, broken))
    return Shown(
        steps=tuple(_steps(lines, rows, broken)),
        broke=_item(broken, broken) if broken else None,
        where=step_words(lines, broken["step"]) if broken else "",
        pictures=tuple(pictures),
        left_out=left_out,
        surroundings=dict(_surroundings(data)),
        picture_bytes=used,
    )


def step_words(lines: Sequence[str], number: int) -> str:
    """A step by its number and line."""
    return f"Step {number}: {lines[number - 1]}" if 0 < number <= len(lines) else f"Step {number}"


def _read(path: Path) -> dict[str, Any]:
    """Evidence that is gone or unreadable is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) and _is_whole(data.get("items")) else {}


def _is_whole(rows: Any) -> bool:
    wanted = {"index", "held", "step", "words", "expected", "seen", "reason", "locator"}
    return isinstance(rows, list) and all(isinstance(row, dict) and wanted <= row.keys() for row in rows)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # put away meanwhile
        return b""


def _broken(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first that did not hold; what only waits for its witness comes after what failed."""
    not_held = [row for row in rows if not row["held"]]
    return next((row for row in not_held if not row.get("deferred")), not_held[0] if not_held else None)


def _steps(lines: Sequence[str], rows: Sequence[Mapping[str, Any]], broken: Mapping[str, Any] | None) -> Iterator[Step]:
    """All steps; of those after the one that broke nothing is claimed, whatever was seen at the same moment."""
    reached = max((row["step"] for row in rows), default=0)
    for number in range(1, max(len(lines), reached) + 1):
        of_step = [row for row in rows if row["step"] == number and not (broken and number > broken["step"])]
        items = tuple(_item(row, broken) for row in of_step)
        yield Step(number, lines[number - 1] if number <= len(lines) else "", items)


def _item(row: Mapping[str, Any], broken: Mapping[str, Any] | None) -> Item:
    mark: Mark = "held" if row["held"] else "broke"
    if broken and row["index"] > broken["index"]:
        mark = "open" if row["held"] or row.get("deferred") else "broke"
    seen, answered = row["seen"] or row["reason"], row.get("answered", "")
    return Item(row["words"], mark, row["expected"], seen, row["locator"], "", row["index"], answered)


def _picture(path: Path, raw: bytes, rows: Sequence[Mapping[str, Any]], broken: Mapping[str, Any] | None) -> Picture:
    named = _PICTURE.fullmatch(path.name)
    index, step = (int(named[1]) - 1, int(named[2])) if named else (-1, 0)
    row = next((row for row in rows if row["index"] == index), None)
    of_step = [row["index"] for row in rows if row["step"] == step and row["index"] >= index]
    mark: Mark = "held"
    if broken and index > broken["index"]:
        mark = "open"
    elif broken and broken["index"] in (index, *of_step):
        mark = "broke"
    return Picture(step, mark, row["words"] if row else "", base64.b64encode(raw).decode())


def _surroundings(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for page in data.get("pages", ()):
        of = f" ({page['user']})" if page.get("user") else ""
        blocks = {
            "The page": page.get("unreadable", ""),
            "Console": "\n".join(page.get("console", ())),
            "Dialogs": "\n".join(f"{d['type']}: {d['message']}" for d in page.get("dialogs", ())),
            "Failed requests": "\n".join(page.get("failed_requests", ())),
            "What the page shows": page.get("shows", ""),
        }
        yield from ((title + of, text) for title, text in blocks.items() if text)
    if data.get("server_log"):
        yield "Server log", data["server_log"]
