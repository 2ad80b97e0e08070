"""One process owns a project at a time.

The kernel's lock on an open file decides, not the file's existence or content: it is free the moment its holder dies,
however it dies. The content only tells a second one who the first is. The file is never deleted, because a deleted
lock file lets two processes each hold a lock on their own copy of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from harness.disk import cannot_write
from harness.errors import SetupError

if TYPE_CHECKING:
    from harness.project import Project

_PATIENCE_SECONDS = 0.3
"""A reader asks with a shared lock that lasts microseconds; an owner waits it out."""


@dataclass(frozen=True)
class Holder:
    """Who holds a project."""

    pid: int
    host: str
    thread: str
    started: str
    """ISO 8601, UTC."""

    def __str__(self) -> str:
        thread = f" for thread {self.thread!r}" if self.thread else ""
        return f"process {self.pid} on {self.host}{thread}, since {self.started}"


class ProjectLock:
    """Holds a project from `with` to its end, or to the death of the process."""

    def __init__(self, project: Project, thread_id: str = "") -> None:
        self._path = project.lock_file
        self._project = project
        self._thread_id = thread_id
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock on the file that others would open now."""
        return self._descriptor is not None and _is_same_file(self._descriptor, self._path)

    def acquire(self) -> None:
        """Take the lock.

        Raises: SetupError: another process has it (named), or the file cannot be made.
        """
        self._project.prepare_state()
        descriptor = _open(self._path)
        if not (_lock_patiently(descriptor) and _is_same_file(descriptor, self._path)):
            os.close(descriptor)
            raise _held_by_other(self._path)
        self._descriptor = descriptor
        self._sign()

    def release(self) -> None:
        """Give it back; harmless when not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> ProjectLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _sign(self) -> None:
        assert self._descriptor is not None
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder = Holder(os.getpid(), socket.gethostname(), self._thread_id, started)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(asdict(holder)).encode(), 0)


def read_holder(project: Project) -> Holder | None:
    """Tell who holds a project without taking it; None when nobody does."""
    try:
        descriptor = os.open(project.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(project.lock_file)
    finally:
        os.close(descriptor)
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise cannot_write(path, exc) from exc


def _lock_patiently(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(path: Path) -> Holder:
    """Read the signature; a holder that has not signed yet is still a holder."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError):
        return Holder(0, "this machine", "", "a moment ago")


def _held_by_other(path: Path) -> SetupError:
    holder = _read(path)
    remedy = f"Wait for it, or stop it with `kill -INT {holder.pid}`." if holder.pid else "Try again in a moment."
    return SetupError(f"The project is in use by {holder}.", remedy)
