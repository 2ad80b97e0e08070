"""The coder's browser: its own application as a person would use it, told in text.

One page is kept for the session, opened by `browser_open`. Each result ends with what the page complained about since
the result before: console errors, dialogs, failed requests. Texts are free of times and ports, so that a recorded
conversation fits again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urljoin, urlsplit

from pydantic import Field, model_validator

from harness.browser.failed import ActFailed
from harness.errors import BrowserError, ToolRetry
from harness.tools.picture import NONE_TAKEN, read_picture
from harness.tools.tool import Arguments, Shown, Tool

if TYPE_CHECKING:
    from harness.browser.browser import Page
    from harness.browser.values import PageFacts
    from harness.verify.check import Locator

PageFactory = Callable[[], Awaitable["Page"]]
OPEN_BYTES = 8_000
SNAPSHOT_BYTES = 20_000
CHANGE_BYTES = 3_000
"""Of what an act changed; more is told when it is asked for."""
WAIT_SECONDS = 3.0
START_SECONDS = 5.0
CHANGED = "Changed since the last snapshot (+ new, - gone, the rest stands):"
DOWNLOAD_SHOWN = 200
"""Characters of a file that was handed over."""
MUCH_CHANGED = "Much of the page changed; browser_snapshot shows it."
POLL_SECONDS = 0.1

_TARGETLESS = {"press", "type", "back", "forward", "reload", "answer_dialog", "viewport"}
_NEED_VALUE = {"fill", "type", "press", "select", "answer_dialog", "viewport"}


class OpenArguments(Arguments):
    """Of browser_open."""

    path: str = Field("/", description="Path or address of this project's own application, such as /notes?all=1.")
    fresh: bool = Field(False, description="True clears cookies and all stored data of the browser first.")


class ActArguments(Arguments):
    """Of browser_act."""

    act: Literal[
        "click", "double_click", "right_click", "hover", "fill", "type", "press", "check", "uncheck", "select",
        "upload", "drag", "back", "forward", "reload", "answer_dialog", "viewport",
    ] = Field(description="What a person does. answer_dialog: for the dialogs that later acts open.")  # fmt: skip
    ref: str | None = Field(None, description="The element by its ref in the last snapshot, such as e12.")
    role: str | None = Field(None, description="Or the element by its role...")
    name: str | None = Field(None, description="...and accessible name,")
    label: str | None = Field(None, description="or a form control by the text of its label,")
    text: str | None = Field(None, description="or by its whole visible text.")
    within: str | None = Field(None, description="A text that stands with it, where there are many: the list item's.")
    value: str | None = Field(
        None,
        description="fill, type: text; press: key such as Enter or Control+K; select: option; upload: the file's "
        "content; answer_dialog: accept, dismiss or text; viewport: WIDTHxHEIGHT.",
    )
    file_name: str | None = Field(None, description="upload: the file's name.")
    to_role: str | None = Field(None, description="drag: role of the element to drop on.")
    to_name: str | None = Field(None, description="drag: accessible name of the element to drop on.")
    to_text: str | None = Field(None, description="drag: visible text of the element to drop on.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.act not in _TARGETLESS and not (self.ref or self._has_locator()):
            raise ValueError(f"{self.act} needs a ref, or role and name, label or text")
        if self.within and not self._has_locator():
            raise ValueError("within goes with role and name, label or text; a ref needs none")
        if self.act in _NEED_VALUE and self.value is None:
            raise ValueError(f"{self.act} needs a value")
        if self.act == "drag" and not (self.to_role or self.to_name or self.to_text):
            raise ValueError("drag needs to_role and to_name, or to_text")
        return self

    def _has_locator(self) -> bool:
        return bool(self.role or self.name or self.label or self.text)

    def target(self) -> Locator | str | None:
        """The ref, or the locator, or nothing."""
        from harness.verify.check import Locator

        if self.ref or not self._has_locator():
            return self.ref
        plain = Locator(role=self.role, name=self.name, label=self.label, text=self.text)
        if not self.within:
            return plain
        together = Locator(around=(Locator(text=self.within, exact=False), plain))
        return plain.model_copy(update={"inside": together})

    def drop(self) -> Locator | None:
        """Where drag ends."""
        from harness.verify.check import Locator

        if not (self.to_role or self.to_name or self.to_text):
            return None
        return Locator(role=self.to_role, name=self.to_name, text=self.to_text)


class SnapshotArguments(Arguments):
    """Of browser_snapshot."""

    whole: bool = Field(False, description="True: all of it, not only what changed since the last snapshot.")


class ScreenshotArguments(Arguments):
    """Of browser_screenshot."""


class Surfing:
    """The session's one page and what was told about it already."""

    def __init__(
        self, page_factory: PageFactory, base_url: Callable[[], str], outputs: Path, shown_as: str, images: bool
    ) -> None:
        self._page_factory = page_factory
        self._base_url = base_url
        self._outputs = outputs
        self._shown_as = shown_as
        self._images = images
        self._page: Page | None = None
        self._reset_for = ""
        self._told = (0, 0, 0, 0)
        self._look = ""
        self._shown: list[str] = []
        self._shots = 0

    async def open(self, arguments: OpenArguments) -> str:
        """Open a page of the application and tell what it shows."""
        with self._faults():
            base_url = self._base_url()
            if not base_url:
                raise ToolRetry("The application does not run yet: start it with run_command(background=true) first.")
            self._page = self._page or await self._page_factory()
            if arguments.fresh or base_url != self._reset_for:
                await self._page.reset(base_url)
                self._reset_for, self._told = base_url, (0, 0, 0, 0)
            await self._navigate(urljoin(base_url, arguments.path))
            return await self._tell("Opened", with_snapshot=True)

    async def _navigate(self, url: str) -> None:
        """Go there; a server that was started a moment ago is waited for."""
        assert self._page is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await self._page.act("navigate", value=url)
            except ActFailed as exc:
                if "ERR_CONNECTION_REFUSED" not in str(exc) or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)

    async def act(self, arguments: ActArguments) -> str:
        """Do one thing and tell what came of it."""
        with self._faults():
            await self._opened().act(
                arguments.act,
                arguments.target(),
                value=arguments.value,
                to=arguments.drop(),
                file_name=arguments.file_name,
                wait_seconds=WAIT_SECONDS,
            )
            return await self._tell_change(f"Done: {arguments.act}. Now at")

    async def snapshot(self, arguments: SnapshotArguments) -> str:
        """Tell what the page shows, or what changed in it since that was told last."""
        with self._faults():
            before = [] if arguments.whole else self._shown
            told = await self._tell("At", with_snapshot=True, max_bytes=SNAPSHOT_BYTES)
            return _shorter(told, before, self._shown)

    async def screenshot(self, _: ScreenshotArguments) -> str | Shown:
        """Keep a picture for a person, show it to a model that takes pictures, and tell what it shows."""
        with self._faults():
            taken = await self._opened().screenshot()
            picture = await read_picture(taken)
            self._shots += 1
            name = f"screenshot-{self._shots}.png"
            self._outputs.mkdir(parents=True, exist_ok=True)
            (self._outputs / name).write_bytes(taken)
            follows = "the picture follows" if self._images else NONE_TAKEN
            said = (
                f"The screenshot of the visible part is {self._shown_as}/{name} ({picture}); {follows}. In words:\nAt"
            )
            told = await self._tell(said, with_snapshot=True, max_bytes=4_000)
            return Shown(told, picture.data) if self._images else told

    def _opened(self) -> Page:
        if self._page is None:
            raise ToolRetry("No page is open: call browser_open first.")
        return self._page

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except ActFailed as exc:
            raise ToolRetry(f"{exc.reason}.") from exc
        except BrowserError as exc:
            self._page, self._reset_for = None, ""
            raise ToolRetry(f"{exc.what} Call browser_open for a new page.") from exc

    async def _tell_change(self, said: str) -> str:
        """What an act came to, with what changed on the page; a turn is dearer than a few lines."""
        before = self._shown
        told = await self._tell(said, with_snapshot=True, max_bytes=SNAPSHOT_BYTES)
        shorter = _shorter(told, before, self._shown) if before else told
        if len(shorter) <= CHANGE_BYTES:
            return shorter
        head, self._shown = told.splitlines()[: -len(self._shown) or None], before
        return "\n".join([*head, MUCH_CHANGED])

    async def _tell(self, said: str, *, with_snapshot: bool = False, max_bytes: int = OPEN_BYTES) -> str:
        facts = await self._opened().facts()
        parts = urlsplit(facts.url)
        path = (
            parts.path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
        )
        lines = [f"{said} {path} (title {facts.title!r})", *self._news(facts)]
        if with_snapshot:
            self._shown = (await self._opened().snapshot(max_bytes)).splitlines()
            lines += self._shown
        return "\n".join(lines)

    def _news(self, facts: PageFacts) -> list[str]:
        console, dialogs, failed, downloads = self._told
        self._told = (len(facts.console), len(facts.dialogs), len(facts.failed_requests), len(facts.downloads))
        failures = facts.failed_requests[failed:]
        news = [f"console error: {line}" for line in facts.console[console:] if not (failures and _is_failure(line))]
        news += [f"dialog: {d.type} {d.message!r}, answered {d.answer!r}" for d in facts.dialogs[dialogs:]]
        news += [f"failed request: {line}" for line in failures]
        news += [f"download: {file.name!r} with {file.text[:DOWNLOAD_SHOWN]!r}" for file in facts.downloads[downloads:]]
        if facts.overflow_x:
            news.append(f"The page is wider than its window and scrolls sideways: {' | '.join(facts.too_wide)}")
        if facts.look != self._look:
            news.append(f"look: {facts.look}")
            self._look = facts.look
        base = self._reset_for.rstrip("/")
        return [line.replace(base, "") if base else line for line in news]


