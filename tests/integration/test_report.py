"""The report of a build: what it tells, that nothing in it runs, and that a phone need not be scrolled sideways."""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from apps import todo_app
from apps.history import commit, git

from harness.browser.browser import Browser
from harness.cli.report import write
from harness.commits import make_trailers
from harness.diffs import read_diff
from harness.features import Feature, FeatureList, PassedAt, Proof
from harness.lock import ProjectLock
from harness.progress import Progress, SessionEntry
from harness.project import Project
from harness.repo import Repo
from harness.report import Report, as_html, as_json, read_report
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxSettings, VerifySettings
from harness.threads import ThreadRecord, save_thread
from harness.verify.files import to_json

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
RUN = NOW - timedelta(hours=10)
HOSTILE = (
    "</style></script></title><script>document.title='owned'</script>"
    '"><img src=x onerror="document.title=\'owned\'">' + "w" * 300 + "\u202e\x1b[31m"
)
FILE = '<img src=x onerror="alert(1)">.js'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def feature(name: str, **more: Any) -> Feature:
    values: dict[str, Any] = {"id": name, "description": f"What {name} does", "steps": ("Open the page", "See it")}
    return Feature.model_validate(values | more)


def passed(name: str, at: datetime, **more: Any) -> Feature:
    at_all = PassedAt(session=f"s001-{name}", time=at, baseline="b", check="c")
    return feature(name, passes=True, proof=Proof(red=1), passed_at=at_all, **more)


def entry(name: str, at: datetime, **more: Any) -> SessionEntry:
    told = {"session": f"s001-{name}", "feature": name, "outcome": "passed", "turns": 3, "tokens": 1000}
    return SessionEntry.model_validate(told | {"cost_usd": 0.25, "seconds": {"session": 60.0}, "ended_at": at} | more)


def evidence(project: Project, name: str, outcome: str, rows: list[dict[str, Any]], **more: Any) -> Path:
    place = project.evidence_dir / name / f"{outcome}-20261121T060000000000"
    place.mkdir(parents=True)
    shape = {"held": True, "expected": "", "seen": "", "reason": "", "locator": "", "deferred": False}
    items = [{**shape, "index": n, **row} for n, row in enumerate(rows)]
    (place / "result.json").write_text(json.dumps({"items": items, "pages": [], **more}), encoding="utf-8")
    for number, row in enumerate(items, 1):
        (place / f"{number:03}-step-{row['step']}.png").write_bytes(PNG)
    return place


def built(directory: Path, features: list[Feature], entries: list[SessionEntry]) -> Project:
    """A project as a run leaves it: list, progress, a pass commit a feature, a record of the thread."""
    project = Project.find(directory)
    project.prepare_state()
    FeatureList(features=tuple(features)).save(directory / "features.json")
    progress = Progress(thread="t-1")
    for each in entries:
        progress = progress.append(each)
    progress.save(directory / "progress.json")
    for each in features:
        if each.passes:
            (directory / f"{each.id}.js").write_text(f"// {each.id}\n", encoding="utf-8")
            commit(directory, f"{each.id}: done", make_trailers("t-1", f"s001-{each.id}", each.id))
    commit(directory, "state", {})
    record = ThreadRecord(
        thread_id="t-1", stage="build", started=RUN, updated=NOW, exit_status="CostLimit", reason="$3 are spent"
    )
    save_thread(project, record)
    lines = [
        {"at": (RUN - timedelta(days=1)).isoformat(), "kind": "decision", "topic": "sandbox"},
        {"at": (RUN - timedelta(days=1)).isoformat(), "kind": "stage", "stage": "orient"},
        {"at": RUN.isoformat(), "kind": "decision", "topic": "sandbox"},
        {"at": RUN.isoformat(), "kind": "stage", "stage": "orient"},
        {"at": NOW.isoformat(), "kind": "decision", "topic": "sandbox", "what": "a person skips something"},
    ]
    trail = project.trajectories_dir / "t-1"
    trail.mkdir(parents=True)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (trail / "thread.jsonl").write_text(text, encoding="utf-8")
    return project


