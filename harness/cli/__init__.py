"""The door: runs a command and chooses the exit code.

    0 done   1 ended with features open   2 usage   3 set-up   4 broken file   5 outside failure   130 interrupted

The commands themselves are in `commands/`, a file for each thing a person comes for; what they do, and how it is told,
is beside this file, in a module of the same name. Nothing is decided here and nothing heavy is imported before a
command needs it. `main` is the one place where an error becomes words for a person.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import NoReturn

import typer

from harness.cli.commands import app
from harness.errors import HarnessError, Interrupted, StopRun


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
    from harness.cli.text import one_screen
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
