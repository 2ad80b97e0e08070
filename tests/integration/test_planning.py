"""Plans in batches, asked of a scripted model over real HTTP."""

from __future__ import annotations

from typing import Any

from scripted import Request, ScriptedModel, call

from harness.events import Events
from harness.model import Model
from harness.planning import Plan, is_vague, next_batch, write_specification
from harness.settings import ModelSettings
from harness.specification import Specification

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty")


def feature(number: int, **more: Any) -> dict[str, Any]:
    thing = f"{WORDS[number % 10]} {WORDS[number // 10 % 10]} panel {number}"
    steps = [f"Open {thing}", f"Verify that {WORDS[number % 7]} {number} is shown"]
    return {"description": f"A person opens {thing}", "steps": steps, "covers": ["2"], **more}


def model_at(server: ScriptedModel) -> Model:
    return Model(ModelSettings(name="scripted", base_url=server.base_url), Events())


SPEC = Specification("# Panels\nThere are many panels.\nEach can be closed.\n")


async def test_two_hundred_features_come_in_validated_batches() -> None:
    def answer(request: Request) -> Any:
        batch = int(request.conversation.rpartition("/")[2])
        return call("submit", {"features": [feature(25 * batch + i, passes=True) for i in range(25)]})

    with ScriptedModel(answer) as server:
        model, plan = model_at(server), Plan()
        for batch in range(8):
            plan = await next_batch(model, SPEC, plan, 200, [], f"t/plan/{batch}")
        await model.aclose()
    listed = plan.features.features
    assert [f.id for f in listed] == [f"F{n:03}" for n in range(1, 201)]
    assert not any(f.passes for f in listed), "the model cannot make a feature pass"


async def test_a_refused_batch_is_asked_for_again_with_the_errors() -> None:
    wrong = [feature(1, covers=["99"]), {"description": "Nobody sees this", "steps": ["Open the page"]}]

    def answer(request: Request) -> Any:
        return call("submit", {"features": [feature(1)] if request.turn else wrong})

    with ScriptedModel(answer) as server:
        model = model_at(server)
        plan = await next_batch(model, SPEC, Plan(), 0, [], "t/plan/0")
        await model.aclose()
        told = server.requests[1].last
    assert "no line '99'" in told
    assert "F002: no step says what a person sees" in told
    assert len(plan.features.features) == 1


async def test_the_same_feature_in_other_order_is_merged_and_keeps_its_lines() -> None:
    twice = [feature(1), feature(2, depends_on=["F001"]), {**feature(1), "covers": ["3"]}]
    with ScriptedModel([call("submit", {"features": twice})]) as server:
        model = model_at(server)
        plan = await next_batch(model, SPEC, Plan(), 0, [], "t/plan/0")
        await model.aclose()
    assert [f.id for f in plan.features.features] == ["F001", "F002"]
    assert plan.features.get("F001").covers == ("2", "3")
    assert plan.uncovered(SPEC) == []


async def test_lines_that_need_no_feature_are_left_out_with_the_reason() -> None:
    batch = {"features": [feature(1)], "left_out": [{"lines": "3", "why": "says nothing a person can see"}]}
    with ScriptedModel([call("submit", batch)]) as server:
        model = model_at(server)
        plan = await next_batch(model, SPEC, Plan(), 0, [], "t/plan/0")
        await model.aclose()
    assert plan.uncovered(SPEC) == []
    assert plan.left_out == {3: "says nothing a person can see"}


async def test_a_vague_wish_becomes_a_numbered_specification() -> None:
    assert is_vague("a habit tracker")
    assert not is_vague("1. a\n2. b\n3. c\n")
    answer = call("submit", {"title": "Habits", "requirements": ["One page.", "Add a habit.", "Tick a day."]})
    with ScriptedModel([answer]) as server:
        model = model_at(server)
        text = await write_specification(model, "a habit tracker", "t/specification")
        await model.aclose()
    assert "2. Add a habit." in text
    assert "a habit tracker" in text
