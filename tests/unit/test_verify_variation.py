"""Other texts for a check: which are replaced, how, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from apps import todo_app

from harness.browser.failed import ActFailed
from harness.errors import BrowserError
from harness.events import Events
from harness.settings import VerifySettings
from harness.verify.check import Check, Contract, Expectation, Locator
from harness.verify.playing import ItemResult, ReplayResult
from harness.verify.replay import Replayer
from harness.verify.variation import failure_with_other_texts, vary

MILK = "Buy oat milk"


def check(*items: dict[str, Any], **found: Locator) -> Check:
    """A check that opens a page, then does and sees these."""
    whole = [{"step": 1, "act": "navigate", "value": "/"}, *({"step": 1, **item} for item in items)]
    targets = {name: name for item in whole for name in (item.get("target"),) if name} | {n: n for n in found}
    return Check(contract=Contract(feature_id="F", targets=targets, items=tuple(whole)), bindings=found)


def fill(value: str, target: str = "box", **more: Any) -> dict[str, Any]:
    return {"act": "fill", "target": target, "value": value, **more}


def sees(value: str, match: str = "contains") -> dict[str, Any]:
    return {"expect": "text", "target": "line", "match": match, "value": value}


def texts(*items: dict[str, Any], **found: Locator) -> tuple[str, ...]:
    return vary(check(*items, **found), {}, "seed").texts


def test_what_is_entered_is_replaced_wherever_it_is_seen_and_nothing_else() -> None:
    line = Locator(role="listitem", has=Locator(text=MILK), inside=Locator(role="list", name="To-do"))
    found = check(fill(MILK), sees(f"1 item: {MILK}!"), line=line)
    variation = vary(found, {}, "seed")
    other = variation.of(MILK)
    assert other != MILK
    varied = variation.check(found)
    assert [item.value for item in varied.contract.items] == ["/", other, f"1 item: {other}!"]
    assert varied.bindings["line"] == Locator(
        role="listitem", has=Locator(text=other), inside=Locator(role="list", name="To-do")
    )


@pytest.mark.parametrize("seed", [f"tree {n}" for n in range(30)])
def test_another_text_is_like_the_one_it_replaces(seed: str) -> None:
    words = ["Walk the dog", "apples", "Bananas", "walk"]
    variation = vary(check(*map(fill, words), *map(sees, words)), {}, seed)
    other = [variation.of(word) for word in words]
    assert all(new != old and len(new) == len(old) for new, old in zip(other, words, strict=True))
    assert other[0].lower().startswith(other[3])  # a search for the beginning finds it
    assert sorted(range(4), key=lambda i: other[i].lower()) == sorted(range(4), key=lambda i: words[i].lower())
    assert [new[0].isupper() for new in other] == [True, False, True, False]


def test_another_tree_gets_other_letters_and_the_same_tree_the_same() -> None:
    found = check(fill(MILK), sees(MILK))
    assert vary(found, {}, "a").of(MILK) == vary(found, {}, "a").of(MILK)
    assert len({vary(found, {}, str(seed)).of(MILK) for seed in range(20)}) > 15


def test_forms_of_a_text_are_found() -> None:
    variation = vary(check(fill("Buy milk"), sees("Buy milk")), {}, "seed")
    buy, milk = variation.of("Buy milk").split()
    forms = {
        "BUY MILK": f"{buy.upper()} {milk.upper()}",
        "/notes/buy-milk?q=Buy%20milk": f"/notes/{buy.lower()}-{milk}?q={buy}%20{milk}",
        r"^\bBuy\s+milk\b$": rf"^\b{buy}\s+{milk}\b$",
        r"^title\r?\nBuy milk,0(\r?\n)?$": rf"^title\r?\n{buy} {milk},0(\r?\n)?$",
        "milk": milk,
        "Buymilk and milky": "Buymilk and milky",
    }
    assert {form: variation.of(form) for form in forms} == forms


@pytest.mark.parametrize(
    "value",
    ["ann@example.com", "https://a.b/c", "/help", "2026-05-01", "12:30", "5 km", "#ff0000", "=SUM(A1)", "1 + x",
     "<b>bold</b>", "tomorrow", "March", "red", "   ", "3.5", "notes.txt"],
)  # fmt: skip
def test_what_a_program_may_understand_stays(value: str) -> None:
    assert texts(fill(value), sees(value if value.strip() else "blank")) == ()


def test_what_its_author_calls_given_stays() -> None:
    assert texts(fill("Berlin", given=True), sees("Berlin, Germany")) == ()
    assert texts(fill("Berlin"), sees("Berlin, Germany")) == ("Berlin",)


def test_what_is_never_seen_again_stays() -> None:
    assert texts(fill("launch"), sees("Lift-off")) == ()


def test_an_account_stays() -> None:
    login = (fill("alice"), fill("wonderland", "password box"), {"act": "click", "target": "log in"})
    assert texts(*login, sees("Welcome, alice")) == ()
    assert texts(*login, fill("Hello all"), sees("Hello all")) == ("Hello all",)


def test_a_text_among_texts_that_nobody_entered_keeps_its_place() -> None:
    order = {"expect": "order", "target": "lines", "values": ["Apples", "Milk", "Pears"]}
    assert texts(fill("Milk"), order) == ()
    assert set(texts(*map(fill, ("Apples", "Milk", "Pears")), order)) == {"Apples", "Milk", "Pears"}


@pytest.mark.parametrize("seed", [f"tree {n}" for n in range(10)])
@pytest.mark.parametrize(
    ("part", "whole"), [("gro", "Groceries"), ("On", "Red onions"), ("Y mil", "Buy milk"), ("e", "Tea")]
)
def test_letters_by_which_a_text_is_searched_go_with_it(part: str, whole: str, seed: str) -> None:
    found = check(fill(whole), fill(part, "search"), sees(whole))
    variation = vary(found, {}, seed)
    acts = variation.check(found).contract.items
    other, start = variation.of(whole), whole.lower().index(part.lower())
    assert other != whole
    assert [item.value for item in acts[1:3]] == [other, acts[2].value]
    assert acts[2].value.lower() == other[start : start + len(part)].lower()
    assert [c.isupper() for c in acts[2].value] == [c.isupper() for c in part]


def test_letters_that_also_find_what_nobody_entered_stay_and_so_does_the_text() -> None:
    own = {"expect": "visible", "target": "bread"}
    searched = (fill("Bandana"), fill("Pear"), fill("ban", "search"), sees("Bandana"), sees("Pear"))
    assert texts(*searched, own, bread=Locator(text="Banana bread")) == ("Pear",)
    assert set(texts(*searched, own, bread=Locator(text="Toast"))) == {"Bandana", "Pear"}


def test_letters_that_are_given_or_belong_to_an_account_stay() -> None:
    items = (fill(MILK), fill("mil", given=True), fill("mil", "password box"), sees(MILK))
    varied = vary(check(*items), {}, "seed").check(check(*items)).contract.items
    assert [item.value for item in varied[2:4]] == ["mil", "mil"]


@pytest.mark.parametrize(
    ("text", "made"),
    [("Ann Bell", "AB"), ("Ann Bell", "A.B."), ("Ann Bell", "by AB today"), ("Groceries", "G"), ("apple", "2 apples"),
     ("Buy oat milk", "Buy oat m…"), ("Buy oat milk", "Note: Buy o..."), ("Buy milk", "klim yuB"),
     ("Buy milk", "#BuyMilk"), ("Groceries", "Groc")],
)  # fmt: skip
def test_a_text_of_which_something_is_made_stays(text: str, made: str) -> None:
    assert texts(fill(text), sees(text), sees(made)) == ()
    assert texts(fill(text), fill("Pea soup"), sees("Pea soup"), sees(text), sees(made)) == ("Pea soup",)


@pytest.mark.parametrize("own", ["Add", "2 items", "All", "OK", "Buy", "Milk and more", "/buy-milk", "Saved Buy milk"])
def test_words_of_the_application_do_not_keep_a_text(own: str) -> None:
    assert "Buy milk" in texts(fill("Buy milk"), sees("Buy milk"), sees(own), shown=Locator(text=own))


def test_parts_of_a_text_that_stays_do_so_too() -> None:
    items = (fill("Ann Bell"), fill("Ann", "search"), fill("ell", "search"), sees("Ann Bell"), sees("AB"), sees("Ann"))
    assert texts(*items) == ()
    assert vary(check(*items), {}, "seed").check(check(*items)) == check(*items)
    shown = vary(check(fill("Oat"), fill("Oat milk"), sees("Oat"), sees("Oat milk")), {}, "seed", {"Oat"})
    assert shown.texts == ()


def test_a_picture_is_no_text_and_is_not_compared_with() -> None:
    card = {"expect": "looks_like", "target": "card", "value": "card", "masks": ["clock"]}
    clock = Locator(text="12:00")
    assert texts(fill("Card"), card, clock=clock) == ()
    found = check(fill(MILK), sees(MILK), card, clock=clock)
    varied = vary(found, {}, "seed").check(found).contract.items
    assert varied[-1] == Expectation.model_validate({"step": 1, "expect": "visible", "target": "card"})


def test_the_checks_of_the_to_do_application_enter_other_texts() -> None:
    replaced = {name: vary(found, todo_app.ELEMENTS, name).texts for name, found in todo_app.CHECKS.items()}
    milk = ("Buy milk",)
    assert replaced == {
        "add": milk, "complete": milk, "filter": ("Walk the dog", *milk), "keep": milk, "delete": milk,
    }  # fmt: skip


PASSES, FAILS = (
    ReplayResult((ItemResult(0, held),), held, "" if held else "It is not there.") for held in (True, False)
)


@dataclass(frozen=True)
class Scripted(Replayer):
    """Plays that end as written, the last for ever, and a look at the page that ends in a fault."""

    outcomes: list[ReplayResult] = field(default_factory=list)
    fault: Exception | None = None
    plays: list[Path | None] = field(default_factory=list)
    """Where each wrote its evidence."""

    async def replay(self, *_: Any, **__: Any) -> ReplayResult:
        self.plays.append(self.evidence_dir)
        return self.outcomes[min(len(self.plays), len(self.outcomes)) - 1]

    def player(self, *_: Any, **__: Any) -> Any:
        return self

    async def play(self, contract: Contract, _: Any, *, go_on: bool, on_group: Any) -> None:
        for group in contract.groups() if go_on else []:
            await on_group(group, [])


class FaultySite:
    """A site whose page cannot be looked at; it is its own page."""

    def __init__(self, fault: Exception) -> None:
        self.pages, self.fault = self, fault

    @contextmanager
    def seen_as(self, _: Any) -> Iterator[None]:
        yield

    def in_use(self) -> dict[str, Any]:
        return {"": self}

    async def observe(self, _: Any) -> Any:
        raise self.fault

    async def forget(self) -> None:
        pass


async def played(*outcomes: ReplayResult, fault: Exception | None = None) -> tuple[ReplayResult | None, Scripted]:
    replayer = Scripted(VerifySettings(), Events(), Path("evidence"), outcomes=list(outcomes))
    entered = check(fill(MILK), sees(MILK), line=Locator(text=MILK))
    site: Any = FaultySite(fault or ActFailed("the page crashed"))
    return await failure_with_other_texts(replayer, entered, {}, site, "seed", []), replayer


@pytest.mark.parametrize("fault", [ActFailed("the page hangs"), BrowserError("Chromium ended", "start it again")])
async def test_a_page_that_cannot_be_looked_at_showed_nothing_before(fault: Exception) -> None:
    failed, _ = await played(FAILS, fault=fault)
    assert failed
    assert "not for another person" in failed.reason
    assert failed.reason.startswith("With other texts: "), "what failed comes first: memory keeps the beginning"


@pytest.mark.parametrize(("outcomes", "holds"), [((PASSES,), True), ((FAILS, PASSES), True), ((FAILS, FAILS), False)])
async def test_a_failure_counts_when_it_happens_twice_and_then_only_leaves_evidence(
    outcomes: tuple[ReplayResult, ...], holds: bool
) -> None:
    failed, replayer = await played(*outcomes)
    assert (failed is None) == holds
    assert replayer.plays == [None, Path("evidence")][: len(outcomes)]


async def test_an_application_that_does_not_start_is_not_blamed_for_the_texts() -> None:
    failed, _ = await played(ReplayResult((), False, "The application did not start."))
    assert failed == ReplayResult((), False, "The application did not start.")
