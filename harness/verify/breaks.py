"""Which commit broke a feature that is found broken only now.

A regression within its time may play but a part of the checks, so a break can be older than the commit at which it is
seen. The commits since the one that proved the feature are halved until one is left; features that broke together
share the checkouts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from harness.commits import Commit

HoldsAt = Callable[[Commit, Collection[str]], Awaitable[set[str]]]
"""Which of some features hold at a commit."""


async def find_breaks(commits: Sequence[Commit], proved: Mapping[str, int], holds_at: HoldsAt) -> dict[str, Commit]:
    """Name for each broken feature the commit after which it does not hold any more.

    Args:
        commits: of one line of history that changed code, oldest first; nothing holds at the last.
        proved: broken feature -> index of the commit that proved it.
        holds_at: plays their checks there.

    Returns: feature -> commit. One that fails where it was proved as well is left out: no commit broke it.
    """
    search = _Search(commits, proved, holds_at)
    broken = await search.between(0, len(commits) - 1, set(proved))
    return await search.confirmed(broken)


class _Search:
    def __init__(self, commits: Sequence[Commit], proved: Mapping[str, int], holds_at: HoldsAt) -> None:
        self._commits, self._proved, self._holds_at = commits, proved, holds_at

    async def between(self, low: int, high: int, names: set[str]) -> dict[str, int]:
        """Halve: all hold at `low`, or are proved later, and none at `high`."""
        if not names or high - low < 1:
            return {}
        if high - low == 1:
            return dict.fromkeys((name for name in names if self._proved[name] < high), high)
        middle = (low + high) // 2
        later = {name for name in names if self._proved[name] >= middle}
        held = later | await self._held(middle, names - later)
        earlier_breaks = await self.between(low, middle, names - held)
        return earlier_breaks | await self.between(middle, high, held)

    async def confirmed(self, broken: Mapping[str, int]) -> dict[str, Commit]:
        """A break just after the proof was never seen to hold; without this, time or a machine would be a commit."""
        found = {name: self._commits[index] for name, index in broken.items()}
        for index in sorted({self._proved[name] for name in broken}):
            doubted = {name for name in broken if self._proved[name] == index and broken[name] == index + 1}
            for name in doubted - await self._held(index, doubted):
                del found[name]
        return found

    async def _held(self, index: int, names: Collection[str]) -> set[str]:
        return await self._holds_at(self._commits[index], names) if names else set()
