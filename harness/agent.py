"""A session whose coder is a command-line agent of the person's (`[coder] command`) in the place of our own loop.

The same worktree, sandbox, minutes and proof; only who writes the code differs. One attempt is one run of the command:
it gets the brief, after a failed verdict the brief and the evidence, because a new process remembers nothing. It alone
reaches the hosts, has the variables and the copies of files that the person named for it: `prepare`, the application,
the gate and the browser run in other rooms, without them. What it prints is kept beside the trajectory, the values of
those variables taken out.

A run that was killed or stopped is begun again on the tree as it was left: nothing half done counts, because what is
judged is the tree, and an hour of work is not lost. An attempt that ended is never run twice: how it ended is on disk
before the session says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import re
import shlex
import shutil
import stat
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from harness.coder import bring_what_was_made, room_policy, scratch_dir
from harness.errors import AdapterError, RepoError, SetupError
from harness.events import Decided, FileChanged, Noticed, Steered, ToolReturned
from harness.project import state_root, write_atomic
from harness.sandbox.policy import HOME
from harness.sandbox.processes import CommandResult, Room, bash
from harness.session import SUMMARY_CHARACTERS, FinishArguments, SessionOutcome
from harness.steering import Word, as_message
from harness.tools.printed import clean, shown
from harness.verify.app import PORTS
from harness.verify.hall import OWN_FILES
from harness.worktree import remove_tree

if TYPE_CHECKING:
    from harness.parts import Parts
    from harness.sandbox.policy import Policy
    from harness.settings import CoderSettings, SandboxSettings
    from harness.worktree import Snapshot, Worktree

FINISH = ".harness-finish.json"
"""What the agent may leave in the project's directory; taken out before anything is judged."""
FINISH_BYTES = 1 << 16
BRIEF = "{brief}"
"""In a word of the command: where the brief lies."""
LONGEST_SECONDS = 24 * 3600.0
"""Of one attempt, where the minutes of a session have no limit."""
LOOK_SECONDS = 0.5
"""Between two looks whether the run is to stop."""
TAIL_CHARACTERS = 800
"""Of what the agent printed last, where it left no summary."""
SECRET_CHARACTERS = 6
"""Values shorter than that are no secrets, and would be found in any text."""
CUT_OFF = "An earlier run of yours was cut off. What it did so far is in the files; look at it before you go on.\n\n"
LEAKED = (
    "Your last work was thrown away, because a file held the value of {names}. Build it again, and write no key into "
    "a file.\n\n"
)


class _Kept(BaseModel):
    """What a session keeps in its scratch directory, where nothing inside the sandbox sees it."""

    brief: str = ""
    attempt: int = -1
    """The attempt that was begun last; -1: none."""
    ended: dict[str, Any] | None = None
    """How it ended; None: it is at work, or was killed."""
    note: str = ""
    """Told to the next attempt."""
    words: dict[str, str] = {}
    """What the person said to the session, by id: told to each attempt, for a process remembers nothing."""


