# ruff: noqa: F401, F811 (fixtures are imported by their names)
"""What a check can do beyond one document: tabs, files, the clipboard, the network, the clock."""

from __future__ import annotations

import asyncio

import pytest
from browser_support import Shown, Site, browser, reason_of, shared_page, shown, site

from harness.browser.browser import Browser, Page
from harness.browser.values import Download
from harness.verify.check import Locator as L

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

OUT = "<p data-testid=out>nothing</p><script>const tell = (t) => document.querySelector('p').textContent = t;</script>"


def button(name: str) -> L:
    return L(role="button", name=name)


# --- tabs ---

OPENER = """<a href=/detail target=_blank>Detail</a><p data-testid=out>main</p>
<button onclick="window.open('/detail?loud')">Loud</button>
<button onclick="onmessage = (e) => document.querySelector('p').textContent = e.data">Listen</button>"""
DETAIL = """<title>Detail of Rent</title><p data-testid=out>detail</p><button onclick="document.querySelector('p')
.textContent = 'saved'; localStorage.k = 'stored'; opener?.postMessage('told', '*')">Save</button>
<button onclick=window.close()>Done</button><script>if (location.search) alert('hello from the popup')</script>"""


async def tabs(shown: Shown):
    page = await shown.show(OPENER)
    shown._site.pages["/detail"] = DETAIL
    return page


async def test_a_new_tab_is_gone_to_acted_in_and_closed(shown: Shown):
    page = await tabs(shown)
    await page.act("click", L(role="link"))
    assert (await page.facts()).title == "test"
    await page.act("switch_tab", value="new")
    assert (await page.facts()).title == "Detail of Rent"
    await page.act("click", button("Save"))
    assert await shown.text() == "saved"
    assert b"PNG" in (await page.screenshot())[:8]
    await page.act("switch_tab", value="main")
    assert await shown.text() == "main"
    await page.act("switch_tab", value="detail of")
    await page.act("close_tab")
    assert (await page.facts()).title == "test"
    assert "no tabs are 'Detail'; open: 'test'" in await reason_of(page, "switch_tab", value="Detail")
    assert "first tab cannot be closed" in await reason_of(page, "close_tab")


async def test_a_popup_is_watched_from_its_first_moment(shown: Shown):
    page = await tabs(shown)
    await page.act("click", button("Listen"))
    await page.act("click", button("Loud"))
    await page.act("switch_tab", value="new")
    assert [dialog.message for dialog in (await page.facts()).dialogs] == ["hello from the popup"]
    await page.act("click", button("Save"))
    await page.act("click", button("Done"))
    assert await shown.text() == "told"
    assert (await page.facts()).title == "test"


async def test_a_tab_of_another_host_stays_empty(shown: Shown):
    other = Site()
    page = await shown.show(f"<a target=_blank href={other.url}/>Leave</a>")
    await page.act("click", L(role="link"))
    await page.act("switch_tab", value="new")
    assert other.asked == []
    assert f"GET {other.url}/ blocked: foreign host" in (await page.facts()).failed_requests
    other.close()


async def test_endless_tabs_are_bounded_and_gone_after_a_reset(shown: Shown):
    page = await shown.show("<button onclick=\"for (let i = 0; i < 30; i++) window.open('/pop')\">"
                            "Pop</button><p data-testid=out>here</p>")  # fmt: skip
    shown._site.pages["/pop"] = "<title>Pop</title><script>window.open('/pop')</script>"
    await page.act("click", button("Pop"))
    await page.act("click", button("Pop"))
    assert await shown.text() == "here"
    await shown.show("")
    assert "no tabs are 'new'; open: 'test'" in await reason_of(page, "switch_tab", value="new")


async def test_users_have_tabs_of_their_own(browser: Browser, shown: Shown):
    page = await tabs(shown)
    bob = await browser.new_page()
    await bob.reset(shown._site.url)
    await bob.act("navigate", value="/")
    await page.act("click", L(role="link"))
    await page.act("switch_tab", value="new")
    assert "no tabs are 'new'" in await reason_of(bob, "switch_tab", value="new")
    await bob.close()


