"""What a person sees: lines that cannot command their terminal, on any stream."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.console import PlainDisplay, features_table, print_table, rich_console, watch
from harness.console_text import call_line, event_line, one_line, plain
from harness.events import (
    CheckReplayed,
    Committed,
    Events,
    ModelCalled,
    Noticed,
    StageStarted,
    StateChanged,
    ToolReturned,
    VerdictReached,
)
from harness.features import FeatureList
from harness.prompts import fence

HOSTILE = "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]52;c;aGk=\x1b\\ [bold]x[/bold] \u202eback\ud800 \x9b2J :smile:"

FENCED = f"Step 2: nothing seen.\n{fence('Page shows: Todo', 'the page and the server')}"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;evil title\x07after", "after"),
        ("\x1b]52;c;aGk=\x1b\\after", "after"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\rb", "a b"),
        ("a\x9b2Jb", "ab"),
        ("never closed \x1b]0;title\nnext line", "never closed \nnext line"),
        ("\u202eback", " back"),
        ("lone \ud800", "lone  "),
        ("línea\tä\n", "línea\tä\n"),
    ],
)
def test_text_loses_what_commands_a_terminal_and_keeps_its_words(text: str, shown: str) -> None:
    """PI-6; the twin is the text itself."""
    assert plain(text) == shown


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_no_text_brings_a_control_character_through(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]", plain(text))
    assert "\n" not in one_line(text)
    plain(text).encode()


def test_a_line_is_cut_to_its_width() -> None:
    assert one_line("a b\n c", 0) == "a b c"
    assert one_line("x" * 50, 10) == "xxxxxxx..."
    assert call_line("run_command", {"command": "npm\ntest", "seconds": 5}) == "run_command npm test 5"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StageStarted(stage="contract", feature_id="F1", detail="Adds"), "contract F1 Adds"),
        (ToolReturned(name="read_file", args={"path": "a.js"}, outcome="failed"), "  read_file a.js (failed)"),
        (CheckReplayed(feature_id="F1", purpose="red", passed=False, reason="absent"), ""),
        (
            CheckReplayed(feature_id="F1", purpose="regress", passed=False, reason="step 2"),
            "replay F1 (regress) failed: step 2",
        ),
        (VerdictReached(feature_id="F1", passed=True, proof={"red": 2, "person": 0}), "verdict F1: passed (2 red)"),
        (Committed(feature_id="F1", commit_sha="a" * 40, subject="F1: Adds"), f"commit {'a' * 10} F1: Adds"),
        (StateChanged(feature_id="F1", change="parked", reason="no luck"), "parked F1: no luck"),
        (VerdictReached(feature_id="F1", passed=False, reason=FENCED), "verdict F1: not yet: Step 2: nothing seen."),
        (
            CheckReplayed(feature_id="F1", purpose="prove", passed=False, reason=FENCED),
            "replay F1 (prove) failed: Step 2: nothing seen.",
        ),
        (
            CheckReplayed(feature_id="F1", purpose="verify", passed=False, reason=FENCED, seconds=1),
            "replayed F1 (1.0 s)",
        ),
        (
            StateChanged(feature_id="F1", change="reopened", reason="reopened by a person: x"),
            "F1 reopened by a person: x",
        ),
        (StateChanged(feature_id="F1", change="parked", reason=FENCED), "parked F1: Step 2: nothing seen."),
        (Noticed(text="low on disk", level="warning"), "warning: low on disk"),
        (ModelCalled(role="coder", conversation="c", turn=1, text="hm"), ""),
    ],
)
def test_an_event_is_one_line(event: object, line: str) -> None:
    assert event_line(event) == line  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (FENCED, "verdict F1: not yet"),
        (f"It breaks F2.\n{FENCED}", "verdict F1: not yet: It breaks F2."),
        ("Another reason.", "verdict F1: not yet: Another reason."),
    ],
)
def test_a_verdict_does_not_say_again_what_the_replay_said(reason: str, line: str) -> None:
    stream, events = io.StringIO(), Events()
    with watch(events, stream):
        events.emit(CheckReplayed(feature_id="F1", purpose="prove", passed=False, reason=FENCED))
        events.emit(VerdictReached(feature_id="F1", passed=False, reason=reason))
    assert stream.getvalue().splitlines() == ["replay F1 (prove) failed: Step 2: nothing seen.", line]


def test_where_there_is_no_terminal_lines_have_no_escapes_and_no_times() -> None:
    stream, events = io.StringIO(), Events()
    with watch(events, stream):
        events.emit(StageStarted(stage="select", feature_id="F1", detail=HOSTILE))
        events.emit(Noticed(text=HOSTILE))
    lines = stream.getvalue().split("\n")
    assert lines[0].startswith("select F1 red [bold]x[/bold]")
    assert "\x1b" not in stream.getvalue()
    assert not re.search(r"\d\d:\d\d", stream.getvalue())


def test_a_terminal_shows_commits_for_good_and_hostile_text_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """PI-6."""
    monkeypatch.setenv("TERM", "xterm-256color")
    stream, events = Terminal(), Events()
    with watch(events, stream, lambda: "3 of 8 features pass"):
        events.emit(StageStarted(stage="select", feature_id="F1", detail=HOSTILE))
        events.emit(ToolReturned(name="run_command", args={"command": HOSTILE}))
        events.emit(Committed(feature_id="F1", commit_sha="b" * 40, subject=f"F1: {HOSTILE}"))
    shown = stream.getvalue()
    assert "commit bbbbbbbbbb F1: red" in shown
    assert "[bold]x[/bold]" in shown
    assert ":smile:" in shown
    assert "3 of 8 features pass" in shown
    assert "\x1b]" not in shown
    assert "\u202e" not in shown
    assert "\x1b]" in HOSTILE, "the twin: unescaped, it would be"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    events = Events()

    def shown() -> str:
        stream = Terminal()
        with watch(events, stream):
            events.emit(Committed(feature_id="F1", commit_sha="c" * 40, subject="F1: Adds"))
        return stream.getvalue()

    assert "\x1b[32m" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in shown()


@pytest.mark.parametrize(("columns", "row"), [("1", ""), ("8", "F2pa"), ("40", "F2parked")])
def test_a_narrow_terminal_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, columns: str, row: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    stream, events = Terminal(), Events()
    with watch(events, stream):
        events.emit(StageStarted(stage="session", feature_id="F1", detail="x" * 300))
        events.emit(Noticed(text="still here"))
    print_table(features_table(make_list()), stream)
    words = "".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).split())
    assert "stillhere" in words
    assert row in words


def test_a_closed_pipe_silences_the_display_and_does_not_end_the_run() -> None:
    events = Events()
    with watch(events, ClosedPipe()):
        events.emit(Noticed(text="one"))
        events.emit(Noticed(text="two"))


def test_a_stream_of_few_letters_gets_question_marks() -> None:
    raw = io.BytesIO()
    display = PlainDisplay(io.TextIOWrapper(raw, encoding="ascii"))
    display(Noticed(text="grün"))
    assert raw.getvalue() == b"gr?n\n"


def test_the_table_shows_state_commit_proof_and_evidence() -> None:
    stream = io.StringIO()
    print_table(features_table(make_list(), {"F1": "d" * 40}, {"F1": "F1/passed-1"}), stream)
    rows = [re.split(r"\s{2,}", line.strip()) for line in stream.getvalue().strip().split("\n")]
    assert rows == [
        ["feature", "state", "commit", "proof", "what", "evidence"],
        ["F1", "passed", "dddddddddd", "2 red, 1 perturbed", "Adds [red]an[/red] entry", "F1/passed-1"],
        ["F2", "parked", "Drags it"],
    ]


def test_rich_interprets_nothing_of_ours() -> None:
    stream = io.StringIO()
    rich_console(stream).print("[red]x[/red] :smile: 12")
    assert stream.getvalue() == "[red]x[/red] :smile: 12\n"


def make_list() -> FeatureList:
    proof = {"red": 2, "perturbed": 1}
    return FeatureList.model_validate(
        [
            {"id": "F1", "description": "Adds [red]an[/red] entry", "steps": ["See"], "passes": True, "proof": proof},
            {"id": "F2", "description": "Drags it", "steps": ["See"], "status": "parked", "reason": "no luck"},
        ]
    )
