"""The prompts teach the language as it is: what they leave out no model would write, and their examples must hold."""

import json
import re
from typing import get_args

from harness.features import Feature
from harness.prompts import load_prompt
from harness.verify.author import Draft, Known, _names
from harness.verify.check import ActName, ExpectName, Locator
from harness.verify.lint import lint_contract


def first_column(prompt: str) -> set[str]:
    rows = re.findall(r"^\| ([^|]+) \|", prompt, re.MULTILINE)
    return {word for row in rows for word in re.split(r",\s*", row.strip())}


def test_the_author_is_taught_every_act_and_expectation():
    taught = first_column(load_prompt("verifier"))
    assert {*get_args(ActName), *get_args(ExpectName)} - taught == set()


def test_the_binder_is_taught_every_way_to_find_an_element():
    taught = first_column(load_prompt("binder"))
    assert set(Locator.model_fields) - taught - {"exact"} == set()


def test_the_example_of_a_contract_is_one():
    prompt = load_prompt("verifier")
    draft = Draft.model_validate_json(prompt[prompt.index('{"targets"') :])
    description = re.search(r'Feature: "([^"]+)"', prompt)
    assert description
    steps = re.findall(
        r"\d\. (.+?)(?= \d\. |$)", " ".join(re.findall(r"Steps: (.+?)\n\n", prompt, re.DOTALL)[0].split())
    )
    feature = Feature(id="F001", description=description[1], steps=tuple(steps))
    assert len(steps) == 3
    assert lint_contract(draft.contract("F001", Known()), feature) == []


def test_the_examples_of_locators_are_locators():
    examples = re.findall(r"`(\{.+\})`", load_prompt("binder"))
    assert len(examples) == 5
    assert all(Locator.model_validate(json.loads(example)) for example in examples)


def test_of_many_names_alike_the_author_is_shown_the_first():
    many = {f'item "{n}"': f"the item {n}" for n in range(5)} | {'button "All"': "the button", "box": "the box"}
    assert list(_names(many)) == [
        "box: the box",
        'button "All": the button',
        'item "0": the item 0',
        'item "1": the item 1',
        '... and 3 more like item "…"',
    ]
