"""The commands, a file for each thing a person comes for, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.commands import build, check, decide, gate, look, memory, plan, prove, see
from harness.cli.commands.options import HELP

ABOUT = "Builds software feature by feature and proves each one in a real browser."
app = typer.Typer(help=ABOUT, **{**HELP, "add_completion": True})
for group in (build, look, see, prove, decide):
    app.add_typer(group.app)
app.add_typer(plan.app, name="plan")
app.add_typer(gate.mcp_app)
app.add_typer(check.app, name="check")
app.add_typer(memory.app, name="memory")
app.add_typer(gate.app, name="gate")


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"harness {installed('harness')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
