"""What was answered, as a value: everything that can be judged of it, and nothing that can change afterwards.

Whatever an expectation is about is read from here alone, so a disturbance is another answer, and to judge it costs no
request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

DEEPEST = 60
"""Levels of JSON that are looked into."""


_HALF = re.compile(r"[\ud800-\udfff]")


class NoJson(Exception):
    """The answer is no JSON that could be looked into; the text says why."""


@dataclass(frozen=True)
class Part:
    """One event, or what else came at once, of an answer."""

    at_seconds: float
    """Since the head of the answer came."""
    text: str


@dataclass(frozen=True)
class Answer:
    """The answer to a request, or what a command did."""

    text: str = ""
    """The body, or standard output."""
    status: int | None = None
    """Of HTTP; None: it is a command's."""
    headers: tuple[tuple[str, str], ...] = ()
    parts: tuple[Part, ...] = ()
    ended: bool = True
    """False: the answer went on when it was left, or the command was ended."""
    end_seconds: float = 0.0
    """When the answer was over, since its head came."""
    exit_code: int | None = None
    errors: str = ""
    """Standard error."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of the working directory: path -> content."""
    why_ended: str = ""
    """The limit that ended a command."""

    @property
    def is_of_request(self) -> bool:
        """Whether a service answered, not a command."""
        return self.status is not None

    def header(self, name: str) -> str | None:
        """A header, several of one name joined; None: there is none."""
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        return ", ".join(found) if found else None

    @cached_property
    def data(self) -> Any:
        """The body or output as JSON, its texts writable. Raises: NoJson: it is none."""
        try:
            value = json.loads(self.text)
        except (ValueError, RecursionError) as exc:
            said = "it is empty" if not self.text.strip() else str(exc) or type(exc).__name__
            raise NoJson(f"the {self.what} is no JSON: {said}") from exc
        if _is_deep(value):
            raise NoJson(f"the {self.what} is nested more than {DEEPEST} levels deep")
        return _writable(value)

    @property
    def what(self) -> str:
        """What `text` is, in words."""
        return "body" if self.is_of_request else "output"

    @property
    def lines(self) -> list[str]:
        """The lines that are not blank."""
        return [line for line in self.text.splitlines() if line.strip()]


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _below(each)]
        if not level:
            return False
    return True


def _below(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in inner if isinstance(each, dict | list)]


def writable(text: str) -> str:
    """A text with halves of characters replaced: JSON and file names can hold them, and no file of ours can."""
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, list):
        return [_writable(each) for each in value]
    return {writable(k): _writable(v) for k, v in value.items()} if isinstance(value, dict) else value


def as_text(value: Any) -> str:
    """A value of JSON as one reads it; texts without quotation marks."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
