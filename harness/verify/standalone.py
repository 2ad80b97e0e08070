"""`harness verify`: replays a project's checks as its files are now, without a model and without touching them.

The files are copied first (what git tracks or would track), so that `prepare` and the sandbox leave nothing behind in
the person's checkout. Against a running address only the browser is ours: data is whatever is there.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import FeatureFileError
from harness.features import Feature, FeatureList
from harness.repo import Repo
from harness.verify.app import AppNotStarted
from harness.verify.check import Check, Locator
from harness.verify.files import read_check, read_elements, read_flows
from harness.verify.hall import Hall, open_hall
from harness.verify.replay import Pages, Site

if TYPE_CHECKING:
    from harness.events import Events
    from harness.project import Project
    from harness.settings import Settings


@dataclass(frozen=True)
class Replayed:
    """What became of one feature's check."""

    feature_id: str
    description: str
    passed: bool
    reason: str = ""
    seconds: float = 0.0
    evidence: str = ""


class RunningSite:
    """An application somebody else runs, in the place of an `Instance`."""

    def __init__(self, url: str) -> None:
        self.base_url = url.rstrip("/")

    async def reset(self) -> None:
        """Its data is not ours to empty."""

    def touch(self) -> None:
        """Nothing to remember."""

    async def restart(self) -> None:
        """Refuse. Raises: AppNotStarted."""
        raise AppNotStarted("An application at an address cannot be restarted by the harness.")

    def log_tail(self, characters: int = 0) -> str:
        """Its log is not ours to read."""
        return ""


async def replay_project(
    project: Project, settings: Settings, feature_ids: Sequence[str], url: str | None, events: Events
) -> list[Replayed]:
    """Replay checks one after another.

    Args:
        project: whose files say what passes and how it is checked.
        settings: of the application, the sandbox and the replays.
        feature_ids: empty: all that pass.
        url: a running application; None: the project's own.
        events: told of each replay.

    Raises: FeatureFileError: a file is broken, or there is no such feature or check.
    """
    features = FeatureList.load(project.features_file)
    wanted = [features.get(i) for i in feature_ids] or [f for f in features.features if f.passes]
    checks = {feature.id: _check(project, feature) for feature in wanted}
    if not checks:
        return []
    elements = read_elements(project.checks_dir).locators()
    async with _site(project, settings, url, events) as (hall, site):
        if isinstance(site, AppNotStarted):
            return [Replayed(f.id, f.description, False, f"The application does not start: {site}") for f in wanted]
        return [await _replay(hall, site, feature, checks[feature.id], elements) for feature in wanted]


async def _replay(hall: Hall, site: Site, feature: Feature, check: Check, elements: Mapping[str, Locator]) -> Replayed:
    result = await hall.replayer.replay(check, elements, site, purpose="verify", steps=feature.steps)
    return Replayed(feature.id, feature.description, result.passed, result.reason, result.seconds, result.evidence)


@asynccontextmanager
async def _site(
    project: Project, settings: Settings, url: str | None, events: Events
) -> AsyncIterator[tuple[Hall, Site | AppNotStarted]]:
    with tempfile.TemporaryDirectory(prefix="verify-", dir=project.state_dir) as directory:
        name = Path(directory).name
        if url:  # the address is the host's, so the browser must not be shut into a room
            open_settings = settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update={"mode": "off"})})
            async with open_hall(project, open_settings, events, Path(directory), "", name) as hall:
                pages = Pages(hall.browser)
                try:
                    yield hall, Site(RunningSite(url), pages)  # type: ignore[arg-type]  # by shape, not by class
                finally:
                    await pages.close()
            return
        prefix = await _copy(project.directory, Path(directory))
        async with open_hall(project, settings, events, Path(directory), prefix, name) as hall:
            hall = replace(hall, stamps_dir=hall.scratch / "stamps")
            async with AsyncExitStack() as stack:
                site: Site | AppNotStarted
                try:
                    site = await stack.enter_async_context(hall.site(Path(directory, prefix), "verify"))
                except AppNotStarted as exc:
                    site = exc
                yield hall, site


async def _copy(directory: Path, target: Path) -> str:
    """Copy what git tracks or would track; returns the project's directory inside the copy."""
    repo = await asyncio.to_thread(Repo.open, directory)
    await asyncio.to_thread(_copy_files, repo.git.root, await repo.visible_files(), target)
    return repo.prefix


def _copy_files(root: Path, names: Sequence[str], target: Path) -> None:
    for name in names:
        source, copy = root / name, target / name
        if source.is_file() or source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


def _check(project: Project, feature: Feature) -> Check:
    path = project.checks_dir / f"{feature.id}.json"
    if not path.exists():
        raise FeatureFileError(f"{feature.id} has no check ({path}).", "It gets one when it is built: `harness run`.")
    return read_check(path, read_flows(project.checks_dir))
