# ruff: noqa: F401, F811 (fixtures are imported by their names)
"""Each small lie about a page changes what is observed, and its way back restores it."""

from __future__ import annotations

import pytest
from browser_support import Shown, browser, shared_page, shown, site

from harness.verify.check import Locator as L

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

X = L(css="#x")
LIST = "<ul><li>a</li><li>b</li><li>c</li></ul>"


async def _element(page, locator, field):
    (observation,) = await page.observe([locator], attributes=("title",), styles=("color",))
    return getattr(observation.elements[0], field) if observation.elements else None


@pytest.mark.parametrize(
    ("kind", "text", "body", "field", "before", "during"),
    [
        ("hide", "", "<p id=x>t</p>", "visible", True, False),
        ("hide", "", "<label><input id=x type=checkbox style='opacity:0'>Milk</label>", "visible", True, False),
        ("reveal", "", "<p id=x hidden>t</p>", "visible", False, True),
        ("reveal", "", "<p id=x style='display:none!important'>t</p>", "visible", False, True),
        ("reveal", "", "<div style='opacity:0'><p id=x style='visibility:hidden'>t</p></div>", "visible", False, True),
        ("reveal", "", "<dialog><p id=x>t</p></dialog>", "visible", False, True),
        ("reveal", "", "<details><summary>s</summary><p id=x>t</p></details>", "visible", False, True),
        ("reveal", "", "<div style='max-height:0;overflow:hidden'><p id=x>t</p></div>", "visible", False, True),
        ("reveal", "", "<p id=x style='position:absolute;left:-4000px'>t</p>", "visible", False, True),
        ("swap_text", "other", "<p id=x>a <b>b</b></p>", "text", "a b", "other"),
        ("set_value", "other", "<input id=x value=v>", "value", "v", "other"),
        ("set_value", "other", "<select id=x><option>a<option>b</select>", "value", "a", "b"),
        ("set_value", "7", "<input id=x type=number value=3>", "value", "3", "7"),
        ("toggle_checked", "", "<input id=x type=checkbox>", "checked", False, True),
        ("toggle_checked", "", "<div id=x role=checkbox aria-checked=true>c</div>", "checked", True, False),
        ("toggle_enabled", "", "<button id=x>b</button>", "enabled", True, False),
        ("toggle_enabled", "", "<button id=x disabled>b</button>", "enabled", False, True),
        ("toggle_enabled", "", "<div id=x role=button aria-disabled=true>b</div>", "enabled", False, True),
        ("blur", "", "<input id=x autofocus>", "focused", True, False),
        ("set_attribute", "title=new", "<p id=x title=old>t</p>", "attributes", {"title": "old"}, {"title": "new"}),
        ("set_style", "color=rgb(1, 2, 3)", "<p id=x style='color:red'>t</p>", "styles", {"color": "rgb(255, 0, 0)"},
         {"color": "rgb(1, 2, 3)"}),
        ("scroll_away", "", "<p id=x>t</p>", "in_viewport", True, False),
    ],
)  # fmt: skip
async def test_a_disturbance_changes_what_is_seen_and_undo_restores_it(
    shown: Shown, kind, text, body, field, before, during
):
    page = await shown.show(body)
    assert await _element(page, X, field) == before
    assert await page.disturb(kind, X, text)
    assert await _element(page, X, field) == during
    await page.undo()
    assert await _element(page, X, field) == before


@pytest.mark.parametrize(
    ("kind", "during"),
    [("remove_one", ["a", "b"]), ("add_one", ["a", "b", "c", "c"]), ("reverse_order", ["c", "b", "a"])],
)
async def test_lists_are_disturbed_and_restored(shown: Shown, kind, during: list[str]):
    page = await shown.show(LIST)

    async def texts() -> list[str]:
        (items,) = await page.observe([L(role="listitem")])
        return [item.text for item in items.elements]

    assert await page.disturb(kind, L(role="listitem"))
    assert await texts() == during
    await page.undo()
    assert await texts() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("kind", "text", "field"),
    [("set_title", "other", "title"), ("set_url", "/other?x=1", "url"), ("log_error", "boom", "console"),
     ("fail_request", "GET /x 500", "failed_requests"), ("make_wide", "", "overflow_x")],
)  # fmt: skip
async def test_facts_are_disturbed_and_restored(shown: Shown, kind, text: str, field: str):
    page = await shown.show("<p>t</p>")
    before = getattr(await page.facts(), field)
    assert await page.disturb(kind, None, text)
    assert getattr(await page.facts(), field) != before
    await page.undo()
    assert getattr(await page.facts(), field) == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [("hide", "<p id=x hidden>t</p>"), ("reveal", "<p id=x>t</p>"), ("hide", ""), ("swap_text", "<p id=x></p>"),
     ("toggle_checked", "<p id=x>t</p>"), ("reverse_order", "<p id=x>t</p>"), ("blur", "<p id=x>t</p>"),
     ("ghost", "<p id=x>t</p>"), ("remove_one", "")],
)  # fmt: skip
async def test_what_cannot_be_applied_says_so(shown: Shown, kind, body: str):
    page = await shown.show(body)
    assert not await page.disturb(kind, X)


