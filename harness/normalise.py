"""Requests without what differs from run to run, so that two runs of the same thing can be compared.

Replaced: hashes, times, durations, ports of this machine, temporary directories, references into a page; in tool
results every number. Left out: recalled memory, because what it brings depends on when its embedder is ready, servers'
logs in evidence, and everything up to the last assistant message, which earlier turns cover.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from functools import lru_cache
from typing import Any

Message = dict[str, Any]

PROGRAMS = ("run_command", "process_output")
"""Tools that tell what a program printed, after a first line that tells how it ended."""
RECALLED = re.compile(r"<recalled\b.*?</recalled>", re.DOTALL)


RESTORED = re.compile(r"<restored>.*?</restored>", re.DOTALL)
"""What a session is told after a kill."""
SERVER_LOG = re.compile(r"^\| Server log \(end\):.*?(?=^<<end of data)", re.DOTALL | re.MULTILINE)
"""In evidence: what a server prints depends on which request it happened to be serving."""


@lru_cache(maxsize=1)
def _volatile() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What is replaced by what, in this order; a function because it asks where temporary files go."""
    places = {tempfile.gettempdir(), "/tmp", "/var/tmp", "/var/folders"}
    temporary = "|".join(re.escape(place) for place in sorted(places, reverse=True))
    patterns = {
        rf"(?<![\w.])(?:/private)?(?:{temporary})/[^\s\"'`<>(),;]*": "<tmp>",
        r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?": "<time>",
        r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b": "<time>",
        r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d{1,2}\b": "<time>",
        r"\b(127\.0\.0\.1|localhost):\d+": r"\1:<port>",
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b": "<hash>",
        r"\b\d+(?:\.\d+)?\s?(?:ms|s|secs?|seconds?|minutes?)\b": "<duration>",
        r"\b[0-9a-f]{7,40}\b": "<hash>",
        r"\[e[\d#]+\]": "[ref]",
    }
    return tuple((re.compile(pattern), replacement) for pattern, replacement in patterns.items())


def normalise(messages: list[Message]) -> list[Message]:
    """The messages after the last assistant message, comparable: `[{"role", "content"}]`, empty ones left out."""
    last = max((i for i, message in enumerate(messages) if message.get("role") == "assistant"), default=-1)
    calls = messages[last].get("tool_calls") or [] if last >= 0 else []
    names = {call.get("id"): call.get("function", {}).get("name") for call in calls}
    plain = [
        {"role": str(message.get("role")), "content": _comparable(message, names.get(message.get("tool_call_id")))}
        for message in messages[last + 1 :]
    ]
    return [message for message in plain if message["content"]]


def _comparable(message: Message, tool: str | None) -> str:
    """A message's text; of what a program printed only how it ended, because programs differ by machine."""
    text = normalise_text(text_of(message.get("content")), message.get("role"))
    return text.partition("\n")[0] if tool in PROGRAMS else text


def normalise_text(text: str, role: Any = "user") -> str:
    """One text with what is volatile replaced; doing it twice changes nothing more."""
    text = SERVER_LOG.sub("", RESTORED.sub("", RECALLED.sub("", text)))
    for pattern, replacement in _volatile():
        text = pattern.sub(replacement, text)
    if role == "tool":
        text = re.sub(r"\d+", "#", text)
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def text_of(content: Any) -> str:
    """A message's content as text; an image is named, not compared."""
    if isinstance(content, list):
        return "\n".join(part.get("text") or f"[{part.get('type')}]" for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def digest(normalised: list[Message]) -> str:
    """A short name for normalised messages."""
    return hashlib.sha256(json.dumps(normalised, sort_keys=True).encode()).hexdigest()[:16]


def turn_of(messages: list[Message]) -> int:
    """The number of assistant messages before the answer asked for."""
    return sum(message.get("role") == "assistant" for message in messages)
