"""Somebody's own agent builds, and the harness proves: false "done" refused with evidence, a true one kept."""

from __future__ import annotations

import json
from pathlib import Path

import notes_script
import pytest
from scripted import ScriptedModel
from test_build import git, harness

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(600)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "my notes"
    directory.mkdir()
    with ScriptedModel(notes_script.answer) as model:
        words = ["init", str(directory), "--spec", notes_script.SPEC, "--yes", "--thread", "demo"]
        done = harness(*words, base_url=model.base_url)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_a_feature_built_by_somebody_else_is_proved_and_kept(project: Path) -> None:
    claim = ("gate", str(project), "--feature", "F001")
    (project / "index.html").write_text(notes_script.PAGE)
    (project / "app.js").write_text(notes_script.FORGETFUL)
    nobody = harness(*claim, base_url="https://api.example.com/v1")  # and no key
    assert (nobody.returncode, "no model is configured" in nobody.stdout) == (1, True), nobody.stdout + nobody.stderr
    with ScriptedModel(notes_script.answer) as model:
        no = harness(*claim, base_url=model.base_url)
        assert no.returncode == 1, no.stdout + no.stderr
        assert "Step 4" in no.stdout, no.stdout
        assert model.requests[0].conversation == "demo-gate/contract/F001"

        (project / "app.js").write_text(notes_script.ADD)
        yes = harness(*claim, base_url=model.base_url)
        assert (yes.returncode, "Proved now: F001" in yes.stdout) == (0, True), yes.stdout + yes.stderr
        assert sum("contract" in r.conversation for r in model.requests) == 1, "the contract was agreed before"
        assert not json.loads((project / "features.json").read_text())["features"][0]["passes"]

        early = harness(*claim, "--keep", base_url=model.base_url)
        assert (early.returncode, "Commit your work" in early.stderr) == (3, True), early.stderr
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--message", "notes, by another agent")
        kept = harness(*claim, "--keep", base_url=model.base_url)
        assert kept.returncode == 0, kept.stdout + kept.stderr
        assert json.loads((project / "features.json").read_text())["features"][0]["passes"]
        assert git(project, "status", "--porcelain") == ""
        assert "Harness-Feature: F001" in git(project, "log", "-1", "--format=%B")
        found = json.loads(harness("doctor", str(project), "--offline", "--json").stdout)
        assert [f["level"] for f in found if f["name"] == "audit"] == ["ok"], found

        held = harness("gate", str(project))
        assert (held.returncode, "What is claimed is so" in held.stdout) == (0, True), held.stdout
        rest = harness("run", str(project), base_url=model.base_url)
        assert rest.returncode == 0, rest.stdout + rest.stderr
    assert harness("gate", str(project), "--all").returncode == 0
    (project / "app.js").write_text(notes_script.FORGETFUL)
    assert harness("gate", str(project)).returncode == 1
