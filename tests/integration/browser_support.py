"""A local site and a real browser for the tests of the browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import pytest_asyncio

from harness.browser.browser import ActFailed, Browser, Page
from harness.browser.values import Element
from harness.settings import VerifySettings
from harness.verify.check import Locator


class PlainRoom:
    """No sandbox: the worker is a plain child."""

    def __init__(self) -> None:
        self.processes: list[asyncio.subprocess.Process] = []
        self.own_ports: set[int] = set()

    async def spawn(self, argv, *, stdin=-1, stdout=-1, allow_userns=True, read_only=()):
        process = await asyncio.create_subprocess_exec(*argv, stdin=stdin, stdout=stdout)
        self.processes.append(process)
        return process


class Site:
    """Serves what the test puts into `pages`; other paths are 404."""

    def __init__(self, port: int = 0) -> None:
        self.pages: dict[str, str | int] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                page = site.pages.get(self.path.split("?")[0], 404)
                self.send_response(page if isinstance(page, int) else 200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(page.encode() if isinstance(page, str) else b"")

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A browser that hangs up is no fault."""

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    started = await Browser.start(PlainRoom(), VerifySettings())
    yield started
    await started.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_page(browser: Browser) -> AsyncIterator[Page]:
    opened = await browser.new_page()
    yield opened
    await opened.close()


class Shown:
    """A page that shows what the test gives it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self._site = site

    async def show(self, body: str, head: str = "") -> Page:
        self._site.pages = {"/": f"<!doctype html><title>test</title>{head}<body>{body}"}
        await self.page.reset(self._site.url)
        await self.page.act("navigate", value="/")
        return self.page

    async def one(self, locator: Locator, **asked: tuple[str, ...]) -> Element:
        (observation,) = await self.page.observe([locator], **asked)
        assert observation.total == 1, observation
        return observation.elements[0]

    async def text(self, test_id: str = "out") -> str:
        return (await self.one(Locator(test_id=test_id))).text


@pytest.fixture
def shown(shared_page: Page, site: Site) -> Shown:
    return Shown(shared_page, site)


async def reason_of(page: Page, name, locator=None, *, wait_seconds: float = 0.3, **arguments) -> str:
    with pytest.raises(ActFailed) as failure:
        await page.act(name, locator, wait_seconds=wait_seconds, **arguments)
    return failure.value.reason
