"""Where a project and its state lie, how files are written, and who owns the project now.

`Project` only computes paths; nothing is made before `prepare_state`. The state lies outside the user's directory, so
that `git clean`, test runners and the model's tools never meet it, and it is named after the git directory, so that
moving into a subdirectory or a linked worktree finds the same state. The git directory is found by reading `.git`
here, without git or GitPython, because `harness status` must answer at once.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from harness.disk import cannot_write
from harness.errors import SetupError
from harness.lock import Holder, ProjectLock, read_holder

__all__ = [
    "GitLocation",
    "Holder",
    "Project",
    "ProjectLock",
    "check_name",
    "find_git",
    "read_holder",
    "state_root",
    "thread_branch",
    "write_atomic",
]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,62}")


def check_name(thread_id: str) -> str:
    """Return an id that is safe as a file name, a branch name and a commit trailer.

    Raises: SetupError: it is not; the user chooses another.
    """
    if _NAME.fullmatch(thread_id) and not thread_id.endswith((".", ".lock")):
        return thread_id
    raise SetupError(
        f"{thread_id!r} cannot be a thread id.",
        "Use letters, digits, '-', '_' and single dots, at most 63, beginning with a letter or digit.",
    )


def thread_branch(thread_id: str, inside: str = "") -> str:
    """Where proved work of a thread is committed.

    Args:
        inside: the project's directory in its repository, in which other projects may have a thread of the same name;
            empty: the project is all of it.
    """
    if not inside:
        return f"harness/{thread_id}"
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(inside).name).strip("-")[:40] or "project"
    return f"harness/{thread_id}@{readable}-{hashlib.sha256(os.fsencode(inside)).hexdigest()[:8]}"


@dataclass(frozen=True)
class GitLocation:
    """Where git keeps the things of one directory."""

    root: Path
    """The checkout's top directory."""
    git_dir: Path
    """HEAD and index of this checkout; below the common directory in a linked worktree."""
    common_dir: Path
    """Objects, branches and configuration."""


def find_git(directory: Path) -> GitLocation | None:
    """Search upwards for the repository that holds a directory; None outside of any."""
    start = Path(os.path.realpath(directory))
    for root in (start, *start.parents):
        git_dir = _git_dir(root / ".git")
        if git_dir is not None:
            return GitLocation(root, git_dir, _common_dir(git_dir))
    return None


def _git_dir(pointer: Path) -> Path | None:
    if (pointer / "HEAD").is_file():
        return Path(os.path.realpath(pointer))
    if not pointer.is_file():
        return None
    words = pointer.read_text(encoding="utf-8", errors="surrogateescape").partition("gitdir:")
    git_dir = Path(os.path.realpath(pointer.parent / words[2].strip()))
    return git_dir if words[1] and (git_dir / "HEAD").is_file() else None


def _common_dir(git_dir: Path) -> Path:
    link = git_dir / "commondir"
    if not link.is_file():
        return git_dir
    return Path(os.path.realpath(git_dir / link.read_text(encoding="utf-8", errors="surrogateescape").strip()))


