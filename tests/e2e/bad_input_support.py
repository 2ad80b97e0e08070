"""A project to be mistreated, made once by the real command line and cloned for each test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import notes_script
from scripted import Request, ScriptedModel, call, calls
from warm import WARM

from harness.settings import user_config_path

DEAD = "http://127.0.0.1:9/v1"
"""Port 9 of the loopback: nobody listens."""
HASTY = "[model]\nmax_retries = 1\ncall_seconds = 20\n[app]\nstart_seconds = 3\nprepare_seconds = 5\n"
"""Settings that keep tests of waiting short."""
IDENTITY = "[user]\nname = Test Person\nemail = person@example.invalid\n[init]\ndefaultBranch = main\n"


@dataclass(frozen=True)
class Ran:
    """A command of ours that has ended."""

    code: int
    out: str
    err: str

    def is_clear(self, code: int, *words: str) -> None:
        """One message with these words, this exit code, no traceback."""
        assert self.code == code, self
        said = self.err if code >= 2 else self.out
        for word in words:
            assert re.search(word, said), f"{word!r} is not in:\n{said}"
        assert "Traceback" not in self.out + self.err, self
        assert "unexpected" not in self.err, self

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"

    __repr__ = __str__


@dataclass(frozen=True)
class Person:
    """Somebody at a shell: the environment of their commands.

    Recall by words is enough for these tests, and the embedding libraries take longer to import than a test to run.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    base_url: str = DEAD

    def run(self, *words: str | Path, wrapped_in: Sequence[str] = (), **env: str) -> Ran:
        """`harness ...`, to its end; `wrapped_in` goes before the command."""
        argv = [*wrapped_in, *self.command(*words)] if wrapped_in else self.forked(*words)
        done = subprocess.run(
            argv, env=self.environment(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def forked(self, *words: str | Path) -> list[str]:
        """The same as `command`, sooner."""
        return WARM.command(*words)

    def command(self, *words: str | Path) -> list[str]:
        """The words of a command of ours."""
        return [sys.executable, "-m", "harness", *map(str, words)]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """All variables; one given as empty is taken out."""
        ours = {"OPENAI_MODEL": "scripted", "OPENAI_BASE_URL": self.base_url}
        env = {**os.environ, **ours, **self.env, **(more or {})}
        return {name: value for name, value in env.items() if value}


def no_mistakes(request: Request) -> Any:
    """The model of the notes, but it builds the first feature at once."""
    if not request.conversation.endswith("/s001-F001"):
        return notes_script.answer(request)
    if request.turn == 0:
        files = {"index.html": notes_script.PAGE, "app.js": notes_script.ADD}
        return calls([("write_file", {"path": name, "content": text}) for name, text in files.items()])
    return call("finish", summary="Notes are kept.")


def git(directory: Path, *words: str) -> str:
    """Run git as the person."""
    done = subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(directory: Path, subject: str = "change") -> str:
    """Commit all that is there, as the person."""
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "-m", subject)
    return git(directory, "rev-parse", "HEAD").strip()


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a project and the person's branch, to compare before and after."""
    files = {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(directory).parts
    }
    heads = git(directory, "for-each-ref", "refs/heads/main") if _is_repo(directory) else ""
    return {**files, "(heads)": heads.encode()}


def make_template(directory: Path) -> Path:
    """An initialised project with two open features and hasty settings."""
    project = directory / "template"
    project.mkdir()
    spec = directory / "spec.md"
    spec.write_text(notes_script.SPEC)
    with ScriptedModel(notes_script.answer) as model:
        made = Person(base_url=model.base_url).run("init", project, "--spec", spec, "--yes", "--thread", "demo")
    assert made.code == 0, made
    (project / "harness.toml").write_text(HASTY)
    commit(project, "settings")
    return project


def set_for_user(text: str) -> None:
    """Write the settings of the test's person, where those lie that no project may make."""
    user_config_path().parent.mkdir(parents=True, exist_ok=True)
    user_config_path().write_text(text)


def clone(template: Path, directory: Path) -> Path:
    """The project as another person has it: git's part alone, no state."""
    subprocess.run(["git", "clone", "--quiet", str(template), str(directory)], check=True)
    return directory


def unchanged(directory: Path, work: Callable[[], Ran]) -> Ran:
    """Run a command that must not change a file or a branch of the person's."""
    before = contents(directory)
    ran = work()
    assert contents(directory) == before
    return ran


def _is_repo(directory: Path) -> bool:
    return (directory / ".git").exists()
