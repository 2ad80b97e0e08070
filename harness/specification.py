"""The specification as numbered lines, so that every feature can say what it covers and nothing is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_RANGE = re.compile(r"\s*L?(\d+)(?:\s*-\s*L?(\d+))?\s*", re.IGNORECASE)
_NO_DEMAND = re.compile(r"^\s*(#{1,6}\s.*|[-=*_`~\s|:]*)$")
"""Headings, rules, fences and blank lines ask for nothing by themselves."""
_ENDS = re.compile(r"[.!?:;|][\"'\u201d\u2019)\]*_`]*\s*$")
"""The last line of a sentence, or a row of a table."""
_BEGINS = re.compile(r"^\s*([-*+•|>]|\d+[.)])\s")
"""An item of a list."""


class Specification:
    """A text whose lines have numbers, from 1."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()

    @property
    def demands(self) -> frozenset[int]:
        """Numbers of lines that ask for something."""
        return frozenset(n for n, line in enumerate(self.lines, 1) if not _NO_DEMAND.match(line))

    def numbered(self, only: Iterable[int] | None = None) -> str:
        """The text with its numbers; blank lines left out."""
        wanted = set(range(1, len(self.lines) + 1) if only is None else only)
        return "\n".join(f"{n:>4} {line}" for n, line in enumerate(self.lines, 1) if n in wanted and line.strip())

    def covered(self, covers: Iterable[str]) -> frozenset[int]:
        """Numbers named by references such as `12`, `L12` or `12-15`; others are ignored."""
        return frozenset(n for reference in covers for n in self._range(reference) if 1 <= n <= len(self.lines))

    def unknown(self, covers: Iterable[str]) -> list[str]:
        """References that name no line."""
        return [reference for reference in covers if not self.covered([reference])]

    def quote(self, covers: Iterable[str]) -> str:
        """The lines named, without numbers, with those that begin and end their sentences."""
        named = {each for n in self.covered(covers) for each in self._sentences(n)}
        return "\n".join(line for n, line in enumerate(self.lines, 1) if n in named)

    def _sentences(self, number: int) -> range:
        """The lines of the sentences that a line is part of: they may be wrapped, and items need no full stop."""
        first = last = number
        while first > 1 and self._goes_on(first - 1):
            first -= 1
        while last < len(self.lines) and self._goes_on(last):
            last += 1
        return range(first, last + 1)

    def _goes_on(self, number: int) -> bool:
        """Whether a sentence goes on from a line to the next."""
        line, following = self.lines[number - 1 : number + 1]
        ends = _NO_DEMAND.match(line) or _ENDS.search(line)
        return not (ends or _NO_DEMAND.match(following) or _BEGINS.match(following))

    def _range(self, reference: str) -> Iterator[int]:
        for part in reference.split(","):
            if match := _RANGE.fullmatch(part):
                first = int(match[1])
                last = min(int(match[2] or first), len(self.lines))
                yield from range(first, last + 1)
