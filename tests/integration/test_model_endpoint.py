"""The model adapter against a real HTTP endpoint, a good one and hostile ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, Field
from scripted import ScriptedModel, body, call, calls, completion, cut, drip, drop, hang, raw_calls, status, text

from harness.errors import HarnessError, ModelError, SetupError
from harness.events import Events, ModelCalled, Noticed
from harness.model import ContextOverflow, EndpointRefused, Model, ModelPaused, ToolsRefused
from harness.settings import ModelSettings

WRITE = {
    "type": "function",
    "function": {"name": "write_file", "description": "Write.", "parameters": {"type": "object", "properties": {}}},
}
QUESTION: list[BaseMessage] = [HumanMessage("Go on.")]
KEY = "sk-a-secret-that-must-not-leak"

Start = Callable[..., Awaitable[tuple[Model, ScriptedModel, list[Any]]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start an endpoint that gives these replies, and a model that calls it: (model, endpoint, events)."""
    async with AsyncExitStack() as stack:

        async def begin(replies: Any, **settings: Any) -> tuple[Model, ScriptedModel, list[Any]]:
            endpoint = stack.enter_context(ScriptedModel(replies))
            events, seen = Events(), []
            events.listen(seen.append)
            given = {"name": "scripted", "base_url": endpoint.base_url, "max_retries": 2, **settings}
            model = Model(ModelSettings(**given), events, backoff_seconds=0.01)
            stack.push_async_callback(model.aclose)
            return model, endpoint, seen

        yield begin


async def test_a_call_brings_the_message_and_what_it_used(start: Start) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}
    prices = {"usd_per_million_input": 2.0, "usd_per_million_cached": 0.5, "usd_per_million_output": 10.0}
    answer = {**call("write_file", path="a.txt"), "usage": usage}
    model, endpoint, seen = await start([answer], **prices)
    reply = await model.call("coder", "t/F001/1", QUESTION, [WRITE])
    assert [(c["name"], c["args"]) for c in reply.message.tool_calls] == [("write_file", {"path": "a.txt"})]
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (1000, 600, 50)
    assert reply.usage.cost_usd == pytest.approx((400 * 2 + 600 * 0.5 + 50 * 10) / 1e6)
    assert model.totals["coder"].calls == 1
    assert model.totals["coder"].cost_usd == reply.usage.cost_usd
    (event,) = seen
    assert isinstance(event, ModelCalled)
    assert (event.conversation, event.turn, event.tool_calls[0]["name"]) == ("t/F001/1", 0, "write_file")
    assert endpoint.requests[0].conversation == "t/F001/1"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(500), id="500"),
        pytest.param(status(503), id="503"),
        pytest.param(status(408), id="408"),
        pytest.param(status(409), id="409"),
        pytest.param(status(429, retry_after=0), id="429"),
        pytest.param(body("<!doctype html><html><h1>Bad gateway</h1></html>"), id="html"),
        pytest.param(body("<html>", code=502), id="html 502"),
        pytest.param(body('{"choices": [', content_type="application/json"), id="half JSON"),
        pytest.param(body("[1, 2]", content_type="application/json"), id="a list"),
        pytest.param(body('{"error": {"message": "overloaded", "code": 529}}', "application/json"), id="error in 200"),
        pytest.param({**text("x"), "choices": []}, id="no choices"),
        pytest.param({**text("x"), "choices": None}, id="null choices"),
        pytest.param({**text("x"), "choices": ["x"]}, id="choices of text"),
        pytest.param({**text("x"), "choices": [{"finish_reason": "stop", "message": None}]}, id="no message"),
        pytest.param(text("half an ans", finish_reason=None), id="no finish reason"),
        pytest.param(body(gzip.compress(bytes(200_000_000), 1), **{"Content-Encoding": "gzip"}), id="gzip bomb"),
        pytest.param(body(b"no gzip", **{"Content-Encoding": "gzip"}), id="broken gzip"),
        pytest.param(drop(), id="dropped"),
        pytest.param(cut(text("x" * 5000)), id="cut"),
    ],
)
async def test_a_fault_that_may_pass_is_tried_again(start: Start, fault: Any) -> None:
    model, endpoint, seen = await start([fault, fault, "here I am"])
    reply = await model.call("coder", "c", QUESTION)
    assert reply.message.text == "here I am"
    assert len(endpoint.requests) == 3
    assert [type(event) for event in seen] == [Noticed, Noticed, ModelCalled]


