"""How a check is proved and varied, by what it is played on: pages, or exchanges with a service or a program.

Which player plays it is `replay.Replayer.playing`. Nothing else asks which of the two it is, but for words and lint,
which read single items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.verify.exchanges.proof import prove_exchanges
from harness.verify.exchanges.variation import exchanges_fail_with_other_texts
from harness.verify.proof import Proof, Red, prove
from harness.verify.variation import failure_with_other_texts

if TYPE_CHECKING:
    from harness.verify.check import Check, Locator
    from harness.verify.pages import Site
    from harness.verify.playing import ReplayResult
    from harness.verify.replay import Replayer


async def prove_meaning(
    replayer: Replayer, check: Check, elements: Mapping[str, Locator], red: Red, site: Site
) -> Proof:
    """Show of each expectation that it can fail; see `proof.prove`."""
    if check.contract.is_about_pages:
        return await prove(replayer, check, elements, red, site)
    return await prove_exchanges(replayer, check, red, site)


async def fails_with_other_texts(
    replayer: Replayer, check: Check, elements: Mapping[str, Locator], site: Site, seed: str, steps: Sequence[str]
) -> ReplayResult | None:
    """Play with other texts, as somebody else; see `variation.failure_with_other_texts`."""
    if check.contract.is_about_pages:
        return await failure_with_other_texts(replayer, check, elements, site, seed, steps)
    return await exchanges_fail_with_other_texts(replayer, check, site, seed, steps)
