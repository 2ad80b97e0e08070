"""A model for tests: a real Chat Completions server on loopback whose answers come from the test.

    with ScriptedModel([call("write_file", path="a.txt", content="hello"), text("done")]) as model:
        settings = ModelSettings(name="scripted", base_url=model.base_url)

A list is answered in order, and a request beyond its end fails loudly; a callable gets the whole `Request` and
decides. A reply may also be a fault: `status(429, retry_after=1)`, `body("<html>")`, `hang()`, `drop()`, `drip()`.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import unquote

from harness.recording import LoopbackServer


@dataclass(frozen=True)
class Request:
    """One request as the endpoint saw it."""

    conversation: str
    """The harness's name of the conversation; empty when it sent none."""
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    turn: int
    """Number of assistant messages before."""
    body: dict[str, Any]
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def tool_names(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.tools]

    @property
    def system(self) -> str:
        return "\n".join(str(m["content"]) for m in self.messages if m["role"] in ("system", "developer"))

    @property
    def last(self) -> str:
        """The text of the last message."""
        return str(self.messages[-1]["content"])


@dataclass(frozen=True)
class Fault:
    """An answer no good endpoint gives."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    kind: str = "answer"
    """answer, hang, drop (no answer), cut (in the middle of it) or drip (a byte at a time)."""


Reply = dict[str, Any] | str | Fault
_ids = itertools.count(1)


def text(content: str, **more: Any) -> dict[str, Any]:
    """A plain answer. `more`: finish_reason, usage, or any other top-level key."""
    return completion({"role": "assistant", "content": content}, **{"finish_reason": "stop", **more})


def call(tool: str, arguments: dict[str, Any] | None = None, /, say: str | None = None, **named: Any) -> dict[str, Any]:
    """One tool call; its arguments as a dict, by name, or both."""
    return calls([(tool, {**(arguments or {}), **named})], say=say)


def calls(wanted: Iterable[tuple[str, dict[str, Any]]], say: str | None = None) -> dict[str, Any]:
    """Several tool calls in one answer."""
    return raw_calls([(tool, json.dumps(arguments), None) for tool, arguments in wanted], say=say)


def raw_calls(wanted: Iterable[tuple[str, Any, str | None]], say: str | None = None, **more: Any) -> dict[str, Any]:
    """Tool calls as (name, arguments as they stand, id or None): for wrong ones."""
    made = [
        {"id": call_id or f"call_{next(_ids)}", "type": "function", "function": {"name": tool, "arguments": arguments}}
        for tool, arguments, call_id in wanted
    ]
    message = {"role": "assistant", "content": say, "tool_calls": made}
    return completion(message, **{"finish_reason": "tool_calls", **more})


def completion(message: dict[str, Any], *, finish_reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A whole chat completion around a message."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason}]
    head = {"id": f"chatcmpl-{next(_ids)}", "object": "chat.completion", "created": 0, "model": "scripted"}
    return {**head, "choices": choices, "usage": usage, **more}


def status(number: int, message: str = "scripted fault", /, **more: Any) -> Fault:
    """An error answer. `more`: code, type, and retry_after for the header."""
    headers = {"Retry-After": str(more.pop("retry_after"))} if "retry_after" in more else {}
    error = {"message": message, "type": more.get("type", "server_error"), "code": more.get("code"), "param": None}
    return Fault(number, {"Content-Type": "application/json", **headers}, json.dumps({"error": error}).encode())


def body(raw: str | bytes, content_type: str = "text/html", code: int = 200, **headers: str) -> Fault:
    """Any bytes as an answer."""
    data = raw.encode() if isinstance(raw, str) else raw
    return Fault(code, {"Content-Type": content_type, **headers}, data)


def hang() -> Fault:
    """Accept the request and say nothing."""
    return Fault(kind="hang")


def drop() -> Fault:
    """Close the connection instead of answering."""
    return Fault(kind="drop")


def cut(reply: dict[str, Any]) -> Fault:
    """Close the connection in the middle of the answer."""
    return Fault(body=json.dumps(reply).encode(), kind="cut")


def drip() -> Fault:
    """Send the answer a byte at a time, without an end."""
    return Fault(kind="drip")


class ScriptedModel(LoopbackServer):
    """Serve replies; a context manager.

    Args:
        reply: a list of replies in order, or a callable that makes one from a request.
        models: names for GET /v1/models.
    """

    def __init__(self, reply: Callable[[Request], Reply] | Iterable[Reply], models: tuple[str, ...] = ("scripted",)):
        self.requests: list[Request] = []
        """Every chat request so far, failed ones included."""
        self.models = models
        self.stopping = threading.Event()
        self._reply = reply if callable(reply) else _in_order(reply)
        self._lock = threading.Lock()
        super().__init__(_Handler)

    def answer(self, request: Request) -> Reply:
        """Decide the answer to a request; one at a time, so that a script sees them in order."""
        with self._lock:
            self.requests.append(request)
            try:
                return self._reply(request)
            except Exception as exc:
                # Not retried by the client, and shown by it: the test sees its own script's fault.
                return status(400, f"the script failed: {type(exc).__name__}: {exc}")

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        super().__exit__()

    def __enter__(self) -> Self:
        super().__enter__()
        return self


def _in_order(replies: Iterable[Reply]) -> Callable[[Request], Reply]:
    waiting = iter(replies)

    def reply(request: Request) -> Reply:
        for item in waiting:
            return item
        raise LookupError(f"no reply left for turn {request.turn} of {request.conversation!r}: {request.last[:200]}")

    return reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: ScriptedModel

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        models = [{"id": name, "object": "model"} for name in self.server.models]
        self._send(200, {"Content-Type": "application/json"}, json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = self.server.answer(_request(sent, {key.lower(): value for key, value in self.headers.items()}))
        if isinstance(reply, str):
            reply = text(reply)
        if isinstance(reply, dict):
            reply = Fault(200, {"Content-Type": "application/json"}, json.dumps(reply).encode())
        getattr(self, f"_{reply.kind}")(reply)

    def _answer(self, fault: Fault) -> None:
        self._send(fault.status, fault.headers, fault.body)

    def _send(self, code: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _hang(self, fault: Fault) -> None:
        self.server.stopping.wait()
        self.close_connection = True

    def _drop(self, fault: Fault) -> None:
        self._reset()

    def _cut(self, fault: Fault) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(fault.body)))
        self.end_headers()
        self.wfile.write(fault.body[: len(fault.body) // 2])
        self.wfile.flush()
        self._reset()

    def _drip(self, fault: Fault) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.close_connection = True
        try:
            while not self.server.stopping.wait(0.02):
                self.wfile.write(b" ")
                self.wfile.flush()
        except OSError:
            return

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def _request(sent: dict[str, Any], headers: dict[str, str]) -> Request:
    messages = sent.get("messages", [])
    turn = sum(message["role"] == "assistant" for message in messages)
    conversation = unquote(headers.get("x-harness-conversation", ""))
    return Request(conversation, messages, sent.get("tools", []), turn, sent, headers)
