"""The one failure a page can cause, in a module that the child process can import without anything heavy."""

from __future__ import annotations


class ActFailed(Exception):
    """An act or a question could not be carried out on this page; the reason is in words the coder can act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
