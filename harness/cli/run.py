"""Driving a run from the command line: the specification, the two ways to stop, the question, the last words."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer

from harness.cli.ask import ask, choose, confirm, is_asked, review_file
from harness.console import Display, features_table, print_table, watch
from harness.console_text import one_line
from harness.errors import HarnessError, Interrupted, SetupError
from harness.events import Events
from harness.project import Project
from harness.status import current_features
from harness.status_report import print_report
from harness.threads import latest_thread, resume_command

if TYPE_CHECKING:
    from harness.features import FeatureList
    from harness.opening import Stop
    from harness.reviewing import Answer, Proposal, Review
    from harness.runtime import Ended

STOPPING = "Stopping when the model has answered or the replay is over; once more stops at once."
FILES_SHOWN = 20
Work = Callable[[Events, "Stop", Display], Awaitable["Ended"]]
"""A run that has not begun."""
_LOOKS_LIKE_A_PATH = re.compile(
    r"[~.]?\.?/\S*|\S+/\S*|\S+\.(md|markdown|txt|rst|adoc|json|html?|pdf|docx?)", re.IGNORECASE
)


def read_spec(given: str) -> str:
    """The specification's text, from a file, standard input or the argument itself.

    Raises: typer.BadParameter: it is empty, cannot be read, or looks like a file that is not there.
    """
    text = sys.stdin.read() if given == "-" else _file_or_text(given)
    if not text.strip():
        where = {"-": "Standard input"}.get(given, f"{one_line(given, 80)!r}" if given.strip() else "The text")
        raise typer.BadParameter(f"{where} is empty; a specification says what is to be built.", param_hint="--spec")
    return text


def _file_or_text(given: str) -> str:
    path = Path(given).expanduser() if given.startswith("~/") else Path(given)
    try:
        if given and path.exists():
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise typer.BadParameter(f"{given} is not UTF-8 text.", param_hint="--spec") from exc
    except (OSError, ValueError) as exc:
        if _LOOKS_LIKE_A_PATH.fullmatch(given):
            why = getattr(exc, "strerror", None) or exc
            raise typer.BadParameter(f"{given} cannot be read: {why}.", param_hint="--spec") from exc
        return given  # too long for a name, so a text
    if _LOOKS_LIKE_A_PATH.fullmatch(given):
        message = f"There is no file {given!r}. Name a file that is there, or write the text itself."
        raise typer.BadParameter(message, param_hint="--spec")
    return given


def run_initialise(
    directory: Path,
    spec: str,
    thread: str | None,
    wanted: int,
    yes: bool,
    flags: dict[str, Any],
    record: Path | None,
    *,
    adopt: bool = False,
) -> Work:
    """`harness init`."""

    def work(events: Events, stop: Stop, display: Display) -> Awaitable[Ended]:
        from harness.runtime import initialise

        return initialise(
            directory, spec, adopt=adopt, thread_id=thread, wanted=wanted, flags=flags, events=events, record=record,
            stop=stop, **_asked(display, yes=yes),
        )  # fmt: skip

    return work


def run_build(
    directory: Path,
    thread: str | None,
    must_exist: bool,
    flags: dict[str, Any],
    record: Path | None,
    *,
    review: str = "",
    answer: Answer | None = None,
    **limits: Any,
) -> Work:
    """`harness run` and `harness resume`.

    Args:
        review: `features` or `commits`: what is proved is shown, and a decision asked for.
        answer: to a question that an earlier run left open.

    Raises: typer.BadParameter: nobody is there to be asked.
    """
    if review and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise typer.BadParameter("It asks you, and this is no terminal.", param_hint="--review")

    def work(events: Events, stop: Stop, display: Display) -> Awaitable[Ended]:
        from harness.runtime import build

        return build(
            directory, thread_id=thread, must_exist=must_exist, record=record, flags=flags, events=events, stop=stop,
            approval=_approval(review, answer, display), **_asked(display, yes=False), **limits,
        )  # fmt: skip

    return work


def run_demo(directory: Path | None) -> Work:
    """`harness demo`.

    Raises: SetupError: this installation came without the demo.
    """

    def work(events: Events, stop: Stop, display: Display) -> Awaitable[Ended]:
        try:
            from harness.demo import run_demo as begin
        except ImportError as exc:
            remedy = "Run it from a clone of the repository: `./init.sh demo`."
            raise SetupError("The demo is not part of this installation.", remedy) from exc
        return begin(directory, events, stop)

    return work


def run_replay(recording: Path, directory: Path, spec: str, flags: dict[str, Any]) -> Work:
    """`harness replay`."""

    def work(events: Events, stop: Stop, display: Display) -> Awaitable[Ended]:
        from harness.replaying import replay

        return replay(recording, directory, spec, flags=flags, events=events, stop=stop)

    return work


def what_to_try(directory: Path) -> str:
    """What a reader of the demo can do next."""
    place = shlex.quote(str(directory))
    return f"""
