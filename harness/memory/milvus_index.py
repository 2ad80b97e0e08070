"""The Milvus index: one collection per record store and model, used through an alias.

It holds what a search by meaning needs and nothing else: digests of names for the filters (conditions.py) and the
vector; words are SQLite's (records.py). Its name says which store and which model it belongs to, so that stores can
share a server and models never mix. A rebuild fills a new collection and then moves the alias.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.address import shown
from harness.memory.conditions import Conditions, digest, milliseconds, milvus_filter
from harness.memory.index import Difference, Progress
from harness.memory.milvus_client import IndexDamagedError, connect, disconnect, is_server, mapped, release
from harness.memory.records import Change, Records

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 500
FLUSH = 200
"""Lite reads unflushed rows one by one in Python at every search; sealed ones it searches by index."""
SCHEMA = 2
"""Part of the collection's name: one of an older form is not read."""


class MilvusIndex:
    """Records by meaning in Milvus."""

    source: Literal["milvus", "numpy"] = "milvus"

    def __init__(self, client: Any, uri: str, records: Records, model_id: str, dim: int) -> None:
        self.where = shown(uri)
        self._uri = uri
        self._client = client
        self._records = records
        self._model = model_id
        self._dim = dim
        self._unflushed = 0
        self._alias = collection_name(records.store_id, model_id, dim)
        self._mark = f"{hashlib.sha256(uri.encode()).hexdigest()[:12]} {self._alias}"

    @classmethod
    def open(cls, uri: str, records: Records, model_id: str, dim: int) -> MilvusIndex:
        """Connect, find or make the collection, and see that nothing it took in is gone.

        Raises: IndexHeldError, IndexDamagedError, RecallError.
        """
        client = connect(uri)
        try:
            with mapped(uri):
                index = cls(client, uri, records, model_id, dim)
                index._ensure()
            return index
        except BaseException:
            disconnect(client, uri)
            raise

    def follow(self, progress: Progress | None = None) -> int:
        """Take in changes, oldest first. Replay: by key, so a batch may come twice."""
        with mapped(self._uri):
            return self._fill(self._alias, self._records.indexed_seq(self._mark), progress)

    def dense(self, vector: NDArray[np.float32], conditions: Conditions, limit: int) -> list[str]:
        """Nearest by cosine."""
        with mapped(self._uri):
            if not self._records.indexed_seq(self._mark):
                return []
            found = self._client.search(
                self._alias,
                data=[[float(x) for x in vector]],
                anns_field="dense",
                filter=milvus_filter(conditions),
                limit=limit,
                output_fields=["key"],
                timeout=10,
                **({"consistency_level": "Strong"} if is_server(self._uri) else {}),
            )
            return [str(hit["key"]) for hit in found[0]]

    def difference(self) -> Difference:
        """Compare all keys."""
        with mapped(self._uri):
            held = self._held()
        live = set(self._records.keys(Conditions()))
        embedded = set(self._records.vectors(self._model, list(live)))
        return Difference(missing=len(embedded - held), extra=len(held - live))

    def rebuild(self, progress: Progress | None = None) -> int:
        """Fill a new collection, move the alias, drop the old ones."""
        with mapped(self._uri):
            old = self._generations()
            new = self._create(max(map(_generation, old), default=0) + 1)
            self._fill(new, 0, progress)
            self._point_alias_to(new)
            for name in old:
                self._client.drop_collection(name)
            return self._count()

    def close(self) -> None:
        """Disconnect; Lite's lock is free afterwards."""
        disconnect(self._client, self._uri)

    def _ensure(self) -> None:
        generations = self._generations()
        if not generations:
            self._point_alias_to(self._create(1))
            self._records.set_indexed_seq(self._mark, 0)
            return
        if self._aliased() not in generations:  # killed between filling and pointing
            self._point_alias_to(generations[0])
            self._records.set_indexed_seq(self._mark, 0)
        self._client.load_collection(self._alias)
        if self._count() < self._records.live_up_to(self._records.indexed_seq(self._mark)):
            self._records.set_indexed_seq(self._mark, 0)  # rows are gone: follow everything again

    def _fill(self, collection: str, after: int, progress: Progress | None) -> int:
        done, total = 0, self._records.last_seq() - after
        while changes := self._records.changes(self._model, after, BATCH):
            self._apply(collection, changes)
            after = changes[-1].seq
            done += len(changes)
            self._records.set_indexed_seq(self._mark, after)
            if progress:
                progress(done, max(total, done))
        self._unflushed += done
        if self._unflushed >= FLUSH:
            self._client.flush(collection)
            self._unflushed = 0
        return done

    def _apply(self, collection: str, changes: Sequence[Change]) -> None:
        rows = [_row(change) for change in changes if change.vector]
        gone = [change.record.key for change in changes if not change.vector]
        if rows:
            self._client.upsert(collection, rows)
        if gone:
            self._client.delete(collection, ids=gone)

    def _held(self) -> set[str]:
        iterator = self._client.query_iterator(self._alias, batch_size=1000, output_fields=["key"])
        held: set[str] = set()
        while batch := iterator.next():
            held.update(row["key"] for row in batch)
        iterator.close()
        return held

    def _count(self) -> int:
        return int(self._client.query(self._alias, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def _generations(self) -> list[str]:
        return sorted(name for name in self._client.list_collections() if name.startswith(f"{self._alias}_g"))

    def _aliased(self) -> str:
        from pymilvus.exceptions import MilvusException

        try:
            return str(self._client.describe_alias(self._alias)["collection_name"])
        except MilvusException:
            return ""

    def _point_alias_to(self, collection: str) -> None:
        change = self._client.alter_alias if self._aliased() else self._client.create_alias
        change(collection, self._alias)

    def _create(self, generation: int) -> str:
        name = f"{self._alias}_g{generation}"
        schema, indexes = _schema(self._client, self._dim, "AUTOINDEX" if is_server(self._uri) else "FLAT")
        self._client.create_collection(name, schema=schema, index_params=indexes)
        return name


def open_or_rebuild(uri: str, records: Records, model_id: str, dim: int) -> tuple[MilvusIndex, str]:
    """Open the index; a damaged Lite directory is moved aside and a new one made.

    Returns: the index and what a person should know, empty when all went well.
    Raises: IndexHeldError, RecallError.
    """
    try:
        return MilvusIndex.open(uri, records, model_id, dim), ""
    except IndexDamagedError as exc:
        if is_server(uri) or not Path(uri).exists():
            raise
        aside = _move_aside(Path(uri))
        index = MilvusIndex.open(uri, records, model_id, dim)
        return index, f"{exc.what} It was moved to {aside} and is rebuilt from the records; nothing was lost."


def collection_name(store_id: str, model_id: str, dim: int) -> str:
    """The alias of a store's collection for a model."""
    slug = re.sub(r"[^a-z0-9]+", "_", model_id.lower()).strip("_")[-40:]
    return f"harness_{store_id}_{slug}_{dim}_{digest(model_id)[:6]}_v{SCHEMA}"


def _move_aside(path: Path) -> Path:
    release(str(path))
    for older in path.parent.glob(f"{path.name}.broken-*"):
        shutil.rmtree(older, ignore_errors=True)  # derived data: one is enough to look into
    aside = path.with_name(f"{path.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    return path.rename(aside)


def _generation(collection: str) -> int:
    return int(collection.rsplit("_g", 1)[1])


def _row(change: Change) -> dict[str, Any]:
    import numpy as np

    record = change.record
    return {
        "key": record.key,
        "project": digest(record.project),
        "kind": record.kind,
        "feature": digest(record.feature),
        "files": [digest(file) for file in record.files],
        "created_ms": milliseconds(record.created_at),
        "dense": np.frombuffer(change.vector, dtype="<f4").tolist(),
    }


def _schema(client: Any, dim: int, index_type: str) -> tuple[Any, Any]:
    """Lite is meant for tens of thousands of records, where comparing with each is faster than its graph."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field("project", DataType.VARCHAR, max_length=64, is_partition_key=True)
    schema.add_field("kind", DataType.VARCHAR, max_length=32)
    schema.add_field("feature", DataType.VARCHAR, max_length=64)
    schema.add_field("files", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=64, max_length=64)
    schema.add_field("created_ms", DataType.INT64)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=dim)
    indexes = client.prepare_index_params()
    indexes.add_index("dense", index_type=index_type, metric_type="COSINE")
    return schema, indexes