# --- files ---

EXPORT = (
    OUT
    + """<a download=plain.txt href=/file>Plain</a><button onclick="const a = document.createElement('a');
a.href = window.URL.createObjectURL(new Blob(['id,title\\n1,Rent'])); 
a.download = 'notes-1.csv'; a.click()">Export</button>
<button onclick="const i = document.createElement('input'); i.type = 'file';
i.onchange = async () => tell(i.files[0].name + ': ' + await i.files[0].text()); i.click()">Import</button>"""
)


async def downloads(page: Page, number: int) -> tuple[Download, ...]:
    """As many files as were asked for; they arrive when they are whole."""
    async with asyncio.timeout(10):
        while len(files := (await page.facts()).downloads) < number:  # noqa: ASYNC110 (the facts send no event)
            await asyncio.sleep(0.05)
    return files


async def test_downloads_are_told_with_their_content(shown: Shown):
    page = await shown.show(EXPORT)
    shown._site.pages["/file"] = "plain content"
    for name in ("Export", "Plain"):
        await page.act("click", L(pattern=f"^{name}$"))
    files = await downloads(page, 2)
    assert {(file.name, file.text) for file in files} == {
        ("notes-1.csv", "id,title\n1,Rent"),
        ("plain.txt", "plain content"),
    }
    await shown.show(EXPORT)
    assert (await page.facts()).downloads == ()


async def test_a_file_chooser_that_a_script_opens_is_given_the_file(shown: Shown):
    page = await shown.show(EXPORT)
    await page.act("upload", button("Import"), value="1,2", file_name="a.csv")
    assert await shown.text() == "a.csv: 1,2"


# --- the clipboard ---

COPY = (
    OUT
    + """<input aria-label=From value=Rent><input aria-label=To>
<button onclick="navigator.clipboard.writeText('copied by a button')">Copy</button>"""
)


async def test_what_is_copied_can_be_seen_and_pasted(shown: Shown):
    page = await shown.show(COPY)
    await page.act("click", button("Copy"))
    assert (await page.facts(clipboard=True)).clipboard == "copied by a button"
    await page.act("click", L(css="[aria-label=From]"))
    await page.act("press", value="Control+A")
    await page.act("press", value="Control+C")
    assert (await page.facts(clipboard=True)).clipboard == "Rent"
    await page.act("click", L(css="[aria-label=To]"))
    await page.act("press", value="Control+V")
    assert (await shown.one(L(css="[aria-label=To]"))).value == "Rent"
    await page.reset(shown._site.url, clipboard=True)
    await page.act("navigate", value="/")
    assert (await page.facts(clipboard=True)).clipboard == ""


# --- dragging, keys, dialogs, storage ---


async def test_pointer_based_dragging_follows_the_mouse(shown: Shown):
    page = await shown.show(
        OUT
        + """<b id=c style="position:absolute;left:300px;top:300px">Card</b>
      <i style="position:absolute;left:600px;top:400px">Column</i><script>let on = false;
      c.onpointerdown = (e) => { on = true; c.setPointerCapture(e.pointerId) };
      c.onpointermove = (e) => { if (on) { c.style.left = e.clientX + 'px'; c.style.top = e.clientY + 'px' } };
      c.onpointerup = (e) => { on = false; tell('dropped at ' + (e.clientX > 590)) }</script>"""
    )
    await page.act("drag", L(text="Card"), to=L(text="Column"))
    assert await shown.text() == "dropped at true"


async def test_leaving_a_page_that_asks_first_is_seen_and_answered(shown: Shown):
    page = await shown.show(OUT + "<button onclick='onbeforeunload = (e) => e.preventDefault()'>Edit</button>")
    shown._site.pages["/next"] = "<title>next</title>"
    await page.act("click", button("Edit"))
    await page.act("navigate", value="/next")
    assert [d.type for d in (await page.facts()).dialogs] == ["beforeunload"]
    assert (await page.facts()).title == "next"


# --- the network ---


