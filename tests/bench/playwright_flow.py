"""The flow of `bench_replay` in playwright's own words; run by its own python, one flow for each line it is sent.

    python playwright_flow.py EXECUTABLE URL

Answers each line with the seconds of a flow: `fresh` in a new context, `same` in one page whose storage is cleared.
"""

from __future__ import annotations

import sys
import time

from playwright.sync_api import Browser, Page, expect, sync_playwright


def flow(page: Page, url: str) -> None:
    """Ten acts and what must be seen after them."""
    page.goto(url)
    field = page.get_by_role("textbox", name="New to-do")
    items = page.get_by_role("list").get_by_role("listitem")
    milk, dog = items.filter(has_text="Buy milk"), items.filter(has_text="Walk the dog")
    expect(items).to_have_count(0)
    field.fill("Buy milk")
    field.press("Enter")
    expect(milk).to_be_visible()
    field.fill("Walk the dog")
    field.press("Enter")
    expect(items).to_have_count(2)
    milk.get_by_role("checkbox").check()
    expect(milk.get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_text("1 item left", exact=True)).to_be_visible()
    page.get_by_role("link", name="Active").click()
    expect(dog).to_be_visible()
    expect(milk).to_be_hidden()
    page.get_by_role("link", name="Completed").click()
    expect(milk).to_be_visible()
    expect(dog).to_be_hidden()
    page.get_by_role("link", name="All").click()
    expect(items).to_have_count(2)
    page.reload()
    expect(milk.get_by_role("checkbox")).to_be_checked()
    expect(items).to_have_count(2)


def fresh(browser: Browser, url: str) -> None:
    """As its test runner does: a new context a test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    flow(context.new_page(), url)
    context.close()


def same(page: Page, url: str) -> None:
    """As a replay does: the page of the flow before, emptied."""
    page.goto(url)
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.context.clear_cookies()
    flow(page, url)


def main(executable: str, url: str) -> None:
    """Answer line by line."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for line in sys.stdin:
            started = time.perf_counter()
            if line.strip() == "fresh":
                fresh(browser, url)
            else:
                same(page, url)
            print(time.perf_counter() - started, flush=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
