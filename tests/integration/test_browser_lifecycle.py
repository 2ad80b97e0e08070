# ruff: noqa: F401, F811 (fixtures are imported by their names)
"""What hostile pages, crashes and kills do to the browser: a clear failure in time, nothing left, and it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from apps.old_chromium import old_chromium
from browser_support import PlainRoom, Shown, Site, browser, reason_of, shared_page, shown, site
from processes import chromium_of, descendants, gone

from harness.browser.browser import ActFailed, Browser, check_version
from harness.browser.chromium import Chromium, StartFailed
from harness.errors import BrowserError, SetupError
from harness.settings import VerifySettings
from harness.verify.check import Locator as L

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def own():
    room = PlainRoom()
    started = await Browser.start(room, VerifySettings())
    yield started, room
    await started.close()


STORE = """<p data-testid=out></p><script>
const has = async () => { const names = (await indexedDB.databases()).map((d) => d.name);
  return [document.cookie, localStorage.k, sessionStorage.k, names.join(), (await caches.keys()).join(), history.length]
    .map(String).join('|') };
const fill = async () => { document.cookie = 'k=c;max-age=999'; localStorage.k = 'l'; sessionStorage.k = 's';
  await new Promise((done) => (indexedDB.open('db').onsuccess = done)); await caches.open('cache');
  await fetch('/x'); };
