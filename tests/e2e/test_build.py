"""The whole way on real parts: the command line builds a two-feature application with a scripted model over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import notes_script
import pytest
from scripted import ScriptedModel

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(600)]


def harness(*words: str, base_url: str = "http://127.0.0.1:9/v1") -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    env = {**os.environ, "OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": base_url}
    argv = [sys.executable, "-m", "harness", *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=500)


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the project is built; the tests of this module look at it one after the other."""
    return tmp_path_factory.mktemp("built") / "my notes"


@pytest.fixture(autouse=True)
def shared_state(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(built.parent / "state"))


def test_init_then_run_ends_with_one_proved_commit_a_feature(built: Path) -> None:
    built.mkdir()
    spec = built.parent / "spec.md"
    spec.write_text(notes_script.SPEC, encoding="utf-8")
    with ScriptedModel(notes_script.answer) as model:
        made = harness("init", str(built), "--spec", str(spec), "--yes", "--thread", "demo", base_url=model.base_url)
        assert made.returncode == 0, made.stdout + made.stderr
        ran = harness("run", str(built), base_url=model.base_url)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    features = json.loads((built / "features.json").read_text())["features"]
    assert [(f["id"], f["passes"]) for f in features] == [("F001", True), ("F002", True)]
    assert all(f["proof"].get("red", 0) + f["proof"].get("perturbed", 0) > 0 for f in features)
    for feature in ("F001", "F002"):
        found = git(built, "log", "--format=%H", "-F", f"--grep=Harness-Feature: {feature}").split()
        assert len(found) == 1, feature
        assert f"checks/{feature}.json" in git(built, "show", "--name-only", "--format=", found[0]).split()
    assert git(built, "status", "--porcelain") == ""


def test_the_attempt_that_forgot_on_reload_was_caught_and_mended(built: Path) -> None:
    sessions = json.loads((built / "progress.json").read_text())["sessions"]
    assert [s["outcome"] for s in sessions] == ["passed", "passed"]
    log = harness("log", str(built), "--session", "1")
    assert "after a reload" in log.stdout or "Reload" in log.stdout
    assert "does not pass" in log.stdout, log.stdout[-3000:]


def test_verify_passes_without_a_model_and_names_the_step_when_the_list_is_hidden(built: Path) -> None:
    assert harness("verify", str(built)).returncode == 0
    page = built / "index.html"
    before = page.read_text()
    page.write_text(before.replace("<h1>", "<style>#list { visibility: hidden }</style><h1>"))
    found = harness("verify", str(built))
    page.write_text(before)
    assert found.returncode == 1
    assert "Step 3" in found.stdout, found.stdout


def test_memory_finds_the_lesson_by_other_words(built: Path) -> None:
    found = harness("memory", "search", "entries are lost when the page is opened again", "--dir", str(built))
    assert found.returncode == 0
    assert "localStorage" in found.stdout, found.stdout


def test_status_says_all_is_done(built: Path) -> None:
    found = harness("status", str(built), "--json")
    assert json.loads(found.stdout)["totals"]["passing"] == 2
    assert harness("run", str(built)).returncode in (0, 3)
