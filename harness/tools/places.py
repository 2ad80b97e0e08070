"""Where the file tools may go: one directory, entered step by step, never through a link.

The tools run in the harness's own process, outside the sandbox, on a tree that hostile code may change at any moment.
So a path is never checked as text and then opened as text: each directory is opened relative to the one before, links
refused by the kernel. Names are compared as other file systems would see them (case, Unicode forms, trailing dots).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from harness.errors import Refused, ToolFailed, ToolRetry
from harness.sandbox.policy import OUTPUTS, PROJECT, PROTECTED

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
GIT_NAMES = frozenset({".git", "git~1"})
NEW_FILE = 0o644
NEW_PROGRAM = 0o755


class Places:
    """The project as the file tools see it.

    Args:
        worktree: the project's directory on the host.
        protected: names, relative to it, that only the harness writes.
        outputs_dir: kept outputs of commands, which can be read as /outputs/...; None: there are none.
        top: of the checkout that holds the project; None: the project is all of it.
    """

    def __init__(
        self,
        worktree: Path,
        protected: Sequence[str] = PROTECTED,
        outputs_dir: Path | None = None,
        top: Path | None = None,
    ) -> None:
        self._roots = {PROJECT: worktree.resolve()}
        self._top = (top or worktree).resolve()
        if outputs_dir:
            self._roots[OUTPUTS] = outputs_dir.resolve()
        self._protected = [tuple(map(fold, PurePosixPath(name).parts)) for name in protected]

    def read(self, path: str, limit_bytes: int) -> bytes:
        """The content of a plain file; links are followed as long as they stay inside."""
        with _told(path):
            root, parts = self._locate(path)
            try:
                return _read(root, parts, limit_bytes)
            except _LinkMet:
                return _read(root, self._behind_link(root, parts, path), limit_bytes)

    def write(self, path: str, data: bytes) -> None:
        """Replace or create a plain file as a whole, keeping its mode."""
        root, parts = self._locate(path)
        if root != self._roots[PROJECT]:
            raise Refused(f"{path} can only be read.")
        self._refuse_protected(parts, path)
        with _told(path), _directory(root, parts[:-1], create=True) as directory:
            _replace(directory, parts[-1] if parts else "", data, path)

    @contextmanager
    def way(self, path: str) -> Iterator[tuple[list[int], tuple[str, ...]]]:
        """All directories from the top of the checkout to one, open, and the names of all but the first.

        Links are not followed.
        """
        with _told(path):
            root, parts = self._locate(path)
            if root == self._roots[PROJECT] and root.is_relative_to(self._top):
                root, parts = self._top, (*root.relative_to(self._top).parts, *parts)
            with _way(root, parts) as descriptors:
                yield descriptors, parts

    def _locate(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """Root and path below it, refused as text where that can be told."""
        if not path.strip() or "\0" in path:
            raise ToolRetry("Name a path relative to the project, such as src/app.js.")
        root, relative = self._below(PurePosixPath(path))
        if ".." in relative.parts:
            raise ToolRetry(f"{path}: write the path without '..', relative to the project.")
        if any(fold(part) in GIT_NAMES for part in relative.parts):
            raise Refused(f"{path}: git's own files are kept by the harness and closed to you.")
        return root, relative.parts

    def _below(self, path: PurePosixPath) -> tuple[Path, PurePosixPath]:
        if not path.is_absolute():
            return self._roots[PROJECT], path
        for name, root in self._roots.items():
            for prefix in (name, str(root)):
                if path.is_relative_to(prefix):
                    return root, path.relative_to(prefix)
        raise Refused(f"{path} is outside the project; only files of the project can be used.")

    def _refuse_protected(self, parts: tuple[str, ...], path: str) -> None:
        folded = tuple(map(fold, parts))
        for name in self._protected:
            if folded[: len(name)] == name:
                raise Refused(f"{path} is written by the harness only; leave it as it is.")

    def _behind_link(self, root: Path, parts: tuple[str, ...], path: str) -> tuple[str, ...]:
        real = (root.joinpath(*parts)).resolve()
        if not real.is_relative_to(root):
            raise Refused(f"{path} is a link that leads outside the project.")
        return self._locate(str(real.relative_to(root)))[1]


def fold(name: str) -> str:
    """A name as the least exact file system would compare it."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")
    return visible.split(":")[0].rstrip(" .") or name


