"""Where in JSON a check looks: JSONPath (RFC 9535), without what could take more than a walk through the value.

A path is written by a model and the value by the application, so neither may make the other expensive: one selector a
segment, at most one descent, no functions (they hold regular expressions), filters that look at plain fields only. The
cost is then that of visiting each value once, or once for each plain comparison.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

CHARACTERS = 200
Location = tuple[str | int, ...]


class PlaceError(ValueError):
    """The path is none, or asks for more than may be asked."""


class Place:
    """A path that may be used. Raises: PlaceError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._query = _compiled(path)

    @cached_property
    def is_one(self) -> bool:
        """Whether it leads to one value at most."""
        return self._query.singular_query()

    def find(self, value: JsonValue) -> list[tuple[Location, Any]]:
        """What is there, with where each is. Nothing in a value that is nested too deep."""
        from jsonpath_rfc9535 import JSONPathRecursionError

        try:
            return [(tuple(node.location), node.value) for node in self._query.finditer(value)]
        except (JSONPathRecursionError, RecursionError):
            return []


def _compiled(path: str) -> JSONPathQuery:
    from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError

    if len(path) > CHARACTERS:
        raise PlaceError(f"a path has at most {CHARACTERS} characters")
    try:
        query = JSONPathEnvironment().compile(path)
    except (JSONPathError, RecursionError) as exc:
        raise PlaceError(f"{path!r} is not a JSONPath such as $.items[0].title: {str(exc).splitlines()[0]}") from exc
    if why := next(_costly(query), ""):
        raise PlaceError(f"{path!r} {why}")
    return query


def _costly(query: JSONPathQuery) -> Iterator[str]:
    from jsonpath_rfc9535.filter_expressions import FilterQuery, FunctionExtension
    from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment
    from jsonpath_rfc9535.selectors import FilterSelector

    if sum(isinstance(segment, JSONPathRecursiveDescentSegment) for segment in query.segments) > 1:
        yield "descends more than once (..); name the fields between"
    for segment in query.segments:
        if len(segment.selectors) > 1:
            yield "selects several things at once; use one path for each"
        for selector in segment.selectors:
            for part in _parts(selector.expression) if isinstance(selector, FilterSelector) else ():
                if isinstance(part, FunctionExtension):
                    yield "uses a function; compare plain fields"
                if isinstance(part, FilterQuery) and not part.query.singular_query():
                    yield "searches in a filter; compare plain fields, as in [?@.id == 3]"


def _parts(expression: Any) -> Iterator[Any]:
    yield expression
    for name in ("expression", "left", "right"):
        if (inner := getattr(expression, name, None)) is not None:
            yield from _parts(inner)


def with_value(value: JsonValue, location: Location, new: JsonValue) -> JsonValue:
    """A copy in which something else is at a place."""
    if not location:
        return new
    changed = copy.deepcopy(value)
    _inner(changed, location[:-1])[location[-1]] = new
    return changed


def without(value: JsonValue, location: Location) -> JsonValue:
    """A copy in which nothing is at a place."""
    if not location:
        return None
    changed = copy.deepcopy(value)
    del _inner(changed, location[:-1])[location[-1]]
    return changed


def _inner(value: Any, location: Location) -> Any:
    for key in location:
        value = value[key]
    return value
