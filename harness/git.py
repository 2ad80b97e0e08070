"""The one edge to git: every command runs hardened, and every failure becomes ours.

A repository can bring configuration and attributes that make plain `status` run programs. So each command names its
git directory and work tree (a `.git` planted in the tree is never read), drops the user's and the system's
configuration after asking it for the identity, and overrides what the repository's own configuration could start:
hooks, the file system monitor, filters, merge drivers, signing, transports. Diff commands add `NO_PROGRAMS`.
Filters being off, files of large-file extensions stay pointers in our worktrees.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import RepoError, SetupError

if TYPE_CHECKING:
    from git.cmd import Git as Command

_TIME_LIMIT_SECONDS = 600.0
_STDERR_CHARACTERS = 1_500

NO_ROOM = (
    "Look whether there is room on the disk, where the project lies and where the state does (`harness status` says "
    "where); then give the same command again."
)
"""git does not say why a file could not be written."""
NO_PROGRAMS = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")
"""For every command that shows a diff."""

_OVERRIDES = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.quotePath": "false",
    "core.fsync": "committed",
    "safe.bareRepository": "explicit",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "commit.gpgSign": "false",
    "log.showSignature": "false",
    "merge.verifySignatures": "false",
    "merge.autoStash": "false",
    "merge.renormalize": "false",
    "rerere.enabled": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "i18n.commitEncoding": "utf-8",
    "i18n.logOutputEncoding": "utf-8",
}

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "",  # beats protocol.<name>.allow in the repository's configuration
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
}

_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


class Git:
    """Runs git commands on one checkout."""

    def __init__(self, root: Path, git_dir: Path, common_dir: Path, identity: Mapping[str, str]) -> None:
        self.root = root
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.identity = identity
        self._disarmed: tuple[Any, dict[str, str]] = (None, {})

    async def run(self, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
        """Run a command; its output as text, undecodable bytes kept as surrogates.

        Raises: RepoError: git failed; the text holds its own words.
        """
        return os.fsdecode(await self.run_bytes(*arguments, env=env, stdin=stdin))

    async def run_bytes(self, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> bytes:
        """Run a command; its output as it is."""
        code, out, err = await asyncio.to_thread(self._execute, arguments, env or {}, stdin)
        if code != 0:
            said = _cut(err) or f"exit code {code}"
            remedy = NO_ROOM if any(words in said for words in ("nable to write", "No space left")) else ""
            raise RepoError(f"git {arguments[0]} failed in {self.root}: {said}", remedy)
        return out

    async def ask(self, *arguments: str, stdin: bytes = b"") -> Answer:
        """Run a command whose failure is an answer, not a fault."""
        code, out, err = await asyncio.to_thread(self._execute, arguments, {}, stdin)
        return Answer(code, os.fsdecode(out), _cut(err))

    async def paths(self, *arguments: str, env: Mapping[str, str] | None = None) -> list[str]:
        """Run a command with `-z` output: one name a NUL."""
        return [name for name in (await self.run(*arguments, env=env)).split("\0") if name]

    def require_identity(self) -> None:
        """Refuse before a commit is tried.

        Raises: SetupError: git does not know the user's name or address.
        """
        if not self.identity:
            raise SetupError(
                "git does not know who you are, so nothing can be committed.",
                'Run `git config --global user.name "Your Name"` and `git config --global user.email you@example.org`.',
            )

    def _execute(self, arguments: tuple[str, ...], env: Mapping[str, str], stdin: bytes) -> tuple[int, bytes, str]:
        where = ["-C", str(self.root), f"--git-dir={self.git_dir}", f"--work-tree={self.root}"]
        overrides = _as_environment({**_OVERRIDES, **self._disarmed_programs()})
        return _call([*where, *arguments], {**_ENVIRONMENT, **overrides, **self.identity, **env}, stdin)

    def _disarmed_programs(self) -> dict[str, str]:
        """Switch off the programs named in the repository's configuration, read again when its files change."""
        stamp = [_stamp(path) for path in (self.common_dir / "config", self.git_dir / "config.worktree")]
        if self._disarmed[0] != stamp:
            arguments = [f"--git-dir={self.git_dir}", "config", "--list", "--name-only", "-z"]
            code, out, err = _call(arguments, _ENVIRONMENT, b"")
            if code != 0:
                raise RepoError(f"The git configuration of {self.root} cannot be read: {_cut(err)}")
            keys = set(os.fsdecode(out).split("\0"))
            self._disarmed = (stamp, {name: value for key in keys for name, value in _disarm(key).items()})
        return self._disarmed[1]


