"""How much of a request repeats the one before it."""

from __future__ import annotations

import itertools
import json

import pytest

from harness.budget import Spent
from harness.events import ModelCalled
from harness.log import Session, Trajectory, session_text
from harness.model.prefix import KEPT, Prefixes, common_prefix


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"", b""),
        (b"a", b""),
        (b"a", b"a"),
        (b"ab", b"ac"),
        (b"xab", b"yab"),
        (b"ab" * 500 + b"]}", b"ab" * 500 + b",c"),
    ],
)
def test_the_common_prefix_is_found_to_the_byte(first: bytes, second: bytes) -> None:
    one_by_one = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    assert common_prefix(first, second) == common_prefix(second, first) == one_by_one


def body(*messages: str) -> bytes:
    return json.dumps({"model": "m", "tools": ["t"] * 50, "messages": [*messages]}).encode()


def test_a_conversation_that_grows_repeats_all_but_its_closing_brackets() -> None:
    prefixes = Prefixes()
    assert prefixes.measure("a", body("one")).previous == 0
    repeat = prefixes.measure("a", body("one", "two"))
    assert (repeat.previous, repeat.repeated) == (len(body("one")), len(body("one")) - 2)


def test_a_head_that_changes_shows_in_the_share_and_another_conversation_does_not() -> None:
    prefixes = Prefixes()
    prefixes.measure("a", body("at 10:00", "x" * 1000))
    prefixes.measure("b", body("another"))
    repeat = prefixes.measure("a", body("at 10:01", "x" * 1000, "y"))
    assert repeat.repeated < 0.5 * repeat.previous


def test_only_the_newest_conversations_are_remembered() -> None:
    prefixes = Prefixes()
    for number in range(KEPT + 1):
        prefixes.measure(str(number), body("one"))
    assert prefixes.measure("0", body("one", "two")).previous == 0
    assert prefixes.measure(str(KEPT), body("one", "two")).previous > 0


def test_the_share_of_a_session_is_by_bytes_and_none_without_a_second_request() -> None:
    assert Spent(1, 10, 0.0).repeated_share is None
    assert Spent(1, 10, 0.0, 300, 200).plus(Spent(1, 10, 0.0, 100, 100)).repeated_share == 0.75


def test_the_log_of_a_session_ends_with_the_share(tmp_path: object) -> None:
    calls = [(0, 0), (1000, 998), (3000, 1500)]
    events = tuple(
        ModelCalled(
            role="coder", conversation="c", turn=n, reasoning="first look", previous_bytes=before, repeated_bytes=same
        )
        for n, (before, same) in enumerate(calls)
    )
    session = Session("t", "s001-F001", tmp_path, None)  # type: ignore[arg-type]  # no file is read here
    lines = list(session_text(session, Trajectory(events, 0)))
    assert lines[-1] == "62.45% of a request's bytes began the next one (2 requests, 1 made shorter)"
    assert "  . first look" in lines
