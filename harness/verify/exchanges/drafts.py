"""What authors of contracts submit for projects without pages: the vocabulary of their kind, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from harness.verify.exchanges.items import Expected, Remember, Request, RestartService, Run

if TYPE_CHECKING:
    from harness.verify.check import Contract, Flow

_OF_ACTS_ONLY = {"given", "until", "parts"}


class ServiceExpected(Expected):
    """Something that is so with the last answer."""

    expect: Literal[
        "status", "header", "no_header", "content_type", "body", "streamed", "json", "json_some", "json_each",
        "json_none", "json_exists", "json_absent", "json_type", "json_count", "json_order", "unchanged", "changed",
    ]  # fmt: skip


class ProgramExpected(Expected):
    """Something that is so with what the last command did."""

    expect: Literal[
        "exit_code", "output", "errors", "line", "no_line", "lines", "line_order", "file", "no_file", "golden",
        "json", "json_some", "json_each", "json_none", "json_exists", "json_absent", "json_type", "json_count",
        "json_order", "unchanged", "changed",
    ]  # fmt: skip


def _kind(item: Any) -> str:
    if isinstance(item, dict):
        return "expect" if "expect" in item else str(item.get("act"))
    return "expect" if isinstance(item, Expected) else str(item.act)


ServiceItem = Annotated[
    Annotated[Request, Tag("request")]
    | Annotated[Remember, Tag("remember")]
    | Annotated[RestartService, Tag("restart_service")]
    | Annotated[ServiceExpected, Tag("expect")],
    Discriminator(_kind),
]
ProgramItem = Annotated[
    Annotated[Run, Tag("run")] | Annotated[Remember, Tag("remember")] | Annotated[ProgramExpected, Tag("expect")],
    Discriminator(_kind),
]


class _ExchangeDraft(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_idle_fields(cls, data: Any) -> Any:
        """Models write null for what they do not need, and say of acts what only expectations have."""
        items = data.get("items") if isinstance(data, dict) else None
        if not isinstance(items, list):
            return data
        return {"items": [_lean(item) if isinstance(item, dict) else item for item in items]}

    @model_validator(mode="after")
    def _expects(self) -> Self:
        if not any(isinstance(item, Expected) for item in self.written):
            raise ValueError("no item expects anything")
        return self

    @property
    def written(self) -> tuple[Any, ...]:
        """The items, as submitted."""
        items: tuple[Any, ...] = self.items  # type: ignore[attr-defined]  # each kind has items of its own type
        return items

    @property
    def flows(self) -> Mapping[str, Any]:
        """None: what begins alike is short here."""
        return {}

    def contract(self, feature_id: str, known: object) -> Contract:
        """The contract this draft makes."""
        from harness.verify.check import Contract

        items = tuple(_plain(item) for item in self.written)
        return Contract(feature_id=feature_id, items=items)

    def new_flows(self, known: object) -> dict[str, Flow]:
        """None."""
        return {}


class ServiceDraft(_ExchangeDraft):
    """Submit the whole contract: requests and what is expected of their answers, in order."""

    items: tuple[ServiceItem, ...] = Field(min_length=2)


class ProgramDraft(_ExchangeDraft):
    """Submit the whole contract: commands and what is expected of what they do, in order."""

    items: tuple[ProgramItem, ...] = Field(min_length=2)


def _plain(item: Any) -> Any:
    return Expected.model_validate(item.model_dump(by_alias=True)) if isinstance(item, Expected) else item


def _lean(item: dict[str, Any]) -> dict[str, Any]:
    idle = _OF_ACTS_ONLY if "expect" in item else {"match", "source", "number", "values", "value", "expect"}
    return {name: value for name, value in item.items() if value is not None and name not in idle}
