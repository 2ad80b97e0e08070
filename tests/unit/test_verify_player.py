"""How a play goes on, waits and ends, on a page in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from fakes.pages import FakeBrowser, FakeInstance, FakePage, View

from harness.errors import BrowserError
from harness.events import CheckReplayed, Events
from harness.settings import VerifySettings
from harness.verify.app import AppNotStarted
from harness.verify.check import Check, Contract, Expectation, Locator
from harness.verify.pages import Pages, Site
from harness.verify.player import Player
from harness.verify.playing import ReplayResult
from harness.verify.regress import regress
from harness.verify.replay import Replayer

SETTINGS = VerifySettings(wait_seconds=0.3, hold_seconds=0.12)
NAMES = ("milk", "dog", "broken", "danger")
OPEN = {"step": 1, "act": "navigate", "value": "/"}


def shown(*texts: str) -> View:
    return lambda page, text: [each for each in texts if each == text]


def contract(*items: dict[str, Any]) -> Contract:
    data = {"feature_id": "F001", "targets": {name: name for name in NAMES}, "items": [OPEN, *items]}
    return Contract.model_validate(data)


def site_of(view: View) -> tuple[Site, FakeBrowser, FakeInstance]:
    browser, instance = FakeBrowser(view), FakeInstance()
    return cast(Site, Site(cast(Any, instance), Pages(cast(Any, browser)))), browser, instance


async def play(view: View, *items: dict[str, Any], **options: Any) -> ReplayResult:
    site, _, _ = site_of(view)
    return await Player(site, SETTINGS).play(contract(*items), lambda name: Locator(text=name), **options)


def see(name: str, step: int = 2, **more: Any) -> dict[str, Any]:
    return {"step": step, "expect": "visible", "target": name, **more}


def click(name: str, step: int = 1) -> dict[str, Any]:
    return {"step": step, "act": "click", "target": name}


async def test_a_failed_act_ends_the_play_and_says_why() -> None:
    result = await play(shown("milk"), click("broken"), see("milk"), go_on=True)
    assert [item.held for item in result.items] == [True, False]
    assert not result.passed
    assert result.reason.startswith("Step 1: could not click broken: covered by <div#x>.")
    assert "listening" in result.reason


async def test_all_of_a_group_is_judged_before_the_play_ends() -> None:
    result = await play(shown("dog"), see("milk"), see("dog"), click("dog"))
    assert [item.held for item in result.items] == [True, False, True]


async def test_a_play_that_goes_on_judges_later_groups_too() -> None:
    result = await play(shown("dog"), see("milk"), click("dog"), see("dog"), go_on=True)
    assert [item.held for item in result.items] == [True, False, True, True]
    assert not result.passed


async def test_what_comes_late_is_waited_for() -> None:
    def late(page: FakePage, text: str) -> Sequence[str]:
        return [text] if page.looks > 3 else []

    assert (await play(late, see("milk"))).passed


async def test_what_flickers_does_not_hold() -> None:
    def flickers(page: FakePage, text: str) -> Sequence[str]:
        return [text] if page.looks % 2 else []

    assert not (await play(flickers, see("milk"))).passed


async def test_expectations_of_a_group_must_hold_together() -> None:
    def one_at_a_time(page: FakePage, text: str) -> Sequence[str]:
        return [text] if (page.looks // 4 % 2 == 0) == (text == "milk") else []

    assert not (await play(one_at_a_time, see("milk"), see("dog"))).passed


async def test_what_must_not_be_seen_and_was_not_found_is_told_at_its_witness() -> None:
    """Else the coder would hear that the thing's absence failed, when its presence did."""
    site, _, _ = site_of(shown("dog"))
    hidden = Expectation(step=1, expect="hidden", target="milk")
    made = contract(hidden, click("dog"), see("milk"))
    result = await Player(site, SETTINGS).play(made, lambda name: Locator(text=name) if name == "dog" else None)
    assert [item.held for item in result.items] == [True, None, True, None]
    assert result.failed is not None
    assert result.failed.index == 3
    assert not result.passed


async def test_an_unbound_target_is_neither_held_nor_failed() -> None:
    site, _, _ = site_of(shown("milk"))
    result = await Player(site, SETTINGS).play(contract(see("milk"), see("dog")), lambda name: None)
    assert [item.held for item in result.items] == [True, None, None]
    assert not result.passed


async def test_only_dialogs_of_the_acts_just_before_count() -> None:
    dialog = {"step": 2, "expect": "dialog", "value": "Sure?"}
    assert (await play(shown("milk"), click("danger"), dialog)).passed
    assert not (await play(shown("milk"), click("danger"), see("milk"), click("milk"), dialog)).passed


async def test_a_page_that_cannot_be_looked_at_was_not_judged() -> None:
    site, browser, _ = site_of(shown("milk"))

    async def hang(group: Any, results: Any) -> None:
        browser.pages[0].is_hung = True

    result = await Player(site, SETTINGS).play(contract(see("milk")), lambda name: Locator(text=name), on_group=hang)
    assert result.items[-1].held is False
    assert result.items[-1].reason == "the page cannot be looked at: page crashed"


