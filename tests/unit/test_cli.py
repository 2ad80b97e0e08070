"""Arguments in, words and an exit code out; nothing that needs a model."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from harness.cli import main
from harness.cli.memory import read_age
from harness.cli.run import STOPPING, drive, read_spec, until_stopped
from harness.cli.text import findings_text, one_screen
from harness.console import Display
from harness.doctor import Finding
from harness.events import Events, ModelCalled, Noticed, SessionStarted, ToolReturned, VerdictReached
from harness.memory.record import KINDS
from harness.opening import Stop
from harness.project import Project
from harness.runtime import Ended
from harness.threads import ThreadRecord, save_thread


class Said(NamedTuple):
    code: object
    out: str
    err: str


@pytest.fixture
def harness(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Said(left.value.code, *capsys.readouterr())

    return call


COMMANDS = ["init", "run", "resume", "threads", "status", "log", "verify", "demo", "doctor", "check"]


OF_CHECK = ("show", "lint", "author", "accept", "amend")


@pytest.mark.parametrize(
    "command",
    [*([n] for n in COMMANDS), *(["memory", n] for n in ("search", "stats")), *(["check", n] for n in OF_CHECK)],
)
def test_every_command_has_help(harness: Callable[..., Said], command: list[str]) -> None:
    said = harness(*command, "--help")
    assert said.code == 0
    assert "Usage: harness" in said.out


def test_each_command_says_what_it_does_in_sixty_columns(
    harness: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    listed = harness("--help").out.partition("Commands:")[2]
    assert all(f"  {command} " in listed for command in COMMANDS)
    assert "..." not in listed


def test_the_help_of_search_names_every_kind_of_record(harness: Callable[..., Said]) -> None:
    said = harness("memory", "search", "--help").out
    assert [kind for kind in KINDS if kind not in said] == []
    assert "QUERY" in said
    assert "--kind KIND" in said


@pytest.mark.parametrize("command", ["status", "threads", "log"])
def test_on_a_narrow_terminal_lines_are_broken_between_words(
    harness: Callable[..., Said], project_dir: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    begin(project_dir)
    write_session(project_dir, "thread")
    wide = harness(command, project_dir).out
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    narrow = harness(command, project_dir).out
    assert max(len(line) for line in wide.splitlines()) > 40 >= max(len(line) for line in narrow.splitlines())
    assert "".join(narrow.split()) == "".join(wide.split())
    assert [word for word in narrow.split() if word.rstrip("/") not in wide] == []


def test_findings_are_broken_between_words() -> None:
    finding = Finding(
        "chromium", "fail", "no program of that name is on PATH here", "Install it: apt-get install chromium"
    )
    lines = findings_text([finding], 40).splitlines()
    assert max(len(line) for line in lines) <= 40
    assert " ".join(" ".join(lines).split()) == " ".join(findings_text([finding]).split())


def test_what_happened_outside_of_sessions_is_not_listed_as_one(
    harness: Callable[..., Said], project_dir: Path
) -> None:
    begin(project_dir)
    write_session(project_dir, "thread")
    assert "\n  outside sessions" in harness("log", project_dir).out
    told = harness("log", project_dir, "--session", "thread").out
    assert told.startswith("outside sessions of thread t-1\n")


@pytest.mark.parametrize("command", ["init", "run", "resume", "verify"])
def test_help_calls_the_open_sandbox_unsafe(harness: Callable[..., Said], command: str) -> None:
    assert "UNSAFE" in harness(command, "--help").out


def test_the_version_is_told(harness: Callable[..., Said]) -> None:
    assert harness("--version").out.startswith("harness 0")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["build"],
        ["run", "--max-turns", "-1"],
        ["run", "--sandbox", "maybe"],
        ["resume"],
        ["init"],
        ["init", "--spec", ""],
        ["init", "--spec", "  \n "],
        ["init", "--spec", "missing.md"],
        ["init", "--spec", "./docs/spec"],
        ["init", "--spec", "/"],
        ["memory", "search", "x", "--since", "soon"],
        ["memory", "search", "x", "--kind", "gossip"],
        ["check", "show"],
        ["check", "amend", "F001"],
        ["check", "amend", "F001", "--file", "missing.json"],
    ],
)
def test_wrong_usage_ends_with_2_and_makes_nothing(
    harness: Callable[..., Said], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = harness(*arguments)
    assert said.code == 2
    assert "Usage:" in said.out + said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_specification_file_is_told_apart_from_a_text(tmp_path: Path) -> None:
    spec = tmp_path / "spec.md"
    spec.write_text("\ufeffA list of things", encoding="utf-8")
    assert read_spec(str(spec)) == "A list of things"
    assert read_spec("a to-do list") == "a to-do list"
    assert read_spec("todo") == "todo"
    assert read_spec("A list.\nIt has a/b entries.") == "A list.\nIt has a/b entries."
    long = "Build a list. " * 500
    assert read_spec(long) == long
    with pytest.raises(typer.BadParameter, match=r"no file '.*gone\.md'"):
        read_spec(str(tmp_path / "gone.md"))


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe\x00b", "not UTF-8"), (b"  \n", "is empty")])
def test_a_specification_file_that_says_nothing_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    spec = tmp_path / "spec.md"
    spec.write_bytes(content)
    with pytest.raises(typer.BadParameter, match=words) as caught:
        read_spec(str(spec))
    assert "spec.md" in caught.value.message


def test_a_project_without_a_list_is_a_set_up_error(harness: Callable[..., Said], project_dir: Path) -> None:
    here, there = [project_dir], ["--dir", project_dir]
    commands = [[name, *here] for name in ("status", "run", "verify", "log", "threads", "audit", "report", "open")]
    commands += [["steer", "t-1", "a word", project_dir]]
    commands += [["check", "show", "F1", *there], ["check", "lint", *there], ["skip", "F1", *there]]
    for command in commands:
        said = harness(*command)
        assert (said.code, said.out) == (3, ""), command
        assert said.err.startswith(f"{project_dir} has no features.json"), command
        assert f"`harness init {project_dir}`" in said.err, command


def test_a_directory_that_is_not_there_is_a_set_up_error(harness: Callable[..., Said], tmp_path: Path) -> None:
    for command in ("status", "threads", "log", "run"):
        said = harness(command, tmp_path / "gone")
        assert said.code == 3
        assert "is not a directory" in said.err


def test_an_unknown_thread_names_those_that_are_there(harness: Callable[..., Said], project_dir: Path) -> None:
    begin(project_dir)
    said = harness("resume", "t-9", project_dir)
    assert said.code == 3
    assert "t-1" in said.err


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_broken_list_ends_with_4_and_is_left_alone(
    harness: Callable[..., Said], project_dir: Path, command: str
) -> None:
    path = project_dir / "features.json"
    path.write_text("[{", encoding="utf-8")
    said = harness(command, project_dir)
    assert said.code == 4
    assert str(path) in said.err
    assert "Traceback" not in said.err
    assert path.read_text(encoding="utf-8") == "[{"


def test_debug_shows_the_traceback_wherever_it_stands(harness: Callable[..., Said], project_dir: Path) -> None:
    (project_dir / "features.json").write_text("[{", encoding="utf-8")
    for arguments in (["--debug", "status", project_dir], ["status", project_dir, "--debug"]):
        said = harness(*arguments)
        assert said.code == 4
        assert "Traceback" in said.err


def test_a_file_that_takes_a_hundred_lines_to_blame_fits_one_screen() -> None:
    text = "\n".join(f"line {n}" for n in range(100))
    shown = one_screen(f"{text}\nDo this.").split("\n")
    assert len(shown) == 24
    assert shown[0] == "line 0"
    assert shown[-1] == "Do this."


def test_threads_are_listed_with_how_they_ended(harness: Callable[..., Said], project_dir: Path) -> None:
    (project_dir / "features.json").write_text("[]")
    assert "No thread yet" in harness("threads", project_dir).out
    begin(project_dir)
    assert "t-1 (build), ended: TurnLimit 5 used" in harness("threads", project_dir).out
    assert json.loads(harness("threads", project_dir, "--json").out)[0]["thread_id"] == "t-1"


def test_a_session_is_told_readably_and_torn_lines_are_counted(harness: Callable[..., Said], project_dir: Path) -> None:
    begin(project_dir)
    write_session(project_dir, "s001-F1", torn='{"kind": "model", "te')
    listed = harness("log", project_dir)
    assert "s001-F1" in listed.out
    told = harness("log", project_dir, "--session", 1).out
    assert "brief of F1\n  Build it." in told
    assert "turn 3 (coder; 1,200 (900 cached) in, 40 out, 1.5 s)\n  I look." in told
    assert "  > read_file app.js\n    line 0" in told
    assert "... 12 more lines\n    picture: pictures/a.png, beside this file" in told
    assert "verdict on F1: not yet\n  step 2: nothing seen" in told
    assert "(1 lines could not be read" in told
    assert "\x1b" not in told, "PI-6; the twin is the file, which holds it"
    facts = json.loads(harness("log", project_dir, "--session", "s001-F1", "--json").out)
    assert [event["kind"] for event in facts["events"]] == ["session", "model", "tool", "verdict"]


def test_a_session_that_is_not_there_names_those_that_are(harness: Callable[..., Said], project_dir: Path) -> None:
    begin(project_dir)
    write_session(project_dir, "s001-F1")
    said = harness("log", project_dir, "--session", 7)
    assert said.code == 3
    assert "s001-F1" in said.err


def test_verify_without_any_proof_does_not_claim_success(harness: Callable[..., Said], project_dir: Path) -> None:
    feature = {"description": "Adds", "steps": ["See it"], "passes": False}
    (project_dir / "features.json").write_text(json.dumps([feature]), encoding="utf-8")
    said = harness("verify", project_dir)
    assert said.code == 1
    assert "no check to replay" in said.out


@pytest.mark.parametrize(
    ("text", "age"),
    [("", None), ("30m", timedelta(minutes=30)), ("12H", timedelta(hours=12)), ("2w", timedelta(weeks=2))],
)
def test_ages_are_read(text: str, age: timedelta | None) -> None:
    assert read_age(text) == age


@pytest.mark.parametrize("code", [0, 1, 130])
async def test_a_run_ends_with_its_table_its_reason_and_how_to_go_on(project_dir: Path, code: int) -> None:
    feature = {"id": "F1", "description": "Adds", "steps": ["See it"], "passes": True, "proof": {"red": 2}}
    (project_dir / "features.json").write_text(json.dumps([feature]), encoding="utf-8")
    stream = io.StringIO()

    async def work(events: Events, stop: Stop, display: Display) -> Ended:
        events.emit(Noticed(text="Half way."))
        return Ended("TurnLimit", "5 turns used", code, "harness resume t-1")

    assert await drive(project_dir, work, stream) == code
    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    assert lines == [
        "Half way.",
        "feature state proof what",
        "F1 passed 2 red Adds",
        "TurnLimit: 5 turns used",
        "Go on with: harness resume t-1",
    ]


async def test_a_run_cancelled_by_a_second_signal_ends_with_130_and_says_how_to_go_on(project_dir: Path) -> None:
    begin(project_dir)
    stream = io.StringIO()

    async def work(events: Events, stop: Stop, display: Display) -> Ended:
        stop.request()  # as the first signal does
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
        raise AssertionError

    assert await drive(project_dir, work, stream) == 130
    assert f"harness resume t-1 {project_dir}" in stream.getvalue()


async def test_the_first_signal_asks_and_the_run_ends_by_itself() -> None:
    stop, said, heard = Stop(), list[str](), asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    async def work() -> Ended:
        os.kill(os.getpid(), signal.SIGINT)
        await heard.wait()
        assert stop.requested
        return Ended("Interrupted", "asked", 130, "harness resume t-1")

    ended = await until_stopped(work, stop, say, lambda: "Go on with: harness resume t-1")
    assert ended is not None
    assert ended.exit_code == 130
    assert said == [f"{STOPPING} Go on with: harness resume t-1"]


async def test_the_second_signal_ends_a_run_that_does_not_listen() -> None:
    stop, cleaned, heard = Stop(), list[bool](), asyncio.Event()

    async def work() -> Ended:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await heard.wait()
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)
        raise AssertionError

    before = signal.getsignal(signal.SIGTERM)
    assert await until_stopped(work, stop, lambda _: heard.set(), str) is None
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) == before


def begin(project_dir: Path) -> None:
    record = ThreadRecord(
        thread_id="t-1", stage="build", updated=datetime.now(UTC), exit_status="TurnLimit", reason="5 used"
    )
    save_thread(Project.find(project_dir), record)


def write_session(project_dir: Path, session_id: str, torn: str = "") -> None:
    result = "\n".join(f"line {n}" for n in range(20))
    events = [
        SessionStarted(session_id=session_id, feature_id="F1", attempt=0, brief="Build it."),
        ModelCalled(
            role="coder", conversation="c", turn=3, text="I \x1b[31mlook.", input_tokens=1200, cached_tokens=900,
            output_tokens=40, seconds=1.5,
        ),
        ToolReturned(name="read_file", args={"path": "app.js"}, result=result, picture="a.png"),
        VerdictReached(feature_id="F1", passed=False, reason="step 2: nothing seen"),
    ]  # fmt: skip
    directory = Project.find(project_dir).trajectories_dir / "t-1"
    directory.mkdir(parents=True)
    lines = [event.model_dump_json() for event in events]
    lines.insert(1, torn)
    (directory / f"{session_id}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
