"""What a recall may see, as typed conditions, and how each store is asked for it.

A filter is never built from text that a model wrote. SQLite takes parameters. Milvus has no parameters that work
everywhere, so names are stored and asked for as digests: whatever a project, feature or file is called, the filter
holds only hexadecimal digits, kinds from a closed list and numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.memory.record import KINDS, Record, clean_name


@dataclass(frozen=True)
class Conditions:
    """Which records count. Empty means any, for the project too (`scope="all"`)."""

    project: str = ""
    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    feature: str = ""
    files: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        project: str,
        *,
        kinds: Iterable[str] | None = None,
        since: timedelta | None = None,
        feature: str | None = None,
        files: Iterable[str] | None = None,
    ) -> Conditions:
        """Conditions from what a caller, perhaps a model, asked for. An unknown kind matches nothing."""
        return cls(
            project=clean_name(project),
            kinds=tuple(dict.fromkeys(kind if kind in KINDS else "unknown" for kind in kinds or ())),
            since=_ago(since),
            feature=clean_name(feature or ""),
            files=tuple(clean_name(f) for f in files or ())[:64],
        )

    def allow(self, record: Record) -> bool:
        """Whether a record read from the truth meets the conditions."""
        return (
            not record.superseded_by
            and self.project in ("", record.project)
            and (not self.kinds or record.kind in self.kinds)
            and (self.since is None or milliseconds(record.created_at) >= milliseconds(self.since))
            and self.feature in ("", record.feature)
            and (not self.files or bool(set(self.files) & set(record.files)))
        )


def sql_where(conditions: Conditions) -> tuple[str, list[object]]:
    """An SQL condition on `records` and its parameters. Superseded records never count."""
    clauses: list[str] = ["superseded_by = ''"]
    values: list[object] = []
    if conditions.project:
        clauses.append("project = ?")
        values.append(conditions.project)
    if conditions.kinds:
        clauses.append(f"kind IN ({_marks(conditions.kinds)})")
        values.extend(conditions.kinds)
    if conditions.since:
        clauses.append("created_ms >= ?")
        values.append(milliseconds(conditions.since))
    if conditions.feature:
        clauses.append("feature = ?")
        values.append(conditions.feature)
    if conditions.files:
        clauses.append(f"EXISTS (SELECT 1 FROM json_each(files) WHERE value IN ({_marks(conditions.files)}))")
        values.extend(conditions.files)
    return " AND ".join(clauses), values


def milvus_filter(conditions: Conditions) -> str:
    """A Milvus expression; empty when everything counts. The index holds no superseded records."""
    clauses: list[str] = []
    if conditions.project:
        clauses.append(f'project == "{digest(conditions.project)}"')
    if conditions.kinds:
        clauses.append(f"kind in [{_quoted(conditions.kinds)}]")
    if conditions.since:
        clauses.append(f"created_ms >= {milliseconds(conditions.since)}")
    if conditions.feature:
        clauses.append(f'feature == "{digest(conditions.feature)}"')
    if conditions.files:
        clauses.append(f"array_contains_any(files, [{_quoted(map(digest, conditions.files))}])")
    return " and ".join(clauses)


def digest(name: str) -> str:
    """A name as the index knows it."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def _ago(since: timedelta | None) -> datetime | None:
    if since is None:
        return None
    now = datetime.now(UTC)
    # A model may ask for a million days: everything.
    return now - min(since, now - datetime(1970, 1, 2, tzinfo=UTC))


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
