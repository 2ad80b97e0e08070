"""A project of another harness is taken over: what its list claims is proved before anything is built."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import notes_script
import pytest
from bad_input_support import HASTY, Person, commit, contents, git, unchanged
from killing import Killer, Strike, committed, replay, stage
from scripted import Request, ScriptedModel, call, calls

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(300)]

DEAD_BUTTON = notes_script.BUTTON.replace("notes.splice(i, 1); save();", "")
"""A Delete button that deletes nothing."""
THEIRS = [
    {key: planned[key] for key in ("category", "description", "steps") if key in planned} | {"passes": True}
    for planned in notes_script.PLAN["features"]
]
"""Both features of the notes, both said to pass, without ids."""
ALONE = """#!/usr/bin/env bash
python3 -m http.server 3000
"""
NO_MODEL = {"OPENAI_MODEL": "", "OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""}


def begun_elsewhere(directory: Path, *, script: str = notes_script.INIT, entries: Any = None) -> Path:
    """An application whose second feature does not work, with a list that says it does."""
    directory.mkdir()
    git(directory, "init", "--quiet")
    works = notes_script.ADD.replace("/*BUTTON*/", f"{DEAD_BUTTON} /*MEND*/")
    files = {
        "feature_list.json": json.dumps(THEIRS if entries is None else entries),
        "app_spec.txt": notes_script.SPEC,
        "claude-progress.txt": "Session 1\n\nNotes are kept in localStorage under the key notes.\n",
        "init.sh": script,
        "index.html": notes_script.PAGE,
        "app.js": works,
        "harness.toml": HASTY,
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    (directory / "init.sh").chmod(0o755)
    commit(directory, "theirs")
    return directory


def mends(request: Request) -> Any:
    """The notes' model; a second author agrees, and a coder is asked for the second feature alone."""
    if request.conversation.endswith("/second/contract"):
        return call("submit", notes_script.CONTRACTS[request.conversation.split("/")[1].partition("-")[2]])
    if not request.conversation.endswith("-F002"):
        return notes_script.answer(request)
    if request.turn:
        return call("finish", summary="The Delete button deletes.")
    mended = [{"search": DEAD_BUTTON, "replace": notes_script.BUTTON}]
    return call("edit_file", path="app.js", edits=mended)


def listed(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((directory / "features.json").read_text())["features"]
    return found


def coded(model: ScriptedModel) -> set[str]:
    """Conversations of coders."""
    return {r.conversation for r in model.requests if "write_file" in r.tool_names}


def test_a_true_claim_is_proved_without_coding_and_a_false_one_is_taken_away_and_built(tmp_path: Path) -> None:
    project = begun_elsewhere(tmp_path / "notes")
    before = contents(project)
    adopted = Person(env=NO_MODEL).run("init", "--adopt", project, "--thread", "demo")
    adopted.is_clear(0, "2 features, 2 of them claimed", "initialised")
    assert [(f["id"], f["passes"], f.get("claimed")) for f in listed(project)] == [
        ("F001", False, True),
        ("F002", False, True),
    ]
    now = contents(project)
    assert {name: now[name] for name in before if name != "(heads)"} == {
        name: text for name, text in before.items() if name != "(heads)"
    }
    assert (project / "spec.md").read_text() == notes_script.SPEC

    with ScriptedModel(mends) as model:
        person = Person(base_url=model.base_url)
        person.run("run", project, "--max-sessions", "2").is_clear(1, "2 sessions are used up")
        assert coded(model) == set()
        first, second = listed(project)
        assert first["passes"]
        assert not second["passes"]
        assert "claimed" not in second
        assert second["reason"].startswith("claimed, and not so: ")
        person.run("status", project).is_clear(0, r"open +F002", r"claimed, and not so: ")
        person.run("run", project).is_clear(0, "2 of 2 features pass")
        assert {name.rpartition("/")[2] for name in coded(model)} == {"s003-F002"}
        brief = next(r.last for r in model.requests if r.conversation.endswith("s003-F002"))
        assert "It was said to be there" in brief
        assert "kept in localStorage under the key notes" in brief
    told = json.loads((project / "progress.json").read_text())["sessions"]
    assert [(s["session"], s["outcome"], s["turns"] > 0) for s in told] == [
        ("s001-F001", "passed", False),
        ("s002-F002", "failed", False),
        ("s003-F002", "passed", True),
    ]
    proved = git(project, "log", "--format=%s", "-F", "--grep=Harness-Feature: F001").splitlines()
    assert proved == [f"F001: {THEIRS[0]['description']}"]
    changed = git(project, "log", "-1", "--name-only", "--format=", "-F", "--grep=Harness-Session: s001-F001").split()
    assert not {"app.js", "index.html", "init.sh"} & set(changed)
    person.run("verify", project).is_clear(0, "2 of 2 checks pass")
    doctor = person.run("doctor", project, "--offline", "--json")
    audit = [f["level"] for f in json.loads(doctor.out) if f["name"] == "audit"]
    assert audit == ["ok"], doctor


def test_a_start_that_does_not_fit_stops_safely_and_goes_on_once_it_is_mended(tmp_path: Path) -> None:
    project = begun_elsewhere(tmp_path / "notes", script=ALONE)
    person = Person(env=NO_MODEL)
    ran = unchanged(project, lambda: person.run("init", "--adopt", project))
    ran.is_clear(3, "looks at no argument", r"\./init\.sh serve", r"\$PORT", "No model is named")
    (project / "init.sh").write_text(notes_script.INIT)
    commit(project, "mended by hand")
    person.run("init", "--adopt", project).is_clear(0, "initialised")
    assert (project / "init.sh").read_text() == notes_script.INIT
    assert len(listed(project)) == 2


def test_a_start_that_does_not_fit_is_adapted_in_a_session_where_there_is_a_model(tmp_path: Path) -> None:
    project = begun_elsewhere(tmp_path / "notes", script=ALONE)

    def adapts(request: Request) -> Any:
        assert request.conversation.endswith("/s000-init"), request.conversation
        assert "You take over a project" in request.system
        if request.turn:
            return call("finish", summary="It starts by prepare and serve.")
        return calls([("write_file", {"path": "init.sh", "content": notes_script.INIT})])

    with ScriptedModel(adapts) as model:
        Person(base_url=model.base_url).run("init", "--adopt", project).is_clear(0, "initialised")
        assert "looks at no argument" in model.requests[0].last
    assert (project / "init.sh").read_text() == notes_script.INIT
    assert sorted(git(project, "show", "--name-only", "--format=", "HEAD").split()) == [
        "features.json", "init.sh", "progress.json", "spec.md",
    ]  # fmt: skip


def test_claims_are_kept_while_the_gate_of_the_project_fails(tmp_path: Path) -> None:
    project = begun_elsewhere(tmp_path / "notes")
    (project / "harness.toml").write_text(f'{HASTY}[gate]\ncommands = ["grep -q notes lint.txt"]\n')
    commit(project, "a gate that fails")
    Person(env=NO_MODEL).run("init", "--adopt", project).is_clear(0, "initialised")
    with ScriptedModel(mends) as model:
        person = Person(base_url=model.base_url)
        person.run("run", project).is_clear(3, "grep -q notes lint.txt", "No claim was taken away")
        assert [f.get("claimed") for f in listed(project)] == [True, True]
        (project / "lint.txt").write_text("notes\n")
        commit(project, "mended")
        person.run("run", project).is_clear(0, "2 of 2 features pass")
        assert {name.rpartition("-")[2] for name in coded(model)} == {"F002"}


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda d: (d / "feature_list.json").unlink(), 3, "no list to adopt"),
        (lambda d: (d / "feature_list.json").write_text("[{]"), 4, r"feature_list\.json:1:3 is not JSON"),
        (lambda d: (d / "feature_list.json").write_text("[]"), 4, "lists no features"),
        (lambda d: (d / "app_spec.txt").unlink(), 3, "no specification"),
        (lambda d: (d / "spec.md").write_text("Another one\n"), 3, r"would write spec\.md"),
        (lambda d: (d / "progress.json").write_text("{}"), 3, r"would write progress\.json"),
        (lambda d: (d / "init.sh").unlink() or commit(d), 3, "no init.sh in the last commit"),
    ],
    ids=["no list", "no JSON", "nothing in it", "no specification", "spec.md", "progress.json", "no init.sh"],
)
def test_what_cannot_be_adopted_is_one_message_and_nothing_is_changed(
    tmp_path: Path, change: Any, code: int, said: str
) -> None:
    project = begun_elsewhere(tmp_path / "notes")
    change(project)
    unchanged(project, lambda: Person(env=NO_MODEL).run("init", "--adopt", project)).is_clear(code, said)