class _LinkMet(Exception):
    """A symbolic link lies on the path."""


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Say in words for the model what the operating system refused."""
    try:
        yield
    except _LinkMet as exc:
        raise Refused(f"{path} is, or passes through, a symbolic link; use the real path.") from exc
    except FileNotFoundError as exc:
        raise ToolRetry(f"{path} does not exist; list_files shows what does.") from exc
    except NotADirectoryError as exc:
        raise ToolRetry(f"{path}: something on the way is a file, not a directory.") from exc
    except OSError as exc:
        raise ToolFailed(f"{path} cannot be used: {exc.strerror or exc}.") from exc


@contextmanager
def _directory(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The last of the directories on the way."""
    with _way(root, parts, create=create) as descriptors:
        yield descriptors[-1]


@contextmanager
def _way(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[list[int]]:
    """Go down from the root, one directory at a time."""
    with contextlib.ExitStack() as opened:
        descriptors = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        opened.callback(os.close, descriptors[0])
        for part in parts:
            descriptors.append(_step(descriptors[-1], part, create=create))
            opened.callback(os.close, descriptors[-1])
        yield descriptors


def _step(directory: int, name: str, *, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=directory)
    try:
        return os.open(name, DIRECTORY, dir_fd=directory)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(directory, name):
            raise _LinkMet from exc
        raise


def _is_link(directory: int, name: str) -> bool:
    return stat.S_ISLNK(os.lstat(name, dir_fd=directory).st_mode)


def _read(root: Path, parts: tuple[str, ...], limit_bytes: int) -> bytes:
    if not parts:
        raise ToolRetry("This is a directory; use list_files.")
    with _directory(root, parts[:-1]) as directory, _plain_file(directory, parts[-1]) as descriptor:
        if (size := os.fstat(descriptor).st_size) > limit_bytes:
            raise ToolFailed(f"It has {size} bytes, more than can be read at once; use run_command with sed or grep.")
        return b"".join(iter(lambda: os.read(descriptor, 1 << 20), b""))


@contextmanager
def _plain_file(directory: int, name: str) -> Iterator[int]:
    """Open a file that can be read without waiting; looked at before, for a device may act when opened."""
    _refuse_special(os.lstat(name, dir_fd=directory))
    descriptor = os.open(name, PLAIN, dir_fd=directory)
    try:
        _refuse_special(os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_special(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _LinkMet
    if stat.S_ISDIR(found.st_mode):
        raise ToolRetry("This is a directory; use list_files.")
    if not stat.S_ISREG(found.st_mode):
        raise Refused("This is a pipe, socket or device, not a file.")


def _replace(directory: int, name: str, data: bytes, path: str) -> None:
    """Write beside and rename: a reader never sees half a file, and a link at the name is never followed."""
    if not name:
        raise ToolRetry(f"{path} is a directory; name a file.")
    mode = _mode_to_keep(directory, name, path, NEW_PROGRAM if data.startswith(b"#!") else NEW_FILE)
    temporary = f".{name[:80]}.harness-tmp"  # one name: a write cut by a kill is done anew, and takes its leftover away
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(temporary, dir_fd=directory)
        raise


def _mode_to_keep(directory: int, name: str, path: str, otherwise: int) -> int:
    try:
        found = os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return otherwise
    _refuse_special(found)
    if found.st_nlink > 1:
        raise Refused(f"{path} has another name elsewhere (a hard link); remove it first, then write it anew.")
    return stat.S_IMODE(found.st_mode) & 0o777
