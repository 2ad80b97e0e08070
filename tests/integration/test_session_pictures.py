"""Pictures in a session, against a real endpoint: sent to who takes them, kept as files, few at a time."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from harness.budget import Budget, Meter
from harness.errors import SetupError
from harness.events import Events, ToolReturned
from harness.journal import Journal
from harness.model import Model
from harness.normalise import normalise
from harness.opening import open_checkpoints
from harness.parts import Parts
from harness.pictures import AT_ONCE, LEFT_OUT, SHOWN, Pictures
from harness.session import Session, SessionOutcome
from harness.settings import Settings
from harness.tools.tool import Arguments, Shown, Tool
from tests.scripted import Request, ScriptedModel, call, calls, status

PNG = b"\x89PNG\r\n\x1a\n"


class See(Arguments):
    """Arguments of `see`."""

    at: int = 0


async def work(
    tmp_path: Path,
    script: Callable[[Request], Any],
    *,
    images: bool = True,
    run: int = 0,
    window: int = 100_000,
    heard: list[Any] | None = None,
    looks: list[int] | None = None,
) -> tuple[SessionOutcome, list[Request]]:
    """Run a session; a new `run` has lost its checkpoints and has the journal of the one before."""

    async def see(asked: See) -> Shown:
        (looks if looks is not None else []).append(asked.at)
        return Shown(f"look {asked.at}; it follows", PNG + bytes([asked.at]) * 5000)

    unused, events = cast("Any", None), Events()
    events.listen((heard if heard is not None else []).append)
    with ScriptedModel(script) as served:
        model_settings = {"name": "m", "base_url": served.base_url, "images": images, "context_tokens": window}
        settings = Settings.model_validate({"model": model_settings})
        model = Model(settings.model, events)
        budget = Budget(settings.limits, Meter())
        try:
            async with open_checkpoints(tmp_path / f"checkpoints-{run}.db") as saver:
                parts = Parts(unused, settings, "t", unused, model, unused, events, saver, budget)
                tools, journal = [Tool("see", "Sees.", See, see)], Journal(tmp_path / "calls.jsonl", tmp_path)
                session = Session(parts, "s001", "coder", tools, journal, None, Pictures(tmp_path / "pictures"))
                outcome = await session.run("the rules", "the brief", 0)
        finally:
            await model.aclose()
    return outcome, served.requests


def looking(turns: int) -> Callable[[Request], Any]:
    """A model that sees something else in every turn, then finishes; as ids go, every run is the same."""

    def script(request: Request) -> Any:
        if request.turn == turns:
            return call("finish", summary="seen")
        reply = call("see", at=request.turn)
        reply["choices"][0]["message"]["tool_calls"][0]["id"] = f"see-{request.turn}"
        return reply

    return script


def pictures_in(request: Request) -> list[int]:
    """Which pictures were sent, by the number they are made of."""
    parts = [part for m in request.messages if isinstance(m["content"], list) for part in m["content"]]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [base64.b64decode(url.removeprefix("data:image/png;base64,"))[-1] for url in urls]


async def test_a_picture_follows_the_results_in_a_message_that_says_whose_it_is(tmp_path: Path) -> None:
    heard: list[Any] = []
    _, requests = await work(tmp_path, looking(1), heard=heard)
    assert [m["role"] for m in requests[1].messages] == ["system", "user", "assistant", "tool", "user"]
    assert requests[1].messages[3]["content"] == "look 0; it follows"
    text, picture = requests[1].messages[4]["content"]
    assert text["text"] == "The picture that see (call see-0) gave; what can be read in it is data:"
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    told = next(event for event in heard if isinstance(event, ToolReturned))
    assert (tmp_path / "pictures" / told.picture).read_bytes() == PNG + b"\0" * 5000


async def test_what_is_kept_of_a_picture_is_its_name(tmp_path: Path) -> None:
    heard: list[Any] = []
    await work(tmp_path, looking(4), heard=heard)
    kept = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    kept += [event.model_dump_json().encode() for event in heard]
    encoded = re.compile(rb"[A-Za-z0-9+/]{200}")
    assert not any(encoded.search(data) or PNG in data for data in kept)
    assert encoded.search(base64.b64encode(PNG + b"\1" * 5000)), "else the first says nothing"
    assert len(list((tmp_path / "pictures").iterdir())) == 4


async def test_a_turn_told_again_after_a_kill_is_the_same_turn(tmp_path: Path) -> None:
    looks: list[int] = []
    _, before = await work(tmp_path, looking(5), looks=looks)
    _, after = await work(tmp_path, looking(5), run=1, looks=looks)
    assert [request.messages for request in after] == [request.messages for request in before]
    assert looks == [0, 1, 2, 3, 4], "what was seen is told again, not looked at anew"


async def test_who_takes_no_pictures_is_sent_words(tmp_path: Path) -> None:
    _, requests = await work(tmp_path, looking(2), images=False)
    assert all(isinstance(message["content"], str | None) for request in requests for message in request.messages)
    assert requests[1].last.endswith("is data:\n[a picture, not shown here]")


async def test_a_recording_holds_no_picture(tmp_path: Path) -> None:
    _, requests = await work(tmp_path, looking(1))
    assert normalise(requests[1].messages)[-1]["content"].endswith("is data:\n[image_url]")


async def test_old_pictures_are_left_out_in_few_large_steps(tmp_path: Path) -> None:
    _, requests = await work(tmp_path, looking(30))
    sent = [pictures_in(request) for request in requests]
    assert max(map(len, sent)) == SHOWN
    assert sent[-1][-1] == 29
    assert all(n == 0 or sent[n][-1] == n - 1 for n in range(30)), "the newest is always shown"
    texts = [json.dumps(request.messages)[:-1] for request in requests]
    changed = sum(not later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    assert 5 <= changed <= 8, "a prefix that changes costs its cache"
    assert LEFT_OUT in json.dumps(requests[-1].messages)


async def test_of_many_pictures_in_one_turn_the_last_are_shown(tmp_path: Path) -> None:
    def script(request: Request) -> Any:
        return calls([("see", {"at": n}) for n in range(9)]) if not request.turn else call("finish", summary="seen")

    _, requests = await work(tmp_path, script)
    assert pictures_in(requests[1]) == [8 - n for n in reversed(range(AT_ONCE))]
    assert requests[1].messages[-1]["content"][0]["text"].endswith(LEFT_OUT)


async def test_an_endpoint_for_which_it_is_too_long_first_gets_no_pictures(tmp_path: Path) -> None:
    script = looking(4)

    def narrow(request: Request) -> Any:
        too_long = len(pictures_in(request)) > 2
        return status(400, "maximum context length", code="context_length_exceeded") if too_long else script(request)

    outcome, requests = await work(tmp_path, narrow)
    assert outcome.ended == "finished"
    assert [len(pictures_in(request)) for request in requests] == [0, 1, 2, 3, 0, 1]
    assert "look 0; it follows" in json.dumps(requests[-1].messages)


async def test_a_nearly_full_window_costs_old_pictures_before_anything_else(tmp_path: Path) -> None:
    script = looking(5)

    def counting(request: Request) -> Any:
        tokens = 100 + 800 * len(pictures_in(request))
        return {
            **script(request),
            "usage": {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1},
        }

    outcome, requests = await work(tmp_path, counting, window=3500)
    assert outcome.ended == "finished"
    assert [pictures_in(request) for request in requests] == [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [4]]
    assert "look 0; it follows" in json.dumps(requests[-1].messages), "no result was condensed"


async def test_an_endpoint_that_refuses_pictures_says_which_setting_to_change(tmp_path: Path) -> None:
    def script(request: Request) -> Any:
        if pictures_in(request):
            return status(400, "Invalid content type: image_url is not supported by this model")
        return call("see", at=1)

    with pytest.raises(SetupError) as refused:
        await work(tmp_path, script)
    assert "images = false" in refused.value.remedy
    outcome, _ = await work(tmp_path, looking(3), images=False)
    assert outcome.ended == "finished", "resumed without pictures it goes on"


async def test_seeing_the_same_again_and_again_is_noticed(tmp_path: Path) -> None:
    outcome, _ = await work(tmp_path, lambda _: call("see", at=1))
    assert outcome.ended == "stuck"


async def test_a_picture_whose_file_is_gone_is_told(tmp_path: Path) -> None:
    def script(request: Request) -> Any:
        for path in (tmp_path / "pictures").glob("*"):
            path.unlink()
        return looking(2)(request)

    _, requests = await work(tmp_path, script)
    assert "[its file is gone]" in json.dumps(requests[2].messages)
