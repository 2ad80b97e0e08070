"""What a source file defines: classes, functions and routes, found by tree-sitter, each as it is declared.

Its trees are walked here, and not by its queries: those take the square of the time on trees that are deep or wide.
What lies inside a function is its own affair, so most of a tree is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from harness.tools.syntax import parse

if TYPE_CHECKING:
    from tree_sitter import Node

SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".tsx")
CLASSES = {"class_definition", "class_declaration", "abstract_class_declaration"}
FUNCTIONS = {"function_definition", "function_declaration", "generator_function_declaration", "method_definition"} | {
    *("interface_declaration", "enum_declaration", "type_alias_declaration")
}
ANONYMOUS = {"arrow_function", "function_expression", "generator_function"}
CLOSED = {"comment", "string", "template_string", "regex", "import_statement", "jsx_element"}
"""Nodes in which nothing is defined."""
VERBS = {"get", "post", "put", "patch", "delete", "route", "all"}
DECORATED = re.compile(rb"\.(route|get|post|put|patch|delete)\(\s*(?:path=)?[rf]?[\"'](/[^\"']*)")
SECONDS = 1.0
"""For parsing one file."""
NODES = 50_000
"""Of one file that are looked at."""
WIDTH = 80


@dataclass(frozen=True)
class Symbol:
    """One definition."""

    name: str
    line: int
    text: str
    """How it is declared, on one line."""
    owner: str = ""
    """The class it lies in."""


def symbols(path: str, data: bytes) -> list[Symbol]:
    """In the order in which they stand; empty when nobody can tell."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in SUFFIXES or (tree := parse(suffix, data, SECONDS)) is None:
        return []
    return list(_below(tree.root_node, data))


def _below(root: Node, data: bytes) -> Iterator[Symbol]:
    waiting: list[tuple[Node, str, bytes]] = [(root, "", b"")]
    """(node, class that it lies in, decorators before it)"""
    for _ in range(NODES):
        if not waiting:
            return
        node, owner, decorators = waiting.pop()
        symbol = _symbol(node, owner, decorators, data)
        if symbol:
            yield symbol
        if node.type in CLOSED or (symbol and node.type not in CLASSES):
            continue
        if symbol:
            owner = symbol.name
        before = b"".join(child.text or b"" for child in node.children if child.type == "decorator")
        waiting += [(child, owner, before) for child in reversed(node.children) if child.child_count]


def _symbol(node: Node, owner: str, decorators: bytes, data: bytes) -> Symbol | None:
    if node.type == "call_expression":
        return _route(node, owner)
    name, body = node.child_by_field_name("name"), _body(node)
    if name is None or body is None:
        return None
    declared = re.sub(r"\s*(\{|:|=>|=)\s*$", "", _text(data[node.start_byte : body.start_byte]))
    route = DECORATED.search(decorators)
    said = f"{declared} [{_text(route[1]).upper()} {_text(route[2])}]" if route else declared
    return Symbol(_text(name.text), _line(node), _short(said), owner)


def _body(node: Node) -> Node | None:
    """Where the declaration ends; None: it is none."""
    if node.type in CLASSES | FUNCTIONS:
        return node.child_by_field_name("body") or node.child_by_field_name("value")
    value = node.child_by_field_name("value") if node.type == "variable_declarator" else None
    return value.child_by_field_name("body") if value is not None and value.type in ANONYMOUS else None


def _route(call: Node, owner: str) -> Symbol | None:
    """`app.get("/path", ...)`."""
    function, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    if function is None or arguments is None or function.type != "member_expression":
        return None
    verb, first = function.child_by_field_name("property"), arguments.named_child(0)
    if verb is None or first is None or first.type != "string" or _text(verb.text) not in VERBS:
        return None
    path = _text(first.text).strip("\"'")
    return Symbol(path, _line(call), _short(f"{_text(verb.text).upper()} {path}"), owner) if path[:1] == "/" else None


def _line(node: Node) -> int:
    return int(node.start_point.row) + 1


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", errors="replace")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[:WIDTH]} ..."
