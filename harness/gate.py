"""`harness gate`: the proof alone, for people whose own agent edits the project. What is claimed, is it so?

    edits      did somebody write what only the harness writes? then nothing is replayed: proofs are read from there
    replays    every feature that passes in the list, on the files as they lie, uncommitted changes included
    commands   the project's own lint and tests (`[gate] commands`)
    tests      the project's own tests (`[gate] tests`), beside those of the last commit that the harness made
    claims     a feature that does not pass yet and is claimed by name (or all of them) is proved in full

What held on this very content is not played again, so that a hook that runs at every stop costs little when nothing
changed. Nothing is written into the project.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import RepoError, SetupError
from harness.events import CheckReplayed
from harness.features import SKIPPED, Feature, FeatureList
from harness.gate_tests import compare_tests, held_tests
from harness.project import write_atomic
from harness.prompts import fence
from harness.repo import Repo
from harness.verify.app import AppNotStarted
from harness.verify.files import read_check, read_flows
from harness.verify.hall import OWN_FILES
from harness.verify.history import History, Played
from harness.verify.protected import find_edits, has_list
from harness.verify.regression import changed_code, owners_of
from harness.verify.standalone import Replayed, Replays, replay_features
from harness.worktree import Worktree

if TYPE_CHECKING:
    from harness.events import Events
    from harness.project import Project
    from harness.settings import Settings
    from harness.verify.check import Check
    from harness.verify.protected import Edit
    from harness.worktree import Snapshot

State = Literal["holds", "held", "proved", "refused", "failed", "unproved"]
"""held: it did before, on this very content; proved: it did not pass in the list, and was proved now."""
GOOD = frozenset({"holds", "held", "proved"})


@dataclass(frozen=True)
class Asked:
    """What is claimed, beyond the features that pass in the list."""

    feature_ids: Sequence[str] = ()
    """Only these; one that does not pass yet is claimed by being named."""
    everything: bool = False
    """The whole list is claimed, and all of it is looked at anew."""
    changed: bool = False
    """Only features whose files differ since all of them held; all, when that is not known."""


@dataclass(frozen=True)
class Claim:
    """One thing that is claimed, and whether it is so."""

    what: str
    """A feature's id, a file, or a command of the gate."""
    state: State
    text: str = ""
    """The feature's description."""
    reason: str = ""
    """Why it is not so, in words to act on; may quote foreign text."""
    file: str = ""
    """The file it is about, relative to the project."""
    evidence: str = ""
    seconds: float = 0.0
    flaky: bool = False
    steps: tuple[str, ...] = ()

    @property
    def is_so(self) -> bool:
        """Whether it may stand."""
        return self.state in GOOD


@dataclass(frozen=True)
class Gated:
    """What became of all claims."""

    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    """What a person should know and stops nothing."""
    at: datetime

    @property
    def passed(self) -> bool:
        """Whether everything that is claimed is so."""
        return all(claim.is_so for claim in self.claims)

    def as_replays(self) -> Replays:
        """The same for the reports of `harness verify`: one case a claim."""
        cases = [
            Replayed(c.what, c.text or c.file, c.is_so, c.reason, c.seconds, c.evidence, c.flaky, c.steps)
            for c in self.claims
        ]
        return Replays(tuple(cases), self.at, sum(c.seconds for c in self.claims), "")


Prove = Callable[[Feature], Awaitable[Claim]]
"""Proves a feature in full on the files as they lie, or says why that cannot be done."""


class Green(BaseModel):
    """The last content on which everything that passes held."""

    model_config = ConfigDict(frozen=True)

    commit: str
    """Holds the content; on no branch, so git may have forgotten it."""
    content: str
    commands: tuple[str, ...] = ()
    """Of the gate, which passed too."""


