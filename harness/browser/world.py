"""Our own script in a document, in an isolated world: the page can neither see nor break it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.browser.failed import ActFailed

if TYPE_CHECKING:
    from harness.browser.target import Target

NAME = "harness"
PARTS = ("names", "sight", "locators", "doubts", "facets", "aim", "snapshot", "disturb", "freeze", "frames", "main")
ARRIVAL_SECONDS = 0.1
"""After that the script is put into the document by hand, which costs more than to wait."""
_CALL = "function(name, ...args) { return globalThis.harness[name](...args) }"


class WorldGone(Exception):
    """The document was replaced while it was asked; ask the new one."""


@dataclass(frozen=True)
class Handle:
    """An element, as an argument of a call."""

    object_id: str


@cache
def source() -> str:
    """The script: its parts in one closure, so that their names are not global."""
    folder = Path(__file__).parent / "injected"
    body = "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    return f"(() => {{ if (globalThis.harness) return;\n{body}\n}})()"


class World:
    """Calls into the script of one frame, whichever document it shows now."""

    def __init__(self, target: Target, frame_id: str) -> None:
        self._target = target
        self.frame_id = frame_id
        self._context: int | None = None
        self._arrived = asyncio.Event()

    @property
    def context(self) -> int | None:
        """Names the script's world in the present document; None: not known yet."""
        return self._context

    @context.setter
    def context(self, context: int | None) -> None:
        self._context = context
        if context is None:
            self._arrived.clear()
        else:
            self._arrived.set()

    async def call(self, name: str, *args: Any, limit: float = 5.0) -> Any:
        """Call one function of the script and return its JSON value.

        Raises:
            WorldGone: the document went away meanwhile.
            ActFailed: the page crashed, hangs, or the call is wrong (a css selector that is none).
        """
        params = {
            "functionDeclaration": _CALL,
            "executionContextId": await self.ready(),
            "arguments": [_argument(value) for value in (name, *args)],
            "returnByValue": name != "theAimed",
            "awaitPromise": True,
        }
        answer = await self._sent("Runtime.callFunctionOn", params, limit)
        if details := answer.get("exceptionDetails"):
            raise ActFailed(_first_line(details))
        return answer["result"] if name == "theAimed" else answer["result"].get("value")

    async def settled_call(self, name: str, *args: Any, limit: float = 5.0) -> Any:
        """`call`, again in the next document when one is replaced; at most until the limit."""
        end = asyncio.get_running_loop().time() + limit
        while True:
            try:
                return await self.call(name, *args, limit=limit)
            except WorldGone:
                if asyncio.get_running_loop().time() > end:
                    raise ActFailed("the page keeps being replaced by another") from None
                await asyncio.sleep(0.02)

    async def ready(self) -> int:
        """The world's context; a new document tells of it a moment after it tells of itself, else it is made."""
        try:
            async with asyncio.timeout(ARRIVAL_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            return await self._make()
        return self.context or await self._make()

    async def handle(self, backend_node_id: int) -> Handle:
        """An element of this document by the number the browser gives it."""
        node = {"backendNodeId": backend_node_id, "executionContextId": await self.ready()}
        return Handle((await self._sent("DOM.resolveNode", node, 5.0))["object"]["objectId"])

    async def _make(self) -> int:
        frame = {"frameId": self.frame_id, "worldName": NAME, "grantUniveralAccess": False}
        made = (await self._sent("Page.createIsolatedWorld", frame, 5.0))["executionContextId"]
        await self._sent("Runtime.evaluate", {"expression": source(), "contextId": made}, 5.0)
        return int(made)

    async def _sent(self, method: str, params: dict[str, Any], limit: float) -> Any:
        from pyppeteer.errors import NetworkError

        try:
            return await self._target.send(method, params, limit=limit)
        except NetworkError as exc:
            self.context = None
            raise WorldGone(str(exc)) from exc


def _argument(value: Any) -> dict[str, Any]:
    return {"objectId": value.object_id} if isinstance(value, Handle) else {"value": value}


def _first_line(details: dict[str, Any]) -> str:
    text = (details.get("exception") or {}).get("description") or details.get("text", "")
    return str(text).splitlines()[0]
