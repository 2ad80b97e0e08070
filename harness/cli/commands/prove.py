"""Proofs: replayed, shown, written, and decided by a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.commands.completing import feature_ids
from harness.cli.commands.options import HELP, HERE, Box, Dir, Hosts, Json, Prepare, sandbox_flags, wait

app = typer.Typer(**HELP)


@app.command()
def verify(
    directory: Dir = HERE,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="ID", help="Only this; repeatable.", autocompletion=feature_ids),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="A running application instead of init.sh.")] = None,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, for CI.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="DIR", help="Write a report with pictures.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Replay again when files change, until Ctrl-C.")] = False,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser in a window, slowly.")] = False,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Replay the proofs of features that pass.

    No model is asked. The exit code is 0 only if all that was asked for passes.

    Example: harness verify my-app --feature F003 --html report
    """
    from harness.cli.verify import Wish, verify_on_change, verify_once

    wish = Wish(
        directory, feature or (), url, as_json, junit, html, headed, sandbox_flags(sandbox, allow_host, prepare_network)
    )
    raise typer.Exit(wait(verify_on_change(wish) if watch else verify_once(wish)))
