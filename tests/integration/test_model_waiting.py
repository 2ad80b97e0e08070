"""What a run does while its first request is under way: the heavy parts of memory load then, not before."""

from __future__ import annotations

import asyncio

from langchain_core.messages import HumanMessage
from scripted import Reply, Request, ScriptedModel, text

from harness.events import Events
from harness.model import Model
from harness.settings import ModelSettings


async def test_the_wait_for_the_first_answer_is_told_once_and_before_the_answer() -> None:
    told: list[str] = []
    waiting = asyncio.Event()

    def tell() -> None:
        told.append("waiting")
        waiting.set()

    with ScriptedModel(["first", "second"]) as endpoint:
        model = Model(ModelSettings(name="scripted", base_url=endpoint.base_url), Events(), on_waiting=tell)
        model.start()
        await model.call("coder", "t/s", [HumanMessage("one")])
        await waiting.wait()
        await model.call("coder", "t/s", [HumanMessage("two")])
        await model.aclose()
    assert told == ["waiting"]


async def test_it_is_told_while_the_endpoint_keeps_the_request() -> None:
    loop, answered, waiting = asyncio.get_running_loop(), [], asyncio.Event()

    def reply(_: Request) -> Reply:
        asyncio.run_coroutine_threadsafe(waiting.wait(), loop).result(20)
        answered.append(True)
        return text("at last")

    with ScriptedModel(reply) as endpoint:
        model = Model(ModelSettings(name="scripted", base_url=endpoint.base_url), Events(), on_waiting=waiting.set)
        got = await model.call("coder", "t/s", [HumanMessage("one")])
        await model.aclose()
    assert got.message.text == "at last"
    assert answered
