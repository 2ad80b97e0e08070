"""See a build from outside: its report, what it made, and a word to who is at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.commands.completing import thread_ids
from harness.cli.commands.options import HELP, HERE, Box, Dir, Hosts, Json, Prepare, sandbox_flags, wait

app = typer.Typer(**HELP)


@app.command()
def report(
    directory: Dir = HERE,
    since: Annotated[
        str, typer.Option("--since", metavar="AGE", help="News of the last 30m, 12h, 7d or 2w; else of the last run.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; else the state directory.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in your browser.")] = False,
    as_json: Json = False,
) -> None:
    """Tell what passed, on a page for a phone.

    What passed, with pictures, check and diff, what waits for you and the command that answers it, cost and time, and
    what comes next: one file that needs no network and no script. It can be written while a run is at work.

    Example: harness report my-app --since 12h --out morning.html
    """
    from harness.cli import report as cli_report
    from harness.report import as_json as in_json

    found = wait(cli_report.gather(directory, since))
    if as_json:
        typer.echo(in_json(found))
        return
    path = cli_report.write(found, out)
    typer.echo(f"{found.headline}. The report is {path}")
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            typer.echo("No browser could be started; open the file yourself.", err=True)


@app.command()
def steer(
    thread: Annotated[
        str,
        typer.Argument(metavar="THREAD", help="The build; `harness threads` lists them.", autocompletion=thread_ids),
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Your word; - for standard input.")],
    directory: Dir = HERE,
) -> None:
    """Say a word to the session in work.

    It hears it at its next turn, as your word; what the contract expects stays as it is. Where nobody is at work the
    next session hears it first. It is told once, and kept in the log and the audit.

    Example: harness steer t-20261121-3f9a "the logo is in assets/logo.svg" my-app
    """
    from harness.cli.steer import say

    typer.echo(say(directory, thread, text))


@app.command("open")
def open_(
    directory: Dir = HERE,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Of this machine; default: 8000, or a free one.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with empty data.")] = False,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Serve the last proved commit, always green.

    While work goes on: a checkout of its own, in the sandbox, reached at 127.0.0.1. When a newer commit is proved and
    answers, that one takes over. Its data stay from one to the next. Ctrl-C ends it.

    Example: harness open my-app --port 8080
    """
    from harness.cli.open import show

    wait(show(directory, port, fresh, sandbox_flags(sandbox, allow_host, prepare_network)))
