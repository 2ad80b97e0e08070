"""A command-line agent of the person's builds in the place of our own loop, and is held to the same proof."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import notes_script
import pytest
from bad_input_support import Person, git
from scripted import ScriptedModel

from harness.settings import user_config_path

pytestmark = [pytest.mark.needs("chromium", "bwrap"), pytest.mark.timeout(600)]

HERE = Path(__file__).parent
KEY = "sk-standin-0123456789abcdef"
TALKATIVE = notes_script.INIT.replace(
    "prepare() { :; }", 'prepare() { echo "PREPARED"; env; env > /tmp/prepared; test ! -e ~/.standin; }'
).replace("serve() { exec", 'serve() { echo "SERVED"; env; exec')
"""Tells its environment in `prepare` and in the application's log."""


@dataclass
class Endpoint:
    """What the stand-in calls; it answers when it may."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    """What was said, and the key."""
    heard: Event = field(default_factory=Event)
    may_answer: Event = field(default_factory=Event)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = self.rfile.read(int(self.headers["Content-Length"])).decode()
            made.asked.append((said, self.headers["X-Key"]))
            made.heard.set()
            made.may_answer.wait(120)
            try:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"go on")
            except OSError:  # who asked is gone
                pass

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.2", 0), Handler) as server:
        made = Endpoint(server.server_port)
        made.may_answer.set()
        Thread(target=server.serve_forever, daemon=True).start()
        yield made
        made.may_answer.set()
        server.shutdown()


@pytest.fixture
def agent(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in is installed: outside of /usr, with settings in the person's home."""
    place = tmp_path / "agents"
    place.mkdir()
    (place / "stand_in_agent.py").write_text((HERE / "stand_in_agent.py").read_text())
    files = {"PAGE": notes_script.PAGE, "ADD": notes_script.ADD, "FORGETFUL": notes_script.FORGETFUL,
             "BUTTON": notes_script.BUTTON, "INIT": TALKATIVE}  # fmt: skip
    (place / "stand_in_files.py").write_text("".join(f"{name} = {text!r}\n" for name, text in files.items()))
    home = tmp_path / "home"
    (home / ".standin").mkdir(parents=True)
    (home / ".standin/settings.json").write_text("from my home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("STANDIN_KEY", KEY)
    monkeypatch.setenv("STANDIN_URL", f"http://127.0.0.2:{endpoint.port}/")
    return place


def configure(agent: Path, endpoint: Endpoint, manner: str, *words: str, **more: object) -> None:
    """The person's own settings."""
    coder = {
        "command": ["python3", str(agent / "stand_in_agent.py"), manner, *words],
        "hosts": [f"127.0.0.2:{endpoint.port}"],
        "pass_env": ["STANDIN_KEY", "STANDIN_URL"],
        "home": ["~/.standin"],
        "read_only": [str(agent)],
        **more,
    }
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in coder.items())
    user_config_path().parent.mkdir(parents=True, exist_ok=True)
    user_config_path().write_text(f"[verify]\nwait_seconds = 3\n[coder]\n{lines}", encoding="utf-8")


def run(project: Path, model: ScriptedModel, *words: str, feature: str = "F001") -> tuple[int, str]:
    done = Person(base_url=model.base_url).run("run", project, "--thread", "demo", "--feature", feature, *words)
    return done.code, done.out + done.err


def everything(*places: Path) -> Iterator[tuple[Path, bytes]]:
    """All that lies in some directories."""
    for place in places:
        for path in place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()


def transcripts(state_dir: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in state_dir.glob("projects/*/trajectories/*/agents/*.txt")}


