"""Process trees, read from /proc: who belongs to whom, how much memory, and ending them.

Inside the sandbox the kernel ends a tree with its first process; here is what is needed besides: a polite end, memory
of a whole tree, and, with the sandbox off, finding processes that left their parents, by a mark in their environment.
Where there is no /proc, a process group is all that is known.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
MARK = "HARNESS_MARK"
"""Variable that every process of a room carries."""
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of processes whose parent ends, so that they can be waited for.

    The first process of a container often waits for nobody; each command would leave a dead entry.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_time(pid: int) -> str:
    """Clock ticks after boot at which it started; with the pid it names a process for good. Empty: no such."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def is_alive(pid: int) -> bool:
    """Running, not merely waiting to be reaped."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def descendants(roots: Iterable[int]) -> dict[int, list[int]]:
    """For each root, itself and everything below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid in _pids():
        if fields := _stat(pid):
            children[int(fields[1])].append(pid)
    return {root: _below(root, children) for root in roots}


def marked(mark: str) -> list[int]:
    """Processes that carry the mark, wherever they went."""
    needle = f"{MARK}={mark}".encode()
    return [pid for pid in _pids() if _carries(pid, needle)]


def memory_bytes(pids: Iterable[int]) -> int:
    """Resident memory that is not files: anonymous and shared."""
    return sum(_resident(pid) for pid in pids)


def end(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each; those gone already are no fault."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the group a process leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def reap(pids: Iterable[int]) -> None:
    """Collect adopted processes that ended."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208 - names only, in a hot loop
    except FileNotFoundError:
        return []


def _stat(pid: int) -> list[str]:
    """Fields after the name, which may itself hold blanks: state, parent, ..."""
    return _read(pid, "stat").rpartition(b")")[2].decode().split()


def _below(root: int, children: dict[int, list[int]]) -> list[int]:
    found, queue = [], [root]
    while queue:
        found.append(pid := queue.pop())
        queue += children.get(pid, [])
    return found


def _carries(pid: int, needle: bytes) -> bool:
    return needle in _read(pid, "environ").split(b"\0")


def _resident(pid: int) -> int:
    lines = _read(pid, "status").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:  # it ended, or belongs to somebody else
        return b""
