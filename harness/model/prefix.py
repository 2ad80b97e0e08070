"""How much of each request repeats the one before it: what an endpoint's prompt cache can work with.

A conversation only grows, so a request is the one before it and a new tail. The tail is no repeat and cannot be one;
what is measured is therefore

    share = bytes that both requests begin with / bytes of the request before

over the bodies as they went over the wire. Only the brackets that close a body differ in a request that changed
nothing, so the share of a long session is above 99.9 %. It falls in the turn in which the conversation is made shorter
(`harness/context.py`), and shows at once when something at the head of the prompt is not the same each time. A request
tried again is counted once; the first of a conversation, or of a process, has none before it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

KEPT = 8
"""Conversations whose last request is remembered; a session and its verifiers are fewer at any time."""


@dataclass(frozen=True)
class Repeat:
    """One request against the one before it. All are bytes."""

    request: int = 0
    previous: int = 0
    """Of the request before it; 0: it is the first."""
    repeated: int = 0
    """Of the request before it, from its first byte on."""


class Prefixes:
    """The last request of each conversation."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, bytes] = OrderedDict()

    def measure(self, conversation: str, body: bytes) -> Repeat:
        """Compare a request that was answered with the one before it, and remember it."""
        before = self._last.pop(conversation, b"")
        self._last[conversation] = body
        if len(self._last) > KEPT:
            self._last.popitem(last=False)
        return Repeat(len(body), len(before), common_prefix(before, body))


def common_prefix(first: bytes, second: bytes) -> int:
    """Bytes that both begin with; by halves, because comparing slices is a hundred times faster than a loop."""
    same, differs = 0, min(len(first), len(second)) + 1
    while differs - same > 1:
        middle = (same + differs) // 2
        if first[same:middle] == second[same:middle]:
            same = middle
        else:
            differs = middle
    return same
