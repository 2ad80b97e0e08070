"""The commands: read the arguments, call, print, choose the exit code.

    0 done   1 ended with features open   2 usage   3 set-up   4 broken file   5 outside failure   130 interrupted

Nothing is decided here and nothing heavy is imported before a command needs it. `main` is the one place where an
error becomes words for a person; `asyncio.run` is called here only.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from harness.errors import HarnessError, Interrupted, StopRun

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from harness.cli_run import Work

T = TypeVar("T")
_HELP = {"add_completion": False, "rich_markup_mode": None, "no_args_is_help": True, "pretty_exceptions_enable": False}
app = typer.Typer(help="Builds software feature by feature and proves each one in a real browser.", **_HELP)  # type: ignore[arg-type]  # one place for four options of different types
memory_app = typer.Typer(help="Look into what was learned.", **_HELP)  # type: ignore[arg-type]  # as above
app.add_typer(memory_app, name="memory")
check_app = typer.Typer(help="See and decide how a feature is proved.", **_HELP)  # type: ignore[arg-type]  # as above
app.add_typer(check_app, name="check")


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


class Scope(str, Enum):  # noqa: UP042 - as above
    """Whose records are searched."""

    project = "project"
    all = "all"


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
FeatureArgument = Annotated[str, typer.Argument(metavar="ID", help="A feature; `harness status` lists them.")]
DirOption = Annotated[Path, typer.Option("--dir", help="The project's directory.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it is kept and told.")]
HERE = Path()


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


@app.command()
def init(
    directory: Dir = HERE,
    spec: Annotated[
        str | None, typer.Option("--spec", metavar="FILE|TEXT|-", help="A file, a text, or - for input.")
    ] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over a feature_list.json that is there.")] = False,
    features: Annotated[int, typer.Option("--features", min=0, help="Features wanted; 0: as the text needs.")] = 0,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="Name the build.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the feature list unseen.")] = False,
    record: Record = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Turn a specification into a feature list.

    With it come a skeleton that starts, and a first commit.

    The list is shown for acceptance on a terminal. What was begun and cut off goes on with the same command.

    With --adopt the list of another harness is copied once (feature_list.json, app_spec.txt, claude-progress.txt), and
    no model is needed; what it says passes is proved by the next run, before anything is built.

    Example: harness init my-app --spec notes.md --features 12
    """
    from harness.cli_run import read_spec, run_initialise

    if spec is None and not adopt:
        raise typer.BadParameter("Say what is to be built, or take over a list with --adopt.", param_hint="--spec")
    if adopt and features:
        raise typer.BadParameter("An adopted list has the features it has.", param_hint="--features")
    text = "" if spec is None else read_spec(spec)
    flags = _flags(sandbox, allow_host, prepare_network)
    _run(directory, run_initialise(directory, text, thread, features, yes, flags, record, adopt=adopt))


@app.command()
def run(
    directory: Dir = HERE,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="The build; default: the last.")] = None,
    feature: Annotated[str, typer.Option("--feature", metavar="ID", help="Build this feature alone.")] = "",
    max_sessions: Annotated[int, typer.Option("--max-sessions", min=0, help="Stop after so many; 0: no limit.")] = 0,
    max_turns: Annotated[int, typer.Option("--max-turns", min=0, help="Stop after so many; 0: no limit.")] = 0,
    record: Record = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Build the open features, one a session.

    Each is proved before it is committed.

    Ctrl-C stops at the next safe point, a second one at once; nothing is lost either way.

    Example: harness run my-app --max-sessions 5
    """
    from harness.cli_run import run_build

    limits = {"only": feature, "max_sessions": max_sessions, "max_turns": max_turns}
    _run(directory, run_build(directory, thread, False, _flags(sandbox, allow_host, prepare_network), record, **limits))


@app.command()
def resume(
    thread: Annotated[str, typer.Argument(metavar="THREAD", help="The build to go on with; `harness threads`.")],
    directory: Dir = HERE,
    record: Record = None,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Go on with a stopped or killed build.

    Example: harness resume t-20261121-3f9a my-app
    """
    from harness.cli_run import run_build

    _run(directory, run_build(directory, thread, True, _flags(sandbox, allow_host, prepare_network), record))


@app.command()
def threads(directory: Dir = HERE, as_json: Json = False) -> None:
    """List the builds of a project, newest last.

    Example: harness threads my-app
    """
    from harness.console_text import wrapped
    from harness.project import Project, read_holder
    from harness.status import thread_line
    from harness.threads import load_threads

    project = Project.find(directory)
    records, holder = load_threads(project), read_holder(project)
    if as_json:
        _print_json([record.model_dump(mode="json") for record in records])
        return
    held = holder.thread if holder else None
    lines = [
        wrapped(f"{r.updated:%Y-%m-%d %H:%M}  ", thread_line(r, is_held=r.thread_id == held), _width()) for r in records
    ]
    typer.echo("\n".join(lines) or "No thread yet; `harness init` or `harness run` starts one.")