async def check_claims(project: Project, settings: Settings, asked: Asked, events: Events, prove: Prove) -> Gated:
    """Look at everything that is claimed.

    Args:
        project: as its files lie.
        settings: of the application, the sandbox, the replays and the gate.
        asked: what is claimed.
        events: told of each replay.
        prove: for a feature that does not pass yet.

    Raises: FeatureFileError: a file is broken, or there is no such feature. SetupError, AdapterError: no verdict.
    """
    at, repo = datetime.now(UTC), await _open(project)
    if not await has_list(project, repo):
        raise SetupError(f"{project.directory} has no features.json.", "Run `harness init` there first.")
    found = await find_edits(project, repo)
    if found.edits:
        return Gated(tuple(map(_refused, found.edits)), found.notes, at)
    features = FeatureList.load(project.features_file)
    passing, claimed = _claimed(features, asked)
    look = await _Look.at(project, repo, settings)
    chosen, held, why = await look.choose(passing, asked)
    claims = [Claim(f.id, "held", f.description, file=_check_file(f), steps=f.steps) for f in held]
    claims += await look.replay(chosen, asked, events)
    tested, untested = await look.test(repo, asked, events)
    claims += [*tested, *[await prove(feature) for feature in claimed]]
    await look.remember(claims, [f for f in features.features if f.passes])
    order = {feature.id: place for place, feature in enumerate(features.features)}
    claims.sort(key=lambda claim: order.get(claim.what, len(order)))
    notes = (*found.notes, *_notes(features, asked), *filter(None, (why, untested)))
    return Gated(tuple(claims), notes, at)


def _refused(edit: Edit) -> Claim:
    again = f" Take it back: {edit.remedy}." if edit.remedy else ""
    return Claim(edit.file, "refused", "only the harness writes it", f"{edit.why}{again}", edit.file)


async def _open(project: Project) -> Repo:
    return await asyncio.to_thread(Repo.open, project.directory)


def _claimed(features: FeatureList, asked: Asked) -> tuple[list[Feature], list[Feature]]:
    """Features that pass and are looked at, and those that do not and are claimed."""
    if asked.feature_ids:
        wanted = [features.get(name) for name in dict.fromkeys(asked.feature_ids)]
    elif asked.everything:
        wanted = [f for f in features.features if not f.reason.startswith(SKIPPED)]
    else:
        wanted = [f for f in features.features if f.passes]
    return [f for f in wanted if f.passes], [f for f in wanted if not f.passes]


def _notes(features: FeatureList, asked: Asked) -> list[str]:
    """What nobody looked at."""
    if asked.everything or asked.feature_ids:
        return []
    left = [f for f in features.features if not f.passes and not f.reason.startswith(SKIPPED)]
    taken_over, quiet = _few([f.id for f in left if f.claimed]), _few([f.id for f in left if not f.claimed])
    notes = []
    if taken_over:
        notes.append(
            f"Said to pass by the list that was taken over, and not proved: {taken_over}. `harness run` does it."
        )
    if quiet:
        notes.append(f"Not claimed, so not looked at: {quiet}. Claim one with --feature ID.")
    return notes


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _check_file(feature: Feature) -> str:
    return f"checks/{feature.id}.json"


