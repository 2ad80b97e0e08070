"""What happens in a page while nobody asks: dialogs, console errors, requests. Listening from the first moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from harness.browser.target import Target

MOST = 200
BODY_CHARACTERS = 20_000
"""Entries kept of each kind; a page in a loop must not fill the memory."""

BLANK_PATH = "/.harness-blank"
"""An empty document of the application's own origin, answered here: the place to clear its storage from."""

AWAITED = {"Document", "XHR", "Fetch", "Script", "Stylesheet"}
EXPECTED_FAILURES = {"net::ERR_ABORTED", "net::ERR_BLOCKED_BY_CLIENT"}
"""Ended by the page itself, or listed as blocked already."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
PATIENCE_SECONDS = 1.0
"""A request older than this is taken for one that never ends (long polling) and not waited for."""


@dataclass
class Record:
    """What happened in the tabs of one user since the last reset, and who may be asked for what."""

    console: list[str] = field(default_factory=list)
    dialogs: list[dict[str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    answer: str = "accept"
    """How dialogs are answered: accept, dismiss, or a text for prompts."""
    allowed: frozenset[str] = frozenset()
    """host:port of each of the application's addresses; empty: not known yet, everything passes."""
    origins: set[str] = field(default_factory=set)
    requests: list[dict[str, Any]] = field(default_factory=list)
    """method, url, body, status (None: not answered)."""
    downloads: list[dict[str, str]] = field(default_factory=list)
    """name, text."""

    def clear(self) -> None:
        """Forget everything that happened."""
        for entries in (self.console, self.dialogs, self.failed, self.requests, self.downloads):
            entries.clear()
        self.origins.clear()
        self.answer = "accept"

    def may_reach(self, url: str) -> bool:
        """Whether an address belongs to the application."""
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob", "about"):
            return True
        if parts.scheme not in ("http", "https", "ws", "wss"):
            return False
        return not self.allowed or any(_same_place(parts.netloc, each) for each in self.allowed)


