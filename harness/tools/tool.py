"""A tool as the session sees it: a name, a sentence, validated arguments and an async function.

Kept apart from any agent framework so that a wrong call can be answered with the schema instead of an exception,
and so that tools are plain functions to test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


class Arguments(BaseModel):
    """Base of every tool's arguments; unknown names are refused so that a typo is not ignored."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Shown:
    """A result with a picture, for models that take pictures."""

    text: str
    picture: bytes
    """PNG or JPEG, as it can be sent."""


@dataclass(frozen=True)
class Tool:
    """One thing the coder can call."""

    name: str
    description: str
    """Read by the model: what it does, what it returns, when to use it. At most three sentences."""
    arguments: type[Arguments]
    call: Callable[[Any], Awaitable[str | Shown]]
    """Takes a validated instance of `arguments`, returns what the model gets.

    Raises: ToolRetry, ToolFailed: the text goes to the model.
    """

    def schema(self) -> dict[str, Any]:
        """The function definition an OpenAI-compatible endpoint expects."""
        parameters = self.arguments.model_json_schema()
        parameters.pop("title", None)
        parameters.pop("description", None)
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}
