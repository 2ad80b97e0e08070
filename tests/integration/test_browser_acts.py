# ruff: noqa: F401, F811 (fixtures are imported by their names)
"""What a person does to a page, against real Chromium."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from browser_support import Shown, Site, browser, reason_of, shared_page, shown, site

from harness.verify.check import Locator as L

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

OUT = "<p data-testid=out></p><script>const out = document.querySelector('[data-testid=out]');</script>"


def say(events: str) -> str:
    """A script that tells the named events of #x in the output."""
    return f"""{OUT}<script>for (const type of '{events}'.split(' ')) document.addEventListener(type, (e) => {{
      if (e.target.id === 'x') out.textContent += e.type + ' '; }}, true)</script>"""


@pytest.mark.parametrize(
    ("act", "seen"),
    [
        ("click", "mousedown mouseup click"),
        ("double_click", "mousedown mouseup click mousedown mouseup click dblclick"),
        ("right_click", "mousedown contextmenu mouseup"),
        ("hover", "mouseover"),
    ],
)
async def test_pointer_acts_send_what_a_mouse_sends(shown: Shown, act, seen: str):
    events = "mouseover" if act == "hover" else "mousedown mouseup click dblclick contextmenu"
    page = await shown.show(f"<button id=x>Press</button>{say(events)}")
    await page.act(act, L(role="button", name="Press"))
    assert await shown.text() == seen


async def test_both_clicks_of_a_double_click_send_their_form(shown: Shown, site: Site):
    page = await shown.show("<form method=post action=/never><button>Post</button></form>")
    before = site.asked.count("/never")
    await page.act("double_click", L(role="button", name="Post"))
    async with asyncio.timeout(5):
        while site.asked.count("/never") < before + 2:  # noqa: ASYNC110 (the server is a thread without events)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "field",
    ["<input id=x>", "<textarea id=x></textarea>", "<input id=x value=old>", "<input id=x type=email>",
     "<div id=x contenteditable>old</div>"],
)  # fmt: skip
async def test_fill_replaces_what_the_field_holds(shown: Shown, field: str):
    page = await shown.show(field)
    await page.act("fill", L(css="#x"), value="new \N{SNOWMAN} text")
    assert (await shown.one(L(css="#x"))).value == "new \N{SNOWMAN} text"
    await page.act("fill", L(css="#x"), value="")
    assert (await shown.one(L(css="#x"))).value == ""


@pytest.mark.parametrize(
    ("kind", "value"),
    [("date", "2024-02-29"), ("time", "13:45"), ("range", "70"), ("color", "#ff0000"), ("number", "12.5")],
)
async def test_fill_sets_fields_nobody_types_into(shown: Shown, kind: str, value: str):
    page = await shown.show(f"<input id=x type={kind} step=any>{say('input change')}")
    await page.act("fill", L(css="#x"), value=value)
    assert (await shown.one(L(css="#x"))).value == value
    assert "input" in await shown.text()


async def test_fill_says_what_a_picker_does_not_take(shown: Shown):
    page = await shown.show("<input id=x type=date>")
    assert "does not take" in await reason_of(page, "fill", L(css="#x"), value="tomorrow")


async def test_fill_ends_with_a_real_key_for_applications_that_listen_to_keys(shown: Shown):
    page = await shown.show(f"<input id=x>{OUT}<script>x.onkeyup = () => (out.textContent = x.value)</script>")
    await page.act("fill", L(css="#x"), value="search me")
    assert await shown.text() == "search me"


async def test_type_presses_every_key_where_the_focus_is(shown: Shown):
    page = await shown.show("<input id=x value=a autofocus>")
    await page.act("type", L(css="#x"), value="Bc! \N{SNOWMAN}")
    await page.act("type", value="d")
    assert (await shown.one(L(css="#x"))).value == "aBc! \N{SNOWMAN}d"


@pytest.mark.parametrize(
    ("chord", "seen"),
    [("Enter", "Enter"), ("Escape", "Escape"), ("Control+Shift+K", "Control+Shift+K"), ("ArrowDown", "ArrowDown"),
     ("a", "a"), ("ctrl+/", "Control+/"), ("Space", " ")],
)  # fmt: skip
async def test_press_sends_chords(shown: Shown, chord: str, seen: str):
    script = """document.onkeydown = (e) => { if (['Control', 'Shift'].includes(e.key)) return;
      window.last = (e.ctrlKey ? 'Control+' : '') + (e.shiftKey ? 'Shift+' : '') + e.key;
      out.textContent = JSON.stringify(window.last) }"""
    page = await shown.show(f"<input id=x>{OUT}<script>{script}</script>")
    await page.act("press", L(css="#x"), value=chord)
    assert await shown.text() == f'"{seen}"'