def _is_failure(line: str) -> bool:
    """Whether the console tells of a failed request, which is told with its method and status anyway."""
    return line.startswith("Failed to load resource")


def _shorter(told: str, before: Sequence[str], now: Sequence[str]) -> str:
    """What was told, with the snapshot at its end as differences where they are shorter."""
    if not before:
        return told
    changes = [line for line in unified_diff(before, now, lineterm="", n=1)][2:]
    said = [CHANGED, *changes] if changes else ["Nothing changed since the last snapshot."]
    head = told.splitlines()[: -len(now)] if now else told.splitlines()
    shorter = "\n".join([*head, *said])
    return shorter if len(shorter) < len(told) else told


def browser_tools(
    page_factory: PageFactory,
    base_url: Callable[[], str],
    outputs_dir: Path,
    shown_as: str = "/outputs",
    *,
    images: bool = False,
) -> list[Tool]:
    """The browser tools of one session.

    Args:
        page_factory: opens a page; called when the first page is needed and after the browser ended.
        base_url: where the session's application answers now; empty: it does not run.
        outputs_dir: where screenshots go.
        shown_as: the name of that directory for the model.
        images: whether the model takes pictures.
    """
    surfing = Surfing(page_factory, base_url, outputs_dir, shown_as, images)
    return [
        Tool(
            "browser_open",
            "Open a page of this project's running application in a real browser. Returns the page as an indented "
            "tree of roles, names and refs, with console errors, dialogs and failed requests.",
            OpenArguments,
            surfing.open,
        ),
        Tool(
            "browser_act",
            "Do what a person does in the open page, with real mouse and keyboard events. The target must be one "
            "visible, enabled, uncovered element; otherwise the reason is returned. Native dialogs are accepted unless "
            "answer_dialog came before. Returns what changed on the page.",
            ActArguments,
            surfing.act,
        ),
        Tool(
            "browser_snapshot",
            "What the open page shows now: an indented tree of roles, names, values, states and refs; or, where "
            "that is shorter, what changed in it since the last snapshot.",
            SnapshotArguments,
            surfing.snapshot,
        ),
        Tool(
            "browser_screenshot",
            "Keep a picture of the visible part of the open page in a file for people and describe it in text; show it "
            "too if you take pictures.",
            ScreenshotArguments,
            surfing.screenshot,
        ),
    ]
