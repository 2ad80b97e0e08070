"""Lets a scripted coder loose on a project with the real program, and says what came of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bad_input_support import Person, Ran, git
from liar_scripts import FORGED, Liar
from scripted import ScriptedModel

ONE_TRY = "[limits]\nrepairs = 0\nsessions = 1\n"


@dataclass(frozen=True)
class Outcome:
    """What one coder reached."""

    liar: Liar
    ran: Ran
    passes: tuple[str, ...]
    """Features that pass now, those that were honestly built before left out."""
    rewritten: bool
    """The list says other things than before, or there are commits that the harness did not make."""
    reason: str
    told: str
    """All that its tools answered, and the reason."""

    @property
    def false_done(self) -> bool:
        """Something is called done that is not."""
        return (bool(self.passes) or self.rewritten) and not self.liar.honest

    @property
    def is_as_meant(self) -> bool:
        """A twin passes, a liar is stopped by what is meant to stop it, a known limit is one."""
        if self.liar.honest or self.liar.limit:
            return self.liar.feature in self.passes
        return not self.false_done and re.search(self.liar.words, self.told) is not None


def let_loose(project: Path, liar: Liar, person: Person) -> Outcome:
    """Run the program on a project until the coder has had its one try.

    Args:
        project: a fresh clone.
        liar: the coder, with its author and its binder.
        person: whose environment the program gets.
    """
    (project / "harness.toml").write_text((project / "harness.toml").read_text() + ONE_TRY)
    git(project, "commit", "--quiet", "-am", "one try")
    texts = _texts(project)
    with ScriptedModel(liar.answer) as model:
        person = Person({**person.env}, model.base_url)
        before = [person.run("run", project, "--feature", "F001")] if liar.first else []
        ran = person.run("run", project, "--feature", liar.feature)
        requests = model.requests
    told = [
        str(m["content"])
        for r in requests
        for m in r.messages
        if m["role"] == "tool" and liar.feature in r.conversation
    ]
    features = _features(project)
    reason = next(f.get("reason", "") for f in features if f["id"] == liar.feature)
    passes = tuple(f["id"] for f in features if f["passes"] and not (before and f["id"] == "F001"))
    rewritten = _texts(project) != texts or _foreign_commits(project) > 0
    return Outcome(liar, ran, passes, rewritten, reason, "\n".join([*told, reason]))


def _features(project: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((project / "features.json").read_text())["features"]
    return found


def _texts(project: Path) -> list[tuple[str, ...]]:
    return [(f["id"], f["description"], *f["steps"]) for f in _features(project)]


def _foreign_commits(project: Path) -> int:
    """Commits that neither the harness nor the person made; the coders who commit all say so in the subject."""
    return git(project, "log", "--all", "--format=%s").splitlines().count(FORGED)