async def test_keys_do_what_they_do_in_a_browser(shown: Shown):
    page = await shown.show("<form onsubmit='event.preventDefault(); document.title = a.value + b.value'>"
                            "<input id=a><input id=b><button>Save</button></form>")  # fmt: skip
    await page.act("fill", L(css="#a"), value="wrong")
    await page.act("press", value="Control+A")
    await page.act("type", value="one")
    await page.act("press", value="Tab")
    await page.act("type", value="twos")
    await page.act("press", value="Backspace")
    await page.act("press", value="Enter")
    assert (await page.facts()).title == "onetwo"


async def test_an_unknown_key_is_named(shown: Shown):
    page = await shown.show("")
    assert "no key 'Hyper'" in await reason_of(page, "press", value="Hyper+K")


@pytest.mark.parametrize(
    "body",
    [
        "<label><input id=x type=checkbox> Milk</label>",
        "<input id=x type=checkbox><label for=x>Milk</label>",
        "<style>input{opacity:0;position:absolute;width:1px;height:1px}label:before{content:'\\2610'}</style>"
        "<input id=x type=checkbox><label for=x>Milk</label>",
        "<ul><li><input id=x type=checkbox style='display:none'><label for=x>Milk</label></li></ul>",
    ],
)
@pytest.mark.parametrize("locator", [L(role="checkbox", name="Milk"), L(label="Milk"), L(text="Milk")])
async def test_check_and_uncheck_go_through_the_label_where_the_control_is_painted_by_css(
    shown: Shown, body: str, locator: L
):
    page = await shown.show(body)
    for act, checked in [("check", True), ("check", True), ("uncheck", False)]:
        await page.act(act, locator)
        element = await shown.one(locator)
        assert (element.checked, element.visible) == (checked, True)


async def test_check_finds_the_one_checkbox_of_an_item(shown: Shown):
    page = await shown.show("<ul><li><input type=checkbox><span>Milk</span></li>"
                            "<li><input type=checkbox><span>Bread</span></li></ul>")  # fmt: skip
    item = L(role="listitem", has=L(text="Bread"))
    await page.act("check", item)
    boxes = (await page.observe([L(role="checkbox")]))[0].elements
    assert [box.checked for box in boxes] == [False, True]


async def test_check_says_when_clicking_does_not_check(shown: Shown):
    page = await shown.show("<input id=x type=checkbox onclick='event.preventDefault()'>")
    assert "did not check it" in await reason_of(page, "check", L(css="#x"))


async def test_check_of_something_else_says_what_it_is(shown: Shown):
    page = await shown.show("<button>Milk</button>")
    assert "is not a checkbox" in await reason_of(page, "check", L(role="button"))


async def test_select_takes_the_label_of_an_option(shown: Shown):
    page = await shown.show(
        f"<label>Colour <select id=x><option>Red<option value=g>Green</select></label>{say('change')}"
    )
    await page.act("select", L(label="Colour"), value="Green")
    assert (await shown.one(L(label="Colour"))).value == "Green"
    assert await shown.text() == "change"
    assert 'no option "Blue"; options: "Red", "Green"' in await reason_of(page, "select", L(css="#x"), value="Blue")


@pytest.mark.parametrize(
    "body",
    ["<input id=x type=file>", "<label>Choose<input id=x type=file hidden></label>",
     "<button onclick='x.click()'>Choose</button><input id=x type=file hidden>"],
)  # fmt: skip
async def test_upload_gives_a_file_with_this_content(shown: Shown, body: str):
    script = "x.onchange = async () => (out.textContent = x.files[0].name + ' ' + await x.files[0].text())"
    page = await shown.show(f"{body}{OUT}<script>{script}</script>")
    target = L(role="button", name="Choose") if "button" in body else L(css="#x")
    await page.act("upload", target, value="a,b", file_name="data.csv")
    assert await shown.text() == "data.csv a,b"


async def test_a_chosen_file_can_still_be_read_when_the_form_is_sent(shown: Shown):
    page = await shown.show(f"""<form id=f><input id=x type=file><button>Send</button></form>{OUT}<script>
      f.onsubmit = async (e) => (e.preventDefault(), out.textContent = await x.files[0].text())</script>""")
    await page.act("upload", L(css="#x"), value="a,b", file_name="data.csv")
    await page.act("click", L(role="button", name="Send"))
    await page.act("hover", L(text="a,b"))  # waits until it is there


async def test_an_uploaded_file_is_gone_after_a_reset(shown: Shown):
    name = f"mine-{os.getpid()}.csv"
    page = await shown.show("<input id=x type=file>")
    await page.act("upload", L(css="#x"), value="a,b", file_name=name)
    assert _uploaded(name)
    await shown.show("")
    assert not _uploaded(name)


def _uploaded(name: str) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"harness-upload-*/{name}"))


