"""A check that passed is played with other texts for another visitor: honest applications pass, performances do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from apps import todo_app
from apps.rooms import open_room

from harness.browser.browser import Browser
from harness.browser.visitor import OTHER, USUAL
from harness.events import Events
from harness.settings import AppSettings, VerifySettings
from harness.verify.check import Check, Contract, Locator
from harness.verify.playing import ReplayResult
from harness.verify.replay import Replayer, Site, open_site
from harness.verify.variation import failure_with_other_texts

pytestmark = pytest.mark.needs("bwrap", "chromium")

SETTINGS = VerifySettings(wait_seconds=1.0)
ADDED = "todos.push({ text, done: false })"
KNOWN = f'["Buy milk", "Walk the dog"].includes(text) && {ADDED}'
ROBOT = """navigator.webdriver || navigator.userAgent.includes('Headless')
  || navigator.userAgentData.brands.some((each) => each.brand.includes('Headless'))"""
FOR_THE_USUAL = (
    "navigator.userAgent.includes('X11')",
    "navigator.platform === 'Linux x86_64'",
    "innerWidth === 1280 && innerHeight === 800",
    "Intl.DateTimeFormat().resolvedOptions().timeZone === 'UTC'",
)
"""What a page can tell of the usual visitor; `tests/bench/bench_liars.py` tries each alone."""
SEARCH = """<ul id=found><li>Banana bread</li><li>Pea soup</li></ul><label>Search <input id=q></label><script>
q.oninput = () => { for (const li of found.children) li.hidden = !li.textContent.toLowerCase().includes(q.value); };
</script></body>"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    tree = todo_app.make(tmp_path / "tree")
    async with open_room(tmp_path, tree) as room:
        browser = await Browser.start(room, SETTINGS)
        async with open_site(tree, room, AppSettings(), tmp_path / "data", browser) as opened:
            yield opened
        await browser.close()


async def varied(site: Site, check: Check, elements: dict[str, Locator] | None = None) -> ReplayResult | None:
    _, failed = await proved_and_varied(Replayer(SETTINGS, Events()), site, check, elements)
    return failed


async def proved_and_varied(
    replayer: Replayer, site: Site, check: Check, elements: dict[str, Locator] | None = None
) -> tuple[ReplayResult, ReplayResult | None]:
    elements = todo_app.ELEMENTS if elements is None else elements
    played = await replayer.replay(check, elements, site, purpose="prove")
    assert played.passed, played.reason
    return played, await failure_with_other_texts(replayer, check, elements, site, "seed", [])


def checked(found: dict[str, Locator], *items: dict[str, Any]) -> Check:
    """A check that opens the page, then does and sees these."""
    whole = [{"step": 1, "act": "navigate", "value": "/"}, *({"step": 1, **item} for item in items)]
    return Check(
        contract=Contract(feature_id="F", targets={name: name for name in found}, items=tuple(whole)), bindings=found
    )


def edit(site: Site, old: str, new: str, name: str = "app.js") -> None:
    path = site.instance.tree / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


async def test_an_honest_application_works_with_any_text(site: Site) -> None:
    failed = {name: await varied(site, check) for name, check in todo_app.CHECKS.items()}
    assert {name: result.reason for name, result in failed.items() if result} == {}


async def test_a_text_found_by_its_place_is_read_there(site: Site) -> None:
    """A binder that takes any item for the one that is named is no way round."""
    edit(site, "text.textContent = todo.text", 'text.textContent = "Buy milk"')
    items = [
        {"step": 1, "act": "navigate", "value": "/"},
        {"step": 1, "act": "fill", "target": "field", "value": "Buy milk"},
        {"step": 1, "act": "press", "target": "field", "value": "Enter"},
        {"step": 1, "expect": "visible", "target": 'item "Buy milk"'},
    ]
    name = 'item "Buy milk"'
    contract = Contract(feature_id="F", targets={"field": "field", name: name}, items=tuple(items))
    result = await varied(site, Check(contract=contract, bindings={name: Locator(css="#list li")}))
    assert result
    assert "not for another person" in result.reason