@app.command()
def status(directory: Dir = HERE, as_json: Json = False) -> None:
    """Show how far the features are.

    Also who is at work, the last failure, and what to do next.

    Example: harness status my-app --json
    """
    with _nothing_to_collect():
        from harness import status as reader

        found = reader.read_status(directory)
        typer.echo(reader.as_json(found) if as_json else reader.as_text(found, _width()))


@app.command()
def log(
    directory: Dir = HERE,
    session: Annotated[str, typer.Option("--session", metavar="N", help="Number or id of a session.")] = "",
    as_json: Json = False,
) -> None:
    """List the sessions, or tell what one did.

    Of one it tells the brief, the turns, the tools and the verdicts.

    Example: harness log my-app --session 3
    """
    from harness import log as reader
    from harness.project import Project

    sessions = reader.find_sessions(Project.find(directory))
    if not session:
        facts = [reader.as_facts(found) for found in sessions]
        _print_json(facts) if as_json else typer.echo(reader.sessions_text(sessions, _width()))
        return
    chosen = reader.choose_session(sessions, session)
    trajectory = reader.read_trajectory(chosen.path)
    if as_json:
        _print_json({**reader.as_facts(chosen), "events": [e.model_dump(mode="json") for e in trajectory.events]})
        return
    for line in reader.session_text(chosen, trajectory):
        typer.echo(line)


@app.command()
def audit(
    thread: Annotated[str, typer.Argument(metavar="[THREAD]", help="A build; none: the last.")] = "",
    directory: Dir = HERE,
    verify: Annotated[bool, typer.Option("--verify", help="Say only whether it is what was written.")] = False,
    as_json: Json = False,
) -> None:
    """List what a build did, refused and decided.

    Each command, file, address and decision is a line that is sealed to the one before; commits carry the last one.
    The exit code is 4 when a line does not fit, and the first such line is named.

    Example: harness audit t-20261121-3f9a my-app
    """
    from harness import cli_audit

    if thread and directory == HERE and Path(thread).is_dir():  # as of every other command
        thread, directory = "", Path(thread)
    found = _wait(cli_audit.read_audit(directory, thread))
    text = cli_audit.verified_text(found) if verify else cli_audit.as_text(found, _width())
    typer.echo(cli_audit.as_json(found) if as_json else text)
    if found.broken:
        raise found.broken


