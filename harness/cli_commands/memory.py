"""Look into what was learned."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli_commands.options import HELP, HERE, Json, print_json, wait

app = typer.Typer(help="Look into what was learned.", **HELP)


class Scope(str, Enum):  # noqa: UP042 - as above
    """Whose records are searched."""

    project = "project"
    all = "all"


@app.command("search")
def memory_search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What it is about, in any words.")],
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE,
    count: Annotated[int, typer.Option("-k", min=1, max=100, help="Records at most.")] = 6,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="progress, failure, decision, commit, knowledge or note; repeatable.",
        ),
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="AGE", help="Only younger than 30m, 12h, 7d or 2w.")] = "",
    scope: Annotated[Scope, typer.Option("--scope", help="This project, or all of yours.")] = Scope.project,
    as_json: Json = False,
) -> None:
    """Find records by meaning.

    Example: harness memory search "entries are gone after reload" --since 7d
    """
    from harness import cli_memory

    found = wait(cli_memory.search(directory, query, count, kind or [], since, scope.value))
    typer.echo(cli_memory.as_json(found) if as_json else cli_memory.as_text(found))


@app.command("stats")
def memory_stats(
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE, as_json: Json = False
) -> None:
    """Count records and say which index answers."""
    from harness import cli_memory

    facts = wait(cli_memory.stats(directory))
    print_json(facts) if as_json else typer.echo("\n".join(f"{name:<16} {value}" for name, value in facts.items()))


@app.command("rebuild")
def memory_rebuild(directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE) -> None:
    """Build the index anew from the records."""
    from harness import cli_memory

    typer.echo(f"The index holds {wait(cli_memory.rebuild(directory))} records.")
