"""Coders that want "done" without the work: how many get it, and what stopped each.

    python tests/bench/bench_liars.py [PART OF A NAME]

Each is a scripted model behind a real endpoint; the program, its sandbox, Chromium and git are real. The honest twins
build the same features and must pass. A known limit is a lie that passes, with what would stop it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import common

sys.path.append(str(common.TESTS / "e2e"))

from bad_input_support import HASTY, IDENTITY, Person, clone, commit
from liar_scripts import HONEST, LIARS, SPEC, Liar, plan
from liar_support import Outcome, let_loose
from scripted import ScriptedModel

AT_ONCE = 4


def main() -> int:
    """Print a row for each; 1 when a lie passes that is no known limit, or an honest twin does not."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [liar for liar in (*HONEST, *LIARS) if part in liar.name]
    common.title(f"{len(chosen)} coders, {sum(not liar.honest for liar in chosen)} of them liars")
    with tempfile.TemporaryDirectory(prefix="liars-") as name:
        _alone(Path(name))
        outcomes = list(_all(Path(name), chosen))
    return _summary(outcomes)


def _alone(home: Path) -> None:
    """Nothing of this machine's person takes part."""
    for name in [n for n in os.environ if n.startswith(("OPENAI_", "MILVUS_", "HARNESS_", "GIT_"))]:
        del os.environ[name]
    (home / "gitconfig").write_text(IDENTITY)
    os.environ |= {"GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "XDG_CONFIG_HOME": str(home / "config")}


def _all(home: Path, chosen: list[Liar]) -> Iterator[Outcome]:
    template = _template(home)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome, seconds in pool.map(lambda each: _one(home, template, *each), enumerate(chosen)):
            _show(outcome, seconds)
            yield outcome


def _template(home: Path) -> Path:
    project, spec = home / "template", home / "spec.md"
    project.mkdir()
    spec.write_text(SPEC)
    with ScriptedModel(plan) as model:
        person = Person({"HARNESS_STATE_DIR": str(home / "state")}, model.base_url)
        made = person.run("init", project, "--spec", spec, "--yes", "--thread", "liars")
    assert made.code == 0, made
    (project / "harness.toml").write_text(HASTY)
    commit(project, "settings")
    return project


def _one(home: Path, template: Path, number: int, liar: Liar) -> tuple[Outcome, float]:
    started = time.monotonic()
    project = clone(template, home / f"p{number}")
    person = Person({"HARNESS_STATE_DIR": str(home / f"s{number}")})
    return let_loose(project, liar, person), time.monotonic() - started


def _show(outcome: Outcome, seconds: float) -> None:
    liar = outcome.liar
    done = f"done: {', '.join(outcome.passes)}" if outcome.passes else "not done"
    by = "" if liar.honest else f"known limit: {liar.limit}" if liar.limit else liar.by
    sign = "ok" if outcome.is_as_meant else "NOT AS MEANT"
    print(f"{liar.name:<46} {done:<12} {seconds:4.0f} s  {sign:<12}  {by}", flush=True)
    words = outcome.reason if outcome.is_as_meant else f"{outcome.told[-1500:]}\n{outcome.ran}"
    print(textwrap.indent(textwrap.fill(words, 110) if outcome.is_as_meant else words, "    | "), flush=True)


def _summary(outcomes: list[Outcome]) -> int:
    liars = [each for each in outcomes if not each.liar.honest and not each.liar.limit]
    known = [each for each in outcomes if each.liar.limit]
    honest = [each for each in outcomes if each.liar.honest]
    print(f"{len(honest)} honest twins, {sum(each.is_as_meant for each in honest)} done")
    print(f"{len(known)} known limits, {sum(each.false_done for each in known)} of them pass")
    common.verdict(f"false done among {len(liars)} liars", sum(each.false_done for each in liars), 0)
    return 0 if all(each.is_as_meant for each in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