async def test_drag_works_with_html5_drag_and_drop(shown: Shown):
    page = await shown.show(f"""<p id=x draggable=true>Card</p><div id=y style='height:90px'>Done</div>{OUT}<script>
      x.ondragstart = (e) => e.dataTransfer.setData('text/plain', 'card');
      y.ondragover = (e) => e.preventDefault();
      y.ondrop = (e) => (out.textContent = e.dataTransfer.getData('text/plain'))</script>""")
    await page.act("drag", L(text="Card"), to=L(text="Done"))
    assert await shown.text() == "card"


async def test_drag_works_with_pointer_events(shown: Shown):
    page = await shown.show(f"""<p id=x>Card</p><div id=y style='height:90px'>Done</div>{OUT}<script>
      let held = false; x.onpointerdown = () => (held = true);
      y.onpointerup = () => (out.textContent = held ? 'dropped' : 'nothing held')</script>""")
    await page.act("drag", L(text="Card"), to=L(text="Done"))
    assert await shown.text() == "dropped"


async def test_viewport_changes_the_window(shown: Shown):
    page = await shown.show(
        f"{OUT}<script>onresize = () => (out.textContent = innerWidth + 'x' + innerHeight)</script>"
    )
    await page.act("viewport", value="390x844")
    assert await shown.text() == "390x844"
    assert "WIDTHxHEIGHT" in await reason_of(page, "viewport", value="small")


async def test_back_and_forward_move_through_history(shown: Shown):
    page = await shown.show("<a href='#part'>part</a> <a href=/two>two</a>")
    shown._site.pages["/two"] = "<title>second</title><h1>Two</h1>"
    await page.act("click", L(role="link", name="part"))
    await page.act("click", L(role="link", name="two"))
    seen = [(await page.facts()).title]
    for act in ("back", "back", "forward"):
        await page.act(act)
        seen.append((await page.facts()).url.removeprefix(shown._site.url))
    assert seen == ["second", "/#part", "/", "/#part"]
    await page.act("back")
    assert "no page to go back to" in await reason_of(page, "back")


async def test_a_click_that_navigates_is_over_when_the_next_page_is_ready(shown: Shown):
    page = await shown.show("<a href=/two>two</a>")
    shown._site.pages["/two"] = "<script>addEventListener('load', () => setTimeout(() => (document.body.innerHTML = "\
        "'<h1>Late</h1>'), 20))</script>"  # fmt: skip
    await page.act("click", L(role="link"))
    assert (await shown.one(L(role="heading"))).text == "Late"


async def test_an_act_waits_for_the_requests_it_started(shown: Shown):
    page = await shown.show(f"<button onclick='fetch(`/x`).then((r) => (out.textContent = r.status))'>Go</button>{OUT}")
    await page.act("click", L(role="button"))
    assert await shown.text() == "404"
    assert (await page.facts()).failed_requests == (f"GET {shown._site.url}/x 404",)


async def test_the_chosen_option_is_no_second_match_of_what_is_clicked(shown: Shown):
    choice = "<select><option>Emma<option>Dune</select>"
    page = await shown.show(f"<b onclick='document.title = 1'>Emma</b>{choice}")
    await page.act("click", L(text="Emma"))
    assert (await page.facts()).title == "1"
    page = await shown.show(choice + choice)
    assert "2 elements match" in await reason_of(page, "click", L(text="Emma"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<button disabled>Go</button>", "is disabled"),
        ("<fieldset disabled><button>Go</button></fieldset>", "is disabled"),
        ("<button aria-disabled=true>Go</button>", "is disabled"),
        ("<button>Go</button><button>Go</button>", "2 elements match"),
        ("<button>Other</button>", 'no element matches role "button", name "Go"; visible with role button: "Other"'),
        ("", "nothing visible has role button"),
        ("<button style='display:none'>Go</button>", "is not visible: no box"),
        ("<button style='opacity:0'>Go</button>", "is not visible: transparent"),
        ("<button>Go</button><div id=veil style='position:fixed;inset:0'></div>", "is covered by <div#veil>"),
        ("<button>Go</button><div class='veil on' style='position:fixed;inset:0;background:#fff'></div>",
         "is covered by <div.veil.on>"),
        ("<button style='position:absolute'>Go</button><script>const b = document.querySelector('button'); let n = 0;"
         "(function f() { b.style.left = ++n * 7 % 600 + 'px'; requestAnimationFrame(f) })()</script>", "is moving"),
    ],
)  # fmt: skip
async def test_what_cannot_be_clicked_says_why(shown: Shown, body: str, reason: str):
    page = await shown.show(body)
    assert reason in await reason_of(page, "click", L(role="button", name="Go"))


