"""A person looks at what is proved: before the commit or after it, at once or when the build is gone on with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import notes_script
import pytest
from scripted import ScriptedModel

from harness.cli.run import proposal_text
from harness.errors import SetupError
from harness.events import Events
from harness.opening import Stop
from harness.reviewing import Answer, Proposal, Review, given
from harness.runtime import Ended, build, initialise

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(900)]


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


def passed(directory: Path) -> list[str]:
    return [f["id"] for f in json.loads((directory / "features.json").read_text())["features"] if f["passes"]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    directory = tmp_path / "notes"
    with ScriptedModel(notes_script.answer) as model:
        flags = {"model": {"name": "scripted", "base_url": model.base_url}}

        async def once(review: Review | None = None, **more: Any) -> Ended:
            more = {"flags": flags, "events": Events(), "stop": Stop(), "thread_id": "t", **more}
            if not directory.exists():
                more |= {"wanted": 0, "accept": None}
                return await initialise(directory, notes_script.SPEC, **more)
            return await build(directory, must_exist=True, approval=review, **more)

        yield once


async def test_nothing_is_committed_before_the_person_said_so_and_a_stopped_question_stays_open(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    directory, asked, answers = tmp_path / "notes", list[Proposal](), [Answer("reopen", "more blue"), Answer("stop")]

    def ask(proposal: Proposal) -> Answer:
        asked.append(proposal)
        assert passed(directory) == []
        assert Path(proposal.evidence).is_dir()
        return answers.pop(0)

    await run()
    ended = await run(Review("commits", ask), only="F001")
    assert (ended.exit_status, ended.exit_code) == ("AwaitsReview", 1)
    assert [each.feature_id for each in asked] == ["F001", "F001"]
    first = asked[0]
    assert first.commit_sha == ""
    assert first.diff is not None
    assert [file.path for file in first.diff.files] == ["app.js", "index.html"], "none of the harness's own files"
    text = proposal_text(first)
    for words in ("F001 passed, not committed yet", "red before", "2 files, +", "Notes are kept in localStorage"):
        assert words in text, text
    log = git(directory, "log", "--format=%s%n%b")
    assert "reopened by a person: more blue" in log
    assert "Harness-Feature: F001\nHarness-Audit" not in log

    nobody = await run(only="F001")
    assert nobody.exit_status == "AwaitsReview"
    assert f"`harness resume t {directory} --accept`, or --reopen TEXT" in nobody.reason
    assert passed(directory) == []

    await run(given(Answer("accept")), only="F001")
    assert passed(directory) == ["F001"]
    with pytest.raises(SetupError, match="waits for your word"):
        await run(given(Answer("accept")), only="F001")

    after: list[Proposal] = []

    def after_all(proposal: Proposal) -> Answer:
        after.append(proposal)
        assert passed(directory) == ["F001", "F002"]
        return Answer("stop")

    ended = await run(Review("features", after_all))
    assert ended.exit_status == "AwaitsReview"
    assert after[0].commit_sha == git(directory, "rev-parse", "HEAD").strip()
    stop = Stop()
    stop.request()  # at the first safe point after the answer
    ended = await run(given(Answer("reopen", "a bin in place of the word")), stop=stop)
    assert ended.exit_status == "Interrupted"
    second = json.loads((directory / "features.json").read_text())["features"][1]
    assert (second["id"], second["passes"]) == ("F002", False)
    assert second["reason"] == "reopened by a person: a bin in place of the word"


def test_without_a_terminal_it_is_refused_with_words(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "harness", "run", str(tmp_path), "--review", "features"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "this is no terminal" in done.stderr
    ours, theirs = pty.openpty()
    twin = subprocess.run(argv, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert twin.returncode != 2, "on a terminal it goes on to the next question: whether there is a project"
    assert "no terminal" not in twin.stderr
