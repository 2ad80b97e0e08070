"""Binding: plays a contract on the running application and gives its names locators on the way.

Nothing here changes what is expected or decides anything: expectations are waited for, so that the application keeps
the pace it will have in a replay, and whether they held is thrown away. A locator is accepted when it matches exactly
one visible element at the moment its name is needed, is no generated name, not the whole page, and speaks of the
thing it is named after.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.browser.failed import ActFailed
from harness.errors import BrowserError
from harness.verify.binder import Binder, Moment
from harness.verify.check import Act, Contract, Expectation, Item, Locator, PageItem, targets_of
from harness.verify.fit import AS_ANOTHER, MATCHED_NOTHING, SAYS_NOTHING, is_last_resort, misfit, shared

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.features import Feature
    from harness.model import Model
    from harness.verify.player import Player
    from harness.verify.playing import Group

MAX_CALLS = 6
"""Model calls for one contract on one tree, doubted names included."""
SPARE_CALLS = 2
"""What is left when every step of a long contract shows another page."""
TRIES = 2
"""Times a name is asked for at one moment."""
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Binding:
    """How the names of a contract are found."""

    bindings: dict[str, Locator]
    """Names bound or bound anew here; the project's own names that served are not repeated."""
    calls: int
    """Model calls it took."""
    problems: tuple[str, ...] = ()
    """What could not be bound or done, for the log; never a verdict."""
    last_resort: tuple[str, ...] = ()
    """Names that css or a position was needed for."""


async def bind(
    model: Model,
    contract: Contract,
    feature: Feature,
    player: Player,
    elements: Mapping[str, Locator],
    conversation: str,
    *,
    doubts: Mapping[str, str] | None = None,
    max_calls: int | None = None,
) -> Binding:
    """Bind every name of a contract on the application the player looks at.

    Args:
        model: asked in the role verifier.
        contract: what to play.
        feature: its text.
        player: plays on empty data.
        elements: names bound already, in the project or earlier.
        conversation: names the conversation in events and recordings.
        doubts: names whose locator in `elements` is not to be used -> why it is doubted.
        max_calls: after so many calls nothing more is asked (None: `allowed_calls`); an answer of the wrong form is
            asked for again all the same.

    Raises: ModelError: the binder gave no answer. BrowserError, AppNotStarted: as the player.
    Replay: binding again costs calls and may find other locators; callers keep the ones they proved.
    """
    binder = Binder(model, contract, feature, conversation)
    limit = allowed_calls(contract) if max_calls is None else max_calls
    return await _Walk(binder, contract, player, elements, dict(doubts or {}), limit).run()


async def rebind(
    model: Model,
    contract: Contract,
    feature: Feature,
    player: Player,
    elements: Mapping[str, Locator],
    conversation: str,
    doubts: Mapping[str, str],
    *,
    max_calls: int,
) -> Binding:
    """Bind doubted names again, by a binder that has not seen the first; all other names stay.

    Args:
        model: as in `bind`.
        contract: as in `bind`.
        feature: as in `bind`.
        player: as in `bind`.
        elements: everything bound so far, the doubted names included.
        conversation: must differ from the first binder's.
        doubts: names to bind again -> why, in words about locators only: "matched nothing".
        max_calls: what is left of the contract's.
    """
    return await bind(model, contract, feature, player, elements, conversation, doubts=doubts, max_calls=max_calls)


def allowed_calls(contract: Contract) -> int:
    """Calls of the binder that a contract may cost: a page cannot be asked about before it is there."""
    return max(MAX_CALLS, len({item.step for item in contract.items}) + SPARE_CALLS)


