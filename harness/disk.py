"""What a refusal of the file system means for the person: which file, why, and what to do about it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from harness.errors import SetupError

_OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_OF_SQLITE = {
    "disk is full": errno.ENOSPC,
    "readonly database": errno.EACCES,
    "disk I/O error": errno.EIO,
}


def cannot_write(what: str | Path, exc: OSError) -> SetupError:
    """What a file system's refusal means for the person, by its reason: no room, or no right."""
    why = exc.strerror or str(exc)
    remedy = f"Make {Path(what).parent} writable."
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = f"Make room where {Path(what).parent} lies, then give the same command again."
    elif exc.errno == errno.EIO:
        remedy = f"Look whether there is room where {Path(what).parent} lies, and whether that disk has a fault."
    elif exc.errno == errno.EROFS:
        remedy = f"{Path(what).parent} lies on a file system that is read-only; have it mounted to be written."
    return SetupError(f"{what} cannot be written: {why}.", remedy)


def refused_by_disk(exc: BaseException, what: str | Path = "") -> SetupError | None:
    """The same for an error of the file system that met nobody on its way; None for any other error.

    `shutil` gathers such errors and keeps their words alone; SQLite has words of its own.

    Args:
        exc: any error.
        what: the file it is about, where the error does not say.
    """
    if isinstance(exc, shutil.Error):
        (_, target, why), *_ = exc.args[0]
        numbers = [number for number in _OF_DISK if os.strerror(number) in str(why)]
        return cannot_write(target, OSError(numbers[0], os.strerror(numbers[0]))) if numbers else None
    if type(exc).__name__ == "OperationalError":
        number = next((number for words, number in _OF_SQLITE.items() if words in str(exc)), 0)
        exc = OSError(number, os.strerror(number))
    if not isinstance(exc, OSError) or exc.errno not in _OF_DISK:
        return None
    if name := exc.filename2 or exc.filename or what:
        return cannot_write(name, exc)
    remedy = "Make room or rights where the state lies (`harness status` says where), then give the same command again."
    return SetupError(f"A file cannot be written: {exc.strerror}.", remedy)
