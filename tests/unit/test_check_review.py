"""A kept check shown to a person and looked through for what is wrong or weak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from apps import todo_app

from harness.features import Feature, FeatureList
from harness.verify.check import Check, Element, Elements, Locator, ProofOfMeaning
from harness.verify.files import to_json
from harness.verify.review import as_facts, in_words, review

FEATURE = Feature(id="delete", description="A to-do can be deleted", steps=tuple(todo_app.STEPS["delete"]), passes=True)
PROOF = (
    ProofOfMeaning(item=3, kind="red"),
    ProofOfMeaning(item=5, kind="perturbed", by="witness"),
    ProofOfMeaning(item=6, kind="person"),
)
CONTRACT = todo_app.contract("delete")
USED = {item.target for item in CONTRACT.items if item.target}
CHECK = Check(
    contract=CONTRACT.model_copy(update={"targets": {n: w for n, w in todo_app.TARGETS.items() if n in USED}}),
    proof=PROOF,
)


def remarks(check: Check = CHECK, elements: dict[str, Locator] | None = None, feature: Feature = FEATURE) -> list[str]:
    found = review(check, feature, todo_app.ELEMENTS if elements is None else elements, "")
    return [f"{remark.level} {remark.text}" for remark in found]


def test_a_check_is_told_with_steps_proofs_and_locators():
    told = in_words(CHECK.model_copy(update={"bindings": {"left": Locator(css="#left")}}), FEATURE, todo_app.ELEMENTS)
    assert told.startswith("delete: A to-do can be deleted\nIt passes.\n")
    assert 'Step 2 "Click its Delete button"\n  5. Click the delete button' in told
    assert "to be visible [failed before the feature was built]" in told
    assert "[fails under: witness]" in told
    assert "[accepted by a person]" in told
    assert 'left (the number of items left): css="#left" (last resort)' in told
    assert 'milk delete (the delete button of "Buy milk"): role=button name="Delete" inside(' in told
    facts: Any = as_facts(CHECK, FEATURE, todo_app.ELEMENTS)
    assert json.loads(json.dumps(facts))["items"][3]["proof"] == "failed before the feature was built"
    assert facts["names"]["left"]["last_resort"] is False


def test_a_sound_check_has_nothing_wrong():
    assert remarks() == []


@pytest.mark.parametrize(
    ("check", "elements", "remark"),
    [
        (CHECK, {n: loc for n, loc in todo_app.ELEMENTS.items() if n != "left"}, "fail 'left' is not bound"),
        (CHECK.model_copy(update={"proof": PROOF[:2]}), None, "fail items[6]: nothing was seen to make it fail"),
        (CHECK.model_copy(update={"bindings": {"left": Locator(css=".left")}}), None, "warn 'left' is found as a last"),
        (CHECK.model_copy(update={"bindings": {"left": Locator(css=".css-1x2y3z")}}), None, "fail 'left': css"),
        (
            CHECK.model_copy(update={"contract": CHECK.contract.model_copy(update={"items": CONTRACT.items[1:]})}),
            None,
            "fail items[0]: the first item must be a navigate act",
        ),
    ],
)
def test_what_is_wrong_or_weak_is_named(check: Check, elements: dict[str, Locator] | None, remark: str):
    assert any(text.startswith(remark) for text in remarks(check, elements)), remarks(check, elements)


def test_what_building_adds_is_not_missed_before_it():
    found = remarks(CHECK.model_copy(update={"proof": ()}), {}, FEATURE.model_copy(update={"passes": False}))
    assert found
    assert all(text.startswith("warn") for text in found)


@pytest.fixture
def kept(project_dir: Path) -> Path:
    (project_dir / "features.json").write_text(FeatureList(features=(FEATURE,)).to_json())
    (project_dir / "checks").mkdir()
    elements = {name: Element(description=name, locator=locator) for name, locator in todo_app.ELEMENTS.items()}
    (project_dir / "checks/elements.json").write_text(to_json(Elements(elements=elements)))
    (project_dir / "checks/delete.json").write_text(to_json(CHECK))
    return project_dir


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[Any, str]:
    from harness.cli import main

    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return left.value.code, said.out + said.err


def test_the_commands_show_and_lint_a_check(kept: Path, capsys: pytest.CaptureFixture[str]):
    code, out = run(capsys, "check", "show", "delete", "--dir", kept)
    assert code == 0
    assert "Step 1" in out
    code, out = run(capsys, "check", "show", "delete", "--dir", kept, "--json")
    assert json.loads(out)["feature"] == "delete"
    assert run(capsys, "check", "lint", "--dir", kept) == (0, "Nothing is wrong in 1 check.\n")
    (kept / "checks/delete.json").write_text(to_json(CHECK.model_copy(update={"proof": ()})))
    code, out = run(capsys, "check", "lint", "delete", "--dir", kept, "--json")
    assert code == 1
    assert {remark["level"] for remark in json.loads(out)} == {"fail"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(["show", "F9"], 2, "no feature 'F9'"), (["lint", "F9"], 2, "no feature 'F9'"), (["show", "none"], 4, "no check")],
)
def test_what_is_not_there_is_said(
    kept: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
):
    more = FeatureList(features=(FEATURE, FEATURE.model_copy(update={"id": "none", "passes": False})))
    (kept / "features.json").write_text(more.to_json())
    assert run(capsys, "check", *words, "--dir", kept)[0] == code
    assert said in run(capsys, "check", *words, "--dir", kept)[1]


def test_where_there_is_no_check_nothing_is_said_to_be_right(project_dir: Path, capsys: pytest.CaptureFixture[str]):
    features = [{"id": "F1", "category": "x", "description": "Adds", "steps": ["See"], "passes": False}]
    (project_dir / "features.json").write_text(json.dumps(features))
    said = "No feature has a check yet, so there is nothing to look at.\n"
    assert run(capsys, "check", "lint", "--dir", project_dir) == (0, said.replace("No feature has a", "F1 has no"))
    features.append({**features[0], "id": "F2"})
    (project_dir / "features.json").write_text(json.dumps(features))
    assert run(capsys, "check", "lint", "--dir", project_dir) == (0, said)