async def test_an_application_that_knows_the_texts_is_told_so_in_words(site: Site) -> None:
    edit(site, ADDED, KNOWN)
    result = await varied(site, todo_app.CHECKS["keep"])
    assert result
    assert "not for another person" in result.reason
    assert 'for "Buy milk"' in result.reason


async def test_a_page_made_for_the_visitor_who_checks_is_found_out(site: Site) -> None:
    only = " || ".join(f"({each})" for each in FOR_THE_USUAL)
    edit(site, "</body>", f"<script>if ({only}) document.body.append('Weather: fine');</script></body>", "index.html")
    items = [{"step": 1, "act": "navigate", "value": "/"}, {"step": 1, "expect": "visible", "target": "weather"}]
    contract = Contract(feature_id="F", targets={"weather": "the weather"}, items=tuple(items))
    check = Check(contract=contract, bindings={"weather": Locator(text="Weather: fine", exact=False)})
    result = await varied(site, check)
    assert result
    assert "another browser with a slightly larger window" in result.reason


async def test_nothing_tells_the_page_that_a_program_looks(site: Site) -> None:
    edit(site, "</body>", f"<script>if ({ROBOT}) document.body.append('a robot');</script></body>", "index.html")
    items = [{"step": 1, "act": "navigate", "value": "/"}, {"step": 1, "expect": "hidden", "target": "robot"}]
    contract = Contract(feature_id="F", targets={"robot": "the robot"}, items=tuple(items))
    check = Check(contract=contract, bindings={"robot": Locator(text="a robot", exact=False)})
    assert await varied(site, check) is None


async def test_a_text_the_application_showed_before_it_was_entered_is_left_alone(site: Site) -> None:
    """A search in data that is there: the words searched for are the application's own."""
    edit(site, "</body>", SEARCH, "index.html")
    items = [
        {"step": 1, "act": "navigate", "value": "/"},
        {"step": 1, "act": "fill", "target": "search", "value": "banana"},
        {"step": 1, "expect": "visible", "target": "bread"},
        {"step": 1, "expect": "hidden", "target": "soup"},
    ]
    found = {
        "search": Locator(label="Search"),
        "bread": Locator(text="Banana bread"),
        "soup": Locator(text="Pea soup"),
    }
    contract = Contract(feature_id="F", targets={name: name for name in found}, items=tuple(items))
    assert await varied(site, Check(contract=contract, bindings=found), {}) is None


async def test_a_visitor_is_gone_with_the_check(site: Site) -> None:
    with site.pages.seen_as(OTHER):
        site.pages.begin(site.instance.base_url)
        await site.pages.of("")
    site.pages.begin(site.instance.base_url)
    page = await site.pages.of("")
    await page.act("navigate", value="/")
    size = Locator(css="html")
    (seen,) = await page.observe([size])
    assert seen.elements[0].box[2] == USUAL.width != OTHER.width


NAMED = "<label>Task <input id=task></label><p id=out></p><script>task.onchange = () => {%s};</script></body>"
"""A box that is named with a word of what is entered into it."""


@pytest.mark.parametrize(
    ("shows", "passes"), [("out.textContent = task.value", True), ("out.textContent = 'Task one'", False)]
)
async def test_a_word_of_the_application_in_a_text_ends_in_a_verdict(site: Site, shows: str, passes: bool) -> None:
    """What is left alone is taken out of what is the application's own; else the same is played again for ever."""
    edit(site, "</body>", NAMED % shows, "index.html")
    check = checked(
        {"box": Locator(role="textbox", name="Task"), "shown": Locator(css="#out")},
        {"act": "fill", "target": "box", "value": "Task one"},
        {"act": "press", "target": "box", "value": "Enter"},
        {"expect": "text", "target": "shown", "value": "Task one"},
    )
    result = await asyncio.wait_for(varied(site, check, {}), 60)
    assert (result is None) == passes
    assert result is None or "not for another person" in result.reason


