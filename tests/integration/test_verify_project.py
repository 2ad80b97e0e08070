"""`harness verify` on a project as a run leaves it: several at once, what is kept, and the reports."""

from __future__ import annotations

import asyncio
import html
import re
import signal
import socket
import subprocess
import xml.etree.ElementTree as ET
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from apps import proved
from warm import WARM

from harness.browser.browser import Browser
from harness.errors import AdapterError, HarnessError, SetupError
from harness.events import Event, Events, Noticed
from harness.project import Project
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxMode, SandboxSettings, Settings, VerifySettings
from harness.status import as_text, read_status
from harness.verify import audit
from harness.verify.check import Locator
from harness.verify.junit import write_junit
from harness.verify.report import write_report
from harness.verify.standalone import Replays, replay_project, require_answer
from harness.verify.trail import evidence_problems

pytestmark = [
    pytest.mark.needs("bwrap", "chromium"),
    pytest.mark.filterwarnings("ignore:remove loop argument:DeprecationWarning"),  # pyppeteer 2.0.0 in our own process
]

HOSTILE = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"


async def verified(project: Path, *feature_ids: str, mode: SandboxMode = "project") -> tuple[Replays, list[Event]]:
    heard: list[Event] = []
    events = Events()
    events.listen(heard.append)
    found = Project.find(project)
    found.prepare_state()
    settings = Settings(verify=VerifySettings(wait_seconds=2.0), sandbox=SandboxSettings(mode=mode))
    return await replay_project(found, settings, feature_ids, None, events), heard


@pytest.mark.parametrize("mode", ["plan", "project"])
async def test_a_look_replays_proofs_on_files_that_cannot_be_written(tmp_path: Path, mode: SandboxMode) -> None:
    """What `prepare` makes is there; an application that writes to its own files does not start. The twin lets it."""
    project = await proved.make(tmp_path / "project")
    script = project / "init.sh"
    script.write_text(script.read_text().replace('echo "nothing to install"', "echo made >made-by-prepare"))
    replayed, _ = await verified(project, "add", mode=mode)
    assert replayed.passed
    script.write_text(script.read_text().replace("  serve)", "  serve) grep -q made made-by-prepare && echo >log && "))
    replayed, _ = await verified(project, "add", mode=mode)
    assert replayed.passed == (mode == "project"), replayed
    assert mode == "project" or "Read-only file system" in replayed.results[0].reason


async def test_verify_replays_remembers_and_reports(tmp_path: Path) -> None:
    project_dir = await proved.make(tmp_path / "my to-dos")
    project = Project.find(project_dir)
    good, heard = await verified(project_dir)
    assert [(r.feature_id, r.passed) for r in good.results] == [(name, True) for name in proved.PROVED]
    assert good.doubts == ()
    told = [e for e in heard if isinstance(e, Noticed)]
    assert [e.text[:20] for e in told] == ["sandbox: bubblewrap,"], "and no warning"
    assert "4 of 4 checks passed" in as_text(read_status(project_dir))

    (project_dir / "app.js").write_text((project_dir / "app.js").read_text().replace("  save();\n", ""))
    replace(project_dir / "index.html", "</body>", f"<p>{html.escape(HOSTILE)}</p></body>")
    replace(project_dir / "checks/filter.json", "Walk the dog", "Walk the cat")
    bad, heard = await verified(project_dir)
    assert {r.feature_id for r in bad.results if not r.passed} == {"keep", "filter"}
    assert not bad.passed
    assert any("checks/filter.json was changed" in e.text for e in heard if isinstance(e, Noticed))
    said = as_text(read_status(project_dir))
    assert "2 of 4 checks passed; failed: filter, keep" in said
    assert f"harness verify '{project_dir}' --feature filter --feature keep` shows why" in said

    outcomes = [(line.feature, line.outcome) for line in audit.load_chain(project.audit_file)]
    assert outcomes == [(name, "passed") for name in proved.PROVED] + [
        ("add", "passed"), ("complete", "passed"), ("filter", "failed"), ("keep", "failed")
    ]  # fmt: skip
    assert evidence_problems(project) == []
    kept = sorted(path.parent.name + "/" + path.name.split("-")[0] for path in project.evidence_dir.glob("*/*"))
    assert kept == ["add/passed", "complete/passed", "filter/failed", "filter/passed", "keep/failed", "keep/passed"]

    check_junit(tmp_path / "ci/junit.xml", bad)
    report = write_report(tmp_path / "report", project_dir.name, bad)
    await look_at(report, tmp_path)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def check_junit(path: Path, replays: Replays) -> None:
    write_junit(path, "to-dos \x00", replays)
    suite = ET.parse(path).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "0")
    failed = {
        case.get("name"): case.find("failure") for case in suite.iter("testcase") if case.find("failure") is not None
    }
    assert list(failed) == ["filter: filter", "keep: keep"]
    assert "Step 3" in (failed["keep: keep"].get("message") or "")  # type: ignore[union-attr]


