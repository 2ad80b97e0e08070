"""Plays a check on the pages of a running application, without a model.

The player performs each act, waits for each condition, and writes down what it saw. It never heals and never guesses:
an act that cannot be done ends the play, expectations of one group are all judged before it stops. What an
observation means is decided in `judge`, what it says to a reader in `words`. How a play goes is in `playing`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from harness.browser.failed import ActFailed
from harness.verify import words
from harness.verify.app import AppNotStarted
from harness.verify.check import Act, Contract, Expectation, Locator
from harness.verify.judge import (
    ABOUT_PAGE,
    Before,
    Box,
    Judgement,
    Kept,
    Scene,
    describe_matches,
    judge,
    keep,
    visible_of,
)
from harness.verify.looking import Glance, Seen, Sketches, Sought, watch
from harness.verify.playing import Group, ItemResult, Playing, Resolve, first_failed

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.browser.values import PageFacts
    from harness.settings import VerifySettings
    from harness.verify.pages import Site

POLL_SECONDS = 0.05
ABOUT_ACTS = {"dialog", "download", "request"}
SHOWN = {"visible", "text", "value", "checked", "enabled", "focused", "title", "url", "struck_through", "attribute"}
"""What the acts that follow need too: a window of `SHORT` is enough where other groups come after it."""
SHORT = 0.4
LOOK_SECONDS = 0.6
"""At the end of a check: a person who looks at the result notices when it goes away."""
NOT_FOUND = "nothing on the page was found to be it"

Decide = Callable[[Expectation, Scene], Judgement]


@dataclass(frozen=True)
class Look:
    """One expectation at one moment."""

    index: int
    expectation: Expectation
    locator: Locator | None
    judgement: Judgement
    matches: int | None

    @property
    def bound(self) -> bool:
        """Whether it could be judged at all."""
        return self.locator is not None or self.expectation.target is None


@dataclass(frozen=True)
class _Moment:
    """The expectations of a group in one state of the page."""

    at_seconds: float
    looks: list[Look]

    @property
    def holds(self) -> bool:
        return all(look.judgement.holds for look in self.looks if look.bound)


@dataclass
class Player(Playing):
    """Plays items on one site. `begin` starts a play on empty data; `play` does all of it."""

    site: Site
    settings: VerifySettings
    wait_seconds: float | None = None
    """How long conditions are waited for; None: as the settings say."""
    hold_seconds: float | None = None
    """How long what holds must go on holding; None: as the settings say."""
    lingers: bool = False
    """Whether the last group must go on holding for `LOOK_SECONDS`."""
    decide: Decide = judge
    sketches: Sketches = field(default_factory=Sketches)
    memory: dict[str, Kept] = field(default_factory=dict)
    _before: dict[str, Before] = field(default_factory=dict)
    """What each user had seen happen before the acts that go on now."""
    _acting: bool = False
    _locators: dict[int, Locator | None] = field(default_factory=dict)
    _places: dict[tuple[str, str], Box] = field(default_factory=dict)
    """User and name -> where what is going to be replaced was last seen."""
    _feature_id: str = ""

    async def begin(self) -> None:
        """Empty data, empty pages, nothing remembered.

        Raises: AppNotStarted: the application did not come up again.
        """
        self.memory.clear()
        self._before.clear()
        self._places.clear()
        self.sketches.drafts.clear()
        self._acting = False
        await self.site.instance.reset()
        self.site.instance.touch()
        self.site.pages.begin(self.site.instance.base_url, self.site.instance.also)

    def alone(self, contract: Contract) -> AbstractAsyncContextManager[None]:
        """The clipboard, of which a browser has one."""
        return self.site.pages.alone(contract.uses_clipboard)

    def prepare(self, *, takes: bool, lingers: bool) -> None:
        """What the next play is for."""
        self.sketches.takes, self.lingers = takes, lingers

    def keep(self, feature_id: str) -> None:
        """Compare with the pictures it took."""
        self.sketches.pictures.take(feature_id, self.sketches.drafts)

    async def group(self, group: Group, contract: Contract, resolve: Resolve) -> list[ItemResult]:
        """Play one act, or one group of expectations."""
        index, item = group[0]
        if isinstance(item, Act):
            return [await self.act(index, item, contract, resolve)]
        return await self.expect([(i, e) for i, e in group if isinstance(e, Expectation)], contract, resolve)

    # --- acts ---

    async def act(self, index: int, act: Act, contract: Contract, resolve: Resolve) -> ItemResult:
        """Do what a person does, waiting until it can be done."""
        started = time.monotonic()
        said = words.phrase(act, contract.targets)
        self._locators[index] = locator = resolve(act.target) if act.target else None
        to = resolve(act.to) if act.to else None
        if (act.target and locator is None) or (act.to and to is None):
            return ItemResult(index, None, expected=said, reason=NOT_FOUND)
        try:
            await self._mark(contract)
            await self._mark_places(act.user, contract, resolve)
            await self._perform(act, locator, to)
        except (ActFailed, AppNotStarted) as exc:
            return ItemResult(index, False, str(exc), said, str(exc), time.monotonic() - started)
        return ItemResult(index, True, "", said, "", time.monotonic() - started)

    async def _perform(self, act: Act, locator: Locator | None, to: Locator | None) -> None:
        instance = self.site.instance
        if act.act == "restart":
            await instance.restart()
            return
        page = await self.site.pages.of(act.user)
        if act.act == "remember":
            await self._remember(act, locator, page)
            return
        value = urljoin(instance.base_url + "/", act.value or "/") if act.act == "navigate" else act.value
        await page.act(act.act, locator, value=value, to=to, file_name=act.name, wait_seconds=self._wait)

    async def _remember(self, act: Act, locator: Locator | None, page: Page) -> None:
        """Keep what is seen now; a text or value needs the one element it belongs to."""
        assert locator is not None  # the language does not allow `remember` without a target
        deadline = time.monotonic() + self._wait
        while True:
            (observation,) = await page.observe([locator])
            if act.what == "count" or len(visible_of(observation)) == 1:
                self.memory[act.value or ""] = keep(observation)
                return
            if time.monotonic() > deadline:
                raise ActFailed(describe_matches(observation))
            await asyncio.sleep(POLL_SECONDS)

    async def _mark(self, contract: Contract) -> None:
        """Some expectations are about the acts just before them, so count what was seen when a run of acts begins."""
        if self._acting or not any(e.expect in ABOUT_ACTS for _, e in contract.expectations()):
            return
        self._acting = True
        for user, page in self.site.pages.in_use().items():
            facts = await page.facts()
            self._before[user] = Before(len(facts.dialogs), len(facts.downloads), len(facts.requests))

    async def _mark_places(self, user: str, contract: Contract, resolve: Resolve) -> None:
        """Note where the things are that later expectations want something in the place of."""
        wanted = {e.to for _, e in contract.expectations() if e.expect == "in_place_of" and e.user == user and e.to}
        found = {name: locator for name in wanted if (locator := resolve(name))}
        page = self.site.pages.in_use().get(user)
        if page is None or not found:
            return
        for name, observation in zip(found, await page.observe(list(found.values())), strict=True):
            if len(visible := visible_of(observation)) == 1:
                self._places[user, name] = visible[0].box

    @property
    def _wait(self) -> float:
        return self.settings.wait_seconds if self.wait_seconds is None else self.wait_seconds

    @property
    def _hold(self) -> float:
        return self.settings.hold_seconds if self.hold_seconds is None else self.hold_seconds

    # --- expectations ---

    async def expect(
        self, group: Sequence[tuple[int, Expectation]], contract: Contract, resolve: Resolve
    ) -> list[ItemResult]:
        """Wait until all of a group hold together and go on holding for a moment."""
        started = time.monotonic()
        self._acting, self._feature_id = False, contract.feature_id
        self._locators.update({i: resolve(e.target) if e.target else None for i, e in group})
        try:
            looks = await self._wait_for(group, resolve, self._window(group, contract))
        except ActFailed as exc:
            seen, seconds = str(exc), time.monotonic() - started
            said = {i: words.expected(e, contract.targets) for i, e in group}
            return [ItemResult(i, False, seen, said[i], f"the page cannot be looked at: {seen}", seconds) for i in said]
        seconds = time.monotonic() - started
        return [_result(look, contract, seconds) for look in looks]

    def _window(self, group: Sequence[tuple[int, Expectation]], contract: Contract) -> float:
        """How long a group must go on holding, in seconds: what must be absent, and the end, are looked at longer."""
        is_last = group[-1][0] == len(contract.items) - 1
        if is_last and self.lingers:
            return max(self._hold, LOOK_SECONDS)
        is_short = not is_last and all(e.expect in SHOWN for _, e in group)
        return self._hold * (SHORT if is_short else 1)

    async def _wait_for(self, group: Sequence[tuple[int, Expectation]], resolve: Resolve, window: float) -> list[Look]:
        deadline = time.monotonic() + self._wait
        held, seconds = 0.0, window
        while True:
            moments, watched = await self._watch(group, resolve, seconds)
            if not any(look.bound for look in moments[-1].looks):
                return moments[-1].looks
            failing = [n for n, moment in enumerate(moments) if not moment.holds]
            since = moments[failing[-1] + 1 :] if failing else moments
            held = (held if not failing else 0.0) + (watched - since[0].at_seconds if since else 0.0)
            if since and held >= window:
                return moments[-1].looks
            if failing and time.monotonic() >= deadline:
                return moments[failing[-1]].looks
            seconds = max(window - held, POLL_SECONDS)

    async def look(self, group: Sequence[tuple[int, Expectation]], resolve: Resolve) -> list[Look]:
        """Judge expectations of one user by the page as it is now."""
        moments, _ = await self._watch(group, resolve, 0)
        return moments[-1].looks

    async def _watch(
        self, group: Sequence[tuple[int, Expectation]], resolve: Resolve, seconds: float
    ) -> tuple[list[_Moment], float]:
        """Judge expectations of one user by each state the page is in during so many seconds; and how many it were."""
        page = await self.site.pages.of(group[0][1].user)
        sought = [Sought.of(i, e, resolve) for i, e in group]
        before = await _facts(page, [e for _, e in group])
        glances, watched = await watch(page, sought, self.sketches, self._feature_id, seconds)
        moments = [_Moment(each.at_seconds, self._judged(sought, each, before)) for each in glances]
        if before and seconds:
            after = await _facts(page, [e for _, e in group])
            moments.append(_Moment(watched, self._judged(sought, glances[-1], after)))
        return moments, watched

    def _judged(self, sought: Sequence[Sought], glance: Glance, facts: PageFacts | None) -> list[Look]:
        return [self._judge(each, glance.seen.get(each.index, Seen()), facts) for each in sought]

    def _judge(self, sought: Sought, seen: Seen, facts: PageFacts | None) -> Look:
        index, expectation = sought.index, sought.expectation
        if not sought.bound:
            return Look(index, expectation, None, Judgement(False, NOT_FOUND), None)
        before = self._before.get(expectation.user, Before())
        place = self._places.get((expectation.user, expectation.to or ""))
        base_url = self.site.instance.base_url
        scene = Scene(seen.target, facts, self.memory, base_url, before, seen.to, place, seen.likeness)
        matches = None if seen.target is None else len(visible_of(seen.target))
        locator = sought.named(expectation.target)
        return Look(index, expectation, locator, self.decide(expectation, scene), matches)

    # --- words ---

    async def explain(self, contract: Contract, results: Sequence[ItemResult], steps: Sequence[str] = ()) -> str:
        """The first failure with what surrounds it, in words the coder can act on."""
        failed = first_failed(results)
        if failed is None:
            return ""
        item = contract.page_items[failed.index]
        facts, page = await self._surroundings(item.user)
        return words.failure(
            item,
            contract.targets,
            seen=failed.seen or failed.reason,
            steps=steps,
            locator=self._locators.get(failed.index),
            page=page,
            console=facts.console if facts else (),
            failed_requests=facts.failed_requests if facts else (),
            log=self.site.instance.log_tail(),
        )

    async def _surroundings(self, user: str) -> tuple[PageFacts | None, str]:
        page = self.site.pages.in_use().get(user)
        if page is None:
            return None, ""
        try:
            return await page.facts(), await page.snapshot(max_bytes=4000)
        except ActFailed as exc:
            return None, f"(the page cannot be looked at: {exc})"


async def _facts(page: Page, group: Sequence[Expectation]) -> PageFacts | None:
    """What the page tells of itself, where an expectation is about that."""
    asked = {e.expect for e in group} & ABOUT_PAGE
    return await page.facts(clipboard="clipboard" in asked, controls="controls_named" in asked) if asked else None


def _result(look: Look, contract: Contract, seconds: float) -> ItemResult:
    held = look.judgement.holds if look.bound else None
    deferred = held is None and look.expectation.expect == "hidden"
    said = words.expected(look.expectation, contract.targets)
    reason = "" if look.judgement.judged else look.judgement.seen
    return ItemResult(look.index, held, look.judgement.seen, said, reason, seconds, look.matches, deferred)
