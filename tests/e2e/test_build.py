"""The whole way on real parts: the command line builds a two-feature application with a scripted model over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import notes_script
import pytest
from bad_input_support import IDENTITY
from scripted import Request, ScriptedModel
from warm import WARM

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(600), pytest.mark.by_meaning]


def harness(*words: str, base_url: str = "http://127.0.0.1:9/v1") -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    env = {**os.environ, "OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": base_url}
    return subprocess.run(WARM.command(*words), env=env, capture_output=True, text=True, check=False, timeout=500)


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True)
def shared_state(state_dir: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look where it was built; after `state_dir`, which would point elsewhere."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(built.parent / "state"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, built once from its specification to its last commit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EMBEDDING_MODEL")
        return build_whole(tmp_path_factory.mktemp("built") / "my notes", notes_script.SPEC, notes_script.answer)


def build_whole(directory: Path, text: str, answer: Callable[[Request], Any]) -> Path:
    """A project of a specification, from `init` to the end of `run`; returns its directory.

    Args:
        directory: a new one; the specification and the state lie beside it.
        text: the specification.
        answer: what the model says.
    """
    directory.mkdir()
    spec = directory.parent / "spec.md"
    spec.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, ScriptedModel(answer) as model:
        keep_the_person_away(patch, directory.parent)
        words = ["init", str(directory), "--spec", str(spec), "--yes", "--thread", "demo"]
        for command in (words, ["run", str(directory)]):
            done = harness(*command, base_url=model.base_url)
            assert done.returncode == 0, done.stdout + done.stderr
    return directory


def keep_the_person_away(patch: pytest.MonkeyPatch, home: Path) -> None:
    """As `state_dir` does for one test: a fixture of a module is set up before that."""
    for name in [n for n in os.environ if n.startswith(("OPENAI_", "MILVUS_", "HARNESS_", "GIT_"))]:
        patch.delenv(name)
    (home / "gitconfig").write_text(IDENTITY, encoding="utf-8")
    (home / "config/harness").mkdir(parents=True)
    (home / "config/harness/config.toml").write_text("[verify]\nwait_seconds = 3\n", encoding="utf-8")
    patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    patch.setenv("HARNESS_STATE_DIR", str(home / "state"))
    patch.setenv("HF_HUB_OFFLINE", "1")


def test_init_then_run_ends_with_one_proved_commit_a_feature(built: Path) -> None:
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
    told = [(s["feature"], s["outcome"]) for s in sessions]
    assert told == [("init", "passed"), ("F001", "passed"), ("F002", "passed")]
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


def test_what_was_built_agrees_with_its_audit_also_in_a_clone(built: Path) -> None:
    git(built.parent, "clone", "--quiet", str(built), "clone")
    for place in (built, built.parent / "clone"):
        found = json.loads(harness("doctor", str(place), "--offline", "--json").stdout)
        audit = [(f["level"], f["text"]) for f in found if f["name"] in ("audit", "evidence")]
        assert audit == [("ok", "2 verdicts agree with list, checks and commits")]


def test_the_audit_tells_what_was_done_and_the_commits_hold_it(built: Path) -> None:
    assert harness("audit", "demo", str(built), "--verify").returncode == 0
    lines = json.loads(harness("audit", "demo", str(built), "--json").stdout)["lines"]
    told = [(line["kind"], line["what"].split()[-1], line["decision"]) for line in lines]
    passed = [told.index(("verdict", feature, "passed")) for feature in ("F001", "F002")]
    written = [place for place, deed in enumerate(told) if deed[0] == "file" and deed[2] == "allowed"]
    assert written[0] < passed[0] < passed[1]
    assert next(deed for deed in told if deed[:2] == ("verdict", "F001"))[2] == "failed"
    carried = [json.loads(row).get("done") for row in (built / "checks/audit.jsonl").read_text().splitlines()]
    by_number = {line["seq"]: line["hash"] for line in lines}
    assert [by_number[int(done.split()[0])] for done in carried] == [done.split()[1] for done in carried]
    file = next((built.parent / "state").glob("projects/*/trajectories/demo.audit.jsonl"))
    whole = file.read_text()
    file.write_text("".join(whole.splitlines(keepends=True)[: int(carried[-1].split()[0]) - 1]))
    cut = harness("audit", "demo", str(built), "--verify")
    file.write_text(whole)
    assert (cut.returncode, "the end was cut off" in cut.stderr) == (4, True)


def test_memory_finds_the_lesson_by_other_words(built: Path) -> None:
    found = harness("memory", "search", "entries are lost when the page is opened again", "--dir", str(built))
    assert found.returncode == 0
    assert "localStorage" in found.stdout, found.stdout


def test_status_says_all_is_done(built: Path) -> None:
    found = harness("status", str(built), "--json")
    assert json.loads(found.stdout)["totals"]["passing"] == 2
    assert harness("run", str(built)).returncode == 0
