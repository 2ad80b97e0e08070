"""The to-do application as a project whose features are proved and committed, as a run leaves it, without a model."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from apps import todo_app

from harness.commits import make_trailers
from harness.events import Events
from harness.features import Feature, FeatureList, PassedAt, Proof, mark_passed, park, reopen
from harness.ledger import Ledger
from harness.parts import Parts
from harness.project import Project
from harness.repo import Repo
from harness.settings import Settings
from harness.verify.check import Element
from harness.verify.hall import OWN_FILES

PROVED = ("add", "complete", "filter", "keep")
"""Features that pass; `delete` was parked and is open again."""


class Judged(NamedTuple):
    content: str
    evidence: str = ""


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


def make_once(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """One for all tests of a module, which copy it; made with an identity and a state of its own."""
    directory = tmp_path_factory.mktemp(name)
    (directory / "gitconfig").write_text("[user]\nname = P\nemail = p@example.invalid\n[init]\ndefaultBranch = main\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(directory / "gitconfig"))
        patch.setenv("HARNESS_STATE_DIR", str(directory / "state"))
        return asyncio.run(make(directory / "project"))


async def make(directory: Path, inside: str = "") -> Path:
    """Make the repository and its history; returns the project's directory, which may lie inside it."""
    project_dir = directory / inside
    project_dir.mkdir(parents=True)
    git(directory, "init", "--quiet")
    todo_app.make(project_dir)
    features = FeatureList(
        features=tuple(Feature(id=name, description=name, steps=tuple(steps)) for name, steps in todo_app.STEPS.items())
    )
    (project_dir / "features.json").write_text(features.to_json(), encoding="utf-8")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message", "start")
    ledger = Ledger(parts_of(project_dir))
    for number, name in enumerate(PROVED, 1):
        await _prove(ledger, name, number)
    await ledger.commit_state("delete", "parked", "why", park(await ledger.features(), "delete", "why"), ())
    await ledger.commit_state("delete", "reopened", "again", reopen(await ledger.features(), "delete", "again"), ())
    return project_dir


async def _prove(ledger: Ledger, name: str, number: int) -> None:
    tree = await ledger.tree()
    (tree.directory / f"made-for-{name}.txt").write_text(name, encoding="utf-8")
    check, session = todo_app.CHECKS[name], f"s{number:03}-{name}"
    passed = PassedAt(session=session, time=datetime.now(UTC), baseline=await ledger.head(), check=check.digest())
    features = mark_passed(await ledger.features(), name, Proof(red=1), passed)
    judged = Judged((await tree.snapshot(OWN_FILES)).content)
    trailers = make_trailers("t-1", session, name)
    more = {} if number > 1 else _elements()
    pictures = {"add/list": base64.b64encode(b"as it looked").decode()} if number == 1 else {}
    await ledger.commit(name, "", trailers, features, check=check, elements=more, pictures=pictures, judged=judged)


def _elements() -> dict[str, Element]:
    described = todo_app.TARGETS.items()
    return {name: Element(description=words, locator=todo_app.ELEMENTS[name]) for name, words in described}


def parts_of(directory: Path) -> Parts:
    """What a ledger needs of a run, without a model."""
    project, unused = Project.find(directory), cast("Any", None)
    project.prepare_state()
    repo = Repo.open(directory)
    return Parts(project, Settings(), "t-1", repo, unused, unused, Events(), unused, unused)