def test_a_false_done_is_refused_then_mended_and_the_key_stays_with_the_agent(
    project: Path, agent: Path, endpoint: Endpoint, state_dir: Path
) -> None:
    configure(agent, endpoint, "early")
    with ScriptedModel(notes_script.answer) as model:
        code, said = run(project, model)
        assert code in (0, 1), said
        assert [r.conversation for r in model.requests if r.tool_names == ["finish"]] == []
        asked_of_coder = [
            r.conversation for r in model.requests if "/s0" in r.conversation and "/bind" not in r.conversation
        ]
        assert asked_of_coder == [], "our own loop is not asked"
    assert f"it alone reaches 127.0.0.2:{endpoint.port}, and is given STANDIN_KEY, STANDIN_URL" in said
    assert "does not pass" in said or "not yet" in said
    features = json.loads((project / "features.json").read_text())["features"]
    assert features[0]["passes"], said
    assert len(git(project, "log", "--format=%H", "-F", "--grep=Harness-Feature: F001").split()) == 1
    assert git(project, "ls-files").split().count(".harness-finish.json") == 0
    session = json.loads((project / "progress.json").read_text())["sessions"][-1]
    assert (session["summary"], session["next"]) == ("Built F001 with [STANDIN_KEY].", "Look at it.")

    assert endpoint.asked == [("F001 repair=False cut=False", KEY), ("F001 repair=True cut=False", KEY)]
    told = transcripts(state_dir)
    assert sorted(told) == ["s001-F001-0.txt", "s001-F001-1.txt"]
    assert "my key is [STANDIN_KEY]" in told["s001-F001-0.txt"]
    assert "settings: from my home" in told["s001-F001-0.txt"]
    assert "elsewhere: HTTP Error 403" in told["s001-F001-0.txt"], "no other host"
    assert "All done!" in told["s001-F001-0.txt"]

    found = list(everything(state_dir, project))
    assert [path for path, content in found if KEY.encode() in content] == []
    assert KEY not in git(project, "log", "-p", "--all")
    looked_at = b"".join(content for path, content in found if path.suffix == ".jsonl")
    for seen in (b"SERVED", b"HARNESS_DATA_DIR=", b"All done!"):  # the twin: these were searched too
        assert seen in looked_at, seen


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_agent_that_was_cut_off_goes_on_with_what_lies_there(
    project: Path, agent: Path, endpoint: Endpoint, state_dir: Path, number: signal.Signals
) -> None:
    configure(agent, endpoint, "slow", "{brief}", input="file")
    endpoint.may_answer.clear()
    with ScriptedModel(notes_script.answer) as model:
        person = Person(base_url=model.base_url)
        words = person.command("run", project, "--thread", "demo", "--feature", "F001")
        with (project.parent / "output").open("w") as output:
            at_work = subprocess.Popen(words, env=person.environment(), stdout=output, stderr=output)
            assert endpoint.heard.wait(120), (project.parent / "output").read_text()
            os.kill(at_work.pid, number)
            assert at_work.wait(60) == (130 if number == signal.SIGINT else -number)
        endpoint.may_answer.set()
        done = person.run("resume", "demo", project, "--debug")
    assert "Traceback" not in done.err, done
    assert [said for said, _ in endpoint.asked][:2] == ["F001 repair=False cut=False", "F001 repair=False cut=True"]
    assert "found half: True" in transcripts(state_dir)["s001-F001-0.txt"]
    assert len(git(project, "log", "--format=%H", "-F", "--grep=Harness-Feature: F001").split()) == 1
    assert "half.txt" not in git(project, "ls-files").split()


def test_work_that_holds_the_key_is_thrown_away(
    project: Path, agent: Path, endpoint: Endpoint, state_dir: Path
) -> None:
    configure(agent, endpoint, "leak")
    with ScriptedModel(notes_script.answer) as model:
        _, said = run(project, model)
    assert "wrote the value of STANDIN_KEY into a file" in said
    assert KEY not in git(project, "log", "-p", "--text", "--all")
    assert json.loads((project / "features.json").read_text())["features"][0]["passes"], said
    assert [path for path, content in everything(state_dir, project) if KEY.encode() in content] == []


def test_a_key_that_is_not_named_as_one_reaches_the_commit(project: Path, agent: Path, endpoint: Endpoint) -> None:
    """The twin of the test above: the same stand-in, and nobody looks for what it writes."""
    (agent / "stand_in_agent.py").write_text(
        (agent / "stand_in_agent.py").read_text().replace('os.environ.get("STANDIN_KEY", "")', f'"{KEY}"')
    )
    configure(agent, endpoint, "leak", pass_env=["STANDIN_URL"])
    with ScriptedModel(notes_script.answer) as model:
        run(project, model)
    assert KEY in git(project, "log", "-p", "--text", "--all")


def test_an_agent_that_fails_and_changes_nothing_stops_the_run_and_costs_no_attempt(
    project: Path, agent: Path, endpoint: Endpoint
) -> None:
    configure(agent, endpoint, "quota")
    with ScriptedModel(notes_script.answer) as model:
        code, said = run(project, model)
        assert code == 5, said
        assert "ended with exit code 1 and changed nothing" in said
        assert "you have no credit left" in said
        assert KEY not in said
        configure(agent, endpoint, "garbled")
        done = Person(base_url=model.base_url).run("resume", "demo", project)
    features = json.loads((project / "features.json").read_text())["features"]
    assert features[0]["passes"], done
    assert ".harness-finish.json of the coder is left out" in done.out
    sessions = json.loads((project / "progress.json").read_text())["sessions"]
    assert [(s["session"], s["outcome"]) for s in sessions if s["feature"] == "F001"] == [("s001-F001", "passed")]


def test_what_is_missing_is_named_before_or_instead_of_work(
    project: Path, agent: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedModel(notes_script.answer) as model:
        configure(agent, endpoint, "early", command=["no-such-agent"])
        code, said = run(project, model)
        assert (code, "'no-such-agent' is not found in the sandbox" in said) == (3, True), said
        configure(agent, endpoint, "early", home=["~/.nothing"])
        code, said = run(project, model)
        assert (code, "~/.nothing is not there" in said) == (3, True), said
        configure(agent, endpoint, "early", read_only=[str(agent.parent)])
        code, said = run(project, model)
        assert (code, "would show your whole home" in said) == (3, True), said
        monkeypatch.delenv("STANDIN_KEY")
        configure(agent, endpoint, "early")
        code, said = run(project, model)
        assert (code, "STANDIN_KEY is not set" in said) == (3, True), said
    assert endpoint.asked == []
