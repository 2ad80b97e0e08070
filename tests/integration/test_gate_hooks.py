"""The gate hooked in: what is there stays, taking it out gives the files back, and a false "done" does not get by."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from apps import proved
from apps.proved import git

from harness import runtime
from harness.cli import hooks
from harness.cli.hooks import pre_push, stop_hook
from harness.errors import ContractError, FeatureFileError, SetupError
from harness.gate_install import STOP_SECONDS, Place, install, uninstall
from harness.project import Project

pytestmark = [pytest.mark.needs("bwrap", "chromium"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proved.make_once(tmp_path_factory, "hooks")


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A clone of a bare repository, to which it can be pushed."""
    git(tmp_path, "clone", "--quiet", "--bare", str(original), "remote.git")
    git(tmp_path, "clone", "--quiet", "remote.git", "my project")
    return tmp_path / "my project"


def files(directory: Path) -> dict[str, tuple[int, str]]:
    """Every file with its mode and digest, git's objects and index aside."""
    found = [p for p in directory.rglob("*") if p.is_file() and "objects" not in p.parts and p.name != "index"]
    return {
        str(p.relative_to(directory)): (p.stat().st_mode, hashlib.sha256(p.read_bytes()).hexdigest()) for p in found
    }


def spoil(project: Path) -> None:
    """What a stand-in agent leaves when it says that it is done and is not."""
    script = project / "app.js"
    script.write_text(script.read_text().replace("  save();\n", ""))


def mend(project: Path) -> None:
    git(project, "checkout", "--quiet", "app.js")


def stop(project: Path, **said: object) -> subprocess.CompletedProcess[str]:
    """Call the hook as Claude Code does: by a shell, elsewhere, with JSON on standard input."""
    settings = json.loads((project / ".claude/settings.json").read_text())
    command = settings["hooks"]["Stop"][-1]["hooks"][0]["command"]
    given = {"session_id": "s1", "hook_event_name": "Stop", "stop_hook_active": False, "cwd": str(project), **said}
    env = {**os.environ, "CLAUDE_PROJECT_DIR": str(project), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["sh", "-c", command], input=json.dumps(given), env=env, cwd="/", capture_output=True, text=True, check=False
    )


SETTINGS = {
    "odd blanks": '{"permissions":   {"allow": ["Bash(ls)"]},\n\n  "hooks": {"Stop": [{"hooks": [{"type": "command", '
    '"command": "true"}]}], "PreToolUse": []}}',
    "four blanks": '{\n    "model": "x",\n    "title": "Prüfung"\n}\n',
    "tabs, no last line end": '{\n\t"hooks": {\n\t\t"Stop": []\n\t}\n}',
}


@pytest.mark.parametrize("before", [None, *SETTINGS])
def test_a_stop_hook_is_merged_twice_the_same_and_taken_out_to_the_byte(project: Path, before: str | None) -> None:
    if before:
        (project / ".claude").mkdir()
        (project / ".claude/settings.json").write_text(SETTINGS[before])
    at_first = files(project)
    assert "calls the gate" in install(project, "claude")
    once = files(project)
    assert "installed already" in install(project, "claude")
    assert files(project) == once
    settings = json.loads((project / ".claude/settings.json").read_text())
    if before == "odd blanks":
        assert [hook["command"] for hook in settings["hooks"]["Stop"][0]["hooks"]] == ["true"]
        assert settings["permissions"] == {"allow": ["Bash(ls)"]}
    uninstall(project, "claude")
    assert files(project) == at_first
    assert not before or (project / ".claude").is_dir()
    assert before or not (project / ".claude").exists()
    assert "nothing to take out" in uninstall(project, "claude")


def test_what_was_set_since_the_installation_stays(project: Path) -> None:
    path = project / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text(SETTINGS["four blanks"])
    install(project, "claude")
    path.write_text(path.read_text().replace('"model": "x"', '"model": "y"'))
    uninstall(project, "claude")
    assert path.read_text() == SETTINGS["four blanks"].replace('"x"', '"y"')


@pytest.mark.parametrize("text", ["{", '{"a": 1, "a": 2}', '{"hooks": []}', '{"hooks": {"Stop": {}}}', "// a\n{}", ""])
def test_settings_that_cannot_be_read_are_named_and_left(project: Path, text: str) -> None:
    path = project / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text(text)
    for act in (install, uninstall):
        with pytest.raises((FeatureFileError, ContractError), match=r"settings\.json"):
            act(project, "claude")
    assert path.read_text() == text


