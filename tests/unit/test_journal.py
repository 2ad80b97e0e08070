"""What a session did, told again after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.journal import Journal, Result


class Tools:
    """Carries calls out and counts them; appends to a file, so that twice differs from once."""

    def __init__(self, worktree: Path) -> None:
        self.worktree, self.calls = worktree, 0

    async def __call__(self, name: str, args: dict[str, Any]) -> Result:
        self.calls += 1
        path = self.worktree / str(args["path"])
        if len(path.name) < 200:
            path.write_text((path.read_text() if path.exists() else "") + "x")
        return Result(f"done {self.calls}", f"{self.calls}.png")


async def test_a_call_with_a_result_is_told_again_and_not_carried_out(tmp_path: Path) -> None:
    tools, file = Tools(tmp_path), tmp_path / "calls.jsonl"
    for _ in range(2):
        done = await Journal(file, tmp_path).once("c1", "edit_file", {"path": "a"}, tools)
        assert done == Result("done 1", "1.png")
    assert tools.calls == 1


async def test_a_call_that_a_kill_cut_finds_the_file_as_it_was(tmp_path: Path) -> None:
    tools, file = Tools(tmp_path), tmp_path / "calls.jsonl"
    (tmp_path / "a").write_text("before")
    await Journal(file, tmp_path).once("c1", "edit_file", {"path": "a"}, tools)
    lines = file.read_text().splitlines()
    file.write_text(lines[0] + "\n" + lines[1][:5])  # killed while the result was written
    await Journal(file, tmp_path).once("c1", "edit_file", {"path": "a"}, tools)
    assert (tmp_path / "a").read_text() == "beforex"
    assert [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]


async def test_a_file_that_a_cut_call_made_is_taken_away_first(tmp_path: Path) -> None:
    tools, file = Tools(tmp_path), tmp_path / "calls.jsonl"
    await Journal(file, tmp_path).once("c1", "write_file", {"path": "new"}, tools)
    file.write_text(file.read_text().splitlines()[0] + "\n")
    await Journal(file, tmp_path).once("c1", "write_file", {"path": "new"}, tools)
    assert (tmp_path / "new").read_text() == "x"


async def test_names_no_file_can_have_and_texts_no_file_can_hold_stop_nothing(tmp_path: Path) -> None:
    tools, file = Tools(tmp_path), tmp_path / "calls.jsonl"
    for number, path in enumerate(("a" * 300, "../outside", "/etc/passwd", "x\ud800y", "")):
        await Journal(file, tmp_path).once(f"c{number}", "write_file", {"path": path, "content": ""}, Harmless())
    assert Journal(file, tmp_path).has("c4")
    assert tools.calls == 0


class Harmless:
    async def __call__(self, name: str, args: dict[str, Any]) -> Result:
        return Result("said \ud800")


async def test_a_cut_call_never_puts_back_a_file_outside(tmp_path: Path) -> None:
    worktree, outside = tmp_path / "tree", tmp_path / "outside"
    worktree.mkdir()
    outside.write_text("precious")
    (worktree / "link").symlink_to(outside)
    file = tmp_path / "calls.jsonl"
    for path in ("../outside", "link", str(outside)):
        forged = {"intent": path, "name": "write_file", "path": path, "content": None}
        file.write_text(json.dumps(forged) + "\n")
        await Journal(file, worktree).once(path, "write_file", {"path": path}, Harmless())
    assert outside.read_text() == "precious"


async def test_an_intent_is_on_the_disk_before_the_call_and_a_result_need_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When power fails a lost result makes a call that was cut; a lost intent would make one that nobody knows of."""
    seen: list[str] = []
    fsync = os.fsync

    def note(number: int) -> None:
        fsync(number)
        seen.append("on the disk")

    async def call(name: str, args: dict[str, Any]) -> Result:
        seen.append("carried out")
        return Result("done")

    monkeypatch.setattr(os, "fsync", note)
    await Journal(tmp_path / "calls.jsonl", tmp_path).once("c1", "look", {}, call)
    assert seen == ["on the disk", "carried out"]


async def test_a_kill_while_the_shell_is_put_back_leaves_what_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, shell = tmp_path / "calls.jsonl", tmp_path / "shell.json"
    shell.write_text("before")

    async def cut(name: str, args: dict[str, Any]) -> Result:
        shell.write_text("half of what the command left")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Journal(calls, tmp_path, shell).once("c1", "run_command", {"command": "cd x"}, cut)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # the next run is killed at its last step
        await Journal(calls, tmp_path, shell).once("c1", "run_command", {"command": "cd x"}, cut)
    assert shell.read_text() == "half of what the command left", "the old file or the new one, never a part"
    monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        await Journal(calls, tmp_path, shell).once("c1", "run_command", {"command": "cd x"}, look := Looker(shell))
    assert look.seen == "before"


class Looker:
    """Tells what the shell held when the call was carried out anew."""

    def __init__(self, shell: Path) -> None:
        self._shell, self.seen = shell, ""

    async def __call__(self, name: str, args: dict[str, Any]) -> Result:
        self.seen = self._shell.read_text()
        raise KeyboardInterrupt
