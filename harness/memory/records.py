"""The truth: every record, its words and its vectors in one SQLite file.

Shared by all projects and processes of one user (write-ahead log, a busy timeout, each commit synced to disk). The
Milvus index beside it is derived: every change gets a sequence number, so that an index knows what it still misses,
and vectors are kept here, so that a rebuild embeds nothing again. Records are superseded, never deleted.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.disk import refused_by_disk
from harness.errors import ContractError, RecallError
from harness.memory.conditions import Conditions, milliseconds, sql_where
from harness.memory.record import KINDS, Kind, Record, make_record, record_key
from harness.memory.terms import query_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KINDS", "Change", "Counts", "Kind", "Record", "Records", "make_record", "record_key"]

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL UNIQUE, project TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL, thread TEXT NOT NULL, session TEXT NOT NULL,
    feature TEXT NOT NULL, files TEXT NOT NULL, commit_sha TEXT NOT NULL, outcome TEXT NOT NULL,
    created_ms INTEGER NOT NULL, superseded_by TEXT NOT NULL);
CREATE INDEX records_by_project ON records (project, kind, created_ms);
CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61');
CREATE TABLE vectors (id INTEGER PRIMARY KEY, key TEXT NOT NULL, model TEXT NOT NULL, vector BLOB NOT NULL,
    UNIQUE (key, model));
CREATE TABLE indexes (name TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""
_COLUMNS = (
    "key, seq, project, kind, text, source, thread, session, feature, files, commit_sha, outcome, created_ms, "
    "superseded_by"
)
# The text behind a key never changes; what is known about it may grow, and is never emptied or moved in time.
_UPSERT = f"""
INSERT INTO records ({_COLUMNS}) VALUES ({", ".join("?" * 14)})
ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, thread = excluded.thread, session = excluded.session,
    feature = excluded.feature, files = excluded.files, commit_sha = excluded.commit_sha, outcome = excluded.outcome,
    superseded_by = iif(excluded.superseded_by = '', superseded_by, excluded.superseded_by)
WHERE (thread, session, feature, files, commit_sha, outcome) IS NOT (excluded.thread, excluded.session,
    excluded.feature, excluded.files, excluded.commit_sha, excluded.outcome)
    OR excluded.superseded_by NOT IN ('', superseded_by)
