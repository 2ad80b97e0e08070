"""The heavy half of memory: the embedder and the indexes, brought up and kept up in the background.

Nothing waits for it. Until the model is loaded there is no meaning; until Milvus is open and has caught up, NumPy
ranks. Milvus that is held elsewhere, damaged or out of reach is told once and replaced, never waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from harness.errors import RecallError
from harness.memory.embedder import BATCH, Embedder
from harness.memory.index import Index, Progress
from harness.memory.records import Records
from harness.settings import MemorySettings

T = TypeVar("T")
Tell = Callable[[str, Literal["info", "warning"]], None]


class Meaning:
    """Embeds what is new, and holds the indexes that can answer now, best first."""

    def __init__(self, records: Records, directory: Path, settings: MemorySettings, tell: Tell) -> None:
        self._records = records
        self._uri = settings.uri or str(directory / "index.db")
        self._tell = tell
        self._told: set[str] = set()
        self.embedder = Embedder(settings.embedding_model)
        self._worker = ThreadPoolExecutor(1, "index")  # one writer; Lite promises nothing for several
        self._numpy: Index | None = None
        self._milvus: Index | None = None
        self._starting: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._followed = 0
        self._closing = False
        self._loop: asyncio.AbstractEventLoop

    @property
    def indexes(self) -> list[Index]:
        """Those that can answer by meaning now; empty while the model loads."""
        return [index for index in (self._milvus, self._numpy) if index]

    def start(self) -> None:
        """Begin in the background; a second call does nothing."""
        self._loop = asyncio.get_running_loop()
        self.embedder.start()
        self._starting = self._starting or asyncio.create_task(self._start())

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until everything that will come up is up; False when the time is over first."""
        self.start()
        assert self._starting is not None
        done, _ = await asyncio.wait({self._starting}, timeout=timeout_seconds)
        return bool(done)

    async def settle(self, timeout_seconds: float) -> None:
        """Let the indexes take in what was just remembered, for a moment at most."""
        if self._starting is None or not self._starting.done() or not self.indexes:
            return
        self.follow_soon()
        if self._following:
            await asyncio.wait({self._following}, timeout=timeout_seconds)

    @property
    def is_following(self) -> bool:
        """Whether something is being taken in now."""
        return self._following is not None and not self._following.done()

    def follow_soon(self) -> None:
        """Take in what changed, here or in another process, in the background."""
        idle = self._following is None or self._following.done()
        if self.indexes and idle and not self._closing and self._records.last_seq() != self._followed:
            self._following = asyncio.create_task(self._follow())

    async def complete(self, progress: Progress) -> None:
        """Wait until everything remembered so far is embedded and indexed, as far as that can be had here.

        Args:
            progress: told every second how many records of those that lacked a vector have one now, and of how many.
        """
        self.start()
        try:
            await self.embedder.wait()
        except RecallError:
            await self.wait()  # which tells it
            return
        total = await self._lacking()

        async def ended(task: asyncio.Task[None] | None) -> None:
            while task and not (await asyncio.wait({task}, timeout=1.0))[0]:
                progress(total - min(await self._lacking(), total), total)

        await ended(self._starting)
        self.follow_soon()
        await ended(self._following)

    async def rebuild(self, progress: Progress | None) -> int:
        """Embed what lacks a vector and build the best index anew."""
        await self.wait()
        if self._following:
            await asyncio.wait({self._following})
        await self._embed_pending()
        best = self.indexes[0]
        return await self._run(lambda: best.rebuild(progress))

    def dropped(self, index: Index, exc: RecallError) -> None:
        """An index failed while it was asked: do without it from now on."""
        if index is self._milvus:
            self._milvus = None
            self._worker.submit(index.close)
            self._say(f"{exc.what} Recall ranks the records' own vectors instead. {exc.remedy}".strip(), "warning")

    async def close(self) -> None:
        """Let what is under way end, then let go of the index; a model that still loads is not waited for."""
        self._closing = True
        if self._starting and not self.embedder.ready:
            self._starting.cancel()
        for task in (self._starting, self._following):
            if task:
                await asyncio.wait({task})
        for index in self.indexes:
            await self._run(index.close)
        self._numpy = self._milvus = None
        self.embedder.close()
        self._worker.shutdown(wait=False)

    async def _start(self) -> None:
        try:
            await self.embedder.wait()
            if self._closing:
                return
            self._numpy = await self._run(self._open_numpy)
            await self._embed_pending()
            if not self._closing:
                self._milvus = await self._run(self._open_milvus)
            self._followed = 0
            self.follow_soon()
        except RecallError as exc:
            self._say(f"Recall works without its index: {exc.what} {exc.remedy}".strip(), "warning")

    def _open_numpy(self) -> Index:
        from harness.memory.numpy_index import NumpyIndex

        return NumpyIndex(self._records, self.embedder.model_id, self.embedder.dim)

    def _open_milvus(self) -> Index | None:
        from harness.memory.milvus_client import IndexHeldError
        from harness.memory.milvus_index import open_or_rebuild

        try:
            opened, news = open_or_rebuild(self._uri, self._records, self.embedder.model_id, self.embedder.dim)
            opened.follow()
        except IndexHeldError as exc:
            self._say_later(f"{exc.what} This process ranks the records' own vectors instead.", "info")
            return None
        if news:
            self._say_later(news, "warning")
        return opened

    async def _follow(self) -> None:
        try:
            seq = self._records.last_seq()
            await self._embed_pending()
            if milvus := self._milvus:
                await self._run(milvus.follow)
            self._followed = seq
        except RecallError as exc:
            if milvus := self._milvus:
                self.dropped(milvus, exc)
            else:
                self._say(str(exc), "warning")

    async def _embed_pending(self) -> None:
        model = self.embedder.model_id
        while not self._closing and (batch := self._records.without_vector(model, BATCH)):
            keys = [key for key, _ in batch]
            vectors = await self.embedder.embed([text for _, text in batch])
            await self._run(partial(self._records.store_vectors, model, keys, vectors))

    async def _lacking(self) -> int:
        """Records of all projects without a vector."""
        counts = await asyncio.to_thread(self._records.counts, "", self.embedder.model_id)
        return counts.without_vector

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _say_later(self, text: str, level: Literal["info", "warning"]) -> None:
        self._loop.call_soon_threadsafe(self._say, text, level)

    def _say(self, text: str, level: Literal["info", "warning"]) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text, level)
