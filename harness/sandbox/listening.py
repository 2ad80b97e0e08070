"""Which process listens on which port, read from /proc: no program is asked, and nothing runs in the room for it.

Sockets are told by the network namespace they lie in, owners by the descriptors each process holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from harness.sandbox.tree import PROC

_LISTENING = "0A"
_PORT, _STATE, _INODE = 1, 3, 9
"""Columns of /proc/net/tcp."""


def listening_ports(pids: Iterable[int]) -> list[int]:
    """TCP ports on which one of these processes listens, sorted; what ended meanwhile has none."""
    ports: set[int] = set()
    for pid in pids:
        if held := set(_sockets(pid)):
            ports |= {port for inode, port in _listeners(pid) if inode in held}
    return sorted(ports)


def _sockets(pid: int) -> Iterator[str]:
    directory = PROC / str(pid) / "fd"
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names only, in a hot loop
    except OSError:  # it ended, or belongs to somebody else
        return
    for name in names:
        try:
            target = os.readlink(f"{directory}/{name}")  # noqa: PTH115 - as above
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _listeners(pid: int) -> Iterator[tuple[str, int]]:
    for name in ("tcp", "tcp6"):
        try:
            rows = (PROC / str(pid) / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, rows):
            if columns[_STATE] == _LISTENING:
                yield columns[_INODE], int(columns[_PORT].rpartition(":")[2], 16)
