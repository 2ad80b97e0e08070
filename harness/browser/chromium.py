"""Chromium as a child process: started with our flags, spoken to through pyppeteer's connection, surely ended.

pyppeteer's own launcher is not used: it blocks the loop, needs the main thread, and leaves Chromium alive when its
parent is killed. Here the kernel ends Chromium with the worker (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.browser import repairs
from harness.browser.session import Session

PASSED_ON = ("PATH", "HOME", "XDG_RUNTIME_DIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "LD_LIBRARY_PATH", "HARNESS_MARK")
"""All that Chromium gets of our environment: no key, no token. By the mark a room without a sandbox finds it."""
WINDOW = ("DISPLAY", "XAUTHORITY")
"""Set only for a browser with a window."""
PROFILE_PREFIX = "harness-browser-"
PREFERENCES = {"profile": {"default_content_setting_values": {"automatic_downloads": 1}}}
"""A second download of a page is not asked about: nobody is there to answer."""
LIBC = ctypes.CDLL(None)  # loaded before any fork
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

FLAGS = (
    "--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check",
    "--enable-automation", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # navigator.webdriver is false: a page that can tell who drives it can show it something else
    "--disable-blink-features=AutomationControlled",
    "--disable-quic", "--disable-gpu", "--disable-breakpad", "--disable-dev-shm-usage",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--disable-ipc-flooding-protection", "--disable-popup-blocking",
    "--mute-audio", "--disable-extensions", "--disable-default-apps", "--password-store=basic",
    "--use-mock-keychain", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-US",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    # RenderDocument gives each navigation a frame of its own: a third more work between two checks
    "--disable-features=IsolateOrigins,site-per-process,IsolateSandboxedIframes,BackForwardCache,RenderDocument,Translate,MediaRouter,"
    "OptimizationHints,"
    # the address bar's suggestions are pages too: two more renderers and a second of work for each context
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
    "--disable-site-isolation-trials",
    "--js-flags=--max-old-space-size=512",  # a page that eats memory crashes before the machine is out of it
)  # fmt: skip


HEADLESS = ("--headless", "--no-startup-window")  # a page nobody looks at costs a third of the start
HEADED = ("--window-size=1300,950", "--window-position=0,0", "about:blank")


class StartFailed(Exception):
    """Chromium did not come up."""


class Chromium:
    """One running Chromium and the connection to it."""

    def __init__(self, process: asyncio.subprocess.Process, profile: Path) -> None:
        self.process = process
        self.profile = profile
        self.connection: Any = None
        self.version = ""
        self.port = 0
        """Where it is spoken to."""
        self.on_popup: Callable[[dict[str, Any], Session], None] | None = None
        """Told of each tab that a page opened, with the browser's words about it; None: they never run."""
        self._sessions: dict[str, asyncio.Future[Session]] = {}

    @classmethod
    async def start(cls, executable: str, extra: tuple[str, ...] = HEADLESS, limit_seconds: float = 30.0) -> Chromium:
        """Start it with its own sandbox where that works, connect, and ask its version.

        Raises: StartFailed: it ended or did not answer in time; nothing is left running.
        """
        if os.geteuid() == 0:  # Chromium refuses its sandbox to root
            return await cls._start(executable, ("--no-sandbox", *extra), limit_seconds)
        try:
            return await cls._start(executable, extra, limit_seconds)
        except StartFailed:  # no user namespaces for it here; the room around us is the boundary
            return await cls._start(executable, ("--no-sandbox", *extra), limit_seconds)

    @classmethod
    async def _start(cls, executable: str, extra: tuple[str, ...], limit_seconds: float) -> Chromium:
        profile = _make_profile()
        process = await asyncio.create_subprocess_exec(
            executable,
            *FLAGS,
            *extra,
            f"--user-data-dir={profile}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            env=_environment(profile),
        )
        chromium = cls(process, profile)
        try:
            async with asyncio.timeout(limit_seconds):
                await chromium._connect()
        except (TimeoutError, OSError) as exc:
            await chromium.stop()
            raise StartFailed(f"Chromium did not answer within {limit_seconds:g} s") from exc
        except BaseException:
            await chromium.stop()
            raise
        return chromium

    async def _connect(self) -> None:
        repairs.apply()
        from pyppeteer.connection import Connection

        port, path = await self._endpoint()
        self.port = int(port)
        self.connection = Connection(f"ws://127.0.0.1:{port}{path}", asyncio.get_running_loop())
        self.version = (await self.connection.send("Browser.getVersion"))["product"]
        await self._follow_tabs()

    async def _endpoint(self) -> tuple[str, str]:
        port_file = self.profile / "DevToolsActivePort"
        while len(words := port_file.read_text().split() if port_file.exists() else []) < 2:
            if self.process.returncode is not None:
                raise StartFailed(f"Chromium ended with {self.process.returncode}")
            await asyncio.sleep(0.02)
        return words[0], words[1]

    async def _follow_tabs(self) -> None:
        """From now on every tab waits until somebody takes it."""

        def attached(event: dict[str, Any]) -> None:
            info, session = event["targetInfo"], Session(self.connection, event["sessionId"])
            if not info.get("openerId"):
                self._expected(info["targetId"]).set_result(session)
            elif self.on_popup:
                self.on_popup(info, session)

        self.connection.on("Target.attachedToTarget", attached)
        pages = [{"type": "page"}]
        params = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True, "filter": pages}
        await self.connection.send("Target.setAutoAttach", params)

    async def session_of(self, target_id: str) -> Session:
        """The session of a tab that was just created."""
        async with asyncio.timeout(15):
            session = await self._expected(target_id)
        del self._sessions[target_id]
        return session

    def _expected(self, target_id: str) -> asyncio.Future[Session]:
        return self._sessions.setdefault(target_id, asyncio.get_running_loop().create_future())

    async def stop(self) -> None:
        """End the whole process group and remove the profile; safe to call twice."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()  # else a zombie
        await _reap_group(self.process.pid)
        if self.connection is not None:
            await self.connection.dispose()
        shutil.rmtree(self.profile, ignore_errors=True)


def _environment(profile: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in (*PASSED_ON, *WINDOW) if name in os.environ}
    return {**passed, "TZ": "UTC", "LANG": "en_US.UTF-8", "LANGUAGE": "en_US", "TMPDIR": str(profile)}


def adopt_orphans() -> None:
    """Have Chromium's helpers become children of this process when Chromium ends, to be reaped here.

    In a container whose first process reaps nobody they would stay as zombies.
    """
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)


def _make_profile() -> Path:
    """A new directory whose path leaves room for Chromium's sockets below it (108 bytes in all)."""
    folder = tempfile.gettempdir()
    profile = Path(tempfile.mkdtemp(prefix=PROFILE_PREFIX, dir=folder if len(folder) < 40 else "/tmp"))
    (profile / "Default").mkdir()
    (profile / "Default" / "Preferences").write_text(json.dumps(PREFERENCES), encoding="utf-8")
    return profile


async def _reap_group(group: int, limit_seconds: float = 2.0) -> None:
    end = asyncio.get_running_loop().time() + limit_seconds
    while asyncio.get_running_loop().time() < end:
        try:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):  # noqa: ASYNC222 (WNOHANG does not block)
                await asyncio.sleep(0.01)
        except ChildProcessError:
            return


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
