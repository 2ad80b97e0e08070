"""A pattern of a contract is compared in bounded time, whatever model wrote it and whatever text it meets."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from harness.verify import judge
from harness.verify.judge import compare

SLOW = r"^(a|aa)+$"
TEXT = "a" * 40 + "!"


def test_a_pattern_is_searched_in_the_text() -> None:
    assert compare("matches", "3 tasks left", r"^\d+ tasks? left$")
    assert not compare("matches", "no tasks left", r"^\d+ tasks? left$")
    assert not compare("matches", "anything", "(")


def test_a_pattern_that_would_search_for_ever_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "PATTERN_SECONDS", 0.1)
    assert not compare("matches", TEXT, SLOW)


def test_without_the_limit_it_does_not_come_back() -> None:
    program = f"import re; re.search({SLOW!r}, {TEXT!r})"
    assert re.compile(SLOW)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", program], timeout=3, check=False)