const tell = async () => (document.querySelector('p').textContent = await has());
onpagehide = () => { localStorage.k = 'late'; sessionStorage.k = 'late' };
tell();
</script><button onclick="fill().then(tell)">Fill</button>"""


async def test_reset_leaves_nothing_of_any_storage(shown: Shown):
    page = await shown.show(STORE)
    empty = await shown.text()
    await page.act("click", L(role="button"))
    assert await shown.text() == "k=c|l|s|db|cache|2"
    await page.act("reload")
    assert "k=c" in await shown.text()
    await shown.show(STORE)
    assert await shown.text() == empty == "|undefined|undefined|||2"
    assert "no page to go back to" in await reason_of(page, "back")
    facts = await page.facts()
    assert (facts.console, facts.dialogs, facts.failed_requests) == ((), (), ())


async def test_reset_empties_every_origin_that_was_visited(shown: Shown):
    page = await shown.show(STORE)
    by_name = shown._site.url.replace("127.0.0.1", "localhost")
    for address in (by_name, shown._site.url):
        await page.act("navigate", value=f"{address}/")
        await page.act("click", L(role="button"))
    await shown.show(STORE)
    await page.act("navigate", value=f"{by_name}/")
    assert (await shown.text()).startswith("|undefined|undefined||")


async def test_without_reset_storage_stays(shown: Shown):
    page = await shown.show(STORE)
    await page.act("click", L(role="button"))
    await page.act("navigate", value="/")
    assert (await shown.text()).startswith("k=c|late|late|db|cache")


async def test_pages_share_nothing(own, site: Site):
    started, _ = own
    site.pages = {"/": STORE}
    first, second = await started.new_page(), await started.new_page()
    for page in (first, second):
        await page.reset(site.url)
    await first.act("navigate", value="/")
    await first.act("click", L(role="button"))
    await second.act("navigate", value="/")
    (observation,) = await second.observe([L(test_id="out")])
    assert observation.elements[0].text.startswith("|undefined|undefined||")


async def test_other_hosts_and_ports_are_blocked(shown: Shown):
    other = Site()
    other.pages = {"/": "<h1>Other</h1>"}
    page = await shown.show(f"<img src={other.url}/a.png><script>fetch('http://example.invalid/x').catch(() => 0);"
                            f"</script><a href={other.url}/>leave</a>")  # fmt: skip
    await page.act("click", L(role="link"))
    await page.observe([L(css="h1")])
    assert other.asked == []
    failed = (await page.facts()).failed_requests
    assert {
        f"GET {other.url}/a.png blocked: foreign host",
        "GET http://example.invalid/x blocked: foreign host",
    } <= set(failed)
    assert "not an address of the application" in await reason_of(page, "navigate", value=other.url)
    other.close()


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "chrome://version", "javascript:alert(1)", "ftp://127.0.0.1/"]
)
async def test_addresses_that_are_no_web_pages_are_refused(shown: Shown, address: str):
    page = await shown.show("")
    assert "not an address of the application" in await reason_of(page, "navigate", value=address)


async def test_a_server_that_is_not_there_is_told(own):
    started, _ = own
    page = await started.new_page()
    await page.reset("http://127.0.0.1:1")
    assert "ERR_" in await reason_of(page, "navigate", value="/")


async def test_console_errors_and_exceptions_are_kept_and_warnings_are_not(shown: Shown):
    page = await shown.show("<script>console.error('bad', {a: 1}, 7); console.warn('w'); setTimeout(() => nope())"
                            "</script><img src=/missing.png>")  # fmt: skip
    facts = await page.facts()
    assert [line.split(" (")[0] for line in sorted(facts.console)] == [
        "Failed to load resource: the server responded with a status of 404",
        "bad Object 7",
        "uncaught ReferenceError: nope is not defined",
    ]
    assert facts.failed_requests == (f"GET {shown._site.url}/missing.png 404",)


async def test_popups_are_closed_and_the_page_goes_on(shown: Shown):
    page = await shown.show(
        "<button onclick=\"for (let i = 0; i < 5; i++) window.open('/pop' + i)\">Pop</button><p>here</p>"
    )
    await page.act("click", L(role="button"))
    await page.act("click", L(role="button"))
    assert (await shown.one(L(text="here"))).visible


async def test_an_alert_loop_ends_within_its_budget(shown: Shown):
    page = await shown.show('<button onclick="for (let i = 0; i < 300; i++) alert(i)">Nag</button><p>here</p>')
    with contextlib.suppress(ActFailed):  # which of both depends on the machine's speed
        await page.act("click", L(role="button"))
    await shown.show("<p>fresh</p>")
    assert (await shown.one(L(text="fresh"))).visible


async def test_a_busy_page_fails_in_time_and_reset_makes_it_good(shown: Shown):
    page = await shown.show("<button onclick='for (;;);'>Hang</button>")
    async with asyncio.timeout(25):
        assert "does not respond" in await reason_of(page, "click", L(role="button"))
    await shown.show("<p>fresh</p>")
    assert (await shown.one(L(text="fresh"))).visible


async def test_a_crashed_page_says_so_and_reset_makes_it_good(own, site: Site):
    started, room = own
    site.pages = {"/": "<p>fresh</p>"}
    page = await started.new_page()
    await page.reset(site.url)
    await page.act("navigate", value="/")
    for pid in descendants(room.processes[0].pid):
        if b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    assert "page crashed" in await reason_of(page, "click", L(text="never"), wait_seconds=10)
    await page.reset(site.url)
    await page.act("navigate", value="/")
    assert (await page.observe([L(text="fresh")]))[0].total == 1


async def test_a_killed_browser_fails_its_calls_and_the_next_page_starts_another(own, site: Site):
    started, room = own
    site.pages = {"/": "<p>here</p>"}
    page = await started.new_page()
    all_of_it = descendants(room.processes[0].pid)
    waiting = asyncio.create_task(page.act("click", L(text="never"), wait_seconds=20))
    os.kill(chromium_of(room.processes[0].pid), signal.SIGKILL)
    with pytest.raises((BrowserError, ActFailed)):
        await asyncio.wait_for(waiting, 10)
    assert await gone(all_of_it) == set()
    with pytest.raises(BrowserError):
        await page.facts()
    again = await started.new_page()
    await again.reset(site.url)
    await again.act("navigate", value="/")
    assert (await again.observe([L(text="here")]))[0].total == 1


async def test_a_killed_worker_takes_everything_with_it(own):
    started, room = own
    page = await started.new_page()
    all_of_it = descendants(room.processes[0].pid)
    waiting = asyncio.create_task(page.act("click", L(text="never"), wait_seconds=20))
    await asyncio.sleep(0)
    room.processes[0].kill()
    with pytest.raises(BrowserError):
        await asyncio.wait_for(waiting, 10)
    assert await gone(all_of_it) == set()
    assert await started.new_page()


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Chromium's sockets lie in it, whose paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="h-") as folder:
        yield Path(folder)


async def test_closing_leaves_no_process_and_no_file(short_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(short_dir))
    room = PlainRoom()
    started = await Browser.start(room, VerifySettings())
    await started.new_page()
    all_of_it = descendants(room.processes[0].pid)
    assert len(all_of_it) > 2
    assert list(short_dir.iterdir())
    await started.close()
    assert await gone(all_of_it) == set()
    assert list(short_dir.iterdir()) == []


async def test_no_chromium_is_a_setup_error():
    with pytest.raises(SetupError, match="is not a program"):
        await Browser.start(PlainRoom(), VerifySettings(chromium="no-such-browser"))


async def test_a_program_that_is_no_chromium_is_told():
    with pytest.raises(BrowserError, match="does not start"):
        await Browser.start(PlainRoom(), VerifySettings(chromium="true"))


@pytest.mark.parametrize("product", ["HeadlessChrome/119.0.6045.9", "Netscape/4.0"])
async def test_a_chromium_of_an_unknown_version_is_refused(tmp_path: Path, product: str):
    fake = old_chromium(tmp_path / "old-chromium", product)
    with pytest.raises(SetupError, match=f"{product}.*120 or newer"):
        await Browser.start(PlainRoom(), VerifySettings(chromium=str(fake)))


async def test_a_chromium_newer_than_measured_is_used():
    check_version("HeadlessChrome/301.0.1.2", "chromium")


async def test_a_context_brings_no_page_of_the_browsers_own(shared_page):
    def commands() -> list[bytes]:
        found = []
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        return found

    await shared_page.reset("http://127.0.0.1:1")
    assert any(b"--type=renderer" in command for command in commands())
    assert not any(b"--top-chrome-webui" in command for command in commands())


async def test_a_long_temporary_directory_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    started = await Browser.start(PlainRoom(), VerifySettings())
    await started.close()
    assert started.version.startswith("Chrome/")


async def test_chromium_gets_nothing_of_the_environment_that_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-key")
    monkeypatch.setenv("HARNESS_MARK", "mark-of-the-room")
    program = tmp_path / "chromium"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 4\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(StartFailed, match="ended with 4"):
        await Chromium.start(str(program))
    seen = (tmp_path / "seen").read_text(encoding="utf-8")
    assert "canary-key" not in seen
    assert "mark-of-the-room" in seen
    assert "PATH=" in seen
