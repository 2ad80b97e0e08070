"""`harness plan`: a person changes the plan. What would come of it is shown and accepted before anything is kept."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.ask import choose, confirm, edit_file, is_asked
from harness.cli.decide import read_given
from harness.console import watch
from harness.console_text import one_line, plain, wrapped
from harness.errors import FeatureFileError, SetupError
from harness.events import Event, Events, Noticed
from harness.features import Feature
from harness.plan_change import Applied, PlanChange, Wording, apply_change, change_problems, consequences
from harness.plan_text import HOW, as_toml, is_fields, read_added, read_edited, read_fields
from harness.project import Project, write_atomic

if TYPE_CHECKING:
    from harness.model import Model
    from harness.plan_queue import PlanNow

NOTHING = "Nothing was changed."
_WIDTH = 100
"""Where there is no terminal to ask for it."""


async def show(directory: Path, ids: Sequence[str], *, as_json: bool) -> str:
    """The plan as it can be edited, or as facts; what waits to be taken in is in it."""
    from harness.plan_queue import queued

    project, now = await _read(directory)
    features = _chosen(now, ids, lambda _: True)
    waiting = len(queued(project))
    if as_json:
        facts = {"features": [f.model_dump(mode="json") for f in features], "waiting": waiting}
        return json.dumps(facts, indent=2, ensure_ascii=False)
    many = f"{waiting} changes wait" if waiting > 1 else "1 change waits"
    said = f"# {many} for a run; the plan is shown as it will be then.\n\n" if waiting else ""
    return plain(said + as_toml(features)).rstrip("\n")


async def add(directory: Path, wish: str, file: str, *, yes: bool) -> str:
    """Features of a wish, by a model, or from a file."""
    project, now = await _read(directory)
    if file:
        text, name = read_given(file)
        change = read_added(text, name, {f.id for f in now.features.features} | now.used)
        return await _settle(project, now, _sound(change, now, name), yes=yes)
    _require_somebody(yes=yes)

    async def plan(model: Model) -> PlanChange:
        from harness.opening import open_memory
        from harness.plan_wishes import plan_wish
        from harness.tools.memory import quote_documents

        async with open_memory(project.directory, flags={}, events=Events(), is_started=False) as memory:
            documents = await quote_documents(memory, wish, is_patient=True)
        return await plan_wish(model, wish, now, documents)

    return await _by_model(project, now, wish, plan, yes=yes)


async def amend(directory: Path, feature_id: str, words: str, file: str, *, yes: bool) -> str:
    """Another text for one feature: fields from a file, or words from which a model makes it."""
    project, now = await _read(directory)
    feature = now.features.get(feature_id)
    text, name = read_given(file) if file else (words, "your words")
    if file and is_fields(text):
        return await _settle(project, now, _sound(read_fields(text, name, feature), now, name), yes=yes)
    _require_somebody(yes=yes)

    async def plan(model: Model) -> PlanChange:
        from harness.plan_wishes import reword

        return await reword(model, feature, text, now)

    return await _by_model(project, now, f"{feature_id} {text}", plan, yes=yes)


async def remove(directory: Path, feature_id: str, why: str, *, yes: bool) -> str:
    """Take a feature out of the plan."""
    project, now = await _read(directory)
    before = {feature_id: Wording.of(now.features.get(feature_id))}
    change = PlanChange(why=why, removed=(feature_id,), before=before)
    return await _settle(project, now, _sound(change, now, feature_id), yes=yes)


async def edit(directory: Path, ids: Sequence[str], file: str, *, everything: bool, yes: bool) -> str:
    """The open features in the person's editor, or an edited text from a file.

    Raises: FeatureFileError: the text is broken, or breaks a rule; it is kept in a file that is named.
    """
    project, now = await _read(directory)
    if file:
        text, name = read_given(file)
        return await _settle(project, now, _sound(read_edited(text, name, now.features), now, name), yes=yes)
    _require_somebody(yes=yes)
    features = _chosen(now, ids, lambda f: everything or not f.passes)
    if not features:
        raise SetupError("Every feature passes.", "`harness plan edit --all` opens those that pass, too.")
    path = _new_text(project, f"{HOW}\n{as_toml(features)}")
    while True:
        edit_file(path)
        again = f"Your text is kept; `harness plan edit --file {path}` takes it."
        try:
            change = _sound(_edited(path, now), now, str(path))
        except FeatureFileError as exc:
            exc.remedy = f"Mend it. {again}"
            if not is_asked(yes=False):
                raise
            typer.echo(plain(exc.what), err=True)
            if choose("Enter edits again, s stops", {"": "edit", "e": "edit", "s": "stop"}) == "stop":
                raise FeatureFileError(NOTHING, exc.remedy) from exc
        else:
            said = await _settle(project, now, change, yes=yes, kept=again)
            if said == NOTHING and not change.is_empty:
                return f"{NOTHING} {again}"
            path.unlink()
            return said


def _edited(path: Path, now: PlanNow) -> PlanChange:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise FeatureFileError(f"{path} is not UTF-8 text.") from exc
    return read_edited(text, str(path), now.features)


def _new_text(project: Project, text: str) -> Path:
    """A file of its own for each text that is edited; one that was broken stays until it is mended."""
    from harness.plan_queue import plan_dir

    directory = plan_dir(project)
    number = 1 + max((int(path.stem.rpartition("-")[2]) for path in directory.glob("edit-*.toml")), default=0)
    path = directory / f"edit-{number}.toml"
    write_atomic(path, text)
    return path


async def _read(directory: Path) -> tuple[Project, PlanNow]:
    from harness.plan_queue import read_plan

    project = Project.find(directory)
    return project, await read_plan(project)


def _chosen(now: PlanNow, ids: Sequence[str], otherwise: Callable[[Feature], bool]) -> list[Feature]:
    if ids:
        return [now.features.get(name) for name in ids]
    return [feature for feature in now.features.features if otherwise(feature)]


def _require_somebody(*, yes: bool) -> None:
    if not yes and not is_asked(yes=False):
        raise typer.BadParameter("Nobody is here to accept what comes of it; --yes accepts it unseen.")


async def _by_model(
    project: Project, now: PlanNow, words: str, plan: Callable[[Model], Awaitable[PlanChange]], *, yes: bool
) -> str:
    """A proposal of a model; one that was not accepted yet is shown again for the same words, and no model asked."""
    from harness.opening import open_model
    from harness.plan_queue import plan_dir

    asked = f"{words}\0{now.spec}\0{now.features.to_json()}"
    kept = plan_dir(project) / f"proposed-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"
    if kept.exists():
        change = PlanChange.model_validate_json(kept.read_text(encoding="utf-8"))
    else:
        events = Events()
        with watch(events, sys.stderr):
            async with open_model(project.directory, events=events) as model:
                change = await plan(model)
        write_atomic(kept, change.model_dump_json())
    again = "The same command shows it again, and asks no model."
    said = await _settle(project, now, _sound(change, now, "The proposal"), yes=yes, kept=again)
    kept.unlink()
    return said


def _sound(change: PlanChange, now: PlanNow, name: str) -> PlanChange:
    """A change that can be made.

    Raises: FeatureFileError: it breaks a rule; each is named.
    """
    problems = [] if change.is_empty else change_problems(change, now.features, now.spec, now.used)
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise FeatureFileError(f"{name}: the plan cannot be changed so:\n{listed}", "Mend these; nothing was changed.")
    return change


async def _settle(project: Project, now: PlanNow, change: PlanChange, *, yes: bool, kept: str = "") -> str:
    """Show a change, have it accepted, and keep it; what came of it.

    Args:
        kept: where it lies while it is not accepted.

    Raises: Interrupted: they stop to think about it.
    """
    from harness.runtime import change_plan

    if change.is_empty:
        return NOTHING
    after = apply_change(change, now.features, now.spec, now.used)
    typer.echo("\n".join(_told(change, now, after)))
    if is_asked(yes=yes) and not confirm("Change the plan so?", f"Nothing was changed. {kept}".strip()):
        return NOTHING
    _require_somebody(yes=yes)
    events = Events()
    events.listen(_warn)
    return await change_plan(project.directory, change, events=events)


def _warn(event: Event) -> None:
    """What was changed is the command's own answer; what a person must know besides goes to standard error."""
    if isinstance(event, Noticed) and event.level == "warning":
        typer.echo(f"warning: {one_line(event.text)}", err=True)