@pytest.mark.parametrize("silence", [hang(), drip()], ids=["hang", "drip"])
async def test_an_endpoint_that_never_ends_its_answer_is_left_after_the_time_limit(start: Start, silence: Any) -> None:
    model, _, _ = await start([silence, "ok"], call_seconds=0.5)
    assert (await model.call("coder", "c", QUESTION)).message.text == "ok"


async def test_a_compressed_answer_is_read(start: Start) -> None:
    packed = gzip.compress(json.dumps(text("small")).encode())
    model, _, _ = await start([body(packed, "application/json", **{"Content-Encoding": "gzip"})])
    assert (await model.call("coder", "c", QUESTION)).message.text == "small"


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    model, _, _ = await start(["direct"])
    assert (await model.call("coder", "c", QUESTION)).message.text == "direct"


async def test_tries_are_bounded_and_the_end_is_a_pause_that_names_the_reason(start: Start) -> None:
    model, endpoint, _ = await start(lambda _: status(503, "maintenance"))
    with pytest.raises(ModelPaused, match=r"503: maintenance .*tried 3 times"):
        await model.call("coder", "c", QUESTION)
    assert len(endpoint.requests) == 3


async def test_a_short_retry_after_is_waited_for(start: Start) -> None:
    model, endpoint, seen = await start([status(429, retry_after=0.3), "ok"])
    await model.call("coder", "c", QUESTION)
    called = next(event for event in seen if isinstance(event, ModelCalled))
    assert called.at - seen[0].at >= timedelta(seconds=0.3)
    assert len(endpoint.requests) == 2


async def test_a_retry_after_beyond_the_limit_stops_and_says_when_to_go_on(start: Start) -> None:
    model, endpoint, _ = await start(lambda _: status(429, retry_after=7200))
    with pytest.raises(ModelPaused) as caught:
        await model.call("coder", "c", QUESTION)
    assert len(endpoint.requests) == 1
    assert caught.value.resume_at is not None
    assert abs(caught.value.resume_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    assert f"{caught.value.resume_at:%H:%M:%S} UTC" in caught.value.remedy


TOO_LONG = "This model's maximum context length is 8192 tokens. Please reduce the length of the messages."


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (status(401, "Incorrect API key provided"), EndpointRefused, "OPENAI_API_KEY"),
        (status(403, "This API key has expired"), EndpointRefused, "Set OPENAI_API_KEY"),
        (status(400, "API key not valid. Please pass a valid API key."), EndpointRefused, "Set OPENAI_API_KEY"),
        (status(403, "no access to model"), EndpointRefused, "OPENAI_MODEL"),
        (status(404, "The model `x` does not exist"), EndpointRefused, "OPENAI_MODEL"),
        (body("<html>not here</html>", code=404), EndpointRefused, "/v1"),
        (status(400, TOO_LONG, code="context_length_exceeded"), ContextOverflow, "maximum context length"),
        (status(413, "too big"), ContextOverflow, "context_tokens"),
        (status(429, "Request too large for gpt-4o on tokens per min"), ContextOverflow, "too large"),
        (status(429, "You exceeded your current quota", code="insufficient_quota"), ModelPaused, "quota"),
        (status(402, "Insufficient credits"), ModelPaused, "quota"),
        (status(400, "registry/tiny does not support tools"), ToolsRefused, "choose another model"),
        (status(404, "No endpoints found that support tool use."), ToolsRefused, "choose another model"),
        (status(422, "temperature: wrong"), ModelError, "temperature: wrong"),
        (status(409, "session 's', turn 3: expected", type="recording_divergence"), ModelError, "turn 3"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_fault_that_stays_is_told_at_once_with_a_remedy(
    start: Start, fault: Any, error: type[HarnessError], words: str
) -> None:
    model, endpoint, _ = await start(lambda _: fault)
    with pytest.raises(error) as caught:
        await model.call("coder", "c", QUESTION, [WRITE])
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert caught.value.remedy
    assert len(endpoint.requests) == 1


async def test_an_address_nobody_listens_on_is_a_pause(start: Start) -> None:
    with ScriptedModel([]) as gone:
        address = gone.base_url
    model, _, _ = await start([], base_url=address)
    with pytest.raises(ModelPaused, match="could not be reached"):
        await model.call("coder", "c", QUESTION)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ('{"command": "ls', "not JSON"),
        ('{"content": "<h1>It"s</h1>"}', "not JSON"),
        ('["index.html"]', "not one object"),
        ("null", "not one object"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"a": "' + "x" * 5_000_000 + '"}', "at most"),
        ("[" * 100_000, "nested"),
    ],
    ids=["cut", "quotes", "list", "null", "duplicate key", "NaN", "surrogate", "5 MB", "deep"],
)
async def test_arguments_that_are_not_one_object_are_an_invalid_call_the_model_can_be_answered(
    start: Start, arguments: str, why: str
) -> None:
    model, endpoint, _ = await start([raw_calls([("write_file", arguments, "c1")]), "sorry"])
    reply = await model.call("coder", "c", QUESTION, [WRITE])
    assert reply.message.tool_calls == []
    (invalid,) = reply.invalid
    assert (invalid.id, invalid.name) == ("c1", "write_file")
    assert why in invalid.why
    await model.call("coder", "c", [*QUESTION, reply.message, ToolMessage(invalid.why, tool_call_id="c1")], [WRITE])
    sent = endpoint.requests[1].messages[1]["tool_calls"][0]
    assert (sent["id"], sent["function"]["arguments"][:12]) == ("c1", '{"not_json":')


