"""One page inside the worker: a tab with our script in it, watched, reset, moved, looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from harness.browser import clock, pixels
from harness.browser.failed import ActFailed
from harness.browser.frames import Frames
from harness.browser.target import Target
from harness.browser.visitor import USUAL, Visitor, agent_of
from harness.browser.watch import BLANK_PATH, LOOPBACK, Record, Watch
from harness.browser.world import NAME, WorldGone

if TYPE_CHECKING:
    from harness.browser.chromium import Chromium

RECORD_LIES = {"log_error", "fail_request", "swap_clipboard", "swap_download", "swap_request"}
"""Disturbances of what was written down; the page itself is left alone."""
CALM_MS = 40
"""How long the DOM must be quiet after an act; after a navigation more than twice that."""
TYPED_MS = 15
"""How long before the next act after typing: a person goes on with the next key or field without looking."""
SLOW_MS = 1500
"""What a slow network adds to an answer: long enough to look at what is shown meanwhile."""


class TabPage:
    """A tab that can be taken back to the state of a new one."""

    def __init__(self, chromium: Chromium, visitor: Visitor = USUAL, record: Record | None = None) -> None:
        self._chromium = chromium
        self.record = record or Record()
        """Shared by all tabs of a user."""
        self.is_taken = False
        self.visitor = visitor
        self.base_url = ""
        self._ghosts: dict[str, Any] = {}
        self._undo: list[Callable[[], None] | None] = []
        self._frozen_script: str | None = None
        self._kept_cookies: list[Any] | None = None
        self._next_ref = 1
        self._clock_script: str | None = None
        self._clipboard_lie: str | None = None
        self._due: tuple[float, float] | None = None
        self._is_slow = False
        self._is_typing = False

    async def open(self, host: str = "") -> None:
        """Open the tab in a context that reaches loopback and `host`."""
        self._host = host
        await self.take(await Target.open(self._chromium, self.visitor.width, self.visitor.height, host))

    async def take(self, target: Target, *, network: str = "", clock_ms: float = 0.0) -> None:
        """Make a tab that has not run yet this one, and let it run."""
        self.target = target
        self.news, self.frames = Watch(self.target, self.record), Frames(self.target)
        self.world = self.frames.main
        self._loads: set[str] = set()
        self._moved = asyncio.Event()
        self.target.on("Page.lifecycleEvent", self._lifecycle)
        self.target.on("Page.frameNavigated", self._navigated)
        self.target.on("Page.navigatedWithinDocument", lambda _: self._moved.set())
        send = self.target.send
        await asyncio.gather(
            self.news.install(),
            self.frames.install(),
            *(send(f"{domain}.enable") for domain in ("Page", "Runtime", "DOM", "Network", "Log", "Animation")),
            send("Page.setLifecycleEventsEnabled", {"enabled": True}),
            # fast rather than off: applications wait for `transitionend`
            send("Animation.setPlaybackRate", {"playbackRate": 1000}),
            send("Emulation.setFocusEmulationEnabled", {"enabled": True}),
            self._appear(),
            *([self.set_network(network)] if network else []),
            *([self.move_clock(0, clock_ms)] if clock_ms else []),
            send("Runtime.runIfWaitingForDebugger"),
        )
        self.is_taken = True

    async def _appear(self) -> None:
        """Show the page the visitor: documents loaded from now on see them."""
        motion = "reduce" if self.visitor.reduced_motion else "no-preference"
        await asyncio.gather(
            self.target.send(
                "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": motion}]}
            ),
            self.set_viewport(self.visitor.width, self.visitor.height),
            self.target.send("Emulation.setUserAgentOverride", agent_of(self.visitor, self._chromium.version)),
            self.target.send("Emulation.setTimezoneOverride", {"timezoneId": self.visitor.time_zone}),
        )

    async def set_viewport(self, width: int, height: int) -> None:
        """Give the page another window."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.target.send("Emulation.setDeviceMetricsOverride", metrics)

    async def set_network(self, network: str) -> None:
        """Take the network away ("offline"), make it "slow", or give it back ("")."""
        unlimited = {"downloadThroughput": -1, "uploadThroughput": -1}
        self._is_slow = network == "slow"
        conditions = {"offline": network == "offline", "latency": SLOW_MS if network == "slow" else 0, **unlimited}
        await self.target.send("Network.emulateNetworkConditions", conditions)

    async def move_clock(self, step_ms: float, offset_ms: float) -> None:
        """Move the clock of the documents that are there by a step; new ones start at the offset from the real time."""
        await self._forget_clock()
        script = {"source": clock.script(offset_ms), "runImmediately": False}
        self._clock_script = (await self.target.send("Page.addScriptToEvaluateOnNewDocument", script))["identifier"]
        if step_ms:
            await self.frames.in_page(clock.script(step_ms))

    async def _forget_clock(self) -> None:
        if self._clock_script:
            await self.target.send("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._clock_script})
        self._clock_script = None

    async def title(self) -> str:
        """The title of its document."""
        return str((await self.world.settled_call("page"))["title"])

    # --- from one state to the next ---

    async def reset(
        self, base_url: str, also: Sequence[str] = (), visitor: Visitor = USUAL, *, clipboard: bool = False
    ) -> None:
        """Take everything back, for this visitor; a page that crashed, hangs or needs another host is replaced."""
        from pyppeteer.errors import NetworkError

        self.visitor = visitor
        host = urlsplit(base_url).hostname or ""
        host = "" if host in LOOPBACK else host
        try:
            if self.target.is_lost or host != self._host or self.frames.has_foreign:
                raise ActFailed("page crashed")
            await asyncio.wait_for(self._clean(base_url), 6)
        except (ActFailed, NetworkError, WorldGone, TimeoutError):
            await self.target.close()
            self._frozen_script = self._clock_script = None
            await self.open(host)
        if clipboard:
            await self._empty_clipboard(base_url)
        self._clipboard_lie = None
        self.base_url = base_url
        self.news.clear()
        self.record.allowed = frozenset(urlsplit(each).netloc for each in (base_url, *also))
        self._ghosts.clear()
        self._undo.clear()

    async def _clean(self, base_url: str) -> None:
        send = self.target.send
        self.record.answer = "accept"
        self.record.allowed = frozenset()  # the blank documents of former addresses too
        await self._thaw()
        await self._forget_clock()
        await self._leave()
        types = "cookies,local_storage,indexeddb,websql,service_workers,cache_storage,file_systems,shader_cache"
        await asyncio.gather(
            send("Network.clearBrowserCookies"),
            send("Network.clearBrowserCache"),
            *(
                send("Storage.clearDataForOrigin", {"origin": each, "storageTypes": types})
                for each in self.record.origins
            ),
            send("Page.resetNavigationHistory"),
            self._appear(),
        )

    async def _leave(self) -> None:
        """Empty sessionStorage, which only a document of its origin can do, and show nothing.

        A navigation costs more than all the rest of a check's clean start, so the document that is there is used; its
        scripts are off from then on, so that its last words store nothing.
        """
        send = self.target.send
        await send("Emulation.setScriptExecutionDisabled", {"value": True})
        wiped = {await self.world.settled_call("wipe")}
        for origin in sorted(self.record.origins - wiped):
            await self._go(f"{origin}{BLANK_PATH}", 2.0)
            await self.world.settled_call("wipe")
        await self._go("about:blank", 2.0)
        await send("Emulation.setScriptExecutionDisabled", {"value": False})

    async def _empty_clipboard(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        await self._go(f"{parts.scheme}://{parts.netloc}{BLANK_PATH}", 2.0)
        await self.world.settled_call("writeClipboard", "")
        await self._go("about:blank", 2.0)
        await self.target.send("Page.resetNavigationHistory")

    async def navigate(self, url: str, wait_seconds: float) -> None:
        """Open an address of the application and wait until it is ready.

        Raises: ActFailed: it is foreign, or cannot be reached or loaded.
        """
        url = urljoin(self.base_url, url) if self.base_url else url
        if not self.record.may_reach(url):
            raise ActFailed(f"navigation failed: {url} is not an address of the application")
        await self._lose_storage()
        await self._go(url, max(wait_seconds, 10.0))
        self.acted(CALM_MS * 2.5)

    async def _go(self, url: str, limit: float) -> None:
        answer = await self.target.send("Page.navigate", {"url": url}, limit=limit)
        if answer.get("errorText"):
            raise ActFailed(f"navigation failed: {answer['errorText']} at {url}")
        if loader := answer.get("loaderId"):
            await self._until(lambda: loader in self._loads, limit, f"navigation failed: {url} did not finish loading")

    async def reload(self, wait_seconds: float) -> None:
        """Load the document again and wait until it is ready."""
        await self._lose_storage()
        await self._move("Page.reload", {}, wait_seconds)

    async def history(self, delta: int, wait_seconds: float) -> None:
        """Go back (-1) or forward (1).

        Raises: ActFailed: there is no such page.
        """
        history = await self.target.send("Page.getNavigationHistory")
        index = history["currentIndex"] + delta
        entries = history["entries"]
        if not 0 <= index < len(entries) or entries[index]["url"] == "about:blank":
            raise ActFailed(f"there is no page to go {'back' if delta < 0 else 'forward'} to")
        await self._move("Page.navigateToHistoryEntry", {"entryId": entries[index]["id"]}, wait_seconds)

    async def _move(self, method: str, params: dict[str, Any], wait_seconds: float) -> None:
        self._moved.clear()
        limit = max(wait_seconds, 10.0)
        await self.target.send(method, params, limit=limit)
        await self._until(self._moved.is_set, limit, "navigation failed: the page did not change")
        self.acted(CALM_MS * 2.5)

    def acted(self, calm_ms: float = CALM_MS, *, is_typing: bool = False) -> None:
        """Something was done: whoever looks or acts next waits until the page is ready again."""
        self._due = (asyncio.get_running_loop().time(), calm_ms)
        self._is_typing = is_typing

    async def ready(self, limit: float = 3.0, *, to_act: bool = False) -> bool:
        """Wait until the document is loaded, its requests are answered and it is quiet; bounded, never a failure.

        The time that has gone by since the last act counts. On a slow network answers are not awaited: who makes it
        slow wants to see what is shown meanwhile.

        Returns: whether it was ready already.
        """
        if self._due is None:
            return True
        clock = asyncio.get_running_loop().time
        (since, calm_ms), self._due = self._due, None
        calm_ms = TYPED_MS if to_act and self._is_typing else calm_ms
        end, looks = clock() + limit, 0
        while (left := end - clock()) > 0:
            looks += 1
            try:
                is_calm, at_once = await self.frames.settle(calm_ms, (clock() - since) * 1000, left * 1000)
            except WorldGone:
                is_calm = at_once = False
            if is_calm and (self._is_slow or not self.news.is_loading()):
                return at_once and looks == 1
            await asyncio.sleep(0.02)
        return False

    async def _until(self, is_so: Callable[[], bool], limit: float, reason: str) -> None:
        end = asyncio.get_running_loop().time() + limit
        while not is_so():
            self.target.check()
            if asyncio.get_running_loop().time() > end:
                raise ActFailed(reason)
            await asyncio.sleep(0.005)

    def _lifecycle(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self.target.target_id and event["name"] == "load":
            self._loads.add(event["loaderId"])

    def _navigated(self, event: dict[str, Any]) -> None:
        if not event["frame"].get("parentId"):
            self._moved.set()

    # --- looking ---

    async def watch(
        self, seconds: float, locators: list[Any], attributes: list[str], styles: list[str], asked: list[Any]
    ) -> Any:
        """What each locator matches now, and in each other state during the next seconds.

        After an act the page gets ready in the same time; one that needs longer is looked at again from then on.
        """
        question = locators, attributes, styles, asked
        if not seconds:
            await self.ready()
        watched = await self.frames.watch(seconds, *question)
        return watched if await self.ready() else await self.frames.watch(seconds, *question)

    async def facts(self, clipboard: bool = False, controls: bool = False) -> dict[str, Any]:
        """Where the page is and what happened in all tabs of its user.

        `clipboard`: also what was copied. `controls`: also which visible controls have no name.
        """
        page = await self.world.settled_call("page")
        if clipboard:
            kept = self._clipboard_lie
            page["clipboard"] = kept if kept is not None else await self.world.settled_call("readClipboard")
        if controls:
            page["unnamed_controls"] = [tag for tags in await self.frames.everywhere("unnamedControls") for tag in tags]
        told = self.record
        return {**page, "console": told.console, "dialogs": told.dialogs, "failed_requests": told.failed,
                "requests": told.requests, "downloads": told.downloads}  # fmt: skip

    async def snapshot(self, max_bytes: int) -> str:
        """The page in indented lines; refs go on counting over documents, so that an old one means nothing new."""
        answer = await self.frames.snapshot(max_bytes, self._next_ref)
        self._next_ref = answer["next"]
        return str(answer["text"])

    async def screenshot(self) -> str:
        """The viewport as base64 PNG."""
        return str((await self.target.send("Page.captureScreenshot", {"format": "png"}, limit=15.0))["data"])

    async def picture(self, locator: Any, masks: list[Any]) -> str:
        """What the window shows of the one visible match as base64 PNG, with masks painted over; "" when nothing."""
        found = await self.frames.observe([locator, *masks], [], [], [None] * (1 + len(masks)))
        boxes = [[e["box"] for e in each["elements"] if e["visible"]] for each in found]
        if len(boxes[0]) != 1:
            return ""
        return pixels.cut_out(await self.screenshot(), boxes[0][0], [box for each in boxes[1:] for box in each])

    # --- disturbing ---

    async def disturb(self, kind: str, locator: Any, text: str, to: Any = None) -> bool:
        """Make the page lie once; False when there is nothing to lie about."""
        if kind in RECORD_LIES:
            back = self._lie_of_record(kind, text)
            if back is not None:
                self._undo.append(back)
            return back is not None
        ghost = self._ghosts.get(text) if kind == "ghost" else None
        if kind == "ghost" and ghost is None:
            return False
        if not await self.frames.disturb(kind, locator, text, ghost, to):
            return False
        self._undo.append(None)
        return True

    def _lie_of_record(self, kind: str, text: str) -> Callable[[], None] | None:
        record = self.record
        if kind == "log_error":
            return _added(record.console, text)
        if kind == "fail_request":
            return _added(record.failed, text)
        if kind == "swap_clipboard":
            self._clipboard_lie = text
            return lambda: setattr(self, "_clipboard_lie", None)
        field, _, swapped = text.partition("=")
        return _swapped(record.downloads if kind == "swap_download" else record.requests, field, swapped)

    async def undo(self) -> None:
        """Take the last disturbance back."""
        if not self._undo:
            return
        back = self._undo.pop()
        if back is not None:
            back()
        else:
            await self.frames.undo()

    async def keep_ghost(self, key: str, locator: Any) -> bool:
        """Keep a copy of the visible match, for the time when it is gone."""
        ghost = await self.frames.keep_ghost(locator)
        if ghost:
            self._ghosts[key] = ghost
        return bool(ghost)

    async def freeze(self, mode: str | None) -> None:
        """Take handlers, DOM changes or stored data away from now on, in following documents too (not `dom`)."""
        await self._thaw()
        await self.frames.everywhere("freeze", mode)
        if mode == "handlers":
            await self._in_new_documents("harness.freeze('handlers')")
        elif mode == "storage":
            await self._keep_storage()

    async def _thaw(self) -> None:
        """Following documents are as they are."""
        if self._frozen_script:
            await self.target.send("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._frozen_script})
        self._frozen_script = self._kept_cookies = None

    async def _keep_storage(self) -> None:
        import json

        kept = await self.frames.everywhere("readStorage")
        self._kept_cookies = (await self.target.send("Network.getCookies"))["cookies"]
        await self._in_new_documents(f"{json.dumps(kept)}.forEach(harness.putStorage)")

    async def _lose_storage(self) -> None:
        if self._kept_cookies is None:
            return
        await self.target.send("Network.clearBrowserCookies")
        if self._kept_cookies:
            await self.target.send("Network.setCookies", {"cookies": self._kept_cookies})
        for origin in self.record.origins:
            await self.target.send(
                "Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "indexeddb,cache_storage"}
            )

    async def _in_new_documents(self, script: str) -> None:
        params = {"source": script, "worldName": NAME}
        answer = await self.target.send("Page.addScriptToEvaluateOnNewDocument", params)
        self._frozen_script = answer["identifier"]


def _swapped(entries: list[Any], field: str, text: str) -> Callable[[], None] | None:
    """Have all entries say something else in one field; None when there are none."""
    old = [entry[field] for entry in entries]
    for entry in entries:
        entry[field] = int(text) if field == "status" else text

    def back() -> None:
        for entry, value in zip(entries, old, strict=False):
            entry[field] = value

    return back if old else None


def _added(entries: list[str], text: str) -> Callable[[], None]:
    entries.append(text or "disturbed")

    def back() -> None:
        entries.pop()

    return back