Try next:
  harness status {place}                  features, proofs, where the state lies
  harness verify {place}                  replay every proof, without a model
  harness log {place} --session 3         a session that was caught: brief, turns, evidence
  harness memory search "the user cannot see it" --dir {place}
  git -C {place} log                      one commit a feature
Hide the list in {place}/public/style.css and verify again: the step is named."""


async def drive(directory: Path | None, work: Work, stream: IO[str] | None = None) -> int:
    """Carry out a run, show it, and return its exit code.

    Raises: HarnessError: what happened and what to do.
    """
    from harness.opening import Stop

    stream, events, stop = stream or sys.stdout, Events(), Stop()
    with watch(events, stream, lambda: _totals(directory)) as display:
        ended = await until_stopped(lambda: work(events, stop, display), stop, display.say, lambda: _again(directory))
    if ended is None:
        print(f"Stopped at once; nothing proved is lost. {_again(directory)}".strip(), file=stream)
        return 130
    if directory:
        await print_report(directory, stream)
    print(one_line(f"{ended.exit_status}: {ended.reason}"), file=stream)
    if ended.resume:
        print(f"Go on with: {ended.resume}", file=stream)
    return ended.exit_code


async def until_stopped(
    work: Callable[[], Awaitable[Ended]], stop: Stop, say: Callable[[str], None], again: Callable[[], str]
) -> Ended | None:
    """Wait for a run; the first signal asks it to stop, the second cancels it, a third is the system's.

    Args:
        again: says how to go on.

    Returns: how it ended; None when it was cancelled.
    """
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work())

    def on_signal() -> None:
        if stop.requested:
            _unlisten(loop)
            task.cancel()
        else:
            stop.request()
            say(f"{STOPPING} {again()}".strip())

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        return await task
    except asyncio.CancelledError:
        return None
    finally:
        _unlisten(loop)


def _unlisten(loop: asyncio.AbstractEventLoop) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


def _again(directory: Path | None) -> str:
    """How to go on, as far as it is known: a thread that broke is told by the run itself."""
    try:
        project = Project.find(directory) if directory else None
        thread = latest_thread(project) if project else None
    except HarnessError:
        return ""
    if project is None:
        return "The same command goes on."
    return f"Go on with: {resume_command(project, thread)}" if thread else ""


def _totals(directory: Path | None) -> str:
    try:
        return str(current_features(directory).totals) if directory else ""
    except HarnessError:
        return ""


def _asked(display: Display, *, yes: bool) -> dict[str, Any]:
    """Who is asked what, where somebody looks."""
    if not is_asked(yes=yes):
        return {"accept": None, "review": None}
    return {"accept": partial(_accept, display=display), "review": partial(_review, display=display)}


def _accept(features: FeatureList, display: Display) -> bool:
    """Show the list and ask. Ctrl-C says no."""
    with display.paused():
        print_table(features_table(features), sys.stdout)
        return confirm(f"Build these {len(features.features)} features?")


def _review(draft: Path, display: Display) -> str:
    """Show a specification that a model wrote; what to change, or nothing."""
    with display.paused():
        return review_file(draft, "specification")


def _approval(mode: str, answer: Answer | None, display: Display) -> Review | None:
    from harness.reviewing import Review

    if not mode and answer is None:
        return None
    left = [answer] if answer else []

    def ask(proposal: Proposal) -> Answer:
        return left.pop() if left else _decide(proposal, display)

    return Review(mode, ask)  # type: ignore[arg-type]  # the command line knows the modes


def _decide(proposal: Proposal, display: Display) -> Answer:
    """Show what is proved and ask. Ctrl-C stops."""
    from harness.reviewing import Answer

    with display.paused():
        typer.echo(proposal_text(proposal))
        answers = {"a": "accept", "r": "reopen", "s": "stop"}
        said = choose("Accept (a), have it done again (r), stop here (s)", answers)
        try:
            word = ask("What should be different", "") if said == "reopen" else ""
        except Interrupted:
            said, word = "stop", ""
    return Answer(said, word)  # type: ignore[arg-type]  # one of the three answers


def proposal_text(proposal: Proposal) -> str:
    """What a person is asked about: what it is, how it was proved, where that can be seen, what changed."""
    where = f"committed as {proposal.commit_sha[:10]}" if proposal.commit_sha else "not committed yet"
    rows = {
        "proof": proposal.proof,
        "coder": proposal.summary,
        "evidence": proposal.evidence,
        "change": str(proposal.diff) if proposal.diff else "",
    }
    lines = [f"{proposal.feature_id} passed, {where}: {one_line(proposal.description)}"]
    lines += [f"  {name:<9} {one_line(text, 600)}" for name, text in rows.items() if text]
    for file in proposal.diff.files[:FILES_SHOWN] if proposal.diff else ():
        count = "not text" if file.added is None else f"+{file.added} -{file.removed}"
        lines.append(f"  {'':<9} {one_line(file.path)} {count}")
    more = len(proposal.diff.files) - FILES_SHOWN if proposal.diff else 0
    return "\n".join([*lines, *([f"  {'':<9} {more} more"] if more > 0 else [])])
