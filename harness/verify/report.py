"""The report of a verify for people: one HTML file that needs nothing else, no network and no script.

Everything in it that a page, a server or a model said is escaped, and a Content-Security-Policy allows nothing but the
one style sheet and pictures within the file; so the report of a hostile application is only text and pictures.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.project import write_atomic

if TYPE_CHECKING:
    from harness.verify.standalone import Replayed, Replays

TEMPLATES = Path(__file__).parent / "report_html"
PICTURES_BYTES = 60_000_000
"""Of all pictures in a report; failures come first."""
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that command a terminal or turn the reading direction."""
_PICTURE = re.compile(r"(\d+)-step-(\d+)\.png")


@dataclass(frozen=True)
class Picture:
    """One frame of a film strip."""

    step: int
    held: bool
    words: str
    data: str
    """The PNG in base64."""


@dataclass(frozen=True)
class Item:
    """One line of a check."""

    words: str
    mark: str
    """held, broke, or open: it never came to that."""
    expected: str = ""
    seen: str = ""
    locator: str = ""


@dataclass(frozen=True)
class Step:
    """A line of the feature and what the check does for it."""

    number: int
    words: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Shown:
    """A feature as the report shows it."""

    result: Replayed
    steps: tuple[Step, ...] = ()
    broke: Item | None = None
    where: str = ""
    """The step that broke, in words."""
    pictures: tuple[Picture, ...] = ()
    left_out: int = 0
    """Pictures there was no room for."""
    surroundings: dict[str, str] = field(default_factory=dict)
    """What page and server said, by title."""


def write_report(directory: Path, name: str, replays: Replays) -> Path:
    """Write `index.html`; returns its path.

    Args:
        directory: made when missing.
        name: of the project.
        replays: what to show.

    Raises: SetupError: it cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    directory.mkdir(parents=True, exist_ok=True)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"said": said, "head": head}
    text = environment.get_template("index.html.j2").render(
        name=name,
        replays=replays,
        shown=_all(replays.results),
        passed=sum(result.passed for result in replays.results),
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )
    path = directory / "index.html"
    write_atomic(path, text.encode(errors="replace"))
    return path


def said(text: str) -> str:
    """Foreign text without what would make it look like something else; escaping is the template's."""
    return _COMMANDS.sub(" ", text)


def head(reason: str) -> str:
    """A reason without what page and server said, which is shown apart."""
    return reason.partition("\n<<data")[0]


def _all(results: Sequence[Replayed]) -> list[Shown]:
    """In the order of the list; room for pictures is given to failures first."""
    left = PICTURES_BYTES
    shown: dict[str, Shown] = {}
    for result in sorted(results, key=lambda result: result.passed and not result.flaky):
        shown[result.feature_id], left = _shown(result, left)
    return [shown[result.feature_id] for result in results]


def _shown(result: Replayed, left: int) -> tuple[Shown, int]:
    evidence = Path(result.evidence) if result.evidence else None
    data = _read(evidence / "result.json") if evidence else {}
    if evidence is None or not data:
        return Shown(result), left
    rows = data["items"]
    steps = tuple(_steps(result.steps, rows))
    broken = next((row for row in rows if not row["held"]), None)
    pictures, left_out = [], 0
    for path in sorted(evidence.glob("*.png")):
        if path.stat().st_size > left:
            left_out += 1
            continue
        left -= path.stat().st_size
        pictures.append(_picture(path, rows))
    where = _step_words(result.steps, broken["step"]) if broken else ""
    broke = _item(broken) if broken else None
    return Shown(result, steps, broke, where, tuple(pictures), left_out, dict(_surroundings(data))), left


def _read(path: Path) -> dict[str, Any]:
    """Evidence that is gone or unreadable is none; the verdict stands without it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _steps(lines: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[Step]:
    reached = max((row["step"] for row in rows), default=0)
    for number in range(1, max(len(lines), reached) + 1):
        items = tuple(_item(row) for row in rows if row["step"] == number)
        yield Step(number, lines[number - 1] if number <= len(lines) else "", items)


def _step_words(lines: Sequence[str], number: int) -> str:
    return f"Step {number}: {lines[number - 1]}" if 0 < number <= len(lines) else f"Step {number}"


def _item(row: dict[str, Any]) -> Item:
    mark = {True: "held", False: "broke"}.get(row["held"], "broke")
    return Item(row["words"], mark, row["expected"], row["seen"] or row["reason"], row["locator"])


def _picture(path: Path, rows: Sequence[dict[str, Any]]) -> Picture:
    named = _PICTURE.fullmatch(path.name)
    index, step = (int(named[1]) - 1, int(named[2])) if named else (-1, 0)
    row = next((row for row in rows if row["index"] == index), None)
    held = all(row["held"] for row in rows if row["step"] == step and row["index"] >= index)
    words = row["words"] if row else ""
    return Picture(step, held, words, base64.b64encode(path.read_bytes()).decode())


def _surroundings(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
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
