"""`harness check`: how a feature is proved, for a person to see, write and decide."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.console import watch
from harness.console_text import gist, one_line, plain
from harness.errors import FeatureFileError
from harness.events import Events, ModelCalled
from harness.features import Feature, FeatureList
from harness.project import Project
from harness.threads import require_list

if TYPE_CHECKING:
    from harness.verify.review import Remark


def show(directory: Path, feature_id: str, *, as_json: bool) -> str:
    """A check in words, or as facts.

    Raises: UnknownFeature: there is no such feature. FeatureFileError: it has no check, or a file is broken.
    """
    from harness.verify.files import read_check, read_elements, read_flows
    from harness.verify.review import as_facts, in_words

    project = Project.find(directory)
    require_list(project)
    feature = FeatureList.load(project.features_file).get(feature_id)
    path = project.checks_dir / f"{feature_id}.json"
    if not path.exists():
        raise FeatureFileError(
            f"{feature_id} has no check ({path}).",
            f"It gets one when it is built: `harness run {shlex.quote(str(project.directory))}`.",
        )
    check = read_check(path, read_flows(project.checks_dir))
    elements = read_elements(project.checks_dir).locators()
    return _json(as_facts(check, feature, elements)) if as_json else plain(in_words(check, feature, elements))


def lint(directory: Path, feature_id: str, *, as_json: bool) -> tuple[str, bool]:
    """What is wrong or weak in checks, and whether they can be relied on.

    Raises: UnknownFeature: there is no such feature. FeatureFileError: a file is broken.
    """
    project = Project.find(directory)
    require_list(project)
    features = FeatureList.load(project.features_file)
    wanted = [features.get(feature_id)] if feature_id else list(features.features)
    remarks = list(_remarks(project, wanted))
    is_sound = not any(remark.level == "fail" for remark in remarks)
    if as_json:
        return _json([vars(remark) for remark in remarks]), is_sound
    lines = [f"{remark.level:<4}  {remark.feature_id}  {one_line(remark.text)}" for remark in remarks]
    return "\n".join(lines) or _nothing_wrong(project, wanted), is_sound


async def author(
    directory: Path, feature_id: str, url: str | None, flags: dict[str, Any], *, as_json: bool
) -> tuple[str, bool]:
    """Write a check on an application; what it says, with the calls it took, and whether it was kept."""
    from harness.runtime import author_check
    from harness.verify.author import contract_words

    events, calls = Events(), list[ModelCalled]()
    events.listen(lambda event: calls.append(event) if isinstance(event, ModelCalled) else None)
    with watch(events, sys.stderr):
        drafted = await author_check(directory, feature_id, url=url, flags=flags, events=events)
    bound, is_kept = drafted.tried.calls if drafted.tried else 0, not drafted.reason
    facts = {"feature": feature_id, "kept": is_kept, "reason": drafted.reason}
    facts |= {"author_calls": len(calls) - bound, "binder_calls": bound}
    facts |= {"problems": list(drafted.tried.problems) if drafted.tried else []}
    facts |= {"contract": drafted.agreed.contract.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
    if as_json:
        return _json(facts), is_kept
    done = f"It passed twice and is kept as a draft; `harness check accept {feature_id}` makes it the contract."
    said = done if is_kept else f"It is not kept. {plain(gist(drafted.reason))}"
    used = f"Model calls: {facts['author_calls']} of the author, {bound} of the binder."
    return "\n".join([plain(contract_words(drafted.agreed.contract)), "", said, used]), is_kept


def _remarks(project: Project, features: list[Feature]) -> Iterator[Remark]:
    from harness.settings import load_settings
    from harness.specification import Specification
    from harness.verify.exchanges import openapi
    from harness.verify.exchanges.interface import Interface
    from harness.verify.exchanges.openapi import Document
    from harness.verify.files import read_checks, read_elements
    from harness.verify.review import review

    checks, elements = read_checks(project.checks_dir), read_elements(project.checks_dir).locators()
    spec = project.directory / "spec.md"
    specification = Specification(spec.read_text(encoding="utf-8")) if spec.exists() else None
    app = load_settings(project.directory).app
    known = Interface(document=openapi.find(project.directory, app.openapi) if app.kind != "web" else Document())
    for feature in features:
        if feature.id in checks:
            lines = specification.quote(feature.covers) if specification else ""
            yield from review(checks[feature.id], feature, elements, "\n".join(filter(None, [lines, known.text])))


def _nothing_wrong(project: Project, wanted: list[Feature]) -> str:
    """How much was looked at: of nothing, nothing can be said."""
    count = sum((project.checks_dir / f"{feature.id}.json").exists() for feature in wanted)
    if not count:
        which = wanted[0].id if len(wanted) == 1 else "No feature"
        return f"{which} has {'no check' if len(wanted) == 1 else 'a check'} yet, so there is nothing to look at."
    return f"Nothing is wrong in {count} check{'s' if count > 1 else ''}."


def _json(facts: Any) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False, default=str)
