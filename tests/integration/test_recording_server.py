"""Conversations recorded at a real endpoint and served again over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from scripted import ScriptedModel, call, status, text

from harness.errors import ContractError, ModelError
from harness.events import Events
from harness.model import Model
from harness.recording import Recorder, RecordingServer, load_recording
from harness.settings import ModelSettings

KEY = "sk-a-secret-that-must-not-leak"
TOOLS = [{"type": "function", "function": {"name": "run_command", "parameters": {"type": "object", "properties": {}}}}]


@asynccontextmanager
async def model_at(base_url: str, recorder: Recorder | None = None) -> AsyncIterator[Model]:
    settings = ModelSettings(name="scripted", base_url=base_url, max_retries=1)
    model = Model(settings, Events(), transport=recorder, backoff_seconds=0.01)
    try:
        yield model
    finally:
        await model.aclose()


async def converse(model: Model, conversation: str = "t/F001/1", result: str = "ok in 1.20 s") -> list[BaseMessage]:
    """Two turns: the model asks for a command, hears its result, and ends."""
    said: list[BaseMessage] = [SystemMessage("You build."), HumanMessage("Build it in /tmp/abc at 127.0.0.1:5001.")]
    first = await model.call("coder", conversation, said, TOOLS)
    said += [first.message, ToolMessage(result, tool_call_id=first.message.tool_calls[0]["id"])]
    said.append((await model.call("coder", conversation, said, TOOLS)).message)
    return said


async def record(path: Path, *replies: Any) -> list[BaseMessage]:
    with ScriptedModel(replies or [call("run_command", command="ls"), "done"]) as endpoint:
        async with model_at(endpoint.base_url, Recorder(path)) as model:
            return await converse(model)


async def test_a_recorded_conversation_is_served_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.jsonl"
    said = await record(path)
    with RecordingServer(path) as server:
        async with model_at(server.base_url) as model:
            again = await converse(model)
    assert [m.text for m in again] == [m.text for m in said]
    assert again[2].tool_calls == said[2].tool_calls  # type: ignore[attr-defined]  # an AIMessage
    assert server.divergences == []


async def test_a_line_holds_only_what_is_new_and_no_header_or_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = tmp_path / "run.jsonl"
    await record(path)
    first, second = load_recording(path).values()
    assert [m["role"] for m in first.request] == ["system", "user"]
    assert second.request == [{"role": "tool", "content": "ok in <duration>"}]
    assert (second.conversation, second.turn) == ("t/F001/1", 1)
    raw = path.read_text(encoding="utf-8").lower()
    assert KEY not in raw
    assert "authorization" not in raw


async def test_failed_calls_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, status(500), call("run_command"), {**text("x"), "choices": []}, "done")
    assert [turn.response["choices"][0]["finish_reason"] for turn in load_recording(path).values()] == [
        "tool_calls",
        "stop",
    ]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


async def test_a_resumed_recording_goes_on_and_the_last_answer_of_a_turn_counts(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, call("run_command"), "first end")
    await record(path, call("run_command"), "second end")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4
    with RecordingServer(path) as server:
        async with model_at(server.base_url) as model:
            assert (await converse(model))[-1].text == "second end"


async def test_what_a_killed_recorder_left_half_written_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    assert len(load_recording(path)) == 2
    Recorder(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ["# A readme\nwith text", '{"a": 1}\n', "[]\n"])
def test_a_file_that_is_no_recording_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "README.md"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ContractError, match="line 1"):
        Recorder(path)
    with pytest.raises(ContractError, match="line 1"):
        RecordingServer(path)
    assert path.read_text(encoding="utf-8") == content


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"gone\.jsonl"):
        RecordingServer(tmp_path / "gone.jsonl")


async def test_a_divergence_is_named_kept_and_not_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path)
    with RecordingServer(path) as server:
        async with model_at(server.base_url) as model:
            with pytest.raises(ModelError) as caught:
                await converse(model, result="command not found")
    (divergence,) = server.divergences
    assert (divergence.conversation, divergence.turn) == ("t/F001/1", 1)
    assert (divergence.expected, divergence.got) == ("tool: ok in <duration>", "tool: command not found")
    for words in ("t/F001/1", "turn 1", "ok in", "command not found"):
        assert words in str(caught.value)


async def test_a_conversation_or_turn_that_was_not_recorded_is_a_divergence(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    said = await record(path)
    with RecordingServer(path) as server:
        async with model_at(server.base_url) as model:
            with pytest.raises(ModelError, match="t/F002/1"):
                await converse(model, "t/F002/1")
            with pytest.raises(ModelError, match="no more than the 2 recorded turns"):
                await model.call("coder", "t/F001/1", [*said, HumanMessage("And now?")])
    assert len(server.divergences) == 2


async def test_the_same_request_gets_the_same_answer(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path)
    with RecordingServer(path) as server:
        for _ in range(2):
            async with model_at(server.base_url) as model:
                assert (await converse(model))[-1].text == "done"


async def test_a_long_line_shows_where_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with ScriptedModel(["ok"]) as endpoint:
        async with model_at(endpoint.base_url, Recorder(path)) as model:
            await model.call("coder", "c", [HumanMessage("word " * 500 + "red")])
    with RecordingServer(path) as server:
        async with model_at(server.base_url) as model:
            with pytest.raises(ModelError):
                await model.call("coder", "c", [HumanMessage("word " * 500 + "blue")])
    (divergence,) = server.divergences
    assert divergence.expected.endswith("red")
    assert divergence.got.endswith("blue")
    assert len(divergence.got) <= 200


async def test_the_server_lists_its_models(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path)
    with RecordingServer(path) as server, urlopen(f"{server.base_url}/models") as answer:  # noqa: ASYNC210 - one thread
        assert [model["id"] for model in json.load(answer)["data"]] == ["scripted"]
