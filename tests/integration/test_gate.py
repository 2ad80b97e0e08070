"""`harness gate` on a project as a run leaves it: what is claimed is replayed; who marks their own work is refused."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from apps import proved
from apps.proved import git

from harness.cli.gate import as_github, as_text
from harness.events import CheckReplayed, Events
from harness.features import Feature
from harness.gate import Asked, Claim, Gated, check_claims
from harness.project import Project
from harness.settings import GateSettings, Settings, VerifySettings
from harness.verify.standalone import replay_project

pytestmark = [
    pytest.mark.needs("bwrap", "chromium"),
    pytest.mark.filterwarnings("ignore:remove loop argument:DeprecationWarning"),  # pyppeteer 2.0.0 in our own process
]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proved.make_once(tmp_path_factory, "gate")


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A clone with its whole history, for somebody's agent to work on."""
    git(tmp_path, "clone", "--quiet", str(original), "project")
    return tmp_path / "project"


async def unproved(feature: Feature) -> Claim:
    return Claim(feature.id, "unproved", reason="no model")


async def gate(project: Path, *commands: str, tests: str = "", **asked: object) -> tuple[Gated, list[str]]:
    """What came of it, and which features were replayed, each as often as it was."""
    played: list[str] = []
    events = Events()
    events.listen(lambda e: played.append(e.feature_id) if isinstance(e, CheckReplayed) else None)
    found = Project.find(project)
    found.prepare_state()
    settings = Settings(
        verify=VerifySettings(wait_seconds=2.0), gate=GateSettings(commands=list(commands), tests=tests)
    )
    return await check_claims(found, settings, Asked(**asked), events, unproved), played  # type: ignore[arg-type]


def states(gated: Gated) -> dict[str, str]:
    return {claim.what: claim.state for claim in gated.claims}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def edit_list(project: Path, feature_id: str, **values: object) -> None:
    data = json.loads((project / "features.json").read_text())
    next(f for f in data["features"] if f["id"] == feature_id).update(values)
    (project / "features.json").write_text(json.dumps(data, indent=2))


async def test_uncommitted_work_is_what_is_judged_and_what_held_on_it_is_not_played_again(project: Path) -> None:
    gated, played = await gate(project)
    assert (gated.passed, sorted(played)) == (True, sorted(proved.PROVED))
    assert (await gate(project))[1] == []
    replace(project / "app.js", "  save();\n", "")
    gated, _ = await gate(project)
    assert states(gated) == {"add": "holds", "complete": "holds", "filter": "holds", "keep": "failed"}
    assert 'Step 3 ""Buy milk" is still there' in as_text(gated)
    assert git(project, "status", "--porcelain").split() == ["M", "app.js"]
    git(project, "checkout", "--quiet", "app.js")
    gated, played = await gate(project)
    assert (gated.passed, sorted(played)) == (True, sorted(proved.PROVED))


def forge_a_pass(project: Path) -> None:
    edit_list(project, "delete", passes=True)


def commit_progress(project: Path) -> None:
    replace(project / "progress.json", '"sessions"', '"sessions" ')
    git(project, "commit", "--quiet", "--all", "--message", "progress")


FORGERIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pass in the list": (forge_a_pass, "features.json"),
    "a new feature that passes": (
        lambda p: edit_list(p, "delete", id="other", passes=True),
        "features.json",
    ),
    "a failing feature taken back": (lambda p: edit_list(p, "keep", passes=False), "features.json"),
    "a feature removed": (
        lambda p: (p / "features.json").write_text('{"version": 1, "features": []}'),
        "features.json",
    ),
    "the list taken away": (lambda p: (p / "features.json").unlink(), "features.json"),
    "a step of an open feature": (lambda p: edit_list(p, "delete", steps=["Open it"]), "features.json"),
    "a check": (lambda p: replace(p / "checks/add.json", "1 item left", "2 items left"), "checks/add.json"),
    "a check of its own": (
        lambda p: shutil.copy(p / "checks/add.json", p / "checks/delete.json"),
        "checks/delete.json",
    ),
    "names of elements": (
        lambda p: replace(p / "checks/elements.json", '"listitem"', '"list"'),
        "checks/elements.json",
    ),
    "the audit": (lambda p: (p / "checks/audit.jsonl").unlink(), "features.json"),
    "progress, committed": (commit_progress, "progress.json"),
    "the gate of the project": (
        lambda p: (p / "harness.toml").write_text("[gate]\ncommands = []\n"),
        "harness.toml",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_what_only_the_harness_writes_is_refused_when_somebody_else_wrote_it(project: Path, name: str) -> None:
    forge, file = FORGERIES[name]
    forge(project)
    gated, played = await gate(project)
    assert not gated.passed
    assert file in {claim.file for claim in gated.claims if claim.state == "refused"}, gated
    assert played == [], "proofs are read from such files"


async def test_the_words_of_a_refusal_take_it_back(project: Path) -> None:
    forge_a_pass(project)
    git(project, "add", "features.json")
    shutil.copy(project / "checks/add.json", project / "checks/delete.json")
    said = as_text((await gate(project))[0])
    assert "delete: features.json says it passes, and line 6 of the audit says reopened" in said
    assert "`harness gate --feature ID`" in said
    for command in ("git checkout HEAD -- features.json", "rm checks/delete.json"):
        assert f"`{command}`" in said
        git(project, *command.split()[1:]) if command.startswith("git") else (project / "checks/delete.json").unlink()
    assert (await gate(project))[0].passed
    commit_progress(project)
    said = as_text((await gate(project))[0])
    back = git(project, "rev-parse", "HEAD~1")[:12]
    assert f"`git checkout {back} -- progress.json`" in said


async def test_a_check_made_easier_would_pass_without_the_refusal(project: Path) -> None:
    """The twin: replays alone believe what the files say."""
    replace(project / "app.js", "  save();\n", "")
    check = json.loads((project / "checks/keep.json").read_text())
    items = check["contract"]["items"]
    check["contract"]["items"] = [i for n, i in enumerate(items) if "expect" not in i or n < len(items) - 2][:3]
    check["proof"] = []
    (project / "checks/keep.json").write_text(json.dumps(check))
    found = Project.find(project)
    found.prepare_state()
    twin = await replay_project(found, Settings(), ["keep"], None, Events())
    assert twin.passed, twin
    gated, _ = await gate(project)
    assert [claim.file for claim in gated.claims] == ["checks/keep.json"]


async def test_a_persons_file_counts_when_it_is_committed_and_is_told(project: Path) -> None:
    (project / "spec.md").write_text("# Another\n")
    assert states((await gate(project))[0]) == {"spec.md": "refused"}
    git(project, "add", "spec.md")
    git(project, "commit", "--quiet", "--message", "the specification")
    gated, _ = await gate(project, feature_ids=("add",))
    assert gated.passed
    assert "spec.md was changed by a commit" in gated.notes[0]


async def test_changed_looks_at_features_whose_files_differ_and_at_all_when_unsure(project: Path) -> None:
    gated, _ = await gate(project, changed=True)
    assert "Everything is replayed: it is not known here" in " ".join(gated.notes)
    (project / "made-for-keep.txt").write_text("other\n")
    assert (await gate(project, changed=True))[1] == ["keep"]
    assert sorted((await gate(project, changed=True))[1]) == [], "the same content"
    (project / "new.js").write_text("\n")
    gated, played = await gate(project, changed=True)
    assert "new.js changed, and no feature's commit touched it" in " ".join(gated.notes)
    assert sorted(played) == ["add", "complete", "filter", "keep"]


async def test_the_projects_own_gate_is_part_of_what_is_claimed(project: Path) -> None:
    gated, _ = await gate(project, "test -e made-for-add.txt", "echo '::error::forged'; exit 3")
    assert [c.what for c in gated.claims if not c.is_so] == ["echo '::error::forged'; exit 3"]
    assert "ended with 3" in as_text(gated)
    gated, played = await gate(project, "test -e made-for-add.txt")
    assert (gated.passed, played) == (True, [])
    gated, _ = await gate(project, "test -e made-for-add.txt")
    assert set(states(gated).values()) == {"held"}


async def test_a_feature_that_does_not_pass_is_claimed_by_name_or_with_the_whole_list(project: Path) -> None:
    for asked in ({"feature_ids": ("delete",)}, {"everything": True}):
        gated, _ = await gate(project, **asked)  # type: ignore[arg-type]
        assert (states(gated)["delete"], gated.passed) == ("unproved", False)
    assert (await gate(project))[0].passed


def test_annotations_cannot_be_forged_by_what_a_page_said() -> None:
    """The twin prints the same text without the quotation."""
    reason = "seen: 100%\r\n::error file=x::forged"
    claim = Claim("F,1: x", "failed", "a: b, c", reason, "checks/F1.json")
    gated = Gated((claim,), (), datetime.now(UTC))
    lines = "\n".join(as_github(gated, as_text(gated) + "\n::error::forged", "web app")).split("\n")
    opening, closing = lines[0], lines.index(f"::{lines[0].removeprefix('::stop-commands::')}::")
    assert opening.startswith("::stop-commands::")
    assert len(opening.removeprefix("::stop-commands::")) == 32
    commands = [line for line in lines[closing + 1 :] if line.lstrip().startswith("::")]
    assert commands == [
        "::error file=web app/checks/F1.json,title=F%2C1%3A x%3A a%3A b%2C c::seen: 100%25%0A::error file=x::forged"
    ]
    assert any(line.lstrip().startswith("::error::forged") for line in lines[1:closing]), "the twin would be read"


async def test_own_tests_that_got_worse_are_refused_and_those_that_failed_before_are_not(project: Path) -> None:
    tests = "test ! -e broken"
    assert states((await gate(project, tests=tests))[0])[tests] == "holds"
    assert states((await gate(project, tests=tests))[0])[tests] == "held", "known of this content"
    (project / "broken").touch()
    gated, _ = await gate(project, tests=tests)
    assert (gated.passed, states(gated)[tests]) == (False, "failed")
    assert "They passed before and end with exit code 1 now" in gated.claims[-1].reason
    assert states((await gate(project, tests="test -e never"))[0])["test -e never"] == "holds"
    assert len(git(project, "worktree", "list").splitlines()) == 1


async def test_what_held_before_a_look_was_cut_off_is_not_played_again(project: Path) -> None:
    found, held, events = Project.find(project), [], Events()
    found.prepare_state()
    settings = Settings(verify=VerifySettings(wait_seconds=2.0))
    looking = asyncio.create_task(check_claims(found, settings, Asked(), events, unproved))

    def cut_off(event: object) -> None:
        if isinstance(event, CheckReplayed):
            held.append(event.feature_id)
            looking.cancel()

    events.listen(cut_off)
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert 0 < len(held) < len(proved.PROVED)
    gated, played = await gate(project)
    assert gated.passed
    assert sorted(played) == sorted(set(proved.PROVED) - set(held))
