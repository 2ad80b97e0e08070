"""`docs/endpoints.md` and the table of quirks say the same."""

from __future__ import annotations

import re
from pathlib import Path

from harness.model.quirks import HOSTS, QUIRKS

PAGE = Path(__file__).parents[2] / "docs" / "endpoints.md"
HEAD = "| quirk | what is done | known for |\n|---|---|---|\n"


def rows() -> list[str]:
    """The table as it should stand in the page."""
    known = {name: [host for host, names in HOSTS.items() if name in names] for name in QUIRKS}
    return [f"| `{name}` | {quirk.does} | {', '.join(known[name]) or '-'} |" for name, quirk in QUIRKS.items()]


def test_the_page_holds_the_table_of_quirks_as_it_is() -> None:
    table = PAGE.read_text(encoding="utf-8").partition(HEAD)[2].partition("\n\n")[0]
    assert table.strip().splitlines() == rows(), "copy these rows into docs/endpoints.md"


def test_every_quirk_is_explained_and_nothing_else_is() -> None:
    explained = re.findall(r"\*\*([a-z0-9-]+)\*\*", PAGE.read_text(encoding="utf-8").partition("What asks for them")[2])
    names = [name for name in explained if "-" in name]
    assert sorted(names) == sorted(QUIRKS)


def test_every_known_host_names_quirks_that_exist() -> None:
    assert all(set(names) <= set(QUIRKS) for names in HOSTS.values())
