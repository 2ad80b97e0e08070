"""`harness status --watch` and what the shell offers: only changes are shown, and a broken file fails nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.watch import watch_status
from harness.errors import Interrupted, SetupError
from harness.lock import ProjectLock
from harness.project import Project
from harness.steering import Steering
from harness.threads import ThreadRecord, save_thread


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def listed(directory: Path, *passing: bool) -> None:
    features = [
        {"id": f"F{n}", "description": f"Feature {n}", "steps": ["See"], "passes": p} for n, p in enumerate(passing, 1)
    ]
    (directory / "features.json").write_text(json.dumps({"version": 1, "features": features}), encoding="utf-8")


def watched(
    directory: Path, *deeds: Callable[[], object], stream: io.StringIO | None = None, as_json: bool = False
) -> str:
    """What is shown while things happen, one between two looks."""
    stream, left = stream or io.StringIO(), iter(deeds)

    def wait() -> None:
        deed = next(left, None)
        if deed is None:
            raise Interrupted("Interrupted.")
        deed()

    watch_status(directory, stream, as_json=as_json, wait=wait)
    return stream.getvalue()


def test_each_change_is_shown_once_and_what_stays_the_same_is_not(project_dir: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    listed(project_dir, True, False)
    save_thread(project, ThreadRecord(thread_id="t-1", stage="build"))
    lock = ProjectLock(project, "t-1")
    said = watched(
        project_dir,
        lambda: None,
        lambda: listed(project_dir, True, True),
        lambda: listed(project_dir, True, True),
        lock.acquire,
        lambda: Steering(project, "t-1").say("be quick"),
        lock.release,
        as_json=True,
    )
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(line["totals"]["passing"], bool(line["holder"]), len(line["words"])) for line in lines] == [
        (1, False, 0), (2, False, 0), (2, True, 0), (2, True, 1), (2, False, 1)
    ]  # fmt: skip


def test_a_file_that_breaks_meanwhile_is_told_and_the_next_change_mends_it(project_dir: Path) -> None:
    listed(project_dir, True)
    said = watched(
        project_dir,
        lambda: (project_dir / "features.json").write_text('{"version"'),
        lambda: listed(project_dir, True, False),
    )
    blocks = said.strip().split("\n\n\n")[0]
    assert "1 of 1 features pass" in blocks
    assert "features.json:1:" in said
    assert said.index("is not JSON") < said.index("1 of 2 features pass")


def test_what_is_no_project_is_refused_at_the_start(project_dir: Path) -> None:
    with pytest.raises(SetupError, match=r"no features\.json"):
        watched(project_dir)


def test_only_a_terminal_is_redrawn_and_coloured(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(project_dir, True, False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in watched(project_dir)
    said = watched(project_dir, stream=Terminal())
    assert said.startswith("\x1b[H\x1b[2J")
    assert "\x1b[32mpassed\x1b[0m  F1" in said
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in watched(project_dir, stream=Terminal())


def test_a_low_window_leaves_out_what_passed(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(project_dir, *[True] * 50, False)
    monkeypatch.setenv("LINES", "15")
    monkeypatch.setenv("COLUMNS", "80")
    said = watched(project_dir, stream=Terminal())
    assert said.count("\n") < 15
    assert "more that passed" in said
    assert "open    F51" in said
    assert "builds what is open" in " ".join(said.split())


def offered(directory: Path, *words: str, shell: str = "bash") -> list[str]:
    line = " ".join(["harness", *words])
    env = {
        **os.environ, "_HARNESS_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    argv = [sys.executable, "-m", "harness"]
    done = subprocess.run(argv, env=env, cwd=directory, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_shell_is_offered_ids_of_features_and_threads(project_dir: Path, tmp_path: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    listed(project_dir, True, False)
    save_thread(project, ThreadRecord(thread_id="t-1", stage="build"))
    assert offered(project_dir, "check", "show", "F") == ["F1", "F2"]
    assert offered(project_dir, "verify", "--feature", "F2") == ["F2"]
    assert offered(project_dir, "resume", "t") == ["t-1"]
    assert offered(tmp_path, "skip", "--dir", str(project_dir), "F1", shell="fish") == ["F1\tFeature 1"]
    (project_dir / "features.json").write_text('{"features": [{"id": 3}, 4, {"id": "F9", "description": "\\u001b[31m"}')
    assert offered(project_dir, "skip", "F") == [""], "what cannot be read offers nothing"
    (project_dir / "features.json").write_text('[{"id": 3}, 4, {"id": "F9", "description": "\\u001b[31m"}]')
    assert offered(project_dir, "skip", "F", shell="fish") == ["F9\t [31m"]


LOADED = """
import sys
from harness.cli import main
try:
    main()
finally:
    heavy = {"langgraph", "langchain_core", "openai", "torch", "pymilvus", "git"}
    print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def test_offering_loads_nothing_heavy(project_dir: Path) -> None:
    listed(project_dir, True)
    env = {**os.environ, "_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": "harness skip F", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=env, cwd=project_dir, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["F1"], "[]\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_makes_a_shell_complete_is_printed(shell: str) -> None:
    argv = [sys.executable, "-m", "harness", "completion", shell]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "_HARNESS_COMPLETE=complete_" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0