def find_identity(git_dir: Path) -> dict[str, str]:
    """Ask git, with all of the user's configuration, who commits; empty when it does not know."""
    found: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        arguments = [f"--git-dir={git_dir}", "-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT"]
        code, out, _ = _call(arguments, {}, b"")
        name, _, rest = os.fsdecode(out).partition(" <")
        if code != 0 or not name:
            return {}
        found |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": rest.partition(">")[0]}
    return found


def hooks_dir(root: Path) -> Path:
    """Where git looks for hooks, by all of the user's configuration (`core.hooksPath`).

    Raises: RepoError: git does not say.
    """
    code, out, err = _call(["-C", str(root), "rev-parse", "--git-path", "hooks"], {}, b"")
    if code != 0:
        raise RepoError(f"git does not say where the hooks of {root} lie: {_cut(err)}")
    return Path(os.path.realpath(root / os.fsdecode(out).removesuffix("\n")))


def init_repository(directory: Path) -> None:
    """Make an empty repository without the hooks a template could bring."""
    code, _, err = _call(["init", "-q", "-b", "main", "--template=", str(directory)], _ENVIRONMENT, b"")
    if code != 0:
        raise SetupError(f"No git repository could be made in {directory}: {_cut(err)}", "Make it writable.")


def write_identity(git_dir: Path, name: str, address: str) -> None:
    """Tell one repository who commits, where the person's own configuration does not."""
    for key, value in (("user.name", name), ("user.email", address)):
        code, _, err = _call([f"--git-dir={git_dir}", "config", key, value], _ENVIRONMENT, b"")
        if code != 0:
            raise SetupError(f"The author could not be set in {git_dir}: {_cut(err)}", "Make it writable.")


def refuse_foreign_environment() -> None:
    """Refuse variables that would send our commands to another repository.

    Raises: SetupError: one is set, as it is inside a git hook or alias.
    """
    if names := [name for name in _FOREIGN if name in os.environ]:
        raise SetupError(f"{', '.join(names)} is set and would mislead git.", f"Run `unset {' '.join(names)}` first.")


def _disarm(key: str) -> dict[str, str]:
    section, _, rest = key.partition(".")
    name, _, variable = rest.rpartition(".")
    if section == "filter" and name:
        return {f"filter.{name}.{part}": "" for part in ("clean", "smudge", "process")} | {
            f"filter.{name}.required": "false"
        }
    if section == "merge" and name and variable == "driver":
        return {key: "git merge-file --marker-size=%L %A %O %B"}  # an empty one would call every conflict solved
    return {}


def _as_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """Give overrides as variables: with `-c`, a name holding `=` would be cut at it and stay armed."""
    numbered = {"GIT_CONFIG_COUNT": str(len(overrides))}
    for number, (key, value) in enumerate(overrides.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return numbered


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino


def _call(arguments: list[str], env: Mapping[str, str], stdin: bytes) -> tuple[int, bytes, str]:
    with _mapped(), tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        command = _command()
        code, out, err = command.execute(
            [command.GIT_PYTHON_GIT_EXECUTABLE, "--no-pager", *arguments],
            istream=source,
            env=env,
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            kill_after_timeout=_TIME_LIMIT_SECONDS,
            start_new_session=True,  # Ctrl-C must not cut a commit in half
        )
        return code, out or b"", err if isinstance(err, str) else os.fsdecode(err)


def _command() -> Command:
    from git.cmd import Git as Command

    return Command(os.sep)


@contextmanager
def _mapped() -> Iterator[None]:
    """The only place where GitPython's exceptions become ours."""
    try:
        from git.exc import GitCommandNotFound, GitError
    except ImportError as exc:
        raise SetupError("git is not installed.", "Install git 2.38 or newer.") from exc
    try:
        yield
    except GitCommandNotFound as exc:
        raise SetupError("git is not installed.", "Install git 2.38 or newer.") from exc
    except (GitError, ValueError, OSError) as exc:
        raise RepoError(f"git could not be run: {_cut(str(exc))}") from exc


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _STDERR_CHARACTERS else f"{text[: _STDERR_CHARACTERS // 2]} ... {text[-700:]}"
