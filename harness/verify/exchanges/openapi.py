"""An OpenAPI document as what it says of an interface: paths that exist, and what goes in and comes out, in words.

It is read as data, of bounded size; references are followed a few levels deep, so that neither a circle nor a document
that unfolds without end costs anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import FeatureFileError
from harness.state_file import file_errors, read_text
from harness.verify.exchanges.files import is_inside

NAMES = ("openapi.json", "openapi.yaml", "openapi.yml")
BYTES = 1 << 20
WORDS = 6000
"""Characters told of a document."""
LEVELS = 4
FIELDS = 20
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    words: str
    """What it is for, takes and answers."""


@dataclass(frozen=True)
class Document:
    """What a document says."""

    operations: tuple[Operation, ...] = ()

    def has(self, method: str, path: str) -> bool:
        """Whether it has a path that this one fits; what is remembered may stand for any part."""
        wanted = path.partition("?")[0].rstrip("/").split("/")
        return any(
            each.method == method and _fits(each.path.rstrip("/").split("/"), wanted) for each in self.operations
        )

    def in_words(self, about: str) -> str:
        """Its operations, those told whole that a text is most likely about; cut to what fits."""
        words = {word for word in re.findall(r"[a-z]{3,}", about.lower())}
        ranked = sorted(
            self.operations, key=lambda each: -len(words & set(re.findall(r"[a-z]{3,}", each.words.lower())))
        )
        left, whole = WORDS, set[Operation]()
        for operation in ranked:
            left -= len(operation.words)
            if left < 0:
                break
            whole.add(operation)
        return "\n".join(each.words if each in whole else f"{each.method} {each.path}" for each in self.operations)[
            : 2 * WORDS
        ]


def _fits(template: list[str], path: list[str]) -> bool:
    def same(part: str, given: str) -> bool:
        return part == given or (bool(given) and "{" in part) or bool(re.fullmatch(r"\{[a-z][a-z0-9_]*\}", given))

    return len(template) == len(path) and all(map(same, template, path))


def find(directory: Path, name: str = "") -> Document:
    """The document of a project as its files are now; an empty one where there is none.

    Args:
        directory: of the project.
        name: of the document; empty: the usual ones.

    Raises: FeatureFileError: it is broken.
    """
    for each in [name] if name else NAMES:
        if is_inside(each) and (path := directory / each).is_file():
            with file_errors(path, "OpenAPI document"):
                text = read_text(path)
            return parse(text, each)
    return Document()


def parse(text: str, name: str) -> Document:
    """Read a document.

    Raises: FeatureFileError: it is none; the person mends it.
    """
    if len(text) > BYTES:
        raise FeatureFileError(f"{name} has more than {BYTES >> 20} MB.", "Give the part that this project serves.")
    try:
        data = json.loads(text) if name.endswith(".json") else _yaml(text)
    except (ValueError, RecursionError) as exc:
        raise FeatureFileError(
            f"{name} cannot be read: {str(exc).splitlines()[0]}", "Mend it, and commit that."
        ) from exc
    paths = data.get("paths") if isinstance(data, dict) else None
    if not isinstance(paths, dict):
        raise FeatureFileError(f"{name} has no `paths`, so it is no OpenAPI document.", "Mend it, and commit that.")
    return Document(tuple(_operations(data, paths)))


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as exc:
        raise ValueError(str(exc)) from exc


def _operations(document: dict[str, Any], paths: Mapping[Any, Any]) -> Iterator[Operation]:
    base = _base(document)
    for path, methods in paths.items():
        for method in METHODS if isinstance(methods, dict) else ():
            operation = methods.get(method)
            if isinstance(operation, dict) and isinstance(path, str):
                whole, name = base + path, method.upper()
                yield Operation(name, whole, f"{name} {whole}{''.join(_told(document, methods, operation))}")


def _base(document: dict[str, Any]) -> str:
    """What stands before all paths."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    url = first.get("url") or document.get("basePath") or ""
    return urlsplit(_word(url)).path.rstrip("/")


def _told(document: dict[str, Any], methods: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    if summary := operation.get("summary") or operation.get("description"):
        yield f": {' '.join(_word(summary).split())[:200]}"
    given = [*_list(methods.get("parameters")), *_list(operation.get("parameters"))]
    for each in given[:FIELDS]:
        parameter = _resolved(document, each)
        schema = parameter.get("schema") or parameter
        must = ", required" if parameter.get("required") else ""
        place, name = _word(parameter.get("in", "body")), _word(parameter.get("name", ""))
        yield f"\n  {place} {name}: {_schema(document, schema)}{must}"
    body = _resolved(document, operation.get("requestBody"))
    for kind, content in _content(body):
        yield f"\n  body {kind}: {_schema(document, content.get('schema'))}"
    responses = operation.get("responses")
    for status, response in list(responses.items())[:FIELDS] if isinstance(responses, dict) else ():
        answer = _resolved(document, response)
        told = [f"{kind} {_schema(document, content.get('schema'))}" for kind, content in _content(answer)]
        yield f"\n  answers {status}{f': {chr(59).join(told)}' if told else ''}"


def _content(value: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    content = value.get("content")
    found = list(content.items())[:3] if isinstance(content, dict) else []
    return [(str(kind), each) for kind, each in found if isinstance(each, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolved(document: dict[str, Any], value: Any) -> dict[str, Any]:
    """A value, or what it refers to in the same document; {} for anything else."""
    for _ in range(LEVELS):
        if not isinstance(value, dict):
            return {}
        reference = value.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return value
        value = document
        for part in reference[2:].split("/"):
            value = value.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return {}


def _schema(document: dict[str, Any], schema: Any, level: int = 0) -> str:
    """A schema on one line: `{title string, tags [string]}`."""
    known = _resolved(document, schema)
    if level >= LEVELS or not known:
        return "…" if known else "anything"
    if values := _list(known.get("enum")):
        told = ["…" if _is_nested(each) else json.dumps(each, default=str) for each in values[:FIELDS]]
        return f"one of {', '.join(told)}"[:1000]
    parts = [each for name in ("allOf", "oneOf", "anyOf") for each in _list(known.get(name))][:LEVELS]
    if parts:
        return " and ".join(_schema(document, each, level + 1) for each in parts)
    if known.get("type") == "array":
        return f"[{_schema(document, known.get('items'), level + 1)}]"
    fields = known.get("properties")
    if isinstance(fields, dict):
        must = {_word(name) for name in _list(known.get("required"))}
        told = [
            f"{name}{'' if name in must else '?'} {_schema(document, inner, level + 1)}"
            for name, inner in list(fields.items())[:FIELDS]
        ]
        return f"{{{', '.join(told)}}}"[:1000]
    return _word(known.get("type")) or "anything"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list | set | tuple)


def _word(value: Any) -> str:
    """A plain value, or a list of such, as text; "" for what is nested: aliases of YAML let it unfold without end."""
    if isinstance(value, list) and not any(map(_is_nested, value)):
        return str(value[:FIELDS])
    return "" if value is None or _is_nested(value) else str(value)
