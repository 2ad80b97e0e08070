"""The mutants benchmark itself, on the to-do application: what it rejects, what it does not, and that it says so."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from apps import todo_app

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from bench_mutants import Bench, bench_app, show_totals
from mutant_apps import App, apps

from harness.settings import AppSettings
from harness.verify.app import serve
from harness.verify.check import Element, Elements

pytestmark = pytest.mark.needs("chromium", "bwrap")
FEATURES = ("add", "keep")
BROKEN = '{ file = "app.js", old = "  save();\\n", new = "" }'
HARMLESS = '{ file = "app.js", old = "  save();\\n  render();", new = "  save();\\n  setTimeout(render, 100);" }'
DEAD = '{ file = "serve.py", old = "import os", new = "import nothing" }'
MUTANTS = "\n".join(
    f'[[mutant]]\nid = "{name}"\nfeature = "{feature}"\nstep = 3\nnotices = "it"\nedits = [{edit}]'
    for name, feature, edit in [
        ("named right", "keep", BROKEN),
        ("named wrong", "add", BROKEN),
        ("harmless", "add", HARMLESS),
        ("dead", "add", DEAD),
    ]
)


def _todo(directory: Path) -> App:
    directory.mkdir()
    shutil.copytree(todo_app.SOURCE, directory / "app")
    features = [{"id": name, "description": name, "steps": todo_app.STEPS[name]} for name in FEATURES]
    (directory / "features.json").write_text(json.dumps({"version": 1, "features": features}))
    (directory / "mutants.toml").write_text(MUTANTS)
    (directory / "unit").mkdir()
    (directory / "unit" / "run.sh").write_text('cd "$(dirname "$0")" && grep -q "  save();" ../app/app.js')
    (directory / "checks").mkdir()
    for name in FEATURES:
        (directory / "checks" / f"{name}.json").write_text(todo_app.CHECKS[name].model_dump_json())
    named = {n: Element(description=todo_app.TARGETS[n], locator=each) for n, each in todo_app.ELEMENTS.items()}
    (directory / "checks" / "elements.json").write_text(Elements(elements=named).model_dump_json())
    return App(directory)


@pytest.fixture
async def measured(tmp_path: Path) -> Bench:
    return await bench_app(_todo(tmp_path / "todo"), times=1, wanted=(), workers=2)


async def test_mutants_are_rejected_by_their_feature_by_another_or_not_at_all(measured: Bench, capsys):
    found = {outcome.mutant.id: outcome for outcome in measured.outcomes}
    assert (measured.replays, measured.false_rejects) == (2, [])
    assert [found[name].rejection and found[name].rejection.feature for name in found] == ["keep", "keep", None, "add"]
    assert [name for name in found if found[name].elsewhere] == ["named wrong"]
    assert [name for name in found if found[name].unit_tests_fail] == ["named right", "named wrong"]
    assert "does not start" in found["dead"].rejection.gist
    show_totals([measured])
    assert "mutants not rejected: 1.00, budget 0: OVER" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["board", "guestbook", "sharebox"])
async def test_an_application_of_the_benchmark_starts_without_network(name: str, tmp_path: Path):
    from apps.rooms import open_room

    (app,) = apps([name])
    tree = app.make(tmp_path / name)
    async with open_room(tmp_path, tree) as room, serve(tree, room, AppSettings(), tmp_path / "data") as instance:
        await instance.reset()
