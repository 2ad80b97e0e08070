"""Where a project stands, from files alone: which list is the newest, who is at work, what to do next."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ContractError, FeatureFileError, SetupError
from harness.project import Project, ProjectLock
from harness.status import as_json, as_text, read_status
from harness.threads import ThreadRecord, save_thread


@pytest.fixture
def project(project_dir: Path) -> Project:
    return Project.find(project_dir)


def write_list(directory: Path, *features: dict[str, Any]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    numbered = [{"id": f"F{n}", "description": f"Feature {n}", "steps": ["See"]} | f for n, f in enumerate(features, 1)]
    (directory / "features.json").write_text(json.dumps({"version": 1, "features": numbered}), encoding="utf-8")


def begin(project: Project, exit_status: str = "", stage: str = "build") -> None:
    now = datetime.now(UTC)
    values = {"thread_id": "t-1", "stage": stage, "exit_status": exit_status, "reason": "why"}
    save_thread(project, ThreadRecord.model_validate(values | {"started": now - timedelta(hours=1), "updated": now}))


def test_a_directory_without_anything_says_how_to_begin(project_dir: Path) -> None:
    with pytest.raises(SetupError, match=r"no features\.json") as caught:
        read_status(project_dir)
    assert "harness init" in caught.value.remedy


def test_a_pass_that_no_verdict_wrote_is_told_unless_a_run_is_writing(project: Project) -> None:
    write_list(project.directory, *[{"passes": True}] * 5)
    status = read_status(project.directory)
    doubt = "F1: features.json says it passes, and no line of the audit is about it."
    assert doubt in json.loads(as_json(status))["doubts"]
    told = [line for line in as_text(status).splitlines() if line.startswith("by hand?")]
    assert told == [f"by hand?      {doubt} 4 more: `harness gate {project.directory}`"]
    with ProjectLock(project, "t-1"):
        assert read_status(project.directory).doubts == ()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", None], ids=["no text", "no line", "a directory"])
def test_an_audit_that_cannot_be_read_is_told_and_the_rest_shown(project: Project, content: bytes | None) -> None:
    write_list(project.directory, {"passes": True})
    audit = project.directory / "checks/audit.jsonl"
    audit.parent.mkdir()
    audit.mkdir() if content is None else audit.write_bytes(content)
    text = as_text(read_status(project.directory))
    assert "1 of 1 features pass" in text
    assert "audit.jsonl" in next(line for line in text.splitlines() if line.startswith("by hand?"))


def test_a_classic_list_is_shown_and_run_is_next(project_dir: Path) -> None:
    write_list(project_dir, {"passes": True}, {})
    text = as_text(read_status(project_dir))
    assert "1 of 2 features pass" in text
    assert "open    F2  Feature 2" in text
    assert f"`harness run {project_dir}` builds what is open." in text
    assert not Project.find(project_dir).state_dir.exists()


@pytest.mark.parametrize("name", ["features.json", "progress.json"])
def test_a_broken_file_is_named(project_dir: Path, name: str) -> None:
    write_list(project_dir, {})
    (project_dir / name).write_text('{"version": 1, "feat', encoding="utf-8")
    with pytest.raises(FeatureFileError, match=name) as caught:
        read_status(project_dir)
    assert f"`git -C {project_dir} checkout HEAD -- {name}`" in caught.value.remedy


def test_an_empty_list_file_of_the_user_is_broken_not_empty(project_dir: Path) -> None:
    (project_dir / "features.json").write_text("", encoding="utf-8")
    with pytest.raises(FeatureFileError, match="it is empty"):
        read_status(project_dir)


def test_a_broken_record_of_a_thread_is_named(project: Project) -> None:
    begin(project)
    (project.state_dir / "threads" / "t-1.json").write_text("{", encoding="utf-8")
    with pytest.raises(ContractError, match=r"t-1\.json"):
        read_status(project.directory)


def test_parked_features_tell_why(project: Project) -> None:
    write_list(project.directory, {"status": "parked", "reason": "nobody\nknows"}, {"reason": "broke in F9"})
    text = as_text(read_status(project.directory))
    assert "parked: nobody knows" in text
    assert "reopened: broke in F9" in text


def test_a_running_thread_is_told_with_its_holder_session_and_newest_list(project: Project) -> None:
    write_list(project.directory, {}, {})
    begin(project)
    write_list(project.worktrees_dir / "t-1", {}, {"status": "parked", "reason": "no luck"})
    trajectory = project.trajectories_dir / "t-1"
    trajectory.mkdir(parents=True)
    (trajectory / "s004-F1.jsonl").write_text('{"kind":"model","turn":7}\n{"kind":"tool"}\n{"ki', encoding="utf-8")
    with ProjectLock(project, "t-1"):
        status = read_status(project.directory)
    assert status.totals.parked == 1
    assert status.session == "s004-F1, turn 7"
    text = as_text(status)
    assert "t-1 (build), running" in text
    assert "held by   process" in text
    assert "kill -INT" in text


def test_a_stand_in_in_the_worktree_is_passed_over(project: Project) -> None:
    write_list(project.directory, {"passes": True})
    begin(project)
    place = project.worktrees_dir / "t-1"
    place.mkdir(parents=True)
    for name in ("features.json", "progress.json"):
        (place / name).write_text("", encoding="utf-8")
    with ProjectLock(project, "t-1"):
        assert read_status(project.directory).totals.passing == 1


def test_work_the_users_branch_lacks_is_shown_and_how_to_take_it_in(project: Project) -> None:
    write_list(project.directory, {}, {})
    write_list(project.worktrees_dir / "t-1", {"passes": True}, {})
    begin(project, "FeaturesOpen")
    status = read_status(project.directory)
    assert status.totals.passing == 1
    assert f"`git -C {project.directory} merge harness/t-1` takes it in" in as_text(status)


def test_an_ended_thread_does_not_hide_what_the_user_added_since(project: Project) -> None:
    write_list(project.directory, {"passes": True}, {}, {})
    write_list(project.worktrees_dir / "t-1", {"passes": True}, {})
    begin(project, "FeaturesOpen")
    status = read_status(project.directory)
    assert status.totals.total == 3
    assert status.behind == ""


@pytest.mark.parametrize(
    ("exit_status", "stage", "words"),
    [
        ("", "build", "cut off before its end"),
        ("", "build", "harness resume t-1"),
        ("TurnLimit", "build", "ended: TurnLimit why"),
        ("Interrupted", "init", "--thread t-1 --spec"),
        ("Finished", "init", "harness run"),
    ],
)
def test_what_to_do_next_follows_from_how_the_thread_ended(
    project: Project, exit_status: str, stage: str, words: str
) -> None:
    write_list(project.directory, {})
    begin(project, exit_status, stage)
    assert words in as_text(read_status(project.directory))


def test_an_initialisation_whose_specification_is_kept_is_gone_on_with_by_its_thread(project: Project) -> None:
    begin(project, "SetupError", "init")
    desk = project.state_dir / "work" / "t-1" / "init"
    desk.mkdir(parents=True)
    (desk / "spec.md").write_text("Build a chat.\n", encoding="utf-8")
    assert f"harness resume t-1 {project.directory}" in as_text(read_status(project.directory))


def test_what_is_claimed_and_what_was_refuted_is_told(project: Project) -> None:
    write_list(project.directory, {"claimed": True}, {"reason": "claimed, and not so: Step 2: nothing is shown"})
    text = as_text(read_status(project.directory))
    assert "0 of 2 features pass, 1 claimed" in text
    assert "claimed F1  Feature 1" in text
    assert "\n            claimed, and not so: Step 2: nothing is shown" in text


def test_a_complete_list_needs_nothing_but_may_be_verified(project: Project) -> None:
    write_list(project.directory, {"passes": True})
    begin(project, "Finished")
    assert "harness verify" in as_text(read_status(project.directory))


def test_the_last_failure_is_the_newest_verdict_that_says_no(project: Project) -> None:
    write_list(project.directory, {}, {})
    begin(project)
    for name, verdict in (("F1", {"passed": True}), ("F2", {"passed": False, "reason": "step 2: nothing seen"})):
        desk = project.state_dir / "work" / "t-1" / name
        desk.mkdir(parents=True)
        (desk / "verdict.json").write_text(json.dumps(verdict), encoding="utf-8")
    status = read_status(project.directory)
    assert "last failure  F2: step 2: nothing seen" in as_text(status)
    assert json.loads(as_json(status))["last_failure"]["feature_id"] == "F2"


def test_json_holds_the_facts(project: Project) -> None:
    write_list(project.directory, {"passes": True}, {})
    begin(project, "CostLimit")
    facts = json.loads(as_json(read_status(project.directory)))
    assert facts["totals"] == {"total": 2, "passing": 1, "open": 1, "parked": 0, "claimed": 0}
    assert facts["thread"]["exit_status"] == "CostLimit"
    assert [f["id"] for f in facts["features"]] == ["F1", "F2"]


def test_lines_fit_the_terminal(project: Project) -> None:
    write_list(project.directory, {"description": "x" * 300})
    lines = as_text(read_status(project.directory), 60).split("\n")
    assert max(len(line) for line in lines if line.startswith("open")) == 60


def test_a_stopped_adoption_goes_on_as_one_and_needs_no_model(project: Project) -> None:
    begin(project, "SetupError", stage="init")
    desk = project.state_dir / "work" / "t-1" / "init"
    desk.mkdir(parents=True)
    (desk / "spec.md").write_text("1. It adds")
    (desk / "plan.json").write_text('{"given": ""}')
    assert f"`harness resume t-1 {project.directory}` goes on." in as_text(read_status(project.directory)), "planned"
    (desk / "plan.json").write_text('{"given": "feature_list.json"}')
    assert f"`harness init {project.directory} --adopt` goes on." in as_text(read_status(project.directory))
    (desk / "plan.json").write_text('{"given":')
    assert f"`harness resume t-1 {project.directory}` goes on." in as_text(read_status(project.directory)), "torn"


def test_why_a_feature_is_open_again_is_said_once(project_dir: Path) -> None:
    write_list(project_dir, {"reason": "reopened by a person: more blue"}, {"reason": "Step 2 fails"})
    text = as_text(read_status(project_dir))
    assert "reopened: reopened" not in text
    assert "  reopened by a person: more blue" in text
    assert "  reopened: Step 2 fails" in text
