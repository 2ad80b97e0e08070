"""What a session leaves in memory: how it failed, what it did, and what mended the failure. One fact a record.

Records have keys that follow from what they say, so remembering twice after a crash changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.memory.record import Kind, Record, make_record

if TYPE_CHECKING:
    from harness.features import Feature


class Lessons:
    """Records of one session on one feature."""

    def __init__(self, project: str, thread_id: str, session_id: str, feature: Feature) -> None:
        self._project, self._session_id, self._feature = project, session_id, feature
        self._about: dict[str, Any] = {"thread": thread_id, "session": session_id, "feature": feature.id}

    def failed(self, attempt: int, gist: str) -> Record:
        """A verdict that was a failure."""
        return self._record("failure", f"{self._feature.description}: {gist}", f" attempt {attempt}", "failed")

    def passed(self, summary: str, *, after_failures: bool) -> list[Record]:
        """The work that was proved, and what mended it when it was not at first."""
        records = [self._record("progress", f"{self._feature.description} - {summary}", "", "passed")]
        if after_failures and summary:
            records.append(self._record("failure", f"What mended it: {summary}", " mended", "mended"))
        return records

    def parked(self, reason: str) -> list[Record]:
        """Why the feature was set aside."""
        return [self._record("failure", f"{self._feature.description} - {reason}", " parked", "parked")]

    def refuted(self, gist: str) -> list[Record]:
        """What was claimed to be there, and how it showed that it is not."""
        return [self._record("failure", f"{self._feature.description} - {gist}", " claim", "failed")]

    def _record(self, kind: Kind, text: str, source: str, outcome: str) -> Record:
        source = f"session {self._session_id}{source}"
        return make_record(self._project, kind, text, source=source, outcome=outcome, **self._about)