async def test_disturbances_are_undone_in_reverse(shown: Shown):
    page = await shown.show("<p id=x>t</p>")
    await page.disturb("swap_text", X, "one")
    await page.disturb("hide", X)
    await page.undo()
    assert await _element(page, X, "visible")
    assert await _element(page, X, "text") == "one"
    await page.undo()
    assert await _element(page, X, "text") == "t"


@pytest.mark.parametrize("leave", ["document.querySelector('#x').remove()", "location.reload()"])
async def test_a_ghost_is_the_thing_put_back_where_it_was(shown: Shown, leave: str):
    locator = L(text="Milk", inside=L(role="list"))
    page = await shown.show("<button>Go</button><ul><li>Bread</li><li id=x>Milk</li></ul>"
                            "<script>if (sessionStorage.gone) document.querySelector('#x').remove();"
                            f"document.querySelector('button').onclick = () => {{ sessionStorage.gone = 1; {leave} }}"
                            "</script>")  # fmt: skip
    assert await page.keep_ghost("milk", locator)
    await page.act("click", L(role="button"))
    assert (await page.observe([locator]))[0].total == 0
    assert await page.disturb("ghost", None, "milk")
    assert (await shown.one(locator)).visible
    await page.undo()
    assert (await page.observe([locator]))[0].total == 0


async def test_a_ghost_shows_even_when_its_place_is_gone(shown: Shown):
    locator = L(role="button", name="Yes", inside=L(role="dialog"))
    page = await shown.show("<dialog open><button onclick='this.closest(`dialog`).close()'>Yes</button></dialog>")
    assert await page.keep_ghost("yes", locator)
    await page.act("click", locator)
    assert not (await shown.one(locator)).visible
    assert await page.disturb("ghost", None, "yes")
    (observation,) = await page.observe([locator])
    assert len(observation.visible) == 1


async def test_without_handlers_nothing_answers_a_click(shown: Shown):
    page = await shown.show("<button onclick='x.textContent = ++n'>Go</button><p id=x>0</p><script>n = 0</script>")
    await page.act("click", L(role="button"))
    assert await _element(page, X, "text") == "1"
    await page.freeze("handlers")
    await page.act("click", L(role="button"))
    assert await _element(page, X, "text") == "1"
    await page.act("reload")
    await page.act("click", L(role="button"))
    assert await _element(page, X, "text") == "0"
    await page.freeze(None)
    await page.act("click", L(role="button"))
    assert await _element(page, X, "text") == "1"


async def test_with_a_frozen_dom_changes_do_not_stay(shown: Shown):
    page = await shown.show(f"<button onclick='add()'>Go</button>{LIST}<script>function add() {{"
                            "const ul = document.querySelector('ul'); ul.append(document.createElement('li'));"
                            "ul.firstElementChild.remove(); ul.firstElementChild.textContent = 'z';"
                            "ul.className = 'changed' }</script>")  # fmt: skip
    await page.freeze("dom")
    await page.act("click", L(role="button"))
    (items, lists) = await page.observe([L(role="listitem"), L(css="ul.changed")])
    assert ([item.text for item in items.elements], lists.total) == (["a", "b", "c"], 0)
    await page.freeze(None)
    await page.act("click", L(role="button"))
    assert (await page.observe([L(css="ul.changed")]))[0].total == 1


@pytest.mark.parametrize(
    ("write", "read"),
    [
        ("localStorage.k = 'new'", "localStorage.k"),
        ("sessionStorage.k = 'new'", "sessionStorage.k"),
        ("document.cookie = 'k=new;max-age=999'", "document.cookie"),
    ],
)
async def test_with_frozen_storage_what_is_stored_is_lost_at_a_reload(shown: Shown, write: str, read: str):
    page = await shown.show(f"<button onclick=\"{write}; show()\">Go</button><p id=x></p>"
                            f"<script>const show = () => (x.textContent = {read}); show()</script>")  # fmt: skip
    for mode, kept in [("storage", False), (None, True)]:
        await page.freeze(mode)
        await page.act("click", L(role="button"))
        assert "new" in await _element(page, X, "text")
        await page.act("reload")
        assert ("new" in await _element(page, X, "text")) is kept
