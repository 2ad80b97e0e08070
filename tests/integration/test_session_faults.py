"""A running session and everything an endpoint can do wrong: it goes on, or it stops and goes on later.

Each fault strikes in the middle, once or for good. Whatever happens, each call that was asked for is carried out once,
nothing of a broken answer is carried out at all, and the session ends as it would have without the fault.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from harness.budget import Budget, Meter
from harness.errors import HarnessError, SetupError
from harness.events import Events, Noticed
from harness.journal import Journal
from harness.model import Model, ModelPaused
from harness.opening import open_checkpoints
from harness.parts import Parts
from harness.session import Session, SessionOutcome
from harness.settings import Settings
from harness.tools.tool import Arguments, Tool
from tests.scripted import (
    Request,
    ScriptedModel,
    body,
    call,
    completion,
    cut,
    drip,
    drop,
    hang,
    raw_calls,
    status,
    text,
)

LOOKS, STRUCK = 6, 3
"""Calls of a session, and the one before which the fault strikes."""
SECRET = "sk-a-secret-that-must-not-leak"


class Look(Arguments):
    """Arguments of `look`."""

    at: int


@dataclass
class World:
    """What a session did, over all its processes."""

    path: Path
    looked: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def run(self, base_url: str, **model: Any) -> SessionOutcome:
        """Start the session, or go on with it, with parts of its own."""

        async def look(asked: Look) -> str:
            self.looked.append(asked.at)
            return f"result {asked.at}"

        unused, events = cast("Any", None), Events()
        events.listen(lambda event: self.told.append(event.text) if isinstance(event, Noticed) else None)
        given = {"name": "scripted", "base_url": base_url, "max_retries": 2, "call_seconds": 2.0, **model}
        settings = Settings.model_validate({"model": given})
        served = Model(settings.model, events, backoff_seconds=0.01)
        try:
            async with open_checkpoints(self.path / "checkpoints.db") as saver:
                budget = Budget(settings.limits, Meter())
                parts = Parts(unused, settings, "t", unused, served, unused, events, saver, budget)
                journal = Journal(self.path / "calls.jsonl", self.path)
                tools = [Tool("look", "Looks.", Look, look)]
                return await Session(parts, "s001", "coder", tools, journal).run("Rules.", "Brief.", 0)
        finally:
            await served.aclose()


def looks_done(request: Request) -> int:
    return sum(str(m.get("content")).startswith("result ") for m in request.messages if m["role"] == "tool")


def honest(request: Request) -> Any:
    """Looks so many times and finishes; decided by what came of the calls, so a fault changes nothing."""
    done = looks_done(request)
    return call("look", at=done) if done < LOOKS else call("finish", summary="seen")


def wrong_calls(*wanted: tuple[str, Any, str | None], **more: Any) -> dict[str, Any]:
    return raw_calls(wanted, **more)


BEFORE_THE_MODEL = {
    "429": status(429, retry_after=0.05),
    "429 with an odd Retry-After": status(429, retry_after="soon"),
    "500": status(500),
    "503": status(503),
    "dropped": drop(),
    "cut inside JSON": cut(text("x" * 5000)),
    "hang": hang(),
    "drip": drip(),
    "HTML": body("<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "HTML 502": body("<html>", code=502),
    "no choices": {**text("x"), "choices": []},
    "gzip bomb": body(gzip.compress(bytes(100_000_000), 1), **{"Content-Encoding": "gzip"}),
    "no finish reason": text("I will now wri", finish_reason=None),
    "stream cut": body('data: {"choices": [{"delta": {"content": "I wi', "text/event-stream"),
}
"""Answers that are none: tried again, the session hears nothing of them."""
LARGE = json.dumps({"at": 1, "x": "y" * 5_000_000})
ANSWERS = {
    "malformed arguments": wrong_calls(("look", '{"at": "It"s"}', "c1")),
    "cut arguments": wrong_calls(("look", '{"at": 99, "x', "c1"), finish_reason="length"),
    "arguments of a wrong type": wrong_calls(("look", "[99]", "c1")),
    "a wrong value": wrong_calls(("look", '{"at": "far"}', "c1")),
    "5 MB of arguments": wrong_calls(("look", LARGE, "c1")),
    "a key twice": wrong_calls(("look", '{"at": 99, "at": 98}', "c1")),
    "an unknown tool": wrong_calls(("no_such_tool", '{"at": 99}', "c1")),
    "two calls with one id": wrong_calls(("look", "{}", "same"), ("look", "{}", "same")),
    "an empty message": completion({"role": "assistant", "content": ""}),
    "cut at the limit": text("Let me think about the next ", finish_reason="length"),
    "a refusal": completion({"role": "assistant", "content": None, "refusal": "I cannot help with that."}),
    "another model": text("Hm.", model="another"),
}
"""Answers that are whole but no good: the model is told and mends it."""
STAYS: dict[str, tuple[Any, type[HarnessError], str]] = {
    "401": (status(401, f"Incorrect API key provided: {SECRET}"), SetupError, "refuses the API key"),
    "expired key": (status(403, "Your API key has expired"), SetupError, "refuses the API key"),
    "wrong model": (status(404, "The model `scripted` does not exist"), SetupError, "OPENAI_MODEL"),
    "quota": (status(429, "quota", code="insufficient_quota", retry_after=3600), ModelPaused, "resume the thread aft"),
    "long wait": (status(429, "slow down", retry_after=7200), ModelPaused, "Resume the thread after"),
    "no credits": (status(402, "Insufficient credits"), ModelPaused, "quota is used up"),
}
"""Faults that no second try mends."""


def striking(fault: Any, *, times: int) -> Callable[[Request], Any]:
    """The honest model behind an endpoint that fails before one call, so many times."""
    left = iter(range(times))

    def reply(request: Request) -> Any:
        is_there = looks_done(request) == STRUCK and next(left, None) is not None
        return fault if is_there else honest(request)

    return reply


@pytest.mark.parametrize("kind", [*BEFORE_THE_MODEL, *ANSWERS])
async def test_a_fault_in_the_middle_changes_nothing_that_is_done(tmp_path: Path, kind: str) -> None:
    fault = (BEFORE_THE_MODEL | ANSWERS)[kind]
    world = World(tmp_path)
    with ScriptedModel(striking(fault, times=1)) as endpoint:
        outcome = await world.run(endpoint.base_url)
    assert (outcome.ended, world.looked) == ("finished", list(range(LOOKS)))
    assert outcome.turns == LOOKS + 1 + (kind in ANSWERS)
    assert bool(world.told) == (kind in BEFORE_THE_MODEL), world.told


@pytest.mark.parametrize("kind", BEFORE_THE_MODEL)
async def test_a_fault_that_stays_is_a_pause_after_which_the_session_goes_on(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path)
    with ScriptedModel(striking(BEFORE_THE_MODEL[kind], times=1000)) as endpoint:
        with pytest.raises(ModelPaused, match="tried 3 times") as caught:
            await world.run(endpoint.base_url, call_seconds=0.5 if kind in ("hang", "drip") else 5.0)
        assert len([r for r in endpoint.requests if looks_done(r) == STRUCK]) == 3
    assert caught.value.remedy
    await goes_on(world)


@pytest.mark.parametrize("kind", STAYS)
async def test_a_fault_that_trying_does_not_mend_stops_at_once_and_the_session_goes_on_later(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    fault, error, words = STAYS[kind]
    world = World(tmp_path)
    with ScriptedModel(striking(fault, times=1000)) as endpoint:
        with pytest.raises(error) as caught:
            await world.run(endpoint.base_url)
        assert len([r for r in endpoint.requests if looks_done(r) == STRUCK]) == 1
    assert words in str(caught.value)
    assert SECRET not in str(caught.value) + "".join(world.told)
    await goes_on(world)


async def goes_on(world: World) -> None:
    """The end is the one of a session that met no fault."""
    assert world.looked == list(range(STRUCK)), "nothing of a broken answer was carried out"
    with ScriptedModel(honest) as endpoint:
        outcome = await world.run(endpoint.base_url)
        assert looks_done(endpoint.requests[0]) == STRUCK, "it goes on at the turn it was in"
    assert (outcome.ended, outcome.turns, world.looked) == ("finished", LOOKS + 1, list(range(LOOKS)))


@pytest.mark.parametrize("kind", ["503", "hang", "HTML"])
async def test_a_second_endpoint_takes_the_session_over_in_the_middle(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path)
    with ScriptedModel(striking(BEFORE_THE_MODEL[kind], times=1000)) as first, ScriptedModel(honest) as second:
        fallback = {"name": "second", "base_url": second.base_url}
        outcome = await world.run(first.base_url, fallback=fallback, call_seconds=0.5)
    assert (outcome.ended, world.looked) == ("finished", list(range(LOOKS)))
    assert looks_done(second.requests[0]) == STRUCK
    assert any("second answers" in text for text in world.told)


async def test_a_name_that_is_not_resolved_is_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    with pytest.raises(ModelPaused, match="could not be reached"):
        await World(tmp_path).run("https://no-such-host.invalid/v1")
    assert World(tmp_path).looked == []


async def test_a_server_that_speaks_no_tls_is_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        ScriptedModel(honest) as endpoint,
        pytest.raises(ModelPaused, match=r"could not be reached.*(SSL|TLS|record)"),
    ):
        await World(tmp_path).run(endpoint.base_url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "kind", ["malformed arguments", "arguments of a wrong type", "an unknown tool", "a wrong value"]
)
async def test_the_same_broken_call_for_ever_ends_the_attempt_soon(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path)
    with ScriptedModel(striking(ANSWERS[kind], times=1000)) as endpoint:
        outcome = await world.run(endpoint.base_url)
    assert (outcome.ended, outcome.turns, world.looked) == ("stuck", STRUCK + 6, list(range(STRUCK)))
