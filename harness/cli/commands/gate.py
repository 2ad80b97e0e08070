"""The proof alone, for people whose own agent edits the project; and where it is hooked in."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from harness.cli.commands.options import HELP, HERE, Box, Dir, Hosts, Json, Prepare, sandbox_flags, wait


class _ChecksByDefault(TyperGroup):
    """`harness gate [DIR]` is `harness gate check [DIR]`; a directory named like a command is given as ./install."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else ["check", *args])


class Place(str, Enum):  # noqa: UP042 - typer shows the values of this form in every version
    """Where the gate is hooked in."""

    claude = "claude"
    git = "git"
    ci = "ci"


_INPUT_CHARACTERS = 1 << 20
"""Of what a hook is told."""
_HELP: dict[str, Any] = {**HELP, "no_args_is_help": False}
app = typer.Typer(
    cls=_ChecksByDefault,
    help="Look whether what is claimed is so.\n\nThe proof alone, for an agent of your own.\n\n"
    "`harness gate [DIR]` is `harness gate check [DIR]`; `harness gate check --help` tells its options.",
    **_HELP,
)


@app.command("check")
def gate_check(
    directory: Dir = HERE,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="ID", help="Claim this one, also if it does not pass yet; repeatable."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Claim the whole list, all of it looked at anew.")] = False,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only features whose files differ since all held; all when unsure.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Commit the proof of a feature that did not pass before.")
    ] = False,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, for CI.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for GitHub's workflows.")] = False,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Look whether what is claimed is so, on the files as they lie.

    Features that pass in the list are replayed, and the project's own gate is run. A list, check or progress that
    somebody else than the harness wrote is refused. A feature that is claimed with --feature or --all and does not
    pass yet is proved in full, which needs a model. The exit code is 1, with the evidence, when something is not so.

    Example: harness gate my-app --feature F003
    """
    if sum((bool(feature), everything, changed)) > 1:
        raise typer.BadParameter("Give one of --feature, --all and --changed.", param_hint="--feature")
    if keep and not feature:
        raise typer.BadParameter("Say with --feature whose proof is to be kept.", param_hint="--keep")
    from harness.cli.gate import Wish, gate_once
    from harness.gate import Asked

    asked = Asked(tuple(feature or ()), everything, changed)
    flags = sandbox_flags(sandbox, allow_host, prepare_network)
    raise typer.Exit(wait(gate_once(Wish(directory, asked, keep, as_json, junit, github, flags))))


PlaceArgument = Annotated[
    Place, typer.Argument(metavar="claude|git|ci", help="Claude Code's Stop hook, git's pre-push hook, GitHub.")
]


@app.command("install")
def gate_install(place: PlaceArgument, directory: Dir = HERE) -> None:
    """Hook the gate in where work is claimed to be done.

    claude: a Stop hook in .claude/settings.json; git: a pre-push hook; ci: .github/workflows/harness.yml. What is
    there is kept, and a second installation changes nothing.

    Example: harness gate install claude my-app
    """
    from harness import gate_install as hooks

    typer.echo(hooks.install(directory, place.value))


@app.command("uninstall")
def gate_uninstall(place: PlaceArgument, directory: Dir = HERE) -> None:
    """Take it out again; the files are as they were.

    Example: harness gate uninstall claude my-app
    """
    from harness import gate_install as hooks

    typer.echo(hooks.uninstall(directory, place.value))


@app.command("stop-hook", hidden=True)
def gate_stop_hook(directory: Dir = HERE) -> None:
    """Answer Claude Code, which wants to stop; its JSON is read from standard input."""
    from harness.cli import hooks as cli_hooks

    raise typer.Exit(wait(cli_hooks.stop_hook(directory, sys.stdin.read(_INPUT_CHARACTERS))))


@app.command("pre-push", hidden=True)
def gate_pre_push(directory: Dir = HERE) -> None:
    """Answer git, which wants to push; its lines are read from standard input."""
    from harness.cli import hooks as cli_hooks

    raise typer.Exit(wait(cli_hooks.pre_push(directory, sys.stdin.read(_INPUT_CHARACTERS).splitlines())))


mcp_app = typer.Typer(**HELP)


@mcp_app.command()
def mcp(directory: Dir = HERE) -> None:
    """Answer your own agent over MCP.

    MCP is the Model Context Protocol, here over standard input and output, with the tools status, next_feature,
    contract, verify, recall and note. Agents start it themselves; docs/agents.md tells how.

    Example: claude mcp add harness -- harness mcp my-app
    """
    from harness.cli.mcp import serve

    wait(serve(directory))
