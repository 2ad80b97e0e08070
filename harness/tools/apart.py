"""Programs of our own that read what anybody may have written: run apart, without our environment, ended when slow.

A function that hangs on a hostile pattern or falls over a hostile picture would take the harness with it; one that
takes all memory, the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from collections.abc import Sequence

from harness.errors import ToolFailed

MEMORY_BYTES = 1 << 30
"""Of address space."""


async def run_apart(program: str, given: bytes, seconds: float, descriptors: Sequence[int] = ()) -> bytes:
    """What a program answers on standard output.

    Args:
        program: file of a module with a `main`, which reads all of its input first.
        given: its standard input.
        seconds: after which it is killed.
        descriptors: that it may use, under the same numbers.

    Raises: TimeoutError: it was killed; ToolFailed: it fell over.
    """
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=descriptors,
        env={},
    )
    try:
        _bound(started.pid)  # it waits for its input; a function run in it before its start may hang where threads are
        async with asyncio.timeout(seconds):
            answer, errors = await started.communicate(given)
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
    if started.returncode:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise ToolFailed(f"It cannot be read: {lines[-1] if lines else f'exit code {started.returncode}'}")
    return answer


def _bound(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended already, and says why
        _, most = resource.prlimit(pid, resource.RLIMIT_AS)
        most = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
        resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
