"""Endpoints that refuse what others take: each is served over real HTTP, and refuses without its quirk."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, Field
from scripted import Reply, Request, ScriptedModel, body, call, calls, completion, raw_calls, status, text

from harness.errors import HarnessError, SetupError
from harness.events import Events, ModelCalled
from harness.model import Model, ModelPaused
from harness.model.quirks import QUIRKS, plain_schema, quirks_of
from harness.recording import Recorder, load_recording
from harness.settings import ModelSettings
from harness.verify.check import Contract

LONG_ID = "call_" + "0123456789" * 5


class Inner(BaseModel):
    """Referred to."""

    title: str = "none"


class Outer(BaseModel):
    """Holds a reference and a constant."""

    inner: Inner
    kind: str = Field(json_schema_extra={"const": "x"})


TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": Outer.model_json_schema()},
}
SAID: list[BaseMessage] = [
    SystemMessage("The rules."),
    HumanMessage("The brief."),
    AIMessage("Both.", tool_calls=[{"name": "look", "args": {"n": n}, "id": f"{LONG_ID}{n}"} for n in (1, 2)]),
    *[ToolMessage(f"result {n}", tool_call_id=f"{LONG_ID}{n}") for n in (1, 2)],
    AIMessage(""),
    HumanMessage("Go on."),
]


@asynccontextmanager
async def model_of(reply: Any, quirks: list[str] | None = None, **settings: Any) -> Any:
    """A model at an endpoint: (model, endpoint, what it told)."""
    with ScriptedModel(reply) as endpoint:
        events, seen = Events(), []
        events.listen(seen.append)
        given = {"name": "scripted", "base_url": endpoint.base_url, "max_retries": 1, "quirks": quirks, **settings}
        model = Model(ModelSettings(**given), events, backoff_seconds=0.01)
        try:
            yield model, endpoint, seen
        finally:
            await model.aclose()


def ids_of(request: Request) -> list[str]:
    made = [c["id"] for m in request.messages for c in m.get("tool_calls") or ()]
    answered = [m["tool_call_id"] for m in request.messages if m["role"] == "tool"]
    assert sorted(made) == sorted(answered), "every call has its answer"
    return made


def one_call_at_a_time(request: Request) -> bool:
    many = any(len(m.get("tool_calls") or ()) > 1 for m in request.messages)
    follows = all(
        later.get("tool_call_id") == earlier["tool_calls"][0]["id"]
        for earlier, later in zip(request.messages, request.messages[1:], strict=False)
        if earlier.get("tool_calls")
    )
    return not many and follows and request.body.get("parallel_tool_calls") is False


def has_reasoning(request: Request) -> bool:
    return all("reasoning_content" in m for m in request.messages if m.get("tool_calls"))


TAKES: dict[str, Callable[[Request], bool]] = {
    "max-completion-tokens": lambda r: "max_tokens" not in r.body and r.body.get("max_completion_tokens") == 50,
    "developer-role": lambda r: r.messages[0]["role"] == "developer",
    "no-system-role": lambda r: r.messages[0] == {"role": "user", "content": "The rules.\n\nThe brief."},
    "single-calls": one_call_at_a_time,
    "no-tool-choice": lambda r: "tool_choice" not in r.body,
    "tool-choice-word": lambda r: isinstance(r.body.get("tool_choice"), str),
    "plain-schemas": lambda r: not re.search(r'"(\$ref|\$defs|const|default)"', json.dumps(r.tools)),
    "no-null-content": lambda r: all(m["content"] is not None for m in r.messages),
    "no-empty-content": lambda r: all(m["content"] or m.get("tool_calls") for m in r.messages),
    "call-ids-of-9": lambda r: all(re.fullmatch("[a-zA-Z0-9]{9}", i) for i in ids_of(r)),
    "call-ids-to-40": lambda r: all(len(i) <= 40 for i in ids_of(r)),
    "reasoning-content-back": has_reasoning,
    "stream-only": lambda r: r.body["stream"] and r.body["stream_options"] == {"include_usage": True},
}
"""By quirk: what an endpoint that has it takes; it refuses anything else."""


@pytest.mark.parametrize("quirk", TAKES)
async def test_an_endpoint_with_a_quirk_takes_what_is_sent_only_with_it(quirk: str) -> None:
    said = [*SAID]
    said[2] = AIMessage("" if quirk == "no-null-content" else "Both.", tool_calls=SAID[2].tool_calls)  # type: ignore[attr-defined]

    def reply(request: Request) -> Reply:
        return text("fine") if TAKES[quirk](request) else status(422, "not like this")

    for given, takes in (([quirk], True), ([], False)):
        async with model_of(reply, given, max_output_tokens=50) as (model, _, _):
            asked = model.call("coder", "c", said, [TOOL], tool_choice="look")
            if takes:
                assert (await asked).message.text == "fine"
            else:
                with pytest.raises(HarnessError, match="not like this"):
                    await asked


def test_every_quirk_of_the_table_is_tried() -> None:
    read = {"reasoning-details-back", "signatures-back", "unopened-think"}
    assert set(QUIRKS) == set(TAKES) | read, "those that are read, not sent, have tests of their own below"


@pytest.mark.parametrize("quirk", QUIRKS)
async def test_what_was_sent_once_is_sent_again_byte_for_byte(quirk: str) -> None:
    """A quirk that looked at the end of the conversation would spoil the endpoint's cache."""
    async with model_of(lambda _: text("fine"), [quirk]) as (model, endpoint, seen):
        for end in (4, 5, 7):
            if quirk == "single-calls" and end == 4:
                continue  # the calls of an answer are always answered together
            await model.call("coder", "c", SAID[:end], [TOOL])
    for earlier, later in zip(endpoint.requests, endpoint.requests[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages
    told = [event for event in seen if isinstance(event, ModelCalled)]
    assert all(event.repeated_bytes >= event.previous_bytes - 2 for event in told[1:]), told


@pytest.mark.parametrize(
    ("message", "thought", "said"),
    [
        ({"content": "yes", "reasoning_content": "hm"}, "hm", "yes"),
        ({"content": "yes", "reasoning": "hm"}, "hm", "yes"),
        ({"content": "yes", "reasoning_details": [{"text": "h"}, {"summary": "m"}]}, "hm", "yes"),
        ({"content": "\n<think>hm</think>\n\nyes"}, "hm", "yes"),
        ({"content": "<thinking>hm</thinking>yes"}, "hm", "yes"),
        ({"content": "<think>hm, and never an end"}, "hm, and never an end", ""),
        ({"content": "The tag <think> and </think> is for models."}, "", "The tag <think> and </think> is for models."),
        ({"content": "hm</think>yes"}, "", "hm</think>yes"),
        (
            {"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "yes"}]},
            "hm",
            "yes",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_reasoning_is_told_and_never_part_of_the_answer_nor_sent_back(
    message: dict[str, Any], thought: str, said: str
) -> None:
    async with model_of([completion({"role": "assistant", **message}), "ok"], []) as (model, endpoint, seen):
        reply = await model.call("coder", "c", [HumanMessage("Well?")])
        await model.call("coder", "c", [HumanMessage("Well?"), reply.message, HumanMessage("Go on.")])
    assert (reply.message.text, reply.reasoning, seen[0].reasoning) == (said, thought, thought)
    assert endpoint.requests[1].messages[1] == {"role": "assistant", "content": said}


async def test_a_key_that_is_echoed_in_a_thought_is_told_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-a-secret-that-must-not-leak"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    answer = completion({"role": "assistant", "content": f"<think>My key is {key}.</think>yes"}, model=key)
    async with model_of([answer], []) as (model, endpoint, seen):
        await model.call("coder", "c", SAID)
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {key}"
    assert (seen[0].reasoning, seen[0].answered_by) == ("My key is [key].", "[key]")


async def test_a_thought_that_nothing_opened_is_one_only_with_the_quirk() -> None:
    async with model_of(["hm, <b></think>\nyes"], ["unopened-think"]) as (model, _, seen):
        assert (await model.call("coder", "c", SAID)).message.text == "yes"
    assert seen[0].reasoning == "hm, <b>"


DETAILS = [{"type": "reasoning.encrypted", "data": "ab12", "index": 0}]
SIGNED = {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize("quirk", ["reasoning-content-back", "reasoning-details-back", "signatures-back", ""])
async def test_what_an_endpoint_wants_back_comes_back_with_its_answer(quirk: str) -> None:
    answer = calls([("look", {"n": 1}), ("look", {"n": 2})])
    given = answer["choices"][0]["message"]
    given |= {"reasoning_content": "hm", "reasoning_details": DETAILS}
    given["tool_calls"][0]["extra_content"] = SIGNED
    async with model_of([answer, "ok"], [quirk] if quirk else []) as (model, endpoint, _):
        reply = await model.call("coder", "c", [HumanMessage("Look.")], [TOOL])
        results = [ToolMessage("seen", tool_call_id=c["id"]) for c in reply.message.tool_calls]
        await model.call("coder", "c", [HumanMessage("Look."), reply.message, *results], [TOOL])
    back = endpoint.requests[1].messages[1]
    assert back.get("reasoning_content") == ("hm" if quirk == "reasoning-content-back" else None)
    assert back.get("reasoning_details") == (DETAILS if quirk == "reasoning-details-back" else None)
    extras = [c.get("extra_content") for c in back["tool_calls"]]
    assert extras == [SIGNED if quirk == "signatures-back" else None, None]


async def test_another_endpoint_does_not_get_what_the_first_wanted_back() -> None:
    answer = calls([("look", {"n": 1})])
    answer["choices"][0]["message"]["reasoning_details"] = DETAILS
    async with (
        model_of([answer, status(402, "quota")], ["reasoning-details-back"]) as (first, _, _),
        model_of(["ok"], []) as (second, other, _),
    ):
        reply = await first.call("coder", "c", [HumanMessage("Look.")], [TOOL])
        answered = ToolMessage("seen", tool_call_id=reply.message.tool_calls[0]["id"])
        await second.call("coder", "c", [HumanMessage("Look."), reply.message, answered], [TOOL])
    assert "reasoning_details" not in other.requests[0].messages[1]


async def test_a_second_endpoint_has_quirks_of_its_own() -> None:
    async with model_of(["ok"]) as (_, other, _):
        fallback = {"name": "second", "base_url": other.base_url, "quirks": ["developer-role"]}
        async with model_of([status(402, "quota")], ["no-system-role"], fallback=fallback) as (model, first, _):
            await model.call("coder", "c", SAID)
    assert first.requests[0].messages[0]["role"] == "user"
    assert other.requests[0].messages[0]["role"] == "developer"


async def test_answers_of_another_model_are_told_as_its_own() -> None:
    async with model_of([text("hi", model="small-2026")], []) as (model, _, seen):
        await model.call("coder", "c", SAID)
    assert seen[0].answered_by == "small-2026"


async def test_a_call_garbled_by_the_server_is_asked_for_again() -> None:
    garbled = status(400, "Failed to call a function. Please adjust your prompt.", code="tool_use_failed")
    async with model_of([garbled, call("look")], []) as (model, endpoint, _):
        assert (await model.call("coder", "c", SAID, [TOOL])).message.tool_calls
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("how", ["finish", "choice"])
async def test_an_answer_that_a_gateway_broke_off_is_asked_for_again(how: str) -> None:
    broken = text("half an ans", finish_reason="error" if how == "finish" else "stop")
    if how == "choice":
        broken["choices"][0]["error"] = {"code": 502, "message": "provider disconnected"}
    async with model_of([broken, "whole"], []) as (model, _, _):
        assert (await model.call("coder", "c", SAID)).message.text == "whole"


# --- streams ---


def events(*chunks: Any, done: bool = True) -> Any:
    lines = [f"data: {json.dumps(chunk)}" for chunk in chunks] + (["data: [DONE]"] if done else [])
    return body(": waiting\n\n" + "\n\n".join(lines) + "\n\n", "text/event-stream; charset=utf-8")


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "x", "model": "scripted", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def piece(index: int | None, call_id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    told = {} if index is None else {"index": index}
    return delta(tool_calls=[{**told, "id": call_id, "function": {"name": name, "arguments": arguments}}])


USAGE = {"choices": [], "usage": {"prompt_tokens": 70, "completion_tokens": 7, "total_tokens": 77}}


@pytest.mark.parametrize("index", [0, None], ids=["by index", "without index"])
async def test_a_stream_is_read_whole_with_its_usage_in_the_last_chunk(index: int | None) -> None:
    second = None if index is None else 1
    streamed = events(
        delta(reasoning_content="h"), delta(reasoning_content="m"), delta(content="Wri"), delta(content="ting."),
        piece(index, "c1", "look", '{"n'), piece(index, "", "", '": 1}'), piece(second, "c2", "look", {"n": 2}),
        delta("tool_calls"), USAGE,
    )  # fmt: skip
    async with model_of([streamed], ["stream-only"]) as (model, _, seen):
        reply = await model.call("coder", "c", SAID, [TOOL])
    assert (reply.message.text, reply.reasoning) == ("Writing.", "hm")
    assert [(c["id"], c["args"]) for c in reply.message.tool_calls] == [("c1", {"n": 1}), ("c2", {"n": 2})]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (70, 7)
    assert seen[0].kind == "model"


@pytest.mark.parametrize(
    "pieces",
    [
        [(1, "c1", "look", '{"n'), (1, None, None, '": 1}'), (2, "c2", "look", '{"n": '), (2, "", "", "2}")],
        [(0, "c1", "look", '{"n'), (7, "c2", "look", '{"n": '), (0, None, None, '": 1}'), (7, None, None, "2}")],
        [(0, "c1", "look", '{"n": 1}'), (0, "c2", "look", '{"n": '), (0, None, None, "2}")],
        [(0, "c1", "look", '{"n'), (0, "c1", "look", '": 1}'), (1, "c2", "look", '{"n'), (1, "x", None, '": 2}')],
        [(None, "c1", "look", '{"n": 1}'), (None, "c2", "look", '{"n'), (None, "c2", None, '": 2}')],
    ],
    ids=["from 1 on", "with gaps", "always 0", "ids again", "no index"],
)
async def test_calls_are_told_apart_however_an_endpoint_numbers_them(pieces: list[tuple[Any, ...]]) -> None:
    streamed = events(*(piece(*told) for told in pieces), delta("tool_calls"), USAGE)
    async with model_of([streamed], ["stream-only"]) as (model, _, _):
        reply = await model.call("coder", "c", SAID, [TOOL])
    assert [(c["id"], c["args"]) for c in reply.message.tool_calls] == [("c1", {"n": 1}), ("c2", {"n": 2})]


async def test_half_a_character_in_a_thought_and_a_line_separator_in_a_stream_break_nothing() -> None:
    details = [{"text": "h\ud800m"}]
    whole = {"role": "assistant", "content": "yes \ud800", "reasoning_details": details}
    streamed = body("data: " + json.dumps(delta("stop", content="a\u2028b"), ensure_ascii=False), "text/event-stream")
    async with model_of([completion(whole), streamed], ["reasoning-details-back"]) as (model, _, seen):
        reply = await model.call("coder", "c", SAID)
        again = await model.call("coder", "c", [*SAID, reply.message, HumanMessage("Go on.")])
    assert (seen[0].reasoning, reply.message.text, again.message.text) == ("h?m", "yes ?", "a\u2028b")
    assert seen[0].model_dump_json()


async def test_a_streamed_answer_is_recorded_as_the_completion_it_is(tmp_path: Path) -> None:
    streamed = events(delta(content="wh"), delta(content="ole"), delta("stop"), USAGE)
    with ScriptedModel([streamed]) as endpoint:
        recorder = Recorder(tmp_path / "run.jsonl")
        settings = ModelSettings(name="scripted", base_url=endpoint.base_url, quirks=["stream-only"])
        model = Model(settings, Events(), transport=recorder)
        assert (await model.call("coder", "t/s", SAID)).usage.input_tokens == 70
        await model.aclose()
    (turn,) = load_recording(tmp_path / "run.jsonl").values()
    assert turn.response["choices"][0]["message"]["content"] == "whole"


CUT = {
    "without an end": events(delta(content="half an ans"), done=False),
    "in the middle of a call": events(piece(0, "c1", "look", '{"path": "a.html", "conte'), done=False),
    "in the middle of an event": body('data: {"choices": [{"ind', "text/event-stream"),
    "with an error": events(delta(content="ha"), {"error": {"message": "overloaded", "code": 529}}),
    "empty": events(),
}


@pytest.mark.parametrize("kind", CUT)
async def test_a_stream_that_ended_early_is_never_an_answer(kind: str) -> None:
    async with model_of([CUT[kind], events(delta("stop", content="whole"))], ["stream-only"]) as (model, endpoint, _):
        reply = await model.call("coder", "c", SAID, [TOOL])
    assert (reply.message.text, reply.message.tool_calls, len(endpoint.requests)) == ("whole", [], 2)
    async with model_of(lambda _: CUT[kind], ["stream-only"]) as (model, _, _):
        with pytest.raises(ModelPaused, match="tried 2 times"):
            await model.call("coder", "c", SAID, [TOOL])


async def test_a_call_whose_stream_says_it_is_whole_and_is_not_is_never_carried_out() -> None:
    streamed = events(piece(0, "c1", "look", '{"path": "a'), delta("tool_calls"))
    async with model_of([streamed], []) as (model, _, _):
        reply = await model.call("coder", "c", SAID, [TOOL])
    assert reply.message.tool_calls == []
    assert "not JSON" in reply.invalid[0].why


async def test_arguments_that_are_no_text_and_ids_that_are_missing_are_taken() -> None:
    bare = raw_calls([("look", {"n": 1}, None), ("look", None, None)])
    for each in bare["choices"][0]["message"]["tool_calls"]:
        del each["id"]
    async with model_of([bare], []) as (model, _, _):
        made = (await model.call("coder", "c", SAID, [TOOL])).message.tool_calls
    assert [c["args"] for c in made] == [{"n": 1}, {}]
    assert len({c["id"] for c in made}) == 2


# --- the table ---


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("https://api.openai.com/v1", ("max-completion-tokens", "call-ids-to-40")),
        ("https://mine.openai.azure.com/openai/v1", ("max-completion-tokens", "call-ids-to-40")),
        ("https://openrouter.ai/api/v1", ("reasoning-details-back",)),
        ("https://api.openai.com.example.com/v1", ()),
        ("https://notopenrouter.ai/v1", ()),
        ("http://localhost:1234/v1", ("tool-choice-word",)),
        ("http://127.0.0.1:11434/v1", ()),
        ("http://example.com:1234/v1", ()),
    ],
)
def test_a_host_is_known_by_its_whole_name(address: str, names: tuple[str, ...]) -> None:
    assert quirks_of(address).names == names


def test_what_a_person_names_counts_alone_and_unknown_names_are_refused() -> None:
    assert quirks_of("https://api.openai.com/v1", []).names == ()
    assert quirks_of("https://api.openai.com/v1", ["stream-only"]).names == ("stream-only",)
    with pytest.raises(SetupError, match=r'names "speaks-latin", which is none') as told:
        quirks_of("https://api.openai.com/v1", ["stream-only", "speaks-latin"])
    assert "no-system-role" in told.value.remedy


def test_the_largest_schema_of_ours_stays_sendable_when_it_is_written_out() -> None:
    schema = Contract.model_json_schema()
    plain = json.dumps(plain_schema(schema, schema["$defs"]))
    assert "$ref" not in plain
    assert len(plain) < 12 * len(json.dumps(schema))


def test_properties_that_are_called_like_words_of_the_schema_stay() -> None:
    given = {"type": "object", "properties": {"title": {"type": "string", "title": "T"}, "const": {"const": 1}}}
    assert plain_schema(given, {})["properties"] == {"title": {"type": "string"}, "const": {"enum": [1]}}
