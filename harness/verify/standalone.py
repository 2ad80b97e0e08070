"""`harness verify`: replays a project's checks as its files are now, without a model and without touching them.

The files are copied first (what git tracks or would track), so that `prepare` and the sandbox leave nothing behind in
the person's checkout. Against a running address only the browser is ours: data is whatever is there.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import AdapterError, FeatureFileError, SetupError
from harness.events import Noticed
from harness.features import Feature, FeatureList
from harness.repo import Repo
from harness.sandbox.bubblewrap import describe
from harness.settings import GateSettings
from harness.threads import require_list
from harness.verify import audit
from harness.verify.app import AppNotStarted
from harness.verify.check import Check
from harness.verify.exchanges.client import Client
from harness.verify.files import read_check, read_elements, read_flows
from harness.verify.hall import Hall, open_hall
from harness.verify.kept import kept_outputs, kept_pictures
from harness.verify.last import LastVerify, save_last
from harness.verify.project_gate import CommandFailed, run_gate
from harness.verify.regress import OpenSite, RegressResult, regress
from harness.verify.replay import Pages, Site
from harness.verify.trail import follow

if TYPE_CHECKING:
    from harness.events import Events
    from harness.project import Project
    from harness.settings import Settings


ANSWER_SECONDS = 5.0
"""How long an address may take to accept a connection."""
HEADED_HOLD_SECONDS = 0.8
"""How long each moment stays to be seen by a person who watches."""


@dataclass(frozen=True)
class Replayed:
    """What became of one feature's check."""

    feature_id: str
    description: str
    passed: bool
    reason: str = ""
    seconds: float = 0.0
    evidence: str = ""
    flaky: bool = False
    """It failed among the others and passed alone; `reason` says how it failed."""
    steps: tuple[str, ...] = ()
    """The feature's own lines."""


@dataclass(frozen=True)
class Replays:
    """What became of all that was asked for."""

    results: tuple[Replayed, ...]
    at: datetime
    seconds: float
    commit: str
    """What is checked out, and whether files differ from it; empty: there is no commit yet."""
    doubts: tuple[str, ...] = ()
    """What does not agree with the audit."""
    url: str = ""
    gate: CommandFailed | None = None
    """The first command of the project's gate that failed; None: none did, or none was asked for."""

    @property
    def passed(self) -> bool:
        """Whether there was something to replay and all of it passed."""
        return bool(self.results) and all(result.passed for result in self.results)


class RunningSite:
    """An application somebody else runs, in the place of an `Instance`."""

    also: tuple[str, ...] = ()

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
    project: Project,
    settings: Settings,
    feature_ids: Sequence[str],
    url: str | None,
    events: Events,
    *,
    headed: bool = False,
) -> Replays:
    """Replay checks, several at once, and remember how it ended.

    Args:
        project: whose files say what passes and how it is checked.
        settings: of the application, the sandbox and the replays.
        feature_ids: empty: all that pass.
        url: a running application, with data of its own, so one check at a time; None: the project's own.
        events: told of each replay, and of what does not agree with the audit.
        headed: in a window, one at a time, slowly enough to be followed.

    Raises: FeatureFileError: a file is broken, or there is no such feature or check. SetupError: no display.
    """
    require_list(project)
    if not url:
        events.emit(Noticed(text=describe(settings.sandbox)))
    features = FeatureList.load(project.features_file)
    wanted = [features.get(i) for i in feature_ids] or [f for f in features.features if f.passes]
    return await replay_features(project, settings, wanted, url, events, headed=headed)


async def replay_features(
    project: Project,
    settings: Settings,
    wanted: Sequence[Feature],
    url: str | None,
    events: Events,
    *,
    headed: bool = False,
    gate: bool = False,
) -> Replays:
    """Replay the checks of these features, as `replay_project`.

    Args:
        gate: run the commands of the project's gate too, after the replays.
    """
    at, started = datetime.now(UTC), time.monotonic()
    checks = {feature.id: _check(project, feature) for feature in wanted}
    if url or headed:
        settings = _alone(settings, headed=headed)
    commands = settings.gate if gate else GateSettings()
    results, failed = await _replay_all(project, settings, wanted, checks, url, events, headed, commands)
    seconds = time.monotonic() - started
    doubts = (await follow(project)).problems
    for doubt in doubts:  # last, so that nobody reads the sum without them
        events.emit(Noticed(text=f"Edited by hand? {doubt}", level="warning"))
    replays = Replays(tuple(results), at, seconds, await _commit_words(project), doubts, url or "", failed)
    if results:
        _remember(project, replays, checks)
    return replays


