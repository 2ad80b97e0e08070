"""The one way out of a private loopback: a proxy that lets named hosts through and tells what it decided.

It runs in the harness, on a listening socket that was made inside (`loopback` hands it over): nothing is mounted for
it, and neither the machine nor another room reaches it. A name is judged before it is looked up, it is looked up once
and here, and the connection goes to the very address that was judged, so a name that answers differently the next
time gains nothing. Everything else inside has no network at all, so whoever ignores the proxy reaches nobody.

Ours because the kept proxies for Python either start processes of their own (proxy.py) or connect by name (pproxy);
heads are read and written by h11.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn
from urllib.parse import urlsplit

import h11

from harness.events import NetworkAsked
from harness.sandbox.hosts import AllowedHost, find
from harness.sandbox.relay import PIECE_BYTES, close, relay

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a name."""
Note = Callable[[NetworkAsked], object]

PORT = 17999
"""On the loopback, below the ports that applications get."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEAD_BYTES = 1 << 16
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 30.0
CONNECTIONS = 128
"""At once; more are told to come back."""
NOTED = 1000
"""Different refusals that are told, and hosts of each line that allows several; a program may ask for ever."""
NAME = 255
"""Characters of a name that are told."""
BETWEEN_TWO = {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"upgrade", b"te", b"host"}
"""Headers that concern the way to us, or that we write ourselves."""


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


async def resolve(host: str, port: int) -> list[str]:
    """Addresses as the machine's own resolver gives them.

    Raises: OSError: there are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def environment(hosts: Sequence[AllowedHost]) -> dict[str, str]:
    """What tells programs inside where the proxy is; their own loopback they ask directly."""
    given = {host.name for host in hosts}
    url, direct = f"http://127.0.0.1:{PORT}", ",".join(name for name in LOOPBACK if name not in given)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    return {**dict.fromkeys(names, url), "NO_PROXY": direct, "no_proxy": direct, "NODE_USE_ENV_PROXY": "1"}


@asynccontextmanager
async def proxy(
    listener: socket.socket, hosts: Sequence[AllowedHost], note: Note, resolve: Resolve = resolve
) -> AsyncIterator[None]:
    """Let the hosts be reached by whoever connects to the listener, until it is left.

    Args:
        listener: bound on a private loopback; closed on leaving.
        hosts: nothing else is reached.
        note: told of each decision, once each, and once when there are too many to be told.
        resolve: finds addresses.
    """
    serving = _Proxy(hosts, note, resolve)
    async with await asyncio.start_server(serving.handle, sock=listener):
        try:
            yield
        finally:
            serving.stop()


class _Proxy:
    def __init__(self, hosts: Sequence[AllowedHost], note: Note, resolve: Resolve) -> None:
        self._hosts, self._note, self._resolve = hosts, note, resolve
        self._noted: defaultdict[AllowedHost | None, set[tuple[str, int]]] = defaultdict(set)
        """What was told, by the line that allowed it; None: refused."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except _Refused as refused:
            writer.write(_answer(refused))
        except (OSError, TimeoutError, asyncio.CancelledError):  # either side went away, or the room closes
            pass
        finally:
            self._tasks.discard(task)
            await close(writer)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) > CONNECTIONS:
            raise _Refused(503, "too many connections at once")
        async with asyncio.timeout(HEAD_SECONDS):
            request, rest = await _read_head(reader)
        host, port = _target(request)
        far_reader, far_writer = await self._connect(host, port)
        try:
            if request.method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(_head_for(request))
            far_writer.write(rest)
            await relay((reader, far_writer), (far_reader, writer))
        finally:
            await close(far_writer)

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        allowed = find(self._hosts, host, port)
        if allowed is None:
            self._refuse(host, port, "it is not among the hosts that are allowed")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await self._resolve(host, port)
        except (OSError, TimeoutError, UnicodeError) as exc:
            raise _Refused(502, f"{host} has no address: {exc}") from exc
        judged = {address: allowed.judge(address) for address in addresses}
        good = [address for address, reason in judged.items() if not reason]
        if not good:
            self._refuse(host, port, next(iter(judged.values()), "it has no address"))
        self._tell(allowed, NetworkAsked(host=host[:NAME], port=port, allowed=True, address=good[0]))
        for address in good:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
        raise _Refused(502, f"{host}:{port} does not answer")

    def _refuse(self, host: str, port: int, reason: str) -> NoReturn:
        self._tell(None, NetworkAsked(host=host[:NAME], port=port, allowed=False, reason=reason))
        raise _Refused(403, f"{host}:{port} cannot be reached from here: {reason}")

    def _tell(self, line: AllowedHost | None, asked: NetworkAsked) -> None:
        """Once each, by line: else who is refused often enough could reach what is allowed untold."""
        noted, key = self._noted[line], (asked.host, asked.port)
        if key in noted or len(noted) > NOTED:
            return
        noted.add(key)
        if len(noted) > NOTED:
            name, port = (line.name, line.port) if line else ("*", 0)
            more = f"there were {NOTED} different ones; no more of these are told"
            asked = NetworkAsked(host=name, port=port, allowed=asked.allowed, reason=more)
        self._note(asked)


async def _read_head(reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    """The first request, and what came after its head."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    try:
        while (event := parser.next_event()) is h11.NEED_DATA:
            parser.receive_data(await reader.read(PIECE_BYTES))
    except h11.RemoteProtocolError as exc:
        raise _Refused(400, f"no request: {exc}") from exc
    if not isinstance(event, h11.Request):
        raise _Refused(400, "no request")
    return event, parser.trailing_data[0]


def _target(request: h11.Request) -> tuple[str, int]:
    """Host and port a request is for."""
    text = request.target.decode("ascii", errors="replace")
    try:
        url = urlsplit(f"//{text}" if request.method == b"CONNECT" else text)
        port = url.port or (0 if request.method == b"CONNECT" else 80)
    except ValueError as exc:
        raise _Refused(400, f"no address: {exc}") from exc
    if not url.hostname or not port or (url.scheme or "http") != "http" or url.username is not None:
        raise _Refused(400, "this is a proxy: ask for http://HOST/PATH, or for CONNECT HOST:PORT")
    return url.hostname, port


def _head_for(request: h11.Request) -> bytes:
    """The head as the far server gets it: one request, then it closes."""
    url = urlsplit(request.target.decode("ascii"))
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    kept = [(name, value) for name, value in request.headers if name not in BETWEEN_TWO]
    headers = [(b"host", url.netloc.encode()), *kept, (b"connection", b"close")]
    try:
        return h11.Connection(h11.CLIENT).send(h11.Request(method=request.method, target=path, headers=headers)) or b""
    except h11.LocalProtocolError as exc:
        raise _Refused(400, f"no request: {exc}") from exc


def _answer(refused: _Refused) -> bytes:
    body = f"{refused.reason}\n".encode(errors="replace")
    head = f"HTTP/1.1 {refused.status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