"""
_NEXT_SEQ = "seq = (SELECT max(seq) + 1 FROM records)"
REMOVED = "removed"
"""Stands for the record that supersedes one whose source does not say it any more."""


@dataclass(frozen=True)
class Change:
    """A record as an index has to follow it."""

    seq: int
    record: Record
    vector: bytes
    """Empty when the record was superseded: the index drops it."""


@dataclass(frozen=True)
class Counts:
    """How many records there are."""

    total: int
    by_kind: dict[str, int]
    without_vector: int
    newest: datetime | None


class Records:
    """The table of records. Safe to use from several worker threads: one connection, one lock."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> Records:
        """Open or create the file.

        Raises: ContractError: not a database, damaged, or written by a newer version; it is left as it is.
        """
        with _mapped(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection, path)
                path.chmod(0o600)
            except BaseException:
                connection.close()
                raise
            return cls(path, connection)

    @property
    def store_id(self) -> str:
        """Tells this file from every other, so that two stores can share a Milvus server."""
        return str(self._value("SELECT value FROM meta WHERE name = 'store_id'"))

    def upsert(self, records: Sequence[Record]) -> int:
        """Commit records to disk, all or none; returns how many were new or changed.

        Replay: by key, so a second time changes nothing.
        """
        with self._transaction() as db:
            return sum(self._put(db, record) for record in records)

    def supersede(self, key: str, by: str) -> None:
        """Keep a record but never recall it again."""
        with self._transaction() as db:
            db.execute(
                "UPDATE records SET superseded_by = ?, seq = (SELECT max(seq) + 1 FROM records) WHERE key = ?",
                (by, key),
            )

    def replace_source(self, project: str, source: str, records: Sequence[Record]) -> tuple[int, int]:
        """Make these the only live records of a source of a project; returns how many came and went.

        Replay: by key, so a second time changes nothing.
        """
        keys = {record.key for record in records}
        with self._transaction() as db:
            sql = "SELECT key FROM records WHERE project = ? AND source = ? AND superseded_by = ''"
            live = {row[0] for row in db.execute(sql, (project, source))}
            for record in records:
                self._put(db, record)
            for key in keys - live:
                db.execute(f"UPDATE records SET superseded_by = '', {_NEXT_SEQ} WHERE key = ?", (key,))
            for key in live - keys:
                db.execute(f"UPDATE records SET superseded_by = '{REMOVED}', {_NEXT_SEQ} WHERE key = ?", (key,))
        return len(keys - live), len(live - keys)

    def sources(self, project: str, feature: str) -> dict[str, int]:
        """Sources of the live records of a feature, and how many records each has."""
        sql = """SELECT source, count(*) FROM records WHERE project = ? AND feature = ? AND superseded_by = ''
            GROUP BY source ORDER BY source"""
        return {row[0]: row[1] for row in self._rows(sql, project, feature)}

    def get(self, keys: Sequence[str]) -> dict[str, Record]:
        """Records by key; unknown keys are left out."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM records WHERE key IN (SELECT value FROM json_each(?))", _json(keys))
        return {row[0]: _record(row) for row in rows}

    def keys(self, conditions: Conditions) -> list[str]:
        """Keys of all live records that count."""
        where, values = sql_where(conditions)
        return [row[0] for row in self._rows(f"SELECT key FROM records WHERE {where}", *values)]

    def words(self, query: str, conditions: Conditions, limit: int) -> list[str]:
        """Keys by BM25 over the words of the query, best first."""
        terms = query_terms(query)
        if not terms:
            return []
        where, values = sql_where(conditions)
        match = " OR ".join(f'"{term}"' for term in terms)
        sql = f"""SELECT key FROM records JOIN (SELECT rowid, rank FROM words WHERE words MATCH ?) found
            ON records.id = found.rowid WHERE {where} ORDER BY found.rank LIMIT ?"""
        return [row[0] for row in self._rows(sql, match, *values, limit)]

    def without_vector(self, model: str, limit: int) -> list[tuple[str, str]]:
        """Key and text of live records the model has not embedded yet, oldest first."""
        sql = """SELECT key, text FROM records r WHERE superseded_by = '' AND NOT EXISTS
            (SELECT 1 FROM vectors v WHERE v.key = r.key AND v.model = ?) ORDER BY seq LIMIT ?"""
        return [(row[0], row[1]) for row in self._rows(sql, model, limit)]

    def store_vectors(self, model: str, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors beside their records.

        Shape: vectors (n, dim), one row a key.
        """
        rows = [(key, model, vector.astype("<f4").tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO vectors (key, model, vector) VALUES (?, ?, ?)", rows)

    def vectors_after(self, model: str, last_id: int) -> list[tuple[int, str, bytes]]:
        """(id, key, vector) stored since, in order of id."""
        sql = "SELECT id, key, vector FROM vectors WHERE model = ? AND id > ? ORDER BY id"
        return [(row[0], row[1], row[2]) for row in self._rows(sql, model, last_id)]

    def vectors(self, model: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Vectors by key."""
        sql = "SELECT key, vector FROM vectors WHERE model = ? AND key IN (SELECT value FROM json_each(?))"
        return {row[0]: row[1] for row in self._rows(sql, model, _json(keys))}

    def changes(self, model: str, after: int, limit: int) -> list[Change]:
        """What changed since a sequence number, up to the first record that still lacks its vector."""
        sql = f"""SELECT {", ".join("r." + c for c in _COLUMNS.split(", "))}, v.vector FROM records r
            LEFT JOIN vectors v ON v.key = r.key AND v.model = ? WHERE r.seq > ? ORDER BY r.seq LIMIT ?"""
        changes: list[Change] = []
        for row in self._rows(sql, model, after, limit):
            superseded = row[13] != ""
            if row[14] is None and not superseded:
                break
            changes.append(Change(row[1], _record(row[:14]), b"" if superseded else row[14]))
        return changes

    def last_seq(self) -> int:
        """Sequence number of the newest change."""
        return int(self._value("SELECT coalesce(max(seq), 0) FROM records"))

    def live_up_to(self, seq: int) -> int:
        """How many live records an index that followed up to `seq` must hold."""
        return int(self._value("SELECT count(*) FROM records WHERE superseded_by = '' AND seq <= ?", seq))

    def indexed_seq(self, index: str) -> int:
        """How far an index has followed."""
        return int(self._value("SELECT coalesce(max(seq), 0) FROM indexes WHERE name = ?", index))

    def set_indexed_seq(self, index: str, seq: int) -> None:
        """Remember how far an index has followed."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO indexes (name, seq) VALUES (?, ?)", (index, seq))

    def counts(self, project: str, model: str) -> Counts:
        """Live records of a project; of all when it is empty."""
        where, values = sql_where(Conditions(project=project))
        by_kind = {
            r[0]: r[1] for r in self._rows(f"SELECT kind, count(*) FROM records WHERE {where} GROUP BY 1", *values)
        }
        newest = self._value(f"SELECT max(created_ms) FROM records WHERE {where}", *values)
        lacking = f"""SELECT count(*) FROM records WHERE {where} AND NOT EXISTS
            (SELECT 1 FROM vectors v WHERE v.key = records.key AND v.model = ?)"""
        return Counts(
            sum(by_kind.values()),
            by_kind,
            int(self._value(lacking, *values, model)),
            _moment(newest) if newest else None,
        )

    def check(self) -> list[str]:
        """Let SQLite read every page; returns what is damaged."""
        return [row[0] for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]

    def close(self) -> None:
        """Close the file; what was committed is on disk already."""
        with self._lock:
            self._db.close()

    def _put(self, db: sqlite3.Connection, record: Record) -> int:
        seq = db.execute("SELECT coalesce(max(seq), 0) + 1 FROM records").fetchone()[0]
        if not db.execute(_UPSERT, _row(record, seq)).rowcount:
            return 0
        rowid = db.execute("SELECT id FROM records WHERE key = ?", (record.key,)).fetchone()[0]
        db.execute("INSERT OR REPLACE INTO words (rowid, text) VALUES (?, ?)", (rowid, record.text))
        return 1

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _mapped(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, _mapped(self.path):
            return self._db.execute(sql, values).fetchall()

    def _value(self, sql: str, *values: object) -> Any:
        return self._rows(sql, *values)[0][0]


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        db.execute("ROLLBACK")
        raise ContractError(
            f"{path} was written by a newer version of harness (schema {version}, this one knows {SCHEMA_VERSION}).",
            "Use that version, or move the file; it was left as it is.",
        )
    if version == 0:
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('store_id', ?)", (uuid.uuid4().hex[:12],))
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
    db.execute(f"SELECT {_COLUMNS} FROM records LIMIT 1").fetchall()


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if refused := refused_by_disk(exc, path):
            raise refused from exc
        hint = "Another process may hold it, the disk may be full or the directory read-only; nothing was lost."
        raise RecallError(f"{path} could not be used: {exc}", hint) from exc
    except sqlite3.DatabaseError as exc:
        raise ContractError(
            f"{path} is not a readable record file: {exc}", "Restore or move the file; it was left as it is."
        ) from exc
    except (sqlite3.Error, OSError) as exc:
        raise RecallError(f"{path} could not be used: {exc}", "Check that its directory can be written.") from exc


def _row(record: Record, seq: int) -> tuple[object, ...]:
    return (
        *(record.key, seq, record.project, record.kind, record.text, record.source, record.thread, record.session),
        *(record.feature, _json(record.files), record.commit, record.outcome, milliseconds(record.created_at)),
        record.superseded_by,
    )


def _record(row: tuple[Any, ...]) -> Record:
    _, _, project, kind, text, source, thread, session, feature, files, commit, outcome, created_ms, by = row
    return Record.model_construct(
        project=project,
        kind=kind,
        text=text,
        source=source,
        thread=thread,
        session=session,
        feature=feature,
        files=tuple(json.loads(files)),
        commit=commit,
        outcome=outcome,
        created_at=_moment(created_ms),
        superseded_by=by,
    )


def _moment(created_ms: int) -> datetime:
    return datetime.fromtimestamp(created_ms / 1000, UTC)


def _json(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
