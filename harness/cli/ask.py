"""Asking the person at the terminal: to accept, to edit in their own editor, or to say in words what they want.

Ctrl-C at a question stops, and so does the end of the input; what was shown or edited lies in a file that stays.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from harness.console_text import one_line, plain, wrapped
from harness.errors import Interrupted, SetupError

_ACCEPT, _EDIT, _STOP = {"", "a", "accept", "y", "yes", "ok"}, {"e", "edit"}, {"s", "stop", "q", "quit", "n", "no"}
_ITEM = re.compile(r"(\s*(?:[-*+]|\d+[.)])\s+)?(.*)")
_QUESTION = "Enter accepts, e edits, s stops; or say what to change"


def is_asked(*, yes: bool) -> bool:
    """Whether somebody sits there to be asked."""
    return not yes and sys.stdin.isatty() and sys.stdout.isatty()


def review_file(path: Path, what: str) -> str:
    """Show a text until the person accepts it or says what to change; they may edit the file in between.

    Args:
        what: what it is, such as "specification".

    Returns: what they want changed, in words; nothing when they accept it.
    Raises: Interrupted: they stop; the file stays.
    """
    while True:
        text = path.read_text(encoding="utf-8")
        typer.echo(f"\n{_folded(text)}\n")
        said = ask(_QUESTION, f"The {what} is kept as it is; the same command shows it again.")
        if said.lower() in _EDIT:
            edit_file(path)
        elif said.lower() in _ACCEPT and text.strip():
            return ""
        elif said.lower() in _STOP:
            raise Interrupted(f"The {what} is kept as it is; the same command shows it again.")
        elif len(said.split()) > 1:
            return said
        else:
            typer.echo(f"{one_line(said, 40)!r} is not understood." if text.strip() else "It is empty.")


def _folded(text: str) -> str:
    """A text as wide as the terminal; what goes on stands below the text of its item."""
    columns = shutil.get_terminal_size().columns
    parts = (_ITEM.fullmatch(line) for line in plain(text).strip().split("\n"))
    return "\n".join(wrapped(part[1] or "", part[2], columns) if part and part[2] else "" for part in parts)


def confirm(question: str, when_stopped: str = "") -> bool:
    """Ask yes or no.

    Args:
        when_stopped: what is said when Ctrl-C is pressed; empty: that says no.

    Raises: Interrupted: Ctrl-C was pressed, and is something else than no.
    """
    with _interrupts_go_to(signal.default_int_handler):
        try:
            return typer.confirm(question, default=True)
        except (typer.Abort, KeyboardInterrupt) as exc:
            if when_stopped:
                raise Interrupted(when_stopped) from exc
            return False


def edit_file(path: Path) -> None:
    """Open a file in $VISUAL or $EDITOR and wait; what was saved is on the disk, whatever becomes of us meanwhile.

    Raises: SetupError: there is no editor, or it failed.
    """
    import click

    with _interrupts_go_to(lambda *_: None):  # Ctrl-C is the editor's own key
        try:
            click.edit(filename=str(path))
        except click.ClickException as exc:
            remedy = f"Name one with EDITOR; the text is kept in {path}."
            raise SetupError(f"The editor did not work: {exc.message}", remedy) from exc


@contextmanager
def _interrupts_go_to(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Let Ctrl-C reach what blocks here; the loop, which else hears it, stands still and must not hear it later."""
    before, listening = signal.signal(signal.SIGINT, handler), signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(listening)
        signal.signal(signal.SIGINT, before)


def ask(question: str, when_stopped: str) -> str:
    """One line of text; may be empty.

    Raises: Interrupted: by Ctrl-C, with the reason that was given.
    """
    with _interrupts_go_to(signal.default_int_handler):
        try:
            return str(typer.prompt(question, default="", show_default=False)).strip()
        except (typer.Abort, KeyboardInterrupt) as exc:
            raise Interrupted(when_stopped) from exc


def choose(question: str, answers: Mapping[str, str]) -> str:
    """Ask until one of the answers is given; Ctrl-C is the last of them."""
    while True:
        try:
            said = ask(question, "").lower()
        except Interrupted:
            return list(answers.values())[-1]
        if said in answers:
            return answers[said]
