# ruff: noqa: E501, F401, F811 (a page is a line; fixtures are imported by their names)
"""Each expectation that asks for more than its target: it holds, fails where it is not so, and a disturbance moves it."""

from __future__ import annotations

from typing import Any

import pytest
from browser_support import Shown, browser, shared_page, shown, site

from harness.browser.browser import Page
from harness.verify.check import Expectation
from harness.verify.check import Locator as L
from harness.verify.disturbances import moves
from harness.verify.judge import Judgement, Scene, judge
from harness.verify.looking import Seen, Sketches, Sought, look

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

NAMES = {"it": L(css="#x"), "other": L(css="#y"), "rows": L(role="listitem"), "button": L(role="button")}
TABS = "<style>.on{STYLE}</style><div role=tablist><button>A</button><button ID>B</button><button>C</button></div>"
LINKS = "<style>.on{STYLE}</style><ul><li><a href=#a>All</a></li><li><a id=x class=on href=#b>Open</a></li></ul>"
TODO = "<ul><li>Milk<button>Delete</button></li><li>Dog<button>Delete</button></li></ul>"

TABLE: list[tuple[dict[str, Any], str, str]] = [
    ({"expect": "not_covered"}, "<button id=x>Save</button>",
     "<button id=x style='width:300px'>Save</button><div style='position:fixed;left:250px;top:0;width:99px;height:99px;"
     "background:red'></div>"),
    ({"expect": "contrast"}, "<p id=x style='color:#666'>Milk</p>", "<p id=x style='color:#999'>Milk</p>"),
    ({"expect": "contrast", "ratio": 3}, "<p id=x style='color:#888'>Milk</p>", "<p id=x style='color:#bbb'>Milk</p>"),
    ({"expect": "contrast"}, "<h1 id=x style='background:linear-gradient(#024,#046);color:#fff'>Milk</h1>",
     "<h1 id=x style='background:linear-gradient(#024,#eee);color:#fff'>Milk</h1>"),
    ({"expect": "each", "target": "rows", "that": "text", "match": "matches", "value": "Milk|Dog"}, TODO,
     TODO.replace("Dog", "Cat")),
    ({"expect": "each", "target": "rows", "that": "part", "part": "button"}, TODO,
     TODO.replace("Dog<button>Delete</button>", "Dog")),
    ({"expect": "none", "target": "rows", "that": "struck_through"}, TODO, TODO.replace("Dog", "<s>Dog</s>")),
    ({"expect": "none", "target": "rows", "that": "text", "match": "contains", "value": "Cat"}, TODO,
     TODO.replace("Dog", "Cats")),
    ({"expect": "right_of", "to": "other"}, "<b id=y>Label</b> <b id=x>Milk</b>", "<b id=x>Milk</b> <b id=y>Label</b>"),
    ({"expect": "left_of", "to": "other"}, "<b id=x>Milk</b> <b id=y>Label</b>", "<b id=y>Label</b> <b id=x>Milk</b>"),
    ({"expect": "below", "to": "other"}, "<p id=y>Label</p><p id=x>Milk</p>", "<p id=x>Milk</p><p id=y>Label</p>"),
    ({"expect": "above", "to": "other"}, "<p id=x>Milk</p><p id=y>Label</p>", "<p id=y>Label</p><p id=x>Milk</p>"),
    ({"expect": "highlighted"}, TABS.replace("STYLE", "background:#06c;color:#fff").replace("ID", "id=x class=on"),
     TABS.replace("ID", "id=x")),
    ({"expect": "highlighted"}, LINKS.replace("STYLE", "font-weight:bold"), LINKS.replace("STYLE", "")),
    ({"expect": "highlighted"}, LINKS.replace("STYLE", "border:1px solid red"),
     LINKS.replace("STYLE", "border:1px solid red").replace("<a href", "<a class=on href")),
    ({"expect": "selected"}, "<div role=tab id=x aria-selected=true>A</div>", "<div role=tab id=x aria-selected=false>A</div>"),
    ({"expect": "selected"}, "<select><option>a<option id=x selected>b</select>",
     "<select size=2><option selected>a<option id=x>b</select>"),
    ({"expect": "not_selected"}, "<a id=x href=#a>A</a>", "<a id=x href=#a aria-current=page>A</a>"),
    ({"expect": "controls_named"}, "<button>Save</button><input aria-label=Q>", "<button><svg><path /></svg></button>"),
    ({"expect": "text", "match": "exact", "value": "a  b"}, "<pre id=x>a  b</pre>", "<p id=x>a  b</p>"),
]  # fmt: skip