async def look_at(report: Path, tmp_path: Path) -> None:
    """Our own browser opens the file, on a phone and on a desk: nothing runs in it and nothing sticks out."""
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    assert len(re.findall(r"<figure ", text)) >= 12, "a picture a step"
    assert sorted(path.name for path in report.parent.iterdir()) == ["index.html"]
    handler = partial(SimpleHTTPRequestHandler, directory=str(report.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # our pages open no file:// address
    Thread(target=server.serve_forever, daemon=True).start()
    policy = Policy(worktree=report.parent, scratch=tmp_path / "scratch", data_dir=tmp_path / "data", mode="off")
    async with Room.open(policy, SandboxSettings(mode="off"), tmp_path / "journal") as room:
        browser = await Browser.start(room, VerifySettings())
        for width, height in ((390, 844), (1280, 800)):
            page = await browser.new_page(width=width, height=height)
            await page.act("navigate", value=f"http://127.0.0.1:{server.server_port}/index.html")
            (tmp_path / f"{width}.png").write_bytes(await page.screenshot())
            assert (await page.facts()).title == "2 of 4 checks pass: my to-dos"
            locators = [Locator(role="img"), Locator(text="Expected"), Locator(role="heading", name="keep")]
            pictures, expected, heading = await page.observe(locators)
            assert len(pictures.elements) >= 12
            assert len(expected.elements) == 2
            assert len(heading.elements) == 1
            assert (await page.facts()).console == ()
            assert not (await page.facts()).overflow_x
        await browser.close()
    server.shutdown()
    server.server_close()


def test_watching_replays_when_a_file_changes_and_ends_with_the_last_result(tmp_path: Path) -> None:
    project = asyncio.run(proved.make(tmp_path / "project"))
    (project / ".gitignore").write_text("*.log\n")
    words = ["verify", str(project), "--feature", "add", "--watch", "--html", str(project / "report")]
    argv = WARM.command(*words)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        lines = iter(running.stdout.readline, "")
        assert next(line for line in lines if "checks pass" in line) == "1 of 1 checks pass.\n"
        (project / "noise.log").write_text("git ignores it")
        replace(project / "style.css", "#list li span {", "#list li span { opacity: 0;")
        assert next(line for line in lines if "checks pass" in line) == "0 of 1 checks pass.\n"
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert running.returncode == 1
    assert "checks pass" not in rest, "neither its own report nor what git ignores is a change"
    assert "0 of 1 checks pass" in (project / "report/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("url", "fault", "said"),
    [
        ("nonsense", SetupError, "is not the address"),
        ("ftp://127.0.0.1:1", SetupError, "is not the address"),
        ("http://127.0.0.1:99999/", SetupError, "is not the address"),
        ("http://127.0.0.1:{free}/", AdapterError, "Nothing answers at http://127.0.0.1"),
    ],
)
async def test_an_address_that_nobody_answers_says_nothing_of_a_feature(
    url: str, fault: type[HarnessError], said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await require_answer(f"http://127.0.0.1:{port}/")
    with pytest.raises(fault, match=said):
        await require_answer(url.format(free=port))
