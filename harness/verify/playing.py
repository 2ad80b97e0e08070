"""Playing a check: its items in order, acts one by one, expectations in groups that hold together.

What an item needs (a page, a service, a program) is the player's: `player.Player` for pages, `exchanges.player` for
what is asked and answered. Neither heals or guesses: an act that cannot be done ends the play.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verify.check import Contract, Item, Locator, is_act

if TYPE_CHECKING:
    from harness.verify.pages import Site

Resolve = Callable[[str], Locator | None]
Group = Sequence[tuple[int, Item]]
OnGroup = Callable[[Group, Sequence["ItemResult"]], Awaitable[None]]


@dataclass(frozen=True)
class ItemResult:
    """What became of one item."""

    index: int
    held: bool | None
    """None: it could not be tried, because its target was not found."""
    seen: str = ""
    expected: str = ""
    """The item in words."""
    reason: str = ""
    """Why an act could not be done, or an expectation not be judged; empty when it was judged."""
    seconds: float = 0.0
    matches: int | None = None
    """Visible matches of the target."""
    deferred: bool = False
    """What must not be seen was not found yet; that is no failure here, it is looked for at its witness."""


@dataclass(frozen=True)
class ReplayResult:
    """What became of a whole play."""

    items: tuple[ItemResult, ...]
    """In order, as far as it came."""
    passed: bool
    """Every item was played and held."""
    reason: str = ""
    """The first failure, in words the coder can act on."""
    seconds: float = 0.0
    evidence: str = ""
    """Directory of the evidence; empty: none was written."""

    @property
    def failed(self) -> ItemResult | None:
        """The first item that did not hold."""
        return first_failed(self.items)


class Playing(ABC):
    """Plays contracts on one site."""

    site: Site

    @abstractmethod
    async def begin(self) -> None:
        """Empty data, nothing seen, nothing remembered.

        Raises: AppNotStarted: the application did not come up again.
        """

    @abstractmethod
    async def group(self, group: Group, contract: Contract, resolve: Resolve) -> list[ItemResult]:
        """Play one act, or one group of expectations."""

    @abstractmethod
    async def explain(self, contract: Contract, results: Sequence[ItemResult], steps: Sequence[str] = ()) -> str:
        """The first failure with what surrounds it, in words the coder can act on."""

    def alone(self, contract: Contract) -> AbstractAsyncContextManager[None]:
        """For how long a contract has for itself what there is only one of."""
        return nullcontext()

    @abstractmethod
    def prepare(self, *, takes: bool, lingers: bool) -> None:
        """Say what the next play is for.

        Args:
            takes: what is kept to compare with is taken where it is missing.
            lingers: the last group must go on holding for as long as a person looks at the result.
        """

    @abstractmethod
    def keep(self, feature_id: str) -> None:
        """The play passed: what it took is compared with from now on."""

    async def play(
        self,
        contract: Contract,
        resolve: Resolve,
        *,
        go_on: bool = False,
        on_group: OnGroup | None = None,
        steps: Sequence[str] = (),
    ) -> ReplayResult:
        """Play a contract from the start.

        Args:
            contract: what to do and see.
            resolve: gives the locator of a name, or None.
            go_on: go on after a failed expectation; a failed act always ends it.
            on_group: told after each act and each group of expectations, whatever came of it.
            steps: the feature's own lines, for the words of a failure.

        Raises: BrowserError: Chromium or its driver failed. AppNotStarted: there is no application to look at.
        """
        async with self.alone(contract):
            return await self._play(contract, resolve, go_on, on_group, steps)

    async def _play(
        self, contract: Contract, resolve: Resolve, go_on: bool, on_group: OnGroup | None, steps: Sequence[str]
    ) -> ReplayResult:
        started = time.monotonic()
        await self.begin()
        results: list[ItemResult] = []
        for group in contract.groups():
            done = await self.group(group, contract, resolve)
            results += done
            if on_group:
                await on_group(group, done)
            if first_failed(done, deferred=False) and (is_act(group[0][1]) or not go_on):
                break
        passed = len(results) == len(contract.items) and all(result.held for result in results)
        reason = "" if passed else await self.explain(contract, results, steps)
        return ReplayResult(tuple(results), passed, reason, time.monotonic() - started)


def first_failed(results: Sequence[ItemResult], *, deferred: bool = True) -> ItemResult | None:
    """The first that did not hold; of what is only deferred the first where nothing else failed, if that counts."""
    not_held = [result for result in results if not result.held]
    return next((r for r in not_held if not r.deferred), not_held[0] if not_held and deferred else None)
