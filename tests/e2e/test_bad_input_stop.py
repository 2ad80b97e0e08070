"""Runs that are stopped, limited, doubled, or meet what the person did meanwhile: each says how to go on."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any

import pytest
from bad_input_support import Person, Ran, commit, contents, git, no_mistakes, unchanged
from scripted import Request, ScriptedModel

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]

EXTRA = {
    "id": "F003",
    "category": "functional",
    "description": "A title.",
    "steps": ["Verify the title."],
    "passes": False,
}
"""What a person adds to the list."""


class Gate:
    """Holds the model's answer to one turn of a session until it is opened."""

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.reached, self.open = Event(), Event()

    def __call__(self, request: Request) -> Any:
        if request.conversation.endswith(self.conversation):
            self.reached.set()
            assert self.open.wait(60)
        return no_mistakes(request)


@contextmanager
def running(project: Path, gate: Gate) -> Iterator[tuple[subprocess.Popen[str], Person]]:
    """A run that waits at the gate."""
    with ScriptedModel(gate) as model:
        person = Person(base_url=model.base_url)
        process = subprocess.Popen(
            person.command("run", project, "--thread", "mine"), env=person.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert gate.reached.wait(120), process.communicate(timeout=5)
            yield process, person
        finally:
            gate.open.set()
            process.kill()
            process.communicate()


def ended(process: subprocess.Popen[str]) -> Ran:
    out, err = process.communicate(timeout=120)
    return Ran(process.returncode, out, err)


def until(stream: IO[str], word: str) -> None:
    """Read lines until one holds a word."""
    assert any(word in line for line in stream), f"{word!r} was never said"


def test_one_interrupt_stops_at_the_next_safe_point_and_the_build_goes_on(project: Path) -> None:
    gate = Gate("s001-F001")
    keep_first(project)
    with running(project, gate) as (process, person):
        process.send_signal(signal.SIGINT)
        until(process.stdout, "Stopping when the model has answered")
        gate.open.set()
        ran = ended(process)
        assert ran.code == 130, ran
        assert "harness resume mine" in ran.out, ran
        assert "Traceback" not in ran.out + ran.err, ran
        again = person.run("resume", "mine", project)
    again.is_clear(0, "1 of 1 features pass")
    sessions = json.loads((project / "progress.json").read_text())["sessions"]
    assert [s["session"] for s in sessions if s["feature"] == "F001"] == ["s001-F001"]


def test_a_second_interrupt_stops_at_once_and_nothing_is_lost(project: Path) -> None:
    before = contents(project)
    with running(project, Gate("s001-F001")) as (process, person):
        process.send_signal(signal.SIGINT)
        until(process.stdout, "once more stops at once")
        process.send_signal(signal.SIGINT)  # the gate stays shut: the model never answers
        ran = ended(process)
        assert ran.code == 130, ran
        assert "harness resume mine" in ran.out + ran.err, ran
        assert "Traceback" not in ran.out + ran.err, ran
    assert contents(project) == before
    assert "Interrupted" in person.run("threads", project).out


def test_a_second_run_is_told_who_holds_the_project(project: Path) -> None:
    with running(project, Gate("s001-F001")) as (process, person):
        ran = unchanged(project, lambda: person.run("run", project))
        ran.is_clear(3, f"in use by process {process.pid}", "thread 'mine'", f"kill -INT {process.pid}")
        unchanged(project, lambda: person.run("init", project, "--spec", "Another thing to build here")).is_clear(3)
        assert process.poll() is None
        assert f"held by   process {process.pid}" in person.run("status", project).out


@pytest.mark.parametrize(("option", "said"), [("--max-turns", "1 turns"), ("--max-sessions", "1 sessions")])
def test_a_limit_ends_the_run_with_the_command_that_goes_on(project: Path, option: str, said: str) -> None:
    with ScriptedModel(no_mistakes) as model:
        person = Person(base_url=model.base_url)
        person.run("run", project, option, "1").is_clear(1, f"TurnLimit: {said}", "Go on with: harness resume t-")


def test_building_one_feature_alone_does_not_bind_the_next_run(project: Path) -> None:
    with ScriptedModel(no_mistakes) as model:
        person = Person(base_url=model.base_url)
        person.run("run", project, "--feature", "F001").is_clear(1, "1 of 2 features pass")
        commit_feature(project, EXTRA)
        person.run("run", project, "--max-turns", "1").is_clear(1, "Features added to the list: F003", "TurnLimit")
        ran = person.run("run", project, "--feature", "F003")
        ran.is_clear(3, "in the middle of F002", "harness resume")


def test_a_thread_that_has_ended_takes_in_what_the_person_adds(project: Path) -> None:
    keep_first(project)
    with ScriptedModel(no_mistakes) as model:
        person = Person(base_url=model.base_url)
        person.run("run", project).is_clear(0, "1 of 1 features pass")
        person.run("run", project).is_clear(0, "1 of 1 features pass")
        commit_feature(project, EXTRA)
        ran = person.run("run", project)
    assert "Features added to the list: F003" in ran.out, ran
    assert ran.code != 0, ran  # the script knows nothing of F003; what counts is that it was begun
    assert any(r.conversation.endswith("contract/F003") for r in model.requests)


CHANGES: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "claims a pass": (lambda features: features[0].update(passes=True), "changed F001: passes"),
    "other steps": (lambda features: features[1].update(steps=["Look."]), "changed F002: steps"),
    "one removed": (lambda features: features.pop(), "removed F002"),
    "an addition that claims to pass": (
        lambda features: features.append({**EXTRA, "passes": True}),
        "added as passing",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_list_stops_the_run_until_the_change_is_taken_back(person: Person, project: Path, kind: str) -> None:
    """FJ-1: whoever changed it; taken back, which is the twin, the run goes on."""
    change, said = CHANGES[kind]
    person.run("run", project, "--thread", "mine").is_clear(5)
    edit(project, change)
    ran = unchanged(project, lambda: person.run("run", project))
    ran.is_clear(4, "changes that are not committed", said, "git restore")
    commit(project, "change the list")
    unchanged(project, lambda: person.run("run", project)).is_clear(4, said, "Only additions", "git revert")
    git(project, "revert", "--no-edit", "HEAD")
    person.run("run", project).is_clear(5, "could not be reached")


def test_an_addition_that_is_not_committed_is_not_passed_over(person: Person, project: Path) -> None:
    person.run("run", project, "--thread", "mine").is_clear(5)
    edit(project, lambda features: features.append(EXTRA))
    unchanged(project, lambda: person.run("run", project)).is_clear(4, "not committed", "added F003", "Commit them")


def test_a_deleted_list_stops_the_run(person: Person, project: Path) -> None:
    person.run("run", project, "--thread", "mine").is_clear(5)
    (project / "features.json").unlink()
    unchanged(project, lambda: person.run("run", project)).is_clear(4, r"features\.json is gone", "git restore")


def test_a_conflict_with_the_persons_branch_is_theirs_to_mend(project: Path) -> None:
    gate = Gate("s001-F001")
    keep_first(project)
    with running(project, gate) as (process, person):
        (project / "index.html").write_text("<!doctype html><title>Mine</title>")
        mine = commit(project, "my own page")
        gate.open.set()
        ran = ended(process)
        ran.is_clear(3, "conflict", r"index\.html", "git merge harness/mine")
        assert "stays where it is" in ran.out
        assert git(project, "rev-parse", "HEAD").strip() == mine
        assert git(project, "status", "--porcelain") == ""
        unchanged(project, lambda: person.run("run", project)).is_clear(3, "conflict", "git merge harness/mine")
        git(project, "merge", "--quiet", "--no-edit", "-X", "theirs", "harness/mine")
        person.run("run", project).is_clear(0, "1 of 1 features pass")


def keep_first(project: Path) -> None:
    """A list of one feature, before any thread has begun: building takes the time of these tests."""
    edit(project, lambda features: features.pop())
    commit(project, "a short list")


def commit_feature(project: Path, feature: dict[str, Any]) -> None:
    edit(project, lambda features: features.append(feature))
    commit(project, f"ask for {feature['id']}")


def edit(project: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the list as a person with an editor does."""
    data = json.loads((project / "features.json").read_text())
    change(data["features"])
    (project / "features.json").write_text(json.dumps(data, indent=2) + "\n")
