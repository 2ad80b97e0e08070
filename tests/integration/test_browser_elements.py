# ruff: noqa: F401, F811 (fixtures are imported by their names)
"""What a person sees of an element, and which element a locator means, against real Chromium."""

from __future__ import annotations

import re

import pytest
from browser_support import Shown, browser, shared_page, shown, site

from harness.browser.browser import ActFailed
from harness.verify.check import Locator as L

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

X = L(css="#x")


@pytest.mark.parametrize(
    "body",
    [
        "<p id=x>text</p>",
        "<div style='opacity:0.5'><p id=x>dim</p></div>",
        "<p id=x style='color:#fff;background:#000'>white on black</p>",
        "<div style='overflow:auto;height:50px'><div style='height:400px'></div><p id=x>scrolled</p></div>",
        "<div style='height:5000px'></div><p id=x>far down</p>",
        "<p id=x>under glass</p><div style='position:fixed;inset:0'></div>",
        "<p id=x>dimmed</p><div style='position:fixed;inset:0;background:rgba(0,0,0,.4)'></div>",
        "<div id=x style='display:contents'><p>inside</p></div>",
        "<hr id=x>",
        "<div id=x style='height:0'><p style='position:absolute'>child shows</p></div>",
        "<p id=x style='color:#fff;background-image:linear-gradient(#000,#333)'>on a picture</p>",
        "<input id=x value=v style='color:#fff'>",
        "<button id=x style='pointer-events:none'>no pointer</button>",
        "<p id=x style='position:relative;z-index:2'>over</p><div style='position:fixed;inset:0;background:red'></div>",
    ],
)
async def test_what_a_person_sees_is_visible(shown: Shown, body: str):
    await shown.show(body)
    element = await shown.one(X)
    assert (element.visible, element.why_not) == (True, "")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("<p id=x style='display:none'>t</p>", "no box"),
        ("<div hidden><p id=x>t</p></div>", "no box"),
        ("<p id=x style='visibility:hidden'>t</p>", "no box"),
        ("<p id=x></p>", "no box"),
        ("<div style='content-visibility:hidden'><p id=x>t</p></div>", "no box"),
        ("<details><summary>s</summary><p id=x>t</p></details>", "no box"),
        ("<dialog><p id=x>t</p></dialog>", "no box"),
        ("<div style='opacity:0'><p id=x>t</p></div>", "transparent"),
        ("<p id=x style='filter:opacity(0)'>t</p>", "transparent"),
        ("<div style='overflow:hidden;height:20px'><div style='height:60px'></div><p id=x>t</p></div>", "clipped"),
        ("<p id=x style='position:absolute;width:1px;height:1px;overflow:hidden'>t</p>", "clipped"),
        ("<p id=x style='clip-path:inset(100%)'>t</p>", "clipped"),
        ("<p id=x style='text-indent:-9999px;overflow:hidden'>t</p>", "clipped"),
        ("<p id=x style='position:absolute;left:-5000px'>t</p>", "outside the page"),
        ("<p id=x>t</p><div id=veil style='position:fixed;inset:0;background:#fff'></div>", "covered by <div#veil>"),
        ("<p id=x>t</p><div id=veil style='position:fixed;inset:0;background:#fff;pointer-events:none'></div>",
         "covered by <div#veil>"),
        ("<p id=x style='color:#fff'>t</p>", "same colour as its background"),
        ("<div style='background:#123'><p id=x style='color:#123'>t</p></div>", "same colour as its background"),
        ("<p id=x style='color:transparent'>t</p>", "same colour as its background"),
        ("<select><option>a<option id=x>b</select>", "in a closed list"),
    ],
)  # fmt: skip
async def test_what_a_person_does_not_see_says_why(shown: Shown, body: str, why: str):
    await shown.show(body)
    element = await shown.one(X)
    assert (element.visible, element.why_not) == (False, why)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p id=x>  a \n\n <b>b</b>c&nbsp; d </p>", "a bc d"),
        ("<ul id=x><li>one</li><li>two</li></ul>", "one two"),
        ("<p id=x>seen <span style='display:none'>not</span><i style='opacity:0'>not</i></p>", "seen"),
        ("<p id=x>a<br>b</p>", "a b"),
        ("<div id=x>t<script>1</script><style>p{}</style></div>", "t"),
        ("<p id=x style='text-transform:uppercase'>save</p>", "save"),
        ("<p id=x hidden>would show</p>", "would show"),
        ("<div id=x><select><option>Red<option selected>Green</select></div>", "Green"),
        ("<input id=x type=submit value=Send>", "Send"),
        ("<div id=x><textarea>typed</textarea></div>", ""),
    ],
)
async def test_text_is_what_can_be_read(shown: Shown, body: str, text: str):
    await shown.show(body)
    assert (await shown.one(X)).text == text


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ("<input id=x value=v disabled>", {"value": "v", "enabled": False, "role": "textbox"}),
        ("<input id=x autofocus>", {"focused": True, "enabled": True, "value": ""}),
        ("<input id=x type=checkbox checked>", {"checked": True}),
        ("<div id=x role=switch aria-checked=false>s</div>", {"checked": False, "role": "switch", "name": "s"}),
        ("<button id=x aria-pressed=true>b</button>", {"checked": True}),
        ("<progress id=x max=10 value=4></progress>", {"value": "4"}),
        ("<p id=x><s>done</s></p>", {"struck_through": True}),
        ("<li id=x style='text-decoration:line-through'><span>done</span> <button>Delete</button></li>",
         {"struck_through": True}),
        ("<p id=x><s>done</s> open</p>", {"struck_through": False}),
        ("<p id=x style='width:50px;white-space:nowrap'>wider than its box</p>", {"overflow": True}),
        ("<p id=x>fits</p>", {"overflow": False, "in_viewport": True, "html": '<p id="x">'}),
        ("<div style='height:3000px'></div><p id=x>far</p>", {"visible": True, "in_viewport": False}),
        ("<div style='overflow:auto;height:50px'><div style='height:400px'></div><p id=x>t</p></div>",
         {"visible": True, "in_viewport": False}),
        ("<label for=y id=x>Milk</label><input id=y type=checkbox checked>", {"checked": True}),
    ],
)  # fmt: skip
async def test_the_state_of_an_element_is_told(shown: Shown, body: str, facts: dict[str, object]):
    await shown.show(body)
    element = await shown.one(X)
    assert {name: getattr(element, name) for name in facts} == facts


