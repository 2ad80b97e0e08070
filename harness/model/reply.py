"""What one call of the model brought: the message, what it used, and what could not be carried out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.model.strict import BESIDE, BESIDE_CALLS, REASONING, unique_ids
from harness.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage


@dataclass(frozen=True)
class Usage:
    """What one call used."""

    input_tokens: int
    """Cached ones included."""
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    seconds: float
    """Of the try that answered; waits before it are not counted."""


@dataclass(frozen=True)
class InvalidCall:
    """A tool call that cannot be carried out; answer its id with `why`."""

    id: str
    name: str
    raw: str
    why: str


@dataclass(frozen=True)
class Reply:
    """One answer of the model."""

    message: AIMessage
    """Append it to the conversation as it is."""
    usage: Usage
    truncated: bool = False
    """The answer was cut at the output limit (or by a content filter); cut tool calls are dropped."""
    invalid: list[InvalidCall] = field(default_factory=list)
    reasoning: str = ""
    """What it thought before; for the trajectory alone."""


@dataclass(frozen=True)
class Totals:
    """What a role used so far in this process."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0

    def plus(self, usage: Usage) -> Totals:
        """Count one more call."""
        return Totals(
            self.calls + 1,
            self.input_tokens + usage.input_tokens,
            self.cached_tokens + usage.cached_tokens,
            self.output_tokens + usage.output_tokens,
            self.cost_usd + usage.cost_usd,
            self.seconds + usage.seconds,
        )


def read_reply(answer: AIMessage, messages: list[BaseMessage], seconds: float, settings: ModelSettings) -> Reply:
    """Make a reply of the client's message; ids of its calls will differ from those in `messages`."""
    from langchain_core.messages import AIMessage

    truncated = answer.response_metadata.get("finish_reason") in ("length", "content_filter")
    # Only what is used again: the whole message is stored in every checkpoint of its session.
    message = AIMessage(
        content=answer.text,
        additional_kwargs={key: kept for key in (BESIDE, BESIDE_CALLS) if (kept := answer.additional_kwargs.get(key))},
        id=answer.id,
        tool_calls=answer.tool_calls,
        invalid_tool_calls=[] if truncated else answer.invalid_tool_calls,
        usage_metadata=answer.usage_metadata,
        response_metadata={key: answer.response_metadata.get(key) for key in ("finish_reason", "model_name")},
    )
    unique_ids(message, messages)
    usage = _usage(message, messages, seconds, settings)
    return Reply(message, usage, truncated, _invalid_calls(message), answer.additional_kwargs.get(REASONING, ""))


def _usage(message: AIMessage, messages: list[BaseMessage], seconds: float, settings: ModelSettings) -> Usage:
    """Count; an endpoint that does not is estimated, so that limits still hold."""
    told = message.usage_metadata
    taken = told["input_tokens"] if told else estimate_tokens(messages)
    given = told["output_tokens"] if told else estimate_tokens([message])
    cached = min(taken, (told.get("input_token_details", {}).get("cache_read") or 0) if told else 0)
    # No price for cached tokens means no discount, never that they are free.
    cached_price = settings.usd_per_million_cached or settings.usd_per_million_input
    millionths = (taken - cached) * settings.usd_per_million_input + cached * cached_price
    millionths += given * settings.usd_per_million_output
    return Usage(taken, cached, given, millionths / 1_000_000, seconds)


def _invalid_calls(message: AIMessage) -> list[InvalidCall]:
    return [
        InvalidCall(str(call["id"]), call["name"] or "", call["args"] or "", call["error"] or "")
        for call in message.invalid_tool_calls
    ]


def estimate_tokens(messages: list[BaseMessage]) -> int:
    """Guess how many tokens messages are, without a tokenizer: a token is 4 ASCII characters or 1.5 others."""
    total = 0.0
    for message in messages:
        text = f"{message.text}{getattr(message, 'tool_calls', None) or ''}"
        ascii_length = len(text.encode("ascii", "ignore"))
        images = sum(isinstance(part, dict) and "image" in str(part.get("type")) for part in message.content)
        total += 4 + ascii_length / 4 + (len(text) - ascii_length) / 1.5 + 800 * images
    return math.ceil(total)