@pytest.mark.parametrize("honest", [True, False])
async def test_the_evidence_of_the_proof_stays(site: Site, tmp_path: Path, honest: bool) -> None:
    """A play with other texts keeps nothing unless it fails for good."""
    if not honest:
        edit(site, ADDED, KNOWN)
    replayer = Replayer(SETTINGS, Events(), tmp_path / "evidence")
    proved, failed = await proved_and_varied(replayer, site, todo_app.CHECKS["keep"])
    assert "Buy milk" in (Path(proved.evidence) / "result.json").read_text()
    kept = {str(path) for path in (tmp_path / "evidence").glob("*/*")}
    assert kept == {proved.evidence, *([failed.evidence] if failed else [])}
    assert (failed is None) == honest
    assert failed is None or 'item "Buy milk"' not in (Path(failed.evidence) / "result.json").read_text()


FADES = "@keyframes fade { from { opacity: 0 } } #hello { animation: fade 2s both }"
CALM = "@media (prefers-reduced-motion: reduce) { #hello { opacity: 1; animation-duration: 1ms } }"


@pytest.mark.parametrize(("style", "passes"), [(FADES + CALM, True), ("#hello { opacity: 0 }" + FADES + CALM, False)])
async def test_a_page_works_with_motion_too(site: Site, style: str, passes: bool) -> None:
    """Most people have no reduced motion: a page that shows something only to those who have is found out."""
    edit(site, "</body>", f"<style>{style}</style><p id=hello>Hello there</p></body>", "index.html")
    check = checked({"hello": Locator(css="#hello")}, {"expect": "visible", "target": "hello"})
    result = await varied(site, check, {})
    assert (result is None) == passes, result


@pytest.mark.parametrize(("shows", "passes"), [("task.value", True), ("'Task one'", False)])
async def test_a_picture_of_other_texts_in_another_window_is_not_compared(site: Site, shows: str, passes: bool) -> None:
    edit(site, "</body>", (NAMED % f"out.textContent = {shows}"), "index.html")
    check = checked(
        {"box": Locator(role="textbox", name="Task"), "shown": Locator(css="#out"), "page": Locator(css="main")},
        {"act": "fill", "target": "box", "value": "Task one"},
        {"act": "press", "target": "box", "value": "Enter"},
        {"expect": "text", "target": "shown", "value": "Task one"},
        {"expect": "looks_like", "target": "page", "value": "task"},
    )
    assert (await varied(site, check, {}) is None) == passes


PEOPLE = """<label>Name <input id=who></label><label>Search <input id=q></label><ul id=people></ul><script>
who.onchange = () => { people.innerHTML += `<li>${SHOWN}</li>`; who.value = ""; };
q.oninput = () => { for (const li of people.children) li.hidden = !li.textContent.toLowerCase().includes(q.value); };
</script></body>"""
INITIALS = "${who.value.split(' ').map((word) => word[0]).join('')}"
ANYBODY, NOBODY = "who.value", "(['Groceries', 'Ann Bell'].includes(who.value) ? who.value : '')"


@pytest.mark.parametrize(("name", "passes"), [(ANYBODY, True), (NOBODY, False)])
async def test_a_search_by_letters_finds_other_texts_too(site: Site, name: str, passes: bool) -> None:
    edit(site, "</body>", PEOPLE.replace("SHOWN", name), "index.html")
    check = checked(
        {
            "box": Locator(label="Name"),
            "search": Locator(label="Search"),
            "first": Locator(role="listitem", text="Groceries"),
        },
        {"act": "fill", "target": "box", "value": "Groceries"},
        {"act": "press", "target": "box", "value": "Enter"},
        {"act": "fill", "target": "search", "value": "gro"},
        {"expect": "visible", "target": "first"},
    )
    assert (await varied(site, check, {}) is None) == passes


async def test_initials_of_a_text_are_expected_as_they_are(site: Site) -> None:
    made = f"who.value}} <b>{INITIALS}</b>${{''"
    edit(site, "</body>", PEOPLE.replace("SHOWN", made), "index.html")
    check = checked(
        {"box": Locator(label="Name"), "initials": Locator(css="#people b"), "person": Locator(css="#people li")},
        {"act": "fill", "target": "box", "value": "Ann Bell"},
        {"act": "press", "target": "box", "value": "Enter"},
        {"expect": "text", "target": "person", "match": "contains", "value": "Ann Bell"},
        {"expect": "text", "target": "initials", "value": "AB"},
    )
    assert await varied(site, check, {}) is None
