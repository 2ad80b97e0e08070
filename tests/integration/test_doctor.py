"""What is wrong is named with what mends it; what is right is said to be."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

import pytest

from harness.doctor import Finding, examine
from harness.doctor_project import examine_project
from harness.project import Project
from harness.settings import user_config_path
from harness.threads import ThreadRecord, save_thread

LIST = '[{"id": "F1", "description": "Adds", "steps": ["See"], "passes": false}]'


def git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=directory, check=True)


def named(findings: list[Finding], name: str, level: str) -> Finding:
    found = [f for f in findings if f.name == name and f.level == level]
    assert found, [f for f in findings if f.level != "ok"]
    return found[0]


@pytest.mark.by_meaning
@pytest.mark.needs("chromium", "bwrap")
@pytest.mark.filterwarnings("ignore:remove loop argument:DeprecationWarning")  # pyppeteer 2.0.0 says so to websockets
async def test_a_sound_machine_has_nothing_that_fails(project_dir: Path) -> None:
    (project_dir / "features.json").write_text(LIST, encoding="utf-8")
    findings = await examine(project_dir, offline=True)
    assert [f for f in findings if f.level == "fail"] == []
    assert "starts" in named(findings, "chromium", "ok").text
    assert "OPENAI_MODEL" in named(findings, "endpoint", "warn").remedy
    assert named(findings, "index", "ok").text.startswith("milvus")
    assert "all-MiniLM-L6-v2" in named(findings, "embedder", "ok").text
    assert named(findings, "features", "ok").text == "0 of 1 features pass"


@pytest.mark.needs("chromium", "bwrap")
async def test_one_broken_part_does_not_hide_the_others(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_config_path().write_text("[verify]\nchromium = 'no-such-browser'\n", encoding="utf-8")
    monkeypatch.setenv("OPENAI_MODEL", "m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    findings = await examine(project_dir)
    assert "no-such-browser" in named(findings, "chromium", "fail").text
    assert "127.0.0.1:9" in named(findings, "endpoint", "fail").text
    assert named(findings, "git", "ok")


@pytest.mark.by_meaning
@pytest.mark.needs("chromium", "bwrap")
@pytest.mark.filterwarnings("ignore:remove loop argument:DeprecationWarning")  # pyppeteer 2.0.0 says so to websockets
async def test_a_program_that_the_repository_brings_is_not_started(project_dir: Path) -> None:
    program = project_dir / "browser"
    program.write_text(f"#!/bin/sh\ntouch {project_dir}/started\nexit 4\n", encoding="utf-8")
    program.chmod(0o755)
    (project_dir / "harness.toml").write_text(f"[verify]\nchromium = '{program}'\n", encoding="utf-8")
    findings = await examine(project_dir, offline=True)
    assert not (project_dir / "started").exists()
    assert "verify.chromium" in named(findings, "settings", "warn").text


async def test_a_repository_without_identity_and_with_a_detached_head_is_told(
    project_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project_dir, "checkout", "--quiet", "--detach")
    (tmp_path / "nobody").write_text("[user]\n useConfigOnly = true\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "nobody"))
    findings = await examine_project(project_dir)
    assert "git config --global user.name" in named(findings, "identity", "fail").remedy
    assert "git switch" in named(findings, "git", "fail").remedy


async def test_a_directory_outside_of_git_is_told(tmp_path: Path) -> None:
    findings = await examine_project(tmp_path)
    assert "git init" in named(findings, "git", "fail").remedy


@pytest.mark.parametrize("name", ["features", "progress", "checks"])
async def test_a_broken_file_is_named(project_dir: Path, name: str) -> None:
    (project_dir / "features.json").write_text(LIST, encoding="utf-8")
    (project_dir / "checks").mkdir()
    path = project_dir / ("checks/F1.json" if name == "checks" else f"{name}.json")
    path.write_text("{", encoding="utf-8")
    assert str(path) in named(await examine_project(project_dir), name, "fail").text


async def test_a_broken_checkpoint_file_is_named(project_dir: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    sqlite3.connect(project.checkpoints_file).close()
    project.checkpoints_file.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    found = named(await examine_project(project_dir), "checkpoints", "fail")
    assert str(project.checkpoints_file) in found.text
    assert "Move the file away" in found.remedy


async def test_a_thread_that_was_cut_off_and_its_lost_branch_are_told(project_dir: Path) -> None:
    save_thread(Project.find(project_dir), ThreadRecord(thread_id="t-1", stage="build"))
    findings = await examine_project(project_dir)
    assert "harness resume t-1" in named(findings, "thread", "warn").remedy
    assert any("harness/t-1 is gone" in f.text for f in findings)


async def test_work_that_the_users_branch_lacks_is_told(project_dir: Path) -> None:
    git(project_dir, "switch", "--quiet", "-c", "harness/t-1")
    git(project_dir, "commit", "--quiet", "--allow-empty", "--message", "F1: Adds")
    git(project_dir, "switch", "--quiet", "main")
    save_thread(Project.find(project_dir), ThreadRecord(thread_id="t-1", stage="build", exit_status="TurnLimit"))
    assert "merge harness/t-1" in named(await examine_project(project_dir), "thread", "warn").remedy


async def test_a_pass_that_no_commit_carries_is_told(project_dir: Path) -> None:
    feature = (
        '{"id": "F1", "description": "Adds", "steps": ["See"], "passes": true, "passed_at": '
        '{"session": "s1", "time": "2026-11-21T00:00:00Z", "baseline": "a", "check": "b"}}'
    )
    (project_dir / "features.json").write_text(f'{{"version": 1, "features": [{feature}]}}', encoding="utf-8")
    git(project_dir, "branch", "harness/t-1")
    save_thread(Project.find(project_dir), ThreadRecord(thread_id="t-1", stage="build", exit_status="TurnLimit"))
    findings = await examine_project(project_dir)
    assert "F1" in named(findings, "audit", "fail").text
    assert "F1" in named(findings, "checks", "fail").text
