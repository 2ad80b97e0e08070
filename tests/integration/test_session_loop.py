"""The session loop against a real endpoint and a real checkpoint file: a full window, and going in circles."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from harness.budget import Budget, Meter
from harness.context import HANDOVER_CHARACTERS, KEPT_TURNS, handover_by_code
from harness.events import Events
from harness.journal import Journal
from harness.model import Model
from harness.opening import open_checkpoints
from harness.parts import Parts
from harness.session import IDLE_TURNS, Session, SessionOutcome
from harness.settings import Settings
from harness.tools.tool import Arguments, Tool
from tests.scripted import Request, ScriptedModel, call, status

WINDOW = 6000
RULES, BRIEF = "the rules of the role", "the brief: build it"


class Look(Arguments):
    """Arguments of `look`."""

    at: int = 0


LONG_LOOK = {"characters": 0}


async def look(asked: Look) -> str:
    return f"result {asked.at}: " + "words that fill the window " * 60 + "x" * LONG_LOOK["characters"]


async def work(
    tmp_path: Path,
    script: Callable[[Request], Any],
    *,
    rounds: int = 1,
    tree_state: Callable[[], Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[SessionOutcome], list[Request]]:
    """Run attempts of one session; the outcome of each and all requests."""
    unused, events = cast("Any", None), Events()
    with ScriptedModel(script) as served:
        settings = Settings.model_validate(
            {
                "model": {"name": "scripted", "base_url": served.base_url, "context_tokens": WINDOW},
                "limits": {"session_turns": 90},
            }
        )
        model = Model(settings.model, events)
        budget = Budget(settings.limits, Meter())
        async with open_checkpoints(tmp_path / "checkpoints.db") as saver:
            parts = Parts(unused, settings, "t", unused, model, unused, events, saver, budget)
            tools = [Tool("look", "Looks.", Look, look)]
            journal = Journal(tmp_path / "calls.jsonl", tmp_path)
            session = Session(parts, "s001", "coder", tools, journal, tree_state, clock=clock)
            said = [await session.run(RULES, BRIEF if n == 0 else f"evidence {n}", n) for n in range(rounds)]
        await model.aclose()
    return said, served.requests


def sized(reply: Any, request: Request) -> Any:
    """A reply that counts its prompt as an endpoint does: about four characters a token."""
    tokens = len(json.dumps(request.messages)) // 4
    return {**reply, "usage": {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20}}


def is_handover(request: Request) -> bool:
    return "/handover-" in request.conversation


def handing_over(turns: int) -> Callable[[Request], Any]:
    """A model that looks so many times and then finishes."""
    looked = iter(range(10_000))

    def script(request: Request) -> Any:
        if is_handover(request):
            return sized(
                call("submit", done="the list works", next="mend the button", problems=["it flickers"]), request
            )
        number = next(looked)
        reply = call("look", at=number) if number % turns != turns - 1 else call("finish", summary="seen")
        return sized(reply, request)

    return script


async def test_a_long_session_stays_within_the_window_and_keeps_what_matters(tmp_path: Path) -> None:
    (outcome,), requests = await work(tmp_path, handing_over(60))
    assert (outcome.ended, outcome.turns) == ("finished", 60)
    turns = [request for request in requests if not is_handover(request)]
    assert max(len(json.dumps(request.messages)) // 4 for request in turns) < WINDOW
    for request in turns:
        assert [message["content"] for message in request.messages[:2]] == [RULES, BRIEF]
    assert any(is_handover(request) for request in requests)
    last = json.dumps(turns[-1].messages)
    assert "mend the button" in last
    assert "it flickers" in last
    assert "result 58: words that fill" in last
    assert "result 3:" not in last


@pytest.mark.parametrize(("minutes_a_turn", "ended"), [(5.0, "finished"), (25.0, "time limit")])
async def test_minutes_are_those_of_work_whatever_the_clock_of_the_machine_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes_a_turn: float, ended: str
) -> None:
    """A session may take an hour. The machine's clock goes on by a day a turn; the second is the twin."""
    days, minutes = itertools.count(), itertools.count()
    today = time.time()
    monkeypatch.setattr(time, "time", lambda: today + next(days) * 86_400)
    (outcome,), _ = await work(tmp_path, handing_over(8), clock=lambda: next(minutes) * minutes_a_turn * 60)
    assert outcome.ended == ended


async def test_the_prefix_changes_only_when_the_conversation_is_made_shorter(tmp_path: Path) -> None:
    _, requests = await work(tmp_path, handing_over(60))
    turns = [json.dumps(request.messages)[:-1] for request in requests if not is_handover(request)]
    changed = sum(not later.startswith(earlier) for earlier, later in itertools.pairwise(turns))
    assert 1 <= changed <= 12


