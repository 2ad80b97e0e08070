"""One session of a command-line agent on real parts: how a run of it ends, and what it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from apps import proved

from harness.agent import FINISH, FINISH_BYTES, AgentSession, agent_session
from harness.budget import Budget, Meter
from harness.errors import AdapterError, Interrupted
from harness.events import Decided, Events, FileChanged, Noticed, Steered, ToolReturned
from harness.ledger import Ledger
from harness.parts import Parts
from harness.settings import CoderSettings, LimitSettings, Settings
from harness.steering import Steering
from harness.worktree import Worktree

pytestmark = [pytest.mark.needs("bwrap")]


class Made:
    """A project, and all that was told."""

    def __init__(self, parts: Parts, tree: Worktree) -> None:
        self.parts, self.tree = parts, tree
        self.told: list[Any] = []
        parts.events.listen(self.told.append)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
async def made(tmp_path: Path) -> Made:
    parts = proved.parts_of(await proved.make(tmp_path / "project"))
    budget = Budget(LimitSettings(), Meter())
    model = cast("Any", SimpleNamespace(redact=str))
    parts = replace(parts, events=Events(), budget=budget, model=model)
    return Made(parts, await Ledger(parts).tree())


@asynccontextmanager
async def session(made: Made, script: str, minutes: float = 1.0, **coder: Any) -> AsyncIterator[AgentSession]:
    settings = Settings(
        coder=CoderSettings(command=["bash", "-c", script], **coder), limits=LimitSettings(session_minutes=minutes)
    )
    made.parts = replace(made.parts, settings=settings)
    head = await made.tree.head()
    async with agent_session(made.parts, made.tree, "s001-delete", "delete", "coder", head) as opened:
        yield opened


async def test_it_gets_the_prompt_the_brief_and_after_a_failure_the_evidence(made: Made) -> None:
    async with session(made, "cat >>heard; echo run >>runs") as opened:
        first = await opened.run("how to work", "# the brief", 0)
        assert (first.ended, first.turns) == ("finished", 0)
        again = await opened.run("how to work", "# the evidence", 1)
    heard = (made.tree.directory / "heard").read_text()
    assert heard == "how to work\n\n# the briefhow to work\n\n# the brief\n\n# the evidence"
    async with session(made, "echo run >>runs") as opened:  # as after a kill between its end and the next node
        assert await opened.run("", "", 1) == again
    assert (made.tree.directory / "runs").read_text() == "run\nrun\n", "what ended is only reported"
    assert [(event.path, event.role) for event in made.of(FileChanged)] == [
        (name, "coder") for name in ("heard", "runs", "heard", "runs")
    ]
    assert [event.by for event in made.of(Decided)] == ["person", "person"]
    assert [event.name for event in made.of(ToolReturned)] == ["agent", "agent"]


async def test_a_persons_word_reaches_the_next_attempt_and_each_after_it(made: Made) -> None:
    steering = Steering(made.parts.project, "t-1")
    made.parts = replace(made.parts, steering=steering)
    async with session(made, "cat >heard") as opened:
        await opened.run("", "the brief", 0)
        steering.say("Make it blue.")
        for attempt in (1, 2):
            await opened.run("", "the evidence", attempt)
            assert (made.tree.directory / "heard").read_text().count("| Make it blue.") == 1
    assert steering.waiting() == []
    assert [event.text for event in made.of(Steered)] == ["Make it blue."]


async def test_its_time_is_over_and_what_it_did_stays(made: Made) -> None:
    async with session(made, "echo some >work; sleep 600", minutes=0.02) as opened:
        ended = await opened.run("", "", 0)
    assert ended.ended == "time limit"
    assert (made.tree.directory / "work").read_text() == "some\n"


async def test_a_run_that_is_to_stop_does_not_wait_for_it(made: Made) -> None:
    wishes = iter((False, True))
    budget = Budget(LimitSettings(), Meter(), is_stopping=lambda: next(wishes))
    made.parts = replace(made.parts, budget=budget)
    with pytest.raises(Interrupted):
        async with session(made, "echo some >work; sleep 600") as opened:
            await opened.run("", "", 0)
    made.parts = replace(made.parts, budget=Budget(LimitSettings(), Meter()))
    async with session(made, "cat >heard") as opened:
        await opened.run("", "the brief", 0)
    assert "An earlier run of yours was cut off" in (made.tree.directory / "heard").read_text()
    assert (made.tree.directory / "work").exists()


@pytest.mark.parametrize(("script", "is_fault"), [("exit 3", True), ("echo x >work; exit 3", False), ("true", False)])
async def test_a_failure_that_changed_nothing_is_nobodys_work(made: Made, script: str, is_fault: bool) -> None:
    async with session(made, f"echo words; {script}") as opened:
        if is_fault:
            with pytest.raises(AdapterError, match="exit code 3 and changed nothing:\nwords"):
                await opened.run("", "", 0)
        else:
            ended = await opened.run("", "", 0)
            assert ended.ended == ("agent failed" if "exit" in script else "finished")
            assert "It printed last: words" in ended.summary


LEFT = {
    "whole": (
        f"""echo '{{"summary": "s", "dispute": {{"step": 2, "why": "w"}}, "changes": ["add"]}}' >{FINISH}""",
        True,
    ),
    "no JSON": (f"echo nonsense >{FINISH}", False),
    "another form": (f"echo '{{\"dispute\": 3}}' >{FINISH}", False),
    "a link out": (f"ln -s /etc/passwd {FINISH}", False),
    "a link to itself": (f"ln -s {FINISH} {FINISH}", False),
    "a pipe": (f"mkfifo {FINISH}", False),
    "a directory": (f"mkdir -p {FINISH}/x && chmod 0 {FINISH}", False),
    "too long": (f"head -c {FINISH_BYTES + 1} /dev/zero | tr '\\0' ' ' >{FINISH}", False),
}


@pytest.mark.parametrize("name", LEFT)
async def test_what_it_leaves_is_taken_out_and_believed_in_nothing(made: Made, name: str) -> None:
    script, is_whole = LEFT[name]
    async with session(made, f"echo x >work; {script}") as opened:
        ended = await opened.run("", "", 0)
    assert ended.ended == "finished"
    assert (ended.dispute is not None, ended.changes) == (is_whole, ("add",) if is_whole else ())
    assert not (made.tree.directory / FINISH).is_symlink()
    assert not (made.tree.directory / FINISH).exists()
    if name in ("no JSON", "another form", "too long"):
        assert [event.level for event in made.of(Noticed)] == ["warning"]


async def test_without_hosts_it_has_no_network_and_without_names_no_variable(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin is given the variable."""
    monkeypatch.setenv("SOME_KEY", "a-key-of-the-person")
    script = "env; cat /proc/net/dev; echo x >>work"
    for names in ([], ["SOME_KEY"]):
        async with session(made, script, pass_env=names) as opened:
            await opened.run("", "", len(names))
        said = made.of(ToolReturned)[-1].result
        assert ("SOME_KEY=" in said) == bool(names)
        assert "a-key-of-the-person" not in said
        assert "HTTPS_PROXY" not in said