@dataclass
class _Walk:
    """One pass over the contract."""

    binder: Binder
    contract: Contract
    player: Player
    elements: Mapping[str, Locator]
    doubts: dict[str, str]
    max_calls: int
    bound: dict[str, Locator] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _questioned: set[str] = field(default_factory=set)
    """Names whose locator was doubted once on this walk; it is not doubted again."""
    _shared: set[str] = field(default_factory=set)
    """Names that were told once that another name has their element."""

    async def run(self) -> Binding:
        try:
            await self.player.begin()
            for group in self.contract.groups():
                if not await self._group(group):
                    break
        except ActFailed as exc:
            self.problems.append(f"the page could not be looked at: {exc}")
        except BrowserError as exc:
            self.problems.append(f"the page ended the browser: {exc}")
            await self.player.site.pages.forget()
        self.problems += [f"{name!r} is not bound" for name in self._unbound()]
        last_resort = tuple(name for name, locator in self.bound.items() if is_last_resort(locator))
        return Binding(self.bound, self.binder.calls, tuple(self.problems), last_resort)

    def resolve(self, name: str) -> Locator | None:
        """What a name is bound to now."""
        return self.bound.get(name) or (None if name in self.doubts else self.elements.get(name))

    async def _group(self, group: Group) -> bool:
        """Whether the walk can go on."""
        index, item = group[0]
        if isinstance(item, Act):
            return await self._act(index, item)
        return await self._expect([(i, e) for i, e in group if isinstance(e, Expectation)])

    # --- moments ---

    async def _act(self, index: int, act: Act) -> bool:
        when, names = f"before item {index + 1}", targets_of(act)
        await self._bind(act.user, when, {name: self.doubts.get(name, "") for name in names if not self.resolve(name)})
        result = await self.player.act(index, act, self.contract, self.resolve)
        if not result.held and await self._mended(act, when, result.reason):
            result = await self.player.act(index, act, self.contract, self.resolve)
        if not result.held:
            self.problems.append(f"item {index + 1} could not be done: {result.reason}")
        return bool(result.held)

    async def _mended(self, act: Act, when: str, reason: str) -> bool:
        """Doubt the locators of an act that could not be done, once; whether one of them is another now."""
        before = {name: self.resolve(name) for name in targets_of(act) if name not in self._questioned}
        await self._bind(act.user, when, {name: reason for name, locator in before.items() if locator})
        return any(self.resolve(name) != locator for name, locator in before.items())

    async def _expect(self, group: Sequence[tuple[int, Expectation]]) -> bool:
        """Bind what is seen here; what is not on the page here fails the check, so there is no going on without it."""
        user, when = group[0][1].user, f"at item {group[0][0] + 1}"
        needed = dict.fromkeys(name for _, e in group for name in e.names_seen)
        unbound = {name: self.doubts.get(name, "") for name in needed if not self.resolve(name)}
        await self._bind(user, when, unbound)
        if not all(self.resolve(name) for name in needed):
            return False
        ready = [(i, e) for i, e in group if all(self.resolve(name) for name in targets_of(e))]
        if ready:
            await self.player.expect(ready, self.contract, self.resolve)  # only to wait: what it says is not looked at
        page = await self.player.site.pages.of(user)
        bound = {name: locator for name in needed if name not in unbound and (locator := self.resolve(name))}
        wrong = await self._wrong(page, {name: loc for name, loc in bound.items() if name not in self._questioned})
        await self._bind(user, when, wrong, waited=True)
        return True

    # --- asking ---

    async def _bind(self, user: str, when: str, needed: dict[str, str], *, waited: bool = False) -> None:
        """Ask for names until they are bound, the page does not change any more, or the calls are used up."""
        if not needed:
            return
        page = await self.player.site.pages.of(user)
        snapshot = await page.snapshot()
        self._questioned |= {name for name in needed if self.resolve(name)}
        unseen: dict[str, Locator] = {}
        for number in range(TRIES + 1):
            asked = {name for name, why in needed.items() if AS_ANOTHER in why}
            if number == TRIES and not asked:  # such a question is put, however late it came up
                break
            if self.binder.calls >= self.max_calls:
                needed = {name: "the calls for this feature are used up" for name in needed}
                break
            self._shared |= asked
            others = [name for name in self._unbound() if name not in needed]
            found = await self.binder.ask(Moment(when, needed, others, snapshot))
            needed = await self._accept(page, found, needed)
            if not needed:
                return
            unseen = {n: found[n] for n, why in needed.items() if n in found and why.startswith(MATCHED_NOTHING)}
            tried = bool(found.keys() & needed.keys())
            seen, snapshot = snapshot, await self._later(page, snapshot, wait=not (tried or waited))
            if seen == snapshot and not tried:
                break
        self.problems += [f"{name!r} {when}: {why}" for name, why in needed.items()]
        self.bound.update(unseen)  # it may have been there and gone; a replay, which watches all the time, tells
        for name in [name for name, why in needed.items() if SAYS_NOTHING in why]:  # taken by analogy, and wrong
            self.bound.pop(name, None)
            self.doubts[name] = needed[name]

    async def _later(self, page: Page, seen: str, *, wait: bool) -> str:
        """The page again; when it lacks something, as soon as it differs from what was seen."""
        deadline = time.monotonic() + (self.player.settings.wait_seconds if wait else 0)
        while True:
            snapshot: str = await page.snapshot()
            if snapshot != seen or time.monotonic() > deadline:
                return snapshot
            await asyncio.sleep(POLL_SECONDS)

    async def _accept(self, page: Page, found: dict[str, Locator], needed: dict[str, str]) -> dict[str, str]:
        """Keep what is sound; return the needed names that still lack a locator, and why."""
        wrong = await self._wrong(page, found)
        shared = await self._shares(page, {name: each for name, each in found.items() if name not in wrong})
        needed, wrong = needed | shared, wrong | shared
        for name, locator in found.items():
            # by analogy, before it is there; looked at again when it is needed
            unseen = wrong.get(name, "").startswith(MATCHED_NOTHING) and name not in needed
            if name not in wrong or name in shared or unseen:
                self.bound[name] = locator
            elif name not in needed:
                self.doubts[name] = wrong[name]
        return {name: wrong.get(name, "it is not on the page") for name in needed if name in wrong or name not in found}

    async def _shares(self, page: Page, found: Mapping[str, Locator]) -> dict[str, str]:
        """Names that were just found, or are bound already, whose element another name has too; told once each."""
        known = {name: each for name in self.contract.targets if (each := found.get(name) or self.resolve(name))}
        if not found or self._shared.issuperset(known):
            return {}
        observations = dict(zip(known, await page.observe(list(known.values())), strict=True))
        told = shared(self.contract.targets, observations)
        return {name: why for name, why in told.items() if name not in self._shared}

    async def _wrong(self, page: Page, locators: Mapping[str, Locator]) -> dict[str, str]:
        """What is wrong with locators on the page as it is now."""
        if not locators:
            return {}
        observations = await page.observe(list(locators.values()))
        many, whole = _collections(self.contract), _pages(self.contract)
        judged = {
            name: misfit(name, locator, observation, many=name in many, whole_page=name in whole)
            for (name, locator), observation in zip(locators.items(), observations, strict=True)
        }
        return {name: why for name, why in judged.items() if why}

    def _unbound(self) -> list[str]:
        return [name for name in self.contract.targets if not self.resolve(name)]


def _collections(contract: Contract) -> set[str]:
    """Names that may match many."""
    parts = {item.part for item in contract.items if isinstance(item, Expectation) and item.part}
    return {item.target for item in contract.page_items if item.target and _is_plural(item)} | parts


def _pages(contract: Contract) -> set[str]:
    """Names that may mean the page as a whole: all that is said of them is how they look."""
    others = {name for item in contract.items if not _is_about_looks(item) for name in targets_of(item)}
    return {name for item in contract.items for name in targets_of(item)} - others


def _is_about_looks(item: Item) -> bool:
    return isinstance(item, Expectation) and item.expect in ("style", "looks_like")


def _is_plural(item: PageItem) -> bool:
    if isinstance(item, Expectation) and item.expect in ("count", "order", "each", "none"):
        return True
    return item.what == "count" and (isinstance(item, Expectation) or item.act == "remember")