async def test_calls_with_one_id_are_told_apart_also_from_earlier_ones(start: Start) -> None:
    same = raw_calls([("write_file", "{}", "call_0"), ("write_file", "{}", "call_0"), ("write_file", "[]", "call_0")])
    model, _, _ = await start([same])
    earlier = AIMessage("", tool_calls=[{"name": "write_file", "args": {}, "id": "call_0"}])
    reply = await model.call("coder", "c", [*QUESTION, earlier, ToolMessage("ok", tool_call_id="call_0")], [WRITE])
    ids = [c["id"] for c in reply.message.tool_calls] + [c.id for c in reply.invalid]
    assert len({*ids, "call_0"}) == 4


async def test_an_answer_cut_at_the_limit_says_so_and_loses_its_cut_call(start: Start) -> None:
    cut_call = raw_calls([("write_file", '{"path": "a"}', "c1"), ("write_file", '{"pa', "c2")], finish_reason="length")
    model, _, _ = await start([cut_call])
    reply = await model.call("coder", "c", QUESTION, [WRITE])
    assert reply.truncated
    assert [c["id"] for c in reply.message.tool_calls] == ["c1"]
    assert reply.invalid == []


async def test_missing_or_senseless_usage_is_estimated(start: Start) -> None:
    wrong = [None, {"prompt_tokens": "many"}, {"prompt_tokens": -5, "completion_tokens": True}]
    model, _, _ = await start([{**text("four words of answer"), "usage": usage} for usage in wrong])
    for _ in wrong:
        usage = (await model.call("coder", "c", [HumanMessage("x" * 400)])).usage
        assert 100 <= usage.input_tokens <= 120
        assert usage.output_tokens > 3


