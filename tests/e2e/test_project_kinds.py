"""Projects of every kind, each built from its specification by a recorded conversation, on real parts.

What the model said lies in `kinds/<kind>/recording.jsonl`, beside the specification and, where there is one, the
person's `harness.toml`; all else happens here: sandbox, package registry, database, browser, git. Afterwards a
fault is put into the application, and of its proofs, replayed, the one that it breaks fails.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bad_input_support import Person, git

from harness.recording import RecordingServer

KINDS = Path(__file__).with_name("kinds")
FEW_LETTERS = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
INITDB = "/usr/lib/postgresql/*/bin/initdb"


@dataclass(frozen=True)
class Kind:
    """One kind of project, and a fault that a person may put into the application built for it."""

    name: str
    file: str
    right: str
    wrong: str
    failing: str
    """The feature that does not hold with the fault."""
    features: int = 2
    options: tuple[str, ...] = ()
    """Of init, run and verify."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Of the person: where the locale has few letters, everything works as elsewhere."""


def kind(name: str, *rest: str, needs: tuple[str, ...] = (), **more: Any) -> object:
    return pytest.param(Kind(name, *rest, **more), id=name, marks=pytest.mark.needs("chromium", "bwrap", *needs))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kind",
    [
        kind("static_page", "index.html", "toLowerCase().includes", "includes", "F002", env=FEW_LETTERS),
        kind(
            "vite", "src/main.js", "counter.count += 1", "counter.count += 2", "F002",
            needs=("npm",), options=("--prepare-network", "registries"),
        ),
        kind("sqlite", "server.py", 'get("search", [""])', 'get("sought", [""])', "F002"),
        kind("postgres", "server.py", "amount = amount - 1", "amount = amount - 2", "F002", needs=(INITDB,)),
        kind("login", "server.py", "where name = ? order", "where name != ? order", "F002"),
        kind("service", "store.py", "WHERE reader = ?", "WHERE reader != ?", "F005", features=5),
        kind("program", "bin/tally", "(-item[1], item[0])", "item[0]", "F003", features=5),
    ],
)  # fmt: skip
def test_a_project_of_this_kind_is_built_and_proved(kind: Kind, tmp_path: Path) -> None:
    given, project = KINDS / kind.name, tmp_path / "Mein Projekt ✓"
    project.mkdir()
    git(project, "init", "--quiet")
    if (given / "harness.toml").exists():
        shutil.copy(given / "harness.toml", project)
    with RecordingServer(given / "recording.jsonl") as server:
        person = Person(kind.env, server.base_url)
        words = ["--spec", given / "spec.md", "--yes", "--thread", kind.name]
        for command in (["init", project, *words], ["run", project]):
            person.run(*command, *kind.options).is_clear(0)
        assert server.divergences == []

    assert git(project, "status", "--porcelain").replace("?? harness.toml\n", "") == "", "all of it is committed"
    told = json.loads(person.run("status", project, "--json").out)
    assert told["totals"]["passing"] == told["totals"]["total"] == kind.features, told

    path = project / kind.file
    text = path.read_text()
    assert kind.right in text
    path.write_text(text.replace(kind.right, kind.wrong))
    person.run("verify", project, *kind.options).is_clear(1, rf"FAILED\s+{kind.failing}", r"[1-9] of \d checks pass")
    assert processes_in(project) == []


def processes_in(project: Path) -> list[str]:
    """Command lines that name the project or its state; none is left when a command of ours has ended."""
    told = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if str(project.parent) in line]
