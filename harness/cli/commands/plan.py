"""The plan, as a person changes it."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.commands.options import HELP, HERE, DirOption, FeatureArgument, Json, Why, wait

app = typer.Typer(
    help="Change the list of features, at any time. A run that is at work takes changes in before its next feature.",
    **HELP,
)
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these features.")]
Words = Annotated[str, typer.Argument(metavar="[TEXT]", help="What you want, in your own words; a model is asked.")]
Yes = Annotated[bool, typer.Option("--yes", help="Accept what comes of it unseen.")]


@app.command("show")
def plan_show(ids: Ids = None, directory: DirOption = HERE, as_json: Json = False) -> None:
    """Print features with their steps.

    As TOML, the form in which `plan edit` opens them and `plan edit --file` takes them.

    Example: harness plan show F003
    """
    from harness.cli import plan as cli_plan

    typer.echo(wait(cli_plan.show(directory, ids or (), as_json=as_json)))


@app.command("add")
def plan_add(
    wish: Words = "",
    directory: DirOption = HERE,
    file: Annotated[str, typer.Option("--file", metavar="FILE|-", help="Features as JSON or TOML; no model.")] = "",
    yes: Yes = False,
) -> None:
    """Add features.

    A model turns your words into new lines of spec.md and features with steps; what seems to be there already, and
    which checks are touched, is named. With --file you give the features yourself: a JSON list with description and
    steps, or TOML as `plan show` prints it.

    Example: harness plan add "a book can be marked as lost"
    """
    from harness.cli import plan as cli_plan

    if bool(wish.strip()) == bool(file):
        raise typer.BadParameter("Say what is wanted, or give features with --file.", param_hint="TEXT")
    typer.echo(wait(cli_plan.add(directory, wish, file, yes=yes)))


@app.command("edit")
def plan_edit(
    ids: Ids = None,
    directory: DirOption = HERE,
    everything: Annotated[bool, typer.Option("--all", help="Those that pass, too.")] = False,
    file: Annotated[str, typer.Option("--file", metavar="FILE|-", help="An edited text instead of an editor.")] = "",
    yes: Yes = False,
) -> None:
    """Open the features that do not pass in $EDITOR.

    Ids stay. A feature that passes and whose text you change is open again, and its check is written anew. A text that
    breaks a rule is kept in a file and named.

    Example: harness plan edit F003 F004
    """
    from harness.cli import plan as cli_plan

    typer.echo(wait(cli_plan.edit(directory, ids or (), file, everything=everything, yes=yes)))


@app.command("amend")
def plan_amend(
    feature: FeatureArgument,
    words: Words = "",
    directory: DirOption = HERE,
    file: Annotated[
        str, typer.Option("--file", metavar="FILE|-", help="Fields as JSON or TOML (no model), or your words.")
    ] = "",
    yes: Yes = False,
) -> None:
    """Change one feature's text.

    The checks that this touches are named: its own, and those of features that change it or depend on it.

    Example: harness plan amend F003 "also by pressing Enter"
    """
    from harness.cli import plan as cli_plan

    if bool(words.strip()) == bool(file):
        raise typer.BadParameter("Say what is to be otherwise, or give the fields with --file.", param_hint="TEXT")
    typer.echo(wait(cli_plan.amend(directory, feature, words, file, yes=yes)))


@app.command("remove")
def plan_remove(feature: FeatureArgument, directory: DirOption = HERE, why: Why = "", yes: Yes = False) -> None:
    """Take a feature out of the plan.

    Its id is not used again. Its code stays; `harness skip` sets a feature aside without forgetting it.

    Example: harness plan remove F007 --why "nobody exports anything"
    """
    from harness.cli import plan as cli_plan

    typer.echo(wait(cli_plan.remove(directory, feature, why, yes=yes)))
