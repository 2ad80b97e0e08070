"""Carrying bytes between two connections, and a door from this machine into a private loopback.

The door is for the person alone: it listens on this machine's 127.0.0.1 and connects to what listens inside. Nothing
inside gains a way out by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

PIECE_BYTES = 1 << 16
Dial = Callable[[], Awaitable[socket.socket]]
"""A new connection to what is to be reached. Raises: OSError: nothing answers."""
_NOBODY = b"The application does not answer.\n"
_SORRY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_NOBODY), _NOBODY)
)


async def relay(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Both ways until both are over."""
    async with asyncio.TaskGroup() as group:
        for reader, writer in ways:
            group.create_task(_pour(reader, writer))


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def door(port: int, dial: Dial) -> AsyncIterator[int]:
    """Let this machine reach what `dial` connects to; yields the port it listens on.

    Args:
        port: of this machine; 0: any that is free.
        dial: called for each connection, so what is reached may change; connections that are open stay with the old.

    Raises: OSError: the port is taken.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await _through(reader, writer, dial)
        except (OSError, asyncio.CancelledError):  # either side went away, or the door closes
            pass
        finally:
            tasks.discard(task)
            await close(writer)

    async with await asyncio.start_server(handle, "127.0.0.1", port) as server:
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            if tasks:
                await asyncio.wait(list(tasks))


async def _through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dial: Dial) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(sock=await dial())
    except OSError:
        writer.write(_SORRY)
        return
    try:
        await relay((reader, far_writer), (far_reader, writer))
    finally:
        await close(far_writer)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
