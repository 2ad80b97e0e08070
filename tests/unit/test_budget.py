"""When a run must stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.budget import Budget, Meter, Spent
from harness.errors import CostLimit, Interrupted, TurnLimit
from harness.events import ModelCalled
from harness.opening import spent_before
from harness.progress import Progress, SessionEntry
from harness.project import Project
from harness.settings import LimitSettings


def used(role: str = "coder", tokens: int = 100, cost: float = 0.5) -> ModelCalled:
    return ModelCalled(role=role, conversation="t/s", turn=0, input_tokens=tokens, output_tokens=0, cost_usd=cost)


def test_turns_are_the_coders_and_tokens_everybodys() -> None:
    meter = Meter()
    meter(used())
    meter(used("verifier"))
    assert (meter.total.turns, meter.total.tokens) == (1, 200)
    assert meter.take().tokens == 200
    assert meter.take().tokens == 0


def test_what_a_killed_run_used_is_not_forgotten(tmp_path: Path) -> None:
    meter = Meter(tmp_path / "spent.json")
    assert meter.earlier is None
    meter(used())
    meter.take()
    meter(used(tokens=70))  # killed here
    again = Meter(tmp_path / "spent.json")
    assert again.earlier == Spent(2, 170, 1.0)
    assert again.total == Spent()
    again(used(tokens=5))
    assert again.take().tokens == 75
    assert Meter(tmp_path / "spent.json").earlier == Spent(3, 175, 1.5)
    (tmp_path / "spent.json").write_text("{")
    assert Meter(tmp_path / "spent.json").earlier is None


def test_limits_end_a_run_by_name() -> None:
    meter = Meter()
    meter(used())
    with pytest.raises(TurnLimit):
        Budget(LimitSettings(), meter, max_turns=1).check()
    with pytest.raises(CostLimit, match="tokens"):
        Budget(LimitSettings(thread_tokens=100), meter).check()
    with pytest.raises(CostLimit, match="USD"):
        Budget(LimitSettings(thread_usd=0.5), meter).check()
    with pytest.raises(Interrupted):
        Budget(LimitSettings(), meter, is_stopping=lambda: True).check()
    Budget(LimitSettings(thread_usd=0.6, thread_tokens=101), meter, max_turns=2).check()


def test_what_earlier_runs_of_the_thread_used_counts(tmp_path: Path) -> None:
    project = Project.find(tmp_path)
    assert spent_before(project) == Spent()
    entry = SessionEntry(session="s001-F001", feature="F001", outcome="passed", turns=3, tokens=900, cost_usd=0.9)
    Progress(thread="t").append(entry).save(project.progress_file)
    budget = Budget(LimitSettings(thread_usd=0.8), Meter(), before=spent_before(project))
    with pytest.raises(CostLimit):
        budget.check()
    budget.before = Spent()
    budget.check()