class AgentSession:
    """One session of a command-line agent; takes the place of `session.Session`.

    Args:
        parts: events, budget, settings.
        session_id: names what is kept.
        room: where the command runs, with what it alone may have.
        tree: what it works on.
        base_sha: the commit the session began with.
        scratch: where the session keeps its things on the host.
        secrets: name -> value of the variables that are passed to it.
    """

    prompt = "agent"
    mend = "Mend the application, see it work, and end."
    can_prepare = False

    def __init__(
        self,
        parts: Parts,
        session_id: str,
        room: Room,
        tree: Worktree,
        base_sha: str,
        scratch: Path,
        secrets: Mapping[str, str],
    ) -> None:
        self._parts, self._session_id, self._room, self._tree = parts, session_id, room, tree
        self._base_sha, self._scratch, self._secrets = base_sha, scratch, secrets
        self._state = scratch / "agent.json"

    async def run(self, system: str, message: str, attempt: int) -> SessionOutcome:
        """Run the command once.

        Args:
            system: how to work and how it is judged.
            message: the brief of a new session, or the evidence that the last attempt failed.
            attempt: 0 for the brief, then 1, 2...

        Raises: StopRun: a limit of the run. SetupError: the command is not there. AdapterError: it failed and changed
            nothing; the person looks why, and the thread goes on with this attempt.
        Replay: an attempt that ended is only reported; one that was killed begins again on the tree as it is.
        """
        kept = self._read()
        if kept.attempt == attempt and kept.ended:
            return _outcome(kept.ended)
        self._parts.budget.check()
        note = CUT_OFF if kept.attempt == attempt else kept.note
        kept = kept.model_copy(update={"attempt": attempt, "ended": None, "brief": kept.brief if attempt else message})
        kept = self._hear(kept)
        words = map(as_message, kept.words.values())
        given = "\n\n".join([system, f"{note}{kept.brief}", *words, *([message] if attempt else [])])
        ended, note = await self._work(given, attempt)
        self._keep(kept.model_copy(update={"ended": ended, "note": note}))
        return _outcome(ended)

    def _hear(self, kept: _Kept) -> _Kept:
        """Keep it with what the person said meanwhile. Replay: as `Steering`: neither lost nor heard twice."""
        steering = self._parts.steering
        heard = steering.hear(kept.words, self._told) if steering else []
        kept = kept.model_copy(update={"words": {**kept.words, **{word.word_id: word.text for word in heard}}})
        self._keep(kept)
        if steering:
            steering.settle(kept.words)
        return kept

    def _told(self, word: Word) -> None:
        self._parts.events.emit(Steered(text=word.text, word_id=word.word_id))

    async def _work(self, given: str, attempt: int) -> tuple[dict[str, Any], str]:
        """How the command ended, and what the next attempt is told of it."""
        coder, command = self._parts.settings.coder, shlex.join(self._parts.settings.coder.command)
        await self._require_program(coder.command[0])
        reason = f"coder.command; it reaches {', '.join(coder.hosts) or 'no host'}"
        self._parts.events.emit(Decided(topic="command", what=command, decision="allowed", by="person", reason=reason))
        _take(self._finish_file)  # of an attempt that was killed
        before = await self._snapshot()
        result, said = await self._command(given)
        transcript = self._keep_output(said, attempt)
        text, _ = shown(said, str(transcript))
        outcome: Literal["ok", "failed"] = "failed" if result.exit_code else "ok"
        self._parts.events.emit(
            ToolReturned(
                name="agent",
                args={"command": command, "attempt": attempt},
                result=f"exit code {result.exit_code}\n{text}",
                outcome=outcome,
                seconds=result.seconds,
                role="coder",
            )
        )
        finish = self._finish()
        changed = await self._changed(before)
        if result.exit_code and not result.timed_out and changed == []:
            raise AdapterError(
                f"The coder's command `{command}` ended with exit code {result.exit_code} and changed nothing:\n"
                f"{_tail(said)}",
                f"All it printed: {transcript}. See to it; the session then begins again where it was.",
            )
        if leaked := await self._leaked():
            await self._tree.reset(self._base_sha)
            self._warn(f"The coder wrote the value of {leaked} into a file; its work is thrown away.")
            return _ended("agent failed", f"The work held the value of {leaked} and was thrown away."), LEAKED.format(
                names=leaked
            )
        how = "time limit" if result.timed_out else "agent failed" if result.exit_code else "finished"
        if finish:
            return {**finish.model_dump(), "ended": how}, ""
        return _ended(how, f"It ended with exit code {result.exit_code}. It printed last: {_tail(said)}"), ""

    async def _require_program(self, name: str) -> None:
        """Raises: SetupError: it is not found inside, and how it is made to be."""
        if (await self._room.run(bash('command -v -- "$1" >/dev/null', name))).exit_code:
            raise SetupError(
                f"The coder's command {name!r} is not found in the sandbox.",
                "There are /usr and /opt, and what `read_only` below [coder] in your config.toml names: the directory "
                'it is installed in, say "~/.local/share/NAME". Its path may be given whole.',
            )

    async def _command(self, given: str) -> tuple[CommandResult, str]:
        """Run it; what it printed, without secrets."""
        coder, policy = self._parts.settings.coder, self._room.policy
        assert policy.outputs_dir
        brief, raw = policy.outputs_dir / "brief.md", self._scratch / "agent-output"
        write_atomic(brief, given)
        inside = policy.inside(brief)
        source = inside if coder.input == "stdin" else "/dev/null"
        argv = [word.replace(BRIEF, inside) for word in coder.command]
        ports = {name: str(await self._room.free_port()) for name in PORTS}
        try:
            running = self._room.run(
                bash('from=$1; shift; exec "$@" <"$from"', source, *argv),
                timeout_seconds=self._parts.settings.limits.session_minutes * 60 or LONGEST_SECONDS,
                env={**ports, **self._secrets},
                output_file=raw,
            )
            result = await self._unless_stopped(running)
            said = raw.read_bytes().decode("utf-8", errors="replace") if raw.exists() else result.output
        finally:
            raw.unlink(missing_ok=True)  # it may hold secrets
        return result, self._mask(said)

    async def _unless_stopped(self, running: Coroutine[Any, Any, CommandResult]) -> CommandResult:
        """Wait for the command; a limit of the run, or the person, ends it: it may have an hour to go.

        Raises: StopRun: as `Budget.check`.
        """
        task = asyncio.create_task(running)
        try:
            while not (await asyncio.wait({task}, timeout=LOOK_SECONDS))[0]:
                self._parts.budget.check()
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})

    def _mask(self, text: str) -> str:
        """Text without the values that were passed on, and without the model's key."""
        for name, value in sorted(self._secrets.items(), key=lambda pair: -len(pair[1])):
            text = text.replace(value, f"[{name}]") if len(value) >= SECRET_CHARACTERS else text
        return self._parts.model.redact(text)

    async def _leaked(self) -> str:
        """The variables whose values lie in the tree; empty when none does."""
        try:
            names = await self._tree.changed_files(self._base_sha)
        except RepoError:  # git cannot take it as it is: the verdict says so
            return ""
        values = {name: value.encode() for name, value in self._secrets.items() if len(value) >= SECRET_CHARACTERS}
        found = {name for file in names for name in _holds(self._tree.directory / file, values)}
        return ", ".join(name for name in values if name in found)

    def _keep_output(self, said: str, attempt: int) -> Path:
        """All of it, beside the trajectory."""
        directory = self._parts.project.trajectories_dir / self._parts.thread_id / "agents"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self._session_id}-{attempt}.txt"
        write_atomic(path, said)
        return path

    @property
    def _finish_file(self) -> Path:
        return self._tree.directory / FINISH

    def _finish(self) -> FinishArguments | None:
        """What the agent left; nothing of it is believed, and what is no such thing is left out."""
        content = _take(self._finish_file)
        if content is None:
            return None
        try:
            return FinishArguments.model_validate_json(self._mask(content.decode("utf-8", errors="replace")))
        except ValidationError as exc:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or FINISH}: {e['msg']}" for e in exc.errors()[:3])
            self._warn(f"{FINISH} of the coder is left out: {wrong}")
            return None

    async def _snapshot(self) -> Snapshot | None:
        try:
            return await self._tree.snapshot(OWN_FILES)
        except RepoError:  # git cannot take it now: the verdict will say so
            return None

    async def _changed(self, before: Snapshot | None) -> list[str] | None:
        """Files that differ since, each told for the audit; None: that cannot be known."""
        try:
            names = await self._tree.changed_files(before.sha) if before else None
        except RepoError:
            names = None
        for name in names or ():
            path = self._tree.directory / name
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                self._parts.events.emit(FileChanged(path=name, sha256=sha256, role="coder"))
        return names

    def _read(self) -> _Kept:
        try:
            return _Kept.model_validate_json(self._state.read_bytes())
        except (OSError, ValidationError):
            return _Kept()

    def _keep(self, kept: _Kept) -> None:
        write_atomic(self._state, kept.model_dump_json())

    def _warn(self, text: str) -> None:
        self._parts.events.emit(Noticed(text=text, level="warning"))


