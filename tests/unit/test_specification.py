"""What a feature covers of the specification, quoted in whole sentences."""

from __future__ import annotations

import pytest

from harness.specification import Specification

TEXT = """# Club

A web application. What is entered is kept
by the server, so that another browser sees
the same. No log-in.

- A form adds a book to the list, which shows
  title and author.
- Each book has a button
- "Vote", no full stop

Last line without end

| a | b |
| c | d |
1. One
2. Two goes
   on
"""


@pytest.mark.parametrize(
    ("covers", "quoted"),
    [
        (["4"], "\n".join(TEXT.splitlines()[2:5])),
        (["7"], "- A form adds a book to the list, which shows\n  title and author."),
        (["8"], "- A form adds a book to the list, which shows\n  title and author."),
        (["9"], "- Each book has a button"),
        (["10"], '- "Vote", no full stop'),
        (["12"], "Last line without end"),
        (["14"], "| a | b |"),
        (["17", "16"], "1. One\n2. Two goes\n   on"),
        (["1"], "# Club"),
        (["99"], ""),
    ],
)
def test_lines_are_quoted_with_the_rest_of_their_sentences(covers: list[str], quoted: str) -> None:
    assert Specification(TEXT).quote(covers) == quoted
