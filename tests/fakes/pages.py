"""A page and an application that exist in memory only: what each look sees is written down beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from harness.browser.failed import ActFailed
from harness.browser.values import Dialog, Element, Moment, Observation, PageFacts, Watched
from harness.verify.check import Locator

View = Callable[["FakePage", str], Sequence[str]]
"""Texts of the visible elements a locator's `text` matches at this look."""


class FakePage:
    """Shows what `view` says; an act on the text "broken" fails, one on "danger" opens a dialog."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.acts: list[str] = []
        self.looks = 0
        self.resets = 0
        self.dialogs: list[Dialog] = []
        self.is_hung = False

    async def reset(self, base_url: str, also: Sequence[str] = (), **_: object) -> None:
        self.resets += 1
        self.acts.clear()
        self.dialogs.clear()

    async def act(self, name: str, locator: Locator | None = None, **known: object) -> None:
        text = locator.text if locator else ""
        self.acts.append(f"{name} {text or known.get('value')}")
        if text == "broken":
            raise ActFailed("covered by <div#x>")
        if text == "danger":
            self.dialogs.append(Dialog(type="confirm", message="Sure?", answer="accept"))

    async def observe(self, locators: Sequence[Locator], **_: object) -> list[Observation]:
        if self.is_hung:
            raise ActFailed("page crashed")
        self.looks += 1
        return [self._observation(locator.text or "") for locator in locators]

    async def watch(self, locators: Sequence[Locator], seconds: float, **_: object) -> Watched:
        """A look at the beginning, in the middle and at the end."""
        moments = []
        for part in (0.0, 0.5, 1.0) if seconds else (0.0,):
            moments.append(Moment(at_seconds=part * seconds, observations=tuple(await self.observe(locators))))
            await asyncio.sleep(0.5 * seconds if part < 1 else 0)
        return Watched(moments=tuple(moments), seconds=seconds)

    def _observation(self, text: str) -> Observation:
        elements = tuple(Element(visible=True, text=each, role="text") for each in self.view(self, text))
        return Observation(elements=elements, total=len(elements))

    async def facts(self, **_: object) -> PageFacts:
        return PageFacts(url="http://127.0.0.1:1/", title="Fake", dialogs=tuple(self.dialogs))

    async def snapshot(self, max_bytes: int = 0) -> str:
        return "- a fake page"

    async def close(self) -> None:
        return


class FakeBrowser:
    """Opens pages that all show the same view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.pages: list[FakePage] = []

    async def new_page(self) -> FakePage:
        self.pages.append(FakePage(self._view))
        return self.pages[-1]


class FakeInstance:
    """An application that is always there."""

    base_url = "http://127.0.0.1:1"
    also = ()

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def reset(self) -> None:
        self.calls.append("reset")

    async def restart(self) -> None:
        self.calls.append("restart")

    def touch(self) -> None:
        self.calls.append("touch")

    def log_tail(self, characters: int = 0) -> str:
        return "listening"
