"""Code that others wrote is taken on: only what is asked for is built, and nothing that worked is broken."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import exchanges_script
import notes_script
import pytest
from bad_input_support import HASTY, Person, Ran, commit, contents, git, unchanged
from killing import Killer, Strike, stage
from scripted import Request, ScriptedModel, call, calls

pytestmark = [pytest.mark.needs("chromium", "bwrap", "node"), pytest.mark.timeout(300)]

SERVER = """const http = require("node:http"), fs = require("node:fs"), path = require("node:path");
const { typeOf } = require("./lib/types.js");
http.createServer((asked, answer) => {
  const file = path.join(__dirname, "public", asked.url === "/" ? "index.html" : path.basename(asked.url));
  if (!fs.existsSync(file)) { answer.writeHead(404).end(); return; }
  answer.writeHead(200, { "Content-Type": typeOf(file) }).end(fs.readFileSync(file));
}).listen(process.env.PORT || 3000, "127.0.0.1");
"""
TYPES = """const types = { ".html": "text/html", ".js": "text/javascript" };
exports.typeOf = (name) => types[name.slice(name.lastIndexOf("."))] || "text/plain";
"""
TESTS = """const { test } = require("node:test"), assert = require("node:assert");
const { typeOf } = require("../lib/types.js");
test("a page is HTML", () => assert.equal(typeOf("a.html"), "text/html"));
test("a program is JavaScript", () => assert.equal(typeOf("a.js"), "text/javascript"));
test("a picture is a picture", () => assert.equal(typeOf("a.png"), "image/png"));
"""
"""The third fails, and did before anybody came."""
PACKAGE = {"name": "notes", "private": True, "scripts": {"start": "node server.js", "test": "node --test test/"}}
SPEC = """# Notes

1. A user types a note and presses Enter; it appears in the list and is there after a reload.
2. Each note has a Delete button that removes it for good.
3. The page is titled Notes.
"""
PLAN = {
    "features": [{**notes_script.PLAN["features"][1], "depends_on": [], "covers": ["4"]}],
    "left_out": [{"lines": "3", "why": "It is there already."}, {"lines": "5", "why": "It is there already."}],
}
BROKEN_TYPES = TYPES.replace('".js": "text/javascript"', '".js": "text/javascript; charset=utf-8"')
"""Works in a browser, and a test that passed does not any more."""
TAKEN_OUT = """
from harness.existing import Existing
from harness.ledger import Ledger
from harness.verify import suite

async def nothing(*_):
    pass

suite.worse = lambda before, after: {}
Existing.leave_theirs = Ledger.require_settings = nothing
from harness.cli import main
main()
"""
"""The command with three of its controls taken out."""


class Careless(Person):
    """Somebody whose harness lacks them."""

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-c", TAKEN_OUT, *map(str, words)]

    forked = command


def written_by_others(directory: Path, **more: str) -> Path:
    """A small web application with a history and tests, of which one fails."""
    files = {
        "README.md": "# Notes\n\nNotes in the browser.\n",
        "package.json": json.dumps(PACKAGE),
        "server.js": SERVER,
        "public/index.html": notes_script.PAGE,
        "public/app.js": notes_script.ADD,
        "lib/types.js": TYPES,
        "test/types.test.js": TESTS,
        **more,
    }
    directory.mkdir(parents=True)
    if not any((place / ".git").exists() for place in directory.parents):
        git(directory, "init", "--quiet")
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        git(directory, "add", name)
        git(directory, "commit", "--quiet", "-m", f"add {name}", "-m", f"Because {name} is needed.")
    return directory


def builds(request: Request) -> Any:
    """Plans and builds the Delete button; on the way it breaks a test that passed, and mends that when told."""
    parts = request.conversation.split("/")
    if parts[1] == "plan":
        return call("submit", PLAN)
    if parts[1] == "contract":
        return call("submit", notes_script.CONTRACTS["F002"])
    if len(parts) > 2:
        return notes_script.answer(request)
    button = [{"search": "/*BUTTON*/", "replace": notes_script.BUTTON}]
    turns = [
        calls([
            ("edit_file", {"path": "public/app.js", "edits": button}),
            ("write_file", {"path": "lib/types.js", "content": BROKEN_TYPES}),
        ]),
        call("finish", summary="Each note has a Delete button."),
        call("write_file", path="lib/types.js", content=TYPES),
        call("finish", summary="Each note has a Delete button, and types are what they were."),
    ]  # fmt: skip
    return turns[request.turn]


TALLY_SPEC = """# Tally