async def told(directory: Path, age: timedelta | None = None) -> tuple[Report, str]:
    found = await read_report(directory, age, NOW)
    return found, as_html(found).decode()


async def test_it_tells_what_passed_since_the_last_run_what_waits_and_what_comes(project_dir: Path) -> None:
    project = built(
        project_dir,
        [
            passed("F1", RUN - timedelta(hours=3)),
            passed("F2", RUN + timedelta(hours=1)),
            feature("F3", status="parked", reason="disputed: step 2 says two things"),
            feature("F4"),
            feature("F5", depends_on=("F4",)),
            feature("F6", status="parked", reason="skipped by a person: not now"),
        ],
        [entry("F1", RUN - timedelta(hours=3)), entry("F2", RUN + timedelta(hours=1))],
    )
    found, page = await told(project_dir)
    assert found.headline == "1 feature passed"
    assert found.since == RUN, "a person's decision is no run"
    assert [each.feature.id for each in found.passed] == ["F2"]
    assert [each.feature.id for each in found.earlier] == ["F1"]
    assert [each.id for each in found.following] == ["F4", "F5"]
    assert (found.used.sessions, found.used.cost_usd) == (1, 0.25)
    waiting = json.loads(as_json(found))["waiting"]
    where = f"--dir {project.directory}"
    assert [each["command"] for each in waiting[0]["answers"]] == [
        f"harness check show F3 {where}",
        f"harness check accept F3 {where}",
        f"harness check amend F3 --file FILE {where}",
    ]
    for words in ("Stopped: CostLimit", "$3 are spent", "harness resume t-1", "2 of 6", "// F2", "Set aside by you"):
        assert words in page, words
    everything, _ = await told(project_dir, timedelta(days=7))
    assert [each.feature.id for each in everything.passed] == ["F2", "F1"], "newest first"


async def test_it_is_written_while_a_run_is_at_work_and_when_evidence_is_gone_or_torn(project_dir: Path) -> None:
    project = built(project_dir, [passed("F1", NOW), passed("F2", NOW)], [entry("F1", NOW), entry("F2", NOW)])
    torn = evidence(project, "F1", "passed", [{"step": 1, "words": "Open"}])
    (torn / "result.json").write_text('{"items": [', encoding="utf-8")
    gone = evidence(project, "F2", "passed", [{"step": 1, "words": "Open"}, {"step": 2, "words": "See"}])
    (gone / "001-step-1.png").unlink()
    with ProjectLock(project, "t-1"):
        found, page = await told(project_dir)
        assert "At work now" in page
        assert found.since_run
    assert page.count("<figure ") == 1
    path = write(found, None)
    assert path == project.state_dir / "report.html"
    assert git(project_dir, "status", "--porcelain") == "", "the project is as it was"


async def test_a_clone_without_any_state_has_a_report(project_dir: Path, tmp_path: Path) -> None:
    built(project_dir, [passed("F1", NOW)], [entry("F1", NOW)])
    clone = tmp_path / "a clone"
    git(tmp_path, "clone", "--quiet", str(project_dir), str(clone))
    found, page = await told(clone)
    assert found.headline == "The feature passes"
    assert found.passed[0].diff is not None
    assert "// F1" in page


async def test_what_comes_after_the_step_that_broke_was_not_reached(project_dir: Path) -> None:
    project = built(project_dir, [feature("F1", reason="it fails", steps=("One", "Two", "Three"))], [])
    rows = [
        {"step": 1, "words": "Act"},
        {"step": 2, "words": "Expect two", "held": False, "expected": "two", "seen": "one"},
        {"step": 3, "words": "Expect three"},
    ]
    evidence(project, "F1", "failed", rows)
    _, page = await told(project_dir)
    marks = re.findall(r'class="mark (\w+)">(.)</span>', page)
    assert marks == [("held", "✓"), ("broke", "✗")], "what was seen at the same moment is no pass"
    assert page.count("not reached") == 1
    assert re.findall(r'<figure id="F1-\d" class="(\w+)"', page) == ["held", "broke", "open"]


