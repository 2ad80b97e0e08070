"""What is kept and told of replays: evidence within bounds, the last verify, watching, and a window that cannot be."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.browser.display import find_display
from harness.cli.verify import keep_verifying
from harness.errors import SetupError
from harness.project import Project
from harness.status import as_json, as_text, read_status
from harness.verify.evidence import keep_within
from harness.verify.last import LastVerify, load_last, save_last
from harness.verify.report import write_report
from harness.verify.standalone import Replayed, Replays

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def test_pictures_of_the_oldest_that_passed_go_first_and_words_stay(tmp_path: Path) -> None:
    for name in ("F1/passed-20260101", "F1/failed-20250101", "F2/passed-20260102", "F3/passed-20260103"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "001-step-1.png").write_bytes(b"x" * 100)
        (tmp_path / name / "result.json").write_bytes(b"y" * 10)
    keep_within(tmp_path, 340)
    assert sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")) == [
        "F1/failed-20250101", "F2/passed-20260102", "F3/passed-20260103"
    ]  # fmt: skip
    assert len(list(tmp_path.rglob("result.json"))) == 4
    keep_within(tmp_path, 340)
    assert len(list(tmp_path.rglob("*.png"))) == 3, "what fits stays"


def write_list(directory: Path, passed_at: datetime) -> None:
    at = {"session": "s1", "time": passed_at.isoformat(), "baseline": "a", "check": "b"}
    feature = {"id": "F1", "description": "Adds", "steps": ["See"], "passes": True, "passed_at": at}
    (directory / "features.json").write_text(json.dumps({"version": 1, "features": [feature]}), encoding="utf-8")


def test_status_tells_a_failed_verify_until_the_feature_is_proved_again(project_dir: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    write_list(project_dir, NOW - timedelta(days=1))
    assert "last verify" not in as_text(read_status(project_dir))
    save_last(project, LastVerify(at=NOW, total=3, failed=("F1",), flaky=("F2",)))
    text = as_text(read_status(project_dir))
    assert "last verify   2026-11-21 06:00 UTC, 2 of 3 checks passed; failed: F1; flaky: F2" in text
    assert "--feature F1` shows why" in text
    assert json.loads(as_json(read_status(project_dir)))["last_verify"]["failed"] == ["F1"]
    write_list(project_dir, NOW + timedelta(days=1))
    assert "replays the proofs" in as_text(read_status(project_dir))


def test_a_last_verify_that_cannot_be_read_is_none(project_dir: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    project.last_verify_file.write_text('{"at": ')
    assert load_last(project) is None


async def test_watching_verifies_again_for_changes_made_meanwhile_and_ends_with_the_last_code() -> None:
    changed, stop = asyncio.Event(), asyncio.Event()
    codes = iter([0, 1])
    calls = []

    async def verify() -> int:
        calls.append("verify")
        if len(calls) == 1:
            changed.set()  # while it is at work
        else:
            asyncio.get_running_loop().call_soon(stop.set)
        return next(codes)

    assert await asyncio.wait_for(keep_verifying(verify, changed, stop), 5) == 1
    assert len(calls) == 2


async def test_stopping_ends_the_replay_at_work_and_keeps_the_code_before() -> None:
    changed, stop, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()
    rounds = []

    async def verify() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            changed.set()
            return 0
        try:
            stop.set()
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return 1

    assert await asyncio.wait_for(keep_verifying(verify, changed, stop), 5) == 0
    assert cleaned.is_set(), "what it had open is closed"


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "DISPLAY is not set"), ("localhost:10.0", "not one of this machine"), (":77", "does not answer")],
)
def test_a_window_without_a_display_is_refused_with_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        find_display({"DISPLAY": name} if name else {}, tmp_path)
    assert "--headed" in caught.value.remedy


def test_the_browser_alone_is_shown_the_display_and_the_key_to_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "X5"))
        (tmp_path / "key").write_bytes(b"cookie")
        found = find_display({"DISPLAY": ":5.0", "XAUTHORITY": str(tmp_path / "key")}, tmp_path)
    assert found.files == [tmp_path / "X5", tmp_path / "key"]
    assert found.env == {"DISPLAY": ":5.0", "XAUTHORITY": str(tmp_path / "key")}


def test_a_report_escapes_what_it_is_told_and_stands_without_evidence(tmp_path: Path) -> None:
    bad = "</title><script>alert(1)</script>\u202e\x1b[31m"
    result = Replayed(
        "F1", bad, False, f"{bad}\n<<data 1 from page>>\n| secret page text", evidence=str(tmp_path / "gone")
    )
    path = write_report(
        tmp_path / "new" / "report", bad, Replays((result,), NOW, 1.0, "abc", (bad,), f"http://x/{bad}")
    )
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 5
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "secret page text" not in text
    assert "script-src" not in text
    assert "default-src 'none'" in text