def test_what_is_not_in_git_is_not_adopted(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "feature_list.json").write_text(json.dumps(THEIRS))
    (tmp_path / "bare" / "app_spec.txt").write_text(notes_script.SPEC)
    person = Person(env=NO_MODEL)
    person.run("init", "--adopt", tmp_path / "bare").is_clear(3, "not in a git repository", "git init")
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "bare")], check=True)
    person.run("init", "--adopt", tmp_path / "bare").is_clear(3, "Nothing is committed", "git add")
    commit(tmp_path / "bare", "begin")
    person.run("init", "--adopt", tmp_path / "bare").is_clear(3, "no init.sh in the last commit")


def of_kind(kind: str, **facts: Any) -> Any:
    return lambda e: e["kind"] == kind and all(e[name] == value for name, value in facts.items())


STRIKES = [
    Strike("contract", stage("contract")),
    Strike("the session that only looks", of_kind("session")),
    Strike("replay", replay("prove")),
    Strike("the middle of a commit", None),
    Strike("after the commit, before its record", committed("F001")),
    Strike("the claim that does not hold", of_kind("verdict", passed=False)),
    Strike("the claim just taken away", of_kind("state", change="refuted")),
]


def test_claims_that_are_killed_while_they_are_proved_end_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, state = begun_elsewhere(tmp_path / "notes"), tmp_path / "state"
    monkeypatch.setenv("HARNESS_STATE_DIR", str(state))
    Person(env=NO_MODEL).run("init", "--adopt", project, "--thread", "demo").is_clear(0, "initialised")
    struck = []
    with ScriptedModel(mends) as model:
        killer = Killer(["run"], project, state, Person(base_url=model.base_url).environment())
        for strike in STRIKES:
            code = killer.run(strike)
            assert code in (0, -signal.SIGKILL), (strike.name, code, (tmp_path / "output.txt").read_text()[-3000:])
            struck += [strike.name] * (code != 0)
        assert killer.run(None) == 0, (tmp_path / "output.txt").read_text()[-3000:]
        assert {name.rpartition("-")[2] for name in coded(model)} == {"F002"}
    assert len(struck) >= 6, struck
    assert all(f["passes"] for f in listed(project))
    events = ["Harness-Feature: F001", "Harness-Event: refuted"]
    assert [len(git(project, "log", "--format=%H", "-F", f"--grep={e}").split()) for e in events] == [1, 1]
    told = json.loads((project / "progress.json").read_text())["sessions"]
    assert [(s["feature"], s["outcome"]) for s in told] == [("F001", "passed"), ("F002", "failed"), ("F002", "passed")]
    assert git(project, "status", "--porcelain") == ""