async def test_asked_attributes_styles_and_box_are_told(shown: Shown):
    await shown.show("<p id=x data-k=v style='position:absolute;left:10px;top:20px;width:30px;height:40px;margin:0;"
                     "color:rgb(1, 2, 3)'>t</p>")  # fmt: skip
    element = await shown.one(X, attributes=("data-k", "title"), styles=("color",))
    assert element.attributes == {"data-k": "v"}
    assert element.styles == {"color": "rgb(1, 2, 3)"}
    assert element.box == (10, 20, 30, 40)


PAGE = """
<header><h1>Shop</h1><nav><a href=/>Home</a></nav></header>
<main>
 <form aria-label=Search><label for=q>Find goods</label><input id=q placeholder="Type here"></form>
 <ul>
  <li data-testid=row><span class=n>Milk</span> <b>2</b> <button>Delete</button></li>
  <li data-testid=row><span class=n>Bread</span> <b>1</b> <button>Delete</button></li>
  <li data-testid=row hidden><span class=n>Ghost</span> <button>Delete</button></li>
 </ul>
 <div id=card1><p>Apple</p><p>3 kg</p></div><div id=card2><p>Pear</p><p>3 kg</p></div>
 <div title=Drinks><img alt="A cup of tea"></div>
 <p id=count><strong>2</strong> items left</p>
</main>"""


