"""Chromium as a child process: started with our flags, spoken to through pyppeteer's connection, surely ended.

pyppeteer's own launcher is not used: it blocks the loop, needs the main thread, and leaves Chromium alive when its
parent is killed. Here the kernel ends Chromium with the worker (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from harness.browser import repairs

PASSED_ON = ("PATH", "HOME", "XDG_RUNTIME_DIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "LD_LIBRARY_PATH", "HARNESS_MARK")
"""All that Chromium gets of our environment: no key, no token. By the mark a room without a sandbox finds it."""
PROFILE_PREFIX = "harness-browser-"
LIBC = ctypes.CDLL(None)  # loaded before any fork
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

FLAGS = (
    "--headless", "--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check",
    "--enable-automation", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", "--disable-gpu", "--disable-breakpad", "--disable-dev-shm-usage",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--disable-ipc-flooding-protection", "--disable-popup-blocking",
    "--mute-audio", "--disable-extensions", "--disable-default-apps", "--password-store=basic",
    "--use-mock-keychain", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-US",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    # RenderDocument gives each navigation a frame of its own: a third more work between two checks
    "--disable-features=IsolateOrigins,site-per-process,BackForwardCache,RenderDocument,Translate,MediaRouter,"
    "OptimizationHints",
    "--disable-site-isolation-trials",
)  # fmt: skip


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

    @classmethod
    async def start(cls, executable: str, extra: tuple[str, ...] = (), limit_seconds: float = 30.0) -> Chromium:
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
            "about:blank",
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

    async def _endpoint(self) -> tuple[str, str]:
        port_file = self.profile / "DevToolsActivePort"
        while len(words := port_file.read_text().split() if port_file.exists() else []) < 2:
            if self.process.returncode is not None:
                raise StartFailed(f"Chromium ended with {self.process.returncode}")
            await asyncio.sleep(0.02)
        return words[0], words[1]

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
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "TZ": "UTC", "LANG": "en_US.UTF-8", "LANGUAGE": "en_US", "TMPDIR": str(profile)}


def adopt_orphans() -> None:
    """Have Chromium's helpers become children of this process when Chromium ends, to be reaped here.

    In a container whose first process reaps nobody they would stay as zombies.
    """
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)


def _make_profile() -> Path:
    """A new directory whose path leaves room for Chromium's sockets below it (108 bytes in all)."""
    folder = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix=PROFILE_PREFIX, dir=folder if len(folder) < 40 else "/tmp"))


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