@dataclass
class Watch:
    """Writes down what happens in one tab, and lets no request pass that is not the application's."""

    target: Target
    record: Record
    _requests: dict[str, tuple[str, float]] = field(default_factory=dict)

    async def install(self) -> None:
        """Listen and hold every request until it is judged."""
        for event, handler in {
            "Page.javascriptDialogOpening": self._dialog,
            "Runtime.consoleAPICalled": self._console,
            "Runtime.exceptionThrown": self._exception,
            "Log.entryAdded": self._log,
            "Fetch.requestPaused": self._paused,
            "Network.requestWillBeSent": self._request,
            "Network.responseReceived": self._response,
            "Network.loadingFinished": lambda e: self._requests.pop(e["requestId"], None),
            "Network.loadingFailed": self._loading_failed,
        }.items():
            self.target.on(event, handler)
        await self.target.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})

    def clear(self) -> None:
        """Forget everything that happened."""
        self.record.clear()
        self._requests.clear()

    def is_loading(self) -> bool:
        """Whether a request that the page may be waiting for is under way."""
        now = asyncio.get_running_loop().time()
        return any(now - since < PATIENCE_SECONDS for _, since in self._requests.values())

    def _dialog(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        answer = (
            "accept" if kind in ("alert", "beforeunload") and self.record.answer != "dismiss" else self.record.answer
        )
        text = event.get("defaultPrompt", "") if answer == "accept" else answer
        params = {"accept": answer != "dismiss"} | ({"promptText": text} if kind == "prompt" else {})
        self.target.post("Page.handleJavaScriptDialog", params)
        if len(self.record.dialogs) >= MOST:
            self.target.give_up(f"the page opens one dialog after another ({MOST} so far)")
        _keep(self.record.dialogs, {"type": kind, "message": event.get("message", ""), "answer": answer})

    def _console(self, event: dict[str, Any]) -> None:
        if event["type"] in ("error", "assert"):
            _keep(self.record.console, " ".join(_argument(each) for each in event.get("args", [])))

    def _exception(self, event: dict[str, Any]) -> None:
        details = event["exceptionDetails"]
        shown = (details.get("exception") or {}).get("description") or details.get("text", "")
        lines = str(shown).splitlines() or [""]
        where = f" ({_path(details['url'])}:{details.get('lineNumber', 0) + 1})" if details.get("url") else ""
        _keep(self.record.console, f"uncaught {lines[0]}{where}")

    def _log(self, event: dict[str, Any]) -> None:
        entry = event["entry"]
        is_ours = entry.get("url", "").endswith("/favicon.ico") or "ERR_BLOCKED_BY_CLIENT" in entry["text"]
        if entry["level"] == "error" and not is_ours:
            where = f" ({_path(entry['url'])})" if entry.get("url") else ""
            _keep(self.record.console, f"{entry['text']}{where}")

    def _paused(self, event: dict[str, Any]) -> None:
        request_id, url = event["requestId"], event["request"]["url"]
        if urlsplit(url).path == BLANK_PATH:
            headers = [{"name": "Content-Type", "value": "text/html"}]
            answer = {"requestId": request_id, "responseCode": 200, "responseHeaders": headers, "body": ""}
            self.target.post("Fetch.fulfillRequest", answer)
        elif self.record.may_reach(url):
            self.target.post("Fetch.continueRequest", {"requestId": request_id})
        else:
            self.target.post("Fetch.failRequest", {"requestId": request_id, "errorReason": "BlockedByClient"})
            _keep(self.record.failed, f"{event['request']['method']} {url} blocked: foreign host")

    def _request(self, event: dict[str, Any]) -> None:
        request = event["request"]
        parts = urlsplit(request["url"])
        if parts.scheme in ("http", "https") and self.record.may_reach(request["url"]):
            self.record.origins.add(f"{parts.scheme}://{parts.netloc}")
        self._note(event["requestId"], event.get("type", ""), request)
        if event.get("type") in AWAITED:
            line = f"{request['method']} {request['url']}"
            self._requests[event["requestId"]] = (line, asyncio.get_running_loop().time())

    def _note(self, request_id: str, kind: str, request: dict[str, Any]) -> None:
        """Keep what a page asks its server for by itself or for its user, not what it is built of."""
        if kind in ("Document", "XHR", "Fetch", "Ping", "Other"):
            told = {"id": request_id, "method": request["method"], "url": request["url"], "status": None}
            _keep(self.record.requests, {**told, "body": request.get("postData", "")[:BODY_CHARACTERS]})

    def _response(self, event: dict[str, Any]) -> None:
        response = event["response"]
        for request in self.record.requests:
            if request["id"] == event["requestId"] and request["status"] is None:
                request["status"] = response["status"]
        if event.get("type") == "EventSource" or "event-stream" in response.get("mimeType", ""):
            self._requests.pop(event["requestId"], None)
        if response["status"] >= 400 and not response["url"].endswith("/favicon.ico"):
            line, _ = self._requests.get(event["requestId"], (f"GET {response['url']}", 0))
            _keep(self.record.failed, f"{line} {response['status']}")

    def _loading_failed(self, event: dict[str, Any]) -> None:
        line, _ = self._requests.pop(event["requestId"], ("", 0))
        reason = event.get("errorText") or "failed"
        is_known = event.get("canceled") or event.get("blockedReason") or reason in EXPECTED_FAILURES
        if line and not is_known:
            _keep(self.record.failed, f"{line} {reason}")


def _keep(entries: list[Any], entry: Any) -> None:
    if len(entries) < MOST:
        entries.append(entry)


def _argument(value: dict[str, Any]) -> str:
    if "value" in value:
        return str(value["value"])
    return str(value.get("description", value.get("type", ""))).splitlines()[0]


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "") if parts.scheme.startswith("http") else url[:80]


def _same_place(netloc: str, allowed: str) -> bool:
    if netloc == allowed:
        return True
    one, other = urlsplit(f"//{netloc}"), urlsplit(f"//{allowed}")
    try:
        return one.port == other.port and {one.hostname, other.hostname} <= LOOPBACK
    except ValueError:  # a port that is no number
        return False
