"""A verdict edited by hand is noticed, in the project and in a clone; one that was not is left alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from apps import proved
from apps.proved import git

from harness.doctor_project import examine_project
from harness.errors import FeatureFileError
from harness.project import Project
from harness.verify import audit
from harness.verify.trail import evidence_problems, follow


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proved.make_once(tmp_path_factory, "audit")


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A copy with its whole history, to be spoiled."""
    shutil.copytree(original, tmp_path / "project", ignore=shutil.ignore_patterns("worktrees"))
    return tmp_path / "project"


def rows(project: Path) -> list[str]:
    return (project / audit.AUDIT).read_text().splitlines()


def write_rows(project: Path, lines: list[str]) -> None:
    (project / audit.AUDIT).write_text("".join(f"{line}\n" for line in lines))


def replace_in(project: Path, name: str, old: str, new: str) -> None:
    text = (project / name).read_text()
    assert old in text
    (project / name).write_text(text.replace(old, new, 1))


def edit_feature(project: Path, feature_id: str, **values: object) -> None:
    data = json.loads((project / "features.json").read_text())
    feature = next(f for f in data["features"] if f["id"] == feature_id)
    feature |= {name: value(feature) if callable(value) else value for name, value in values.items()}
    (project / "features.json").write_text(json.dumps(data))


def claim_a_pass(project: Path) -> None:
    """All that the list and `checks/` need for a pass, taken from a feature that does pass."""
    data = json.loads((project / "features.json").read_text())
    good = next(f for f in data["features"] if f["id"] == "add")
    edit_feature(project, "delete", passes=True, reason="", proof=good["proof"], passed_at=good["passed_at"])
    text = (project / "checks/add.json").read_text().replace('"feature_id": "add"', '"feature_id": "delete"')
    (project / "checks/delete.json").write_text(text)


def forge_a_line(project: Path) -> None:
    """A line that follows the chain, written by somebody who knows how."""
    claim_a_pass(project)
    files = {"checks/delete.json": audit.file_digest((project / "checks/delete.json").read_text())}
    line = json.loads(rows(project)[0])
    verdict = audit.Verdict.model_validate({**line, "feature": "delete", "files": files, "content": ""})
    features = json.loads((project / "features.json").read_text())["features"]
    text, _ = audit.extend((project / audit.AUDIT).read_text(), [_worded(verdict, features)])
    (project / audit.AUDIT).write_text(text)


def _worded(verdict: audit.Verdict, features: list[dict[str, object]]) -> audit.Verdict:
    from harness.features import FeatureList

    feature = FeatureList.model_validate({"features": features}).get(verdict.feature)
    return verdict.model_copy(update={"wording": audit.wording(feature)})


def forge_the_chain(project: Path) -> None:
    """The whole chain written anew around a changed verdict: every seal fits."""
    lines = [json.loads(row) for row in rows(project)]
    lines[-1] |= {"outcome": "passed"}
    (project / audit.AUDIT).write_text(audit.extend("", [audit.Verdict.model_validate(line) for line in lines])[0])
    edit_feature(project, "delete", passes=True)


def amend_the_code(project: Path) -> None:
    """The last pass commit again, with the same words and other code."""
    git(project, "reset", "--quiet", "--hard", "HEAD~2")
    (project / "app.js").write_text("// nothing\n")
    git(project, "commit", "--quiet", "--all", "--amend", "--no-edit")


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pass claimed in the list": (claim_a_pass, r"delete: features\.json says it passes, and line 6 .* reopened"),
    "a pass taken back": (
        lambda p: edit_feature(p, "add", passes=False),
        r"add: .* does not pass, and line 1 .* passed",
    ),
    "a step made easier": (
        lambda p: edit_feature(p, "keep", steps=["Open the page"]),
        r"keep: its description or steps were changed after the verdict in line 4",
    ),
    "a check made easier": (
        lambda p: replace_in(p, "checks/add.json", "1 item left", "2 items left"),
        r"checks/add\.json was changed after the verdict in line 1",
    ),
    "a check and its digest": (
        lambda p: edit_feature(p, "add", passed_at=lambda f: f["passed_at"] | {"check": "0" * 16}),
        r"add: features\.json names another check than .* line 1",
    ),
    "a locator made easier": (
        lambda p: replace_in(p, "checks/elements.json", "Buy milk", "Buy"),
        r"checks/elements\.json was changed .* line 1",
    ),
    "a picture painted over": (
        lambda p: (p / "checks/pictures/add/list.png").write_bytes(b"as it looks now"),
        r"checks/pictures/add/list\.png was changed .* line 1",
    ),
    "a check removed": (lambda p: (p / "checks/filter.json").unlink(), r"checks/filter\.json is gone since line 3"),
    "a line edited": (
        lambda p: replace_in(p, audit.AUDIT, '"reopened"', '"passed"'),
        r"audit\.jsonl:6 .* changed after it was written",
    ),
    "a line removed": (lambda p: write_rows(p, [*rows(p)[:2], *rows(p)[3:]]), r"audit\.jsonl:3 .* does not follow"),
    "the last lines removed": (lambda p: write_rows(p, rows(p)[:4]), r"commit \w+ \(delete: parked\) carries a line"),
    "lines put elsewhere": (lambda p: write_rows(p, rows(p)[::-1]), r"audit\.jsonl:1 .* does not follow"),
    "the audit removed": (lambda p: (p / audit.AUDIT).unlink(), r"add: .* no line of the audit is about it"),
    "a line forged": (forge_a_line, r"line 7 of .* \(delete passed\) is in no commit's trailer"),
    "the chain forged": (forge_the_chain, r"carries a line that is not in checks/audit\.jsonl any more"),
    "the code amended": (amend_the_code, r"keep: commit \w+ holds other code than was judged \(line 4\)"),
}


