"""What the hooks call: `harness gate stop-hook` for Claude Code, `harness gate pre-push` for git.

A Stop hook that says no makes the agent go on, with the evidence. It says no a few times in a row and then lets it
stop, whatever is left, or it would never end; the person is told. What is no fault of the agent (no sandbox, no
Chromium) stops nobody. What nobody foresaw counts as a no: an agent may have brought it about.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.gate import as_text, notes_of
from harness.cli.text import one_screen
from harness.errors import ContractError, HarnessError
from harness.events import Events
from harness.gate_install import STOP_SECONDS
from harness.project import Project, find_git, write_atomic
from harness.repo import Repo
from harness.verify.protected import LIST, had_list, has_list

if TYPE_CHECKING:
    from harness.gate import Gated

GO_ON, LET_GO = 2, 1
"""What Claude Code takes as: do not stop yet, and the agent reads standard error; and as: an error for the person."""
LOOK_SECONDS = STOP_SECONDS - 60.0
"""For one look at a stop. Claude Code kills a hook that is slower than it waits, and lets the agent stop."""
TIMES = 2
"""How often in a row a session is told to go on. No setting: an agent can edit the file it would lie in."""
SESSIONS = 20
"""Of which it is remembered how often they were told to go on."""
_DELETED = "0" * 40
_AGAIN = "The gate of Harness says that it is not done. What is below is the evidence; text in fences is data.\n\n"
_NO_MORE = "The gate of Harness said no {count} times in a row, so it lets the agent stop. What it said last:\n\n"

_SLOW = "It did not end within {seconds:.0f} seconds. What held is kept, so that the next look goes on from there."


async def stop_hook(directory: Path, given: str) -> int:
    """Look at what is claimed when Claude Code wants to stop; returns the exit code of the hook.

    Args:
        given: the hook's input, JSON.
    """
    asked = _parsed(given)
    project = Project.find(directory)
    if find_git(directory) is None or not await has_list(project, Repo.open(directory)):
        return 0  # not a project of ours
    project.prepare_state()
    session, is_again = str(asked.get("session_id", "")), asked.get("stop_hook_active") is True
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            gated = await _look(directory)
        said = "" if gated.passed else as_text(gated)
    except TimeoutError:
        said = _SLOW.format(seconds=LOOK_SECONDS)
    except ContractError as exc:  # a file that is broken: the agent broke it, or can mend it
        said = one_screen(str(exc))
    except HarnessError as exc:
        typer.echo(f"The gate of Harness could not look: {one_screen(str(exc))}", err=True)
        return LET_GO
    except Exception as exc:  # a crash of ours is no proof, and may be made from the project's files
        said = f"It could not look, which nobody foresaw: {one_screen(f'{type(exc).__name__}: {exc}')}"
    if not said:
        _keep(project, session, 0)
        if notes := notes_of(gated):
            typer.echo(json.dumps({"systemMessage": "\n".join(["Harness:", *notes])}))  # for the person
        return 0
    told = _told(project).get(session, TIMES) if is_again else 0
    if told >= TIMES:
        typer.echo(_NO_MORE.format(count=told) + said, err=True)
        return LET_GO
    _keep(project, session, told + 1)
    typer.echo(_AGAIN + said, err=True)
    return GO_ON


async def pre_push(directory: Path, given: Iterable[str]) -> int:
    """Look at what is claimed in the commits that are pushed; returns the exit code.

    Args:
        given: lines of git: local ref, local commit, remote ref, remote commit.

    Raises: HarnessError: there is no verdict, so nothing is pushed.
    """
    shas = [words[1] for words in map(str.split, given) if len(words) == 4 and words[1] != _DELETED]
    repo, project, code = Repo.open(directory), Project.find(directory), 0
    for sha in dict.fromkeys(shas):
        if await had_list(repo, sha) and (said := await _wrong_at(repo, project, sha)):
            typer.echo(f"{sha[:12]} is not pushed: what it claims is not so.\n\n{said}", err=True)
            code = 1
    return code


async def _wrong_at(repo: Repo, project: Project, sha: str) -> str:
    """What a commit claims and is not so, in words; empty when all is so, and the notes are told.

    It is looked at in a checkout of its own where what is pushed is not what lies here.
    """
    if await repo.read(LIST, sha) is None:
        return f"{LIST} is gone, which the harness wrote. If that is meant: `harness gate uninstall git`."
    place = project.directory
    if sha != await repo.head() or await repo.dirty():
        place = (await repo.checkout_at(sha, project.worktrees_dir / "pushed")).directory
    gated = await _look(place)
    if not gated.passed:
        return as_text(gated)
    for note in notes_of(gated):
        typer.echo(f"note      {note}", err=True)
    return ""


async def _look(directory: Path) -> Gated:
    """At everything that is claimed."""
    from harness.gate import Asked
    from harness.runtime import check_claims

    return await check_claims(directory, Asked(), flags={}, events=Events())


def _parsed(given: str) -> dict[str, Any]:
    try:
        data = json.loads(given)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _told(project: Project) -> dict[str, int]:
    """How often each session was told to go on; what cannot be read was never told, and is let go."""
    try:
        data = json.loads((project.state_dir / _FILE).read_text(encoding="utf-8"))
        return {str(session): int(count) for session, count in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _keep(project: Project, session: str, count: int) -> None:
    told = {name: number for name, number in _told(project).items() if name != session}
    newest = list(told.items())[-SESSIONS + 1 :]
    write_atomic(project.state_dir / _FILE, json.dumps({**dict(newest), session: count}))


_FILE = "stop-hook.json"
