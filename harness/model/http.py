"""The HTTP client: proxies of the environment, but never for this machine itself, and answers of a bounded size."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from harness.address import shown
from harness.errors import SetupError
from harness.model.stream import completion_of

if TYPE_CHECKING:
    import httpx2

ANSWER_BYTES = 32_000_000
"""After decompression; no completion is this large, but a compressed answer of a few kilobytes can be."""


@dataclass
class Sent:
    """What a call put on the wire; the client sends in a task of its own, which can fill a value but not hand it up."""

    body: bytes = b""


SENT: ContextVar[Sent | None] = ContextVar("sent", default=None)
"""Set by who wants to know."""


class Transport(Protocol):
    """What carries requests; a `Recorder` is one."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request and return its response."""

    async def aclose(self) -> None:
        """Close connections."""


def open_http(url: str, transport: Transport | None = None) -> httpx2.AsyncClient:
    """A client for one endpoint."""
    from openai import DefaultAsyncHttpxClient

    return DefaultAsyncHttpxClient(
        transport=transport,  # type: ignore[arg-type]  # one by its shape, not by its class
        trust_env=not is_loopback(url),
        event_hooks={"request": [_remember], "response": [_bounded, _unstreamed]},
    )


async def _remember(request: httpx2.Request) -> None:
    if (sent := SENT.get()) is not None:
        sent.body = request.content


async def _bounded(response: httpx2.Response) -> None:
    """Read the answer piece by piece, and give up on an endless one."""
    import httpx2

    pieces, size = [], 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES:
            await response.aclose()
            raise httpx2.DecodingError(f"the answer is larger than {ANSWER_BYTES} bytes")
    # What `aread` would do, which has no limit.
    response._content = b"".join(pieces)


async def _unstreamed(response: httpx2.Response) -> None:
    """Make a streamed answer the one it would have been; some endpoints stream whatever they are asked."""
    if response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        response._content = json.dumps(completion_of(response.content)).encode()
        response.headers["content-type"] = "application/json"


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own.

    Raises: SetupError: it is not an address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 and parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise SetupError(f"OPENAI_BASE_URL is not an address: {shown(url)!r}", "It looks like https://host/v1.")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
