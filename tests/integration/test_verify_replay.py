"""Checks are replayed on a real application in a real browser: the good one passes, broken ones are found out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
from apps import todo_app
from apps.rooms import open_room

from harness.browser.browser import Browser
from harness.events import CheckReplayed, Events
from harness.sandbox.processes import Room
from harness.settings import AppSettings, VerifySettings
from harness.verify.check import Check, Contract, Expectation, Locator, ProofOfMeaning
from harness.verify.judge import Judgement, Scene, judge
from harness.verify.proof import Proof, Red, find_red, prove
from harness.verify.regress import regress
from harness.verify.replay import Replayer, Site, open_site

pytestmark = pytest.mark.needs("bwrap", "chromium")

SETTINGS = VerifySettings(wait_seconds=2.0)


class House:
    """A room with a browser; opens sites of variants of the application."""

    def __init__(self, directory: Path, room: Room, browser: Browser) -> None:
        self.directory, self.room, self.browser = directory, room, browser
        self.stack = AsyncExitStack()
        self.sites: dict[str, Site] = {}

    async def site(self, variant: str = "") -> Site:
        if variant not in self.sites:
            self.sites[variant] = await self.stack.enter_async_context(self.open(self.tree(variant), variant))
        return self.sites[variant]

    def tree(self, variant: str = "") -> Path:
        tree = self.directory / "trees" / (variant or "good")
        return todo_app.make_empty(tree) if variant == "empty" else todo_app.make(tree, variant)

    def open(self, tree: Path, name: str) -> AbstractAsyncContextManager[Site]:
        data = self.directory / "data" / (name or "good")
        return open_site(tree, self.room, AppSettings(), data, self.browser)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_room(tmp_path, todo_app.make(tmp_path / "trees" / "good")) as room:
        browser = await Browser.start(room, SETTINGS)
        opened = House(tmp_path, room, browser)
        async with opened.stack:
            yield opened
        await browser.close()


@pytest.fixture
def told() -> list[CheckReplayed]:
    return []


@pytest.fixture
def replayer(tmp_path: Path, told: list[CheckReplayed]) -> Replayer:
    events = Events()
    events.listen(told.append)
    return Replayer(SETTINGS, events, tmp_path / "evidence")


async def test_the_good_application_passes_every_check_twice(
    house: House, replayer: Replayer, told: list[CheckReplayed]
) -> None:
    site = await house.site()
    for check in todo_app.CHECKS.values():
        result = await replayer.replay_twice(check, todo_app.ELEMENTS, site, purpose="prove")
        assert result.passed, result.reason
    assert [(event.feature_id, event.passed) for event in told] == [(f, True) for f in todo_app.CHECKS for _ in "12"]


@pytest.mark.parametrize("variant", todo_app.VARIANTS)
async def test_what_a_person_would_notice_is_rejected_at_the_right_step(
    house: House, replayer: Replayer, variant: str
) -> None:
    site = await house.site(variant)
    expected = todo_app.VARIANTS[variant].fails
    for feature_id in expected or todo_app.CHECKS:
        steps = todo_app.STEPS[feature_id]
        result = await replayer.replay(
            todo_app.CHECKS[feature_id], todo_app.ELEMENTS, site, purpose="verify", steps=steps
        )
        if feature_id in expected:
            assert result.reason.startswith(f"Step {expected[feature_id]} "), result.reason
        else:
            assert result.passed, result.reason


SEES = Contract.model_validate({
    "feature_id": "sees",
    "targets": dict.fromkeys(
        ("field", "items", "items list", "milk", "milk text", "milk delete", "deletes", "dog", "left"), "it"
    ),
    "items": [
        {"step": 1, "act": "navigate", "value": "/"},
        {"step": 1, "act": "fill", "target": "field", "value": "Buy milk"},
        {"step": 1, "act": "press", "target": "field", "value": "Enter"},
        {"step": 1, "act": "fill", "target": "field", "value": "Walk the dog"},
        {"step": 1, "act": "press", "target": "field", "value": "Enter"},
        {"step": 1, "expect": "visible", "target": "milk"},
        {"step": 1, "expect": "each", "target": "items", "that": "part", "part": "deletes"},
        {"step": 1, "expect": "none", "target": "items", "that": "struck_through"},
        {"step": 1, "expect": "below", "target": "items list", "to": "field"},
        {"step": 1, "expect": "right_of", "target": "milk delete", "to": "milk text"},
        {"step": 1, "expect": "looks_like", "target": "left", "value": "left", "masks": ["field"]},
        {"step": 2, "act": "click", "target": "milk delete"},
        {"step": 2, "expect": "in_place_of", "target": "dog", "to": "milk"},
    ],
})  # fmt: skip
SEES_ELEMENTS = {
    **todo_app.ELEMENTS, "deletes": Locator(role="button", name="Delete"), "items list": Locator(role="list"),
}  # fmt: skip


async def test_places_pictures_and_collections_are_replayed_and_each_can_fail(house: House, replayer: Replayer) -> None:
    site, check = await house.site(), Check(contract=SEES)
    early = await replayer.replay(check, SEES_ELEMENTS, site, purpose="verify")
    assert "there is no picture checks/pictures/sees/left.png" in early.reason
    result = await replayer.replay_twice(check, SEES_ELEMENTS, site, purpose="prove")
    assert result.passed, result.reason
    assert list(replayer.pictures.taken()) == ["sees/left"]
    proof = await prove(replayer, check, SEES_ELEMENTS, Red(), site)
    assert not proof.unproved
    assert {item.by for item in proof.items} >= {"hide", "set_style", "move_across"}


async def test_evidence_holds_pictures_what_was_seen_and_the_log(house: House, replayer: Replayer) -> None:
    check = todo_app.CHECKS["add"]
    for variant in ("handler lost", "handler lost", ""):
        result = await replayer.replay(check, todo_app.ELEMENTS, await house.site(variant), purpose="verify")
        evidence = json.loads((Path(result.evidence) / "result.json").read_text(encoding="utf-8"))
        assert evidence["passed"] is result.passed is (variant == "")
        assert evidence["items"][result.items[-1].index]["held"] is result.passed
        assert "serving on" in evidence["server_log"]
        assert "New to-do" in evidence["pages"][0]["shows"]
        pictures = sorted(Path(result.evidence).glob("*.png"))
        assert pictures
        assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    twice = await replayer.replay_twice(check, todo_app.ELEMENTS, await house.site(), purpose="prove")
    assert sorted(Path(twice.evidence).glob("*.png")), "of two plays that pass, the one with pictures is kept"
    kept = sorted(path.name.split("-")[0] for path in Path(result.evidence).parent.iterdir())
    assert kept == ["failed", "passed"], "the last of each is kept, nothing half-written"


async def proved(replayer: Replayer, check: Check, old: Site | None, new: Site) -> Proof:
    red = await find_red(replayer, check, todo_app.ELEMENTS, old)
    return await prove(replayer, check, todo_app.ELEMENTS, red, new)


async def test_a_check_on_the_application_before_the_feature_is_red_and_the_rest_is_perturbed(
    house: House, replayer: Replayer
) -> None:
    old, new = await house.site("handler lost"), await house.site()
    for feature_id, check in todo_app.CHECKS.items():
        proof = await proved(replayer, check, old, new)
        assert proof.failed is None, proof.failed.reason if proof.failed else ""
        assert proof.unproved == (), [check.contract.items[i] for i in proof.unproved]
        assert not proof.present_already
        assert by_kind(check, proof)["red"] or feature_id != "add"


async def test_expectations_that_hold_on_an_empty_page_are_moved_by_aimed_disturbances(
    house: House, replayer: Replayer
) -> None:
    check = todo_app.CHECKS["delete"]
    proof = await proved(replayer, check, await house.site("empty"), await house.site())
    assert proof.items[0].kind == "perturbed", "on an empty page the first act fails, and nothing is red"
    moved = {check.contract.items[item.item].expect: item.by for item in proof.items}  # type: ignore[union-attr]
    assert moved == {"visible": "hide", "hidden": "ghost", "text": "swap_text"}


async def test_what_is_absent_before_it_appears_is_moved_by_its_witness(house: House, replayer: Replayer) -> None:
    proof = await proved(replayer, todo_app.CHECKS["add"], None, await house.site())
    assert [(item.item, item.by) for item in proof.items[:3]] == [(1, "witness"), (2, "witness"), (5, "hide")]
    assert proof.unproved == ()


async def test_what_one_person_must_not_see_is_moved_by_the_page_of_another(house: House, replayer: Replayer) -> None:
    """What nobody sees is moved by nothing, which is the twin: a name that finds nothing proves no privacy."""
    contract = todo_app.contract("add").model_dump(by_alias=True)
    for of_alice in contract["items"]:
        of_alice["as"] = "alice"
    last = contract["items"][-1]["step"]
    nowhere = {"step": last, "expect": "hidden", "target": "nowhere", "as": "bob"}
    bob = [{"step": last, "act": "navigate", "value": "/", "as": "bob"}, {**nowhere, "target": "milk"}, nowhere]
    items, targets = [*contract["items"], *bob], {**contract["targets"], "nowhere": "what is on no page"}
    check = Check.model_validate(
        {
            "contract": {**contract, "items": items, "targets": targets},
            "bindings": {"nowhere": {"text": "Something that nobody entered"}},
        }
    )
    proof = await proved(replayer, check, None, await house.site())
    assert [item.by for item in proof.items if item.item == len(items) - 2] == ["witness"]
    assert proof.unproved == (len(items) - 1,)


async def test_a_feature_that_is_there_already_is_noticed(house: House, replayer: Replayer) -> None:
    site = await house.site()
    proof = await proved(replayer, todo_app.CHECKS["keep"], site, await house.site("rendered late"))
    assert proof.present_already
    assert proof.counts()["perturbed"] == 3


async def test_what_only_an_act_brings_about_is_moved_by_a_frozen_page(house: House, replayer: Replayer) -> None:
    contract = todo_app.contract("delete").model_dump(by_alias=True)
    items = [*contract["items"][:5], {"step": 2, "expect": "dialog", "value": "Delete it?"}]
    check = Check.model_validate({"contract": {**contract, "items": items}})
    proof = await proved(replayer, check, None, await house.site("asks first"))
    assert [item.by for item in proof.items] == ["hide", "freeze handlers"]


DELETES_BY_FORM = """import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self, more=""):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        icon = "<link rel=icon href='data:,'>"
        self.wfile.write(f"{icon}<h1>Notes</h1><form method=post><button>Delete</button></form>{more}".encode())

    def do_POST(self):
        self.do_GET("<script>alert('Deleted')</script>")

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


