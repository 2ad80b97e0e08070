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
    at: dict[int, dict[str, Any]] = {}
    """Calls by the index that the endpoint gave them last."""
    for event in _events(stream):
        if event.get("error"):
            return {"error": event["error"]}
        whole |= {key: event[key] for key in ("id", "model", "created", "usage") if event.get(key)}
        for part in event.get("choices") or []:
            if isinstance(part, dict) and not part.get("index"):
                choice |= {key: part[key] for key in ("finish_reason", "error") if part.get(key)}
                _add(message, part.get("delta") or part.get("message") or {}, at)
    return whole


def _events(stream: bytes) -> Iterator[dict[str, Any]]:
    for line in stream.splitlines():  # of bytes: text would be split at characters that a string may hold
        name, _, data = line.partition(b":")
        if name == b"data" and data.strip() not in (b"", b"[DONE]"):
            event = json.loads(data.decode("utf-8", "replace"))
            if isinstance(event, dict):
                yield event


def _add(message: dict[str, Any], delta: dict[str, Any], at: dict[int, dict[str, Any]]) -> None:
    for name in TEXTS:
        if isinstance(piece := delta.get(name), str):
            message[name] = (message.get(name) or "") + piece
    if isinstance(details := delta.get("reasoning_details"), list):
        message["reasoning_details"] = [*message.get("reasoning_details", []), *details]
    for piece in delta.get("tool_calls") or []:
        _add_call(message.setdefault("tool_calls", []), piece, at)


def _add_call(calls: list[dict[str, Any]], piece: dict[str, Any], at: dict[int, dict[str, Any]]) -> None:
    call, function = _call_of(calls, piece, at), piece.get("function") or {}
    call["id"] = call["id"] or piece.get("id") or ""
    if piece.get("extra_content"):
        call["extra_content"] = piece["extra_content"]
    call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
    given = function.get("arguments")
    call["function"]["arguments"] = given if isinstance(given, dict) else call["function"]["arguments"] + (given or "")


def _call_of(calls: list[dict[str, Any]], piece: dict[str, Any], at: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The call a piece belongs to: that of its index, else of its id, else the last.

    An index is only a name: some begin with 1, leave numbers out, or give all calls the same, told apart by id and
    name. An id alone that is new says nothing: some give each piece its own.
    """
    index, given = piece.get("index"), piece.get("id")
    if isinstance(index, int):
        call = at.get(index)
        begins = given and (piece.get("function") or {}).get("name")
        if call and begins and call["id"] not in ("", given):
            call = None
    elif given:
        call = next((call for call in calls if call["id"] == given), None)
    else:
        call = calls[-1] if calls else None
    if call is None:
        call = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        calls.append(call)
    if isinstance(index, int):
        at[index] = call
    return call
