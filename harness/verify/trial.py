"""Tries a contract on a running application: its names are bound, then it is replayed twice.

Before the application is doubted, a locator is: one that says the same where a thing must be absent and where it must
be there finds something else, or nothing. Then a fresh binder, who sees words and page and no verdict, binds that name
again. All of it together costs at most `allowed_calls` of the binder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.events import NamesBound
from harness.verify.binding import Binding, allowed_calls, bind, rebind
from harness.verify.check import Act, Check, Contract, Expectation, Locator, targets_of

if TYPE_CHECKING:
    from harness.features import Feature
    from harness.model import Model
    from harness.verify.pages import Site
    from harness.verify.replay import Replayer, ReplayResult


OnBound = Callable[[Check], None]


@dataclass(frozen=True)
class Tried:
    """What came of it."""

    check: Check
    """The contract with all names that were bound for it."""
    result: ReplayResult
    calls: int
    """Model calls of the binders."""
    problems: tuple[str, ...] = ()
    """What could not be bound or done, for the log."""


@dataclass(frozen=True)
class Trial:
    """What stays the same for all contracts tried on one site."""

    model: Model
    replayer: Replayer
    site: Site
    feature: Feature
    elements: Mapping[str, Locator]
    """Names bound already, in the project or earlier."""
    on_bound: OnBound | None = None
    """Told of each check before it is replayed."""

    async def run(self, contract: Contract, conversation: str, known: Mapping[str, Locator]) -> Tried:
        """Bind what is not bound and replay twice; doubt one locator where the failure says so.

        Args:
            contract: what to try.
            conversation: names the binders' conversations.
            known: names bound in an earlier attempt, which become the check's own.

        Raises: BrowserError, ShellError, ModelError: a fault of ours, no result.
        """
        elements = {**self.elements, **known}
        bound, first = {n: known[n] for n in contract.targets if n in known}, None
        if elements.keys() >= set(contract.targets):  # nothing to ask for as long as the names still serve
            first = await self._replayed(contract, bound, elements, Binding({}, 0))
            if first.result.passed:
                return first
        if first and not contract.targets:  # no name, so none that could be doubted
            return first
        binding = await bind(
            self.model, contract, self.feature, self.replayer.player(self.site, hold_seconds=0), elements, conversation
        )
        self._tell(contract, binding)
        if first is None or binding.bindings:
            first = await self._replayed(contract, {**bound, **binding.bindings}, elements, binding)
        first = replace(first, calls=binding.calls, problems=binding.problems)
        doubts = doubts_of(contract, first.result)
        if not doubts or binding.calls >= allowed_calls(contract):
            return first
        return await self._doubted(first, elements, f"{conversation}/again", doubts)

    async def _doubted(
        self, first: Tried, elements: Mapping[str, Locator], conversation: str, doubts: Mapping[str, str]
    ) -> Tried:
        contract, bound = first.check.contract, first.check.bindings
        player, left = self.replayer.player(self.site, hold_seconds=0), allowed_calls(contract) - first.calls
        everything = {**elements, **bound}
        other = await rebind(
            self.model, contract, self.feature, player, everything, conversation, doubts, max_calls=left
        )
        self._tell(contract, other)
        both = Binding({**bound, **other.bindings}, first.calls + other.calls, (*first.problems, *other.problems))
        if both.bindings == bound:
            return Tried(first.check, first.result, both.calls, both.problems)
        return await self._replayed(contract, both.bindings, elements, both)

    async def _replayed(
        self, contract: Contract, bound: dict[str, Locator], elements: Mapping[str, Locator], binding: Binding
    ) -> Tried:
        check, steps = Check(contract=contract, bindings=bound), self.feature.steps
        if self.on_bound:
            self.on_bound(check)
        result = await self.replayer.replay_twice(check, elements, self.site, purpose="prove", steps=steps)
        return Tried(check, result, binding.calls, binding.problems)

    def _tell(self, contract: Contract, binding: Binding) -> None:
        told = NamesBound(
            feature_id=contract.feature_id,
            names=len(binding.bindings),
            calls=binding.calls,
            problems=list(binding.problems),
            last_resort=list(binding.last_resort),
        )
        self.replayer.events.emit(told)


def doubts_of(contract: Contract, result: ReplayResult) -> dict[str, str]:
    """A name whose locator says the same where the thing must be absent and where it must be there -> why."""
    failed = result.failed
    item = contract.items[failed.index] if failed else None
    if failed is None or not isinstance(item, Expectation) or not item.target:
        return {}
    if item.says_absent:
        return {item.target: "it matched something where this should not be on the page"}
    seen = [other for _, other in contract.expectations()]
    about = [index for index, other in enumerate(contract.items) if item.target in targets_of(other)]
    played = {result.index: result for result in result.items}
    found = [i for i in about if i in played and (played[i].matches or isinstance(contract.items[i], Act))]
    if failed.matches == 0 and not found and any(other.says_absent and other.target == item.target for other in seen):
        return {item.target: "it matched nothing at any moment of the check"}
    return {}