async def test_each_user_has_a_page_and_each_play_starts_empty() -> None:
    site, browser, instance = site_of(shown("milk"))
    player = Player(site, SETTINGS)
    items = contract(see("milk"), {**OPEN, "as": "bob"}, see("milk", **{"as": "bob"}))
    for _ in range(2):
        assert (await player.play(items, lambda name: Locator(text=name))).passed
    assert len(browser.pages) == 2
    assert [page.acts for page in browser.pages] == [["navigate http://127.0.0.1:1/"]] * 2
    assert instance.calls == ["reset", "touch"] * 2


async def test_a_restart_is_the_applications_and_what_was_remembered_stays() -> None:
    remember = {"step": 1, "act": "remember", "target": "milk", "value": "it"}
    site, _, instance = site_of(shown("milk"))
    items = contract(
        remember, {"step": 1, "act": "restart"}, {"step": 2, "expect": "unchanged", "target": "milk", "value": "it"}
    )
    assert (await Player(site, SETTINGS).play(items, lambda name: Locator(text=name))).passed
    assert instance.calls == ["reset", "touch", "restart"]


async def test_what_passes_once_only_does_not_pass() -> None:
    def once(page: FakePage, text: str) -> Sequence[str]:
        return [text] if page.resets == 1 else []

    told: list[CheckReplayed] = []
    events = Events()
    events.listen(told.append)
    site, _, _ = site_of(once)
    check = Check(contract=contract(see("milk")), bindings={name: Locator(text=name) for name in NAMES})
    result = await Replayer(SETTINGS, events).replay_twice(check, {}, site, purpose="prove")
    assert not result.passed
    assert result.reason.startswith("It passed once, then not again.\nStep 2")
    assert [event.passed for event in told] == [True, False]


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[Site]:
    yield site


async def test_what_fails_among_others_and_passes_alone_is_flaky_and_blocks_nothing() -> None:
    def later(page: FakePage, text: str) -> Sequence[str]:
        return [text] if text == "dog" or page.resets > 2 else []

    checks = {
        name: Check(contract=contract(see(name)), bindings={each: Locator(text=each) for each in NAMES})
        for name in ("milk", "dog")
    }
    site, _, _ = site_of(later)
    replayer = Replayer(VerifySettings(wait_seconds=0.1, hold_seconds=0.05, workers=1), Events())
    results = await regress(replayer, checks, {}, lambda number: opened(site))
    assert [(result.feature_id, result.passed, result.flaky) for result in results] == [
        ("milk", True, True),
        ("dog", True, False),
    ]
    assert results[0].reason.startswith("Step 2")


async def test_when_the_time_is_over_what_has_begun_is_told_and_the_rest_is_left_out() -> None:
    site, _, _ = site_of(shown(*NAMES))
    bindings = {each: Locator(text=each) for each in NAMES}
    checks = {f"F{number}": Check(contract=contract(see("milk")), bindings=bindings) for number in range(50)}
    replayer = Replayer(VerifySettings(hold_seconds=0.1, workers=1), Events())
    results = await regress(replayer, checks, {}, lambda number: opened(site), seconds=0.3)
    assert 0 < len(results) < 50


def ends_the_browser(times: int) -> View:
    """A page that ends the browser so many times."""
    left = [times]

    def view(page: FakePage, text: str) -> Sequence[str]:
        if left[0]:
            left[0] -= 1
            raise BrowserError("Chromium ended")
        return [text]

    return view


async def test_a_page_that_ends_the_browser_gets_a_second_chance_and_is_told_then() -> None:
    check = Check(contract=contract(see("milk")), bindings={"milk": Locator(text="milk")})
    for times, passes in ((1, True), (2, False)):
        site, _, _ = site_of(ends_the_browser(times))
        result = await Replayer(SETTINGS, Events()).replay(check, {}, site, purpose="prove")
        assert result.passed is passes
        assert passes or "The page ends the browser" in result.reason


async def test_a_browser_that_does_not_start_again_is_a_fault_of_ours() -> None:
    class Gone(FakeBrowser):
        async def new_page(self) -> FakePage:
            if self.pages:
                raise BrowserError("Chromium does not start")
            return await super().new_page()

    site, _, _ = site_of(ends_the_browser(9))
    site = Site(site.instance, Pages(cast(Any, Gone(ends_the_browser(9)))))
    checks = {"F1": Check(contract=contract(see("milk")), bindings={"milk": Locator(text="milk")})}
    with pytest.raises(BrowserError, match="does not start"):
        await regress(Replayer(SETTINGS, Events()), checks, {}, lambda number: opened(site))


async def test_an_application_that_does_not_come_up_is_a_failed_replay() -> None:
    class Down(FakeInstance):
        async def reset(self) -> None:
            raise AppNotStarted("`./init.sh serve` ended with exit code 1", "cannot import app")

    site, _, _ = site_of(shown("milk"))
    check = Check(contract=contract(see("milk")), bindings={"milk": Locator(text="milk")})
    down = Site(cast(Any, Down()), site.pages)
    result = await Replayer(SETTINGS, Events()).replay(check, {}, down, purpose="verify")
    assert not result.passed
    assert "cannot import app" in result.reason
