"""A map of the code for the brief: what is defined where, in the files that matter most to a feature.

A file matters when its path and its identifiers have the feature's words, when files that have them name it, when many
files name it, and when it was changed lately. Words of which every file is full count little. All files are looked at
as words, which is quick; only the first are parsed. A small tree gets no map: reading it costs less than being told.

Parsers are programs in C, and what they parse may be anything: they run in a process of their own, for a bounded time,
and where that fails there is no map.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from harness.errors import ToolFailed
from harness.symbols import SUFFIXES, Symbol, symbols

MAP_TOKENS = 1200
SHARE = 10
"""The map is at most this part of what it tells of."""
SMALL_CHARACTERS = 16_000
"""Of a smaller tree the list of files is enough."""
FILE_BYTES = 1 << 17
ALL_BYTES = 4 << 20
SECONDS = 5.0
"""After which the map is what is known by then. Many times what it takes, so that two runs differ on no machine."""
COMMITS = 20
"""Looked at for what was changed lately."""
PARSED = 30
"""Files that are parsed."""
LEAST = 200
"""Characters in which no file can be told."""
SYMBOLS = 8
"""Shown of one file, and the classes that they lie in."""
CONSTRUCTORS = ("__init__", "constructor")
LONG_LINES = 300
"""Characters of a mean line; beyond it a program wrote the file."""
RECENT, NAMED, NEAR = 0.3, 0.3, 0.5
"""Weights beside that of the words, which is 1: changed lately, named by many, named by a file that has the words."""
TESTS = 0.5
"""Part of its weight that a test has: it is about the code."""
ENDINGS = SUFFIXES

_CHARACTERS_PER_TOKEN = 4
_IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,}")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TEST = re.compile(r"(^|/)(tests?|__tests__|spec)/|(^|/)test_|[._](test|spec)\.")


@dataclass(frozen=True)
class _File:
    """A source file as words."""

    path: str
    data: bytes
    identifiers: frozenset[bytes]
    words: frozenset[str]
    """Those of its identifiers that are wanted."""
    in_path: frozenset[str]

    @cached_property
    def name(self) -> bytes:
        """By which other files know it."""
        path = PurePosixPath(self.path)
        named = path.parent.name if path.stem in ("index", "__init__", "main") and path.parent.name else path.stem
        return named.encode(errors="replace")


async def outline(sources: Mapping[str, bytes], wanted: str, changed: Sequence[Sequence[str]]) -> str:
    """The map; empty where it is worth nothing, or cannot be had.

    Args:
        sources: path -> content.
        wanted: the words of the feature and its contract.
        changed: paths by commit, newest first.
    """
    from harness.tools.apart import run_apart  # here, because the program has no use for asyncio

    if sum(map(len, sources.values())) < SMALL_CHARACTERS:
        return ""
    sizes = {path: len(data) for path, data in sources.items()}
    asked = json.dumps({"sizes": sizes, "wanted": wanted, "changed": [list(paths) for paths in changed]}).encode()
    try:
        told = await run_apart(__file__, b"\n".join([asked, b"".join(sources.values())]), 2 * SECONDS)
    except (ToolFailed, TimeoutError):
        return ""
    return told.decode()


def main() -> None:
    """Read the question from standard input: a line of JSON, then all sources; write the map."""
    asked, _, rest = sys.stdin.buffer.read().partition(b"\n")
    question, sources, at = json.loads(asked), {}, 0
    for path, size in question["sizes"].items():
        sources[path], at = rest[at : at + size], at + size
    drawn = draw(sources, question["wanted"], question["changed"])
    sys.stdout.buffer.write(drawn.encode(errors="replace"))


def draw(sources: Mapping[str, bytes], wanted: str, changed: Sequence[Sequence[str]]) -> str:
    """The map, drawn in this process; the arguments are those of `outline`."""
    end = time.monotonic() + SECONDS
    asked_for = _words_of(re.findall(r"[^\W\d_]{3,}", wanted))
    files = _as_words(sources, asked_for, end)
    weights = _weights(asked_for, files)
    left = min(MAP_TOKENS * _CHARACTERS_PER_TOKEN, sum(map(len, sources.values())) // SHARE)
    told: list[str] = []
    for file in _ranked(files, weights, changed)[:PARSED]:
        if time.monotonic() > end or left < LEAST:
            break
        block = _told(file, weights, files)
        if block and len(block) < left:
            told.append(block)
            left -= len(block) + 1
    return "\n".join(told)


def _as_words(sources: Mapping[str, bytes], wanted: frozenset[str], end: float) -> list[_File]:
    likely = re.compile("|".join(sorted(wanted)).encode() or b"(?!)", re.IGNORECASE)
    known: dict[bytes, frozenset[str]] = {}
    files = []
    for path, data in sources.items():
        if time.monotonic() > end:
            break
        if len(data) > LONG_LINES * (data.count(b"\n") + 1):
            continue
        identifiers = frozenset(_IDENTIFIER.findall(data))
        for new in identifiers - known.keys():
            known[new] = _words_of([new.decode()]) & wanted if likely.search(new) else frozenset()
        words = frozenset().union(*filter(None, map(known.__getitem__, identifiers)))
        files.append(_File(path, data, identifiers, words, _words_of([path]) & wanted))
    return files


def _words_of(texts: Sequence[str]) -> frozenset[str]:
    """`addTask`, `add_tasks` -> add, task."""
    words = (part.lower() for text in texts for part in _PARTS.findall(text))
    return frozenset(word.removesuffix("s") if len(word) > 3 else word for word in words if len(word) > 2)


def _weights(wanted: frozenset[str], files: Sequence[_File]) -> dict[str, float]:
    """What each wanted word tells: the fewer files have it, the more."""
    have = Counter(word for file in files for word in wanted & (file.words | file.in_path))
    return {word: math.log(len(files) / count) + 0.1 for word, count in have.items()}


def _ranked(files: Sequence[_File], weights: Mapping[str, float], changed: Sequence[Sequence[str]]) -> list[_File]:
    fits = {file.path: _weight(file.words, weights) + 2 * _weight(file.in_path, weights) for file in files}
    naming = {file.path: [other for other in files if file.name in other.identifiers] for file in files}
    recent: dict[str, float] = {}
    for age, paths in enumerate(changed):
        for path in paths:
            recent.setdefault(path, 1 / (1 + age))
    most = max(fits.values(), default=0) or 1
    many = max(map(len, naming.values()), default=0) or 1

    def score(file: _File) -> float:
        near = max((fits[other.path] for other in naming[file.path]), default=0) / most
        named = math.log1p(len(naming[file.path])) / math.log1p(many)
        whole = fits[file.path] / most + NEAR * near + NAMED * named + RECENT * recent.get(file.path, 0)
        return whole * (TESTS if _TEST.search(file.path) else 1)

    return sorted(files, key=lambda file: (-score(file), file.path))


def _weight(words: frozenset[str], weights: Mapping[str, float]) -> float:
    return sum(weights[word] for word in words & weights.keys())


def _told(file: _File, weights: Mapping[str, float], files: Sequence[_File]) -> str:
    """A file with the symbols that tell most, in the order in which they stand."""
    found = symbols(file.path, file.data)

    def worth(symbol: Symbol) -> float:
        used = sum(symbol.name.encode() in other.identifiers for other in files)
        told = _weight(_words_of([symbol.name]), weights) + math.log(max(used, 1))
        return told - bool(symbol.owner) - symbol.name.startswith("_") - 9 * (symbol.name in CONSTRUCTORS)

    chosen = sorted(found, key=lambda symbol: -worth(symbol))[:SYMBOLS]
    owners = {symbol.owner for symbol in chosen}
    shown = [s for s in found if s in chosen or (s.name in owners and not s.owner)]
    lines = [f"{'    ' if s.owner else '  '}{s.line}: {s.text}" for s in shown]
    more = [f"  ... {len(found) - len(shown)} more"] if len(found) > len(shown) else []
    return "\n".join([f"{file.path} ({file.data.count(10)} lines)", *lines, *more]) if lines else ""


if __name__ == "__main__":
    main()