@pytest.mark.parametrize(
    "script",
    [
        "setTimeout(() => add(), 400)",
        "add(); b.disabled = true; setTimeout(() => (b.disabled = false), 400)",
        "add('<div id=veil style=\"position:fixed;inset:0\">');setTimeout(() => veil.remove(), 400)",
        "add(); b.hidden = true; setTimeout(() => (b.hidden = false), 400)",
        "add(); b.style.position = 'absolute'; let n = 0;"
        "const t = setInterval(() => ++n > 60 ? clearInterval(t) : (b.style.left = n * 3 + 'px'), 5)",
    ],
)
async def test_an_act_waits_for_what_is_late(shown: Shown, script: str):
    html = "<button id=b onclick='document.title = `clicked`'>Go</button>"
    add = f"const add = (more = '') => document.body.insertAdjacentHTML('beforeend', {html!r} + more)"
    page = await shown.show(f"<script>addEventListener('load', () => {{ {add}; {script} }})</script>")
    await page.act("click", L(role="button", name="Go"))
    assert (await page.facts()).title == "clicked"


async def test_what_is_far_down_is_scrolled_to_and_clicked(shown: Shown):
    page = await shown.show("<header style='position:sticky;top:0;height:80px;background:#ccc'>Top</header>"
                            "<div style='height:3000px'></div><div style='height:100px;overflow:auto'>"
                            "<div style='height:500px'></div><button onclick='document.title=1'>Deep</button></div>"
                            "<div style='height:3000px'></div>")  # fmt: skip
    await page.act("click", L(role="button", name="Deep"))
    assert (await page.facts()).title == "1"


async def test_open_shadow_roots_are_pierced(shown: Shown):
    page = await shown.show("<x-card></x-card><script>customElements.define('x-card', class extends HTMLElement {"
                            "constructor() { super(); this.attachShadow({mode: 'open'}).innerHTML = "
                            "'<button onclick=\"document.title=1\">Inner</button>' } })</script>")  # fmt: skip
    await page.act("click", L(role="button", name="Inner"))
    assert (await page.facts()).title == "1"


async def test_refs_of_the_last_snapshot_are_targets_and_old_ones_are_refused(shown: Shown):
    page = await shown.show("<button onclick='document.title = 1'>Go</button>")
    ref = next(word.strip("[]") for word in (await page.snapshot()).split() if word.startswith("[e"))
    await page.act("click", ref)
    assert (await page.facts()).title == "1"
    await page.act("reload")
    assert "take a new snapshot" in await reason_of(page, "click", ref)


@pytest.mark.parametrize(
    ("script", "policy", "result", "told"),
    [
        ("alert('hi')", None, "undefined", ("alert", "hi", "accept")),
        ("confirm('sure?')", None, "true", ("confirm", "sure?", "accept")),
        ("confirm('sure?')", "dismiss", "false", ("confirm", "sure?", "dismiss")),
        ("prompt('name?', 'Ann')", None, "Ann", ("prompt", "name?", "accept")),
        ("prompt('name?', 'Ann')", "Bob", "Bob", ("prompt", "name?", "Bob")),
        ("prompt('name?')", "dismiss", "null", ("prompt", "name?", "dismiss")),
    ],
)
async def test_dialogs_are_answered_and_told(shown: Shown, script: str, policy, result: str, told: tuple[str, ...]):
    page = await shown.show(f'<button onclick="out.textContent = String({script})">Ask</button>{OUT}')
    if policy:
        await page.act("answer_dialog", value=policy)
    await page.act("click", L(role="button"))
    assert await shown.text() == result
    (dialog,) = (await page.facts()).dialogs
    assert (dialog.type, dialog.message, dialog.answer) == told


async def test_a_dialog_while_loading_does_not_stop_the_page(shown: Shown):
    page = await shown.show("<script>alert('first')</script><h1>Shown</h1>")
    assert (await shown.one(L(role="heading"))).visible
    assert (await page.facts()).dialogs[0].message == "first"


@pytest.mark.parametrize(("policy", "path"), [("accept", "/two"), ("dismiss", "/")])
async def test_leaving_an_unsaved_page_asks_and_obeys(shown: Shown, policy: str, path: str):
    page = await shown.show(
        "<input id=x><a href=/two>two</a><script>onbeforeunload = (e) => e.preventDefault()</script>"
    )
    shown._site.pages["/two"] = "two"
    await page.act("fill", L(css="#x"), value="unsaved")
    await page.act("answer_dialog", value=policy)
    await page.act("click", L(role="link"))
    facts = await page.facts()
    assert [d.type for d in facts.dialogs] == ["beforeunload"]
    assert facts.url == shown._site.url + path


async def test_what_is_not_an_act_of_a_browser_is_refused(shown: Shown):
    page = await shown.show("")
    assert "nothing that is done to a page" in await reason_of(page, "restart")
