"""What a parser finds wrong in a file that was just written: told at once, where the edit is still in mind.

The parsers are tree-sitter's, which go on after an error. What they find is a hint and refuses nothing: a file may be
of a newer form of its language, or be written in two steps. They are programs in C and the text may be anything, so
they run in a process of their own; where that fails there is no hint.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from harness.errors import ToolFailed

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

GRAMMARS = {
    ".py": ("tree_sitter_python", "language"),
    ".js": ("tree_sitter_javascript", "language"),
    ".mjs": ("tree_sitter_javascript", "language"),
    ".cjs": ("tree_sitter_javascript", "language"),
    ".jsx": ("tree_sitter_javascript", "language"),
    ".ts": ("tree_sitter_typescript", "language_typescript"),
    ".mts": ("tree_sitter_typescript", "language_typescript"),
    ".tsx": ("tree_sitter_typescript", "language_tsx"),
    ".json": ("tree_sitter_json", "language"),
    ".html": ("tree_sitter_html", "language"),
    ".htm": ("tree_sitter_html", "language"),
    ".css": ("tree_sitter_css", "language"),
}
"""Suffix -> module and function of the grammar."""
MOST_BYTES = 1 << 18
PARSE_SECONDS = 0.5
SECONDS = 10.0
"""For the whole process: many times what it takes, so that two runs differ on no machine."""
CHUNK = 1 << 16
MOST_NODES = 200_000
SHOWN = 5
NEAR = 60
"""Characters of the text that are shown where it cannot be parsed."""


async def syntax_errors(path: str, text: str) -> str:
    """Up to five places that cannot be parsed, in words for the model; empty when all can, or nobody can tell."""
    from harness.tools.apart import run_apart  # here, because the program has no use for asyncio

    suffix = PurePosixPath(path).suffix.lower()
    data = text.encode("utf-8", errors="replace")
    if suffix not in GRAMMARS or len(data) > MOST_BYTES:
        return ""
    try:
        return (await run_apart(__file__, f"{suffix}\n".encode() + data, SECONDS)).decode()
    except (ToolFailed, TimeoutError):
        return ""


def main() -> None:
    """Read the suffix, a line, and the text from standard input; write what is wrong with it."""
    suffix, _, data = sys.stdin.buffer.read().partition(b"\n")
    sys.stdout.buffer.write(errors_in(suffix.decode(), data).encode(errors="replace"))


def errors_in(suffix: str, data: bytes) -> str:
    """As `syntax_errors`, found in this process."""
    if (tree := parse(suffix, data, PARSE_SECONDS)) is None:
        return ""
    wrong = _WRONG.get(suffix, _unparsed)(tree.root_node)
    lines = list(dict.fromkeys(_said(node, data) for node in wrong))
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join(["It cannot be parsed:", *lines[:SHOWN], *more]) if lines else ""


def parse(suffix: str, data: bytes, seconds: float) -> Tree | None:
    """The tree of a text; None when that takes too long, as nobody waits for a hint."""
    end = time.monotonic() + seconds
    parser = _parser(suffix)
    try:
        return parser.parse(lambda at, _: data[at : at + CHUNK], progress_callback=lambda *_: time.monotonic() > end)
    except ValueError:
        parser.reset()  # else it would go on with this text at the next
        return None


@cache
def _parser(suffix: str) -> Parser:
    from tree_sitter import Language, Parser

    module, function = GRAMMARS[suffix]
    return Parser(Language(getattr(import_module(module), function)()))


def _unparsed(root: Node) -> Iterator[Node]:
    """What is missing or belongs to nothing, outermost and in order."""
    waiting = [root] if root.has_error else []
    while waiting:
        node = waiting.pop()
        if node.is_missing or node.is_error:
            yield node
        elif node.has_error:
            waiting += reversed(node.children)


def _unopened(root: Node) -> Iterator[Node]:
    """End tags without a beginning: all else that its grammar finds wrong in a page, browsers take as it is."""
    for node in islice(_all_below(root), MOST_NODES):
        if node.type == "erroneous_end_tag":
            yield node


def _all_below(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def _unbalanced(root: Node) -> Iterator[Node]:
    """Braces: of rules the grammar knows only the older ones."""
    end = len((root.text or b"").rstrip())
    for node in _unparsed(root):
        if node.is_missing or node.text == b"}" or (node.parent == root and node.end_byte >= end):
            yield node


_WRONG = {".html": _unopened, ".htm": _unopened, ".css": _unbalanced}


def _said(node: Node, data: bytes) -> str:
    line = node.start_point.row + 1
    if node.is_missing:
        return f"line {line}: {node.type!r} is missing"
    near = data[node.start_byte : node.end_byte].decode("utf-8", errors="replace").strip().split("\n")[0]
    return f"line {line}: near {near[:NEAR]!r}"


if __name__ == "__main__":
    main()
