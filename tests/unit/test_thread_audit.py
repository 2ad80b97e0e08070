"""What a thread did, line by line: what is written of each event, and that nothing written can be changed unnoticed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.chain import extend
from harness.cli.audit import Audited, verified_text
from harness.errors import ContractError
from harness.events import (
    Committed,
    Decided,
    FileChanged,
    NetworkAsked,
    Noticed,
    RunEnded,
    SessionStarted,
    StageStarted,
    StateChanged,
    ToolReturned,
    VerdictReached,
)
from harness.thread_audit import CHARACTERS, ThreadAudit, begins_after, load_audit, readable, unanchored

SESSION = SessionStarted(session_id="s001-F1", feature_id="F1", attempt=0, brief="")


def write(path: Path, count: int = 6) -> list[str]:
    """An audit of so many commands; what a commit after each of them would carry."""
    anchors = []
    audit = ThreadAudit(path)
    audit(SESSION)
    for number in range(count):
        audit(ToolReturned(name="run_command", args={"command": f"make {number}"}, result="exit code 0\nout"))
        anchors.append(audit.head)
    audit.close()
    return anchors


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ToolReturned(name="run_command", args={"command": "ls\npwd"}, result="exit code 2\nno such file"),
            ("command", "ls\npwd", "allowed", "policy", "exit code 2"),
        ),
        (
            ToolReturned(name="run_command", args={"command": "x"}, result="error: NUL", outcome="retry"),
            ("command", "x", "not done", "harness", "error: NUL"),
        ),
        (
            ToolReturned(name="run_command", args={"command": "x"}, result="exit code 0", again=True),
            ("command", "x", "allowed", "policy", "again after a kill; exit code 0"),
        ),
        (FileChanged(path="a.js", sha256="ab"), ("file", "a.js", "allowed", "policy", "")),
        (ToolReturned(name="write_file", args={"path": "a.js"}, result="Wrote a.js"), None),
        (
            ToolReturned(name="write_file", args={"path": ".git/x"}, result="error: closed", outcome="refused"),
            ("file", ".git/x", "refused", "policy", "error: closed"),
        ),
        (ToolReturned(name="read_file", args={"path": "a.js"}, result="text"), None),
        (
            ToolReturned(name="read_file", args={"path": "/etc/passwd"}, result="error: outside", outcome="refused"),
            ("tool", "read_file /etc/passwd", "refused", "policy", "error: outside"),
        ),
        (
            ToolReturned(name="browser_open", args={"path": "/notes"}, result="Opened /notes\n- page"),
            ("browser", "/notes", "allowed", "policy", "Opened /notes"),
        ),
        (
            NetworkAsked(host="evil.example", port=443, allowed=False, reason="not listed"),
            ("network", "evil.example:443", "refused", "policy", "not listed"),
        ),
        (
            VerdictReached(feature_id="F1", passed=False, reason="step 2"),
            ("verdict", "F1", "failed", "harness", "step 2"),
        ),
        (
            Committed(feature_id="F1", commit_sha="c0ffee", subject="F1: it works"),
            ("commit", "c0ffee F1: it works", "committed", "harness", ""),
        ),
        (
            StateChanged(feature_id="F1", change="parked", reason="three tries"),
            ("state", "F1", "parked", "harness", "three tries"),
        ),
        (
            StateChanged(feature_id="F1", change="amended", reason="accepted by a person", by="person"),
            ("state", "F1", "amended", "person", "accepted by a person"),
        ),
        (Noticed(text="nothing was decided"), None),
    ],
)
def test_each_deed_is_one_line_and_other_events_are_none(
    tmp_path: Path, event: object, line: tuple[str, ...] | None
) -> None:
    path = tmp_path / "audit.jsonl"
    audit = ThreadAudit(path)
    audit(event)
    audit.close()
    told = [(each.kind, each.what, each.decision, each.by, each.detail) for each in load_audit(path)]
    assert told == ([line] if line else [])


def test_lines_name_the_session_and_what_happened_outside_of_any(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = ThreadAudit(path)
    deed = StateChanged(feature_id="F1", change="parked")
    for event in (deed, SESSION, StageStarted(stage="verify"), deed, StageStarted(stage="orient"), deed):
        audit(event)
    audit(SESSION)
    audit(RunEnded(exit_status="Finished"))
    audit(deed)
    audit.close()
    assert [line.session for line in load_audit(path)] == ["thread", "s001-F1", "thread", "thread"]


def test_secrets_are_masked_and_what_is_long_is_named_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = ThreadAudit(path, lambda text: text.replace("sk-canary", "[key]"))
    command = "curl -H 'Bearer sk-canary' http://me:canary@host/x; " + "y" * (CHARACTERS * 2) + "\ud800sk-canary"
    audit(ToolReturned(name="run_command", args={"command": command}, result="exit code 0"))
    audit(Decided(topic="command", what="https://me:canary@host:443", decision="refused", by="policy"))
    audit.close()
    assert "canary" not in path.read_text()
    first, second = load_audit(path)
    assert first.what.startswith("curl -H 'Bearer [key]' http://[secret]@host/x; yyy")
    assert len(first.what) < CHARACTERS + 50
    assert len(first.digest) == 64
    assert second.what == "https://[secret]@host:443"


# --- what was written stays ---


def edit(rows: list[str]) -> list[str]:
    return [row.replace("make 2", "make 9") for row in rows]


def insert(rows: list[str]) -> list[str]:
    return [*rows[:3], rows[2], *rows[3:]]


def forge_one(rows: list[str]) -> list[str]:
    """A line with a seal of its own that fits it, and not the one after it."""
    said = json.loads(rows[2]) | {"what": "make 9"}
    text, _ = extend("".join(f"{row}\n" for row in rows[:2]), [_unsealed(said)])
    return [*text.splitlines(), *rows[3:]]


def _unsealed(line: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in line.items() if name not in ("seq", "prev", "hash")}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (edit, r"audit\.jsonl:3 .* changed after it was written"),
        (lambda rows: [*rows[:2], *rows[3:]], r"audit\.jsonl:3 .* does not follow"),
        (insert, r"audit\.jsonl:4 .* does not follow"),
        (lambda rows: [*rows[:2], rows[3], rows[2], *rows[4:]], r"audit\.jsonl:3 .* does not follow"),
        (lambda rows: rows[2:], r"audit\.jsonl:1 .* does not follow"),
        (forge_one, r"audit\.jsonl:4 .* does not follow"),
        (lambda rows: [*rows[:2], "{}", *rows[3:]], r"audit\.jsonl:3 "),
        (lambda rows: [*rows[:2], "", *rows[3:]], r"audit\.jsonl:3 "),
    ],
)
def test_the_first_line_that_does_not_fit_is_named(
    tmp_path: Path, spoil: Callable[[list[str]], list[str]], words: str
) -> None:
    path = tmp_path / "audit.jsonl"
    write(path)
    assert len(load_audit(path)) == 6, "twin: what nobody touched fits"
    path.write_text("".join(f"{row}\n" for row in spoil(path.read_text().splitlines())))
    with pytest.raises(ContractError, match=words):
        load_audit(path)
    assert len(readable(path)) >= 4, "it can be looked at all the same"


def cut_off(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows[:3])


def write_anew(rows: list[str]) -> str:
    return extend("", [_unsealed(json.loads(row) | {"what": "make nothing"}) for row in rows])[0]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_off, "A commit carries line 5, and only 3 are there: the end was cut off."),
        (write_anew, "Line 2 is not the one that a commit carries: lines were written anew."),
        (lambda rows: "", "A commit carries line 2, and only 0 are there: the end was cut off."),
    ],
)
def test_what_every_seal_fits_is_held_by_the_commits(
    tmp_path: Path, spoil: Callable[[list[str]], str], words: str
) -> None:
    path = tmp_path / "audit.jsonl"
    made = write(path)
    carried = [made[1], made[4]]
    assert unanchored(load_audit(path), carried) == ""
    path.write_text(spoil(path.read_text().splitlines()))
    assert unanchored(load_audit(path), carried) == words
    assert unanchored(load_audit(path), []) == "", "broken twin: without the commits nobody would know"


def test_on_another_machine_the_audit_goes_on_from_what_the_last_commit_carries(tmp_path: Path) -> None:
    first = write(tmp_path / "here.jsonl")[-1]
    audit = ThreadAudit(tmp_path / "there.jsonl", continues=first)
    audit(StateChanged(feature_id="F1", change="parked"))
    second = audit.head
    audit.close()
    lines = load_audit(tmp_path / "there.jsonl")
    assert [(line.kind, line.what) for line in lines] == [("continued", first), ("state", "F1")]
    assert unanchored(lines, [first, second]) == ""
    assert unanchored(lines[1:], [first, second]), "broken twin: begun without a word, it does not fit"


@pytest.mark.parametrize("torn", ['{"seq": 7, "pr', '{"seq": 7, "what": "\xc3', "x" * 5000])
def test_a_line_that_a_kill_left_half_is_no_tampering_and_is_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "audit.jsonl"
    write(path)
    with path.open("ab") as file:
        file.write(torn.encode("latin-1"))
    assert len(load_audit(path)) == 6
    write(path, 1)
    assert [line.seq for line in load_audit(path)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    anchor = write(path)[-1]
    path.write_text(path.read_text().rstrip("\n"))
    assert unanchored(load_audit(path), [anchor]) == ""
    write(path, 1)
    assert unanchored(load_audit(path), [anchor]) == ""
    assert len(load_audit(path)) == 7


def test_a_half_line_in_the_middle_is_not_taken_for_the_work_of_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path)
    rows = path.read_text().splitlines()
    path.write_text("".join(f"{row}\n" for row in [*rows[:2], rows[2][:20], *rows[3:]]))
    with pytest.raises(ContractError, match=r"audit\.jsonl:3"):
        load_audit(path)


def test_what_the_sandbox_allows_is_told_as_it_is() -> None:
    from harness.opening import _sandbox_decided
    from harness.settings import SandboxSettings

    shut, wide = _sandbox_decided(SandboxSettings()), _sandbox_decided(SandboxSettings(prepare_network="on"))
    assert (shut.decision, "prepare" in shut.reason, "prepare: everything" in wide.reason) == ("project", False, True)
    assert _sandbox_decided(SandboxSettings(mode="off")).decision == "off"


def test_a_file_that_holds_nothing_of_what_came_before_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.audit.jsonl"
    audit = ThreadAudit(path, str, "7 abc")
    audit(StateChanged(feature_id="F1", change="parked"))
    audit.close()
    lines = load_audit(path)
    assert begins_after(lines) == "7 abc"
    assert begins_after(lines[1:]) == ""
    found = Audited("t", path, lines, 1, None)
    assert "It begins after line 7 abc: earlier lines" in verified_text(found)
    assert "begins after" not in verified_text(dataclasses.replace(found, lines=lines[1:]))
    assert "names no line" in unanchored(lines, ["7 abc", "seven def"])
