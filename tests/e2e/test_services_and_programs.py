"""A service and a program are built from a sentence to proved commits, as web applications are; no browser is there."""

from __future__ import annotations

import json
from pathlib import Path

import exchanges_script
import pytest
from test_build import build_whole, git, harness

pytestmark = [pytest.mark.needs("bwrap"), pytest.mark.timeout(600)]

REFUSED = {"service": "Step 3", "program": "With other texts"}
"""Why the first "done" was no such thing."""
BROKEN = {
    "service": ("service.py", "save([*notes, note])", "pass", "Step 3"),
    "program": ("bin/tally", ".get(name, 0) + 1", ".get(name, 0) + 2", "Step 1"),
}
"""What somebody breaks later, and the step that tells."""


@pytest.fixture(scope="module", params=exchanges_script.SCRIPTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def built(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, built once from its specification to its last commit."""
    script = exchanges_script.SCRIPTS[kind]
    place = tmp_path_factory.mktemp("built") / f"my {kind}"
    return build_whole(place, script.spec, script.answer)


@pytest.fixture(autouse=True)
def shared_state(state_dir: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(built.parent / "state"))


def test_the_kind_is_proposed_and_kept_where_a_person_can_change_it(built: Path, kind: str) -> None:
    assert (built / "harness.toml").read_text() == f'[app]\nkind = "{kind}"\n'


def test_each_feature_is_one_proved_commit(built: Path) -> None:
    features = json.loads((built / "features.json").read_text())["features"]
    assert [(f["id"], f["passes"]) for f in features] == [("F001", True), ("F002", True)]
    assert all(f["proof"].get("red", 0) > 0 for f in features)
    assert git(built, "status", "--porcelain") == ""
    for feature in ("F001", "F002"):
        found = git(built, "log", "--format=%H", "-F", f"--grep=Harness-Feature: {feature}").split()
        assert len(found) == 1
        assert f"checks/{feature}.json" in git(built, "show", "--name-only", "--format=", found[0]).split()


def test_the_false_done_was_refused_with_what_was_asked_and_answered(built: Path, kind: str) -> None:
    told = harness("log", str(built), "--session", "1").stdout
    assert "does not pass" in told
    assert REFUSED[kind] in told
    assert "Asked: " in told


def test_verify_passes_without_a_model_and_names_the_step_that_was_broken(built: Path, kind: str) -> None:
    found = harness("verify", str(built))
    assert found.returncode == 0, found.stdout + found.stderr
    name, old, new, step = BROKEN[kind]
    file = built / name
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    found = harness("verify", str(built))
    file.write_text(before)
    assert found.returncode == 1
    assert step in found.stdout, found.stdout


def test_authors_are_told_the_interface_and_kept_to_it(built: Path, kind: str) -> None:
    heard = exchanges_script.SCRIPTS[kind].heard
    earlier = {"service": 'POST /notes {"text": "text"} -> the status to be 201', "program": "tally add ... ->"}[kind]
    assert earlier in heard["F002"][0]
    assert "earlier checks" not in heard["F001"][0]
    if kind == "service":
        assert "body application/json: {text string}" in heard["F001"][0]
        assert "the OpenAPI document has no POST /note;" in heard["F001"][1]


def test_checks_can_be_read_and_are_sound(built: Path, kind: str) -> None:
    shown = harness("check", "show", "F001", "--dir", str(built))
    assert shown.returncode == 0
    assert {"service": "Request POST /notes", "program": "Run `tally add 'Ada Byron'`"}[kind] in shown.stdout
    assert harness("check", "lint", "--dir", str(built)).returncode == 0


def test_what_is_compared_with_is_kept_beside_the_checks(built: Path, kind: str) -> None:
    kept = sorted(path.relative_to(built).as_posix() for path in built.glob("checks/golden/**/*.txt"))
    assert kept == {"service": [], "program": ["checks/golden/F002/two-names.txt"]}[kind]


def test_a_program_cannot_be_opened_and_says_so(built: Path, kind: str) -> None:
    if kind == "program":
        found = harness("open", str(built))
        assert (found.returncode, "nothing to serve" in found.stderr) == (3, True)