async def test_a_diff_is_counted_whole_and_shown_as_far_as_it_can_be_read(project_dir: Path) -> None:
    (project_dir / "big.js").write_text("x\n" * 5000)
    (project_dir / "wide.js").write_text("y" * 5000 + "\n")
    (project_dir / "picture.png").write_bytes(PNG)
    (project_dir / "many.txt").write_text("".join(f"{n}\n" for n in range(500)))
    (project_dir / "features.json").write_text("left out")
    (project_dir / "README.md").unlink()
    (project_dir / "übung [1].txt").write_text("ä\n")
    sha = commit(project_dir, "all", {})
    diff = await read_diff(Repo.open(project_dir), sha, ("features.json",))
    assert [file.path for file in diff.files] == [
        "README.md", "big.js", "many.txt", "picture.png", "wide.js", "übung [1].txt"
    ]  # fmt: skip
    assert (diff.added, diff.removed, diff.is_cut) == (5502, 1, True)
    assert len(diff.lines) == 400
    assert [line.text for line in diff.lines if line.kind == "file"] == ["README.md", "many.txt"]
    small = await read_diff(Repo.open(project_dir), sha, ("features.json", "many.txt", "big.js", "picture.png"))
    assert not small.is_cut
    assert [(line.kind, line.text[:3], len(line.text)) for line in small.lines if line.kind == "added"] == [
        ("added", "+yy", 300 + len(" ... 4701 characters more")), ("added", "+ä", 2)
    ]  # fmt: skip


async def test_pictures_are_bounded_and_no_feature_takes_the_share_of_another(project_dir: Path) -> None:
    project = built(project_dir, [passed(f"F{n}", NOW) for n in range(4)], [])
    for n in range(4):
        place = evidence(project, f"F{n}", "passed", [{"step": 1, "words": "Open"}] * 6)
        for picture in place.glob("*.png"):
            picture.write_bytes(PNG + b"x" * (1000 - len(PNG)) if n else PNG)
    found = await read_report(project_dir, None, NOW, pictures_bytes=12_000)
    page = as_html(found).decode()
    assert [len(each.shown.pictures) for each in found.passed] == [6, 3, 4, 4]
    assert len(re.findall('data:image/png;base64,([^"]+)', page)) == 17
    assert "3 more pictures are in" in page


def hostile_project(directory: Path) -> None:
    """Everything that somebody else writes says the same."""
    (directory / "checks").mkdir()
    check = to_json(todo_app.CHECKS["add"]).replace("Buy oat milk", json.dumps(HOSTILE)[1:-1])
    steps = (HOSTILE, *todo_app.STEPS["add"][1:])
    (directory / "checks" / "F1.json").write_text(check, encoding="utf-8")
    (directory / FILE).write_text(f"{HOSTILE}\n", encoding="utf-8")
    project = built(
        directory,
        [
            passed("F1", NOW, description=HOSTILE, steps=steps, category=HOSTILE),
            feature("F2", description=HOSTILE, status="parked", reason=f"disputed: {HOSTILE}"),
            feature("F3", description=HOSTILE, reason=HOSTILE),
            passed("F4", NOW - timedelta(days=3), description=HOSTILE),
            feature("F5", description=HOSTILE),
        ],
        [entry(name, NOW, summary=HOSTILE, next=HOSTILE, seconds={HOSTILE: 3.0}) for name in ("F1", "F2", "F3", "F4")],
    )
    record = ThreadRecord(thread_id="t-1", stage="build", started=RUN, updated=NOW, exit_status=HOSTILE, reason=HOSTILE)
    save_thread(project, record)
    row = {"words": HOSTILE, "expected": HOSTILE, "seen": HOSTILE, "reason": HOSTILE, "locator": HOSTILE}
    page = {
        "user": HOSTILE, "console": [HOSTILE], "dialogs": [{"type": HOSTILE, "message": HOSTILE}], "shows": HOSTILE,
        "failed_requests": [HOSTILE],
    }  # fmt: skip
    for name, outcome in (("F1", "passed"), ("F2", "failed"), ("F3", "failed")):
        held = outcome == "passed"
        evidence(project, name, outcome, [{**row, "step": 1}, {**row, "step": 2, "held": held}], pages=[page])