def test_a_stop_is_refused_with_the_evidence_a_few_times_and_then_let_go(project: Path) -> None:
    install(project, "claude")
    yes = stop(project)
    assert (yes.returncode, yes.stderr) == (0, "")
    spoil(project)
    no = stop(project)
    assert no.returncode == 2, no.stderr
    assert 'Step 3 ""Buy milk" is still there' in no.stderr
    assert "sandbox:" not in no.stderr, "progress is not for the agent"
    assert stop(project, stop_hook_active=True).returncode == 2
    last = stop(project, stop_hook_active=True)
    assert (last.returncode, "lets the agent stop" in last.stderr) == (1, True)
    assert stop(project, stop_hook_active=True, session_id="unknown").returncode == 1, "never without an end"
    assert stop(project).returncode == 2, "a stop of a later prompt begins anew"
    mend(project)
    assert stop(project, stop_hook_active=True).returncode == 0


@pytest.mark.parametrize("is_hooked", [True, False])
def test_a_stand_in_agent_goes_on_until_what_it_claims_is_so(project: Path, is_hooked: bool) -> None:
    """The twin has no hook, and stops at its first false "done"."""
    (project / ".claude").mkdir()
    (project / ".claude/settings.json").write_text('{"hooks": {"Stop": []}}')
    if is_hooked:
        install(project, "claude")
    agent = [sys.executable, str(Path(__file__).parent / "stand_in_claude.py"), str(project)]
    said = subprocess.run(agent, capture_output=True, text=True, check=True).stdout
    assert said.count("All done!") == (3 if is_hooked else 1), said
    assert [line for line in said.splitlines() if line.startswith("[hook]")] == [
        f"[hook] exit code {code}" for code in ((2, 2, 0) if is_hooked else (0,))
    ]
    assert (git(project, "status", "--porcelain", "app.js") == "") == is_hooked


def test_a_stop_with_a_forged_or_broken_list_is_refused(project: Path) -> None:
    install(project, "claude")
    text = (project / "features.json").read_text()
    (project / "features.json").write_text(text.replace('"passes": false', '"passes": true'))
    assert "only the harness writes it" in (no := stop(project)).stderr
    assert no.returncode == 2
    (project / "features.json").write_text(text[:-20])
    no = stop(project)
    assert (no.returncode, "features.json" in no.stderr) == (2, True)
    (project / "features.json").unlink()
    no = stop(project)
    assert (no.returncode, "features.json is gone" in no.stderr) == (2, True)


async def test_a_list_that_a_commit_took_away_is_missed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(project, "rm", "--quiet", "features.json")
    git(project, "commit", "--quiet", "--message", "tidy up")
    removed = git(project, "rev-parse", "HEAD").strip()
    for tip in (removed, git(project, "commit-tree", "-p", removed, "-m", "x", "HEAD^{tree}").strip()):
        assert await pre_push(project, [f"refs/heads/main {tip} refs/heads/main {'0' * 40}"]) == 1
        assert "features.json is gone" in capsys.readouterr().err
    assert await stop_hook(project, "{}") == 2
    assert "features.json is gone" in capsys.readouterr().err
    other = git(project, "commit-tree", "-m", "another project", "HEAD^{tree}").strip()
    git(project, "checkout", "--quiet", "--detach", other)
    assert await stop_hook(project, "{}") == 0, "no commit of the harness: not a project of ours"
    assert await pre_push(project, [f"HEAD {other} refs/heads/other {'0' * 40}"]) == 0


@pytest.mark.parametrize("text", ["[limits]\nrepairs = 0\n", "[limits\n"])
def test_settings_that_the_agent_writes_do_not_end_the_gate(project: Path, text: str) -> None:
    install(project, "claude")
    (project / "harness.toml").write_text(text)
    no = stop(project)
    assert no.returncode == 2, no.stderr
    assert "harness.toml" in no.stderr
    assert [stop(project, stop_hook_active=True).returncode for _ in range(2)] == [2, 1]


