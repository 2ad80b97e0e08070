"""What a parked feature asks: the right question, and commands that this program really has."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer.main

from harness.cli import app
from harness.features import Feature
from harness.questions import question_of

WHERE = Path("/tmp/my app; rm -rf x")


def parked(reason: str, **more: object) -> Feature:
    values = {"id": "F2", "description": "Adds", "steps": ("See",), "status": "parked", "reason": reason}
    return Feature.model_validate(values | more)


def understood(line: str) -> dict[str, object]:
    """The values a command would get; raises when there is no such command or option."""
    program, *words = shlex.split(line)
    assert program == "harness"
    command, context = typer.main.get_command(app), None
    while hasattr(command, "get_command"):
        context = command.make_context(program, [words[0], *words[1:]], parent=context)
        program, command, words = command.resolve_command(context, words)
    return dict(command.make_context(program, words, parent=context).params)


@pytest.mark.parametrize(
    ("reason", "asked", "commands"),
    [
        ("disputed: step 2 says two things", "Does the check say", ["show", "accept", "amend"]),
        ("needs a person: nothing makes it fail", "on your word", ["show", "accept", "amend"]),
        ("needs decision: it cannot be built without changing F1 and F9", "May it change", ["amend", "skip"]),
        ("skipped by a person: not now", "Is it wanted again", ["reopen"]),
        ("Step 3 fails: expected F1", "done differently", ["reopen", "skip"]),
    ],
)
def test_each_reason_has_its_question_and_commands_that_are_understood(
    reason: str, asked: str, commands: list[str]
) -> None:
    question = question_of(parked(reason), WHERE, ["F1", "F2", "F3"])
    assert question
    assert asked in question.text
    lines = [answer.command.rpartition(" | ")[2] for answer in question.answers]
    assert [next(word for word in line.split() if word in commands) for line in lines] == commands
    for line in lines:
        assert understood(line)["directory"] == WHERE, "wherever it is called, whatever the directory is called"


def test_a_command_that_is_not_there_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such command"):
        understood("harness check invent F2")


def test_a_decision_declares_what_the_reason_names_beside_what_was_declared() -> None:
    reason = "needs decision: it cannot be built without changing F1 and F9"
    question = question_of(parked(reason, changes=("F3",)), WHERE, ["F1", "F2", "F3"])
    assert question
    assert question.answers[0].command.startswith(
        """echo '{"changes": ["F1", "F3"]}' | harness plan amend F2 --file -"""
    )


def test_who_waits_for_nobody_is_not_asked_about() -> None:
    assert question_of(Feature(id="F1", description="Adds", steps=("See",), reason="Step 2 fails"), WHERE) is None
