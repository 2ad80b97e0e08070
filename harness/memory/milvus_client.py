"""Opening pymilvus without its surprises.

Three of them: the import reads `.env` files and parses MILVUS_URI for itself; Milvus Lite answers every trouble with
the same words; and closing a client does not let go of Lite's lock.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.address import redact, shown
from harness.errors import RecallError

QUIET = {"grpc.keepalive_time_ms": 2_147_483_647, "grpc.keepalive_permit_without_calls": False}
"""Lite's server takes the client's pings, one in 10 s, for an attack and hangs up."""


class IndexHeldError(RecallError):
    """Another process has Milvus Lite's file."""


class IndexDamagedError(RecallError):
    """Milvus cannot read its own files."""


def connect(uri: str) -> Any:
    """A client of a server, or of Lite when the uri is a path.

    Raises: IndexHeldError: another process has the file. IndexDamagedError: Lite cannot read it.
        RecallError: no server answers.
    """
    client_class = _import_client()
    if is_server(uri):
        with mapped(uri):
            return client_class(uri=uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=5)
    path = Path(uri)
    if owner := lock_owner(path):
        raise IndexHeldError(f"{path} is in use by {owner}.")
    with mapped(uri):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return client_class(uri=uri, grpc_options=QUIET)


def disconnect(client: Any, uri: str) -> None:
    """Close the client and, for Lite, its server and lock."""
    client.close()
    if not is_server(uri):
        release(uri)


def release(uri: str) -> None:
    """Let go of a Lite file this process may hold."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(uri)


def is_server(uri: str) -> bool:
    """Whether the uri names a server; otherwise it is a path for Lite."""
    return "://" in uri


def lock_owner(path: Path) -> str:
    """Who holds Lite's lock, in words; empty when nobody does."""
    import fcntl

    try:
        with (path / "LOCK").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return ""
    except BlockingIOError:
        return _owner_in_words((path / "LOCK").stat().st_ino)
    except OSError:
        return ""


@contextmanager
def mapped(uri: str) -> Iterator[None]:
    """Milvus' errors as ours, without its own lines on the terminal."""
    from grpc import RpcError  # type: ignore[import-untyped]  # grpc has no annotations
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, RpcError, ValueError, OSError) as exc:
        raise _translate(uri, exc) from exc


def _translate(uri: str, exc: Exception) -> RecallError:
    said = redact(" ".join(str(exc).split()), uri)[:300]
    what = f"Milvus at {shown(uri)} failed: {said}"
    if is_server(uri):
        return RecallError(what, "Check MILVUS_URI and MILVUS_TOKEN and that the server runs; nothing was lost.")
    if re.search(r"No space left|Permission denied|Read-only|Too many open files|quota", str(exc)):
        return RecallError(what, "Give it space or rights; the records themselves are safe.")
    return IndexDamagedError(what, "It is rebuilt from the records: `harness memory rebuild`.")


def _import_client() -> Any:
    _silence()
    hidden = {name: os.environ.pop(name) for name in ("MILVUS_URI", "MILVUS_DEFAULT_CONNECTION") if name in os.environ}
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core writes to the terminal what reaches us as an exception
    asked = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    try:
        from pymilvus import MilvusClient
    finally:
        os.environ.update(hidden)
        if asked is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
    _silence()  # the import configures its loggers again
    return MilvusClient


def _silence() -> None:
    # Every failure reaches us as an exception; Lite's server also logs each call it does not know.
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _owner_in_words(inode: int) -> str:
    try:
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                return f"process {fields[4]}"
    except (OSError, IndexError):
        pass  # no /proc on this system, or not in this shape
    return "another process"
