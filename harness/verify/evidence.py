"""The files that support a verdict: pictures of each group, what was expected and seen, and what surrounded it.

One directory a replay, written beside its final name and renamed when whole, so that what is there can be trusted.
Of each feature the last that passed and the last that failed are kept, each of bounded size, and all together are:
`keep_within` puts pictures of the oldest away. What they were is known by digest from the audit.
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
from harness.verify.check import Expectation, PageItem
from harness.verify.exchanges.items import Request, Run

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.verify.check import Check, Contract, Locator
    from harness.verify.pages import Site
    from harness.verify.playing import Group, ItemResult, ReplayResult

PICTURES = 40
PICTURE_BYTES = 2_000_000
REPLAY_BYTES = 12_000_000
"""Pictures of one replay."""
ALL_BYTES = 1_000_000_000
"""Evidence of all features of a project."""
LINES = 100
LINE = 1_000
TEXT = 10_000


class Evidence:
    """Collects the evidence of one replay. `finish` writes it and returns where it lies."""

    def __init__(self, root: Path, contract: Contract, site: Site, *, pictures: bool = True) -> None:
        """Begin.

        Args:
            root: where the evidence of all features lies.
            contract: what is replayed.
            site: what is looked at.
            pictures: of every group of expectations, and the end of steps without any; False: of failures alone.
        """
        self._home = root / contract.feature_id
        self._site = site
        self._shown = _worth_a_picture(contract) if pictures else frozenset()
        self._bytes = 0
        self._home.mkdir(parents=True, exist_ok=True)
        self._dir = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._home))
        self._pictures = 0

    async def on_group(self, group: Group, results: Sequence[ItemResult]) -> None:
        """Take a picture after expectations, at the end of a step that has none, and after an act that failed."""
        index, item = group[0]
        failed = not all(result.held for result in results)
        if self._pictures >= PICTURES or not (failed or index in self._shown):
            return
        if page := self._site.pages.in_use().get(item.user):
            await self._picture(page, f"{index + 1:03d}-step-{item.step}.png")

    async def _picture(self, page: Page, name: str) -> None:
        from harness.browser.failed import ActFailed

        with contextlib.suppress(ActFailed):  # a page that hangs or crashed has no picture; the failure is told anyway
            data = await page.screenshot()
            if len(data) <= min(PICTURE_BYTES, REPLAY_BYTES - self._bytes):
                (self._dir / name).write_bytes(data)
                self._pictures += 1
                self._bytes += len(data)

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


def keep_within(root: Path, limit_bytes: int = ALL_BYTES) -> None:
    """Put pictures of the oldest replays away until all evidence is within a bound; what they saw in words stays.

    Those that passed go before those that failed: of a failure the picture tells more.
    """
    pictures = sorted(root.glob("*/*-*/*.png"), key=lambda path: (path.parent.name, path.name), reverse=True)
    pictures.sort(key=lambda path: path.parent.name.startswith("failed-"), reverse=True)
    kept = sum(_size(path) for path in root.glob("*/*/result.json"))
    for path in pictures:
        size = _size(path)
        if kept + size > limit_bytes:
            path.unlink(missing_ok=True)
        else:
            kept += size


def _size(path: Path) -> int:
    """In bytes; 0 when another process has put the file away meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _worth_a_picture(contract: Contract) -> frozenset[int]:
    """First items of groups of expectations, and the last act of each step that expects nothing."""
    expecting = {item.step for _, item in contract.expectations()}
    last_of = {item.step: index for index, item in enumerate(contract.items)}
    ends = {index for step, index in last_of.items() if step not in expecting}
    groups = {group[0][0] for group in contract.groups() if isinstance(group[0][1], Expectation)}
    return frozenset(ends | groups)


def _item(contract: Contract, check: Check, elements: Mapping[str, Locator], result: ItemResult) -> dict[str, Any]:
    item = contract.items[result.index]
    target = item.target if isinstance(item, PageItem) else None
    locator = check.locator(target, elements) if target else None
    return {
        **asdict(result),
        "seconds": round(result.seconds, 3),
        "step": item.step,
        "words": words.phrase(item, contract.targets),
        "answered": result.seen[:TEXT] if isinstance(item, Request | Run) and result.held else "",
        "locator": words.locator_words(locator) if target else "",
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
        "console": [line[:LINE] for line in facts.console[:LINES]],
        "dialogs": [dialog.model_dump() for dialog in facts.dialogs[:LINES]],
        "failed_requests": [line[:LINE] for line in facts.failed_requests[:LINES]],
        "shows": shown,
    }
