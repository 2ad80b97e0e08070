"""What a kill leaves of a graph's checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph

from harness.session import nodes_left

WHERE: Any = {"configurable": {"thread_id": "t"}}


class _State(TypedDict, total=False):
    done: list[str]


class _Killed(BaseException):
    pass


class _Dying(AsyncSqliteSaver):
    """Keeps the writes of the first node, and is killed before the checkpoint that follows them."""

    kept = 0

    async def aput(self, *args: Any) -> Any:
        self.kept += 1
        if self.kept == 3:
            raise _Killed
        return await super().aput(*args)


def _graph(saver: AsyncSqliteSaver) -> Any:
    graph = StateGraph(_State)
    graph.add_node("first", lambda state: {"done": [*state["done"], "first"]})
    graph.add_node("second", lambda state: {"done": [*state["done"], "second"]})
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    return graph.compile(checkpointer=saver)


async def test_a_node_that_ran_before_a_kill_is_not_the_end_of_its_graph(tmp_path: Path) -> None:
    file = str(tmp_path / "checkpoints.db")
    async with _Dying.from_conn_string(file) as saver:
        with pytest.raises(_Killed):
            await _graph(saver).ainvoke({"done": []}, WHERE, durability="sync")
    async with AsyncSqliteSaver.from_conn_string(file) as saver:
        graph = _graph(saver)
        state = await graph.aget_state(WHERE)
        assert nodes_left(state) == {"first"}
        assert state.next == (), "the library tells it now, so `nodes_left` is not needed any more"
        assert (await graph.ainvoke(None, WHERE, durability="sync"))["done"] == ["first", "second"]
        assert nodes_left(await graph.aget_state(WHERE)) == set()
