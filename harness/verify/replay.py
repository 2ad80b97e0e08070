"""Replays a check once, or twice as passing demands, and says what came of it.

No model is asked and nothing is healed here. An application that does not come up is a failed replay, told in words;
a browser or a sandbox that fails is a fault of ours and is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from harness.errors import BrowserError
from harness.events import CheckReplayed, Events
from harness.verify.app import AppNotStarted, Instance, serve
from harness.verify.check import Check, Locator
from harness.verify.evidence import Evidence
from harness.verify.exchanges.client import Client
from harness.verify.exchanges.player import Exchanger
from harness.verify.judge import judge
from harness.verify.kept import Kept
from harness.verify.looking import Sketches
from harness.verify.pages import Pages, Site
from harness.verify.player import Decide, Look, Player
from harness.verify.playing import Group, ItemResult, Playing, ReplayResult, Resolve
from harness.verify.program import Program

if TYPE_CHECKING:
    from harness.browser.browser import Browser
    from harness.sandbox.processes import Room
    from harness.settings import AppSettings, VerifySettings
    from harness.verify.check import Contract

__all__ = [
    "EndsBrowser",
    "Group",
    "ItemResult",
    "Look",
    "Pages",
    "Player",
    "Purpose",
    "ReplayResult",
    "Replayer",
    "Resolve",
    "Site",
    "open_site",
    "resolver",
    "twice_at_most",
]

Purpose = Literal["prove", "red", "perturb", "regress", "verify", "vary"]
Played = TypeVar("Played")


@dataclass(frozen=True)
class Replayer:
    """What all replays of a run share."""

    settings: VerifySettings
    events: Events
    evidence_dir: Path | None = None
    """None: no evidence is written."""
    decide: Decide = judge
    pictures: Kept = field(default_factory=Kept)
    """What `looks_like` compares with; a play that proves a check takes what is missing."""
    goldens: Kept = field(default_factory=Kept)
    """What `golden` compares with, in the same way."""

    def playing(
        self, contract: Contract, site: Site, wait_seconds: float | None = None, hold_seconds: float | None = None
    ) -> Playing:
        """What plays a contract on a site: here alone pages and exchanges are told apart.

        Args:
            contract: what is to be played.
            site: where.
            wait_seconds: of pages: how long conditions are waited for; None: as the settings say.
            hold_seconds: of pages: how long what holds must go on holding; None: as the settings say.
        """
        if contract.is_about_pages:
            return self.player(site, wait_seconds, hold_seconds)
        return self.exchanger(site)

    def player(self, site: Site, wait_seconds: float | None = None, hold_seconds: float | None = None) -> Player:
        """A player of pages for one site."""
        return Player(
            site, self.settings, wait_seconds, hold_seconds, decide=self.decide, sketches=Sketches(self.pictures)
        )

    def exchanger(self, site: Site) -> Exchanger:
        """A player of exchanges for one site."""
        return Exchanger(site, self.settings, self.goldens)

    async def replay(
        self,
        check: Check,
        elements: Mapping[str, Locator],
        site: Site,
        *,
        purpose: Purpose,
        steps: Sequence[str] = (),
        pictures: bool = True,
        lingers: bool = False,
    ) -> ReplayResult:
        """Play a check once on empty data.

        Args:
            check: what to play.
            elements: the project's names.
            site: where.
            purpose: for the event and the evidence.
            steps: the feature's own lines, for the words of a failure.
            pictures: of all groups; else nothing is kept unless it fails, and then a picture of that.
            lingers: what the end shows must stay there for as long as a person looks.

        Raises: BrowserError, ShellError: a fault of ours, no verdict.
        """
        feature_id = check.contract.feature_id
        evidence = Evidence(self.evidence_dir, check.contract, site, pictures=pictures) if self.evidence_dir else None
        try:
            result = await self._play(check, elements, site, evidence, steps, purpose == "prove", lingers)
            if evidence and (pictures or not result.passed):
                where = await evidence.finish(check, elements, result, purpose)
                result = replace(result, evidence=str(where))
        finally:
            if evidence:
                evidence.discard()
        self.tell(feature_id, purpose, result)
        return result

    async def replay_twice(
        self,
        check: Check,
        elements: Mapping[str, Locator],
        site: Site,
        *,
        purpose: Purpose,
        steps: Sequence[str] = (),
    ) -> ReplayResult:
        """Play it twice, once lingering at the end; what fails first is the result, else the second."""
        first = await self.replay(check, elements, site, purpose=purpose, steps=steps, pictures=False, lingers=True)
        if not first.passed:
            return first
        second = await self.replay(check, elements, site, purpose=purpose, steps=steps)
        if second.passed:
            return second
        return replace(second, reason=f"It passed once, then not again.\n{second.reason}")

    def tell(self, feature_id: str, purpose: Purpose, result: ReplayResult) -> None:
        """Let the listeners know."""
        seconds = round(result.seconds, 3)
        event = CheckReplayed(
            feature_id=feature_id, purpose=purpose, passed=result.passed, reason=result.reason, seconds=seconds
        )
        self.events.emit(event)

    async def _play(
        self,
        check: Check,
        elements: Mapping[str, Locator],
        site: Site,
        evidence: Evidence | None,
        steps: Sequence[str],
        takes: bool,
        lingers: bool,
    ) -> ReplayResult:
        """Play; a page that ends the browser gets a second chance in a new one, and is told then."""
        on_group = evidence.on_group if evidence else None
        resolve, player = resolver(check, elements), self.playing(check.contract, site)
        player.prepare(takes=takes, lingers=lingers)
        try:
            result = await twice_at_most(
                site, lambda: player.play(check.contract, resolve, on_group=on_group, steps=steps)
            )
        except AppNotStarted as exc:
            return ReplayResult((), False, f"The application did not start: {exc}")
        except EndsBrowser as exc:
            return ReplayResult((), False, str(exc))
        if result.passed:
            player.keep(check.contract.feature_id)
        return result


class EndsBrowser(Exception):
    """A page ended its browser, and the one after it; the text is for the coder, who mends the page."""


async def twice_at_most(site: Site, play: Callable[[], Awaitable[Played]]) -> Played:
    """Play; a page that ends its browser gets a second chance in a new one.

    Raises: EndsBrowser: it ended that one too. BrowserError: no new one comes up; a fault of ours.
    """
    ended: BrowserError | None = None
    for _ in range(2):
        try:
            return await play()
        except BrowserError as exc:
            ended = exc
            await site.pages.forget()
    raise EndsBrowser(f"The page ends the browser: {ended}")


@asynccontextmanager
async def open_site(
    tree: Path,
    room: Room,
    app: AppSettings,
    data_dir: Path,
    browser: Browser | None,
    *,
    stamps_dir: Path | None = None,
    **how: Any,
) -> AsyncIterator[Site]:
    """Serve a tree, give it pages of its own and somebody who asks it; all are closed on leaving.

    Raises: AppNotStarted: see `serve`, which says what the arguments mean.
    """
    pages, client = Pages(browser), Client(room)
    preparing = asyncio.create_task(pages.prepare())  # while the application starts
    make, asker = (Program, None) if app.kind == "program" else (Instance, client)
    try:
        async with serve(tree, room, app, data_dir, stamps_dir=stamps_dir, make=make, **how) as instance:
            try:
                yield Site(instance, pages, asker)
            finally:
                await client.close()
                await pages.close()
    finally:
        await preparing
        await pages.close()


def resolver(check: Check, elements: Mapping[str, Locator]) -> Resolve:
    """How a check's names are found: its own bindings first, then the project's."""
    return lambda name: check.locator(name, elements)