async def test_what_no_frozen_page_keeps_from_happening_is_moved_by_leaving_the_act_out(
    house: House, replayer: Replayer
) -> None:
    tree = todo_app.make(house.directory / "trees" / "form")
    (tree / "serve.py").write_text(DELETES_BY_FORM)
    items = [
        {"step": 1, "act": "navigate", "value": "/"},
        {"step": 1, "act": "click", "target": "delete"},
        {"step": 1, "expect": "dialog", "value": "Deleted"},
    ]
    contract = {"feature_id": "form", "targets": {"delete": "the button"}, "items": items}
    elements = {"delete": Locator(role="button", name="Delete")}
    check = Check.model_validate({"contract": contract})
    async with house.open(tree, "form") as site:
        proof = await prove(replayer, check, elements, Red(), site)
        assert [item.by for item in proof.items] == ["remove nothing"]
        assert (await replayer.replay(check, elements, site, purpose="verify")).passed, "nothing stays frozen"


class Killer:
    """A judge in whose hands the browser ends, so many times."""

    def __init__(self, browser: Browser, times: int) -> None:
        self.browser, self.left = browser, times

    def __call__(self, expectation: Expectation, scene: Scene) -> Judgement:
        if self.left and self.browser._wire:
            self.left -= 1
            self.browser._wire._process.kill()
        return judge(expectation, scene)