@app.command()
def verify(
    directory: Dir = HERE,
    feature: Annotated[list[str] | None, typer.Option("--feature", metavar="ID", help="Only this; repeatable.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="A running application instead of init.sh.")] = None,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, for CI.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="DIR", help="Write a report with pictures.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Replay again when files change, until Ctrl-C.")] = False,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser in a window, slowly.")] = False,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Replay the proofs of features that pass.

    No model is asked. The exit code is 0 only if all that was asked for passes.

    Example: harness verify my-app --feature F003 --html report
    """
    from harness.cli_verify import Wish, verify_on_change, verify_once

    wish = Wish(
        directory, feature or (), url, as_json, junit, html, headed, _flags(sandbox, allow_host, prepare_network)
    )
    raise typer.Exit(_wait(verify_on_change(wish) if watch else verify_once(wish)))


@memory_app.command("search")
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

    found = _wait(cli_memory.search(directory, query, count, kind or [], since, scope.value))
    typer.echo(cli_memory.as_json(found) if as_json else cli_memory.as_text(found))


@memory_app.command("stats")
def memory_stats(
    directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE, as_json: Json = False
) -> None:
    """Count records and say which index answers."""
    from harness import cli_memory

    facts = _wait(cli_memory.stats(directory))
    _print_json(facts) if as_json else typer.echo("\n".join(f"{name:<16} {value}" for name, value in facts.items()))


@memory_app.command("rebuild")
def memory_rebuild(directory: Annotated[Path, typer.Option("--dir", help="The project's directory.")] = HERE) -> None:
    """Build the index anew from the records."""
    from harness import cli_memory

    typer.echo(f"The index holds {_wait(cli_memory.rebuild(directory))} records.")


@check_app.command("show")
def check_show(feature: FeatureArgument, directory: DirOption = HERE, as_json: Json = False) -> None:
    """Print a check in words.

    Its steps, what is done and seen at each, how each expectation was shown to be able to fail, and how things are
    found; what a locator finds by css or position alone is marked.

    Example: harness check show F003
    """
    from harness import cli_check

    typer.echo(cli_check.show(directory, feature, as_json=as_json))


@check_app.command("lint")
def check_lint(
    feature: Annotated[str, typer.Argument(metavar="[ID]", help="One feature; none: all that have a check.")] = "",
    directory: DirOption = HERE,
    as_json: Json = False,
) -> None:
    """Look for what is wrong or weak in checks.

    Names that are not bound, expectations that nothing made fail, generated names, literals that stand nowhere; as
    warnings what is found by css or position alone. The exit code is 1 if anything but a warning is found.

    Example: harness check lint
    """
    from harness import cli_check

    text, is_sound = cli_check.lint(directory, feature, as_json=as_json)
    typer.echo(text)
    raise typer.Exit(0 if is_sound else 1)


@check_app.command("author")
def check_author(
    feature: FeatureArgument,
    directory: DirOption = HERE,
    url: Annotated[str | None, typer.Option("--url", help="A running application instead of init.sh.")] = None,
    as_json: Json = False,
    sandbox: Box = None,
    allow_host: Hosts = None,
    prepare_network: Prepare = None,
) -> None:
    """Write a check for a feature on an application.

    The contract is written from the feature's text alone, bound to the application, and replayed twice. If it passes
    it is kept as a draft, which `check accept` makes the feature's contract.

    Example: harness check author F003 --url http://localhost:3000
    """
    from harness import cli_check

    text, is_kept = _wait(
        cli_check.author(directory, feature, url, _flags(sandbox, allow_host, prepare_network), as_json=as_json)
    )
    typer.echo(text)
    raise typer.Exit(0 if is_kept else 1)


@check_app.command("accept")
def check_accept(feature: FeatureArgument, directory: DirOption = HERE) -> None:
    """Say that a contract is right as it stands.

    For a feature that is parked as disputed, or because nothing makes an expectation fail, and for a draft. The
    feature opens again; no author writes its contract anew and no coder can dispute it.

    Example: harness check accept F003
    """
    from harness import cli_decide

    typer.echo(_wait(cli_decide.accept(directory, feature)))


@check_app.command("amend")
def check_amend(
    feature: FeatureArgument,
    file: Annotated[str, typer.Option("--file", metavar="FILE|-", help="A contract as JSON, or your words.")],
    directory: DirOption = HERE,
) -> None:
    """Give a feature another contract.

    JSON is a contract (targets and items, as in docs/checks.md, or a file of checks/); any other text is what you
    decided, in words, from which the author writes one. It is held to the same rules as an author's.

    Example: harness check amend F003 --file contract.json
    """
    from harness import cli_decide

    typer.echo(_wait(cli_decide.amend(directory, feature, *cli_decide.read_given(file))))


@app.command()
def skip(feature: FeatureArgument, directory: DirOption = HERE, why: Why = "") -> None:
    """Set a feature aside until you reopen it.

    What depends on it waits too.

    Example: harness skip F007 --why "the export is not wanted any more"
    """
    from harness import cli_decide

    typer.echo(_wait(cli_decide.skip(directory, feature, why)))


@app.command()
def reopen(feature: FeatureArgument, directory: DirOption = HERE, why: Why = "") -> None:
    """Have a feature done again, before others.

    One that passed, was parked or skipped. Its contract is written anew, and the coder is told why.

    Example: harness reopen F003 --why "the total is wrong when a price has cents"
    """
    from harness import cli_decide

    typer.echo(_wait(cli_decide.reopen(directory, feature, why)))


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to build.")] = Path("harness-demo"),
) -> None:
    """Build a small application before your eyes.

    The model is recorded and needs no key. Running it again with the same directory goes on where it was.
    """
    from harness.cli_run import run_demo, what_to_try

    _run(directory, run_demo(directory), what_to_try(directory))


@app.command()
def doctor(
    directory: Dir = HERE,
    offline: Annotated[bool, typer.Option("--offline", help="Do not call the model's endpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is wrong here and what mends it.

    Here is this machine and this project.
    """
    from harness.cli_text import findings_text
    from harness.doctor import examine

    findings = _wait(examine(directory, offline=offline))
    _print_json([vars(finding) for finding in findings]) if as_json else typer.echo(findings_text(findings, _width()))
    raise typer.Exit(3 if any(finding.level == "fail" for finding in findings) else 0)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code."""
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


def _flags(sandbox: Sandbox | None, hosts: list[str] | None, prepare: PrepareNetwork | None) -> dict[str, Any]:
    given = {
        "mode": sandbox and sandbox.value,
        "hosts": hosts,
        "prepare_network": prepare and prepare.value,
    }
    return {"sandbox": {name: value for name, value in given.items() if value}}


def _run(directory: Path | None, work: Work, last_words: str = "") -> NoReturn:
    from harness.cli_run import drive

    code = _wait(drive(directory, work))
    if last_words and not code:
        typer.echo(last_words)
    raise typer.Exit(code)


def _wait(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Spare a process of a moment the search for garbage, at its end too: a fifth of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _print_json(facts: Any) -> None:
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
