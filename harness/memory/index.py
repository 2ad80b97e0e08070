"""What an index of the records is, and which one this process gets.

An index is derived from the records and can be thrown away. It answers what is nearest in meaning with keys only, best
first: what is shown is always read from the records, which know the words too. Milvus is the index; a process
that cannot have it, because another one holds Milvus Lite or a server does not answer, ranks the records' own
vectors in NumPy. Both pass the same conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from harness.memory.conditions import Conditions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Difference:
    """Where an index and the records disagree."""

    missing: int
    """Live records with a vector that the index does not hold."""
    extra: int
    """Entries of the index without a live record."""


class Index(Protocol):
    """Keys by meaning. Methods block: call them from a worker thread."""

    source: Literal["milvus", "numpy"]
    """`milvus` or `numpy`."""
    where: str
    """Where it is, for a person."""

    def follow(self, progress: Progress | None = None) -> int:
        """Take in what changed in the records; returns how many changes."""
        ...

    def dense(self, vector: NDArray[np.float32], conditions: Conditions, limit: int) -> list[str]:
        """Keys nearest to a unit vector, best first.

        Shape: vector (dim,).
        Raises: RecallError: the index failed; ask another.
        """
        ...

    def difference(self) -> Difference:
        """Compare every key with the records."""
        ...

    def rebuild(self, progress: Progress | None = None) -> int:
        """Build it anew from the records; returns how many it holds."""
        ...

    def close(self) -> None:
        """Let go of it, so that another process can have it."""
        ...
