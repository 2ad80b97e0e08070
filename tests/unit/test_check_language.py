"""One vocabulary, told in several places: the model, the words, the verdicts, the prompts and the page for people.

A name that one of them lacks is found here, before a check uses it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.verify import check as language
from harness.verify import judge, words
from harness.verify.check import Act, ActName, Expectation, ExpectName, Locator
from harness.verify.exchanges.drafts import ProgramExpected, ServiceExpected
from harness.verify.exchanges.items import (
    ACTS,
    EXPECTATIONS,
    OF_COMMANDS,
    OF_REQUESTS,
    Expected,
    ExpectedName,
    place_problem,
)
from harness.verify.exchanges.judge import _DECIDE

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def rows(section: str, page: str | None = None) -> dict[str, list[str]]:
    """The first column of a section's table -> the other cells."""
    text = page or PAGE.read_text(encoding="utf-8")
    body = re.split(r"^## ", text.split(f"\n## {section}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", body, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in found}


def example(cells: list[str]) -> dict[str, Any]:
    """The example of a row, which is its last cell."""
    return dict(json.loads(cells[-1].strip().strip("`")))


def fields_of_items() -> set[str]:
    return {field.alias or name for model in (Act, Expectation) for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("Items", fields_of_items()),
        ("Acts", set(get_args(ActName))),
        ("Expectations", set(get_args(ExpectName))),
        ("Locators", set(Locator.model_fields)),
    ],
)
def test_the_page_for_people_lists_the_whole_language_and_nothing_else(section: str, names: set[str]):
    assert set(rows(section)) == names


@pytest.mark.parametrize(("section", "needs"), [("Acts", language._ACTS), ("Expectations", language._EXPECTATIONS)])
def test_the_page_says_what_each_needs(section: str, needs: dict[str, tuple[str, ...]]):
    told = {name: tuple(re.findall(r"\w+", cells[0])) for name, cells in rows(section).items()}
    assert told == needs


def test_every_example_on_the_page_is_what_its_row_is_about():
    for name, cells in rows("Acts").items():
        assert Act.model_validate(example(cells)).act == name
    for name, cells in rows("Expectations").items():
        assert Expectation.model_validate(example(cells)).expect == name
    for name, cells in rows("Locators").items():
        assert name in Locator.model_validate(example(cells)).model_dump(exclude_unset=True)
    for name, cells in rows("Items").items():
        item = example(cells)
        assert name in item
        assert (Act if "act" in item else Expectation).model_validate(item)


def test_the_page_lists_the_language_of_exchanges_with_what_each_needs_and_an_example():
    acts = {get_args(act.model_fields["act"].annotation)[0]: act for act in ACTS}
    told = rows("Exchange acts")
    assert set(told) == set(acts)
    for name, cells in told.items():
        required = [field for field, info in acts[name].model_fields.items() if info.is_required()]
        assert re.findall(r"\w+", cells[0]) == [field for field in required if field not in ("step", "act")]
        assert words.phrase(acts[name].model_validate(example(cells)), {})
    expectations = rows("Exchange expectations")
    assert {name: tuple(re.findall(r"\w+", cells[0])) for name, cells in expectations.items()} == EXPECTATIONS
    assert set(expectations) == set(get_args(ExpectedName)) == set(_DECIDE)
    for name, cells in expectations.items():
        expected = Expected.model_validate(example(cells))
        assert (expected.expect, bool(words.phrase(expected, {}))) == (name, True)
        assert place_problem(expected) == ""


@pytest.mark.parametrize("kind", ["service", "program"])
def test_the_prompt_of_a_kind_tells_its_words_and_no_others(kind):
    prompt = (PAGE.parents[1] / "prompts" / f"verifier-{kind}.md").read_text(encoding="utf-8")
    table = " ".join(line.split("|")[1] for line in prompt.splitlines() if line.startswith("| "))
    draft = {"service": ServiceExpected, "program": ProgramExpected}[kind]
    own = set(get_args(draft.model_fields["expect"].annotation))
    assert set(re.findall(r"\w+", table)) & set(get_args(ExpectedName)) == own
    assert not own & (OF_COMMANDS if kind == "service" else OF_REQUESTS)


def test_a_row_that_is_missing_or_wrong_would_be_found():
    page = '\n## Acts\n\n| `click` | target | clicks | `{"act": "clack"}` |\n'
    assert set(rows("Acts", page)) == {"click"} != set(get_args(ActName))
    with pytest.raises(ValueError, match="clack"):
        Act.model_validate(example(rows("Acts", page)["click"]))


def test_every_item_has_words_and_every_expectation_a_judge():
    for cells in rows("Acts").values():
        assert words.phrase(Act.model_validate(example(cells)), {})
    for name, cells in rows("Expectations").items():
        assert words.phrase(Expectation.model_validate(example(cells)), {})
        assert name in {**judge._ON_TARGET, **judge._ON_ONE, **judge._ON_PAGE}
