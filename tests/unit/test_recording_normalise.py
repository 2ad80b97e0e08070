"""Two runs of the same thing are the same text; two different things are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.normalise import normalise, normalise_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HEAD is a1b2c3d", "HEAD is 9f8e7d6c5b"),
        ("commit " + "a" * 39 + "1", "commit " + "b" * 39 + "2"),
        ("at 2026-11-21T02:03:18Z", "at 2025-01-02T13:14:15.123456+02:00"),
        ("at 2026-11-21 02:03", "at 2025-01-02 13:14:15"),
        ("[02:03:18] started", "[13:14:15.123] started"),
        ("open http://127.0.0.1:40123/list", "open http://127.0.0.1:8080/list"),
        ("localhost:40123", "localhost:80"),
        ("3 passed in 0.12s", "3 passed in 10.5 s"),
        ("took 12 ms", "took 7.5ms"),
        ("waited 3 seconds", "waited 1 second"),
        ("in /tmp/harness-abc/project/app.py", "in /tmp/pytest-1/test_x0/app.py"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-0000-1111-2222-333333333333"),
        ("a\n<recalled source='x'>\nold lesson\n</recalled>\nb", "a\nb"),
        ("a\n\nb  ", "a\nb"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced(one: str, other: str) -> None:
    assert normalise_text(one) == normalise_text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the list shows 3 items", "the list shows 4 items"),
        ("write index.html", "write app.js"),
        ("http://127.0.0.1:1/a", "http://127.0.0.1:1/b"),
        ("<recalled>x</recalled> go on", "<recalled>x</recalled> stop"),
    ],
)
def test_what_means_something_else_stays_different(one: str, other: str) -> None:
    assert normalise_text(one) != normalise_text(other)


def test_numbers_in_tool_results_do_not_count() -> None:
    assert normalise_text("pid 4711, 12 lines", "tool") == normalise_text("pid 9, 130 lines", "tool")


def test_only_messages_since_the_last_answer_are_compared() -> None:
    messages = [
        {"role": "system", "content": "You build."},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42 files", "tool_call_id": "c1"},
        {"role": "user", "content": "<recalled>\nlesson\n</recalled>"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
    ]
    assert normalise(messages) == [
        {"role": "tool", "content": "# files"},
        {"role": "user", "content": "see\n[image_url]"},
    ]


@given(st.text(alphabet="ab01 9:/.-\n<>smTZ#", max_size=80), st.sampled_from(["user", "tool"]))
def test_normalising_twice_changes_nothing_more(text: str, role: str) -> None:
    once = normalise_text(text, role)
    assert normalise_text(once, role) == once