@pytest.mark.parametrize(("times", "reason"), [(1, ""), (9, "The page ends the browser")])
async def test_a_browser_that_ends_during_a_proof_is_told_and_ends_no_run(
    house: House, replayer: Replayer, times: int, reason: str
) -> None:
    killing = Replayer(replayer.settings, replayer.events, decide=Killer(house.browser, times))
    proof = await prove(killing, todo_app.CHECKS["add"], todo_app.ELEMENTS, Red(), await house.site())
    assert (proof.failed.reason if proof.failed else "").startswith(reason)
    assert (proof.failed is None) is (times == 1)
    assert bool(proof.unproved) is (times > 1)


async def test_a_page_that_hangs_when_it_is_disturbed_proves_nothing_and_ends_no_run(
    house: House, replayer: Replayer
) -> None:
    tree = todo_app.make(house.directory / "trees" / "hangs")
    (tree / "index.html").write_text(
        "<!doctype html><title>Hangs</title><h1>Notes</h1><script>new MutationObserver(() => { for (;;); })"
        ".observe(document, {subtree: true, childList: true, attributes: true, characterData: true})</script>"
    )
    items = [{"step": 1, "act": "navigate", "value": "/"}, {"step": 1, "expect": "visible", "target": "head"}]
    check = Check.model_validate({"contract": {"feature_id": "h", "targets": {"head": "the head"}, "items": items}})
    elements = {"head": Locator(role="heading", name="Notes")}
    async with house.open(tree, "hangs") as site:
        assert (await replayer.replay(check, elements, site, purpose="verify")).passed
        proof = await prove(replayer, check, elements, Red(), site)
        assert proof.unproved == (1,)
        assert (await replayer.replay(check, elements, site, purpose="verify")).passed, "the next page is a new one"