1. `tally report FILE` of the command-line tool writes names with their counts into a file, sorted.
2. `tally add NAME` counts a name over several runs.
3. Without a command it says so on standard error and fails.
"""


def reports(request: Request) -> Any:
    """Plans and builds the report of a tool that is there."""
    script = exchanges_script.PROGRAM_SCRIPT
    part = request.conversation.split("/")[1]
    if part == "plan":
        there = {"lines": "4-5", "why": "It is there already."}
        planned = {**script.plan["features"][1], "depends_on": [], "covers": ["3"]}
        return call("submit", {"features": [planned], "left_out": [there]})
    if part == "contract":
        return call("submit", {"items": script.contracts["F002"]})
    return script.work["F002"][request.turn]


def test_a_program_that_is_there_is_called_by_its_name_and_gets_what_is_asked_for(tmp_path: Path) -> None:
    project = tmp_path / "tally"
    (project / "bin").mkdir(parents=True)
    (project / "bin/tally").write_text(exchanges_script.PROGRAM)
    (project / "bin/tally").chmod(0o755)
    (project / "test_tally.py").write_text(
        "import unittest\n\n\nclass Tally(unittest.TestCase):\n    def test_it(self): ...\n"
    )
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "count names")
    with ScriptedModel(reports) as model:
        person, spec = Person(base_url=model.base_url), tmp_path / "tally.md"
        spec.write_text(TALLY_SPEC)
        begun = person.run("init", project, "--spec", spec, "--yes")
        begun.is_clear(0)
        assert "built as a program or library" in begun.out
        assert "Start, proposed: init.sh with `./bin/tally --help`, because of bin/tally." in begun.out
        assert not told(model, "/s000-init"), "no model was needed to call it"
        person.run("run", project).is_clear(0)
    assert [f["passes"] for f in listed(project)] == [True]
    assert 'kind = "program"' in (project / "harness.toml").read_text()
    assert person.run("verify", project).code == 0
    (project / "bin/tally").write_text(exchanges_script.PROGRAM)
    assert person.run("verify", project).code == 1


def listed(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((directory / "features.json").read_text())["features"]
    return found


def told(model: ScriptedModel, ending: str) -> str:
    """All that was said in conversations that end so."""
    return "\n".join(str(m["content"]) for r in model.requests if r.conversation.endswith(ending) for m in r.messages)


def initialised(project: Path, model: ScriptedModel, spec: Path, *more: str) -> tuple[Person, Ran]:
    person = Person(base_url=model.base_url)
    spec.write_text(SPEC)
    return person, person.run("init", project, "--spec", spec, "--yes", *more)


def test_what_is_asked_for_is_built_and_the_tests_of_the_project_get_no_worse(tmp_path: Path) -> None:
    project = written_by_others(tmp_path / "notes")
    before = contents(project)
    with ScriptedModel(builds) as model:
        person, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(0, "1 features", "initialised")
        for said in (
            r"Start, proposed: init\.sh with `npm run --silent start`, because of package\.json",
            r"Tests, proposed as part of the gate: `node --test --test-reporter=junit",
            r"2 of 3 tests pass; what fails already.*a picture is a picture",
        ):
            assert any(re.search(said, line) for line in made.out.splitlines()), (said, made)
        assert [f["description"] for f in listed(project)] == ["A note can be deleted."]
        planned = told(model, "/plan/0")
        assert "Plan only what the specification asks for and the project does not do yet" in planned
        assert "Notes in the browser." in planned
        assert {r.conversation.split("/")[1] for r in model.requests} == {"plan"}, "no session was needed to start it"
        now = contents(project)
        assert all(now[name] == text for name, text in before.items() if name != "(heads)")
        assert sorted(git(project, "show", "--name-only", "--format=", "HEAD").split()) == [
            "features.json", "harness.toml", "init.sh", "progress.json", "spec.md",
        ]  # fmt: skip

        built = person.run("run", project)
        built.is_clear(0, "1 of 1 features pass")
        evidence = told(model, "/s001-F001")
        assert "a program is JavaScript: passed before, fails now" in evidence
        assert "a picture is a picture: passed before" not in evidence
    assert (project / "lib" / "types.js").read_text() == TYPES
    assert "Tests: 2 of 3 tests pass, 1 failed before already." in git(project, "log", "-1", "--format=%B")
    person.run("verify", project).is_clear(0, "1 of 1 checks pass")


def test_with_the_comparison_taken_out_what_breaks_a_test_is_committed(tmp_path: Path) -> None:
    project = written_by_others(tmp_path / "notes")
    with ScriptedModel(builds) as model:
        _, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(0, "initialised")
        Careless(base_url=model.base_url).run("run", project).is_clear(0, "1 of 1 features pass")
    assert (project / "lib" / "types.js").read_text() == BROKEN_TYPES


def test_history_is_remembered_and_can_be_recalled(tmp_path: Path, state_dir: Path) -> None:
    project = written_by_others(tmp_path / "notes")
    with ScriptedModel(builds) as model:
        person, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(0, "initialised")
    person.run("memory", "search", "why lib/types.js", "--dir", project).is_clear(0, "Because lib/types.js is needed")
    with sqlite3.connect(state_dir / "memory" / "records.db") as records:
        kept = records.execute("SELECT text FROM records WHERE kind = 'commit'").fetchall()
    assert len(kept) == len({text for (text,) in kept}) == 8, kept


@pytest.mark.parametrize("name", ["spec.md", "features.json", "checks/a.json"])
def test_files_with_our_names_are_named_and_not_written_over(tmp_path: Path, name: str) -> None:
    project = written_by_others(tmp_path / "notes", **{name: "{}"})
    with ScriptedModel(builds) as model:
        (tmp_path / "asked.md").write_text(SPEC)
        person = Person(base_url=model.base_url)
        ran = unchanged(project, lambda: person.run("init", project, "--spec", tmp_path / "asked.md", "--yes"))
        assert model.requests == []
    ran.is_clear(3, name.split("/")[0])


def test_code_that_is_in_no_commit_is_refused_before_a_model_is_asked(tmp_path: Path) -> None:
    project = tmp_path / "notes"
    project.mkdir()
    (project / "server.js").write_text(SERVER)
    with ScriptedModel(builds) as model:
        _, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(3, r"server\.js", "git add --all")
        assert model.requests == []


@pytest.mark.parametrize("is_watched", [True, False])
def test_an_own_init_sh_that_does_something_else_stays_and_another_script_starts_it(
    tmp_path: Path, is_watched: bool
) -> None:
    own = "#!/bin/bash\necho 'sets up my machine'\n"
    project = written_by_others(tmp_path / "notes", **{"init.sh": own})

    def adapts(request: Request) -> Any:
        if not request.conversation.endswith("/s000-init"):
            return builds(request)
        if request.turn:
            return call("finish", summary="It starts.")
        assert "Its own init.sh does something else and stays as it is: write `app.sh`" in request.last
        script = "case $1 in prepare) ;; serve) exec node server.js ;; esac\n"
        return calls([
            ("write_file", {"path": "app.sh", "content": f"#!/bin/bash\n{script}"}),
            ("write_file", {"path": "init.sh", "content": "#!/bin/bash\necho mine now\n"}),
            ("run_command", {"command": "chmod +x app.sh"}),
        ])  # fmt: skip

    with ScriptedModel(adapts) as model:
        person = Person(base_url=model.base_url) if is_watched else Careless(base_url=model.base_url)
        (tmp_path / "asked.md").write_text(SPEC)
        made = person.run("init", project, "--spec", tmp_path / "asked.md", "--yes")
        made.is_clear(0, "initialised", *["init.sh, which is yours; it is as it was"] * is_watched)
    assert ((project / "init.sh").read_text() == own) == is_watched
    assert 'serve = "./app.sh serve"' in (project / "harness.toml").read_text()


def test_where_init_sh_and_harness_toml_are_theirs_a_person_decides(tmp_path: Path) -> None:
    project = written_by_others(tmp_path / "notes", **{"init.sh": "#!/bin/sh\nexit 3\n", "harness.toml": HASTY})
    with ScriptedModel(builds) as model:
        _, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(3, r"init\.sh and harness\.toml are yours and stay", r"\$PORT")
        assert 'add to it: [gate] tests = "node --test' in made.out
    assert not (project / "features.json").exists()


def test_packages_without_a_registry_are_told_and_no_session_is_spent_on_them(tmp_path: Path) -> None:
    package = json.dumps({**PACKAGE, "dependencies": {"left-pad": "1.3.0"}})
    project = written_by_others(tmp_path / "notes", **{"package.json": package})
    with ScriptedModel(builds) as model:
        _, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(3, "--prepare-network registries")
        assert {r.conversation.split("/")[1] for r in model.requests} == {"plan"}


def test_a_start_that_nothing_speaks_for_is_proposed_in_a_session(tmp_path: Path) -> None:
    project = written_by_others(tmp_path / "notes", **{"package.json": "{}", "server.js": "", "main.js": SERVER})

    def proposes(request: Request) -> Any:
        if not request.conversation.endswith("/s000-init"):
            return builds(request)
        script = notes_script.INIT.replace('exec python3 -m http.server "$PORT" --bind 127.0.0.1', "exec node main.js")
        if request.turn:
            return call("finish", summary="It starts.")
        assert "Notes in the browser." in request.last
        return calls([("write_file", {"path": "init.sh", "content": script}),
                      ("run_command", {"command": "chmod +x init.sh"})])  # fmt: skip

    with ScriptedModel(proposes) as model:
        _, made = initialised(project, model, tmp_path / "asked.md")
        made.is_clear(0, "initialised")
    assert "exec node main.js" in (project / "init.sh").read_text()


def test_a_directory_of_a_larger_repository_is_a_project_of_its_own(tmp_path: Path, state_dir: Path) -> None:
    top = tmp_path / "repo"
    top.mkdir()
    git(top, "init", "--quiet")
    (top / "README.md").write_text("# Everything\n")
    commit(top, "everything begins")
    bank = written_by_others(top / "packages" / "bank")
    shop = written_by_others(top / "packages" / "shop")
    (bank / "server.js").write_text("not committed, and broken")
    (bank / "left.txt").write_text("new")
    with ScriptedModel(builds) as model:
        person, made = initialised(shop, model, tmp_path / "asked.md", "--thread", "demo")
        made.is_clear(0, "8 files are there already|7 files are there already", "initialised")
        assert "left.txt" not in made.out + told(model, "/plan/0")
        assert "packages/bank" not in told(model, "/plan/0")
        (bank / "more.txt").write_text("theirs")
        git(top, "add", "packages/bank/more.txt")
        git(top, "commit", "--quiet", "-m", "bank: more", "packages/bank/more.txt")
        person.run("run", shop).is_clear(0, "1 of 1 features pass")
        person.run("verify", shop).is_clear(0, "1 of 1 checks pass")
        person.run("status", shop).is_clear(0, "F001")
        person.run("init", bank, "--spec", tmp_path / "asked.md", "--yes", "--thread", "demo").is_clear(
            0, "Not committed, so the application is looked at without it: .*server.js", "initialised"
        )
        person.run("status", bank).is_clear(0, "open +F001")
    assert (bank / "server.js").read_text() == "not committed, and broken"
    assert sorted(git(top, "status", "--porcelain").split()) == [
        "??",
        "M",
        "packages/bank/left.txt",
        "packages/bank/server.js",
    ]
    ours = git(top, "log", "--name-only", "--format=", "-F", "--grep=Harness-Thread: demo").split()
    assert {name.split("/")[1] for name in ours} == {"shop", "bank"}
    assert "packages/shop/features.json" in ours
    assert not [name for name in ours if name.endswith(("server.js", "more.txt", "left.txt"))]
    branches = git(top, "for-each-ref", "--format=%(refname:short)", "refs/heads/harness").split()
    assert len(branches) == 2
    with sqlite3.connect(state_dir / "memory" / "records.db") as records:
        rows = records.execute("SELECT project, text FROM records WHERE kind = 'commit'").fetchall()
    said = {project.rpartition("-")[0]: [t for p, t in rows if p == project] for project, _ in rows}
    assert {*said} == {"shop", "bank"}
    assert not [text for text in said["shop"] if "everything begins" in text or "bank: more" in text]


STRIKES = [
    Strike("survey", stage("survey")),
    Strike("plan", stage("plan")),
    Strike("prove", stage("prove")),
    Strike("baseline", stage("baseline")),
    Strike("the middle of the commit", None),
]


def test_who_is_killed_on_the_way_goes_on_with_the_same_command(tmp_path: Path, state_dir: Path) -> None:
    project = written_by_others(tmp_path / "notes")
    (tmp_path / "asked.md").write_text(SPEC)
    struck = []
    with ScriptedModel(builds) as model:
        words = ["init", "--spec", str(tmp_path / "asked.md"), "--yes", "--thread", "demo"]
        killer = Killer(words, project, state_dir, Person(base_url=model.base_url).environment())
        for strike in STRIKES:
            code = killer.run(strike)
            assert code in (0, -signal.SIGKILL), (strike.name, code, (tmp_path / "output.txt").read_text()[-3000:])
            struck += [strike.name] * (code != 0)
            if code == 0:
                break
        else:
            assert killer.run(None) == 0, (tmp_path / "output.txt").read_text()[-3000:]
    assert len(struck) >= 4, struck
    assert len(git(project, "log", "--format=%H", "-F", "--grep=Harness-Event: baseline").split()) == 1
    assert [f["id"] for f in listed(project)] == ["F001"]
    assert (project / "init.sh").exists()
    assert (project / "harness.toml").exists()
    with sqlite3.connect(state_dir / "memory" / "records.db") as records:
        kept = records.execute("SELECT text FROM records WHERE kind = 'commit'").fetchall()
    assert len(kept) == len(set(kept)) == 8, kept
    assert git(project, "status", "--porcelain") == ""


def test_a_gate_that_did_not_reach_the_checkout_is_not_passed_over(tmp_path: Path) -> None:
    project = written_by_others(tmp_path / "notes")

    def while_they_work(request: Request) -> Any:
        if request.conversation.split("/")[1] == "plan":
            (project / "more.txt").write_text("committed while it is planned")
            commit(project, "more")
        return builds(request)

    with ScriptedModel(while_they_work) as model:
        person, made = initialised(project, model, tmp_path / "asked.md", "--thread", "demo")
        made.is_clear(0, "Your branch main stays where it is")
        assert not (project / "harness.toml").exists()
        refused = unchanged(project, lambda: person.run("run", project))
        refused.is_clear(3, r"harness\.toml is on harness/demo and not in your checkout", "git merge harness/demo")
        assert "/contract/" not in "".join(r.conversation for r in model.requests)
        Careless(base_url=model.base_url).run("run", project, "--max-turns", "1").is_clear(1, "turn")
        assert "/contract/" in "".join(r.conversation for r in model.requests), "with the look taken out it goes on"
    git(project, "merge", "--quiet", "harness/demo")
    assert "[gate]" in (project / "harness.toml").read_text()
