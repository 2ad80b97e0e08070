"""Which of the records found are shown, and in what order. Pure, the same for every index.

Two rankings are fused by their places alone, because neither raw score means anything by itself: BM25's depends on
all records there are, and the margins of cosine are too small for a threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from harness.memory.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RRF_K = 60
"""Source: Cormack, Clarke, Buettcher 2009, reciprocal rank fusion."""
HALF_LIFE_DAYS = {"failure": 14.0, "progress": 14.0, "note": 30.0, "commit": 60.0}
"""Decisions and knowledge do not age."""
KIND_WEIGHT = {"failure": 1.05, "decision": 1.05, "commit": 0.95, "progress": 0.9}
"""Small: neighbours in a fused ranking differ by less than two in a hundred."""
OUTCOME_WEIGHT = {"mended": 1.1, "passed": 1.05, "refuted": 0.3}
SAME = 0.95
"""Cosine above which two records of a kind say the same."""


def fuse(rankings: Iterable[Sequence[str]]) -> dict[str, float]:
    """Reciprocal rank fusion: keys with their scores, best first."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for place, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (RRF_K + place)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def weigh(scores: Mapping[str, float], records: Mapping[str, Record], now: datetime) -> list[tuple[Record, float]]:
    """Weigh by age, kind and outcome. Keys without a record are left out."""
    weighed = [(records[key], score * _weight(records[key], now)) for key, score in scores.items() if key in records]
    return sorted(weighed, key=lambda item: (-item[1], item[0].key))


def without_twins(
    ranked: Sequence[tuple[Record, float]], vectors: Mapping[str, NDArray[np.float32]]
) -> list[tuple[Record, float]]:
    """Keep the first of records that say the same: same kind and text, or same kind and almost the same vector."""
    kept: list[tuple[Record, float]] = []
    for record, score in ranked:
        if not any(_same(record, other, vectors) for other, _ in kept):
            kept.append((record, score))
    return kept


def _same(one: Record, other: Record, vectors: Mapping[str, NDArray[np.float32]]) -> bool:
    if one.kind != other.kind:
        return False
    if one.text == other.text:
        return True
    a, b = vectors.get(one.key), vectors.get(other.key)
    return a is not None and b is not None and float(a @ b) > SAME


def _weight(record: Record, now: datetime) -> float:
    days = max(0.0, (now - record.created_at).total_seconds() / 86_400)
    half_life = HALF_LIFE_DAYS.get(record.kind)
    recency = 2 ** (-days / half_life) if half_life else 1.0
    return (0.5 + 0.5 * recency) * KIND_WEIGHT.get(record.kind, 1.0) * OUTCOME_WEIGHT.get(record.outcome, 1.0)