async def test_offline_takes_the_network_away_and_gives_it_back(shown: Shown):
    page = await shown.show(
        OUT
        + """<button onclick="fetch('/x').then(() => tell('answered'), () =>
      tell('failed ' + navigator.onLine))">Ask</button>"""
    )
    shown._site.pages["/x"] = "x"
    await page.act("offline", value="on")
    await page.act("click", button("Ask"))
    assert await shown.text() == "failed false"
    await page.act("offline", value="off")
    await page.act("click", button("Ask"))
    assert await shown.text() == "answered"
    await page.act("offline", value="on")
    await shown.show("<p data-testid=out>again</p>")
    assert await shown.text() == "again"


async def test_on_a_slow_network_what_is_shown_meanwhile_can_be_seen(shown: Shown):
    asks = """<button onclick="tell('asking'); fetch('/x').then(() => tell('answered'))">Ask</button>"""
    page = await shown.show(OUT + asks)
    shown._site.pages["/x"] = "x"
    await page.act("slow", value="on")
    await page.act("click", button("Ask"))
    assert await shown.text() == "asking"  # read at once, and before the answer
    async with asyncio.timeout(10):
        while await shown.text() != "answered":
            pass
    await page.act("slow", value="off")
    await page.act("click", button("Ask"))
    assert await shown.text() == "answered"


async def test_requests_are_told_with_body_and_status(shown: Shown):
    page = await shown.show("""<button onclick="fetch('/notes?x=1', {method: 'POST', body: 'title=Rent'})">Save</button>
      <img src=/logo.png>""")
    await page.act("click", button("Save"))
    told = [(r.method, r.url.removeprefix(shown._site.url), r.body, r.status) for r in (await page.facts()).requests]
    assert told == [("GET", "/", "", 200), ("POST", "/notes?x=1", "title=Rent", 404)]


# --- the clock ---

CLOCK = """<p data-testid=out></p><script>document.querySelector('p').textContent =
[new Date().toISOString().slice(0, 13), new Date(2020, 1, 1).getFullYear(), new Date() instanceof Date,
Date().slice(11, 15), new Intl.DateTimeFormat('en', {year: 'numeric'}).format()].join(' ')</script>"""


async def test_the_clock_of_pages_is_set_and_moved_on(shown: Shown):
    page = await shown.show(CLOCK)
    await page.act("clock", value="2031-05-01T10:00")
    await page.act("reload")
    assert await shown.text() == "2031-05-01T10 2020 true 2031 2031"
    await page.act("clock", value="+2 days")
    shown._site.pages["/late"] = f"<iframe src=/></iframe><script>document.title = Date.now() > {4e12}</script>"
    await page.act("navigate", value="/late")
    (seen,) = await page.observe([L(test_id="out")])
    assert seen.elements[0].text == "2031-05-03T10 2020 true 2031 2031"
    assert "takes a date" in await reason_of(page, "clock", value="tomorrow")
    await shown.show(CLOCK)
    assert "2031" not in await shown.text()


async def test_the_clock_moves_in_the_page_that_is_there(shown: Shown):
    page = await shown.show(OUT + "<button onclick='tell(new Date().getFullYear())'>Now</button>")
    await page.act("clock", value="2040-01-01")
    await page.act("clock", value="+52 weeks")
    await page.act("click", button("Now"))
    assert await shown.text() == "2040"
    await page.act("clock", value="+1 week")
    await page.act("click", button("Now"))
    assert await shown.text() == "2041"


@pytest.mark.parametrize(
    ("kind", "text", "field"),
    [("swap_clipboard", "odd", "clipboard"), ("swap_request", "method=ZQ", "requests"),
     ("swap_download", "text=odd", "downloads")],
)  # fmt: skip
async def test_what_was_written_down_is_disturbed_and_taken_back(shown: Shown, kind, text: str, field: str):
    page = await shown.show(EXPORT + COPY)
    await page.act("click", button("Export"))
    await page.act("click", button("Copy"))
    await downloads(page, 1)
    before = await page.facts(clipboard=True)
    assert await page.disturb(kind, None, text)
    assert getattr(await page.facts(clipboard=True), field) != getattr(before, field)
    await page.undo()
    assert getattr(await page.facts(clipboard=True), field) == getattr(before, field)
