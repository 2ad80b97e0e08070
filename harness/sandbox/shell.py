"""One shell, as the model sees it: the directory and the exported variables hold from one command to the next.

Each command still is a process tree of its own that ends entirely. At its end bash writes its environment to a file in
the home; that file is untrusted and only ever data: names and sizes are checked here, and the next bash gets what is
kept as arguments. It never becomes the environment of a process of ours, which would obey an LD_PRELOAD.

What is kept lies in a file outside of all mounts, and is read anew for each command, so that whoever puts an earlier
content back (`harness.journal`, before a call that a kill cut is carried out anew) has put the shell back.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from harness.project import write_atomic
from harness.sandbox import tree
from harness.sandbox.policy import HOME
from harness.sandbox.processes import Room, bash
from harness.sandbox.results import CommandResult, Process
from harness.state_file import file_errors

KEPT_BYTES = 64_000
"""Of a whole environment; a single argument of a program may have twice that."""
SHELL_FILE = "shell.json"
_LEFT = ".harness-shell"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_OF_BASH = {"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "PWD", "SHELLOPTS", "SHLVL", "UID", "_"}
_OURS = {"__harness", tree.MARK}
_TOO_MUCH = "[The exported variables take too much room to be kept: they are as they were before this command.]"


class Place(BaseModel):
    """Where a command begins."""

    model_config = ConfigDict(frozen=True)

    directory: str = ""
    """Path inside; empty: where the project lies. It may be gone."""
    variables: dict[str, str] = {}
    """Exported ones that differ from what every command gets."""


class _Kept(BaseModel):
    now: Place = Place()
    started: dict[str, Place] = {}
    """Where each background process began, so that it begins there again after a kill."""


class Shell:
    """Commands of one session that follow one another.

    Args:
        room: where they run.
        file: what is kept from one to the next; out of reach of what runs in the room.
        env: more variables for every command, such as PORT.
    """

    def __init__(self, room: Room, file: Path, env: Mapping[str, str] | None = None) -> None:
        self._room, self._file, self._env = room, file, dict(env or {})
        self._left = room.policy.roots()[HOME] / _LEFT

    @property
    def directory(self) -> str:
        """Where the next command begins, when that is not where the project lies; else empty."""
        return self._load().now.directory

    async def run(self, command: str, *, timeout_seconds: float | None, output_file: Path) -> CommandResult:
        """Run a command to its end; unless a limit ended it, its directory and exports hold from now on.

        Raises: ShellError: the sandbox failed, not the command.
        """
        kept = self._load()
        _remove(self._left)
        argv = _following(command, kept.now, self._room.policy.inside(self._left))
        result = await self._room.run(argv, timeout_seconds=timeout_seconds, env=self._env, output_file=output_file)
        try:
            if result.timed_out or result.killed_for:
                return result
            now, is_whole = self._place_after(kept.now)
        finally:
            _remove(self._left)
        if now != kept.now:
            self._save(kept.model_copy(update={"now": now}))
        return result if is_whole else replace(result, output=f"{result.output}\n{_TOO_MUCH}")

    async def start(self, command: str, name: str) -> Process:
        """Start a server where the last command ended; one that is started again, where it was started first."""
        kept = self._load()
        place = kept.started.get(name, kept.now)
        if name not in kept.started:
            self._save(kept.model_copy(update={"started": {**kept.started, name: place}}))
        return await self._room.start(_following(command, place), env=self._env, name=name)

    def _place_after(self, before: Place) -> tuple[Place, bool]:
        """What the command left, as far as it can be used; and whether all of it was kept."""
        data = _read_plain(self._left)
        if not data:
            return before, data is None  # nothing was written: the environment is larger than a program may have
        found = _environment(data)
        directory = found.get("PWD", "")
        if not directory.startswith("/"):
            directory = before.directory
        root = self._room.policy.inside(self._room.policy.working_dir)
        is_root = directory in (root, os.path.realpath(root))
        now = before.model_copy(update={"directory": "" if is_root else directory})
        given = self._room.policy.environment(self._env)
        left_out = _OF_BASH | _OURS
        variables = {n: v for n, v in found.items() if _NAME.fullmatch(n) and n not in left_out and given.get(n) != v}
        if sum(len(name) + len(value.encode()) for name, value in variables.items()) > KEPT_BYTES:
            return now, False
        return now.model_copy(update={"variables": variables}), True

    def _load(self) -> _Kept:
        if not self._file.exists():
            return _Kept()
        with file_errors(self._file, "state of a shell"):
            return _Kept.model_validate_json(self._file.read_bytes())

    def _save(self, kept: _Kept) -> None:
        write_atomic(self._file, kept.model_dump_json())


def _following(command: str, place: Place, left: str = "") -> Sequence[str]:
    """The command line of a bash that begins at a place and tells at its end, in the file `left`, where it is."""
    lines = ['__harness=("$@"); set --;']
    if place.directory:
        gone = '"[${__harness[1]} is no longer there; this ran in $PWD]"'
        lines.append(f'cd -- "${{__harness[1]}}" 2>/dev/null || echo {gone} >&2;')
    if place.variables:
        lines.append('export -- "${__harness[@]:2}";')
    if not left:
        return bash("".join([*lines, 'eval "${__harness[0]}"']), command, place.directory, *_pairs(place))
    # twice: by the trap when the command leaves early, in sequence when it has set a trap of its own
    tell = f"{{ set +x; [ -e {shlex.quote(left)} ] || /usr/bin/env -0 >|{shlex.quote(left)}; }} 2>/dev/null"
    lines.append(f'trap {shlex.quote(tell)} EXIT; eval "${{__harness[0]}}"')
    script = f"{' '.join(lines)}\n{{ __harness=$?; {tell}; }} 2>/dev/null; exit $__harness"
    return bash(script, command, place.directory, *_pairs(place))


def _pairs(place: Place) -> list[str]:
    return [f"{name}={value}" for name, value in place.variables.items()]


def _environment(data: bytes) -> dict[str, str]:
    """NAME=VALUE pairs, each ended by a NUL; what is no text is left out."""
    found: dict[str, str] = {}
    for pair in data.split(b"\0"):
        name, equals, value = pair.partition(b"=")
        try:
            found |= {name.decode(): value.decode()} if equals else {}
        except UnicodeDecodeError:
            continue
    return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a directory, put there to be in the way
        shutil.rmtree(path, ignore_errors=True)


def _read_plain(path: Path) -> bytes | None:
    """A file that anybody in the room may have made, of any kind and size; None when it is not a plain one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, KEPT_BYTES * 4) if is_plain else None
    finally:
        os.close(descriptor)
