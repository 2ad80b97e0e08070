"""The coder's browser tools, and the browser inside the session's sandbox."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from browser_support import PlainRoom, Site
from PIL import Image

from harness.browser.browser import Browser
from harness.errors import ToolRetry
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxSettings, VerifySettings
from harness.tools.browser import CHANGED, MUCH_CHANGED, browser_tools
from harness.tools.tool import Tool
from harness.verify.check import Locator

pytestmark = pytest.mark.needs("chromium")

PAGE = """<!doctype html><title>Notes</title><h1>Notes</h1>
<label>Text <input id=i></label><button onclick="add()">Add</button><ul></ul>
<script>function add() { if (!i.value) console.error('empty note'); if (confirm('Add?'))
 document.querySelector('ul').insertAdjacentHTML('beforeend', `<li>${i.value}</li>`) }</script>"""

ASKS = """<!doctype html><title>Asks</title><button onclick="fetch('/gone')">Ask</button>
<a download="list.csv" href="data:text/csv,title%0AEmma">Get</a>"""


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[tuple[Callable[[], dict[str, Tool]], PlainRoom]]:
    site, room = Site(), PlainRoom()
    site.pages = {"/": PAGE, "/many": MANY, "/asks": ASKS, "/looks": LOOKS}
    browser = await Browser.start(room, VerifySettings())

    def session() -> dict[str, Tool]:
        return {tool.name: tool for tool in browser_tools(browser.new_page, lambda: site.url, tmp_path / "outputs")}

    yield session, room
    await browser.close()
    site.close()


async def use(tools: dict[str, Tool], tool: str, /, **arguments: object) -> Any:
    return await tools[tool].call(tools[tool].arguments.model_validate(arguments))


async def test_the_coder_uses_its_application(tools, tmp_path: Path):
    by_name = tools[0]()
    opened = await use(by_name, "browser_open")
    assert opened.splitlines()[0] == "Opened / (title 'Notes')"
    ref = next(line for line in opened.splitlines() if "textbox" in line).rpartition("[")[2].strip("]")
    filled = await use(by_name, "browser_act", act="fill", ref=ref, value="milk")
    assert 'value="milk"' in filled
    said = await use(by_name, "browser_act", act="click", role="button", name="Add")
    assert said.startswith("Done: click. Now at / (title 'Notes')\ndialog: confirm 'Add?', answered 'accept'\n")
    assert "listitem [" in said
    assert "Nothing changed" in await use(by_name, "browser_snapshot"), "it was told already"
    assert "listitem [" in await use(by_name, "browser_snapshot", whole=True)
    shot = await use(by_name, "browser_screenshot")
    assert "/outputs/screenshot-1.png (PNG, " in shot
    assert "this model takes no pictures" in shot
    assert (tmp_path / "outputs" / "screenshot-1.png").read_bytes().startswith(b"\x89PNG")


async def test_who_takes_pictures_is_shown_the_page(tmp_path: Path):
    site, browser = Site(), await Browser.start(PlainRoom(), VerifySettings())
    site.pages = {"/": "<!doctype html><body style='background:#c00;margin:0'>"}
    try:
        surf = browser_tools(browser.new_page, lambda: site.url, tmp_path / "outputs", images=True)
        tools = {tool.name: tool for tool in surf}
        await use(tools, "browser_open")
        shown = await use(tools, "browser_screenshot")
    finally:
        await browser.close()
        site.close()
    with Image.open(io.BytesIO(shown.picture)) as picture:
        assert f"(PNG, {picture.width} x {picture.height} pixels); the picture follows. In words:\nAt /" in shown.text
        assert picture.convert("RGB").getpixel((10, 10)) == (204, 0, 0)


async def test_a_later_snapshot_tells_what_changed_when_that_is_shorter(tools):
    by_name = tools[0]()
    opened = await use(by_name, "browser_open")
    assert "Nothing changed since the last snapshot." in await use(by_name, "browser_snapshot")
    ref = next(line for line in opened.splitlines() if "textbox" in line).rpartition("[")[2].strip("]")
    for text in ("milk", "bread", "tea", "salt"):
        await use(by_name, "browser_act", act="fill", ref=ref, value=f"{text}{' and more' * 8}")
        await use(by_name, "browser_act", act="click", role="button", name="Add")
    await use(by_name, "browser_snapshot", whole=True)
    await use(by_name, "browser_act", act="fill", ref=ref, value="rice")
    changed = await use(by_name, "browser_act", act="click", role="button", name="Add")
    whole = await use(by_name, "browser_snapshot", whole=True)
    assert CHANGED in changed
    assert "rice" in changed
    assert "milk" not in changed
    assert "milk" in whole
    assert len(changed) < len(whole)


async def test_what_the_page_complains_about_is_told_once(tools):
    by_name = tools[0]()
    await use(by_name, "browser_open")
    assert "console error: empty note" in await use(by_name, "browser_act", act="click", role="button", name="Add")
    assert "console error" not in await use(by_name, "browser_snapshot")


async def test_the_same_story_is_told_in_the_same_words(tools):
    session, _ = tools
    told = []
    for by_name in (session(), session()):
        story = [await use(by_name, "browser_open")]
        story.append(await use(by_name, "browser_act", act="click", role="button", name="Add"))
        told.append([*story, await use(by_name, "browser_snapshot")])
    assert told[0] == told[1]


async def test_reasons_reach_the_coder_in_words(tools):
    session, room = tools
    by_name = session()
    with pytest.raises(ToolRetry, match="call browser_open first"):
        await use(by_name, "browser_snapshot")
    await use(by_name, "browser_open")
    with pytest.raises(ToolRetry, match='visible with role button: "Add"'):
        await use(by_name, "browser_act", act="click", role="button", name="Save")
    room.processes[0].kill()
    with pytest.raises(ToolRetry, match="Call browser_open for a new page"):
        await use(by_name, "browser_snapshot")
    assert "Notes" in await use(by_name, "browser_open")


@pytest.mark.needs("bwrap")
async def test_the_browser_runs_in_the_sandbox_and_reaches_its_loopback(project_dir: Path, tmp_path: Path):
    for name in ("scratch", "data"):
        (tmp_path / name).mkdir()
    (project_dir / "index.html").write_text("<!doctype html><h1>Inside</h1>", encoding="utf-8")
    policy = Policy(worktree=project_dir, scratch=tmp_path / "scratch", data_dir=tmp_path / "data")
    async with Room.open(policy, SandboxSettings(), tmp_path / "journal") as room:
        port = await room.free_port()
        server = await room.start([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"])
        url = f"http://127.0.0.1:{port}"
        assert (await room.http_ready(url, 20, server)).is_ready
        browser = await Browser.start(room, VerifySettings())
        page = await browser.new_page()
        await page.reset(url)
        await page.act("navigate", value="/")
        (observation,) = await page.observe([Locator(role="heading", name="Inside")])
        assert [element.visible for element in observation.elements] == [True]
        assert (await page.screenshot()).startswith(b"\x89PNG")
        await browser.close()


async def test_a_server_that_was_started_a_moment_ago_is_waited_for(tmp_path: Path):
    late, room = Site(), PlainRoom()
    late.pages = {"/": PAGE}
    url, port = late.url, int(late.url.rpartition(":")[2])
    late.close()
    browser = await Browser.start(room, VerifySettings())
    tools = {tool.name: tool for tool in browser_tools(browser.new_page, lambda: url, tmp_path / "outputs")}
    opening = asyncio.create_task(use(tools, "browser_open"))
    done, _ = await asyncio.wait({opening}, timeout=1.0)
    assert not done, "it gave up at once"
    back = Site(port)
    back.pages = {"/": PAGE}
    assert (await opening).startswith("Opened /")
    await browser.close()
    back.close()


async def test_a_server_that_never_comes_is_told_in_time(tmp_path: Path):
    gone = Site()
    gone.close()
    browser = await Browser.start(PlainRoom(), VerifySettings())
    tools = {tool.name: tool for tool in browser_tools(browser.new_page, lambda: gone.url, tmp_path / "outputs")}
    with pytest.raises(ToolRetry, match="ERR_CONNECTION_REFUSED"):
        await asyncio.wait_for(use(tools, "browser_open"), 30)
    await browser.close()


MANY = """<!doctype html><title>Books</title><ul></ul><script>
const draw = (items) => document.querySelector('ul').replaceChildren(...items.map((title) => {
  const li = document.createElement('li'), button = document.createElement('button');
  li.append(title + ' '); button.textContent = 'Vote'; li.append(button);
  const many = Array.from({length: 80}, (_, i) => 'more ' + i);
  button.onclick = () => { li.append(' voted'); if (title == 'all') draw(many) };
  return li;
}));
draw(['Emma', 'Dune', 'all']);</script>"""


async def test_one_of_many_is_named_by_what_stands_with_it_and_a_page_drawn_anew_is_told_in_a_line(tools):
    by_name = tools[0]()
    await use(by_name, "browser_open", path="/many")
    with pytest.raises(ToolRetry, match="3 elements match"):
        await use(by_name, "browser_act", act="click", role="button", name="Vote")
    said = await use(by_name, "browser_act", act="click", role="button", name="Vote", within="Dune")
    assert said.splitlines()[1] == CHANGED
    told = [line.strip("+- ") for line in said.splitlines()]
    assert told.index('text "Dune"') < told.index('text "voted"')
    assert '"all"' not in said
    said = await use(by_name, "browser_act", act="click", role="button", name="Vote", within="all")
    assert said.splitlines()[1:] == [MUCH_CHANGED]
    assert "more 79" in await use(by_name, "browser_snapshot"), "it was not told yet"
    with pytest.raises(ValueError, match="within goes with"):
        await use(by_name, "browser_act", act="click", ref="e1", within="Dune")


async def test_a_failed_request_is_told_once(tools):
    by_name = tools[0]()
    await use(by_name, "browser_open", path="/asks")
    said = await use(by_name, "browser_act", act="click", role="button", name="Ask")
    assert said.count("404") == 1, said
    said = await use(by_name, "browser_act", act="click", role="link", name="Get")
    said += await use(by_name, "browser_snapshot")  # by then it has come
    assert said.count("download: 'list.csv' with 'title\\nEmma'") == 1, said


LOOKS = (
    """<!doctype html><title>Looks</title><button onclick="document.body.className = 'dark'">Dark</button>
<style>.dark { background: #101010; color: #eee }</style>
<div><section><p style="white-space: nowrap" class=long>"""
    + "wide " * 25
    + "</p></section></div>"
)


async def test_what_is_too_wide_and_a_change_of_colours_are_told(tools):
    by_name = tools[0]()
    opened = await use(by_name, "browser_open", path="/looks")
    assert "look: text rgb(0, 0, 0) on rgb(255, 255, 255)" in opened
    assert "scrolls sideways" not in opened
    narrow = await use(by_name, "browser_act", act="viewport", value="360x640")
    (told,) = [line for line in narrow.splitlines() if "scrolls sideways" in line]
    assert told.count("<p") == 1
    assert "<div" not in told
    dark = await use(by_name, "browser_act", act="click", role="button", name="Dark")
    assert "look: text rgb(238, 238, 238) on rgb(16, 16, 16)" in dark
    assert "look:" not in await use(by_name, "browser_snapshot"), "it was told"
