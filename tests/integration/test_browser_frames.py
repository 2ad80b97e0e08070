# ruff: noqa: F401, F811 (fixtures are imported by their names)
"""Frames and shadow roots are part of the page: nobody who writes a check needs to know of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_support import Shown, Site, browser, reason_of, shared_page, site

from harness.browser.browser import Page
from harness.verify.check import Locator as L

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

FORM = """<!doctype html><body style="margin:0"><p data-testid=out>nothing</p>
<label>Title <input id=t></label> <label><input type=checkbox> Done</label>
<select aria-label=Size><option>Small<option>Large</select> <input type=file aria-label=File>
<button ondblclick="tell('double')" onclick="tell('clicked')">Save</button> <button disabled>Never</button>
<b style="color:white;background:white">ghost</b> <div id=c tabindex=0 contenteditable>text</div>
<script>const tell = (text) => (document.querySelector('[data-testid=out]').textContent = text);
t.onkeydown = (e) => { if (e.key === 'Enter') tell(t.value) };
document.querySelector('[type=file]').onchange = async (e) => tell(await e.target.files[0].text());
document.oncontextmenu = () => tell('menu');
document.querySelector('button').onmouseover = () => tell('over');</script>"""
SHADOW = """<!doctype html><x-form></x-form><script>customElements.define('x-form', class extends HTMLElement {
  connectedCallback() { this.attachShadow({mode: 'open'}).innerHTML =
    '<iframe title=Form width=600 height=200 src="/form"></iframe>' } })</script>"""
FRAME = "<iframe title=Form width=600 height=200 src={}></iframe>"


class Framed:
    """One form, shown in several ways: same site, another site, nested, in a shadow root."""

    def __init__(self, page: Page, own: Site, other: Site) -> None:
        self.page, self._own, self._other = page, own, other

    async def show(self, body: str, *, inner: str = FORM) -> Page:
        foreign = self._other.url.replace("127.0.0.1", "localhost")
        body = body.replace("OTHER", foreign)
        self._own.pages = {"/": f"<!doctype html>{body}", "/form": inner, "/shadow": SHADOW, "/empty": "<p>",
                           "/nest": FRAME.format(f"{foreign}/form")}  # fmt: skip
        self._other.pages = {"/form": inner, "/nest": FRAME.format("/form"), "/shadow": SHADOW}
        await self.page.reset(self._own.url, also=[self._other.url])
        await self.page.act("navigate", value="/")
        return self.page

    async def text(self) -> str:
        (seen,) = await self.page.observe([L(test_id="out")])
        assert seen.total == 1, seen
        return seen.elements[0].text


@pytest.fixture(scope="module")
def other() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


@pytest.fixture
def framed(shared_page: Page, site: Site, other: Site) -> Framed:
    return Framed(shared_page, site, other)


SHAPES = {
    "same site": FRAME.format("/form"),
    "other site": FRAME.format("OTHER/form"),
    "nested over sites": "<iframe width=700 height=300 style='border:7px solid;padding:5px' src=OTHER/nest></iframe>",
    "back in the first site": "<iframe width=700 height=300 src=/nest></iframe>",
    "shadow root": "<iframe width=700 height=300 src=OTHER/shadow></iframe>",
    "below the fold": f"<div style='height:3000px'></div>{FRAME.format('OTHER/form')}",
    "in a scrolled box": f"<div style='height:150px;width:300px;overflow:auto'><div style='height:900px'></div>"
                         f"{FRAME.format('OTHER/form')}</div>",
    "scaled": f"<div style='transform:scale(.7) translate(30px, 50px)'>{FRAME.format('OTHER/form')}</div>",
    "without a source": f"<iframe title=Form width=600 height=200 srcdoc='{FORM.replace(chr(39), '&#39;')}'></iframe>",
    "in a sandbox": "<iframe title=Form width=600 height=200 sandbox=allow-scripts src=/form></iframe>",
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_act_works_in_a_frame(framed: Framed, shape: str):
    page = await framed.show(SHAPES[shape])
    save = L(role="button", name="Save")
    for act, told in [("hover", "over"), ("click", "clicked"), ("right_click", "menu"), ("double_click", "double")]:
        await page.act(act, save)
        assert await framed.text() == told
    await page.act("fill", L(label="Title"), value="Rent")
    await page.act("type", value="!")
    await page.act("press", L(label="Title"), value="Enter")
    assert await framed.text() == "Rent!"
    await page.act("check", L(label="Done"))
    await page.act("select", L(label="Size"), value="Large")
    await page.act("upload", L(label="File"), value="content", file_name="a.txt")
    assert await framed.text() == "content"
    await page.act("fill", L(css="#c"), value="edited")
    title, done, size, editable = await page.observe([L(label="Title"), L(label="Done"), L(label="Size"), L(css="#c")])
    assert (title.elements[0].value, size.elements[0].value) == ("Rent!", "Large")
    assert (done.elements[0].checked, editable.elements[0].text) == (True, "edited")
    assert (editable.elements[0].focused, title.elements[0].focused) == (True, False)


async def test_what_is_seen_in_a_frame_is_told_in_the_coordinates_of_the_tab(framed: Framed):
    page = await framed.show("<body style='margin:0'><iframe style='position:absolute;left:100px;top:50px;border:10px "
                             "solid;padding:3px' width=600 height=200 src=OTHER/form></iframe>")  # fmt: skip
    (never,) = await page.observe([L(test_id="out")])
    assert never.elements[0].box[:2] == (113, 79)  # the frame, its border and padding, the paragraph's margin


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("<div style='position:absolute;top:0;left:0;width:900px;height:400px;background:red' id=over></div>"
         f"{FRAME.format('OTHER/form')}", "covered by <div#over>"),
        (f"<div style='opacity:0'>{FRAME.format('OTHER/form')}</div>", "in a frame that is not visible: transparent"),
        ("<div style='width:0;height:0;overflow:hidden'>" + FRAME.format("OTHER/form") + "</div>",
         "in a frame that is not visible: clipped"),
        (f"<div style='height:60px;overflow:hidden'>{FRAME.format('OTHER/form')}</div>", "clipped"),
        ("<div style='position:relative'><div id=over style='position:absolute;left:0;top:0;width:700px;height:400px;"
         "background:red;z-index:1'></div><iframe width=650 height=250 src=/nest></iframe></div>",
         "covered by <div#over>"),
    ],
)  # fmt: skip
async def test_what_hides_a_frame_hides_what_is_in_it(framed: Framed, body: str, why: str):
    page = await framed.show(body, inner="<!doctype html><div style='height:100px'></div><button>Save</button>")
    (seen,) = await page.observe([L(role="button", name="Save")])
    assert [(e.visible, e.why_not) for e in seen.elements] == [(False, why)]
    assert why.split(":")[0].split(" by")[0] in await reason_of(page, "click", L(role="button", name="Save"))


async def test_an_overlay_is_waited_for_and_one_that_lets_the_mouse_through_is_none(framed: Framed):
    over = "<div id=over style='position:absolute;inset:0'></div><script>setTimeout(() => over.remove(), 400)</script>"
    page = await framed.show(over + FRAME.format("OTHER/form"))
    await page.act("click", L(role="button", name="Save"))
    assert await framed.text() == "clicked"
    page = await framed.show("<div style='position:absolute;inset:0;pointer-events:none'></div>"
                             f"{FRAME.format('OTHER/form')}")  # fmt: skip
    await page.act("click", L(role="button", name="Save"))
    assert await framed.text() == "clicked"


async def test_frames_without_a_box_are_not_looked_at(framed: Framed):
    page = await framed.show(f"<div style='display:none'>{FRAME.format('OTHER/form')}</div>{FRAME.format('/form')}")
    (seen,) = await page.observe([L(role="button", name="Save")])
    assert seen.total == 1


async def test_matches_are_counted_over_all_frames_and_inside_tells_them_apart(framed: Framed):
    page = await framed.show("<button>Save</button>" + FRAME.format("OTHER/form").replace("Form", "Left") +
                             FRAME.format("/form").replace("Form", "Right"))  # fmt: skip
    save = L(role="button", name="Save")
    assert '3 elements match in 3 frames: <button>"Save"' in await reason_of(page, "click", save)
    (seen,) = await page.observe([save])
    assert len(seen.visible) == 3
    right = save.model_copy(update={"inside": L(role="iframe", name="Right")})
    await page.act("click", right)
    inside, outputs = await page.observe([right, L(test_id="out", inside=L(css="iframe"))])
    assert (inside.total, [e.text for e in outputs.elements]) == (1, ["nothing", "clicked"])
    await page.act("click", save.model_copy(update={"nth": 1}))
    first, last = await page.observe([L(test_id="out", nth=0), L(test_id="out", nth=-1)])
    assert (first.elements[0].text, last.elements[0].text) == ("clicked", "clicked")
    assert "no element matches" in await reason_of(page, "click", L(role="button", name="Nowhere"))


async def test_a_frame_that_comes_late_or_changes_its_document_is_followed(framed: Framed):
    page = await framed.show("<div id=d></div><script>setTimeout(() => d.innerHTML = '"
                             f"{FRAME.format('OTHER/nest')}', 300)</script>")  # fmt: skip
    await page.act("click", L(role="button", name="Save"))
    assert await framed.text() == "clicked"
    page = await framed.show(f"{FRAME.format('OTHER/form')}<button onclick=\"document.querySelector('iframe').src = "
                             "'/nest'\">Go on</button>")  # fmt: skip
    await page.act("click", L(role="button", name="Save"))
    await page.act("click", L(role="button", name="Go on"))
    await page.act("click", L(role="button", name="Save"))
    assert await framed.text() == "clicked"
    assert await page.observe([L(text="ghost")])


async def test_dragging_goes_from_one_frame_to_another(framed: Framed):
    source = "<b draggable=true ondragstart=\"event.dataTransfer.setData('text', 'cargo')\">Cargo</b>"
    page = await framed.show(
        f"<div data-testid=out ondragover='event.preventDefault()' ondrop=\"event.preventDefault(); "
        f"this.textContent = event.dataTransfer.getData('text')\">Harbour</div>{FRAME.format('/form')}",
        inner=source,
    )  # fmt: skip
    await page.act("drag", L(text="Cargo"), to=L(text="Harbour"))
    assert await framed.text() == "cargo"


async def test_the_snapshot_shows_what_a_frame_shows_and_its_refs_can_be_used(framed: Framed):
    page = await framed.show("<h1>Around</h1>" + SHAPES["nested over sites"])
    lines = (await page.snapshot()).splitlines()
    (button,) = [line for line in lines if 'button "Save"' in line]
    frame = next(line for line in lines if 'iframe "Form"' in line)
    assert len(frame) - len(frame.lstrip()) < len(button) - len(button.lstrip())
    await page.act("click", button.split("[")[1].split("]")[0])
    assert await framed.text() == "clicked"
    assert "not in the page" in await reason_of(page, "click", "e999")


@pytest.mark.parametrize(
    ("kind", "text", "moved"),
    [("hide", "", lambda e: not e.visible), ("swap_text", "odd", lambda e: e.text == "odd")],
)
async def test_disturbances_reach_into_frames_and_are_taken_back(framed: Framed, kind, text: str, moved):
    page = await framed.show(SHAPES["nested over sites"])
    save = L(role="button", css="button:not([disabled])")
    (before,) = await page.observe([save])
    assert await page.disturb(kind, save, text)
    assert moved((await page.observe([save]))[0].elements[0])
    await page.undo()
    assert (await page.observe([save]))[0].elements[0].text == before.elements[0].text
    assert not moved((await page.observe([save]))[0].elements[0])


async def test_freezing_and_ghosts_work_in_frames(framed: Framed):
    page = await framed.show(FRAME.format("OTHER/form"))
    assert await page.keep_ghost("save", L(role="button", name="Save"))
    await page.freeze("handlers")
    await page.act("click", L(role="button", name="Save"))
    assert await framed.text() == "nothing"
    await page.freeze(None)
    await page.act("click", L(role="button", name="Save"))
    assert await framed.text() == "clicked"
    await page.act("navigate", value="/empty")
    assert await page.disturb("ghost", None, "save")
    assert (await page.observe([L(role="button", name="Save")]))[0].elements[0].visible


async def test_what_a_frame_of_another_site_stored_is_gone_after_a_reset(framed: Framed):
    inner = "<p data-testid=out></p><script>document.querySelector('p').textContent = localStorage.k || 'empty';" \
            "localStorage.k = 'kept'; document.cookie = 'k=c'</script>"  # fmt: skip
    page = await framed.show(FRAME.format("OTHER/form"), inner=inner)
    assert await framed.text() == "empty"
    await page.act("reload")
    assert await framed.text() == "kept"
    await framed.show(FRAME.format("OTHER/form"), inner=inner)
    assert await framed.text() == "empty"


async def test_many_frames_are_bounded(framed: Framed):
    page = await framed.show("".join(FRAME.format("/form") for _ in range(40)), inner="<b>ad</b>")
    (seen,) = await page.observe([L(text="ad")])
    assert seen.total == 19
