"""Build a project: from a specification to features that are proved."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.commands.completing import feature_ids, thread_ids
from harness.cli.commands.options import (
    HELP,
    HERE,
    Box,
    Dir,
    Hosts,
    Prepare,
    ProjectKind,
    Record,
    run_to_end,
    sandbox_flags,
)

app = typer.Typer(**HELP)


class Reviewed(str, Enum):  # noqa: UP042 - typer shows the values of this form in every version
    """When a person is asked about what is proved."""

    features = "features"
    commits = "commits"


ReviewOption = Annotated[
    Reviewed | None,
    typer.Option("--review", help="Ask you about each proved feature, or before each commit; on a terminal."),
]


@app.command()
def init(
    directory: Dir = HERE,
    spec: Annotated[
        str | None, typer.Option("--spec", metavar="FILE|TEXT|-", help="A file, a text, or - for input.")
    ] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over a feature_list.json that is there.")] = False,
    features: Annotated[int, typer.Option("--features", min=0, help="Features wanted; 0: as the text needs.")] = 0,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="Name the build.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the feature list unseen.")] = False,
    kind: Annotated[
        ProjectKind | None,
        typer.Option("--kind", help="web: with pages; service: HTTP alone; program: a tool or library. Else proposed."),
    ] = None,
    record: Record = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Turn a specification into a feature list.

    With it come a skeleton that starts, and a first commit.

    The list is shown for acceptance on a terminal. What was begun and cut off goes on with the same command.

    With --adopt the list of another harness is copied once (feature_list.json, app_spec.txt, claude-progress.txt), and
    no model is needed; what it says passes is proved by the next run, before anything is built.

    What is built is proposed from the text and kept in harness.toml: a web application (seen in a browser), a service
    without pages (asked by requests), or a program or library (run).

    Example: harness init my-app --spec notes.md --features 12
    """
    from harness.cli.run import read_spec, run_initialise

    if spec is None and not adopt:
        raise typer.BadParameter("Say what is to be built, or take over a list with --adopt.", param_hint="--spec")
    if adopt and features:
        raise typer.BadParameter("An adopted list has the features it has.", param_hint="--features")
    text = "" if spec is None else read_spec(spec)
    flags = sandbox_flags(sandbox, allow_host, prepare_network)
    flags |= {"app": {"kind": kind.value}} if kind else {}
    run_to_end(directory, run_initialise(directory, text, thread, features, yes, flags, record, adopt=adopt))


@app.command()
def run(
    directory: Dir = HERE,
    thread: Annotated[
        str | None,
        typer.Option("--thread", metavar="ID", help="The build; default: the last.", autocompletion=thread_ids),
    ] = None,
    feature: Annotated[
        str, typer.Option("--feature", metavar="ID", help="Build this feature alone.", autocompletion=feature_ids)
    ] = "",
    max_sessions: Annotated[int, typer.Option("--max-sessions", min=0, help="Stop after so many; 0: no limit.")] = 0,
    max_turns: Annotated[int, typer.Option("--max-turns", min=0, help="Stop after so many; 0: no limit.")] = 0,
    review: ReviewOption = None,
    record: Record = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Build the open features, one a session.

    Each is proved before it is committed.

    Ctrl-C stops at the next safe point, a second one at once; nothing is lost either way.

    Example: harness run my-app --max-sessions 5
    """
    from harness.cli.run import run_build

    limits: dict[str, Any] = {"only": feature, "max_sessions": max_sessions, "max_turns": max_turns}
    flags, asked = sandbox_flags(sandbox, allow_host, prepare_network), review.value if review else ""
    run_to_end(directory, run_build(directory, thread, False, flags, record, review=asked, **limits))


@app.command()
def resume(
    thread: Annotated[
        str,
        typer.Argument(metavar="THREAD", help="The build to go on with; `harness threads`.", autocompletion=thread_ids),
    ],
    directory: Dir = HERE,
    review: ReviewOption = None,
    accept: Annotated[bool, typer.Option("--accept", help="What waits for your review is right.")] = False,
    reopen: Annotated[
        str | None, typer.Option("--reopen", metavar="TEXT", help="What waits is to be done again, and why.")
    ] = None,
    record: Record = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Go on with a stopped or killed build.

    One that stopped for your review asks again with --review, or is told with --accept or --reopen.

    Example: harness resume t-20261121-3f9a my-app
    """
    from harness.cli.run import run_build
    from harness.reviewing import Answer

    if accept and reopen is not None:
        raise typer.BadParameter("It is right, or it is to be done again.", param_hint="--accept")
    answer = Answer("accept") if accept else Answer("reopen", reopen) if reopen is not None else None
    flags, asked = sandbox_flags(sandbox, allow_host, prepare_network), review.value if review else ""
    run_to_end(directory, run_build(directory, thread, True, flags, record, review=asked, answer=answer))


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="What --record wrote.")],
    directory: Dir = HERE,
    spec: Annotated[
        str | None, typer.Option("--spec", metavar="FILE|TEXT|-", help="Of a recording that begins a project.")
    ] = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Build again as recorded, without a key.

    The recording answers in place of the model; all else is real. It begins the project where there is none (give the
    specification it was recorded with), or goes on with the build of the same name. A request that is not as it was
    recorded stops it and is named.

    Example: harness replay conversation.jsonl my-app --spec notes.md
    """
    from harness.cli.run import read_spec, run_replay

    text = "" if spec is None else read_spec(spec)
    flags = sandbox_flags(sandbox, allow_host, prepare_network)
    run_to_end(directory, run_replay(recording, directory, text, flags))


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to build.")] = Path("harness-demo"),
) -> None:
    """Build a small application before your eyes.

    The model is recorded and needs no key. Running it again with the same directory goes on where it was.
    """
    from harness.cli.run import run_demo, what_to_try

    run_to_end(directory, run_demo(directory), what_to_try(directory))
