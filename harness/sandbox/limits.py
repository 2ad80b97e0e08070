"""Limits the kernel keeps for each process, set by `prlimit` after the sandbox is entered.

Not by code between fork and exec, which is unsafe in a process with threads; and inside, because there the kernel
counts the processes of this command instead of all of the person's.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Sequence
from enum import Enum

from harness.sandbox.mounts import PROGRAMS
from harness.sandbox.policy import Limits


class Bounds(Enum):
    """Which limits a kind of process gets."""

    COMMAND = "command"
    """All of them."""
    SERVER = "server"
    """No processor time: it runs as long as the session."""
    WORKER = "worker"
    """Only no core files: Chromium maps and opens more than any limit that would be of use."""


def with_limits(
    argv: Sequence[str], limits: Limits, bounds: Bounds, *, cpu_seconds: int = 0, sandboxed: bool = True
) -> list[str]:
    """The command line with its limits, and ended with its parent where no sandbox does that."""
    prlimit = shutil.which("prlimit", path=PROGRAMS)
    if prlimit is None:  # not Linux: there only the wall clock and the watch over memory are left
        return list(argv)
    wanted = ["--core=0"]
    if bounds is not Bounds.WORKER:
        wanted += [
            _at_most("nofile", resource.RLIMIT_NOFILE, limits.open_files),
            _at_most("fsize", resource.RLIMIT_FSIZE, limits.file_bytes),
            _at_most("data", resource.RLIMIT_DATA, limits.process_bytes),
        ]
        wanted += [_at_most("nproc", resource.RLIMIT_NPROC, limits.processes)] if sandboxed else []
    if bounds is Bounds.COMMAND and cpu_seconds:
        # per process, and a compiler may use every core for as long as the wall clock allows
        cpu = cpu_seconds * (os.cpu_count() or 1)
        wanted.append(f"--cpu={cpu}:{cpu + 1}")
    return [*([] if sandboxed else _with_parent()), prlimit, *wanted, "--", *argv]


def named_limit(exit_code: int, limits: Limits) -> str:
    """The limit an exit code stands for; empty for an ordinary one."""
    names = {152: "processor time limit", 153: f"file size limit {limits.file_bytes >> 20} MB"}
    return names.get(exit_code, "")


def _at_most(name: str, kind: int, wanted: int) -> str:
    hard = resource.getrlimit(kind)[1]
    return f"--{name}={wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)}"


def _with_parent() -> list[str]:
    setpriv = shutil.which("setpriv", path=PROGRAMS)
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
