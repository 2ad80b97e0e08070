"""A streamed answer, read when it is over and put together to the completion it would have been.

Nothing acts on a part of it: a stream that ends early has no finish reason and is refused like any other answer that
may be cut. Some endpoints stream whatever they are asked, some models answer in no other way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
"""Fields of a message that come in pieces."""


def completion_of(stream: bytes) -> dict[str, Any]:
    """The completion; what is lacking in it is for the strict reader to refuse.

    Raises: ValueError: an event is not JSON.
    """
    message: dict[str, Any] = {"role": "assistant"}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    whole: dict[str, Any] = {"object": "chat.completion", "choices": [choice]}
    for event in _events(stream):
        if event.get("error"):
            return {"error": event["error"]}
        whole |= {key: event[key] for key in ("id", "model", "created", "usage") if event.get(key)}
        for part in event.get("choices") or []:
            if isinstance(part, dict) and not part.get("index"):
                choice |= {key: part[key] for key in ("finish_reason", "error") if part.get(key)}
                _add(message, part.get("delta") or part.get("message") or {})
    return whole


def _events(stream: bytes) -> Iterator[dict[str, Any]]:
    for line in stream.splitlines():  # of bytes: text would be split at characters that a string may hold
        name, _, data = line.partition(b":")
        if name == b"data" and data.strip() not in (b"", b"[DONE]"):
            event = json.loads(data.decode("utf-8", "replace"))
            if isinstance(event, dict):
                yield event


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in TEXTS:
        if isinstance(piece := delta.get(name), str):
            message[name] = (message.get(name) or "") + piece
    if isinstance(details := delta.get("reasoning_details"), list):
        message["reasoning_details"] = [*message.get("reasoning_details", []), *details]
    for piece in delta.get("tool_calls") or []:
        _add_call(message.setdefault("tool_calls", []), piece)


def _add_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Pieces belong together by index; where there is none, a new id begins a new call."""
    index = piece.get("index")
    if not isinstance(index, int):
        begins = piece.get("id") and all(call["id"] != piece["id"] for call in calls)
        index = len(calls) if begins or not calls else len(calls) - 1
    if index >= len(calls):
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call, function = calls[index if index < len(calls) else -1], piece.get("function") or {}
    call["id"] = call["id"] or piece.get("id") or ""
    if piece.get("extra_content"):
        call["extra_content"] = piece["extra_content"]
    call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
    given = function.get("arguments")
    call["function"]["arguments"] = given if isinstance(given, dict) else call["function"]["arguments"] + (given or "")
