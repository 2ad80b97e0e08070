"""Loading a model in the background: what is printed when nobody waits for it any longer."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecallError
from harness.memory import embedder as module
from harness.memory.embedder import Embedder


async def test_a_model_that_fails_after_nobody_waits_any_longer_prints_nothing(tmp_path: Path) -> None:
    printed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: printed.append(context))
    embedder = Embedder(str(tmp_path / "no-model"))
    with module._LOADING:
        assert not await embedder.wait(0.01)
    with pytest.raises(RecallError, match="not a directory"):
        await embedder.wait()
    embedder.close()
    del embedder
    gc.collect()
    assert printed == []
