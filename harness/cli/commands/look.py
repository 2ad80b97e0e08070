"""See what there is: threads, features, sessions, what was done, what is wrong here."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.commands.completing import thread_ids
from harness.cli.commands.options import HELP, HERE, Dir, Json, print_json, wait, width

app = typer.Typer(**HELP)


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Spare a process of a moment the search for garbage, at its end too: a fifth of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@app.command()
def threads(directory: Dir = HERE, as_json: Json = False) -> None:
    """List the builds of a project, newest last.

    Example: harness threads my-app
    """
    from harness.console_text import wrapped
    from harness.project import Project, read_holder
    from harness.status import thread_line
    from harness.threads import load_threads, require_begun

    project = Project.find(directory)
    require_begun(project)
    records, holder = load_threads(project), read_holder(project)
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
        return
    held = holder.thread if holder else None
    lines = [
        wrapped(f"{r.updated:%Y-%m-%d %H:%M}  ", thread_line(r, is_held=r.thread_id == held), width()) for r in records
    ]
    typer.echo("\n".join(lines) or "No thread yet; `harness init` or `harness run` starts one.")


@app.command()
def status(
    directory: Dir = HERE,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again after each change, until Ctrl-C.")] = False,
) -> None:
    """Show how far the features are.

    Also who is at work, the last failure, and what to do next. With --watch a terminal is redrawn when something
    changed; with --json too, each change is a line.

    Example: harness status my-app --watch
    """
    if watch:
        from harness.cli.watch import watch_status

        watch_status(directory, sys.stdout, as_json=as_json)
        return
    with nothing_to_collect():
        from harness import status as reader

        found = reader.read_status(directory)
        typer.echo(reader.as_json(found) if as_json else reader.as_text(found, width()))


@app.command()
def log(
    directory: Dir = HERE,
    session: Annotated[str, typer.Option("--session", metavar="N", help="Number or id of a session.")] = "",
    as_json: Json = False,
) -> None:
    """List the sessions, or tell what one did.

    Of one it tells the brief, the turns, the tools and the verdicts.

    Example: harness log my-app --session 3
    """
    from harness import log as reader
    from harness.project import Project
    from harness.threads import require_begun

    project = Project.find(directory)
    require_begun(project)
    sessions = reader.find_sessions(project)
    if not session:
        facts = [reader.as_facts(found) for found in sessions]
        print_json(facts) if as_json else typer.echo(reader.sessions_text(sessions, width()))
        return
    chosen = reader.choose_session(sessions, session)
    trajectory = reader.read_trajectory(chosen.path)
    if as_json:
        print_json({**reader.as_facts(chosen), "events": [e.model_dump(mode="json") for e in trajectory.events]})
        return
    for line in reader.session_text(chosen, trajectory):
        typer.echo(line)


@app.command()
def audit(
    thread: Annotated[
        str, typer.Argument(metavar="[THREAD]", help="A build; none: the last.", autocompletion=thread_ids)
    ] = "",
    directory: Dir = HERE,
    verify: Annotated[bool, typer.Option("--verify", help="Say only whether it is what was written.")] = False,
    as_json: Json = False,
) -> None:
    """List what a build did, refused and decided.

    Each command, file, address and decision is a line that is sealed to the one before; commits carry the last one.
    The exit code is 4 when a line does not fit, and the first such line is named.

    Example: harness audit t-20261121-3f9a my-app
    """
    from harness.cli import audit as cli_audit

    if thread and directory == HERE and Path(thread).is_dir():  # as of every other command
        thread, directory = "", Path(thread)
    found = wait(cli_audit.read_audit(directory, thread))
    text = cli_audit.verified_text(found) if verify else cli_audit.as_text(found, width())
    typer.echo(cli_audit.as_json(found, lines=not verify) if as_json else text)
    if found.broken:
        raise found.broken


@app.command()
def doctor(
    directory: Dir = HERE,
    offline: Annotated[bool, typer.Option("--offline", help="Do not call the model's endpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is wrong here and what mends it.

    Here is this machine and this project.
    """
    from harness.cli.text import findings_text
    from harness.doctor import examine

    findings = wait(examine(directory, offline=offline))
    print_json([vars(finding) for finding in findings]) if as_json else typer.echo(findings_text(findings, width()))
    raise typer.Exit(3 if any(finding.level == "fail" for finding in findings) else 0)


class Shell(str, Enum):  # noqa: UP042 - typer shows the values of this form in every version
    """Shells that can complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@app.command(hidden=True)
def completion(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")]) -> None:
    """Print what makes your shell complete commands.

    And ids of features and threads. `harness --install-completion` puts it where your shell looks for it.

    Example: eval "$(harness completion bash)"
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # not in its __all__

    typer.echo(get_completion_script(prog_name="harness", complete_var="_HARNESS_COMPLETE", shell=shell.value))
