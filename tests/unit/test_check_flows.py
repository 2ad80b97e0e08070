"""Flows: written once, one act in files, the acts they stand for everywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import FeatureFileError
from harness.features import Feature
from harness.verify.author import Draft, Known, agree, draft_problems
from harness.verify.check import Check, Contract, Flow, Flows, ProofOfMeaning, UnknownFlow
from harness.verify.files import read_check, read_checks

TARGETS = {"who": "the name box", "in": "the log-in button", "hello": "the greeting", "box": "the note box"}
LOG_IN: list[dict[str, Any]] = [
    {"step": 1, "act": "navigate", "value": "/login"},
    {"step": 1, "act": "fill", "target": "who", "value": "ann"},
    {"step": 1, "act": "click", "target": "in"},
]
SEES: list[dict[str, Any]] = [
    {"step": 2, "expect": "visible", "target": "hello"},
    {"step": 2, "act": "fill", "target": "box", "value": "Rent"},
    {"step": 2, "expect": "value", "target": "box", "value": "Rent"},
]
USES: dict[str, Any] = {"step": 1, "act": "flow", "value": "log in as ann"}
FLOW = Flow.model_validate(
    {"description": "Ann logs in.", "targets": {"who": TARGETS["who"], "in": TARGETS["in"]}, "items": LOG_IN}
)
FLOWS = Flows(flows={"log in as ann": FLOW})
FEATURE = Feature(id="F002", description="Ann is greeted.", steps=("Log in as ann", "See the greeting; type 'Rent'"))


def contract(*items: dict[str, Any]) -> Contract:
    used = {i["target"] for i in items if "target" in i}
    return Contract.model_validate(
        {"feature_id": "F002", "targets": {n: TARGETS[n] for n in TARGETS if n in used}, "items": items}
    )


WHOLE = contract(*LOG_IN, *SEES)


def draft(*items: dict[str, Any], **more: Any) -> Draft:
    return Draft.model_validate({"targets": TARGETS, "items": items, **more})


def test_a_flow_is_expanded_for_the_user_and_the_step_of_its_act():
    made = FLOWS.expand(contract({**USES, "step": 2, "as": "bob"}, *SEES))
    assert [(i.user, i.step) for i in made.items[:3]] == [("bob", 2)] * 3
    assert made.targets.keys() == WHOLE.targets.keys()


def test_a_check_keeps_its_meaning_and_its_proofs_in_the_file(tmp_path):
    proof = (ProofOfMeaning(item=3, kind="red"), ProofOfMeaning(item=5, kind="perturbed", by="set_value"))
    check = Check(contract=WHOLE.model_copy(update={"accepted": (5,)}), proof=proof)
    kept = FLOWS.fold_check(check)
    assert [i.model_dump(by_alias=True, exclude_none=True)["step"] for i in kept.contract.items] == [1, 2, 2, 2]
    assert kept.contract.targets.keys() == {"hello", "box"}
    assert [p.item for p in kept.proof] == [1, 3]
    assert kept.contract.accepted == (3,)
    path = tmp_path / "F002.json"
    path.write_text(kept.model_dump_json(by_alias=True))
    back = read_check(path, FLOWS)
    assert back.digest() == check.digest()
    assert (back.proof, back.contract.items) == (check.proof, check.contract.items)


def test_the_digest_of_a_check_follows_its_flow():
    kept = Check(contract=contract(USES, *SEES))
    other = FLOW.model_copy(update={"items": (FLOW.items[0], *FLOW.items[2:])})
    changed = Flows(flows={"log in as ann": other})
    assert FLOWS.expand_check(kept).digest() != changed.expand_check(kept).digest()


def test_only_the_same_acts_of_one_step_are_folded_in_a_file():
    for index, field, value in ((1, "value", "bob"), (1, "step", 2), (2, "as", "bob")):
        other = [dict(item) for item in LOG_IN]
        other[index][field] = value
        whole = contract(*other, *SEES)
        assert FLOWS.fold(whole) == whole, field


def test_what_an_author_wrote_in_acts_becomes_the_flow_of_the_project():
    spread = [LOG_IN[0], LOG_IN[1], {**LOG_IN[2], "step": 2}]
    agreed = agree(draft(*spread, *SEES), FEATURE, "", Known(flows=FLOWS))
    assert [i.step for i in agreed.contract.items[:3]] == [2, 2, 2]
    assert FLOWS.fold(agreed.contract).items[0].value == "log in as ann"
    assert agreed.flows == {}


def test_a_step_that_needs_an_act_of_its_own_keeps_it():
    feature = Feature(id="F002", description="Ann", steps=("Reload; see the greeting", "Type 'Rent' and see it"))
    acts = [{"step": 1, "act": "reload"}, {"step": 2, "act": "click", "target": "in"}]
    flow = Flow.model_validate({"description": "x", "targets": {"in": TARGETS["in"]}, "items": acts})
    start = [{"step": 2, "act": "navigate", "value": "/"}, *acts, {**SEES[0], "step": 1}, *SEES]
    agreed = agree(draft(*start), feature, "", Known(flows=Flows(flows={"again": flow})))
    assert [i.step for i in agreed.contract.items[1:3]] == [1, 2]


def test_a_new_flow_is_brought_once_and_an_old_one_wins():
    new = {"log in as ann": {"description": "Ann logs in.", "items": LOG_IN}}
    first = agree(draft(USES, *SEES, flows=new), FEATURE, "", Known())
    assert first.flows == {"log in as ann": FLOW}
    assert first.contract.items == WHOLE.items
    other = {"log in as ann": {"description": "another", "items": LOG_IN[:2]}}
    again = agree(draft(USES, *SEES, flows=other), FEATURE, "", Known(flows=FLOWS))
    assert again.flows == {}
    assert again.contract.items == WHOLE.items


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (draft({**USES, "value": "sign up"}, *SEES), "there is no flow 'sign up'; there are: log in as ann"),
        (draft(*LOG_IN, *SEES, flows={"idle": {"description": "x", "items": LOG_IN}}), "'idle' is not used here"),
        (
            draft(
                {**USES, "value": "deep"},
                *SEES,
                flows={"deep": {"description": "x", "items": [LOG_IN[0], USES]}},
            ),
            "of no other flow",
        ),
        (draft({"step": 1, "act": "reload"}, USES, *SEES), "must be a navigate act"),
    ],
)
def test_a_flow_that_cannot_be_is_told_to_its_author(given, problem):
    assert problem in " ".join(draft_problems(given, FEATURE, "", Known(flows=FLOWS)))


def test_a_good_flow_has_no_problems():
    assert draft_problems(draft(USES, *SEES), FEATURE, "", Known(flows=FLOWS)) == []


def test_a_check_whose_flow_is_gone_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(UnknownFlow):
        Flows().expand(contract(USES, *SEES))
    (tmp_path / "F002.json").write_text(Check(contract=contract(USES, *SEES)).model_dump_json(by_alias=True))
    with pytest.raises(FeatureFileError, match=r"F002.json.*no flow 'log in as ann'"):
        read_checks(tmp_path)
    (tmp_path / "flows.json").write_text(json.dumps({"flows": {"log in as ann": {"description": "x"}}}))
    with pytest.raises(FeatureFileError, match=r"flows.json is not a list of flows"):
        read_checks(tmp_path)
