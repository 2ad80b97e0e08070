"""Shows of each expectation about an answer that it can fail, as `proof` does for pages.

What was answered is judged again with what the expectation is about disturbed; what must be absent, by the answer of
another moment of the check, at which it was there. What neither moves is played again with the last act that brings
something about swallowed (answered as it was, and not done), and with all data lost before the last act.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.verify.app import AppNotStarted
from harness.verify.check import Check, ProofOfMeaning
from harness.verify.exchanges.answer import Answer
from harness.verify.exchanges.disturbances import disturbed
from harness.verify.exchanges.items import SAFE, ExchangeItem, Expected, Request, Run
from harness.verify.exchanges.judge import Scene, judge
from harness.verify.proof import FREEZES, Proof, Red

if TYPE_CHECKING:
    from harness.verify.pages import Site
    from harness.verify.playing import Group, ItemResult, ReplayResult
    from harness.verify.replay import Replayer


async def prove_exchanges(replayer: Replayer, check: Check, red: Red, site: Site) -> Proof:
    """Show for each expectation that it can fail.

    Args:
        replayer: what all replays share.
        check: passes on the site.
        red: what was seen on the tree before the feature.
        site: the tree with the feature.

    Raises: ShellError: a fault of ours.
    """
    proved = {index: ProofOfMeaning(item=index, kind="red") for index in red.failed}
    trial = _Trial(replayer, check, site, proved)
    failed = await trial.disturb_all()
    if failed is None:
        await trial.stop_all()
    return Proof(tuple(proved[i] for i in sorted(proved)), tuple(trial.open()), red.present_already, failed)


@dataclass
class _Trial:
    replayer: Replayer
    check: Check
    site: Site
    proved: dict[int, ProofOfMeaning]
    answers: dict[int, Answer] = field(default_factory=dict)
    """What each act was answered."""

    def open(self) -> Iterator[int]:
        """Expectations not yet shown to be able to fail."""
        return (index for index, _ in self.check.contract.expected() if index not in self.proved)

    async def disturb_all(self) -> ReplayResult | None:
        """Play once and disturb what was answered. Returns: a play that failed by itself."""
        player = self.replayer.exchanger(self.site)

        async def on_group(group: Group, results: object) -> None:
            if player.answer and isinstance(group[0][1], Request | Run):
                self.answers[group[0][0]] = player.answer

        try:
            result = await player.play(self.check.contract, lambda name: None, on_group=on_group)
        except AppNotStarted as exc:
            return _not_started(exc)
        self.replayer.tell(self.check.contract.feature_id, "perturb", result)
        if not result.passed:
            return result
        for index in list(self.open()):
            if how := self._moved(player.wanted[index], player.scenes[index]):
                self._prove(index, how)
        return None

    def _moved(self, expected: Expected, scene: Scene) -> str:
        """What makes it fail; empty: nothing of this."""
        for how, answer in disturbed(expected, scene):
            if not judge(expected, replace(scene, answer=answer)).holds:
                return how
        if expected.says_absent and any(self._is_witness(expected, scene, each) for each in self.answers.values()):
            return "witness"
        return ""

    @staticmethod
    def _is_witness(expected: Expected, scene: Scene, other: Answer) -> bool:
        """Whether what must be absent was there in another answer."""
        judged = judge(expected, replace(scene, answer=other))
        return judged.judged and not judged.holds

    async def stop_all(self) -> None:
        """Keep acts from bringing anything about, and data from lasting, for what no other answer moved."""
        for count, (index, act, how) in enumerate(self._stops()):
            if count >= FREEZES:
                break
            if index not in self.proved:
                await self._stopped_play(act, how)

    def _stops(self) -> Iterator[tuple[int, int, str]]:
        """Expectation, an act before it, and how that act is kept from bringing anything about."""
        items = self.check.contract.items
        for index in list(self.open()):
            acts = [i for i in range(index) if isinstance(items[i], Request | Run)]
            if bringing := [i for i in acts[:-1] if _brings_about(items[i])]:
                yield index, bringing[-1], "swallow"
            if len(acts) > 1:
                yield index, acts[-1], "lose data"

    async def _stopped_play(self, act: int, how: str) -> None:
        player = self.replayer.exchanger(self.site)
        if how == "swallow":
            player.instead = {act: self.answers[act]} if act in self.answers else {}
        else:
            player.forgets_before = act
        try:
            result = await player.play(self.check.contract, lambda name: None, go_on=True)
        except AppNotStarted:
            return
        played: Mapping[int, ItemResult] = {item.index: item for item in result.items}
        for index in list(self.open()):
            found = played.get(index)
            if index > act and found and found.held is False and not found.reason:
                self._prove(index, how)

    def _prove(self, index: int, how: str) -> None:
        self.proved[index] = ProofOfMeaning(item=index, kind="perturbed", by=how)


def _brings_about(item: ExchangeItem | object) -> bool:
    return isinstance(item, Run) or (isinstance(item, Request) and item.method not in SAFE)


def _not_started(exc: AppNotStarted) -> ReplayResult:
    from harness.verify.playing import ReplayResult

    return ReplayResult((), False, f"The application did not start: {exc}")
