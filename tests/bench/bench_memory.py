"""Recall, warm, embedding included, against DESIGN section 10: `python tests/bench/bench_memory.py`."""

from __future__ import annotations

import asyncio
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.events import Events
from harness.memory.recall import Memory
from harness.memory.records import Records, make_record
from harness.settings import MemorySettings

BOUND_MS = 30.0
WORDS = """
theme reload storage button list filter session cookie server route database index commit test page layout
scroll focus keyboard upload image date zone parse render state event handler click form field label error
message retry timeout cache worker queue export import search order drag undo toast dialog modal menu link
""".split()  # noqa: SIM905 - fifty quoted words are not easier to read


def fill(directory: Path, count: int, rng: random.Random) -> None:
    """Records of 25 words over ten projects, with random unit vectors: embedding them is not what is measured."""
    records = Records.open(directory / "records.db")
    made = [
        make_record(f"p{n % 10}", "failure", f"{n} " + " ".join(rng.choices(WORDS, k=24)), feature=f"F{n % 40}")
        for n in range(count)
    ]
    vectors = np.random.default_rng(1).normal(size=(count, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    records.upsert(made)
    records.store_vectors("sentence-transformers/all-MiniLM-L6-v2", [r.key for r in made], vectors)
    records.close()


async def measure(count: int, rounds: int = 300) -> None:
    """Print one row for one project, one for all."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), count, rng)
        memory = Memory.open(Path(name), MemorySettings(), "p1", Events())
        began = time.perf_counter()
        await memory.wait()
        up = time.perf_counter() - began
        for scope in ("project", "all"):
            taken, stages = await ask(memory, scope, rounds, rng)
            show(count, scope, taken, stages, up)
        await memory.close()


async def ask(memory: Memory, scope: str, rounds: int, rng: random.Random) -> tuple[list[float], dict[str, float]]:
    """Recall so often; seconds of each and the mean of each stage."""
    taken: list[float] = []
    stages: dict[str, float] = {}
    for n in range(rounds + 20):
        query = " ".join(rng.choices(WORDS, k=6))
        began = time.perf_counter()
        found = await memory.recall(query, scope="all" if scope == "all" else "project")
        assert found.source == "milvus", found.source
        if n >= 20:
            taken.append(time.perf_counter() - began)
            for stage, seconds in found.seconds.items():
                stages[stage] = stages.get(stage, 0.0) + seconds / rounds
    return taken, stages


def show(count: int, scope: str, taken: Sequence[float], stages: dict[str, float], up: float) -> None:
    """One row."""
    p50, p95 = (float(np.percentile(taken, q)) * 1000 for q in (50, 95))
    parts = " ".join(f"{stage} {seconds * 1000:.1f}" for stage, seconds in stages.items())
    verdict = "ok" if p95 <= BOUND_MS else "OVER"
    print(f"{count:>7} {scope:<8} {p50:>8.1f} {p95:>8.1f} {BOUND_MS:>8.0f} {verdict:<5} {up:>6.1f}  {parts}")


if __name__ == "__main__":
    print(
        f"recall, warm, embedding included; {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"
    )
    print("records scope      p50 ms   p95 ms bound ms       up s  mean ms by stage")
    for size in (1_000, 10_000):
        asyncio.run(measure(size))
