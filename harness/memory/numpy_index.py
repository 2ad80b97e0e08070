"""The index of a process that cannot have Milvus: the records' vectors in one matrix, their words in SQLite.

Exact, without a file of its own, a few milliseconds at ten thousand records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.memory.conditions import Conditions
from harness.memory.index import Difference, Progress
from harness.memory.records import Records

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class NumpyIndex:
    """Ranks what SQLite holds."""

    source: Literal["milvus", "numpy"] = "numpy"

    def __init__(self, records: Records, model_id: str, dim: int) -> None:
        import numpy as np

        self.where = str(records.path)
        self._records = records
        self._model = model_id
        self._last_id = 0
        self._position: dict[str, int] = {}
        self._matrix: NDArray[np.float32] = np.empty((0, dim), dtype=np.float32)

    def follow(self, progress: Progress | None = None) -> int:
        """Read the vectors stored since; other processes store some too."""
        import numpy as np

        rows = self._records.vectors_after(self._model, self._last_id)
        if not rows:
            return 0
        for _, key, _ in rows:
            self._position[key] = len(self._position)
        new = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4").reshape(len(rows), -1)
        self._matrix = np.concatenate([self._matrix, new])
        self._last_id = rows[-1][0]
        return len(rows)

    def dense(self, vector: NDArray[np.float32], conditions: Conditions, limit: int) -> list[str]:
        """Exact inner products over the records that count."""
        import numpy as np

        self.follow()
        keys = [key for key in self._records.keys(conditions) if key in self._position]
        scores = self._matrix[[self._position[key] for key in keys]] @ vector if keys else np.empty(0)
        return [keys[i] for i in np.argsort(-scores, kind="stable")[:limit]]

    def difference(self) -> Difference:
        """None: it reads the records themselves."""
        return Difference(0, 0)

    def rebuild(self, progress: Progress | None = None) -> int:
        """Read all vectors again."""
        self._last_id, self._position, self._matrix = 0, {}, self._matrix[:0]
        return self.follow(progress)

    def close(self) -> None:
        """Nothing to let go of."""
