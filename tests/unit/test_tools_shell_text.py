"""How output of commands is made fit for a model, and kept in bounds on the way there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.sandbox.output import Output
from harness.tools.shell import clean, shown


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;c2VjcmV0\x1b\\text", "text"),
        ("a\x00b\x08c", "abc"),
        (" 10%\r 50%\r100%\ndone", "100%\ndone"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("tab\tstays", "tab\tstays"),
        ("\x9b31mred", "31mred"),
    ],
)
def test_terminal_codes_and_progress_do_not_reach_the_model(printed: str, seen: str) -> None:
    """PI-6: colours, titles, clipboard; the twin is what was printed."""
    assert printed != seen or printed == "tab\tstays"
    assert clean(printed) == seen


def test_a_long_line_is_cleaned_in_linear_time() -> None:
    started = time.process_time()
    clean("x" * 1_000_000 + "\x1b]" * 100_000)
    assert time.process_time() - started < 2


def test_long_output_keeps_both_ends_and_names_the_file() -> None:
    text = shown("begin" + "x" * 50_000 + "end", "/outputs/command-1.txt")
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "[34008 characters left out; read_file /outputs/command-1.txt has all of it]" in text


def test_output_in_memory_is_bounded_and_the_loss_is_counted() -> None:
    output = Output(100, None, 1000)
    for number in range(100):
        output.feed(f"{number:09}\n".encode())
    assert output.dropped_bytes == 900
    assert output.text().startswith("000000000\n")
    assert output.text().endswith("000000099\n")
    assert "[900 bytes dropped]" in output.text()


@pytest.mark.parametrize(("since", "text"), [(0, "abcdefgh"), (3, "defgh"), (6, "gh"), (8, "")])
def test_output_can_be_read_on_from_where_one_stopped(since: int, text: str) -> None:
    output = Output(8, None, 1000)
    output.feed(b"abcd")
    output.feed(b"efgh")
    assert output.text(since) == text


def test_output_read_on_after_a_gap_names_the_gap() -> None:
    output = Output(4, None, 1000)
    output.feed(b"abcdefgh")
    assert output.text(3) == "[3 bytes dropped]\ngh"


def test_the_file_of_a_command_keeps_the_oldest_and_is_bounded(tmp_path: Path) -> None:
    output = Output(10, tmp_path / "out", 10)
    for _ in range(5):
        output.feed(b"12345678")
    output.close()
    assert (tmp_path / "out").read_bytes() == b"1234567812"
    assert output.is_full


def test_the_file_of_a_server_keeps_the_newest_and_is_bounded(tmp_path: Path) -> None:
    output = Output(10, tmp_path / "out", 20, ring=True)
    for number in range(50):
        output.feed(f"{number:04}".encode())
    output.close()
    assert (tmp_path / "out").read_bytes().endswith(b"0049")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20
    assert not output.is_full


def test_a_link_where_output_goes_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    output = Output(10, tmp_path / "out", 10)
    output.feed(b"theirs")
    output.close()
    assert (tmp_path / "precious").read_text() == "mine"
