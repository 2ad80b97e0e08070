"""docs/settings.md names every setting with its default, and says of each that the project's file may not hold it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from harness.settings import FOR_PROJECTS, Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `([a-z_.]+)` \| (?:`(.*)`|none) \| (.*) \|$", re.MULTILINE)


def settings() -> Iterator[tuple[str, str | None, bool]]:
    """Each setting, its default as JSON (None: a section of its own), and whether it is the person's alone."""
    for section, values in Settings():
        for key, value in values:
            default = None if isinstance(value, BaseModel) else json.dumps(value)
            yield f"{section}.{key}", default, key not in FOR_PROJECTS.get(section, ())


def test_the_page_names_every_setting_with_its_default() -> None:
    rows = [(name, default or None) for name, default, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))]
    assert rows == [(name, default) for name, default, _ in settings()]


def test_the_page_says_which_settings_are_the_persons_alone() -> None:
    told = {name for name, _, words in ROW.findall(PAGE.read_text(encoding="utf-8")) if words.endswith("yours")}
    assert told == {name for name, _, is_persons in settings() if is_persons}
