"""The door: puts the commands together, runs one, and chooses the exit code.

    0 done   1 ended with features open   2 usage   3 set-up   4 broken file   5 outside failure   130 interrupted

The commands themselves are in `cli_commands/`, a file for each thing a person comes for. Nothing is decided here and
nothing heavy is imported before a command needs it. `main` is the one place where an error becomes words for a person.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from harness.cli_commands import build, check, decide, gate, look, memory, plan, prove, see
from harness.cli_commands.options import HELP
from harness.errors import HarnessError, Interrupted, StopRun

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


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code."""
    if arguments is None and sys.getfilesystemencoding() != "utf-8":
        # names of files do not survive a locale of few letters: git and what we keep hold them as UTF-8
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    given = sys.argv[1:] if arguments is None else arguments
    is_debug, rest = _take_debug(given)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them takes longer than `status`
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of few letters is no reason to fail
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        app(rest, prog_name="harness")
        sys.exit(0)
    except Exception as exc:
        _leave(exc, is_debug)
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(exc: Exception, is_debug: bool) -> NoReturn:
    if is_debug:
        import traceback

        traceback.print_exception(exc)
    from harness.cli_text import one_screen
    from harness.disk import refused_by_disk

    exc = refused_by_disk(exc) or exc

    unexpected = f"{type(exc).__name__}: {exc}".strip().partition("\n")[0]
    words = f"Something unexpected happened: {unexpected}\nRun again with --debug to see where."
    if isinstance(exc, StopRun):
        words = exc.reason
    elif isinstance(exc, HarnessError):
        words = str(exc)
    typer.echo(one_screen(words), err=True)
    sys.exit(getattr(exc, "exit_code", 5) if isinstance(exc, HarnessError | StopRun) else 5)


def _interrupt(*_: object) -> NoReturn:
    raise Interrupted("Interrupted.")


def _take_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = [word for word in arguments[:end] if word != "--debug"]
    return len(before) < end, before + arguments[end:]
