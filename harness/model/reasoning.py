"""What a model thought before it answered: found wherever an endpoint puts it, shown, and kept out of the answer.

It is sent back only where a quirk says that the endpoint demands it; elsewhere it would be paid for again in every
turn, and some endpoints refuse it.
"""

from __future__ import annotations

import re
from typing import Any

_OPENED = re.compile(r"\A\s*<(think|thinking)>(.*?)(?:</\1>|\Z)\s*", re.DOTALL)
_UNOPENED = re.compile(r"\A(.*?)</think(?:ing)?>\s*", re.DOTALL)


def split_thought(text: str, *, opens_with_thought: bool) -> tuple[str, str]:
    """Reasoning at the head of a text, and the text without it.

    Args:
        text: the content of an answer.
        opens_with_thought: the endpoint leaves out the opening tag.
    """
    if found := _OPENED.match(text):
        return found[2].strip(), text[found.end() :]
    if opens_with_thought and (found := _UNOPENED.match(text)):
        return found[1].strip(), text[found.end() :]
    return "", text


def thought_of(message: dict[str, Any]) -> str:
    """Reasoning in fields of its own."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(value := message.get(name), str) and value:
            return value
    parts = message.get("reasoning_details")
    if not isinstance(parts, list):
        content = message.get("content")
        parts = [part for part in content if _is_thinking(part)] if isinstance(content, list) else []
    return "".join(_text(part) for part in parts)


def _is_thinking(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("thinking", "reasoning")


def _text(part: Any) -> str:
    """A part is text, or holds it under one of these names, perhaps in parts again."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(map(_text, part))
    if not isinstance(part, dict):
        return ""
    return next((_text(part[name]) for name in ("text", "summary", "thinking") if part.get(name)), "")