async def test_an_echoed_key_is_in_no_text_and_no_cause(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    replies = [status(500, f"bad {KEY}"), call("write_file", {"path": KEY}, say=f"I saw {KEY}"), status(401, KEY)]
    model, endpoint, seen = await start(replies)
    await model.call("coder", "c", QUESTION, [WRITE])
    with pytest.raises(SetupError) as caught:
        await model.call("coder", "c", QUESTION)
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(seen)
    assert KEY not in repr([caught.value, str(caught.value), caught.value.__cause__])
    assert "[key]" in str(caught.value)


async def test_each_role_is_answered_by_its_model(start: Start) -> None:
    model, endpoint, _ = await start(["a", "b"], roles={"verifier": "judge"})
    await model.call("coder", "c", QUESTION)
    await model.call("verifier", "c", QUESTION)
    assert [request.body["model"] for request in endpoint.requests] == ["scripted", "judge"]
    assert set(model.totals) == {"coder", "verifier"}


async def test_the_last_request_is_a_prefix_of_the_next(start: Start) -> None:
    model, endpoint, _ = await start([calls([("write_file", {"b": 1, "a": "ü"})]), "ok"])
    reply = await model.call("coder", "c", QUESTION, [WRITE])
    await model.call(
        "coder",
        "c",
        [*QUESTION, reply.message, ToolMessage("done", tool_call_id=reply.message.tool_calls[0]["id"])],
        [WRITE],
    )
    first, second = (request.body for request in endpoint.requests)
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert {**second, "messages": None} == {**first, "messages": None}


async def test_a_model_that_only_talks_is_told_apart(start: Start) -> None:
    model, _, _ = await start(lambda _: "I would write the file.")
    for _ in range(4):
        await model.call("coder", "c", QUESTION, [WRITE])
    with pytest.raises(ToolsRefused, match="does not make tool calls"):
        await model.call("coder", "c", QUESTION, [WRITE])


async def test_a_model_that_made_a_tool_call_may_talk(start: Start) -> None:
    model, _, _ = await start([call("write_file"), *["let me think"] * 8])
    for _ in range(9):
        await model.call("coder", "c", QUESTION, [WRITE])


class Plan(BaseModel):
    """The plan, as short titles."""

    titles: list[str] = Field(min_length=1)
    count: int


async def test_an_answer_is_asked_for_by_a_forced_tool(start: Start) -> None:
    model, endpoint, _ = await start([call("submit", titles=["a"], count=1)])
    plan, said = await model.ask("initializer", "plan", QUESTION, Plan)
    assert plan == Plan(titles=["a"], count=1)
    assert endpoint.requests[0].body["tool_choice"] == {"type": "function", "function": {"name": "submit"}}
    assert endpoint.requests[0].tools[0]["function"]["description"] == "The plan, as short titles."
    assert [message.type for message in said] == ["human", "ai", "tool"]


async def test_a_refused_answer_is_asked_for_again_with_the_reasons(start: Start) -> None:
    replies = [
        raw_calls([("submit", '{"titles"', None)]),
        call("submit", titles=[], count="x"),
        call("submit", titles=["a"], count=5),
        call("submit", titles=["a"], count=1),
    ]
    model, endpoint, _ = await start(replies)

    def check(plan: Plan) -> list[str]:
        return [] if plan.count == len(plan.titles) else [f"count is {plan.count}, not {len(plan.titles)}"]

    plan, said = await model.ask("initializer", "plan", QUESTION, Plan, attempts=4, check=check)
    assert plan.count == 1
    told = [request.last for request in endpoint.requests[1:]]
    assert "not JSON" in told[0]
    assert "titles" in told[1]
    assert "count" in told[1]
    assert "count is 5, not 1" in told[2]
    for earlier, later in zip(endpoint.requests, endpoint.requests[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages
    assert len(said) == 9


async def test_answers_that_stay_wrong_end_with_the_role_and_conversation(start: Start) -> None:
    model, endpoint, _ = await start(lambda _: call("submit", titles=[]))
    with pytest.raises(ModelError, match=r"initializer .* 3 attempts \(conversation 'plan'\).*count") as caught:
        await model.ask("initializer", "plan", QUESTION, Plan)
    assert type(caught.value) is ModelError
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    "answer",
    ['{"titles": ["a"], "count": 1}', 'Here:\n```json\n{"titles": ["a"], "count": 1}\n```\nDone.'],
    ids=["bare", "fenced"],
)
async def test_an_endpoint_that_cannot_be_forced_may_answer_in_text(start: Start, answer: str) -> None:
    def reply(request: Any) -> Any:
        if request.body["tool_choice"] != "auto":
            return status(400, "tool_choice: only auto is supported")
        return answer

    model, endpoint, _ = await start(reply)
    plan, _ = await model.ask("initializer", "plan", QUESTION, Plan)
    assert plan.count == 1
    await model.ask("initializer", "plan", QUESTION, Plan)
    assert len(endpoint.requests) == 3, "the second question does not try to force again"


async def test_a_model_that_answers_questions_with_talk_is_told_apart(start: Start) -> None:
    model, endpoint, _ = await start(lambda _: "I think the plan is fine.")
    with pytest.raises(ToolsRefused, match="does not make tool calls"):
        await model.ask("initializer", "plan", QUESTION, Plan)
    assert "one JSON object of this schema" in endpoint.requests[-1].last


async def test_a_cut_answer_is_asked_for_again_shorter(start: Start) -> None:
    cut_answer = raw_calls([("submit", '{"titles": ["a', "c1")], finish_reason="length")
    model, endpoint, _ = await start([cut_answer, call("submit", titles=["a"], count=1)])
    await model.ask("initializer", "plan", QUESTION, Plan)
    assert "shorter" in endpoint.requests[1].last


async def test_content_in_parts_and_refusals_are_text(start: Start) -> None:
    parts = completion({"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})
    refusal = completion({"role": "assistant", "content": None, "refusal": "I cannot help with that."})
    model, _, _ = await start([parts, refusal])
    assert (await model.call("coder", "c", QUESTION)).message.text == "ab"
    assert (await model.call("coder", "c", QUESTION)).message.text == "I cannot help with that."


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(402, "quota"), id="quota"),
        pytest.param(status(429, retry_after=9000), id="long wait"),
        pytest.param(status(401, "expired"), id="key"),
        pytest.param(status(500), id="dead"),
    ],
)
async def test_a_second_endpoint_answers_while_the_first_will_not(
    start: Start, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_FALLBACK_API_KEY", "sk-of-the-second")
    _, other, _ = await start(lambda _: text("the second"))
    second = {"name": "second", "base_url": other.base_url, "usd_per_million_output": 10.0}
    model, first, seen = await start(lambda _: fault, fallback=second)
    for _ in range(2):
        assert (await model.call("coder", "c", QUESTION)).message.text == "the second"
    assert len(first.requests) <= 3, "the first is left alone for a while"
    assert {r.headers["authorization"] for r in other.requests} == {"Bearer sk-of-the-second"}
    assert {r.body["model"] for r in other.requests} == {"second"}
    assert (model.totals["coder"].calls, model.totals["coder"].cost_usd > 0) == (2, True)
    assert "second answers" in " ".join(event.text for event in seen if isinstance(event, Noticed))


async def test_a_second_model_of_the_same_endpoint_has_its_key(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def script(request: Any) -> Any:
        return text("cheaper") if request.body["model"] == "small" else status(402, "quota")

    model, endpoint, _ = await start(script, fallback={"name": "small"})
    assert (await model.call("coder", "c", QUESTION)).message.text == "cheaper"
    assert endpoint.requests[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("images", [True, False])
async def test_a_second_model_gets_pictures_only_if_it_takes_them(start: Start, images: bool) -> None:
    def script(request: Any) -> Any:
        return text("seen") if request.body["model"] == "small" else status(402, "quota")

    model, endpoint, _ = await start(script, images=True, fallback={"name": "small", "images": images})
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    await model.call("coder", "c", [*QUESTION, HumanMessage([{"type": "text", "text": "see"}, picture])])
    first, second = (request.messages[-1]["content"] for request in endpoint.requests)
    assert first[1] == picture
    assert second == (first if images else "see\n[a picture, not shown here]")


async def test_what_only_another_prompt_mends_is_not_given_to_the_second(start: Start) -> None:
    too_long = status(400, "maximum context length", code="context_length_exceeded")
    model, endpoint, _ = await start(lambda _: too_long, fallback={"name": "small"})
    with pytest.raises(ContextOverflow):
        await model.call("coder", "c", QUESTION)
    assert [request.body["model"] for request in endpoint.requests] == ["scripted"]


async def test_a_second_endpoint_without_a_key_is_told_at_the_start(start: Start) -> None:
    with pytest.raises(SetupError, match="OPENAI_FALLBACK_API_KEY is not set"):
        await start([], fallback={"name": "second", "base_url": "https://api.example.org/v1"})


async def test_a_second_endpoint_that_refuses_its_key_names_that_key(start: Start) -> None:
    _, other, _ = await start(lambda _: status(401, "expired"))
    model, _, _ = await start(lambda _: status(402, "quota"), fallback={"name": "second", "base_url": other.base_url})
    with pytest.raises(SetupError) as told:
        await model.call("coder", "c", QUESTION)
    assert "OPENAI_FALLBACK_API_KEY" in told.value.remedy
