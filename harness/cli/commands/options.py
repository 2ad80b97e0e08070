"""What several commands share: their options, and how a command waits, prints and ends."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from harness.cli.commands.completing import feature_ids

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from harness.cli.run import Work

T = TypeVar("T")
HELP: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
}
"""How every group of commands shows itself."""


class Sandbox(str, Enum):  # noqa: UP042 - typer shows the values of this form in every version
    """How commands are shut in."""

    plan = "plan"
    project = "project"
    project_net = "project+net"
    off = "off"


class PrepareNetwork(str, Enum):  # noqa: UP042 - as above
    """What `init.sh prepare` may reach."""

    off = "off"
    registries = "registries"
    on = "on"


class ProjectKind(str, Enum):  # noqa: UP042 - as above
    """What is built."""

    web = "web"
    service = "service"
    program = "program"


Dir = Annotated[Path, typer.Argument(metavar="DIR", help="The project's directory.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print facts for a program.")]
Box = Annotated[
    Sandbox | None,
    typer.Option(
        "--sandbox",
        help="plan: nothing is written; project: the default; project+net: with the hosts of --allow-host; "
        "off: UNSAFE, code written by a model runs with all your rights.",
    ),
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="HOST[:PORT]", help="Reached with --sandbox project+net; repeatable."),
]
Prepare = Annotated[
    PrepareNetwork | None,
    typer.Option("--prepare-network", help="What init.sh prepare may reach; registries: those of your own clients."),
]
Record = Annotated[
    Path | None, typer.Option("--record", metavar="FILE", help="Write the conversation with the model to this file.")
]
FeatureArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A feature; `harness status` lists them.", autocompletion=feature_ids)
]
DirOption = Annotated[Path, typer.Option("--dir", help="The project's directory.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it is kept and told.")]
HERE = Path()


def sandbox_flags(sandbox: Sandbox | None, hosts: list[str] | None, prepare: PrepareNetwork | None) -> dict[str, Any]:
    """What the options of the sandbox say, as settings; those not given are left out."""
    given = {
        "mode": sandbox and sandbox.value,
        "hosts": hosts,
        "prepare_network": prepare and prepare.value,
    }
    return {"sandbox": {name: value for name, value in given.items() if value}}


def run_to_end(directory: Path | None, work: Work, last_words: str = "") -> NoReturn:
    """Drive work that is shown, then leave with its exit code.

    Args:
        last_words: printed when it ended well.
    """
    from harness.cli.run import drive

    code = wait(drive(directory, work))
    if last_words and not code:
        typer.echo(last_words)
    raise typer.Exit(code)


def wait(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine."""
    import asyncio

    return asyncio.run(work)


def width() -> int:
    """Columns of the terminal; 0: none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def print_json(facts: Any) -> None:
    """Facts for a program, on standard output."""
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