async def test_the_evidence_of_the_attempt_is_sent_after_a_handover(tmp_path: Path) -> None:
    _, requests = await work(tmp_path, handing_over(40), rounds=2)
    last = [request for request in requests if not is_handover(request)][-1]
    contents = [message["content"] for message in last.messages]
    assert "evidence 1" in contents
    assert "left out here" in str(contents)


async def test_an_endpoint_that_says_it_is_too_long_gets_less_until_it_takes_it(tmp_path: Path) -> None:
    turns = handing_over(30)

    def script(request: Request) -> Any:
        if len(json.dumps(request.messages)) > 12_000:
            return status(400, "This model's maximum context length is 3000 tokens.", code="context_length_exceeded")
        return {**turns(request), "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}

    (outcome,), requests = await work(tmp_path, script)
    assert (outcome.ended, outcome.turns) == ("finished", 30)
    assert not any(is_handover(request) for request in requests), "who cannot take the turns cannot hand them over"


async def test_a_window_that_takes_nothing_ends_the_attempt_with_what_was_done(tmp_path: Path) -> None:
    asked = iter(range(100))

    def script(_: Request) -> Any:
        number = next(asked)
        if number > KEPT_TURNS[0] + 2:
            return status(400, "maximum context length", code="context_length_exceeded")
        return call("run_command", command=f"step {number}")

    (outcome,), requests = await work(tmp_path, script)
    assert (outcome.ended, outcome.turns) == ("context full", KEPT_TURNS[0] + 3)
    assert len(requests) == outcome.turns + 3, "whole, condensed, handed over"
    assert {request.conversation for request in requests[:-1]} == {"t/s001"}
    assert "step 8" in outcome.summary


@pytest.mark.parametrize("goes_on", [True, False])
async def test_who_repeats_a_call_is_told_and_then_stopped(tmp_path: Path, goes_on: bool) -> None:
    def script(request: Request) -> Any:
        told = any("leads nowhere" in str(message["content"]) for message in request.messages)
        return call("finish", summary="another way") if told and not goes_on else call("look", at=1)

    (outcome,), requests = await work(tmp_path, script)
    assert "3 times over" in requests[3].last
    assert (outcome.ended, outcome.turns) == (("stuck", 6) if goes_on else ("finished", 4))
    assert not goes_on or "look" in outcome.summary


@pytest.mark.parametrize("changes", [True, False])
async def test_who_changes_nothing_for_long_is_told_and_then_stopped(tmp_path: Path, changes: bool) -> None:
    states = iter(range(100))

    async def tree_state() -> str:
        return f"tree {next(states) if changes else 0}"

    (outcome,), requests = await work(tmp_path, lambda request: call("look", at=request.turn), tree_state=tree_state)
    if changes:
        assert outcome.ended == "turn limit"
    else:
        assert (outcome.ended, outcome.turns) == ("stuck", 3 * IDLE_TURNS)
        assert "Nothing in the project changed" in requests[2 * IDLE_TURNS].last


async def test_an_endpoint_that_gives_every_call_the_same_id_gets_each_carried_out(tmp_path: Path) -> None:
    turns = handing_over(60)

    def script(request: Request) -> Any:
        reply = turns(request)
        for each in reply["choices"][0]["message"].get("tool_calls") or ():
            each["id"] = "call_0"
        return reply

    (outcome,), requests = await work(tmp_path, script)
    assert (outcome.ended, outcome.turns) == ("finished", 60)
    assert "result 58: words that fill" in json.dumps(requests[-1].messages)


async def test_long_results_do_not_make_every_turn_a_handover(tmp_path: Path) -> None:
    LONG_LOOK["characters"] = 3000
    try:
        _, requests = await work(tmp_path, handing_over(40))
    finally:
        LONG_LOOK["characters"] = 0
    turns = [json.dumps(request.messages)[:-1] for request in requests if not is_handover(request)]
    changed = sum(not later.startswith(earlier) for earlier, later in itertools.pairwise(turns))
    assert changed <= len(turns) / 2
    assert sum(map(is_handover, requests)) <= 10


async def test_another_kind_of_going_nowhere_is_told_anew_and_ends_nothing(tmp_path: Path) -> None:
    async def tree_state() -> str:
        return "as it was"

    def script(request: Request) -> Any:
        if request.turn > 2 * IDLE_TURNS:
            return call("finish", summary="found it")
        return call("look", at=1 if request.turn in (35, 36, 37) else request.turn + 100)

    (outcome,), requests = await work(tmp_path, script, tree_state=tree_state)
    told = [r.last for r in requests if "leads nowhere" in r.last]
    assert (outcome.ended, len(told)) == ("finished", 2), "one of each kind"


def test_what_was_handed_over_before_is_kept_when_the_model_cannot_be_asked() -> None:
    told = handover_by_code([], 0, "Decisions: never touch init.sh")
    assert told == "Decisions: never touch init.sh"
    assert len(handover_by_code([], 0, "x" * 100_000)) <= 2 * HANDOVER_CHARACTERS
