"""Visible is what a person would see: pages that show nothing, honest pages that look alike, all in one tab."""

from __future__ import annotations

import pytest
from names_support import open_tab
from sight_support import HIDDEN, SEEN, look

pytestmark = [
    pytest.mark.needs("chromium"),
    # pyppeteer connects with an argument that websockets has done away with
    pytest.mark.filterwarnings("ignore:remove loop argument:DeprecationWarning"),
]


async def test_what_shows_nothing_is_not_visible_and_what_is_honest_is():
    async with open_tab() as page:
        hidden = [(body, await look(page, body)) for body in HIDDEN]
        seen = [(body, await look(page, body)) for body in SEEN]
    assert [body for body, element in hidden if element["visible"]] == []
    assert [(body, element["why_not"]) for body, element in seen if not element["visible"]] == []
    assert all(element["why_not"] for _, element in hidden)


async def test_pixels_are_asked_again_when_the_page_changed():
    body = "<div style='mask-image:linear-gradient(#000,#000)'><p id=x style='color:COLOUR'>Milk</p></div>"
    async with open_tab() as page:
        assert (await look(page, body.replace("COLOUR", "#000")))["visible"]
        change = "document.querySelector('#x').style.maskImage = 'linear-gradient(transparent,transparent)'"
        await page.target.send("Runtime.evaluate", {"expression": change})
        (seen,) = await page.frames.observe([{"css": "#x"}], [], [], [None])
        kept = await page.target.send("Runtime.evaluate", {"expression": "document.adoptedStyleSheets.length"})
    assert seen["elements"][0]["why_not"] == "not to be told from what is behind it"
    assert kept["result"]["value"] == 0
