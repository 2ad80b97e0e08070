"""Shows of each expectation that it can fail: a check that nothing makes fail proves nothing.

*red*: on the tree before the feature the acts before it worked and it failed. *perturbed*: on the new tree it held,
failed under a disturbance aimed at it, and held again when that was undone; what must be absent failed at another
moment of the check, where the thing is there; or it failed when the application was stopped from reacting to the act
before it, or that act was left out. What is moved by none of these goes back to the author.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from harness.browser.failed import ActFailed
from harness.errors import BrowserError
from harness.verify.app import AppNotStarted
from harness.verify.check import Act, Check, Contract, Expectation, Item, Locator, ProofOfMeaning, is_act
from harness.verify.disturbances import Move, moves
from harness.verify.replay import EndsBrowser, Replayer, ReplayResult, resolver, twice_at_most

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.browser.values import Frozen
    from harness.verify.pages import Site
    from harness.verify.player import Player
    from harness.verify.playing import Group, ItemResult, OnGroup

RED_SECONDS = 1.0
"""How long the old tree is waited for: what it has shows soon, what it lacks never comes."""
PASSES = 5
"""Plays with disturbances before what is left is given up."""
FREEZES = 8
"""Plays in which an act brings nothing about."""

Stop = Literal["freeze handlers", "freeze dom", "freeze storage", "remove nothing"]
"""How an act is kept from bringing anything about; the last: it is left out, so that nothing is removed by it."""


@dataclass(frozen=True)
class Proof:
    """What was shown of a check's expectations."""

    items: tuple[ProofOfMeaning, ...]
    unproved: tuple[int, ...]
    """Indexes of expectations that nothing made fail."""
    present_already: bool
    """All acts worked and all expectations held before the feature was built."""
    failed: ReplayResult | None = None
    """A play on the new tree that did not hold by itself: the check is not stable."""

    def accepting(self, accepted: Collection[int]) -> Proof:
        """The same, with what a person takes as it is proved by that person."""
        taken = [ProofOfMeaning(item=index, kind="person") for index in self.unproved if index in accepted]
        items = sorted((*self.items, *taken), key=lambda proof: proof.item)
        return replace(self, items=tuple(items), unproved=tuple(i for i in self.unproved if i not in accepted))

    def counts(self) -> dict[str, int]:
        """Expectations by kind of proof."""
        kinds = [item.kind for item in self.items]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} | {"unproved": len(self.unproved)}


@dataclass(frozen=True)
class Red:
    """What a check saw on the tree before the feature."""

    failed: frozenset[int] = frozenset()
    """Indexes of expectations that were judged there and failed."""
    present_already: bool = False
    """All acts worked and everything held."""


async def prove(replayer: Replayer, check: Check, elements: Mapping[str, Locator], red: Red, new: Site) -> Proof:
    """Show for each expectation that it can fail.

    Args:
        replayer: what all replays share.
        check: bound to the new tree, where it passes.
        elements: the project's names.
        red: what was seen on the tree before the feature.
        new: the tree with the feature.

    Raises: BrowserError, ShellError: a fault of ours.
    """
    proved = {index: ProofOfMeaning(item=index, kind="red") for index in red.failed}
    trial = _Trial(replayer, check, elements, new, proved)
    failed = await trial.disturb_all()
    if failed is None:
        await trial.stop_all()
    items = tuple(proved[index] for index in sorted(proved))
    return Proof(items, tuple(trial.open()), red.present_already, failed)


async def find_red(replayer: Replayer, check: Check, elements: Mapping[str, Locator], baseline: Site | None) -> Red:
    """Play on the old tree, past expectations that fail.

    Args:
        replayer: what all replays share.
        check: bound to the new tree.
        elements: the project's names.
        baseline: the tree before the feature; None: it does not start, so nothing is red.

    Raises: BrowserError, ShellError: a fault of ours.
    """
    if baseline is None:
        return Red()
    waited = min(RED_SECONDS, replayer.settings.wait_seconds)
    player = replayer.playing(check.contract, baseline, waited, hold_seconds=0)
    resolve = resolver(check, elements)
    try:
        result = await twice_at_most(baseline, lambda: player.play(check.contract, resolve, go_on=True))
    except (AppNotStarted, EndsBrowser):
        return Red()
    replayer.tell(check.contract.feature_id, "red", result)
    judged = [item for item in result.items if not is_act(check.contract.items[item.index])]
    return Red(frozenset(i.index for i in judged if i.held is False and not i.reason), result.passed)


