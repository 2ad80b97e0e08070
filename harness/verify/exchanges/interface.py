"""What is known of a project's interface before a contract is written: fixed by earlier checks, or by its document.

Contracts of one project must agree with each other as they would about names of elements: a field that one calls
`title` the next may not call `name`. So the author is shown what earlier ones asked and expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.verify.exchanges.items import Expected, Request, Run
from harness.verify.exchanges.openapi import Document
from harness.verify.exchanges.words import expected

if TYPE_CHECKING:
    from harness.verify.check import Contract

CHARACTERS = 4000
EXPECTED = 8
"""Expectations told of what is asked in one way."""
_UNKNOWN_MAY_BE = ("404", "4xx", "405")
"""Statuses that are expected of paths which are not there."""


@dataclass(frozen=True)
class Interface:
    """What is known."""

    fixed: tuple[str, ...] = ()
    """What earlier checks asked and expected, a line an exchange."""
    document: Document = field(default_factory=Document)

    @property
    def text(self) -> str:
        """All that a contract may quote of it."""
        return "\n".join(each.words for each in self.document.operations)

    def problems(self, contract: Contract) -> Iterator[str]:
        """Paths that the document does not have."""
        for index, item in enumerate(contract.items):
            if not isinstance(item, Request) or not self.document.operations or item.path.startswith("{"):
                continue
            after = contract.items[index + 1 :]
            expects = [each for each in after[:EXPECTED] if isinstance(each, Expected) and each.expect == "status"]
            is_wrong_on_purpose = bool(expects) and expects[0].text in _UNKNOWN_MAY_BE
            if not self.document.has(item.method, item.path) and not is_wrong_on_purpose:
                yield f"items[{index}]: the OpenAPI document has no {item.method} {item.path}; take a path it has."


def fixed_by(contracts: Iterable[Contract]) -> tuple[str, ...]:
    """What contracts ask and expect, each exchange once, without their samples; cut to what fits."""
    asked: dict[tuple[str, str], dict[str, None]] = {}
    for contract in contracts:
        for told, outcome, expects in _exchanges(contract):
            asked.setdefault((told, outcome), {}).update(dict.fromkeys(expects))
    lines = [_line(told, list(expects)) for (told, _), expects in asked.items()]
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(line) > CHARACTERS:
            return (*kept, f"... and {len(lines) - len(kept)} more")
        kept.append(line)
    return tuple(kept)


def _exchanges(contract: Contract) -> Iterator[tuple[str, str, list[str]]]:
    """What is asked, how it ends (its status or exit code, where one is expected), what is expected of the answer."""
    told, answers = "", list[Expected]()
    for item in (*contract.items, None):
        if item is None or isinstance(item, Request | Run):
            if told:
                outcome = next((expected(each) for each in answers if each.expect in ("status", "exit_code")), "")
                yield told, outcome, list(map(expected, answers))
            told, answers = _asked(item) if item else "", []
        elif isinstance(item, Expected):
            answers.append(item)


def _line(told: str, expects: list[str]) -> str:
    return f"{told} -> {'; '.join(expects[:EXPECTED])}" if expects else told


def _asked(item: Request | Run) -> str:
    if isinstance(item, Run):
        return f"{' '.join(item.command[:2])} ..." if len(item.command) > 2 else " ".join(item.command)
    body = json.dumps(_shape(item.body)) if item.body is not None else ""
    form = f"form {', '.join(item.form)}" if item.form else ""
    return " ".join(filter(None, [item.method, item.path.partition("?")[0], body, form]))


def _shape(value: Any) -> Any:
    """A value with the names of types in the place of texts and numbers."""
    if isinstance(value, Mapping):
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    return "text" if isinstance(value, str) else "number" if isinstance(value, int | float) else value
