"""Roles and accessible names: ours against those of Chromium's own accessibility tree, every difference in words."""

from __future__ import annotations

import asyncio

import common
from integration.names_support import SNIPPETS, Compared, compare, open_tab


async def _seen() -> list[Compared]:
    async with open_tab() as page:
        return [each for snippet in SNIPPETS for each in await compare(page, snippet)]


def main() -> None:
    """Print the agreement and what differs."""
    common.title("Roles and names against Chromium's accessibility tree")
    seen = asyncio.run(_seen())
    wrong = [each for each in seen if not each.agrees]
    common.row("snippets", len(SNIPPETS))
    common.row("elements compared", len(seen))
    common.row("agree", f"{100 * (1 - len(wrong) / len(seen)):.1f} %")
    for each in wrong:
        print(f"  {each}")


if __name__ == "__main__":
    main()