class _Spoiled(Exception):
    """A disturbance could not be undone; this play is worth nothing from here on."""


@dataclass
class _Trial:
    """Tries to make the expectations of a check fail on the tree where they hold."""

    replayer: Replayer
    check: Check
    elements: Mapping[str, Locator]
    site: Site
    proved: dict[int, ProofOfMeaning]
    spoilers: set[tuple[int, str]] = field(default_factory=set)
    """Disturbances that did not leave the page as it was."""
    witnesses: dict[int, int] = field(default_factory=dict)
    """What must be absent -> the item after which it was there, so that the same expectation failed."""

    def open(self) -> Iterator[int]:
        """Expectations not yet shown to be able to fail."""
        return (index for index, _ in self.check.contract.expectations() if index not in self.proved)

    # --- disturbances ---

    async def disturb_all(self) -> ReplayResult | None:
        """Play with disturbances, again while one had to be left out because it could not be undone.

        Returns: a play that failed by itself.
        """
        for _ in range(PASSES):
            if not list(self.open()):
                break
            known = len(self.spoilers)
            result = await self._disturbed_play()
            if result and not result.passed:
                return result
            if len(self.spoilers) == known:
                break
        self._count_witnesses()
        return None

    async def _disturbed_play(self) -> ReplayResult | None:
        player = self.replayer.player(self.site, hold_seconds=0)  # that it holds on, the replays have shown

        async def on_group(group: Group, results: Sequence[ItemResult]) -> None:
            if all(result.held for result in results):
                await self._disturb_group(player, group)
                await self._look_for_witnesses(player, group)

        try:
            result = await twice_at_most(
                self.site, lambda: player.play(self.check.contract, self._resolve, on_group=on_group)
            )
        except (_Spoiled, AppNotStarted):
            return None
        except (EndsBrowser, ActFailed) as exc:
            result = ReplayResult((), False, str(exc))
        self.replayer.tell(self.check.contract.feature_id, "perturb", result)
        return result

    def _resolve(self, name: str) -> Locator | None:
        return self.check.locator(name, self.elements)

    # --- witnesses: another moment at which the thing that must be absent is there ---

    async def _look_for_witnesses(self, player: Player, group: Group) -> None:
        """Judge what must be absent at another moment by the page as it is now, and keep a ghost of what is there.

        Another user's page is a witness as well: what is private is never seen by who must not see it.
        """
        contract, (last, item) = self.check.contract, group[-1]
        page = self.site.pages.in_use().get(item.user)
        here = {"user": item.user}
        absent = [(i, e.model_copy(update=here)) for i, e in self._absences() if i not in dict(group)]
        if page is None or not absent:
            return
        for look in await player.look(absent, self._resolve):
            if look.bound and not look.judgement.holds and look.locator:
                self.witnesses.setdefault(look.index, last)
                if contract.items[look.index].user == item.user:
                    await page.keep_ghost(look.expectation.target or "", look.locator)

    def _absences(self) -> list[tuple[int, Expectation]]:
        items = [(i, e) for i, e in self.check.contract.expectations() if i not in self.proved]
        return [(i, e) for i, e in items if e.expect == "hidden" or (e.expect == "count" and e.number == 0)]

    def _count_witnesses(self) -> None:
        """Where no ghost could be put back, say before the thing was first there, the witness itself is the proof."""
        for index in list(self.open()):
            if index in self.witnesses:
                self.proved[index] = ProofOfMeaning(item=index, kind="perturbed", by="witness")

    # --- one disturbance ---

    async def _disturb_group(self, player: Player, group: Group) -> None:
        expectations = [(index, item) for index, item in group if isinstance(item, Expectation)]
        for index, expectation in expectations:
            if index in self.proved:
                continue
            for move in moves(expectation, player.memory):
                if (index, move.kind) not in self.spoilers and await self._moves(player, expectations, index, move):
                    self.proved[index] = ProofOfMeaning(item=index, kind="perturbed", by=move.kind)
                    break

    async def _moves(self, player: Player, group: Sequence[tuple[int, Expectation]], index: int, move: Move) -> bool:
        """Whether the expectation fails under a disturbance and all hold again without it."""
        expectation = dict(group)[index]
        page = await self.site.pages.of(expectation.user)
        name = move.at or expectation.target
        to = self._resolve(move.to) if move.to else None
        if not await _apply(page, move, self._resolve(name) if name else None, to):
            return False
        (look,) = await player.look([(index, expectation)], self._resolve)
        await page.undo()
        if not all(result.held for result in await player.expect(group, self.check.contract, self._resolve)):
            self.spoilers.add((index, move.kind))
            raise _Spoiled
        return not look.judgement.holds

    # --- acts that bring nothing about ---

    async def stop_all(self) -> None:
        """Keep the act before an expectation from bringing anything about, for what no disturbance moved."""
        for count, (index, act, stop) in enumerate(self._stops()):
            if count >= FREEZES:
                break
            if index not in self.proved:
                await (self._play_without(act) if stop == "remove nothing" else self._frozen_play(act, stop))

    def _stops(self) -> Iterator[tuple[int, int, Stop]]:
        """Expectation, an act before it, and how that act is kept from bringing anything about."""
        items = self.check.contract.items
        for index in list(self.open()):
            acts = [i for i in range(index) if _brings_about(items[i]) and items[i].user == items[index].user]
            if len(acts) < 2:  # the page was just opened
                continue
            if getattr(items[acts[-1]], "act", "") in ("reload", "navigate", "back", "forward", "restart"):
                yield index, acts[1], "freeze storage"
            else:
                yield index, acts[-1], "freeze handlers"
                yield index, acts[-1], "freeze dom"
            yield index, acts[-1], "remove nothing"

    async def _frozen_play(self, before: int, stop: Stop) -> None:
        """Play with the page frozen from just before one act on; what then fails is moved."""
        mode = _FROZEN[stop]
        user = self.check.contract.items[before].user
        frozen: list[Page] = []

        async def on_group(group: Group, results: Sequence[ItemResult]) -> None:
            page = self.site.pages.in_use().get(user)
            if group[-1][0] == before - 1 and page:
                await page.freeze(mode)
                frozen.append(page)

        try:
            result = await self._stopped_play(self.check.contract, on_group)
        finally:
            for page in frozen:
                with contextlib.suppress(ActFailed, BrowserError):  # a page that is gone is not frozen any more
                    await page.freeze(None)
        if frozen and result:
            self._count_moved({item.index: item for item in result.items}, before, stop)

    async def _play_without(self, act: int) -> None:
        """Play with one act left out."""
        contract = self.check.contract
        items = (*contract.items[:act], *contract.items[act + 1 :])
        result = await self._stopped_play(contract.model_copy(update={"items": items}))
        if result:
            self._count_moved({i.index + (i.index >= act): i for i in result.items}, act, "remove nothing")

    async def _stopped_play(self, contract: Contract, on_group: OnGroup | None = None) -> ReplayResult | None:
        """Play past what fails; None: it came to no end from which anything could be told."""
        waited = min(RED_SECONDS, self.replayer.settings.wait_seconds)
        player = self.replayer.player(self.site, waited, hold_seconds=0)
        try:
            return await twice_at_most(
                self.site, lambda: player.play(contract, self._resolve, go_on=True, on_group=on_group)
            )
        except (AppNotStarted, ActFailed, EndsBrowser):
            return None

    def _count_moved(self, results: Mapping[int, ItemResult], after: int, stop: Stop) -> None:
        """Expectations after an act that were judged, and failed because it brought nothing about."""
        for index in list(self.open()):
            result = results.get(index)
            if index > after and result and result.held is False and not result.reason:
                self.proved[index] = ProofOfMeaning(item=index, kind="perturbed", by=stop)


def _brings_about(item: Item) -> bool:
    """Whether it is an act on the application; without a `remember` what is compared with it fails for no reason."""
    return isinstance(item, Act) and item.act != "remember"


_FROZEN: dict[Stop, Frozen] = {"freeze handlers": "handlers", "freeze dom": "dom", "freeze storage": "storage"}


async def _apply(page: Page, move: Move, locator: Locator | None, to: Locator | None) -> bool:
    if move.aimed and locator is None:
        return False
    try:
        return await page.disturb(move.kind, locator if move.aimed else None, move.text, to=to)
    except ActFailed:
        return False