def _holds(path: Path, values: Mapping[str, bytes]) -> set[str]:
    """Names of the values that stand in a file, as they are, whatever else it holds; a link holds where it leads."""
    try:
        if path.is_symlink():
            content: bytes | mmap.mmap = os.fsencode(path.readlink())
        elif not path.is_file() or not path.stat().st_size:
            return set()
        else:
            with path.open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:  # it is gone, or cannot be read: nobody can commit it either
        return set()
    return {name for name, value in values.items() if content.find(value) >= 0}


@asynccontextmanager
async def agent_session(
    parts: Parts, tree: Worktree, session_id: str, feature_id: str, role: str, base_sha: str
) -> AsyncIterator[AgentSession]:
    """Open a room for the person's agent; as `coder.coder_session`.

    Raises: SetupError: a variable or a file that it is to have is not there. ShellError: the sandbox cannot be had.
    """
    coder = parts.settings.coder
    secrets = passed_variables(coder)
    scratch = scratch_dir(parts, session_id)
    policy = room_policy(parts, tree, scratch)
    journal = parts.project.rooms_dir / f"{session_id}.jsonl"
    if not (scratch / "agent.json").exists():
        await tree.reset(base_sha)
        if await bring_what_was_made(parts, tree, policy, journal):
            await tree.reset(base_sha)
        scratch.mkdir(parents=True, exist_ok=True)
        bring_home(coder, policy)
        write_atomic(scratch / "agent.json", _Kept().model_dump_json())
    own, sandbox = _own_room(coder, policy, parts.settings.sandbox)
    async with Room.open(own, sandbox, journal, parts.events.emit) as room:
        yield AgentSession(parts, session_id, room, tree, base_sha, scratch, secrets)


