"""What a person decides of a feature."""

from __future__ import annotations

import typer

from harness.cli.commands.options import HELP, HERE, DirOption, FeatureArgument, Why, wait

app = typer.Typer(**HELP)


@app.command()
def skip(feature: FeatureArgument, directory: DirOption = HERE, why: Why = "") -> None:
    """Set a feature aside until you reopen it.

    What depends on it waits too.

    Example: harness skip F007 --why "the export is not wanted any more"
    """
    from harness.cli import decide as cli_decide

    typer.echo(wait(cli_decide.skip(directory, feature, why)))


@app.command()
def reopen(feature: FeatureArgument, directory: DirOption = HERE, why: Why = "") -> None:
    """Have a feature done again, before others.

    One that passed, was parked or skipped. Its contract is written anew, and the coder is told why.

    Example: harness reopen F003 --why "the total is wrong when a price has cents"
    """
    from harness.cli import decide as cli_decide

    typer.echo(wait(cli_decide.reopen(directory, feature, why)))
