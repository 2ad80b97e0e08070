"""See and decide how a feature is proved."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.commands.completing import feature_ids
from harness.cli.commands.options import (
    HELP,
    HERE,
    Box,
    DirOption,
    FeatureArgument,
    Hosts,
    Json,
    Prepare,
    sandbox_flags,
    wait,
)

app = typer.Typer(help="See and decide how a feature is proved.", **HELP)


@app.command("show")
def check_show(feature: FeatureArgument, directory: DirOption = HERE, as_json: Json = False) -> None:
    """Print a check in words.

    Its steps, what is done and seen at each, how each expectation was shown to be able to fail, and how things are
    found; what a locator finds by css or position alone is marked.

    Example: harness check show F003
    """
    from harness.cli import check as cli_check

    typer.echo(cli_check.show(directory, feature, as_json=as_json))


@app.command("lint")
def check_lint(
    feature: Annotated[
        str,
        typer.Argument(metavar="[ID]", help="One feature; none: all that have a check.", autocompletion=feature_ids),
    ] = "",
    directory: DirOption = HERE,
    as_json: Json = False,
) -> None:
    """Look for what is wrong or weak in checks.

    Names that are not bound, expectations that nothing made fail, generated names, literals that stand nowhere; as
    warnings what is found by css or position alone. The exit code is 1 if anything but a warning is found.

    Example: harness check lint
    """
    from harness.cli import check as cli_check

    text, is_sound = cli_check.lint(directory, feature, as_json=as_json)
    typer.echo(text)
    raise typer.Exit(0 if is_sound else 1)


@app.command("author")
def check_author(
    feature: FeatureArgument,
    directory: DirOption = HERE,
    url: Annotated[str | None, typer.Option("--url", help="A running application instead of init.sh.")] = None,
    as_json: Json = False,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Write a check for a feature on an application.

    The contract is written from the feature's text alone, bound to the application, and replayed twice. If it passes
    it is kept as a draft, which `check accept` makes the feature's contract.

    Example: harness check author F003 --url http://localhost:3000
    """
    from harness.cli import check as cli_check

    text, is_kept = wait(
        cli_check.author(directory, feature, url, sandbox_flags(sandbox, allow_host, prepare_network), as_json=as_json)
    )
    typer.echo(text)
    raise typer.Exit(0 if is_kept else 1)


@app.command("accept")
def check_accept(feature: FeatureArgument, directory: DirOption = HERE) -> None:
    """Say that a contract is right as it stands.

    For a feature that is parked as disputed, or because nothing makes an expectation fail, and for a draft. The
    feature opens again; no author writes its contract anew and no coder can dispute it.

    Example: harness check accept F003
    """
    from harness.cli import decide as cli_decide

    typer.echo(wait(cli_decide.accept(directory, feature)))


@app.command("amend")
def check_amend(
    feature: FeatureArgument,
    file: Annotated[str, typer.Option("--file", metavar="FILE|-", help="A contract as JSON, or your words.")],
    directory: DirOption = HERE,
) -> None:
    """Give a feature another contract.

    JSON is a contract (targets and items, as in docs/checks.md, or a file of checks/); any other text is what you
    decided, in words, from which the author writes one. It is held to the same rules as an author's.

    Example: harness check amend F003 --file contract.json
    """
    from harness.cli import decide as cli_decide

    typer.echo(wait(cli_decide.amend(directory, feature, *cli_decide.read_given(file))))