async def test_a_hidden_that_looks_in_the_wrong_place_is_not_proved(house: House, replayer: Replayer) -> None:
    wrong = Check(contract=todo_app.contract("delete"), bindings={"milk": Locator(css="#nowhere")})
    items = tuple(item for item in wrong.contract.items if getattr(item, "expect", "") != "visible")
    wrong = wrong.model_copy(update={"contract": wrong.contract.model_copy(update={"items": items})})
    site = await house.site()
    assert (await replayer.replay(wrong, todo_app.ELEMENTS, site, purpose="verify")).passed, "it would pass for ever"
    proof = await proved(replayer, wrong, None, site)
    assert [items[index].expect for index in proof.unproved] == ["hidden"]  # type: ignore[union-attr]


async def test_a_judge_that_always_agrees_is_found_out(house: House, replayer: Replayer) -> None:
    def agrees(expectation: Expectation, scene: Scene) -> Judgement:
        return Judgement(True, "all is well")

    broken = Replayer(replayer.settings, replayer.events, decide=agrees)
    site = await house.site("counter off by one")
    check = todo_app.CHECKS["add"]
    assert (await broken.replay(check, todo_app.ELEMENTS, site, purpose="verify")).passed, "the twin is broken"
    proof = await proved(broken, check, site, site)
    assert proof.items == ()
    assert proof.present_already


async def test_regress_finds_what_broke_with_several_workers(house: House, replayer: Replayer) -> None:
    tree = house.tree("not persisted")
    results = await regress(
        replayer, todo_app.CHECKS, todo_app.ELEMENTS, lambda number: house.open(tree, str(number)), seconds=0
    )
    assert [result.feature_id for result in results] == list(todo_app.CHECKS)
    assert {result.feature_id: result.passed for result in results if not result.passed} == {"keep": False}
    assert not any(result.flaky for result in results)
    assert "seen: no element matches" in next(r.reason for r in results if not r.passed)


async def test_two_users_have_their_own_storage_and_pages_leak_nothing(house: House, replayer: Replayer) -> None:
    contract = todo_app.contract("delete").model_dump(by_alias=True)
    add = [item for item in contract["items"] if item["step"] == 1]
    other = [{"step": 2, "act": "navigate", "value": "/", "as": "bob"}]
    other += [{"step": 2, "expect": "hidden", "target": "milk", "as": "bob"}]
    check = Check.model_validate({"contract": {**contract, "items": [*add, *other]}})
    result = await replayer.replay_twice(check, todo_app.ELEMENTS, await house.site(), purpose="verify")
    assert result.passed, result.reason


async def test_a_browser_that_ended_between_two_checks_costs_a_new_page(house: House, replayer: Replayer) -> None:
    site = await house.site()
    for _ in range(2):
        result = await replayer.replay(todo_app.CHECKS["keep"], todo_app.ELEMENTS, site, purpose="verify")
        assert result.passed, result.reason
        await house.browser.close()


async def test_an_unbound_name_is_no_verdict_on_the_application(house: House, replayer: Replayer) -> None:
    elements = {name: locator for name, locator in todo_app.ELEMENTS.items() if name != "milk"}
    result = await replayer.replay(todo_app.CHECKS["keep"], elements, await house.site(), purpose="verify")
    assert not result.passed
    assert result.failed is not None
    assert result.failed.held is None


def by_kind(check: Check, proof: Proof) -> dict[str, list[ProofOfMeaning]]:
    return {kind: [item for item in proof.items if item.kind == kind] for kind in ("red", "perturbed")}
