"""The private loopback of a session: a process that only holds a user and a network namespace with `lo` up.

The application, commands and the browser join it, so that they reach each other, while nothing of the machine reaches
them and they reach nothing else. Apart from bubblewrap because a namespace bubblewrap makes cannot be joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass

from harness.errors import ShellError
from harness.sandbox.mounts import program

UP = """
import fcntl, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))
if len(sys.argv) > 1:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"-"], [listener.fileno()])
    listener.close()
print("up", flush=True)
sys.stdin.read()
"""
"""Sets IFF_UP | IFF_RUNNING on lo (SIOCSIFFLAGS), then lives until its standard input closes: with the harness.

A socket stays in the namespace it was made in, whoever holds it: with a port, one that listens here is handed out.
"""

DIAL = """
import socket, sys
asked = socket.socket(fileno=int(sys.argv[1]))
print("up", flush=True)
while word := asked.recv(16):
    try:
        made = socket.create_connection(("127.0.0.1", int(word)), 5)
    except OSError:
        asked.send(b"-")
        continue
    made.settimeout(None)
    socket.send_fds(asked, [b"+"], [made.fileno()])
    made.close()
"""
"""Connects inside to each port it is asked for and hands the socket out; lives until nobody can ask any more."""

START_SECONDS = 20.0


@dataclass(frozen=True)
class Holder:
    """A private loopback that is up."""

    process: Process
    listener: socket.socket | None = None
    """Listens inside, and is served from outside; asyncio takes it over."""

    @property
    def pid(self) -> int:
        """Whose namespaces are joined."""
        return self.process.pid


def command(*arguments: str) -> list[str]:
    """What holds the namespaces."""
    return [program("unshare"), "-U", "-r", "-n", "--", sys.executable, "-I", "-S", "-c", UP, *arguments]


async def hold(port: int | None = None) -> Holder:
    """Start the holder and wait until its loopback is up.

    Args:
        port: of a listening socket to be made inside; None: there is none.

    Raises: ShellError: no user namespaces here; the person enables them.
    """
    if port is None:
        return Holder(await _started(command()))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await _started(command(str(port), str(theirs.fileno())), theirs.fileno())
        _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    return Holder(process, socket.socket(fileno=listener))


class Dialer:
    """Makes connections to what listens on a private loopback, for use outside of it; from `dialer`."""

    def __init__(self, process: Process, asked: socket.socket) -> None:
        self._process, self._asked, self._one = process, asked, asyncio.Lock()

    async def connect(self, port: int) -> socket.socket:
        """A connection to a port inside.

        Raises: OSError: nothing answers there, or the loopback is gone.
        """
        async with self._one:
            asking = asyncio.ensure_future(asyncio.to_thread(self._connect, port))
            try:
                return await asyncio.shield(asking)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):
                    (await asking).close()  # else the next one would be given it
                raise

    def _connect(self, port: int) -> socket.socket:
        self._asked.send(str(port).encode())
        word, found, _, _ = socket.recv_fds(self._asked, 1, 1)
        if word == b"+" and found:
            return socket.socket(fileno=found[0])
        raise ConnectionRefusedError(f"nothing answers on port {port}")

    async def close(self) -> None:
        """No more connections; those that were made stay."""
        self._asked.close()
        await _end(self._process)


async def dialer(holder_pid: int) -> Dialer:
    """Reach into the loopback of a holder.

    Raises: ShellError: it cannot be joined.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        join = [program("nsenter"), "-t", str(holder_pid), "-U", "-n", "--preserve-credentials", "--"]
        argv = [*join, sys.executable, "-I", "-S", "-c", DIAL, str(theirs.fileno())]
        try:
            process = await _started(argv, theirs.fileno())
        except BaseException:
            ours.close()
            raise
    return Dialer(process, ours)


async def _started(argv: list[str], *passed: int) -> Process:
    holder = await asyncio.create_subprocess_exec(
        *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, pass_fds=passed
    )
    assert holder.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await holder.stdout.readline()
    except TimeoutError:
        line = b""
    if line.strip() == b"up":
        return holder
    raise ShellError(f"No private network could be made: {await _last_words(holder)}", "Run `harness doctor`.")


async def release(holder: Holder) -> None:
    """End the holder; the namespaces go with the last process in them."""
    if holder.listener:
        holder.listener.close()
    await _end(holder.process)


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _last_words(holder: Process) -> str:
    await _end(holder)
    assert holder.stderr is not None
    return (await holder.stderr.read()).decode(errors="replace").strip() or "the holder did not answer"