async def problems(directory: Path) -> str:
    return "\n".join((await follow(Project.find(directory))).problems)


@pytest.mark.parametrize("where", ["", "in/side"])
async def test_what_a_run_leaves_agrees_with_its_audit_and_so_does_a_clone(tmp_path: Path, where: str) -> None:
    directory = await proved.make(tmp_path / "project", where)
    git(tmp_path, "clone", "--quiet", "project", "clone")
    for place in (directory, tmp_path / "clone" / where):
        trail = await follow(Project.find(place))
        assert (trail.problems, trail.lines, trail.note) == ((), 6, "")
    (directory / "app.js").write_text("// work that goes on\n")
    git(directory, "commit", "--quiet", "--all", "--message", "by hand, and none of ours")
    assert await problems(directory) == "", "code that goes on is for replays to judge"


@pytest.mark.parametrize("name", SPOILED)
async def test_what_was_done_by_hand_is_noticed_in_the_project_and_in_a_clone(
    project: Path, tmp_path: Path, name: str
) -> None:
    spoil, words = SPOILED[name]
    spoil(project)
    assert re.search(words, await problems(project)), await problems(project)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "nothing to see")
    git(tmp_path, "clone", "--quiet", "project", "clone")
    assert re.search(words, await problems(tmp_path / "clone")), await problems(tmp_path / "clone")


async def test_doctor_names_what_does_not_agree_and_says_when_all_does(project: Path) -> None:
    sound = [f for f in await examine_project(project) if f.name == "audit"]
    assert [(f.level, f.text) for f in sound] == [("ok", "6 verdicts agree with list, checks and commits")]
    edit_feature(project, "add", passes=False)
    spoiled = [f for f in await examine_project(project) if f.name == "audit"]
    assert [f.level for f in spoiled] == ["fail"]
    assert spoiled[0].text.startswith("add: ")


async def test_a_shallow_clone_says_what_it_cannot_compare(original: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{original}", "clone")
    trail = await follow(Project.find(tmp_path / "clone"))
    assert trail.problems == ()
    assert "shallow" in trail.note


def test_evidence_that_was_edited_is_named_and_what_was_put_away_is_not(project_dir: Path) -> None:
    project = Project.find(project_dir)
    project.prepare_state()
    kept, gone = project.evidence_dir / "F1/passed-1", project.evidence_dir / "F1/passed-0"
    for directory in (kept, gone):
        directory.mkdir(parents=True)
        (directory / "result.json").write_text("{}")
        digests = audit.evidence_digests(str(directory), project.evidence_dir)
        audit.append(project.audit_file, [audit.Verdict(feature="F1", outcome="passed", evidence=digests)])
    shutil.rmtree(gone)
    assert evidence_problems(project) == []
    (kept / "result.json").write_text('{"passed": true}')
    assert evidence_problems(project) == [f"{kept / 'result.json'} is not what it was when the verdict was written."]


def test_a_line_that_a_kill_left_half_is_dropped_and_a_broken_one_stays_to_be_found(tmp_path: Path) -> None:
    path, verdict = tmp_path / "audit.jsonl", audit.Verdict(feature="F1", outcome="failed")
    audit.append(path, [verdict, verdict])
    path.write_text(path.read_text() + '{"seq": 3, "pr')
    audit.append(path, [verdict])
    assert [line.seq for line in audit.load_chain(path)] == [1, 2, 3]
    path.write_text(path.read_text().replace("failed", "passed", 1))
    audit.append(path, [verdict])
    with pytest.raises(FeatureFileError, match=r"audit\.jsonl:1 .* hash does not fit"):
        audit.load_chain(path)