async def _replay_all(
    project: Project,
    settings: Settings,
    wanted: Sequence[Feature],
    checks: dict[str, Check],
    url: str | None,
    events: Events,
    headed: bool,
    gate: GateSettings,
) -> tuple[list[Replayed], CommandFailed | None]:
    if not checks and not gate.commands:
        return [], None
    elements, steps = read_elements(project.checks_dir).locators(), {feature.id: feature.steps for feature in wanted}
    async with open_sites(project, settings, url, events, headed=headed) as (hall, open_site):
        played = await regress(hall.replayer, checks, elements, open_site, steps=steps, seconds=0, purpose="verify")
        failed = await _gate(hall, open_site, gate)
    found = {result.feature_id: result for result in played}
    return [_told(feature, found[feature.id]) for feature in wanted], failed


async def _gate(hall: Hall, open_site: OpenSite, gate: GateSettings) -> CommandFailed | None:
    """The project's own commands, where its application was prepared; one that does not start fails the first."""
    if not gate.commands:
        return None
    try:
        async with open_site(0):
            return await run_gate(hall.room, gate)
    except AppNotStarted as exc:
        return CommandFailed(gate.commands[0], 1, f"It was not run: the application does not start. {exc}")


def _told(feature: Feature, result: RegressResult) -> Replayed:
    return Replayed(
        feature.id,
        feature.description,
        result.passed,
        result.reason,
        result.seconds,
        result.evidence,
        result.flaky,
        feature.steps,
    )


def _alone(settings: Settings, *, headed: bool) -> Settings:
    """One check at a time, and slowly where somebody watches."""
    update: dict[str, float] = {"workers": 1}
    if headed:
        update["hold_seconds"] = max(settings.verify.hold_seconds, HEADED_HOLD_SECONDS)
    return settings.model_copy(update={"verify": settings.verify.model_copy(update=update)})


def _remember(project: Project, replays: Replays, checks: dict[str, Check]) -> None:
    """For `harness status`, and a line a check in this machine's audit."""
    failed = tuple(result.feature_id for result in replays.results if not result.passed)
    flaky = tuple(result.feature_id for result in replays.results if result.flaky)
    total = len(replays.results)
    save_last(project, LastVerify(at=replays.at, total=total, failed=failed, flaky=flaky, url=replays.url))
    lines = [
        audit.Verdict(
            feature=result.feature_id,
            outcome="passed" if result.passed else "failed",
            check=checks[result.feature_id].digest(),
            evidence=audit.evidence_digests(result.evidence, project.evidence_dir),
        )
        for result in replays.results
    ]
    audit.append(project.audit_file, lines)


async def _commit_words(project: Project) -> str:
    repo = await asyncio.to_thread(Repo.open, project.directory)
    if not await repo.has_commits():
        return ""
    return (await repo.head())[:12] + (" and changes since" if await repo.dirty() else "")


async def require_answer(url: str) -> None:
    """See that somebody listens at an address: what nobody answers says nothing of a feature.

    Raises: SetupError: it is no address. AdapterError: nothing answers; the person starts the application.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme not in ("http", "https"):
        raise SetupError(f"{url!r} is not the address of an application.", "Give one such as http://localhost:3000.")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as exc:
        raise AdapterError(f"Nothing answers at {url}.", "Start the application there, then verify again.") from exc


@asynccontextmanager
async def open_sites(
    project: Project, settings: Settings, url: str | None, events: Events, *, headed: bool = False
) -> AsyncIterator[tuple[Hall, OpenSite]]:
    """A hall, and how a worker in it gets an application with pages of its own: the files as they are, or a URL's."""
    if url:
        await require_answer(url)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=project.state_dir) as directory:
        name, prefix = Path(directory).name, ""
        if url:  # the address is the host's, so the browser must not be shut into a room
            settings = settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update={"mode": "off"})})
        else:
            prefix = await _copy(project.directory, Path(directory))
        async with open_hall(project, settings, events, Path(directory), prefix, name, headed=headed) as hall:
            # at an address there is no copy to find them in
            pictures, goldens = kept_pictures(project.checks_dir), kept_outputs(project.checks_dir)
            hall = replace(hall, replayer=replace(hall.replayer, pictures=pictures, goldens=goldens))
            hall = replace(hall, stamps_dir=hall.scratch / "stamps", cache=None)
            tree = Path(directory, prefix)
            yield hall, lambda number: _at(hall, url) if url else hall.site(tree, f"verify-{number}")


@asynccontextmanager
async def _at(hall: Hall, url: str) -> AsyncIterator[Site]:
    pages, client = Pages(hall.browser), Client(hall.room)
    try:
        yield Site(RunningSite(url), pages, client)  # type: ignore[arg-type]  # by shape, not by class
    finally:
        await client.close()
        await pages.close()


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
        where = shlex.quote(str(project.directory))
        if feature.passes:
            raise FeatureFileError(
                f"{feature.id} has no check ({path}), and the list says that it passes: one was changed by hand.",
                f"`harness gate {where}` names what was edited, and how to take it back.",
            )
        raise FeatureFileError(
            f"{feature.id} has no check ({path}).", f"It gets one when it is built: `harness run {where}`."
        )
    return read_check(path, read_flows(project.checks_dir))
