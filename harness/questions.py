"""What a parked feature asks of a person, and the exact commands that answer it.

The reason of a parked feature says who must act: `disputed:` and `needs a person:` wait for a decision on the check,
`needs decision:` for a word on what may change, `skipped by a person` for nobody; anything else is a failure that
another try may or may not help.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.features import NEEDS_DECISION, SKIPPED

if TYPE_CHECKING:
    from harness.features import Feature

DISPUTED, NEEDS_PERSON = "disputed:", "needs a person:"


@dataclass(frozen=True)
class Answer:
    """One thing a person can do."""

    does: str
    command: str


@dataclass(frozen=True)
class Question:
    """What is asked of a person about one feature."""

    text: str
    answers: tuple[Answer, ...]


def question_of(feature: Feature, directory: Path, known: Collection[str] = ()) -> Question | None:
    """What a feature waits to be told; None: it waits for nobody.

    Args:
        feature: of the list.
        directory: the project's, named in the commands so that they work anywhere.
        known: ids of the list, to find those that the reason names.
    """
    if feature.status != "parked":
        return None
    where, name = f"--dir {shlex.quote(str(directory))}", feature.id
    show = Answer("See the check", f"harness check show {name} {where}")
    amend = Answer("Say it otherwise", f"harness check amend {name} --file FILE {where}")
    skip = Answer("Leave it out", f"harness skip {name} {where}")
    again = Answer("Have it tried again, with your word", f'harness reopen {name} --why "..." {where}')
    if feature.reason.startswith(DISPUTED):
        right = Answer("The check is right", f"harness check accept {name} {where}")
        return Question("Does the check say what you want?", (show, right, amend))
    if feature.reason.startswith(NEEDS_PERSON):
        right = Answer("It is so, on my word", f"harness check accept {name} {where}")
        return Question("Nothing could make part of the check fail. Do you take it on your word?", (show, right, amend))
    if feature.reason.startswith(NEEDS_DECISION):
        named = set(re.findall(r"[A-Za-z0-9_-]+", feature.reason)) & set(known) - {name}
        changes = json.dumps({"changes": sorted({*feature.changes, *named})})
        may = Answer("It may", f"echo {shlex.quote(changes)} | harness plan amend {name} --file - --yes {where}")
        return Question("May it change what is proved already?", (may, skip))
    if feature.reason.startswith(SKIPPED):
        return Question("You set it aside. Is it wanted again?", (Answer("Have it built", again.command),))
    return Question("What should be done differently?", (again, skip))