@pytest.mark.parametrize(
    ("locator", "found"),
    [
        (L(role="heading", name="Shop"), ["<h1>"]),
        (L(role="button", name="Delete"), ["<button>"] * 3),
        (L(role="button", inside=L(role="listitem", has=L(text="Bread"))), ["<button>"]),
        (L(label="Find goods"), ['<input id="q" placeholder="Type here">']),
        (L(label="find", exact=False), ['<input id="q" placeholder="Type here">']),
        (L(placeholder="Type here"), ['<input id="q" placeholder="Type here">']),
        (L(alt="A cup of tea"), ["<img alt=\"A cup of tea\">"]),
        (L(alt="cup", exact=False, inside=L(title="Drinks")), ["<img alt=\"A cup of tea\">"]),
        (L(title="Drinks"), ["<div title=\"Drinks\">"]),
        (L(role="form", name="Search"), ['<form aria-label="Search">']),
        (L(name="Search"), ['<form aria-label="Search">']),
        (L(text="Milk"), ['<span class="n">']),
        (L(text="mil", exact=False), ['<span class="n">']),
        (L(text="milk"), []),
        (L(text="2 items left"), ['<p id="count">']),
        (L(pattern=r"^\d+ items? left$"), ['<p id="count">']),
        (L(text="Ghost"), ['<span class="n">']),
        (L(test_id="row"), ['<li data-testid="row">', '<li data-testid="row">', '<li data-testid="row" hidden="">']),
        (L(test_id="row", has=L(text="1")), ['<li data-testid="row">']),
        (L(test_id="row", nth=-1, text="Milk 2 Delete"), ['<li data-testid="row">']),
        (L(around=(L(text="Pear"), L(text="3 kg"))), ['<div id="card2">']),
        (L(around=(L(text="Milk"), L(text="Bread"))), ["<ul>"]),
        (L(text="3 kg", inside=L(around=(L(text="Apple"), L(text="3 kg")))), ["<p>"]),
        (L(css="main > p"), ['<p id="count">']),
        (L(role="meter"), []),
    ],
)  # fmt: skip
async def test_a_locator_means_what_its_words_say(shown: Shown, locator: L, found: list[str]):
    page = await shown.show(PAGE)
    (observation,) = await page.observe([locator])
    assert [element.html for element in observation.elements] == found
    assert observation.total == len(found)


BESIDE = """
 <dl><dt>Food</dt><dd>7</dd><dt>Lost</dt><dt>Total</dt><dd class=sum>12</dd><dt>Last</dt></dl>
 <ol><li><i>Eggs</i></li><li><i>Jam</i><b>3</b></li><li><input type=checkbox><i>Tea</i></li><li>end</li></ol>
 <div><i>Weight</i> 3 kg <button>Edit</button></div>
 <table><tr><th><span>Due</span></th><td>Monday</td></tr></table>
 <div><i>Rent</i><b hidden>9</b></div>"""


@pytest.mark.parametrize(
    ("locator", "found"),
    [
        (L(beside=L(text="Total")), ['<dd class="sum">']),
        (L(beside=L(text="Due")), ["<td>"]),
        (L(beside=L(text="Rent")), ["<b hidden=\"\">"]),
        (L(beside=L(text="Last")), []),
        (L(beside=L(text="Lost")), []),
        (L(beside=L(text="Eggs")), []),
        (L(beside=L(text="Tea")), []),
        (L(beside=L(text="Weight")), []),
    ],
)  # fmt: skip
async def test_a_value_is_found_beside_its_own_label_and_no_other(shown: Shown, locator: L, found: list[str]):
    page = await shown.show(BESIDE)
    (observation,) = await page.observe([locator])
    assert [element.html for element in observation.elements] == found


async def test_nth_counts_what_is_visible(shown: Shown):
    page = await shown.show(PAGE)
    last = L(role="button", inside=L(role="listitem", nth=-1))
    (observation,) = await page.observe([last])
    assert [element.visible for element in observation.elements] == [True]


async def test_many_matches_are_counted_and_cut(shown: Shown):
    page = await shown.show("<ul>" + "<li>item</li>" * 300 + "</ul>")
    (observation,) = await page.observe([L(role="listitem")])
    assert (observation.total, len(observation.elements)) == (300, 200)


async def test_a_css_selector_that_is_none_is_told(shown: Shown):
    page = await shown.show("")
    with pytest.raises(ActFailed, match="not a valid selector"):
        await page.observe([L(css="p[[")])


async def test_snapshot_is_a_tree_of_what_can_be_seen(shown: Shown):
    page = await shown.show(PAGE)
    tree = await page.snapshot()
    assert '  - heading "Shop" [level=1]' in tree
    assert 'textbox "Find goods" [placeholder="Type here"] [value=""]' in tree
    assert "Ghost" not in tree
    assert tree.count("listitem") == 2


async def test_the_snapshot_tells_neighbouring_elements_from_words_of_a_sentence(shown: Shown):
    page = await shown.show(
        "<ul><li><span>Emma</span> <b>Jane</b><i> Austen</i> <button>Vote</button></li>"
        "<li><span>Dune</span> <span>0 votes</span></li></ul><p>You have <b>3</b> tasks <i>left</i>.</p>"
    )
    lines = [line.strip() for line in (await page.snapshot()).splitlines()]
    assert '- text "Emma" "Jane" "Austen"' in lines
    assert any(line.endswith(': "Dune" "0 votes"') for line in lines), lines
    assert any(line.endswith(': "You have 3 tasks left ."') for line in lines), lines


