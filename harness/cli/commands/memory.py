"""Look into what was learned, and add what a person knows."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.commands.options import HELP, HERE, Json, print_json, wait

app = typer.Typer(help="What was learned, and documents of yours.", **HELP)


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
    from harness.cli import memory as cli_memory

    found = wait(cli_memory.search(directory, query, count, kind or [], since, scope.value))
    typer.echo(cli_memory.as_json(found) if as_json else cli_memory.as_text(found))


@app.command("add")
def memory_add(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and directories.")],
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE,
) -> None:
    """Add documents that planning and coding should know.

    Markdown, text, HTML, PDF and source files. Of a directory what .gitignore names is left out, and hidden files.
    Adding again takes in what changed and forgets what is gone. A model reads them as quoted data.

    Example: harness memory add docs/ api.pdf
    """
    from harness.cli import memory as cli_memory

    typer.echo(wait(cli_memory.add(directory, paths)))


@app.command("list")
def memory_list(
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE, as_json: Json = False
) -> None:
    """List the documents that were added.

    Example: harness memory list
    """
    from harness.cli import memory as cli_memory
    from harness.console_text import one_line

    found = wait(cli_memory.documents(directory))
    lines = [f"{count:>6} records  {one_line(name)}" for name, count in found.items()]
    print_json(found) if as_json else typer.echo("\n".join(lines) or "None; `harness memory add PATH` adds some.")


@app.command("forget")
def memory_forget(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Documents, as `memory list` names them.")],
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE,
) -> None:
    """Recall documents never again.

    Example: harness memory forget docs/old-api.md
    """
    from harness.cli import memory as cli_memory

    typer.echo(f"{wait(cli_memory.forget(directory, names))} records are not recalled any more.")


@app.command("stats")
def memory_stats(
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE, as_json: Json = False
) -> None:
    """Count records and say which index answers."""
    from harness.cli import memory as cli_memory

    facts = wait(cli_memory.stats(directory))
    print_json(facts) if as_json else typer.echo("\n".join(f"{name:<16} {value}" for name, value in facts.items()))


@app.command("rebuild")
def memory_rebuild(directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE) -> None:
    """Build the index anew from the records."""
    from harness.cli import memory as cli_memory

    typer.echo(f"The index holds {wait(cli_memory.rebuild(directory))} records.")
