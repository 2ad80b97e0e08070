"""Memory as the rest of the harness knows it: remember, recall.

What is remembered is on disk before `remember` returns; the index follows. A recall asks the best that is there now
(Milvus, else NumPy over the same vectors, else words alone), says which it was, and is never empty because an index
failed. No model is called on either way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from harness.errors import RecallError
from harness.events import Events, Noticed, Recalled
from harness.memory.conditions import Conditions
from harness.memory.index import Difference, Index, Progress
from harness.memory.ingest import DOCUMENT, document_source
from harness.memory.meaning import Meaning
from harness.memory.ranking import fuse, weigh, without_twins
from harness.memory.recollection import Hit, Recollection, within_budget
from harness.memory.record import Record, clean_name, clean_text
from harness.memory.records import Records
from harness.settings import MemorySettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Changed = Mapping[str, datetime] | Callable[[Record], bool]
"""What makes a record stale: when each path last changed, or a judge of one record."""

CANDIDATES = 50
SETTLE_SECONDS = 0.3


@dataclass(frozen=True)
class MemoryStats:
    """What memory holds, for `harness memory stats` and `doctor`."""

    path: Path
    project: str
    project_records: int
    all_records: int
    by_kind: Mapping[str, int]
    newest: datetime | None
    pending: int
    """Records of all projects that wait for their vector; -1 while the model is not loaded."""
    model_id: str
    """Empty while the model is not loaded."""
    index: Literal["milvus", "numpy", "words"]
    where: str


@dataclass(frozen=True)
class MemoryCheck:
    """What `verify` found."""

    damaged: tuple[str, ...]
    """What SQLite says of its own pages; empty is good."""
    index: Literal["milvus", "numpy", "words"]
    difference: Difference

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged, missing or left over."""
        return not self.damaged and self.difference == Difference(0, 0)


