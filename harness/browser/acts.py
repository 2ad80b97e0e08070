"""What a person does to a page: aim at an element until it can be used, then send real input events."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.browser.failed import ActFailed
from harness.browser.keys import MODIFIERS, key_events, parse_chord
from harness.browser.world import WorldGone

if TYPE_CHECKING:
    from harness.browser.page import TabPage

POLL_SECONDS = 0.05
BETWEEN_CLICKS_SECONDS = 0.1
"""A person's double click: what the first click sends is on its way by the second, which else would take its place."""
TELL_THEMSELVES = {"navigate", "reload", "back", "forward", "answer_dialog", "check", "uncheck"}
"""Acts that say themselves when they were done, or that need no waiting."""
FINAL = {"wrong", "stale"}
"""Reasons that waiting does not change."""


class Acts:
    """The acts of one page. Each raises ActFailed with the reason when it cannot be done in time."""

    def __init__(self, page: TabPage) -> None:
        self._page = page
        self._files: list[tempfile.TemporaryDirectory[str]] = []
        self._acts: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "navigate": lambda a: page.navigate(a["value"], a["wait_seconds"]),
            "reload": lambda a: page.reload(a["wait_seconds"]),
            "back": lambda a: page.history(-1, a["wait_seconds"]),
            "forward": lambda a: page.history(1, a["wait_seconds"]),
            "click": lambda a: self._click(a),
            "double_click": lambda a: self._click(a, times=2),
            "right_click": lambda a: self._click(a, button="right"),
            "hover": self._hover,
            "fill": self._fill,
            "type": self._type,
            "press": self._press,
            "check": lambda a: self._check(a, True),
            "uncheck": lambda a: self._check(a, False),
            "select": self._select,
            "upload": self._upload,
            "drag": self._drag,
            "answer_dialog": self._answer_dialog,
            "viewport": self._viewport,
        }

    async def act(self, name: str, arguments: dict[str, Any]) -> None:
        """Do one act; whoever looks or acts next waits until the page is ready again."""
        if name not in self._acts:
            raise ActFailed(f"{name} is nothing that is done to a page")
        await self._acts[name](arguments)
        if name not in TELL_THEMSELVES:
            self._page.acted(is_typing=name in ("fill", "type"))

    async def _aim(self, target: Any, purpose: str, wait_seconds: float, value: str | None = None) -> dict[str, Any]:
        if target is None:
            raise ActFailed("this act needs a target")
        clock = asyncio.get_running_loop().time
        end = clock() + wait_seconds
        while True:
            try:
                answer: dict[str, Any] = await self._page.frames.aim(target, purpose, value)
            except WorldGone:
                answer = {"state": "gone", "reason": "the page keeps being replaced by another"}
            if "reason" not in answer:
                return answer
            if clock() > end or answer["state"] in FINAL:
                raise ActFailed(answer["reason"])
            await asyncio.sleep(POLL_SECONDS)

    async def _mouse(self, *events: dict[str, Any]) -> None:
        await self._input("Input.dispatchMouseEvent", *events)

    async def _keys(self, *events: dict[str, Any]) -> None:
        await self._input("Input.dispatchKeyEvent", *events)

    async def _input(self, method: str, *events: dict[str, Any]) -> None:
        """Send events one after another, without waiting for a frame between them."""
        from pyppeteer.errors import NetworkError

        send = self._page.target.send
        said = await asyncio.gather(*(send(method, each, limit=8.0) for each in events), return_exceptions=True)
        for fault in said:
            if isinstance(fault, NetworkError) and "closed" not in str(fault).lower():
                continue  # the page went on because of it
            if isinstance(fault, BaseException):
                raise ActFailed("page crashed") if isinstance(fault, NetworkError) else fault

    async def _click_at(self, x: float, y: float, button: str = "left", times: int = 1) -> None:
        before = [_mouse_event("mouseMoved", x, y)]
        for count in range(1, times + 1):
            click = [_mouse_event(kind, x, y, button, count) for kind in ("mousePressed", "mouseReleased")]
            await self._mouse(*before, *click)
            before = []
            if count < times:
                await asyncio.sleep(BETWEEN_CLICKS_SECONDS)

    async def _click(self, a: dict[str, Any], button: str = "left", times: int = 1) -> None:
        at = await self._aim(a["target"], "click", a["wait_seconds"])
        await self._click_at(at["x"], at["y"], button, times)

    async def _hover(self, a: dict[str, Any]) -> None:
        at = await self._aim(a["target"], "hover", a["wait_seconds"])
        await self._mouse(_mouse_event("mouseMoved", at["x"], at["y"]))

    async def _fill(self, a: dict[str, Any]) -> None:
        text = a["value"] or ""
        at = await self._aim(a["target"], "fill", a["wait_seconds"], text)
        if at["tag"] == "select":
            return await self._choose(a["value"])
        if at["done"]:
            return None
        if not text:
            return None if at["empty"] else await self._key("Delete")
        # the last character as a key, for applications that listen to keys
        typed = key_events(text[-1]) if text[-1] not in "\r\n" else []
        if whole := text[:-1] if typed else text:
            await self._input("Input.insertText", {"text": whole})
        await self._keys(*typed)
        return None

    async def _type(self, a: dict[str, Any]) -> None:
        if a["target"] is not None:
            await self._aim(a["target"], "type", a["wait_seconds"])
        for character in a["value"]:
            events = key_events("Enter" if character == "\n" else character)
            if not events:
                await self._input("Input.insertText", {"text": character})
            await self._keys(*events)

    async def _press(self, a: dict[str, Any]) -> None:
        modifiers, key = parse_chord(a["value"])
        if a["target"] is not None:
            await self._aim(a["target"], "press", a["wait_seconds"])
        held = 0
        for name in modifiers:
            held |= MODIFIERS[name]
            await self._keys(key_events(name, held)[0])
        await self._key(key, held)
        for name in reversed(modifiers):
            held &= ~MODIFIERS[name]
            await self._keys(key_events(name, held)[1])

    async def _key(self, key: str, modifiers: int = 0) -> None:
        await self._keys(*(key_events(key, modifiers) or [{"type": "char", "text": key}]))

    async def _check(self, a: dict[str, Any], wanted: bool) -> None:
        at = await self._aim(a["target"], "check", a["wait_seconds"])
        if at["checked"] == wanted:
            return
        await self._click_at(at["x"], at["y"])
        self._page.acted()
        await self._page.ready()
        try:
            now = await self._page.frames.aimed.call("checkedNow")
        except (WorldGone, ActFailed):
            return  # the click opened another document, or the element was drawn anew: its expectations will tell
        if now is not None and now != wanted and await self._page.frames.aimed.call("isAimedThere"):
            raise ActFailed(f"clicking it did not {'check' if wanted else 'uncheck'} it")

    async def _select(self, a: dict[str, Any]) -> None:
        await self._aim(a["target"], "select", a["wait_seconds"])
        await self._choose(a["value"])

    async def _choose(self, value: str) -> None:
        if reason := await self._page.frames.aimed.settled_call("choose", value):
            raise ActFailed(reason)

    async def _upload(self, a: dict[str, Any]) -> None:
        at = await self._aim(a["target"], "upload", a["wait_seconds"])
        self._files.append(tempfile.TemporaryDirectory(prefix="harness-upload-"))
        path = Path(self._files[-1].name, Path(a["file_name"] or "upload.txt").name)
        path.write_text(a["value"] or "", encoding="utf-8")
        await self._give_file(at, path)

    def forget_files(self) -> None:
        """Delete what was uploaded; not before, because a form sends a file later than it was chosen."""
        while self._files:
            self._files.pop().cleanup()

    async def _give_file(self, at: dict[str, Any], path: Path) -> None:
        target = self._page.target
        if at["tag"] == "input" and at["type"] == "file":
            handle = await self._page.frames.aimed.call("theAimed")
            await target.send("DOM.setFileInputFiles", {"files": [str(path)], "objectId": handle["objectId"]})
            return
        opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def note(event: dict[str, Any]) -> None:
            if not opened.done():
                opened.set_result(event["backendNodeId"])

        target.on("Page.fileChooserOpened", note)
        await target.send("Page.setInterceptFileChooserDialog", {"enabled": True})
        try:
            await self._click_at(at["x"], at["y"])
            node = await asyncio.wait_for(opened, 3.0)
            await target.send("DOM.setFileInputFiles", {"files": [str(path)], "backendNodeId": node})
        except TimeoutError:
            raise ActFailed("clicking it opened no file chooser") from None
        finally:
            await target.send("Page.setInterceptFileChooserDialog", {"enabled": False})

    async def _drag(self, a: dict[str, Any]) -> None:
        to = await self._aim(a["to"], "hover", a["wait_seconds"])
        start = await self._aim(a["target"], "hover", a["wait_seconds"])
        x, y = start["x"], start["y"]
        await self._mouse(_mouse_event("mouseMoved", x, y))
        await self._mouse(_mouse_event("mousePressed", x, y, "left", 1))
        to = await self._aim(a["to"], "hover", a["wait_seconds"])  # scrolling to the start may have moved it
        for part in (0.05, 0.25, 0.5, 0.75, 1.0, 1.0):
            await self._mouse(_mouse_event("mouseMoved", x + (to["x"] - x) * part, y + (to["y"] - y) * part, "left"))
        await self._mouse(_mouse_event("mouseReleased", to["x"], to["y"], "left", 1))

    async def _answer_dialog(self, a: dict[str, Any]) -> None:
        self._page.record.answer = a["value"] or "accept"

    async def _viewport(self, a: dict[str, Any]) -> None:
        width, _, height = (a["value"] or "").lower().replace("\u00d7", "x").partition("x")
        if not (width.strip().isdigit() and height.strip().isdigit()):
            raise ActFailed(f"a viewport is WIDTHxHEIGHT, not {a['value']!r}")
        await self._page.set_viewport(int(width), int(height))


def _mouse_event(kind: str, x: float, y: float, button: str = "none", count: int = 0) -> dict[str, Any]:
    held = {"left": 1, "right": 2}.get(button, 0) if kind != "mouseReleased" else 0
    return {"type": kind, "x": x, "y": y, "button": button, "buttons": held, "clickCount": count}
