"""Lists of other harnesses, read as they are: what becomes of them, and what is refused by name and place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.adopt import MOST, Adopted, parse_list, read_adoption, why_not_ours
from harness.errors import FeatureFileError, SetupError
from harness.features import FeatureList
from harness.memory.ingest import progress_records

CLASSIC = [
    {"category": "functional", "description": "Send a message", "steps": ["Open", "Type", "See it"], "passes": True},
    {"category": "style", "description": "Look calm", "steps": ["See it"], "passes": False},
]


def entry(**fields: Any) -> dict[str, Any]:
    return {"description": "Do it", "steps": ["See it"]} | fields


def taken(data: Any) -> tuple[FeatureList, str]:
    """The list and all that is told of it."""
    text = data if isinstance(data, str) else json.dumps(data)
    features, notices = parse_list(text.encode(), Path("feature_list.json"))
    return features, "\n".join(notices)


def project(directory: Path, data: Any = CLASSIC, **files: str) -> Path:
    given = {"feature_list.json": json.dumps(data), "app_spec.txt": "Build a chat.\n"}
    for name, text in (given | files).items():
        (directory / name).write_text(text)
    return directory


def test_a_classic_list_gets_ids_and_what_passes_is_only_claimed():
    features, told = taken(CLASSIC)
    assert [(f.id, f.state, f.category, f.description) for f in features.features] == [
        ("F001", "claimed", "functional", "Send a message"),
        ("F002", "open", "style", "Look calm"),
    ]
    assert features.features[0].steps == ("Open", "Type", "See it")
    assert features.totals.passing == 0
    assert told == "feature_list.json: 2 features, 1 of them claimed to pass, which is proved first."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([entry(id=7), entry(), entry(id=1)], ["F007", "F002", "F001"]),
        ([entry(id="AUTH-1"), entry(id="auth.2"), entry(id="../../x")], ["AUTH-1", "F001", "F002"]),
        ([entry(id="Elements"), entry(id="flows"), entry(id="flow")], ["F001", "F002", "flow"]),
        ([entry(id=-1), entry(id=10**30), entry(id="F001")], ["F002", "F003", "F001"]),
        ({"project": "chat", "features": CLASSIC, "others": [1]}, ["F001", "F002"]),
        ({"version": 3, "tasks": CLASSIC}, ["F001", "F002"]),
        ({"features": [{"title": "Log in", "acceptanceCriteria": ["See the name"]}]}, ["F001"]),
    ],
    ids=["numbers", "names", "shared files", "impossible ids", "wrapped", "wrapped otherwise", "other words"],
)
def test_relatives_of_the_classic_list_are_taken(data: Any, expected: list[str]):
    features, _ = taken(data)
    assert [f.id for f in features.features] == expected
    assert all(f.steps for f in features.features)


def test_dependencies_and_priorities_follow_the_ids_and_words():
    features, told = taken(
        [
            entry(id=1, priority="high"),
            entry(id="a b", dependencies=[1], priority=3),
            entry(id=9, dependsOn=["a b", 1], priority="whenever"),
        ]
    )
    assert [(f.id, f.depends_on, f.priority) for f in features.features] == [
        ("F001", (), 20),
        ("F002", ("F001",), 3),
        ("F009", ("F002", "F001"), 100),
    ]
    assert "'priority' (1)" in told
    assert "1 ids cannot name a file" in told


def test_a_feature_without_steps_takes_its_description_and_keys_without_a_place_are_counted():
    data = [entry(steps=None, owner="x", notes="y"), entry(steps=[" "], owner="z"), entry(steps="Look at it")]
    features, told = taken({"features": data, "made_by": "somebody"})
    assert [f.steps for f in features.features] == [("Do it",), ("Do it",), ("Look at it",)]
    assert "2 features have no steps" in told
    assert "4 values are left out" in told
    assert "'owner' (2), 'notes' (1), 'made_by' (1)" in told


def test_what_is_no_text_is_cleaned_away():
    features, _ = taken([entry(description="Say\u202e \x1b[31mhello\ud800\nagain", steps=["See\u0000 it"])])
    assert features.features[0].description == "Say [31mhello again"
    assert features.features[0].steps == ("See it",)
    assert features.to_json().encode()


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("", "it is empty"),
        ("[{]", "feature_list.json:1:3 is not JSON"),
        ("[]", "it lists no features"),
        ({"features": []}, "it lists no features"),
        ("7", "neither an array"),
        ({"name": "x"}, "its arrays: none"),
        ({"a": [], "b": []}, "its arrays: 'a', 'b'"),
        ("[" * 100_000, "cannot be read"),
        ([entry(), 3], "features[1]"),
        ([entry(), {"steps": ["See it"]}], "features[1].description"),
        ([entry(description=" \u200b")], "features[0].description"),
        ([entry(description="x" * 10_001)], "features[0].description"),
        ([entry(steps=[{"do": "x"}])], "features[0].steps[0]"),
        ([entry(passes="yes")], "features[0].passes"),
        ([entry(id=True)], "features[0].id"),
        ([entry(id="a"), entry(), entry(id="A")], "features[0] and features[2] have the same id 'A'"),
        ([entry(id="a b"), entry(id="a b")], "features[0] and features[1] have the same id 'a b'"),
        ([entry(id=1), entry(id="F001")], "same id 'F001'"),
        ([entry(id=1, depends_on=[5])], "features[0] depends on '5'"),
        ([entry(id=1, depends_on=[2]), entry(id=2, depends_on=[1])], "F001 -> F002 -> F001"),
        ('[{"description": "d", "description": "e"}]', "'description' is given twice"),
        ([{"description": "d"}] * 100_000, "it lists 100,000 features, and at most 10,000"),
    ],
)
def test_a_list_that_cannot_be_taken_is_refused_by_name_and_place(data: Any, place: str):
    with pytest.raises(FeatureFileError) as caught:
        taken(data)
    assert "feature_list.json" in caught.value.what
    assert place in caught.value.what
    assert len(caught.value.what) < 1000
    assert caught.value.remedy


def test_the_longest_list_is_taken():
    features, _ = taken([entry(id=n, depends_on=[n - 1] if n else []) for n in range(MOST)])
    assert features.totals.total == MOST


def test_a_project_is_read_whole_and_left_as_it_is(tmp_path: Path):
    project(tmp_path, **{"claude-progress.txt": "Built the skeleton.\n"})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    adopted = read_adoption(tmp_path)
    assert isinstance(adopted, Adopted)
    assert adopted.spec == "Build a chat.\n"
    assert adopted.plan.given == "feature_list.json"
    assert (adopted.plan.notes_from, adopted.plan.notes) == ("claude-progress.txt", "Built the skeleton.\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_specification_that_is_named_counts_before_the_one_that_is_there(tmp_path: Path):
    project(tmp_path)
    assert read_adoption(tmp_path, "Build a clock.").spec == "Build a clock.\n"
    (tmp_path / "app_spec.txt").unlink()
    with pytest.raises(SetupError, match="no specification"):
        read_adoption(tmp_path)
    (tmp_path / "spec.md").write_text("Another")
    assert read_adoption(tmp_path).spec == "Another\n"


@pytest.mark.parametrize("name", ["feature_list.json", "app_spec.txt", "claude-progress.txt"])
def test_a_link_out_of_the_project_is_refused(tmp_path: Path, name: str):
    """Its broken twin: read as any file is read, the link hands over what it leads to."""
    inside, secret = tmp_path / "inside", tmp_path / "secret"
    inside.mkdir()
    project(inside)
    secret.write_text(json.dumps(CLASSIC))
    (inside / name).unlink(missing_ok=True)
    (inside / name).symlink_to(secret)
    assert (inside / name).read_text() == secret.read_text()
    with pytest.raises(SetupError, match="symbolic link"):
        read_adoption(inside)


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path):
    project(tmp_path)
    os.mkfifo(tmp_path / "claude-progress.txt")
    with pytest.raises(SetupError, match="not a plain file"):
        read_adoption(tmp_path)


def test_a_specification_too_large_is_refused_and_of_long_notes_the_end_is_read(tmp_path: Path):
    project(tmp_path, **{"claude-progress.txt": "old " * 200_000 + "\n\nthe newest\n"})
    assert read_adoption(tmp_path).plan.notes.endswith("the newest\n")
    assert len(read_adoption(tmp_path).plan.notes) == 400_000
    (tmp_path / "app_spec.txt").write_text("x" * 2_000_001)
    with pytest.raises(SetupError, match="2,000,001 bytes"):
        read_adoption(tmp_path)


def test_notes_become_one_record_a_paragraph_the_newest_kept():
    text = "# Session 1\n\nBuilt it.\n\n- The key is `notes`.\n- Port 3000.\n\n# Session 2\n\nMended it.\n"
    records = progress_records("p", text, "claude-progress.txt", "t")
    assert [(r.kind, r.text) for r in records] == [
        ("progress", "Session 1: Built it."),
        ("progress", "Session 1: The key is `notes`."),
        ("progress", "Session 1: Port 3000."),
        ("progress", "Session 2: Mended it."),
    ]
    many = "\n\n".join(f"Entry {n}." for n in range(1000))
    assert [r.text for r in progress_records("p", many, "s", most=3)] == ["Entry 997.", "Entry 998.", "Entry 999."]
    assert progress_records("p", "", "") == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "no init.sh"),
        ("#!/bin/bash\nnpm install\nnpm run dev &\n", "looks at no argument"),
        ("#!/usr/bin/env bash\npython3 app.py\n", "looks at no argument"),
        ('#!/usr/bin/env bash\ncase "${1:-all}" in prepare) : ;; esac\n', ""),
        ('#!/bin/sh\nexec make "$@"\n', ""),
        ("#!/usr/bin/env python3\nimport sys\n", ""),
        ("npm run dev\n", ""),
    ],
)
def test_a_start_that_cannot_tell_prepare_from_serve_is_known_by_its_text(script: str | None, why: str):
    said = why_not_ours(script)
    assert (why in said) if why else said == ""
