"""`harness check author`: writes a contract for a feature and tries it on an application that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verify.app import AppNotStarted
from harness.verify.author import Agreed, Known, write_contract
from harness.verify.standalone import open_sites
from harness.verify.trial import Trial, Tried

if TYPE_CHECKING:
    from harness.events import Events
    from harness.features import Feature
    from harness.model import Model
    from harness.project import Project
    from harness.settings import Settings
    from harness.verify.check import Locator


@dataclass(frozen=True)
class Drafted:
    """What came of it."""

    agreed: Agreed
    tried: Tried | None
    """None: the application does not start."""
    reason: str
    """Why it is not kept; empty: it passed twice."""


async def draft_check(
    project: Project,
    settings: Settings,
    model: Model,
    feature: Feature,
    spec_lines: str,
    known: Known,
    elements: Mapping[str, Locator],
    events: Events,
    *,
    url: str | None,
    conversation: str,
) -> Drafted:
    """Write a contract from the text, bind it and replay it twice. What it finds is no proof: nothing made it fail.

    Args:
        project: whose application is looked at, as its files are now.
        settings: of the application, the sandbox and the replays.
        model: asked in the role verifier.
        feature: its text.
        spec_lines: the lines of the specification it covers.
        known: names and flows that can be used again.
        elements: names bound already.
        events: told of binding and replays.
        url: a running application in the place of the project's.
        conversation: names the conversations.

    Raises: ModelError, BrowserError, ShellError: a fault of ours or the endpoint's.
    """
    agreed = await write_contract(model, feature, spec_lines, known, conversation)
    async with open_sites(project, settings, url, events) as (hall, open_site):
        try:
            async with open_site(0) as site:
                trial = Trial(model, hall.replayer, site, feature, elements)
                tried = await trial.run(agreed.contract, f"{conversation}/bind", {})
        except AppNotStarted as exc:
            return Drafted(agreed, None, f"The application does not start: {exc}")
    return Drafted(agreed, tried, "" if tried.result.passed else tried.result.reason)