async def test_what_nobody_foresaw_does_not_let_the_agent_stop_either(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("the parser fell over")

    monkeypatch.setattr(runtime, "check_claims", breaks)
    given = [json.dumps({"session_id": "s1", "stop_hook_active": again}) for again in (False, True, True)]
    assert [await stop_hook(project, said) for said in given] == [2, 2, 1]
    assert "RuntimeError: the parser fell over" in capsys.readouterr().err


async def test_a_look_that_takes_too_long_says_no_before_it_is_killed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def never_ends(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    assert hooks.LOOK_SECONDS < STOP_SECONDS
    monkeypatch.setattr(hooks, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(runtime, "check_claims", never_ends)
    given = [json.dumps({"session_id": "s1", "stop_hook_active": again}) for again in (False, True, True)]
    assert [await stop_hook(project, said) for said in given] == [2, 2, 1]
    assert "did not end within" in capsys.readouterr().err


async def test_a_gate_that_the_agent_committed_away_is_told_although_all_passes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "harness.toml").write_text("[gate]\ncommands = []\n")
    git(project, "add", "harness.toml")
    git(project, "commit", "--quiet", "--message", "faster")
    told = "harness.toml was changed by a commit since the last one of the harness."
    assert await stop_hook(project, "{}") == 0
    assert told in json.loads(capsys.readouterr().out)["systemMessage"]
    assert await pre_push(project, [f"HEAD {git(project, 'rev-parse', 'HEAD').strip()} HEAD {'0' * 40}"]) == 0
    assert told in capsys.readouterr().err


def test_a_package_of_the_project_is_not_imported_in_the_place_of_harness(project: Path, tmp_path: Path) -> None:
    """The twin leaves -P out and imports it."""
    install(project, "claude")
    (project / "harness").mkdir()
    (project / "harness/__init__.py").write_text("raise SystemExit('taken over')\n")
    command = json.loads((project / ".claude/settings.json").read_text())["hooks"]["Stop"][0]["hooks"][0]["command"]
    env = {**os.environ, "CLAUDE_PROJECT_DIR": str(tmp_path)}
    for line, is_taken in ((command, False), (command.replace(" -P ", " "), True)):
        done = subprocess.run(
            ["sh", "-c", line], cwd=project, env=env, input="{}", capture_output=True, text=True, check=False
        )
        assert ("taken over" in done.stderr, done.returncode == 0) == (is_taken, not is_taken), done


def push(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(project), "push", "origin", "HEAD"], capture_output=True, text=True, check=False
    )


def test_a_push_is_judged_by_what_is_pushed_and_an_earlier_hook_is_kept(project: Path, tmp_path: Path) -> None:
    hooks = project / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    earlier = hooks / "pre-push"
    earlier.write_text(f"#!/bin/sh\ncat > '{tmp_path}/heard'\n")
    earlier.chmod(0o755)
    at_first = files(project)
    assert "called first" in install(project, "git")
    assert "installed already" in install(project, "git")
    spoil(project)
    git(project, "commit", "--quiet", "--all", "--message", "done")
    no = push(project)
    assert no.returncode != 0
    assert 'Step 3 ""Buy milk" is still there' in no.stderr, no.stderr
    assert git(project, "rev-parse", "HEAD").strip() in (tmp_path / "heard").read_text()
    git(project, "revert", "--no-edit", "HEAD")
    spoil(project)  # lies here, and is not pushed
    yes = push(project)
    assert yes.returncode == 0, yes.stderr
    mend(project)
    uninstall(project, "git")
    kept = {name: mark for name, mark in files(project).items() if name in at_first and not name.startswith(".git/")}
    assert kept == {name: mark for name, mark in at_first.items() if not name.startswith(".git/")}
    assert files(hooks) == {Path(n).name: m for n, m in at_first.items() if n.startswith(".git/hooks/")}


def test_hooks_that_lie_elsewhere_are_left_and_the_line_is_told(project: Path) -> None:
    git(project, "config", "core.hooksPath", ".husky")
    (project / ".husky").mkdir()
    (project / ".husky/pre-push").write_text("true\n")
    at_first = files(project)
    with pytest.raises(SetupError, match="hooksPath") as refused:
        install(project, "git")
    assert "gate pre-push" in refused.value.remedy
    assert files(project) == at_first


@pytest.mark.parametrize("place", ["claude", "git", "ci"])
def test_nothing_is_left_where_nothing_was(project: Path, place: Place) -> None:
    at_first = files(project)
    install(project, place)
    assert files(project) != at_first
    uninstall(project, place)
    assert files(project) == at_first
    assert not (project / ".github").exists()


def test_a_workflow_is_never_written_over_and_its_gate_refuses_a_false_done(project: Path, tmp_path: Path) -> None:
    path = project / ".github/workflows/harness.yml"
    path.parent.mkdir(parents=True)
    path.write_text("on: push\n")
    for act in (install, uninstall):
        with pytest.raises(SetupError, match=r"harness\.yml"):
            act(project, "ci")
    assert path.read_text() == "on: push\n"
    path.unlink()
    install(project, "ci")
    spoil(project)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "done")
    job = yaml.safe_load(path.read_text())["jobs"]["gate"]
    step = next(step for step in job["steps"] if step.get("name") == "Gate")
    git(tmp_path, "clone", "--quiet", str(project), "checked-out")
    (tmp_path / "harness/.venv/bin").mkdir(parents=True)
    (tmp_path / "harness/.venv/bin/harness").symlink_to(Path(sys.executable).parent / "harness")
    env = {**os.environ, **step["env"], "RUNNER_TEMP": str(tmp_path), "HARNESS_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=tmp_path / "checked-out", env=env, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\n::error file=checks/keep.json,title=keep%3A keep::Step 3" in done.stdout
    assert 'failures="1"' in (tmp_path / "checked-out/harness.xml").read_text()


def test_state_of_the_installation_lies_outside_of_the_project(project: Path) -> None:
    install(project, "claude")
    assert Project.find(project).state_dir.exists()
    assert git(project, "status", "--porcelain").split() == ["??", ".claude/"]
