"""What a policy says, without running anything."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.sandbox.bubblewrap import wrap
from harness.sandbox.furnish import furnish
from harness.sandbox.journal import Journal, reap
from harness.sandbox.limits import Bounds, named_limit, with_limits
from harness.sandbox.policy import Limits, Policy, protected_in, toolchains


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "w").mkdir()
    return Policy(worktree=tmp_path / "w", scratch=tmp_path / "s", data_dir=tmp_path / "d", outputs_dir=tmp_path / "o")


def test_the_environment_is_what_is_named_and_nothing_else(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "SSH_AUTH_SOCK", "LD_PRELOAD", "NODE_OPTIONS", "BASH_ENV", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    environment = policy.environment({"PORT": "1"})
    assert "canary" not in environment.values()
    assert (environment["TZ"], environment["PORT"], environment["HOME"]) == ("Asia/Tokyo", "1", "/home/agent")


def test_registries_are_told_only_where_there_is_a_network(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://registry.example.invalid/simple")
    assert "PIP_INDEX_URL" not in policy.environment()
    assert "PIP_INDEX_URL" in policy.environment(network=True)


def test_paths_have_one_name_inside_and_their_own_when_off(policy: Policy) -> None:
    host = policy.outputs_dir / "command-1.txt" if policy.outputs_dir else Path()
    assert policy.inside(host) == "/outputs/command-1.txt"
    assert policy.inside(policy.scratch / "tmp" / "x") == "/tmp/x"
    assert replace(policy, mode="off").inside(host) == str(host)


def test_our_own_environment_is_readable_and_not_on_the_path(policy: Policy) -> None:
    assert all(path in toolchains() or path.is_relative_to("/usr") for path in (Path(sys.prefix).resolve(),))
    assert str(Path(sys.prefix).resolve() / "bin") not in policy.search_path().split(":")


def test_a_project_in_a_subdirectory_keeps_its_protection() -> None:
    assert protected_in("") == (".git", "features.json", "checks", "progress.json", "spec.md", "harness.toml")
    assert protected_in("sub")[:3] == (".git", "sub/.git", "sub/features.json")


def test_off_runs_the_command_as_it_is(policy: Policy) -> None:
    assert wrap(replace(policy, mode="off"), ["echo", "x"]) == ["echo", "x"]


def test_only_the_project_home_data_and_temporary_files_are_writable(policy: Policy) -> None:
    args = wrap(policy, ["true"], network="none")
    writable = [args[at + 2] for at, word in enumerate(args) if word == "--bind"]
    assert writable == ["/project", "/home/agent", "/tmp", "/data"]
    assert args.index("--remount-ro") > max(at for at, word in enumerate(args) if word in {"--bind", "--ro-bind"})


def test_the_worker_of_the_browser_cannot_write_to_the_project(policy: Policy) -> None:
    args = wrap(policy, ["true"], network="none", project_writable=False)
    assert "/project" not in [args[at + 2] for at, word in enumerate(args) if word == "--bind"]


def test_limits_are_never_above_what_the_machine_allows() -> None:
    args = with_limits(["true"], Limits(open_files=1 << 62), Bounds.COMMAND, cpu_seconds=3)
    cores = os.cpu_count() or 1
    assert f"--cpu={3 * cores}:{3 * cores + 1}" in args
    assert f"--nofile={1 << 62}" not in args
    assert args[-2:] == ["--", "true"]


def test_a_worker_has_only_the_limit_on_core_files() -> None:
    args = with_limits(["true"], Limits(), Bounds.WORKER)
    assert [word for word in args if word.startswith("--") and word != "--"] == ["--core=0"]


def test_a_limit_is_named_by_its_exit_code() -> None:
    assert named_limit(153, Limits()) == "file size limit 1024 MB"
    assert named_limit(1, Limits()) == ""


def test_stand_ins_of_a_killed_run_are_put_away_unless_something_is_in_them(policy: Policy, tmp_path: Path) -> None:
    assert len(furnish(policy, Journal(tmp_path / "journal"))) == 6
    (policy.worktree / "progress.json").write_text("{}")
    (policy.worktree / "checks" / "f1.json").write_text("{}")
    reap(tmp_path / "journal")
    assert sorted(path.name for path in policy.worktree.iterdir()) == ["checks", "progress.json"]


def test_a_second_start_makes_no_second_stand_ins(policy: Policy, tmp_path: Path) -> None:
    furnish(policy, Journal(tmp_path / "journal"))
    assert furnish(policy, Journal(tmp_path / "journal")) == []


def test_a_torn_journal_is_read_as_far_as_it_goes(policy: Policy, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    furnish(policy, Journal(journal))
    with journal.open("a") as file:
        file.write('{"pid": 12')
    assert reap(journal) == []
    assert list(policy.worktree.iterdir()) == []
