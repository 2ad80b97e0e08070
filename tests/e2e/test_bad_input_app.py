"""An init.sh that does not bring the application up: the model is shown why, and the tries come to an end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import notes_script
import pytest
from bad_input_support import HASTY, Person, contents, no_mistakes, set_for_user, unchanged
from scripted import Request, ScriptedModel, call, calls

pytestmark = [pytest.mark.needs("chromium", "bwrap", "git"), pytest.mark.timeout(300)]

SERVE = 'serve) exec python3 -m http.server "$PORT" --bind 127.0.0.1 ;;'
CASES = {
    "prepare fails": (
        "prepare) echo 'no such package: left-pad' >&2; exit 7 ;; " + SERVE,
        ["init.sh prepare` ended with exit code 7", "no such package: left-pad"],
    ),
    "prepare hangs": ("prepare) sleep 600 ;; " + SERVE, ["init.sh prepare` did not end within"]),
    "serve ends": (
        "prepare) ;; serve) echo 'cannot find module' >&2; exit 3 ;;",
        ["init.sh serve` ended with exit code 3", "must stay in the foreground", "cannot find module"],
    ),
    "never listens": ("prepare) ;; serve) echo waiting; sleep 600 ;;", ["never listens", "waiting"]),
    "another port": (
        "prepare) ;; serve) exec python3 -m http.server 3456 --bind 127.0.0.1 ;;",
        [r"does not listen on \$PORT", "another port (3456)"],
    ),
}


def script(cases: str) -> str:
    return f'#!/usr/bin/env bash\ncase "${{1:-}}" in {cases} esac\n'


def write(name: str, content: str) -> tuple[str, dict[str, Any]]:
    return "write_file", {"path": name, "content": content}


def scaffolding(bad: str, good: str | None) -> Callable[[Request], Any]:
    """Writes a bad init.sh, then the good one when it is shown evidence; None: never."""

    def answer(request: Request) -> Any:
        if request.conversation.split("/")[1] != "s000-init":
            return notes_script.answer(request)
        shown = sum("does not start" in str(m["content"]) for m in request.messages if m["role"] == "user")
        if request.messages[-1]["role"] == "user":
            written = good if shown and good else bad
            files = [write("init.sh", written), write("index.html", "<!doctype html><title>Empty</title><p>Nothing")]
            return calls([*files, ("run_command", {"command": "chmod +x init.sh"})])
        return call("finish", summary="It should start.")

    return answer


def initialise(project: Path, answer: Callable[[Request], Any]) -> tuple[Any, list[Request]]:
    project.mkdir(exist_ok=True)
    (project / "harness.toml").write_text(HASTY)
    with ScriptedModel(answer) as model:
        ran = Person(base_url=model.base_url).run("init", project, "--spec", notes_script.SPEC, "--yes")
    return ran, model.requests


@pytest.mark.parametrize("kind", CASES)
def test_the_reason_why_it_does_not_start_reaches_the_model(tmp_path: Path, kind: str) -> None:
    bad, words = CASES[kind]
    ran, requests = initialise(tmp_path / "project", scaffolding(script(bad), notes_script.INIT))
    ran.is_clear(0, "initialised")
    shown = [str(r.messages[-1]["content"]) for r in requests if "does not start" in str(r.messages[-1]["content"])]
    assert len(shown) == 1
    for word in words:
        assert word.replace("\\", "") in shown[0], shown[0]


def test_an_application_that_never_starts_ends_the_tries_and_a_person_can_mend_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    bad, _ = CASES["serve ends"]
    ran, requests = initialise(project, scaffolding(script(bad), None))
    ran.is_clear(3, "does not start the application after 3 tries", "cannot find module", "harness init")
    assert sum(r.messages[-1]["role"] == "user" and "s000-init" in r.conversation for r in requests) == 4
    assert set(contents(project)) == {"harness.toml", "(heads)"}

    worktree = next(Path(word) for word in ran.err.replace(",", " ").split() if "/worktrees/" in word)
    (worktree / "init.sh").write_text(notes_script.INIT)
    again, requests = initialise(project, scaffolding(script(bad), None))
    again.is_clear(0, "initialised")
    assert requests == []


def test_a_feature_that_breaks_init_sh_is_not_committed(project: Path) -> None:
    """The coder breaks the start, is shown why, and mends it."""
    bad, words = CASES["serve ends"]

    def answer(request: Request) -> Any:
        if not request.conversation.endswith("/s001-F001"):
            return notes_script.answer(request)
        is_shown = any("does not start" in str(m["content"]) for m in request.messages if m["role"] == "user")
        if request.messages[-1]["role"] == "user":
            app = [write("index.html", notes_script.PAGE), write("app.js", notes_script.ADD)]
            return calls([*app, write("init.sh", notes_script.INIT if is_shown else script(bad))])
        return call("finish", summary="Notes are kept.")

    with ScriptedModel(answer) as model:
        ran = Person(base_url=model.base_url).run("run", project, "--feature", "F001")
    ran.is_clear(1, "1 of 2 features pass")
    shown = [str(m["content"]) for r in model.requests for m in r.messages if m["role"] == "user"]
    assert any(all(word.replace("\\", "") in text for word in words) for text in shown)
    assert (project / "init.sh").read_text() == notes_script.INIT


def chromium_at(path: Path, program: str) -> None:
    """Put a program in the place of Chromium, somewhere no package puts one."""
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    set_for_user(f'[verify]\nchromium = "{path}"\n')


def test_a_program_that_is_no_chromium_is_named_and_the_work_is_kept(project: Path, tmp_path: Path) -> None:
    chromium_at(tmp_path / "opt" / "browser", "exit 4")
    with ScriptedModel(no_mistakes) as model:
        person = Person(base_url=model.base_url)
        ran = unchanged(project, lambda: person.run("run", project, "--thread", "mine", "--feature", "F001"))
        ran.is_clear(5, r"Chromium \(.*/opt/browser\) does not start", "harness doctor", "resume mine")
        set_for_user("")
        before = len(model.requests)
        person.run("run", project, "--feature", "F001").is_clear(1, "1 of 2 features pass")
    again = [r.conversation for r in model.requests[before:]]
    assert "mine/s001-F001" not in again, "what the coder did is not asked for again"