class Memory:
    """All records of the user, seen from one project."""

    def __init__(self, records: Records, meaning: Meaning, project: str, events: Events) -> None:
        self._records = records
        self._meaning = meaning
        self._project = clean_name(project)
        if not self._project:
            raise ValueError("a memory belongs to a project; an empty name would see all of them")
        self._events = events
        self._workers = ThreadPoolExecutor(2, "memory")

    @classmethod
    def open(cls, directory: Path, settings: MemorySettings, project: str, events: Events) -> Memory:
        """Open the record file only; cheap. `start` brings up the rest.

        Raises: ContractError: the file is damaged or from a newer version. RecallError: it cannot be used.
        """
        records = Records.open(directory / "records.db")
        meaning = Meaning(
            records, directory, settings, lambda text, level: events.emit(Noticed(text=text, level=level))
        )
        return cls(records, meaning, project, events)

    def start(self) -> None:
        """Load the model and open the index in the background."""
        self._meaning.start()

    @property
    def ready(self) -> bool:
        """Whether a recall goes by meaning now."""
        return bool(self._meaning.indexes)

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until model and index are up, or as far up as they will come."""
        return await self._meaning.wait(timeout_seconds)

    async def remember(self, records: Sequence[Record]) -> None:
        """Commit records to disk; the index follows. Replay: by key, so a second time changes nothing."""
        if records:
            await self._run(lambda: self._records.upsert(records))
            self._meaning.follow_soon()

    async def supersede(self, key: str, by: Record) -> None:
        """Remember a record in place of another, which is kept and never recalled again."""
        await self.remember([by])
        await self._run(lambda: self._records.supersede(key, by.key))

    async def replace_document(self, name: str, records: Sequence[Record]) -> tuple[int, int]:
        """Make these all that is remembered of a document; returns how many records came and went.

        Replay: by key, so a second time changes nothing.
        """
        source = clean_name(document_source(name))
        changed = await self._run(lambda: self._records.replace_source(self._project, source, records))
        self._meaning.follow_soon()
        return changed

    async def documents(self) -> dict[str, int]:
        """Names of the documents that were added, and how many records each has."""
        found = await self._run(lambda: self._records.sources(self._project, DOCUMENT))
        return {source.removeprefix(document_source("")): count for source, count in found.items()}

    async def learn(self, progress: Progress) -> None:
        """Wait until all that is remembered can be found by meaning, or no meaning is to be had."""
        most = 0
        while True:
            is_up = await self.wait(1.0)
            if is_up:
                await self._meaning.settle(1.0)
            pending = await self._pending() if self._meaning.embedder.ready else 0
            most = max(most, pending)
            if most:
                progress(most - pending, most)
            if is_up and not (pending and self._meaning.is_following):
                return

    async def _pending(self) -> int:
        model_id = self._meaning.embedder.model_id
        return await self._run(lambda: self._records.counts("", model_id).without_vector)

    async def recall(
        self,
        query: str,
        *,
        k: int = 6,
        kinds: Sequence[str] | None = None,
        since: timedelta | None = None,
        scope: Literal["project", "all"] = "project",
        feature: str | None = None,
        files: Sequence[str] | None = None,
        changed_files: Changed | None = None,
        told: Collection[str] = (),
        token_budget: int = 900,
    ) -> Recollection:
        """Find records by meaning, words and conditions.

        Args:
            query: any text; it can break nothing.
            k: how many at most.
            kinds: only these; None: any.
            feature: only records of this feature; None: any.
            files: only records about one of these paths; None: any.
            since: only records younger than this; None: any age.
            scope: `all` looks at every project of the user.
            changed_files: marks records stale; None: none is.
            told: sessions whose progress is told anyway; what else they learned is found.
            token_budget: what the answer may take in a brief.
        """
        project = self._project if scope == "project" else ""
        conditions = Conditions.of(project, kinds=kinds, since=since, feature=feature, files=files)
        stages = Stages()
        with stages("settle"):
            await self._meaning.settle(SETTLE_SECONDS)
        rankings, source = await self._rankings(clean_text(query), conditions, stages)
        with stages("rank"):
            hits = await self._run(lambda: self._choose(rankings, conditions, changed_files, 3 * k + 6))
            hits = [h for h in hits if h.record.kind != "progress" or h.record.session not in told]
        found = Recollection(query, within_budget(hits, k, token_budget), source, stages.seconds)
        self._emit(found)
        return found

    async def stats(self) -> MemoryStats:
        """Count."""
        model = self._meaning.embedder.model_id if self._meaning.embedder.ready else ""
        mine = await self._run(lambda: self._records.counts(self._project, model))
        everything = await self._run(lambda: self._records.counts("", model))
        best = next(iter(self._meaning.indexes), None)
        return MemoryStats(
            path=self._records.path,
            project=self._project,
            project_records=mine.total,
            all_records=everything.total,
            by_kind=mine.by_kind,
            newest=mine.newest,
            pending=everything.without_vector if model else -1,
            model_id=model,
            index=_source(best),
            where=best.where if best else str(self._records.path),
        )

    async def complete(self, progress: Progress) -> None:
        """Wait until everything remembered is embedded and indexed; `progress` is told how far that is."""
        await self._meaning.complete(progress)

    async def rebuild(self, progress: Progress | None = None) -> int:
        """Build the index anew from the records; returns how many it holds.

        Raises: RecallError: no index can be had here and now.
        """
        return await self._meaning.rebuild(progress)

    async def verify(self) -> MemoryCheck:
        """Read every page of the record file and compare every key with the index."""
        damaged = await self._run(self._records.check)
        await self.wait()
        await self._meaning.settle(60)
        best = next(iter(self._meaning.indexes), None)
        difference = await self._run(best.difference) if best else Difference(0, 0)
        return MemoryCheck(tuple(damaged), _source(best), difference)

    async def close(self) -> None:
        """Let go of the index and the file. What waits for the index is taken in next time."""
        await self._meaning.close()
        self._workers.shutdown(wait=True)
        self._records.close()

    async def _rankings(
        self, query: str, conditions: Conditions, stages: Stages
    ) -> tuple[list[list[str]], Literal["milvus", "numpy", "words"]]:
        for index in self._meaning.indexes:
            try:
                return await self._ask(index, query, conditions, stages), _source(index)
            except RecallError as exc:
                self._meaning.dropped(index, exc)
        with stages("words"):
            return [await self._run(lambda: self._records.words(query, conditions, CANDIDATES))], "words"

    async def _ask(self, index: Index, query: str, conditions: Conditions, stages: Stages) -> list[list[str]]:
        async def by_meaning() -> list[str]:
            with stages("embed"):
                vector = (await self._meaning.embedder.embed([query]))[0]
            with stages("dense"):
                return await self._run(lambda: index.dense(vector, conditions, CANDIDATES))

        async def by_words() -> list[str]:
            with stages("words"):
                return await self._run(lambda: self._records.words(query, conditions, CANDIDATES))

        return list(await asyncio.gather(by_meaning(), by_words()))

    def _choose(
        self, rankings: list[list[str]], conditions: Conditions, changed: Changed | None, limit: int
    ) -> list[Hit]:
        scores = fuse(rankings)
        # The index may be behind or foreign: what is shown comes from the records and must meet the conditions there.
        records = {key: r for key, r in self._records.get(list(scores)).items() if conditions.allow(r)}
        best = weigh(scores, records, datetime.now(UTC))[:limit]
        ranked = without_twins(best, self._vectors([record.key for record, _ in best]))
        return [Hit(record, score, _is_stale(record, changed)) for record, score in ranked]

    def _vectors(self, keys: list[str]) -> dict[str, NDArray[np.float32]]:
        if not self._meaning.embedder.ready:
            return {}
        import numpy as np

        stored = self._records.vectors(self._meaning.embedder.model_id, keys)
        return {key: np.frombuffer(blob, dtype="<f4") for key, blob in stored.items()}

    def _emit(self, found: Recollection) -> None:
        self._events.emit(
            Recalled(
                query=found.query,
                keys=[hit.record.key for hit in found.hits],
                titles=[hit.record.title for hit in found.hits],
                seconds=dict(found.seconds),
                source=found.source,
            )
        )

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)


class Stages:
    """Adds up seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time one stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


def _source(index: Index | None) -> Literal["milvus", "numpy", "words"]:
    return index.source if index else "words"


def _is_stale(record: Record, changed: Changed | None) -> bool:
    if changed is None:
        return False
    if callable(changed):
        return changed(record)
    return any(file in changed and changed[file] > record.created_at for file in record.files)