async def judged(page: Page, expectation: Expectation, sketches: Sketches | None = None) -> Judgement:
    seen = (await look(page, [Sought.of(0, expectation, NAMES.get)], sketches or Sketches(), "F001")).get(0, Seen())
    facts = await page.facts(controls=True)
    return judge(expectation, Scene(seen.target, facts, other=seen.to, likeness=seen.likeness))


async def is_moved(page: Page, expectation: Expectation, sketches: Sketches | None = None) -> bool:
    for move in moves(expectation, {}):
        locator, to = NAMES.get(move.at or expectation.target or ""), NAMES.get(move.to)
        if await page.disturb(move.kind, locator if move.aimed else None, move.text, to=to):
            fails = not (await judged(page, expectation, sketches)).holds
            await page.undo()
            if fails:
                return True
    return False


@pytest.mark.parametrize(("fields", "good", "bad"), TABLE)
async def test_it_holds_where_it_is_so_and_can_fail(shown: Shown, fields: dict[str, Any], good: str, bad: str):
    target = {} if fields["expect"] == "controls_named" else {"target": "it"}
    expectation = Expectation.model_validate({"step": 1, **target, **fields})
    page = await shown.show(good)
    assert (now := await judged(page, expectation)).holds, now.seen
    assert await is_moved(page, expectation)
    assert (now := await judged(page, expectation)).holds, now.seen
    page = await shown.show(bad)
    assert not (await judged(page, expectation)).holds


@pytest.mark.parametrize(
    ("body", "low", "high"),
    [
        ("<p id=x>Milk</p>", 21, 21),
        ("<p id=x style='color:#777'>Milk</p>", 4.4, 4.5),
        ("<div style='background:#000'><p id=x style='color:rgba(255,255,255,.5)'>Milk</p></div>", 5.2, 5.4),
        ("<h1 id=x style='color:transparent;background:#777;background-clip:text'>Milk</h1>", 4.2, 4.6),
        ("<canvas id=c style='position:absolute;left:0;top:0' width=400 height=99></canvas>"
         "<h1 id=x style='position:relative;color:#fff'>Milk</h1><script>const pen = c.getContext('2d');"
         "pen.fillStyle = '#777'; pen.fillRect(0, 0, 400, 99)</script>", 4.4, 4.5),
    ],
)  # fmt: skip
async def test_contrast_is_that_of_wcag_by_style_and_by_pixels(shown: Shown, body: str, low: float, high: float):
    page = await shown.show(body)
    expectation = Expectation(step=1, expect="contrast", target="it")
    seen = (await look(page, [Sought.of(0, expectation, NAMES.get)], Sketches(), "F001"))[0]
    assert seen.target is not None
    (element,) = seen.target.elements
    assert element.visible
    assert low <= (element.contrast or 0) <= high


async def test_a_picture_is_taken_once_and_then_compared(shown: Shown):
    body = "<div id=x style='width:200px;height:90px;background:COLOUR'>Chart <b id=y>12:30</b></div>"
    expectation = Expectation(step=1, expect="looks_like", target="it", value="chart", masks=("other",))
    page = await shown.show(body.replace("COLOUR", "#cde"))
    author = Sketches(takes=True)
    assert "just now" in (await judged(page, expectation, author)).seen
    assert (await judged(page, expectation, author)).holds
    author.pictures.take("F001", author.drafts)
    replay = Sketches(author.pictures)
    page = await shown.show(body.replace("COLOUR", "#cde").replace("12:30", "17:55"))
    assert (await judged(page, expectation, replay)).holds
    assert await is_moved(page, expectation, replay)
    page = await shown.show(body.replace("COLOUR", "#fdd"))
    assert "% of its pixels differ" in (await judged(page, expectation, replay)).seen
    assert "there is no picture" in (await judged(page, expectation, Sketches())).seen


async def test_the_snapshot_lists_options_and_tells_pressed_from_checked(shown: Shown):
    options = "".join(f"<option>C{n}" for n in range(20))
    page = await shown.show("<button aria-pressed=true>Bold</button><button aria-pressed=false>Italic</button>"
                            f"<label>Country <select>{options}</select></label><label>Name <input value=Ann></label>")  # fmt: skip
    tree = await page.snapshot()
    assert 'button "Bold" [pressed]' in tree
    assert 'button "Italic" [not pressed]' in tree
    assert 'combobox "Country" [value="C0"] [options="C0", "C1"' in tree
    assert '"C11", 8 more]' in tree
    assert 'textbox "Name" [value="Ann"]' in tree