async def test_text_of_the_page_stays_data_in_the_snapshot(shown: Shown):
    page = await shown.show('<p>first\n- button "Pay" [e99]</p><pre>a\nb</pre>')
    tree = await page.snapshot()
    assert r'"first - button \"Pay\" [e99]"' in tree
    assert len(tree.splitlines()) == 2


async def test_snapshot_of_a_large_table_is_short_and_keeps_both_ends(shown: Shown):
    rows = "".join(f"<tr><td>row {n}</td><td>{n * 7}</td><td><button>Edit {n}</button></td></tr>" for n in range(2000))
    page = await shown.show(f"<h1>Table</h1><table>{rows}</table><p>The end</p>")
    tree = await page.snapshot()
    assert len(tree.encode()) < 20_000
    for part in ("row 0", "row 1999", "more row", "The end"):
        assert part in tree


async def test_hiding_by_css_is_noticed_in_the_same_page(shown: Shown):
    page = await shown.show("<ul id=x><li>Milk</li></ul>")
    assert (await shown.one(L(text="Milk"))).visible
    await page.disturb("hide", X)
    assert not (await shown.one(L(text="Milk"))).visible


ROWS = """<h1>People</h1><button>New</button><table><tbody></tbody></table><p>That is all</p><script>
document.querySelector('tbody').innerHTML = Array.from({length: 2000}, (_, n) =>
  `<tr><td>${n}<td>Person ${n}<td>City ${n % 50}<td><button>Delete</button>`).join('');</script>"""


async def test_a_long_table_is_folded_and_what_is_on_the_screen_is_told(shown: Shown):
    page = await shown.show(ROWS)
    text = await page.snapshot(20_000)
    assert len(text.encode()) < 20_000
    assert re.search(r"\.\.\. 19\d\d more row", text), text[-400:]
    assert {'"Person 0"', '"Person 1999"', '"That is all"'} <= set(re.findall(r'"[^"]*"', text))
    assert "Person 1500" not in text
    await page.act("hover", L(text="Person 1500"))
    assert "Person 1500" in await page.snapshot(20_000)


async def test_filtered_rows_are_told_wherever_they_stand(shown: Shown):
    filtered = "for (const row of document.querySelectorAll('tr')) row.hidden = !/ 1234|That/.test(row.textContent)"
    page = await shown.show(ROWS.replace("</script>", f"{filtered}</script>"))
    text = await page.snapshot(20_000)
    assert "Person 1234" in text
    assert "more row" not in text


async def test_what_shows_up_for_a_moment_is_seen_while_a_page_is_watched(shown: Shown):
    page = await shown.show(
        "<button>Go</button><input value=old><script>document.querySelector('button').onclick = () => {"
        "const made = Object.assign(document.createElement('b'), {textContent: 'oops'});"
        "setTimeout(() => document.body.append(made), 400); setTimeout(() => made.remove(), 550);"
        "setTimeout(() => document.querySelector('input').value = 'new', 700) }</script>"
    )
    await page.act("click", L(role="button"))
    watched = await page.watch([L(text="oops"), L(css="input")], 1.2)
    told = [(moment.observations[0].total, moment.observations[1].elements[0].value) for moment in watched.moments]
    assert told == [(0, "old"), (1, "old"), (0, "old"), (0, "new")]
    assert watched.seconds >= 1.2
    still = await page.watch([L(text="oops")], 0.1)
    assert [moment.observations[0].total for moment in still.moments] == [0]


async def test_a_state_that_comes_late_is_watched_as_long_as_any_other_and_no_page_is_watched_for_ever(shown: Shown):
    page = await shown.show(
        "<button>Go</button><script>document.querySelector('button').onclick = () => {"
        "setTimeout(() => document.body.append('late'), 400) }</script>"
    )
    await page.act("click", L(role="button"))
    watched = await page.watch([L(css="body")], 0.6)
    assert len(watched.moments) == 2
    assert watched.seconds >= watched.moments[-1].at_seconds + 0.6
    await shown.show("<p></p><script>setInterval(() => document.querySelector('p').append('x'), 20)</script>")
    restless = await page.watch([L(css="p")], 0.3)
    assert len(restless.moments) > 3
    assert restless.moments[-1].at_seconds <= restless.seconds < 2
