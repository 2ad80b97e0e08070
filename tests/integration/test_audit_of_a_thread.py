"""The audit of a real session in a real room: exactly one line for each decision, out of reach of what it tells of."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from apps import proved
from apps.proved import git
from scripted import ScriptedModel, call, calls
from warm import WARM

from harness.budget import Budget, Meter
from harness.cli.audit import as_text, read_audit
from harness.doctor_project import examine_project
from harness.errors import ContractError
from harness.events import Committed, Decided, Events, FileChanged, NetworkAsked, SessionStarted, ToolReturned
from harness.features import park
from harness.journal import Journal
from harness.ledger import Ledger
from harness.model import Model
from harness.opening import open_checkpoints
from harness.parts import Parts
from harness.project import Project
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.sandbox.shell import SHELL_FILE
from harness.session import Session
from harness.settings import SandboxMode, Settings
from harness.thread_audit import Line, ThreadAudit, audit_file, load_audit
from harness.threads import ThreadRecord, save_thread
from harness.tools.files import file_tools
from harness.tools.shell import shell_tools

pytestmark = pytest.mark.needs("bwrap", "git")

Call = tuple[str, dict[str, Any]]


async def work(
    tmp_path: Path,
    tree: Path,
    turns: list[list[Call]],
    *,
    mode: SandboxMode = "project",
    listener: Callable[[ThreadAudit], Callable[[Any], None]] = lambda audit: audit,
) -> tuple[list[Line], list[str]]:
    """Let a model make these calls in one session; the lines of the audit, and what the model was told."""
    unused, events, results = cast("Any", None), Events(), list[str]()
    audit = ThreadAudit(tmp_path / "state" / "t.audit.jsonl")
    events.listen(listener(audit))
    events.listen(lambda event: results.append(event.result) if isinstance(event, ToolReturned) else None)
    replies = [*(calls(turn) for turn in turns), call("finish", summary="done")]
    with ScriptedModel(replies) as served:
        settings = Settings.model_validate({"model": {"name": "scripted", "base_url": served.base_url}})
        model = Model(settings.model, events)
        async with open_checkpoints(tmp_path / "state" / "checkpoints.db") as saver:
            parts = Parts(
                unused, settings, "t", unused, model, unused, events, saver, Budget(settings.limits, Meter()), audit
            )
            policy = Policy(worktree=tree, scratch=tmp_path / "s", data_dir=tmp_path / "d", mode=mode)
            async with Room.open(policy, settings.sandbox, tmp_path / "rooms") as room:
                written = lambda path, sha256: events.emit(FileChanged(path=path, sha256=sha256))  # noqa: E731 - as coder.py hands it
                tools = [*file_tools(tree, written=written), *shell_tools(room, tmp_path / "o", {"PORT": "18500"})]
                journal = Journal(tmp_path / "calls.jsonl", tree, tmp_path / "s" / SHELL_FILE)
                events.emit(SessionStarted(session_id="s001-F1", feature_id="F1", attempt=0, brief=""))
                await Session(parts, "s001-F1", "coder", tools, journal).run("rules", "brief", 0)
        await model.aclose()
    audit.close()
    return load_audit(tmp_path / "state" / "t.audit.jsonl"), results


def run(command: str, **more: Any) -> Call:
    return ("run_command", {"command": command, **more})


HOSTILE: dict[str, tuple[Call, str, str]] = {
    "a write outside": (run("echo x >/etc/planted"), "command", "allowed"),
    "a NUL": (run("echo \0"), "command", "not done"),
    "a command that no shell takes": (run("x" * 130_000), "command", "not done"),
    "no such argument": (run("true", cwd="/"), "command", "not done"),
    "a command out of time": (run("sleep 60", timeout_seconds=0.2), "command", "allowed"),
    "a killed shell": (run("kill -9 $$"), "command", "allowed"),
    "a server": (run("sleep 60", background=True), "command", "allowed"),
    "a file": (("write_file", {"path": "a.js", "content": "let x;\n"}), "file", "allowed"),
    "no edit": (("edit_file", {"path": "a.js", "edits": [{"search": "?", "replace": ""}]}), "file", "not done"),
    "the list": (("write_file", {"path": "features.json", "content": "[]"}), "file", "refused"),
    "git": (("edit_file", {"path": ".git/config", "edits": [{"search": "a", "replace": ""}]}), "file", "refused"),
    "reading outside": (("read_file", {"path": "/etc/passwd"}), "tool", "refused"),
    "a link": (("write_file", {"path": "out", "content": "theirs"}), "file", "refused"),
    "a pipe": (("read_file", {"path": "pipe"}), "tool", "refused"),
    "a hard link": (("write_file", {"path": "twin", "content": "theirs"}), "file", "refused"),
    "listing outside": (("list_files", {"path": "/"}), "tool", "refused"),
}  # fmt: skip


def mistreat(tree: Path) -> None:
    """What a hostile repository holds."""
    (tree / "out").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    (tree / "one").write_text("mine")
    (tree / "twin").hardlink_to(tree / "one")


async def test_exactly_one_line_holds_each_decision(tmp_path: Path, project_dir: Path) -> None:
    mistreat(project_dir)
    wanted = [(kind, decision) for _, kind, decision in HOSTILE.values()]
    lines, _ = await work(tmp_path, project_dir, [[asked] for asked, _, _ in HOSTILE.values()])
    assert [(line.kind, line.decision) for line in lines] == wanted
    assert {line.session for line in lines} == {"s001-F1"}
    told = dict(zip(HOSTILE, lines, strict=True))
    assert told["a command out of time"].detail.startswith("exit code 124; ended by the harness: time limit 0.2 s")
    assert told["a killed shell"].detail == "exit code 137 (SIGKILL)"
    assert told["a file"].what == "a.js"
    assert len(told["a file"].digest) == 64


async def test_a_listener_that_hears_only_what_worked_misses_what_was_refused(
    tmp_path: Path, project_dir: Path
) -> None:
    """The broken twin of the test before: it can tell."""
    mistreat(project_dir)

    def deaf(audit: ThreadAudit) -> Callable[[Any], None]:
        return lambda event: None if getattr(event, "outcome", "ok") != "ok" else audit(event)

    lines, _ = await work(tmp_path, project_dir, [[asked] for asked, _, _ in HOSTILE.values()], listener=deaf)
    assert len(lines) < len(HOSTILE)
    assert not [line for line in lines if line.decision == "refused"]


@pytest.mark.parametrize("mode", ["project", "off"])
async def test_a_command_cannot_reach_the_audit(tmp_path: Path, project_dir: Path, mode: SandboxMode) -> None:
    """With the sandbox off, the broken twin, it can; then the seals tell."""
    file = tmp_path / "state" / "t.audit.jsonl"
    audit = ThreadAudit(file)
    audit(Decided(topic="sandbox", what="commands", decision="on", by="person"))
    audit.close()
    policy = Policy(worktree=project_dir, scratch=tmp_path / "s", data_dir=tmp_path / "d", mode=mode)
    async with Room.open(policy, Settings().sandbox, tmp_path / "rooms") as room:
        result = await room.run(f"echo forged >>'{file}'")
    if mode == "project":
        assert "No such file" in result.output
        assert len(load_audit(file)) == 1
    else:
        with pytest.raises(ContractError, match=r"t\.audit\.jsonl:2"):
            load_audit(file)


# --- commits hold it ---


async def build(project_dir: Path) -> tuple[Project, Path]:
    """A thread that did three things and parked a feature in a commit."""
    await proved.make(project_dir)
    parts = proved.parts_of(project_dir)
    project = parts.project
    path = audit_file(project.trajectories_dir, "t-1")
    audit = ThreadAudit(path)
    audit(SessionStarted(session_id="s005-delete", feature_id="delete", attempt=0, brief=""))
    audit(ToolReturned(name="run_command", args={"command": "npm test"}, result="exit code 1\nno"))
    audit(FileChanged(path="app.js", sha256="ab" * 32))
    audit(NetworkAsked(host="evil.example", port=443, allowed=False, reason="not listed"))
    ledger = Ledger(Parts(**{**vars(parts), "audit": audit}))
    await ledger.commit_state(
        "delete", "parked", "why", park(await ledger.features(), "delete", "why"), (), occasion="again"
    )
    audit(ToolReturned(name="run_command", args={"command": "ls"}, result="exit code 0"))
    audit.close()
    save_thread(project, ThreadRecord(thread_id="t-1", stage="build"))
    return project, path


def cut_behind(path: Path, count: int) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]))


async def test_an_end_that_was_cut_off_is_named_by_the_command_and_by_doctor(tmp_path: Path) -> None:
    project, path = await build(tmp_path / "project")
    found = await read_audit(project.directory, "")
    assert (found.broken, found.commits, len(found.lines)) == (None, 1, 4)
    assert [f.level for f in await examine_project(project.directory) if f.name == "thread audit"] == ["ok"]
    cut_behind(path, 3)
    assert (await read_audit(project.directory, "t-1")).broken is None, (
        "what no commit holds is held by the seals alone"
    )
    cut_behind(path, 2)
    broken = (await read_audit(project.directory, "t-1")).broken
    assert broken
    assert broken.what == f"{path}: A commit carries line 3, and only 2 are there: the end was cut off."
    assert [f.level for f in await examine_project(project.directory) if f.name == "thread audit"] == ["fail"]
    path.unlink()
    assert [f.level for f in await examine_project(project.directory) if f.name == "thread audit"] == ["fail"]
    git(project.directory, "update-ref", "-d", "refs/heads/harness/t-1")  # broken twin: without what the commit carries
    git(project.directory, "checkout", "--quiet", "--orphan", "nothing")
    assert (await read_audit(project.directory, "t-1")).broken is None


async def test_the_table_tells_time_session_deed_and_decision_and_no_code_of_a_terminal(tmp_path: Path) -> None:
    project, path = await build(tmp_path / "project")
    audit = ThreadAudit(path)
    audit(ToolReturned(name="run_command", args={"command": "echo \x1b]0;title\x07\n# a"}, result="exit code 0"))
    audit(Committed(feature_id="add", commit_sha="0123456789" * 4, subject="add: it adds"))
    audit.close()
    text = as_text(await read_audit(project.directory, "t-1"))
    rows = text.splitlines()
    assert rows[0].endswith("s005-delete  allowed by policy     command npm test: exit code 1")
    assert rows[1].endswith("allowed by policy     file app.js abababababab")
    assert rows[2].endswith("refused by policy     network evil.example:443: not listed")
    assert rows[4].endswith("command echo # a: exit code 0")
    assert rows[5].endswith("committed by harness  commit 0123456789 add: it adds"), "as git shows it"
    assert rows[-1] == f"6 lines fit; 1 commits carry one. {path}"
    assert "\x1b" not in text


def harness(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(WARM.command(*words), capture_output=True, text=True, check=False)


def test_the_command_leaves_with_4_and_names_the_line(tmp_path: Path) -> None:
    project, path = asyncio.run(build(tmp_path / "project"))
    where = str(project.directory)
    assert harness("audit", "t-1", where, "--verify").stdout.startswith("4 lines fit")
    assert json.loads(harness("audit", "t-1", where, "--json").stdout)["broken"] == ""
    alone = json.loads(harness("audit", "t-1", where, "--verify", "--json").stdout)
    assert (alone["count"], alone["commits"], "lines" in alone) == (4, 1, False)
    path.write_text(path.read_text().replace("npm test", "true"))
    said = harness("audit", "t-1", where)
    assert said.returncode == 4
    assert f"{path}:1 cannot be read as a line of the audit: it was changed after it was written" in said.stderr
    assert "command true" in said.stdout
    assert harness("audit", "t-9", where).returncode == 3