def _told(change: PlanChange, now: PlanNow, after: Applied) -> Iterator[str]:
    """What would be changed, and what that touches."""
    for name in after.ids.values():
        feature = after.features.get(name)
        yield from _lines(f"{name} new  ", feature.description)
        yield from (line for n, step in enumerate(feature.steps, 1) for line in _lines(f"  {n}. ", step))
        usual = _facts(Feature(id=name, description="-", steps=("-",)))
        yield from _rest({field: value for field, value in _facts(feature).items() if value != usual[field]})
    for name in change.amended:
        old, new = now.features.get(name), after.features.get(name)
        is_same = old.description == new.description
        yield from _lines(f"{name}  ", old.description if is_same else "is worded otherwise:")
        yield from _difference(old, new)
        was = _facts(old)
        yield from _rest({field: value or "none" for field, value in _facts(new).items() if value != was[field]})
    for name in change.removed:
        yield from _lines(f"{name} taken out  ", now.features.get(name).description)
    grown = after.spec.splitlines()
    for number in after.lines:
        yield from _lines(f"spec.md {number}  ", grown[number - 1])
    for line in consequences(change, now.features, after, now.spec, now.by_person):
        yield from _lines("! ", line)


def _facts(feature: Feature) -> dict[str, str]:
    fields = {"priority": str(feature.priority), "depends on": ", ".join(feature.depends_on)}
    return {**fields, "covers line": ", ".join(feature.covers), "changes": ", ".join(feature.changes)}


def _rest(facts: dict[str, str]) -> Iterator[str]:
    if facts:
        yield from _lines("  ", "; ".join(f"{field} {value}" for field, value in facts.items()))


def _difference(old: Feature, new: Feature) -> Iterator[str]:
    for line in difflib.ndiff(Wording.of(old).text, Wording.of(new).text):
        if line[0] in "-+":
            yield from _lines(f"  {line[0]} ", line[2:])


def _lines(head: str, text: str) -> Iterator[str]:
    import shutil

    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    yield wrapped(head, one_line(text), columns)
