"""Changes of the plan that wait to be taken in: one file each, in the state directory, in the order they were made.

Whoever holds the project's lock takes them in: a run, before it chooses its next feature; else the command that wrote
the change. Each is one state commit on the thread's branch. What cannot be taken in any more, because the plan was
changed in between, is kept beside the queue and told.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.commits import make_trailers
from harness.desk import Desk
from harness.errors import FeatureFileError
from harness.events import Noticed, StateChanged
from harness.features import FeatureList
from harness.ledger import FEATURES, SPEC, Ledger
from harness.memory.ingest import plan_records, spec_records
from harness.memory.record import Record, make_record
from harness.plan_change import Applied, PlanChange, Wording, apply_change, change_problems
from harness.project import Project, write_atomic
from harness.repo import Repo
from harness.specification import Specification
from harness.state_file import file_errors, parse_json, read_text
from harness.threads import latest_thread
from harness.verify import audit

if TYPE_CHECKING:
    from harness.parts import Parts

Change = Literal["added", "amended", "removed"]


def plan_dir(project: Project) -> Path:
    """Where changes wait, with the texts a person was editing. Made when missing.

    Raises: SetupError: the state directory cannot be written.
    """
    project.prepare_state()
    directory = project.state_dir / "plan"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


@dataclass(frozen=True)
class PlanNow:
    """The plan as it stands in git, what waits to be taken in included."""

    features: FeatureList
    spec: str
    used: frozenset[str]
    """Ids that no new feature gets."""
    by_person: frozenset[str]
    """Features whose contract a person decided on."""


async def read_plan(project: Project) -> PlanNow:
    """Read the newest plan without taking the project's lock: on the thread's branch, or where there is none at HEAD.

    Raises: FeatureFileError: there is no list yet, or a file is broken; it is named.
    """
    repo, thread = await asyncio.to_thread(Repo.open, project.directory), latest_thread(project)
    branch = f"refs/heads/harness/{thread.thread_id}" if thread else "HEAD"
    at = branch if await repo.read(FEATURES, branch) is not None else "HEAD"
    if (listed := await repo.read(FEATURES, at)) is None:
        raise FeatureFileError(
            f"{project.directory} has no {FEATURES} in its last commit.", "Run `harness init` first."
        )
    features, spec = FeatureList.parse(listed, FEATURES), await repo.read(SPEC, at) or ""
    chain = audit.chain(await repo.read(audit.AUDIT, at) or "", Path(audit.AUDIT))
    used = frozenset(line.feature for line in chain)
    checks = {f.id: await repo.read(f"checks/{f.id}.json", at) for f in features.features}
    for path in queued(project):
        change = _load(path)
        if not change_problems(change, features, spec, used):
            after = apply_change(change, features, spec, used)
            features, spec = after.features, after.spec
    return PlanNow(features, spec, used, frozenset(name for name, check in checks.items() if _is_decided(check)))


def _is_decided(check: str | None) -> bool:
    found = parse_json(check) if check else {}
    return bool(found.get("contract", {}).get("by") == "person")


def _load(path: Path) -> PlanChange:
    with file_errors(path, "change of the plan"):
        return PlanChange.model_validate_json(read_text(path))


def put_in_queue(project: Project, change: PlanChange) -> Path:
    """Keep a change until it is taken in."""
    path = plan_dir(project) / f"{time.time_ns()}-{os.urandom(2).hex()}.json"
    write_atomic(path, change.model_dump_json(indent=1, exclude_defaults=True) + "\n")
    return path


def queued(project: Project) -> list[Path]:
    """The changes that wait, oldest first."""
    return sorted((project.state_dir / "plan").glob("[0-9]*.json"))


async def take_in(parts: Parts, ledger: Ledger) -> list[str]:
    """Commit what waits; returns what was done, in words.

    Replay: what was agreed is forgotten and what is remembered is keyed before the commit, which is found by its
    trailers; then the change is only put away.
    Raises: FeatureFileError: a file of the queue is broken; it is named.
    """
    said = []
    for path in queued(parts.project):
        said.append(await _take_in(parts, ledger, _load(path), path))
    return said


async def _take_in(parts: Parts, ledger: Ledger, change: PlanChange, path: Path) -> str:
    trailers = make_trailers(parts.thread_id, f"plan-{path.stem}", event="amended")
    if await (await ledger.tree()).find_commit(trailers):
        path.unlink()
        return "The plan has this change already."
    features, spec, used = await ledger.features(), await ledger.spec(), await ledger.used_ids()
    if problems := change_problems(change, features, spec, used):
        kept = path.with_suffix(".refused")
        path.rename(kept)
        text = f"A change of the plan was not taken in: {'; '.join(problems)}. It is kept in {kept}."
        parts.events.emit(Noticed(text=text, level="warning"))
        return text
    after = apply_change(change, features, spec, used)
    told, anew = subject(change, after), (*after.reworded, *change.removed)
    for name in anew:
        Desk(parts, ledger, features.get(name)).drop_contract()
    await _remember(parts, ledger, features, after)
    await ledger.commit(
        f"Plan: {told}", change.why, trailers, after.features, (),
        spec=after.spec if after.lines else None, dropped=anew, state_only=True,
    )  # fmt: skip
    for feature_id, what in _deeds(change, after):
        parts.events.emit(StateChanged(feature_id=feature_id, change=what, reason=change.why, by="person"))
    path.unlink()
    return f"{told}."


def subject(change: PlanChange, after: Applied) -> str:
    """A change in a line: `F012 and F013 added, F003 amended`."""
    parts = {"added": list(after.ids.values()), "amended": list(change.amended), "removed": list(change.removed)}
    return ", ".join(f"{_listed(names)} {what}" for what, names in parts.items() if names)


def _listed(names: list[str]) -> str:
    if len(names) > 6:
        return f"{len(names)} features"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _deeds(change: PlanChange, after: Applied) -> list[tuple[str, Change]]:
    added: list[tuple[str, Change]] = [(name, "added") for name in after.ids.values()]
    return [*added, *((n, "amended") for n in change.amended), *((n, "removed") for n in change.removed)]


async def _remember(parts: Parts, ledger: Ledger, before: FeatureList, after: Applied) -> None:
    """Records of the new lines and features; those of other texts are not recalled any more."""
    was = {f.id: f.description for f in before.features}
    now = {f.id: f.description for f in after.features.features}
    name, thread = ledger.name, parts.thread_id
    grown = Specification(after.spec).lines
    lines = "\n".join(grown[line - 1] for line in after.lines)
    new = {record.feature: record for record in plan_records(name, _differing(now, was), thread)}
    await parts.memory.remember([*spec_records(name, lines, thread), *new.values()])
    for old in plan_records(name, _differing(was, now), thread):
        await parts.memory.supersede(old.key, new.get(old.feature, _gone(old)))


def _differing(these: dict[str, str], those: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, text) for name, text in these.items() if those.get(name) != text]


def _gone(record: Record) -> Record:
    text = f"{record.text}\nThis feature was taken out of the plan by a person."
    return make_record(record.project, "decision", text, source="plan", feature=record.feature, thread=record.thread)


def seen(features: FeatureList, *names: str) -> dict[str, Wording]:
    """How some features are worded now, for a change to say what it was made from."""
    return {name: Wording.of(features.get(name)) for name in names}
