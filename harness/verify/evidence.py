"""The files that support a verdict: pictures of each group, what was expected and seen, and what surrounded it.

One directory a replay, written beside its final name and renamed when whole, so that what is there can be trusted.
Of each feature the last that passed and the last that failed are kept.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.verify import words
from harness.verify.check import Expectation

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.verify.check import Check, Contract, Locator
    from harness.verify.pages import Site
    from harness.verify.player import Group, ItemResult, ReplayResult

PICTURES = 40
PICTURE_BYTES = 2_000_000
LINES = 100
TEXT = 10_000


class Evidence:
    """Collects the evidence of one replay. `finish` writes it and returns where it lies."""

    def __init__(self, root: Path, feature_id: str, site: Site, *, pictures: bool = True) -> None:
        """Begin.

        Args:
            root: where the evidence of all features lies.
            feature_id: whose this is.
            site: what is looked at.
            pictures: of every group of expectations; False: of failures alone.
        """
        self._home = root / feature_id
        self._site = site
        self._all_pictures = pictures
        self._home.mkdir(parents=True, exist_ok=True)
        self._dir = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._home))
        self._pictures = 0

    async def on_group(self, group: Group, results: Sequence[ItemResult]) -> None:
        """Take a picture after expectations, and after an act that failed."""
        index, item = group[0]
        failed = not all(result.held for result in results)
        if self._pictures >= PICTURES or not (failed or (self._all_pictures and isinstance(item, Expectation))):
            return
        if page := self._site.pages.in_use().get(item.user):
            await self._picture(page, f"{index + 1:03d}-step-{item.step}.png")

    async def _picture(self, page: Page, name: str) -> None:
        from harness.browser.failed import ActFailed

        with contextlib.suppress(ActFailed):  # a page that hangs or crashed has no picture; the failure is told anyway
            data = await page.screenshot()
            if len(data) <= PICTURE_BYTES:
                (self._dir / name).write_bytes(data)
                self._pictures += 1

    async def finish(self, check: Check, elements: Mapping[str, Locator], result: ReplayResult, purpose: str) -> Path:
        """Write `result.json`, give the directory its name, put older ones away."""
        contract = check.contract
        data = {
            "feature": contract.feature_id,
            "check": check.digest(),
            "purpose": purpose,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed": result.passed,
            "reason": result.reason,
            "seconds": round(result.seconds, 3),
            "items": [_item(contract, check, elements, item) for item in result.items],
            "pages": [await _page(user, page) for user, page in self._site.pages.in_use().items()],
            "server_log": self._site.instance.log_tail(TEXT),
        }
        text = json.dumps(data, indent=1, ensure_ascii=False)
        (self._dir / "result.json").write_text(text, encoding="utf-8")
        return self._publish("passed" if result.passed else "failed")

    def discard(self) -> None:
        """Nothing is to be kept."""
        shutil.rmtree(self._dir, ignore_errors=True)

    def _publish(self, outcome: str) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        final = self._home / f"{outcome}-{stamp}"
        self._dir.chmod(0o755)
        self._dir.rename(final)
        for older in self._home.glob(f"{outcome}-*"):
            if older.name < final.name:
                shutil.rmtree(older, ignore_errors=True)
        return final


def _item(contract: Contract, check: Check, elements: Mapping[str, Locator], result: ItemResult) -> dict[str, Any]:
    item = contract.items[result.index]
    locator = check.locator(item.target, elements) if item.target else None
    return {
        **asdict(result),
        "seconds": round(result.seconds, 3),
        "step": item.step,
        "words": words.phrase(item, contract.targets),
        "locator": words.locator_words(locator) if item.target else "",
        "seen": result.seen[:TEXT],
    }


async def _page(user: str, page: Page) -> dict[str, Any]:
    from harness.browser.failed import ActFailed

    try:
        facts = await page.facts()
        shown = await page.snapshot(max_bytes=TEXT)
    except ActFailed as exc:
        return {"user": user, "unreadable": str(exc)}
    return {
        "user": user,
        "url": facts.url,
        "title": facts.title,
        "console": facts.console[:LINES],
        "dialogs": [dialog.model_dump() for dialog in facts.dialogs[:LINES]],
        "failed_requests": facts.failed_requests[:LINES],
        "shows": shown,
    }
