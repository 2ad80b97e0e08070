"""Checkpoints that somebody wrote who wants a program to run when they are read (ST-2, ST-3)."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import ormsgpack
import pytest

from harness.opening import open_checkpoints

CONSTRUCTOR = 1
"""LangGraph's extension type whose data name a callable and its positional arguments."""
TWIN = """
import sys
from pathlib import Path
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
print(JsonPlusSerializer().loads_typed(("msgpack", Path(sys.argv[1]).read_bytes())))
"""


def blob(target: Path) -> bytes:
    """Calls os.mkdir(target) in whoever believes it."""
    return ormsgpack.packb(ormsgpack.Ext(CONSTRUCTOR, ormsgpack.packb(("os", "mkdir", (str(target),)))))


async def test_a_constructor_in_a_checkpoint_is_not_called(tmp_path: Path) -> None:
    """ST-2; LangGraph without our setting calls it, which is the twin."""
    made = tmp_path / "made"
    async with open_checkpoints(tmp_path / "checkpoints.sqlite") as saver:
        saver.serde.loads_typed(("msgpack", blob(made)))
    assert not made.exists()

    (tmp_path / "blob").write_bytes(blob(made))
    argv = [sys.executable, "-I", "-c", TWIN, str(tmp_path / "blob")]
    env = {"LANGGRAPH_STRICT_MSGPACK": "false", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)  # noqa: ASYNC221 - nothing else runs
    assert made.is_dir(), done.stderr


class Maker:
    """Calls os.mkdir when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (self.target,)  # type: ignore[return-value]  # what pickle takes is wider


async def test_a_pickle_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """ST-3; pickle itself obeys it, which is the twin."""
    made = tmp_path / "made"
    data = pickle.dumps(Maker(made))
    async with open_checkpoints(tmp_path / "checkpoints.sqlite") as saver:
        with pytest.raises(NotImplementedError):
            saver.serde.loads_typed(("pickle", data))
    assert not made.exists()
    pickle.loads(data)
    assert made.is_dir()
