"""What a disk refuses is told with the file and what to do, by whichever library it is met."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from harness.disk import cannot_write, refused_by_disk


def refusal(number: int, *names: str) -> OSError:
    return OSError(number, os.strerror(number), *names[:1], *([None, names[1]] if len(names) > 1 else []))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Make room where /state lies, then give the same command again."),
        (errno.EDQUOT, "Make room where /state lies"),
        (errno.EROFS, "/state lies on a file system that is read-only"),
        (errno.EIO, "Look whether there is room where /state lies, and"),
        (errno.EACCES, "Make /state writable."),
    ],
)
def test_the_remedy_is_about_what_is_missing(number: int, remedy: str) -> None:
    assert cannot_write("/state/x.json", refusal(number)).remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("exc", "told"),
    [
        (refusal(errno.ENOSPC, "/state/a"), "/state/a cannot be written: No space left on device."),
        (refusal(errno.ENOSPC, "/project/a", "/state/b"), "/state/b cannot be written"),
        (refusal(errno.ENOSPC), "A file cannot be written: No space left on device."),
        (shutil.Error([("/a", "/state/b", str(refusal(errno.ENOSPC)))]), "/state/b cannot be written: No space"),
        (sqlite3.OperationalError("database or disk is full"), "A file cannot be written: No space left on device."),
        (sqlite3.OperationalError("attempt to write a readonly database"), "A file cannot be written: Permission"),
    ],
)
def test_a_refusal_that_met_nobody_is_told_as_one(exc: Exception, told: str) -> None:
    found = refused_by_disk(exc)
    assert found is not None
    assert str(found).startswith(told)
    assert found.exit_code == 3


@pytest.mark.parametrize(
    "exc",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        sqlite3.OperationalError("no such table: x"),
        shutil.Error([("/a", "/b", "it is something else")]),
        ValueError("x"),
    ],
)
def test_any_other_error_is_none(exc: Exception) -> None:
    assert refused_by_disk(exc) is None


def test_a_device_without_room_says_so() -> None:
    """/dev/full refuses every byte, which is what a full disk does."""
    with pytest.raises(OSError, match="No space left") as met:
        Path("/dev/full").write_text("x")
    assert "Make room" in str(refused_by_disk(met.value))
