"""The language of exchanges: requests and commands, and what is expected of their answers, as data.

The names of an interface (methods, paths, fields, arguments, files) are the interface, so nothing is bound later: a
contract says them, and the coder is told it in words before there is code. What was remembered of an answer may stand
in braces in what is asked later, `{id}`; it is put there as data, escaped, and never read again for braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from harness.verify.exchanges.places import Place, PlaceError

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that bring nothing about."""
Match = Literal["is", "exact", "contains", "matches"]
JsonType = Literal["string", "number", "integer", "boolean", "null", "array", "object"]

ExpectedName = Literal[
    "status", "header", "no_header", "content_type", "body", "streamed",
    "json", "json_some", "json_each", "json_none", "json_exists", "json_absent", "json_type", "json_count",
    "json_order", "unchanged", "changed",
    "exit_code", "output", "errors", "line", "no_line", "lines", "line_order", "file", "no_file", "golden",
]  # fmt: skip
EXPECTATIONS: dict[str, tuple[str, ...]] = {
    "status": ("value",), "header": ("name",), "no_header": ("name",), "content_type": ("value",), "body": ("value",),
    "streamed": ("number",),
    "json": ("at", "value"), "json_some": ("at", "value"), "json_each": ("at", "value"), "json_none": ("at", "value"),
    "json_exists": ("at",), "json_absent": ("at",), "json_type": ("at", "value"), "json_count": ("at", "number"),
    "json_order": ("at", "values"), "unchanged": ("value",), "changed": ("value",),
    "exit_code": ("number",), "output": ("value",), "errors": ("value",), "line": ("value",), "no_line": ("value",),
    "lines": ("number",), "line_order": ("values",), "file": ("name",), "no_file": ("name",), "golden": ("value",),
}  # fmt: skip
"""What each cannot do without."""
OF_REQUESTS = frozenset({"status", "header", "no_header", "content_type", "body", "streamed"})
OF_COMMANDS = frozenset(
    {"exit_code", "output", "errors", "line", "no_line", "lines", "line_order", "file", "no_file", "golden"}
)
"""Other expectations are about the answers of both."""


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    step: int = Field(ge=1)
    """1-based line of the feature's `steps` this belongs to."""
    user: str = Field(default="", alias="as")
    """Whose cookies are sent and kept: each name has its own."""


class Request(_Item):
    """Asks the service for something. Redirects are not followed; their answer is the answer."""

    act: Literal["request"]
    method: Method
    path: str
    """Begins with `/`, query included; or is one remembered address of the service, `{next}`."""
    headers: dict[str, str] = Field(default_factory=dict)
    body: JsonValue = Field(default=None, alias="json")
    form: dict[str, str] | None = None
    text: str | None = None
    until: bool = False
    """Asked again, some seconds at most, until what is expected of the answer holds: for what takes a while."""
    parts: int | None = Field(default=None, ge=1)
    """Read so many events or lines, then go away: for an answer that does not end."""
    given: tuple[str, ...] = ()
    """Texts of it that only work as they stand: an account that is there already, a word of the interface."""

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if sum(body is not None for body in (self.body, self.form, self.text)) > 1:
            raise ValueError("a request has one body: json, form or text")
        return self


class Run(_Item):
    """Runs a command in the working directory of the check, which is empty at its beginning."""

    act: Literal["run"]
    command: tuple[str, ...] = Field(min_length=1)
    """The program's name and its arguments, each as it is: no shell reads them. `{project}` is where the project is."""
    stdin: str = ""
    env: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    """Laid into the working directory before: path -> content."""
    given: tuple[str, ...] = ()
    """As for a request."""


class Remember(_Item):
    """Keeps something of the last answer under a name: a JSON value, a header, a file, or all that was answered."""

    act: Literal["remember"]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    at: str | None = None
    """JSONPath of one value."""
    header: str | None = None
    file: str | None = None


class RestartService(_Item):
    """Stops the service and starts it again, on the data it has."""

    act: Literal["restart_service"]


class Expected(_Item):
    """Something that is so with the last answer.

    `value` means: status: `201`, or `4xx`; header, content_type, body, output, errors, line, no_line, file: that text;
    json, json_some, json_each, json_none: the value, of its own type; json_type: the type; unchanged, changed: the
    remembered name; golden: the name under which the output is kept.
    """

    expect: ExpectedName
    value: JsonValue = None
    match: Match = "is"
    """How a text compares: whole (blanks folded), whole with every blank (exact), contained, or as a regular
    expression. Of JSON `is` and `exact` are the same, and a list contains what is one of its values."""
    at: str | None = None
    """json...: JSONPath (RFC 9535) in the answer's body or the output; unchanged, changed: what was remembered."""
    name: str | None = None
    """header, no_header: its name; file, no_file: its path in the working directory; golden: a file, not the output."""
    number: int | None = Field(default=None, ge=0)
    """json_count, lines: how many; streamed: how many parts at least come one after another; exit_code: the code."""
    values: tuple[JsonValue, ...] = ()
    """json_order, line_order: these, in this order; others may stand between."""
    source: Literal["quoted", "assumed"] = "quoted"
    """Whether what it names stands in the feature's text or was assumed by the author."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        missing = [field for field in EXPECTATIONS[self.expect] if getattr(self, field) in (None, ())]
        if missing:
            raise ValueError(f"{self.expect} needs {', '.join(missing)}")
        if self.expect == "golden" and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", self.text):
            raise ValueError(f"golden takes a name of small letters, digits and -, not {self.value!r}")
        return self

    @property
    def says_absent(self) -> bool:
        """Whether it holds where nothing of what it names is there."""
        return self.expect in ("no_header", "json_none", "json_absent", "no_line", "no_file") or (
            self.expect in ("json_count", "lines") and self.number == 0
        )

    @property
    def text(self) -> str:
        """`value` where it is a text; a number as it is written."""
        return self.value if isinstance(self.value, str) else "" if self.value is None else str(self.value)


ExchangeAct = Request | Run | Remember | RestartService
ExchangeItem = ExchangeAct | Expected
ACTS = (Request, Run, Remember, RestartService)
ITEMS = (*ACTS, Expected)


def place_of(item: Expected | Remember) -> Place | None:
    """Where in JSON it looks; None: nowhere. Raises: PlaceError: it is no path that may be used."""
    return Place(item.at) if item.at is not None else None


def place_problem(item: Expected | Remember) -> str:
    """Why its path cannot be used; empty when it can."""
    try:
        place_of(item)
    except PlaceError as exc:
        return str(exc)
    return ""


def mapped(value: JsonValue, change: Callable[[str], Any]) -> Any:
    """A JSON value with each text in it changed; the names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(each, change) for each in value]
    if isinstance(value, Mapping):
        return {name: mapped(each, change) for name, each in value.items()}
    return value
