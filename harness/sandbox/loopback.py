"""The private loopback of a session: a process that only holds a user and a network namespace with `lo` up.

The application, commands and the browser join it, so that they reach each other, while nothing of the machine reaches
them and they reach nothing else. Apart from bubblewrap because a namespace bubblewrap makes cannot be joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process

from harness.errors import ShellError
from harness.sandbox.mounts import program

UP = (
    "import socket,fcntl,struct,sys;s=socket.socket();"
    "fcntl.ioctl(s,0x8914,struct.pack('16sH14s',b'lo',0x41,b''));print('up',flush=True);sys.stdin.read()"
)
"""Sets IFF_UP | IFF_RUNNING on lo (SIOCSIFFLAGS), then lives until its standard input closes: with the harness."""

START_SECONDS = 20.0


def command() -> list[str]:
    """What holds the namespaces."""
    return [program("unshare"), "-U", "-r", "-n", "--", sys.executable, "-I", "-S", "-c", UP]


async def hold() -> Process:
    """Start the holder and wait until its loopback is up.

    Raises: ShellError: no user namespaces here; the person enables them.
    """
    holder = await asyncio.create_subprocess_exec(
        *command(), stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
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


async def release(holder: Process) -> None:
    """End the holder; the namespaces go with the last process in them."""
    with contextlib.suppress(ProcessLookupError):
        holder.kill()
    await holder.wait()


async def _last_words(holder: Process) -> str:
    await release(holder)
    assert holder.stderr is not None
    return (await holder.stderr.read()).decode(errors="replace").strip() or "the holder did not answer"