@dataclass(frozen=True)
class Project:
    """The user's directory and the paths of everything that belongs to it."""

    directory: Path
    """The user's project directory, or the same directory inside a worktree; real path."""
    state_dir: Path
    """This project's state."""
    state_root: Path
    """The state of all the user's projects."""

    @classmethod
    def find(cls, directory: Path | str) -> Project:
        """Locate a project without making anything.

        Raises: SetupError: there is no such directory, or the state would lie inside it.
        """
        real = Path(os.path.realpath(directory))
        if not real.is_dir():
            raise SetupError(f"{real} is not a directory.", "Name the project's directory, or make it first.")
        root = state_root()
        if root == real or real in root.parents:
            raise SetupError(f"The state directory {root} lies inside the project.", "Set HARNESS_STATE_DIR elsewhere.")
        return cls(real, root / "projects" / _state_name(real), root)

    def prepare_state(self) -> None:
        """Make the state directories, readable by their owner alone.

        Raises: SetupError: they cannot be made, or belong to somebody else.
        """
        for directory in (self.state_root, self.state_root / "projects", self.state_dir, self.memory_dir):
            _make_private(directory)

    def at(self, directory: Path) -> Project:
        """The same project, its tracked files looked for in a worktree."""
        return replace(self, directory=Path(os.path.realpath(directory)))

    @property
    def inside(self) -> str:
        """The directory inside its repository; empty when they are the same, or there is no repository."""
        found = find_git(self.directory)
        inside = os.path.relpath(self.directory, found.root) if found else "."
        return "" if inside == "." else inside

    def branch(self, thread_id: str) -> str:
        """Where proved work of a thread is committed."""
        return thread_branch(thread_id, self.inside)

    @property
    def features_file(self) -> Path:
        """The feature list."""
        return self.directory / "features.json"

    @property
    def progress_file(self) -> Path:
        """What the sessions did."""
        return self.directory / "progress.json"

    @property
    def checks_dir(self) -> Path:
        """One check a feature."""
        return self.directory / "checks"

    @property
    def checkpoints_file(self) -> Path:
        """LangGraph's SQLite store."""
        return self.state_dir / "checkpoints.sqlite"

    @property
    def trajectories_dir(self) -> Path:
        """One JSONL file a session."""
        return self.state_dir / "trajectories"

    @property
    def evidence_dir(self) -> Path:
        """Screenshots and texts that support verdicts."""
        return self.state_dir / "evidence"

    @property
    def audit_file(self) -> Path:
        """Every verdict and replay on this machine, each line sealed to the one before."""
        return self.state_dir / "audit.jsonl"

    @property
    def last_verify_file(self) -> Path:
        """What the last `harness verify` found."""
        return self.state_dir / "last_verify.json"

    @property
    def patches_dir(self) -> Path:
        """Diffs of failed attempts."""
        return self.state_dir / "patches"

    @property
    def worktrees_dir(self) -> Path:
        """Checkouts the sessions and baselines work in."""
        return self.state_dir / "worktrees"

    @property
    def lock_file(self) -> Path:
        """Held by the one process that works on the project."""
        return self.state_dir / "lock"

    @property
    def rooms_dir(self) -> Path:
        """One journal a sandboxed room: processes to put away after a kill."""
        return self.state_dir / "rooms"

    @property
    def memory_dir(self) -> Path:
        """Records and index, shared by all projects."""
        return self.state_root / "memory"


def state_root() -> Path:
    """`$HARNESS_STATE_DIR`, else `$XDG_STATE_HOME/harness`, else `~/.local/state/harness`."""
    if own := os.environ.get("HARNESS_STATE_DIR"):
        return Path(os.path.realpath(Path(own).expanduser()))
    xdg = os.environ.get("XDG_STATE_HOME", "")
    base = Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".local" / "state"
    return Path(os.path.realpath(base / "harness"))


def _state_name(directory: Path) -> str:
    """Name state by the git directory; a project without one gets the name it will have after `git init`."""
    location = find_git(directory)
    common = location.common_dir if location else directory / ".git"
    prefix = os.path.relpath(directory, location.root) if location else "."
    digest = hashlib.sha256(os.fsencode(common) + b"\0" + (b"" if prefix == "." else os.fsencode(prefix)))
    shown = prefix if prefix != "." else (common.parent.name if common.name == ".git" else common.stem)
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(shown).name).strip("-.")[:40] or "project"
    return f"{readable}-{digest.hexdigest()[:12]}"


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = directory.stat()
        if info.st_uid not in (os.geteuid(), 0):
            raise SetupError(f"{directory} belongs to another user.", "Set HARNESS_STATE_DIR to a directory of yours.")
        if stat.S_IMODE(info.st_mode) & 0o077:
            directory.chmod(0o700)
    except OSError as exc:
        remedy = "Make it writable, or set HARNESS_STATE_DIR to a directory that is."
        raise SetupError(f"{directory} cannot be used for state: {exc.strerror}.", remedy) from exc


def write_atomic(path: Path, data: str | bytes) -> None:
    """Replace a file so that a kill or a power cut leaves the old or the new one, whole.

    Raises: SetupError: the directory cannot be written; the old file is untouched.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        _replace(path, content)
    except OSError as exc:
        raise cannot_write(path, exc) from exc


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), _mode_for(path))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _mode_for(path: Path) -> int:
    """Keep the mode a file has; a new one is readable by others only where its directory is."""
    if path.is_file() and not path.is_symlink():
        return stat.S_IMODE(path.stat().st_mode)
    return 0o644 if stat.S_IMODE(path.parent.stat().st_mode) & 0o044 else 0o600


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
