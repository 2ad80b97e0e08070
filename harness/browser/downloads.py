"""Files that a user's pages hand over: kept as text in the record, bounded, never left on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.browser.chromium import Chromium
    from harness.browser.target import Target
    from harness.browser.watch import Record

MOST = 20
MOST_BYTES = 20 * 1024 * 1024
"""A larger file is not waited for."""
KEPT_CHARACTERS = 200_000


class Downloads:
    """The downloads of one window."""

    def __init__(self, chromium: Chromium, record: Record) -> None:
        self._connection = chromium.connection
        self._record = record
        self._folder = tempfile.TemporaryDirectory(prefix="harness-download-")
        self._names: dict[str, str] = {}

    async def allow(self, target: Target) -> None:
        """Have the files of the target's context stored here, under names of the browser's choice."""
        behaviour = {"behavior": "allowAndName", "downloadPath": self._folder.name, "eventsEnabled": True}
        await target.browser("Browser.setDownloadBehavior", behaviour)

    def begin(self, event: dict[str, Any]) -> None:
        """One starts."""
        if len(self._names) < MOST:
            self._names[event["guid"]] = event["suggestedFilename"]
        else:
            self._cancel(event["guid"])

    def progress(self, event: dict[str, Any]) -> None:
        """One goes on or ends; one of another window is none of ours."""
        guid = event["guid"]
        if guid not in self._names:
            return
        if event["receivedBytes"] > MOST_BYTES:
            self._cancel(guid)
        path = Path(self._folder.name, guid)
        if event["state"] == "completed":
            text = path.read_bytes()[: 4 * KEPT_CHARACTERS].decode("utf-8", "replace")[:KEPT_CHARACTERS]
            self._record.downloads.append({"name": self._names[guid], "text": text})
        if event["state"] != "inProgress":
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all; what still comes in is nobody's."""
        self._names.clear()

    def close(self) -> None:
        """Remove the directory."""
        self._folder.cleanup()

    def _cancel(self, guid: str) -> None:
        cancelled = self._connection.send("Browser.cancelDownload", {"guid": guid})
        cancelled.add_done_callback(lambda f: f.cancelled() or f.exception())
