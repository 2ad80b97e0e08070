"""Going in circles: what the last turns of a session show when they lead nowhere.

The last calls are one sequence three times over, with the same results: the same command that fails the same way, an
edit and its undoing, reading two files in turn. A person who watched would say so; so does the harness, and ends the
attempt when it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from harness.pictures import shows_pictures

TIMES = 3
LONGEST = 6
"""Calls in the sequence that is repeated."""
PRESSED = 12
"""Times for one act on a page that follows itself: Tab is pressed often, and every press answers alike."""
TRIED = 6
"""Times for acts and looks at a page in turn: who tries an application out adds three things in the same way."""
WAITING = {"process_output"}
"""Calls that are made again because nothing has happened yet."""


def going_in_circles(messages: Sequence[AnyMessage]) -> str:
    """What is repeated, in words for the model; empty when nothing is."""
    done = _calls(messages)
    for length in range(1, LONGEST + 1):
        last = done[-length:]
        times = _times(last)
        if length > 1 and len(set(last)) == 1:
            continue  # one call again and again is the shortest sequence
        if len(done) >= length * times and done[-length * times :] == last * times and not _waits(last):
            return _told(last, times)
    return ""


def _times(last: Sequence[tuple[str, str, str]]) -> int:
    """How often a sequence must come before it is told."""
    if not all(name.startswith("browser_") for name, _, _ in last) or all(name != "browser_act" for name, _, _ in last):
        return TIMES
    return PRESSED if len(last) == 1 else TRIED


def _calls(messages: Sequence[AnyMessage]) -> list[tuple[str, str, str]]:
    """(name, arguments, result) of the last calls since somebody else spoke."""
    calls: dict[str, tuple[str, str]] = {}
    done: list[tuple[str, str, str]] = []
    for message in messages[_begin(messages) :]:
        if isinstance(message, AIMessage):
            calls |= {str(c["id"]): (c["name"], json.dumps(c["args"], sort_keys=True)) for c in message.tool_calls}
            calls |= {str(c["id"]): (str(c["name"]), str(c["args"])) for c in message.invalid_tool_calls}
        elif isinstance(message, ToolMessage) and message.tool_call_id in calls:
            done.append((*calls[message.tool_call_id], message.text))
    return done


def _begin(messages: Sequence[AnyMessage]) -> int:
    """Far enough back for the longest repetition, and no further than the last words of somebody else."""
    at = len(messages)
    for at in range(len(messages) - 1, max(len(messages) - 2 * LONGEST * TRIED, 0) - 1, -1):
        if isinstance(messages[at], HumanMessage) and not shows_pictures(messages[at]):
            break
    return at


def _waits(calls: Sequence[tuple[str, str, str]]) -> bool:
    return all(name in WAITING for name, _, _ in calls)


def _told(calls: Sequence[tuple[str, str, str]], times: int) -> str:
    listed = "; ".join(f"{name} {arguments[:160]}" for name, arguments, _ in calls)
    return f"The last {len(calls) * times} calls were these {times} times over, with the same results: {listed}"
