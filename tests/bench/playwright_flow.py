"""The flow of `bench_replay` in playwright's own words; run by its own python, one flow for each line it is sent.

    python playwright_flow.py EXECUTABLE URL

Answers each line with the seconds of a flow: `fresh` in a new context, `holding` the same with what holds asserted
again after a hold window, `same` in one page whose storage is cleared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect, sync_playwright

LONG_MS, SHORT_MS = 100.0, 40.0
"""How long ours goes on looking, as `Player._window` says: shorter where other groups come after it."""
See = Callable[..., None]


def flow(page: Page, url: str, see: See) -> None:
    """Ten acts and what must be seen after them."""
    page.goto(url)
    field = page.get_by_role("textbox", name="New to-do")
    items = page.get_by_role("list").get_by_role("listitem")
    milk, dog = items.filter(has_text="Buy milk"), items.filter(has_text="Walk the dog")
    see(LONG_MS, lambda: expect(items).to_have_count(0))
    field.fill("Buy milk")
    field.press("Enter")
    see(SHORT_MS, lambda: expect(milk).to_be_visible())
    field.fill("Walk the dog")
    field.press("Enter")
    see(LONG_MS, lambda: expect(items).to_have_count(2))
    milk.get_by_role("checkbox").check()
    is_done, one_left = expect(milk.get_by_role("checkbox")), expect(page.get_by_text("1 item left", exact=True))
    see(SHORT_MS, lambda: is_done.to_be_checked(), lambda: one_left.to_be_visible())
    page.get_by_role("link", name="Active").click()
    see(LONG_MS, lambda: expect(dog).to_be_visible(), lambda: expect(milk).to_be_hidden())
    page.get_by_role("link", name="Completed").click()
    see(LONG_MS, lambda: expect(milk).to_be_visible(), lambda: expect(dog).to_be_hidden())
    page.get_by_role("link", name="All").click()
    see(LONG_MS, lambda: expect(items).to_have_count(2))
    page.reload()
    see(LONG_MS, lambda: is_done.to_be_checked(), lambda: expect(items).to_have_count(2))


def at_once(_: float, *expectations: Callable[[], None]) -> None:
    """Believe each the first time it holds."""
    for each in expectations:
        each()


def holding(page: Page) -> See:
    """See that all hold, and that they hold after the window too; ours also looks at every state in between."""

    def see(window_ms: float, *expectations: Callable[[], None]) -> None:
        at_once(window_ms, *expectations)
        page.wait_for_timeout(window_ms)
        at_once(window_ms, *expectations)

    return see


def fresh(browser: Browser, url: str, *, holds: bool = False) -> None:
    """As its test runner does: a new context a test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    flow(page, url, holding(page) if holds else at_once)
    context.close()


def same(page: Page, url: str) -> None:
    """As a replay does: the page of the flow before, emptied."""
    page.goto(url)
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.context.clear_cookies()
    flow(page, url, at_once)


def main(executable: str, url: str) -> None:
    """Answer line by line."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for line in sys.stdin:
            started = time.perf_counter()
            way = line.strip()
            if way == "same":
                same(page, url)
            else:
                fresh(browser, url, holds=way == "holding")
            print(time.perf_counter() - started, flush=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