def describe_agent(coder: CoderSettings) -> str:
    """What a person is told at the start of a run; refuses what cannot work before anything is spent.

    Raises: SetupError: a variable or a file that it is to have is not there.
    """
    names = ", ".join(passed_variables(coder)) or "no variable"
    for path in (*coder.home, *coder.read_only):
        _on_this_machine(path)
    return (
        f"The coder is `{shlex.join(coder.command)}`: it alone reaches {', '.join(coder.hosts) or 'no host'}, "
        f"and is given {names}."
    )


def passed_variables(coder: CoderSettings) -> dict[str, str]:
    """Name -> value of what the agent is given of our environment.

    Raises: SetupError: one is not set.
    """
    if missing := [name for name in coder.pass_env if not os.environ.get(name)]:
        raise SetupError(
            f"{missing[0]} is not set, and coder.pass_env in your config.toml names it.",
            "Set it in the environment, or take it out there.",
        )
    return {name: os.environ[name] for name in coder.pass_env}


def bring_home(coder: CoderSettings, policy: Policy) -> None:
    """Copy what the person named into the sandbox's own home: the agent may write there, the person's stay as they are.

    Raises: SetupError: a file is not there, or cannot be read.
    """
    home = policy.roots()[HOME]
    for name in coder.home:
        source = _on_this_machine(name)
        target = home / name.removeprefix("~/")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)
        except (OSError, shutil.Error) as exc:
            raise SetupError(
                f"{name} cannot be copied for the coder: {exc}.", "Name other files in coder.home."
            ) from exc


def _own_room(coder: CoderSettings, policy: Policy, sandbox: SandboxSettings) -> tuple[Policy, SandboxSettings]:
    """The boundary of a session, wider by what the person named for the agent alone."""
    shown_too = tuple(path for name in coder.read_only if (path := _on_this_machine(name)))
    policy = replace(policy, read_only=(*policy.read_only, *shown_too))
    if not coder.hosts or not policy.is_sandboxed:
        return policy, sandbox
    hosts = [*coder.hosts, *(sandbox.hosts if sandbox.mode == "project+net" else ())]
    settings = sandbox.model_copy(update={"mode": "project+net", "hosts": hosts})
    return replace(policy, mode="project+net"), settings


def _on_this_machine(name: str) -> Path:
    """A path that a person named.

    Raises: SetupError: nothing is there, or it would show the harness's own state or the whole home.
    """
    path = Path(os.path.realpath(Path(name).expanduser()))
    if not path.exists():
        raise SetupError(f"{name} is not there, and [coder] in your config.toml names it.", "Mend it there.")
    hidden = (Path(os.path.realpath(Path.home())), state_root())
    if any(place == path or path in place.parents for place in hidden):
        raise SetupError(
            f"{name}, which [coder] in your config.toml names, would show your whole home or the harness's state.",
            "Name the directory that the agent needs.",
        )
    return path


def _take(path: Path) -> bytes | None:
    """The beginning of a plain file that is not a link; whatever lies there is gone then."""
    content = None
    with suppress(OSError):  # a link, or nothing
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            content = os.read(handle, FINISH_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        finally:
            os.close(handle)
    if os.path.lexists(path):
        remove_tree(path)
    return content


def _tail(said: str) -> str:
    text = re.sub(r"\n{2,}", "\n", clean(said).strip())
    return text[-TAIL_CHARACTERS:] or "(nothing)"


def _ended(how: str, summary: str) -> dict[str, Any]:
    return {"ended": how, "summary": summary, "next": "", "dispute": None, "changes": []}


def _outcome(ended: Mapping[str, Any]) -> SessionOutcome:
    said = FinishArguments.model_validate({name: value for name, value in ended.items() if name != "ended"})
    changes: Sequence[str] = said.changes
    return SessionOutcome(ended["ended"], said.summary[:SUMMARY_CHARACTERS], said.next, 0, said.dispute, tuple(changes))