@dataclass(frozen=True)
class _Look:
    """One look at the files as they lie."""

    project: Project
    settings: Settings
    tree: Worktree
    snapshot: Snapshot | None
    """None: it cannot be named, so nothing is known to have held on it."""

    @classmethod
    async def at(cls, project: Project, repo: Repo, settings: Settings) -> _Look:
        tree = Worktree(repo.git, repo.git.root, repo.prefix, None)
        return cls(project, settings, tree, await _snapshot(repo, tree))

    async def choose(self, passing: Sequence[Feature], asked: Asked) -> tuple[list[Feature], list[Feature], str]:
        """Features to replay, those that held on this very content, and why more are replayed than were asked for."""
        if asked.everything or asked.feature_ids or self.snapshot is None:
            return list(passing), [], ""
        digests = {feature.id: self._check(feature).digest() for feature in passing}
        held = History.load(self.project.state_dir).held(digests, self.snapshot.content)
        left, known = [f for f in passing if f.id not in held], [f for f in passing if f.id in held]
        if not asked.changed or not left:
            return left, known, ""
        touched, why = await self._touched()
        if why:
            return left, known, f"Everything is replayed: {why}"
        return [f for f in left if f.id in touched], known, ""

    async def _touched(self) -> tuple[set[str], str]:
        """Features whose files differ since all held; or why that is not known."""
        try:
            changed = await changed_code(self.tree, green.commit) if (green := self._green()) else None
        except RepoError:  # git has forgotten the commit
            changed = None
        if changed is None:
            return set(), "it is not known here when all of them held last."
        owners = await owners_of(self.tree, changed)
        if unowned := sorted(name for name, names in owners.items() if not names):
            return set(), f"{unowned[0]} changed, and no feature's commit touched it before."
        return set().union(*owners.values()), ""

    async def replay(self, features: Sequence[Feature], asked: Asked, events: Events) -> list[Claim]:
        """Replay checks and run the gate's commands; what held is written down."""
        commands, is_known = tuple(self.settings.gate.commands), self._gate_held() and not asked.everything
        gate = bool(commands) and not is_known
        told = [Claim(command, "held" if is_known else "holds", _GATE) for command in commands]
        if not features and not gate:
            return told
        held: set[str] = set()
        unlisten = events.listen(
            lambda e: held.add(e.feature_id) if isinstance(e, CheckReplayed) and e.passed else None
        )
        try:
            replays = await replay_features(self.project, self.settings, features, None, events, gate=gate)
        except BaseException:  # the time is over, or somebody interrupts: what held is not to be played again
            await self._write_down(features, [Replayed(name, "", passed=True) for name in sorted(held)])
            raise
        finally:
            unlisten()
        await self._write_down(features, replays.results)
        claims = [
            Claim(
                r.feature_id, "holds" if r.passed else "failed", r.description, r.reason, f"checks/{r.feature_id}.json",
                r.evidence, r.seconds, r.flaky, r.steps,
            )
            for r in replays.results
        ]  # fmt: skip
        if failed := replays.gate:
            said = fence(failed.output, failed.command)
            reason = f"`{failed.command}` of the project's gate ended with {failed.exit_code}.\n{said}"
            told = [Claim(failed.command, "failed", _GATE, reason, "harness.toml")]
        return [*claims, *told]

    async def test(self, repo: Repo, asked: Asked, events: Events) -> tuple[list[Claim], str]:
        """Compare the project's own tests with those before the agent's work; or say why they were not run."""
        if not (command := self.settings.gate.tests):
            return [], ""
        if self.snapshot is None:
            return [], f"`{command}` was not run: git cannot name these files, so there is nothing to compare with."
        of = (self.project, self.settings, repo, self.snapshot)
        if not asked.everything and await held_tests(*of):
            return [Claim(command, "held", _TESTS, file="harness.toml")], ""
        try:
            found = await compare_tests(*of, events)
        except AppNotStarted as exc:
            return [Claim(command, "failed", _TESTS, f"It was not run: {exc}", "harness.toml")], ""
        state: State = "failed" if found.worse else "holds"
        reason = found.reason.removeprefix("The feature passes, but ")
        return [Claim(command, state, _TESTS, reason, "harness.toml", flaky=bool(found.flaky))], ""

    async def _write_down(self, features: Sequence[Feature], results: Sequence[Replayed]) -> None:
        """What was played on which content; nothing when the files changed meanwhile."""
        if self.snapshot is None or not results or not await self._is_same():
            return
        digests = {feature.id: self._check(feature).digest() for feature in features}
        plays = [Played(r.feature_id, digests[r.feature_id], r.passed, r.flaky) for r in results]
        state_dir = self.project.state_dir
        History.load(state_dir).with_plays(plays, self.snapshot.content).save(state_dir)

    async def remember(self, claims: Sequence[Claim], passing: Sequence[Feature]) -> None:
        """Keep the content as green when everything that passes was seen to hold on it."""
        seen = {claim.what for claim in claims if claim.is_so}
        if self.snapshot is None or not {f.id for f in passing} <= seen or not all(c.is_so for c in claims):
            return
        if await self._is_same():
            commands = tuple(self.settings.gate.commands)
            green = Green(commit=self.snapshot.sha, content=self.snapshot.content, commands=commands)
            write_atomic(self.project.state_dir / _GREEN, green.model_dump_json())

    async def _is_same(self) -> bool:
        now = await _snapshot_of(self.tree)
        return now is not None and self.snapshot is not None and now.content == self.snapshot.content

    def _gate_held(self) -> bool:
        """Whether the gate's commands passed on this very content."""
        if (green := self._green()) is None or self.snapshot is None:
            return False
        return green.content == self.snapshot.content and green.commands == tuple(self.settings.gate.commands)

    def _green(self) -> Green | None:
        """Scratch: one that cannot be read is none."""
        try:
            return Green.model_validate_json((self.project.state_dir / _GREEN).read_bytes())
        except (OSError, ValidationError):
            return None

    def _check(self, feature: Feature) -> Check:
        return read_check(self.project.directory / _check_file(feature), read_flows(self.project.checks_dir))


_GREEN = "gate.json"
_GATE = "the project's own gate"
_TESTS = "the project's own tests"


async def _snapshot(repo: Repo, tree: Worktree) -> Snapshot | None:
    return await _snapshot_of(tree) if await repo.has_commits() else None


async def _snapshot_of(tree: Worktree) -> Snapshot | None:
    """None where git cannot name the content: nobody is known to it, or a repository lies inside."""
    try:
        return await tree.snapshot(OWN_FILES)
    except (RepoError, SetupError):
        return None
