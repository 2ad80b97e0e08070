"""What is wrong with this machine, and the command that mends it.

Each examination is small, changes nothing but the state directory (which it makes), and turns every error of ours
into a finding, so that one broken part never hides the next. What is wrong with a project is `harness.doctor_project`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.address import shown
from harness.errors import HarnessError
from harness.events import Events, Noticed
from harness.project import Project, state_root
from harness.settings import ModelSettings, Settings, load_settings

if TYPE_CHECKING:
    from harness.memory.recall import Memory

CALL_SECONDS = 60.0
"""How long the endpoint may take for a tiny answer."""

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    level: Level
    text: str
    remedy: str = ""
    """The command or change that mends it."""


Examination = Callable[[], Awaitable[list[Finding]]]


async def examine(directory: Path, *, offline: bool = False, flags: dict[str, Any] | None = None) -> list[Finding]:
    """Look at everything; never raises for what it finds.

    Args:
        offline: leave the endpoint out.
    """
    from harness.doctor_project import examine_project

    settings, findings = _settings(directory, flags)
    findings += await careful("sandbox", lambda: _sandbox(settings))
    findings += await careful("chromium", lambda: _chromium(settings))
    findings += await careful("endpoint", lambda: _endpoint(settings.model, offline))
    findings += await careful("state", _state)
    findings += await careful("memory", lambda: _memory(directory, settings))
    return findings + await examine_project(directory)


async def careful(name: str, examination: Examination) -> list[Finding]:
    """Make an error a finding."""
    try:
        return await examination()
    except HarnessError as exc:
        return [Finding(name, "fail", exc.what, exc.remedy)]
    except OSError as exc:
        return [Finding(name, "fail", str(exc), "Look at that file and its permissions.")]


def _settings(directory: Path, flags: dict[str, Any] | None) -> tuple[Settings, list[Finding]]:
    denied: list[str] = []
    try:
        settings = load_settings(directory, flags, denied.append)
    except HarnessError as exc:
        return Settings(), [Finding("settings", "fail", exc.what, exc.remedy)]
    return settings, [Finding("settings", "warn", text) for text in denied] or [Finding("settings", "ok", "understood")]


async def _sandbox(settings: Settings) -> list[Finding]:
    from harness.sandbox.bubblewrap import describe, probe
    from harness.sandbox.processes import allowed_hosts

    if settings.sandbox.mode == "off":
        return [Finding("sandbox", "warn", "It is off: code of a model runs with all your rights.")]
    if settings.sandbox.mode == "project+net":
        allowed_hosts(settings.sandbox)
    found = await asyncio.to_thread(probe)
    if not found.is_enforced:
        return [Finding("sandbox", "fail", found.reason, found.remedy)]
    findings = [Finding("sandbox", "ok", f"it holds what was tried; {describe(settings.sandbox).partition(': ')[2]}")]
    return findings + ([Finding("sandbox", "warn", found.warning)] if found.warning else [])


async def _chromium(settings: Settings) -> list[Finding]:
    from harness.browser.browser import check_version, find_chromium
    from harness.browser.chromium import Chromium, StartFailed

    if settings.app.kind != "web":
        return [Finding("chromium", "ok", f"not needed: a {settings.app.kind} has no pages")]
    executable = find_chromium(settings.verify.chromium)
    try:
        chromium = await Chromium.start(executable)
    except (StartFailed, OSError) as exc:
        remedy = "Run it by hand to see why, or set verify.chromium to another one."
        return [Finding("chromium", "fail", f"{executable} does not start: {exc}", remedy)]
    await chromium.stop()
    check_version(chromium.version, executable)
    return [Finding("chromium", "ok", f"{chromium.version} starts ({executable})")]


async def _endpoint(settings: ModelSettings, offline: bool) -> list[Finding]:
    names = sorted({settings.name, *settings.roles.values()} - {""})
    if not names:
        remedy = "Set OPENAI_API_KEY and OPENAI_MODEL, and OPENAI_BASE_URL for another endpoint."
        return [
            Finding(
                "endpoint",
                "warn",
                "No model is named: what is there can be shown, proved and decided, not built.",
                remedy,
            )
        ]
    if offline:
        return [
            Finding("endpoint", "ok", f"not called; it would be {shown(settings.base_url)} with {', '.join(names)}")
        ]
    found = []
    for name in names:
        found += await careful("endpoint", lambda name=name: _answers(settings, name))  # type: ignore[misc]  # mypy sees a default argument as part of the type
    return found


async def _answers(settings: ModelSettings, name: str) -> list[Finding]:
    """One tiny call: does the model make tool calls?"""
    from langchain_core.messages import HumanMessage

    from harness.model import Model

    once = settings.model_copy(update={"name": name, "roles": {}, "max_retries": 0, "call_seconds": CALL_SECONDS})
    model = Model(once, Events())
    try:
        asked = HumanMessage("Call the tool `tell` with the word 'ready'. Say nothing else.")
        reply = await model.call("coder", "doctor", [asked], [_TELL])
    finally:
        await model.aclose()
    where = shown(settings.base_url)
    if not reply.message.tool_calls:
        text = f"{name} at {where} answers, but made no tool call."
        return [Finding("endpoint", "fail", text, "Choose a model that makes tool calls: OPENAI_MODEL.")]
    return [Finding("endpoint", "ok", f"{name} at {where} makes tool calls ({reply.usage.seconds:.1f} s)")]


async def _state() -> list[Finding]:
    root = state_root()
    there = root if root.exists() else next(parent for parent in root.parents if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return [Finding("state", "fail", f"{there} cannot be written.", "Make it writable, or set HARNESS_STATE_DIR.")]
    return [Finding("state", "ok", str(root))]


async def _memory(directory: Path, settings: Settings) -> list[Finding]:
    from harness.memory.recall import Memory

    project, events, heard = Project.find(directory), Events(), []
    events.listen(lambda event: heard.append(event.text) if isinstance(event, Noticed) else None)
    project.prepare_state()
    memory = Memory.open(project.memory_dir, settings.memory, project.state_dir.name, events)
    try:
        memory.start()
        await memory.wait()
        findings = await _records_and_index(memory)
    finally:
        await memory.close()
    return findings + [Finding("index", "warn", text) for text in dict.fromkeys(heard)]


async def _records_and_index(memory: Memory) -> list[Finding]:
    check, stats = await memory.verify(), await memory.stats()
    remedy = "Restore it from a backup; what is in git can be read in again."
    records = Finding("records", "ok", f"{stats.all_records} records, {stats.project_records} of this project")
    if check.damaged:
        records = Finding("records", "fail", f"{stats.path} is damaged: {check.damaged[0]}", remedy)
    embedder = Finding("embedder", "ok", stats.model_id)
    if not stats.model_id:
        embedder = Finding("embedder", "fail", "No embedding model: recall goes by words.", "Run `./init.sh setup`.")
    index = Finding("index", "ok" if check.index == "milvus" else "warn", f"{stats.index} at {stats.where}")
    if check.difference.missing or check.difference.extra:
        text = f"{check.difference.missing} records missing, {check.difference.extra} left over"
        index = Finding("index", "warn", text, "Run `harness memory rebuild`.")
    return [records, embedder, index]


_TELL = {
    "type": "function",
    "function": {
        "name": "tell",
        "description": "Tells a word.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}
