"""The working directory of commands, written and read from outside without following what lies in it.

What runs there may leave links, pipes and a million files. So each step down is taken by its own name, never through a
link, and what is read is bounded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from harness.verify.exchanges.answer import writable

FILES = 200
FILE_BYTES = 256 << 10
ALL_BYTES = 2 << 20
DEEPEST = 60
"""Directories below one another that are looked into."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def is_inside(path: str) -> bool:
    """Whether a path names something below a directory, and not the directory or its surroundings."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts and "\0" not in path


def lay_down(root: Path, files: Mapping[str, str]) -> None:
    """Write files; what is there under a name is replaced.

    Raises: OSError: a directory on the way is a link or a file. ValueError: a path leads out.
    """
    for path, content in files.items():
        if not is_inside(path):
            raise ValueError(f"{path!r} leads out of the working directory")
        *above, name = PurePosixPath(path).parts
        directory = os.open(root, _DIRECTORY)
        try:
            for part in above:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=directory)
                inner = os.open(part, _DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = inner
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
            with os.fdopen(os.open(name, _NEW, 0o644, dir_fd=directory), "wb") as file:
                file.write(content.encode(errors="surrogatepass"))
        finally:
            os.close(directory)


def gather(root: Path) -> dict[str, str]:
    """Path -> content of the plain files, as text; what is too much is left out. None of a directory that is gone."""
    try:
        directory = os.open(root, _DIRECTORY)
    except OSError:  # a command can remove it, or put something else in its place
        return {}
    try:
        return _gathered(directory)
    finally:
        os.close(directory)


def _gathered(root: int) -> dict[str, str]:
    found: dict[str, str] = {}
    left = ALL_BYTES
    for place, directories, names, descriptor in os.fwalk(".", follow_symlinks=False, dir_fd=root):
        directories[:] = sorted(directories) if len(Path(place).parts) < DEEPEST else []
        for name in sorted(names):
            if len(found) >= FILES:
                return found
            data = _plain(name, descriptor)
            if data is not None and len(data) <= left:
                left -= len(data)
                found[writable(str(Path(place, name)))] = data.decode("utf-8", errors="replace")
    return found


def _plain(name: str, directory: int) -> bytes | None:
    """The content of a plain file of bounded size; None for anything else."""
    with suppress(OSError):
        if not stat.S_ISREG(os.lstat(name, dir_fd=directory).st_mode):
            return None
        descriptor = os.open(name, _PLAIN, dir_fd=directory)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.fstat(descriptor).st_size <= FILE_BYTES:
                return file.read(FILE_BYTES)
    return None