@asynccontextmanager
async def browsed(directory: Path, tmp_path: Path) -> AsyncIterator[Any]:
    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(directory)))
    Thread(target=server.serve_forever, daemon=True).start()
    policy = Policy(worktree=directory, scratch=tmp_path / "scratch", data_dir=tmp_path / "data", mode="off")
    async with Room.open(policy, SandboxSettings(mode="off"), tmp_path / "journal") as room:
        browser = await Browser.start(room, VerifySettings())

        async def look(name: str, width: int = 360) -> Any:
            page = await browser.new_page(width=width, height=740)
            await page.act("navigate", value=f"http://127.0.0.1:{server.server_port}/{name}")
            return await page.facts()

        yield look
        await browser.close()
    server.shutdown()
    server.server_close()


@pytest.mark.needs("chromium")
async def test_nothing_hostile_runs_in_it_and_a_phone_scrolls_no_way_but_down(
    project_dir: Path, tmp_path: Path
) -> None:
    hostile_project(project_dir)
    _, text = await told(project_dir)
    assert text.count("&lt;script&gt;") > 40
    for sign in ("<script", "<img src=x", "\u202e", "\x1b", "http://", "https://"):
        assert sign not in text, sign
    place = tmp_path / "pages"
    place.mkdir()
    unfolded = text.replace("<details", "<details open")
    policy = re.search(r"<meta http-equiv=.Content-Security-Policy.*?>", text)
    assert policy
    unguarded = unfolded.replace(policy[0], "")
    pages = {
        "report.html": text,
        "unfolded.html": unfolded,
        "unescaped.html": html.unescape(unfolded),
        "neither.html": html.unescape(unguarded),
        "unwrapped.html": unguarded.replace("overflow-wrap: anywhere", ""),
    }
    for name, page in pages.items():
        (place / name).write_text(page, encoding="utf-8")
    async with browsed(place, tmp_path) as look:
        for width in (320, 360, 1280):
            for name in ("report.html", "unfolded.html"):
                facts = await look(name, width)
                assert facts.title == "1 feature passed: project"
                assert facts.console == (), "nothing was tried, so nothing had to be refused"
                assert facts.failed_requests == ()
                assert not facts.overflow_x, (name, width)
        assert (await look("unescaped.html")).title != "owned", "the policy of the page holds alone"
        assert (await look("neither.html")).title == "owned", "without either the same texts would run"
        assert (await look("unwrapped.html")).overflow_x, "the words are long enough to tell"


def test_no_report_needs_a_socket(project_dir: Path) -> None:
    built(project_dir, [passed("F1", NOW)], [])
    code = (
        "import socket, sys\n"
        "def no(*_): raise SystemExit('a socket was connected')\n"
        "socket.socket.connect = no\n"
        "from harness.cli import main\n"
        "if sys.argv.pop(1) == 'twin': socket.create_connection(('127.0.0.1', 9))\n"
        "main(sys.argv[1:])\n"
    )
    for how, code_wanted in (("real", 0), ("twin", 1)):
        done = subprocess.run(
            [sys.executable, "-c", code, how, "report", str(project_dir)], capture_output=True, text=True, check=False
        )
        assert done.returncode == code_wanted, done.stderr
