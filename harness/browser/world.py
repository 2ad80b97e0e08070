"""Our own script in a page, in an isolated world: the page can neither see nor break it."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.browser.failed import ActFailed

if TYPE_CHECKING:
    from harness.browser.target import Target

NAME = "harness"
PARTS = ("names", "sight", "locators", "doubts", "facets", "aim", "snapshot", "disturb", "freeze", "main")
_CALL = "function(name, ...args) { return globalThis.harness[name](...args) }"


class WorldGone(Exception):
    """The document was replaced while it was asked; ask the new one."""


@cache
def source() -> str:
    """The script: its parts in one closure, so that their names are not global."""
    folder = Path(__file__).parent / "injected"
    body = "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    return f"(() => {{ if (globalThis.harness) return;\n{body}\n}})()"


class World:
    """Calls into the script of the target's main frame, whichever document it shows now."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._context: int | None = None
        target.on("Runtime.executionContextCreated", self._created)
        target.on("Runtime.executionContextDestroyed", self._destroyed)
        target.on("Runtime.executionContextsCleared", lambda _: self._forget())

    async def install(self) -> None:
        """Have every new document of the target start with the script."""
        await self._target.send("Page.addScriptToEvaluateOnNewDocument", {"source": source(), "worldName": NAME})

    async def call(self, name: str, *args: Any, limit: float = 5.0) -> Any:
        """Call one function of the script and return its JSON value.

        Raises:
            WorldGone: the document went away meanwhile.
            ActFailed: the page crashed, hangs, or the call is wrong (a css selector that is none).
        """
        context = self._context or await self._make()
        params = {
            "functionDeclaration": _CALL,
            "executionContextId": context,
            "arguments": [{"value": value} for value in (name, *args)],
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

    async def _make(self) -> int:
        frame = {"frameId": self._target.target_id, "worldName": NAME, "grantUniveralAccess": False}
        made = (await self._sent("Page.createIsolatedWorld", frame, 5.0))["executionContextId"]
        await self._sent("Runtime.evaluate", {"expression": source(), "contextId": made}, 5.0)
        return int(made)

    async def _sent(self, method: str, params: dict[str, Any], limit: float) -> Any:
        from pyppeteer.errors import NetworkError

        try:
            return await self._target.send(method, params, limit=limit)
        except NetworkError as exc:
            self._forget()
            raise WorldGone(str(exc)) from exc

    def _created(self, event: dict[str, Any]) -> None:
        context = event["context"]
        aux = context.get("auxData") or {}
        if context.get("name") == NAME and aux.get("frameId") == self._target.target_id:
            self._context = context["id"]

    def _destroyed(self, event: dict[str, Any]) -> None:
        if event.get("executionContextId") == self._context:
            self._forget()

    def _forget(self) -> None:
        self._context = None


def _first_line(details: dict[str, Any]) -> str:
    text = (details.get("exception") or {}).get("description") or details.get("text", "")
    return str(text).splitlines()[0]
